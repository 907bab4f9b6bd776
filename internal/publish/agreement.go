package publish

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"

	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/text"
	"github.com/tillid/tillid/internal/version"
)

// AgreementName is the name of the document of a customer agreement.
func AgreementName(id string) string { return "agreement-" + slug(id) }

// Agreement writes the data-processing agreement of a service that the company
// runs for its customers (Art. 28(3) a–h, appendices A–D). With body "file" the
// articles are the supplied text, unchanged, and the appendices are ours. It is
// fault.Invalid when that file is missing or is not the one declared.
func Agreement(plan *policy.Plan, v version.Version, l text.Lang, a *policy.Agreement) (*Document, error) {
	b := newBuilder(plan, v, l, AgreementName(a.ID))
	path := "customer_agreement." + a.ID
	b.doc.Title = b.t(path, "agreement.title")
	b.doc.Lead = line(b.own(path+".label", "agreement", a.Label).end())
	w := agreementWriter{builder: b, a: a, path: path}
	if a.Body == "file" {
		body, err := suppliedBody(a, v.Files)
		if err != nil {
			return nil, err
		}
		label := b.t(path+".file", either(a.CalledStandard, "agreement.label.standard", "agreement.label.file"), "Hash", a.SHA256)
		b.doc.Label = &label
		b.supplied(path+".file", body)
	} else {
		label := b.t(path+".body", "agreement.label")
		b.doc.Label = &label
		w.articles()
	}
	w.appendixA()
	w.appendixB()
	w.appendixC()
	w.appendixD()
	return b.doc, nil
}

// suppliedBody returns the text of body: file, checked against its declared hash.
func suppliedBody(a *policy.Agreement, files version.Files) ([]byte, error) {
	body, err := files.ReadFile(a.File)
	if err != nil {
		return nil, fault.New(fault.Invalid, "customer_agreement.%s: the file %s cannot be read.", a.ID, a.File).
			WithHint("Put it beside the declaration, or use body: own.").Because(err)
	}
	sum := sha256.Sum256(body)
	if got := hex.EncodeToString(sum[:]); got != a.SHA256 {
		return nil, fault.New(fault.Invalid, "customer_agreement.%s: %s is not the declared text: its SHA-256 is %s.", a.ID, a.File, got).
			WithHint("If the new text is meant, set sha256: to this value; every customer then sees a new version.")
	}
	return body, nil
}

// agreementWriter writes the articles and appendices of one agreement.
type agreementWriter struct {
	*builder
	a    *policy.Agreement
	path string
}

// article is a numbered section of sentences from the catalogue.
func (w agreementWriter) article(id, at string, sentences ...Sentence) *Section {
	s := w.section(id, 2, w.t(w.path+at, "agreement."+id))
	if len(sentences) > 0 {
		s.para(sentences...)
	}
	return s
}

// say is a sentence of an article, traced to the agreement's key at.
func (w agreementWriter) say(at, key string, kv ...any) Sentence {
	return w.t(w.path+at, "agreement."+key, kv...)
}

// articles writes our own wording of Art. 28(3).
func (w agreementWriter) articles() {
	a, name := w.a, w.plan.Controller.LegalName
	w.article("parties", "", w.say("", "parties.who", "Name", name, "Number", w.plan.Controller.CVR, "HasNumber", w.plan.Controller.CVR != ""),
		w.say("", "parties.roles"), w.say("", "parties.before"))
	w.article("subject", ".purpose", w.say(".label", "subject.what", "Label", a.Label.In(w.lang)), w.say(".purpose", "subject.detail"), w.say("", "subject.rights"))
	s := w.article("instruction", ".instructions", w.say(".instructions", "instruction.only"))
	if a.Instructions.In(w.lang) != "" {
		s.para(w.own(w.path+".instructions", "instructions", a.Instructions).end())
	}
	s.para(w.say(".instructions", "instruction.law"), w.say(".instructions", "instruction.unlawful"))
	w.article("confidence", ".measures", w.say(".measures", "confidence.people"), w.say(".measures", "confidence.need"))
	w.article("security", ".measures", w.say(".measures", "security.level"), w.say(".measures", "security.change"))
	w.article("sub", ".sub_processors", w.authorisation()...).para(w.say(".sub_processors", "sub.same"), w.say(".sub_processors", "sub.liable"))
	w.article("transfer", ".instructions", w.say(".instructions", "transfer.only"), w.say(".sub_processors", "transfer.where"))
	s = w.article("help", ".assistance", w.say(".assistance", "help.rights"), w.say(".assistance", "help.duties"))
	if a.Assistance.In(w.lang) != "" {
		s.para(w.own(w.path+".assistance", "assistance", a.Assistance))
	}
	w.article("breach", ".breach", w.breach(), w.say(".breach", "breach.what"))
	w.article("end", ".end_of_contract", w.ending()...)
	s = w.article("audit", ".audit", w.say(".audit", "audit.show"))
	if a.Audit.In(w.lang) != "" {
		s.para(w.own(w.path+".audit", "audit", a.Audit))
	}
	w.article("term", ".duration", w.say(".duration", "term.start"), w.say(".duration", "term.change"), w.precedence())
}

func (w agreementWriter) authorisation() []Sentence {
	if w.a.Authorisation == "specific" {
		return line(w.say(".authorisation", "sub.specific"))
	}
	said := line(w.say(".authorisation", "sub.general"))
	if w.a.Notice.Set {
		said = append(said, w.say(".notice", "sub.notice", "Period", w.period(w.a.Notice)))
	}
	return append(said, w.say(".authorisation", "sub.object"))
}

func (w agreementWriter) breach() Sentence {
	if w.a.Breach.Set {
		return w.say(".breach", "breach.within", "Period", w.period(w.a.Breach))
	}
	return w.say("", "breach.soon")
}

