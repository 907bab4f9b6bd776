package lint

import (
	"github.com/tillid/tillid/internal/law"
	"github.com/tillid/tillid/internal/text"
)

func both(da, en string) text.Text { return text.Text{text.DA: da, text.EN: en} }

// Halves of messages: what exactly is wrong, where a rule has several ways to bite.
// They begin small and end without a full stop.
var (
	everything = both("noget", "anything")

	olderThan       = both("det sidste er mere end {limit} gammelt", "the last one is more than {limit} old")
	longerThan      = both("{has} er mere end {limit}", "{has} is more than {limit}")
	missingDocument = both("den mangler dokument eller dato", "it has no document or no date")
	timeUnsaid      = both("fristen er ikke angivet", "the time is not given")

	automatedUnsaid = both("om der træffes automatiske afgørelser (ja eller nej)", "whether decisions are automated (yes or no)")
	profilingUnsaid = both("om der sker profilering (ja eller nej)", "whether there is profiling (yes or no)")
	logicUnsaid     = both("hvilken logik de automatiske afgørelser følger", "what logic the automated decisions follow")

	eventUnknown  = both("den hændelse kender programmet ikke", "the program knows no such event")
	eventByHand   = both("den hændelse melder kun et menneske, så reglen må være manuel", "only a person reports that event, so the rule must be manual")
	ownerMissing  = both("reglen er manuel og har ingen ansvarlig", "the rule is manual and has no owner")
	noExecutor    = both("ingen del af programmet udfører den handling på de data", "no part of the program does that to those data")
	floorUnknown  = both("lovpakkerne kender ikke {law}{near}", "the law packs know no {law}{near}")
	floorShort    = both("{law} kræver {limit}, reglen siger {has}", "{law} demands {limit}, the rule says {has}")
	backupsUnsaid = both("der er ingen erklærede sikkerhedskopier", "no backups are declared")
	horizonUnsaid = both("»{backup}« har ingen horisont", "‘{backup}’ has no horizon")
	horizonLong   = both("»{backup}« husker i {has}, mere end {limit}", "‘{backup}’ remembers for {has}, more than {limit}")

	agreementExpired   = both("den udløb {date}", "it ran out on {date}")
	agreementNoHash    = both("fil eller kontrolsum mangler", "the file or its hash is missing")
	agreementUnsigned  = both("underskriftens dato mangler", "the day of signing is missing")
	neverLooked        = both("der er aldrig ført tilsyn", "nobody has ever looked")
	deletionUnsaid     = both("det er ikke beskrevet, hvordan der slettes", "how deletion works is not described")
	deletionImpossible = both("»{class}« kan ikke slettes", "‘{class}’ cannot be deleted")
	contactUnsaid      = both("der er ingen kontakt til anmodninger", "there is no contact for requests")

	goesUndeclared    = both("{party} hører hjemme i {country}, og overførslen er ikke erklæret", "{party} is in {country} and the transfer is not declared")
	blanketTransfer   = both("{says} nævner ingen af de overførsler, der sker", "{says} names none of the transfers that happen")
	noDecision        = both("der er ingen gyldig afgørelse om {country}", "no decision about {country} is in force")
	noFramework       = both("rammeaftalen (DPF) gælder ikke for {country}", "the Data Privacy Framework does not apply to {country}")
	decisionUnchecked = both("afgørelsen om {country}, {decision}, er ikke kontrolleret", "the decision about {country}, {decision}, has not been checked")
	neverVerified     = both("listen er aldrig slået op", "the list was never looked up")
	hrNotCovered      = both("certificeringen dækker ikke medarbejderdata", "the certification does not cover employees' data")
	isContested       = both("er under angreb ved domstolen", "is before the court")
	endsSoon          = both("udløber inden for {limit}", "ends within {limit}")

	knownTracker    = both("den er kendt som {tracker}", "it is known as {tracker}")
	setByOther      = both("den sættes af en anden part", "another party sets it")
	askedSooner     = both("efter et nej spørges der igen efter {quiet}, efter et ja først efter {life}", "after a no people are asked again after {quiet}, after a yes only after {life}")
	forgotBefore    = both("der loves ro i {quiet}, men cookien, der husker det, lever {life}", "{quiet} of quiet are promised, but the cookie that remembers it lives {life}")
	interestBasis   = both("formålet hviler ikke på samtykke", "its purpose does not rest on consent")
	interestPlace   = both("den gemmes et andet sted end i jeres egen lokale lagring i browseren", "it is kept elsewhere than in your own local storage of the browser")
	interestOther   = both("det, den gemmes i, er erklæret til noget andet", "what it is kept in is declared for something else")
	askedAnyway     = both("formålet hviler på samtykke", "its purpose rests on consent")
	necessityUnsaid = both("det er ikke forklaret, hvorfor", "why is not explained")
	renewsItself    = both("den fornyes ved hvert besøg", "each visit renews it")

	ageUnasked         = both("alderen kontrolleres ikke", "the age is not asked")
	tooYoung           = both("børn under {age} kan ikke selv samtykke", "children under {age} cannot consent themselves")
	promiseItself      = both("løftet selv", "the promise itself")
	promiseSender      = both("virksomhedens navn", "the company's name")
	promiseChannel     = both("kanalen (e-mail, sms)", "the channel (e-mail, text message)")
	promiseWithdrawal  = both("at samtykket kan trækkes tilbage", "that it can be withdrawn")
	newsletterUnasked  = both("nyhedsbreve kræver samtykke", "newsletters need consent")
	newsletterUnmarked = both("formularen tilmelder til nyhedsbrev, men formålet siger ikke, at det er markedsføring", "the form signs up for a newsletter, but the purpose does not say that it is marketing")
	notCustomers       = both("undtagelsen gælder kun kunder", "the exception is for customers only")
	senderAddress      = both("afsenderens e-mail", "the sender's e-mail")
	senderStop         = both("hvordan man siger stop", "how to stop them")

	provisionUnsaid   = both("om oplysningerne skal gives (lovkrav, aftale eller frivilligt)", "whether the data must be given (by law, by contract or of one's own will)")
	consequenceUnsaid = both("hvad der sker, hvis man ikke giver dem", "what happens if they are not given")
	hintMissing       = both("der står ikke, at man skal holde følsomme oplysninger ude", "nothing says to keep sensitive data out")
	fileUnlimited     = both("filens størrelse eller type er ikke begrænset", "the size or type of the file is not limited")

	controllerName           = both("navnet", "the name")
	controllerAddress        = both("adressen", "the address")
	controllerEmail          = both("e-mailen", "the e-mail")
	controllerRepresentative = both("repræsentanten i EU", "the representative in the Union")
	dpoNothing               = both("det er ikke sagt, om der er en databeskyttelsesrådgiver", "whether there is a data protection officer is not said")
	dpoNoContact             = both("rådgiveren har ingen kontaktoplysninger", "the officer has no contact details")
	dpoNoReason              = both("der er ingen begrundelse for at undvære en", "no reason is given for having none")
	authorityUnsaid          = both("tilsynsmyndigheden er ikke nævnt", "the supervisory authority is not named")
	authorityElsewhere       = both("ingen af de nævnte lovpakker kender {id}", "none of the law packs named knows {id}")
	authorityUnknown         = both("lovpakkerne kender ikke {id}{near}", "the law packs know no {id}{near}")
	extensionUnsaid          = both("der står ikke, hvordan man får besked om en forlængelse", "how people are told of an extension is not said")
)

// didYouMean ends a sentence about an unknown name with the nearest known one, if any.
func didYouMean(near string) text.Text {
	if near == "" {
		return text.Text{}
	}
	return both(" (mente du "+near+"?)", " (did you mean "+near+"?)")
}

func scopeWords(s law.Scope) text.Text {
	switch s {
	case law.ScopePrivate:
		return both("den private sektor", "the private sector")
	case law.ScopeCommercial:
		return both("erhvervsvirksomheder under PIPEDA", "commercial organisations under PIPEDA")
	case law.ScopeSelfCertified:
		return both("certificerede virksomheder (DPF)", "self-certified organisations (DPF)")
	default:
		return both("alle", "everybody")
	}
}

func categoryWords(category string) text.Text {
	if category == "statistics" {
		return both("statistik", "statistics")
	}
	return both("markedsføring", "marketing")
}