func (w agreementWriter) ending() []Sentence {
	key := "end." + either(w.a.EndOfContract == "return", "return", "delete")
	said := line(w.say(".end_of_contract", key))
	if w.a.EndDuration.Set {
		said = append(said, w.say(".end_duration", "end.within", "Period", w.period(w.a.EndDuration)))
	}
	return append(said, w.say(".end_of_contract", "end.choice"), w.say(".end_of_contract", "end.law"))
}

// precedence says which language applies; with one language it needs none.
func (w agreementWriter) precedence() Sentence {
	if len(w.plan.Languages) < 2 {
		return w.say("", "term.written")
	}
	return w.say("", "term.precedence")
}

// appendixA describes the processing.
func (w agreementWriter) appendixA() {
	a := w.a
	s := w.article("a", "")
	s.facts(
		w.ownFact(".purpose", "a.purpose", a.Purpose),
		w.ownFact(".nature", "a.nature", a.Nature),
		w.joined(".data", "a.data", w.dataLabels(a.Data)),
		w.joined(".people", "a.people", w.peopleLabels(a.People)),
		w.ownFact(".duration", "a.duration", a.Duration),
		Fact{Term: w.say(".accounts", "a.accounts"), Lines: [][]Sentence{line(w.say(".accounts", "a.all"))}},
	)
}

func (w agreementWriter) ownFact(at, term string, t text.Text) Fact {
	f := Fact{Term: w.say(at, term)}
	if t.In(w.lang) != "" {
		f.Lines = [][]Sentence{line(w.own(w.path+at, "own", t).end())}
	}
	return f
}

func (w agreementWriter) joined(at, term string, labels []string) Fact {
	f := Fact{Term: w.say(at, term)}
	if len(labels) > 0 {
		f.Lines = [][]Sentence{line(w.sentence(w.path+at, "labels", w.inline(labels)))}
	}
	return f
}

// appendixB lists the sub-processors that are authorised when the agreement is made.
func (w agreementWriter) appendixB() {
	s := w.article("b", ".sub_processors")
	var engaged []policy.Engagement
	for _, id := range w.a.SubProcessors {
		if e := w.plan.Engagement(id); e != nil {
			engaged = append(engaged, *e)
		}
	}
	if len(engaged) == 0 {
		s.para(w.say(".sub_processors", "b.none"))
		return
	}
	s.para(w.say(".sub_processors", "b.lead"))
	s.table(w.subTable(engaged))
}

func (w agreementWriter) subTable(engaged []policy.Engagement) Table {
	t := Table{
		Head:   line(w.t("parties", "recipients.who"), w.say(".sub_processors", "b.address"), w.t("engagements", "recipients.does"), w.t("parties", "recipients.where")),
		Widths: []float64{3, 4, 5, 2},
	}
	var g Group
	for i := range engaged {
		e := &engaged[i]
		p := w.plan.Party(e.Party)
		if p == nil {
			continue
		}
		at := "parties." + p.ID
		var address []Sentence
		if p.Address != "" {
			address = line(w.sentence(at+".address", "address", p.Address))
		}
		does := line(w.own("engagements."+e.ID+".service", "service", e.Service).end())
		g.Rows = append(g.Rows, Row{line(w.sentence(at+".legal_name", "party", p.LegalName)), address, does,
			line(w.sentence(at+".country", "country", text.Country(w.lang, p.Country)))})
	}
	t.Groups = []Group{g}
	return t
}

// appendixC holds the instruction: security, assistance, retention, place, transfers, audit.
func (w agreementWriter) appendixC() {
	a := w.a
	w.article("c", ".instructions")
	s := w.sub("c1", ".instructions")
	if a.Instructions.In(w.lang) != "" {
		s.para(w.own(w.path+".instructions", "c-instructions", a.Instructions))
	} else {
		s.para(w.say("", "c1.service"))
	}
	s = w.sub("c2", ".measures")
	s.para(w.say(".measures", "c2.lead"))
	var items [][]Sentence
	for i := range w.plan.Measures {
		if m := &w.plan.Measures[i]; slices.Contains(a.Measures, m.ID) {
			items = append(items, line(w.own("measures."+m.ID+".statement", "measure", m.Statement)))
		}
	}
	s.list(items...)
	s = w.sub("c3", ".assistance")
	if a.Assistance.In(w.lang) != "" {
		s.para(w.own(w.path+".assistance", "c-assistance", a.Assistance))
	}
	s.para(w.say(".assistance", "c3.contact", "Contact", w.plan.Controller.Email))
	w.sub("c4", ".end_of_contract").para(w.ending()...)
	w.sub("c5", ".sub_processors").para(w.say(".sub_processors", "c5.place", "Country", text.Country(w.lang, w.plan.Controller.Country)))
	w.agreementTransfers(w.sub("c6", ".sub_processors"))
	s = w.sub("c7", ".audit")
	if a.Audit.In(w.lang) != "" {
		s.para(w.own(w.path+".audit", "c-audit", a.Audit))
	}
	s.para(w.say(".audit", "c7.subs"))
}

func (w agreementWriter) sub(id, at string) *Section {
	return w.section(id, 3, w.t(w.path+at, "agreement."+id))
}

func (w agreementWriter) agreementTransfers(s *Section) {
	var items [][]Sentence
	for _, id := range w.a.SubProcessors {
		if e := w.plan.Engagement(id); e != nil {
			items = append(items, w.transferLines(e)...)
		}
	}
	if len(items) == 0 {
		s.para(w.say(".sub_processors", "c6.none"))
		return
	}
	s.list(items...)
}

// appendixD holds what else the parties agreed.
func (w agreementWriter) appendixD() {
	w.article("d", "", w.say("", "d.none"))
}
