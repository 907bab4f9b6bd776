// Package policy turns a declaration (tillid.yaml) into a Plan: the one
// compiled form from which the published texts, the consent gates, the forms,
// the retention jobs and people's rights are all made.
//
// It is pure: it touches no database, no network and no clock. Reading a file
// reports every problem at once, each with its place, the line and a remedy.
package policy

import (
	"slices"

	"github.com/tillid/tillid/internal/text"
)

// SchemaVersion is the version of the declaration's shape that this program
// reads and writes (the key "tillid" of the file).
const SchemaVersion = 1

// Declaration is tillid.yaml as written: checked for shape and references,
// not yet compiled. The struct tags are the one table from which the checker
// and the JSON Schema for editors are made:
//
//	yaml   key in the file; ",key" marks the field that holds the entry's own key
//	need   "yes": required
//	enum   allowed values, separated by |
//	ref    the section (path) whose entry this names
//	format host, url, email, path, … (format.go); a file that "path" names is held against the
//	       sha256 in the same mapping, if there is one, and is part of the Plan's hash;
//	       so is one that "document" names, which may also be an address or words
//	doc    one sentence for the editor
//
// A mapping of named entries is a slice here, in the order of the file.
type Declaration struct {
	Schema     int         `yaml:"tillid" need:"yes" doc:"Version of the declaration's shape; 1 today."`
	Law        []string    `yaml:"law" need:"yes" format:"law" doc:"Law packs, as name@version, for example dk@2026.2."`
	Reviewed   Date        `yaml:"reviewed" need:"yes" doc:"The day on which somebody last read this declaration against reality."`
	Languages  []text.Lang `yaml:"languages" need:"yes" doc:"Languages in which everything is published; the first is the default."`
	Controller Controller  `yaml:"controller" need:"yes" doc:"Who answers for the data (GDPR Art. 4(7))."`

	Sites       []Site            `yaml:"sites" doc:"The websites in front of which Tillid stands."`
	Backoffice  Backoffice        `yaml:"backoffice" doc:"Where staff and customers sign in."`
	Parties     []Party           `yaml:"parties" doc:"Everybody else who gets or handles data; one register."`
	Engagements []Engagement      `yaml:"engagements" doc:"A party in a role, for some purposes (Art. 26, 28)."`
	Data        []DataCategory    `yaml:"data" doc:"Categories of personal data."`
	People      []SubjectCategory `yaml:"people" doc:"Categories of people."`
	Purposes    []Purpose         `yaml:"purposes" doc:"Why data is used, each on exactly one legal basis (Art. 6)."`
	Services    []Service         `yaml:"services" doc:"Third-party scripts, pixels and embeds that pages may load."`
	Device      []DeviceAccess    `yaml:"device_access" doc:"Cookies and other storage on the visitor's device."`
	Consent     Asking            `yaml:"consent" doc:"How visitors are asked for consent."`
	Interests   []Interest        `yaml:"interests" doc:"What a visitor's interest is taken from, and which content it brings forward; only with consent."`
	Forms       []Form            `yaml:"forms" doc:"Where people type something in."`
	Retention   []Rule            `yaml:"retention" doc:"When data goes; nothing is kept without a rule."`
	Backups     []BackupSet       `yaml:"backups" doc:"Backups and when they forget."`
	Rights      Rights            `yaml:"rights" doc:"How people reach you about their data."`
	Measures    []Measure         `yaml:"measures" doc:"Technical and organisational measures (Art. 32)."`
	Agreements  []Agreement       `yaml:"customer_agreement" doc:"Services where the company is processor for its customers (Art. 28)."`
	Claims      []Claim           `yaml:"claims" doc:"What an existing policy states; linted, never compiled."`
	Suppress    []Suppression     `yaml:"suppress" doc:"Lint findings that somebody has accepted, with reason and end."`
}

// Controller is the company that answers for the data.
type Controller struct {
	LegalName      string `yaml:"legal_name" need:"yes"`
	CVR            string `yaml:"cvr" format:"cvr" doc:"Danish company number, eight digits."`
	Address        string `yaml:"address"`
	Country        string `yaml:"country" need:"yes" format:"country" doc:"ISO 3166-1 alpha-2."`
	Email          string `yaml:"email" format:"email"`
	Phone          string `yaml:"phone" format:"phone"`
	Website        string `yaml:"website" format:"url"`
	TimeZone       string `yaml:"time_zone" doc:"IANA name of the calendar in which deadlines are counted; Europe/Copenhagen when absent."`
	Representative string `yaml:"representative" doc:"Representative in the Union (Art. 27), for controllers outside it."`
	DPO            DPO    `yaml:"dpo" doc:"Data protection officer, or why there is none (Art. 37)."`
	Authority      string `yaml:"authority" doc:"Supervisory authority: its id in a law pack, for example dk.datatilsynet."`
	Logo           string `yaml:"logo" format:"path" doc:"SVG or PNG beside this file."`
	Accent         string `yaml:"accent" format:"colour" doc:"Accent colour of public pages, #rrggbb."`
}

// DPO says whether a data protection officer is appointed.
type DPO struct {
	Appointed *bool  `yaml:"appointed"`
	Name      string `yaml:"name"`
	Contact   string `yaml:"contact"`
	Reason    string `yaml:"reason" doc:"Why none is needed, when none is appointed."`
}

// Site is one website behind the gateway.
type Site struct {
	ID        string      `yaml:",key"`
	Name      text.Text   `yaml:"name"`
	Hosts     []string    `yaml:"hosts" need:"yes" format:"host" doc:"Host names, with port when it is not the usual one."`
	Upstream  string      `yaml:"upstream" format:"url" doc:"Where the site itself answers; absent when there is no gateway."`
	Consent   string      `yaml:"consent_host" json:",omitempty" format:"host" doc:"For a site that does not stand behind Tillid: the name below the site's own at which Tillid answers, such as consent.example.dk."`
	Languages []text.Lang `yaml:"languages"`
	Mode      string      `yaml:"mode" enum:"observe|enforce" doc:"observe: list what would be stopped; enforce: stop it. observe when absent."`
	Children  bool        `yaml:"children" doc:"Whether the site addresses children (Art. 8)."`
	Outbound  string      `yaml:"outbound" enum:"mark|leave" doc:"mark: links to other sites are marked for eyes and ears; leave when absent."`
	Grace     Duration    `yaml:"cookie_grace" doc:"In enforce mode: how long a cookie of the site that is not declared still passes after it was first listed; P7D when absent."`
	TLS       *bool       `yaml:"tls" doc:"Whether visitors reach it by https; true when absent."`
}

// Backoffice is where staff and customers sign in.
type Backoffice struct {
	Hosts        []string `yaml:"hosts" format:"host"`
	SecondFactor *bool    `yaml:"second_factor" doc:"Whether staff must use a second factor."`
}

// Party is one company in the register. Its role is said per engagement.
type Party struct {
	ID           string   `yaml:",key"`
	LegalName    string   `yaml:"legal_name" need:"yes"`
	TradingNames []string `yaml:"trading_names"`
	Country      string   `yaml:"country" need:"yes" format:"country"`
	Address      string   `yaml:"address"`
	Contact      string   `yaml:"contact"`
	PrivacyURL   string   `yaml:"privacy_url" format:"url"`
	OptOutURL    string   `yaml:"opt_out_url" format:"url"`
	Certified    []string `yaml:"certifications"`
}

// Engagement is a party in a role (Art. 26, 28).
type Engagement struct {
	ID          string     `yaml:",key"`
	Party       string     `yaml:"party" need:"yes" ref:"parties"`
	Role        string     `yaml:"role" enum:"processor|sub_processor|joint_controller|independent_controller|authority"`
	Parent      string     `yaml:"parent" ref:"engagements" doc:"For a sub-processor: the engagement it works under."`
	Service     text.Text  `yaml:"service" doc:"What it does for you."`
	Purposes    []string   `yaml:"purposes" need:"yes" ref:"purposes"`
	Data        []string   `yaml:"data" ref:"data" doc:"What it gets; when absent, what the purposes use."`
	DPA         *DPA       `yaml:"dpa" doc:"The data-processing agreement with a processor."`
	Joint       string     `yaml:"arrangement" doc:"For joint controllers: where the arrangement can be read (Art. 26(2))."`
	Page        string     `yaml:"page" format:"url" doc:"For joint controllers: your page on their network."`
	Unfollow    text.Text  `yaml:"unfollow" doc:"How to stop following that page."`
	Transfers   []Transfer `yaml:"transfers"`
	Deletion    []Deletion `yaml:"deletion" doc:"How deletion works there, per class of object."`
	Assistance  Assistance `yaml:"assistance"`
	Connector   *Connector `yaml:"connector" doc:"How Tillid reaches it; absent: by hand."`
	ConsentOnly bool       `yaml:"consent_only" doc:"Hand over only with this person's consent."`
	Supervised  Date       `yaml:"supervised" doc:"When you last checked on it."`
	Marketing   *Marketing `yaml:"marketing" doc:"When consumers' data goes to another company for its marketing."`
}

// Marketing holds the check that databeskyttelsesloven § 13 asks for.
type Marketing struct {
	CPRCheck bool `yaml:"cpr_check"`
}

// DPA is the agreement with a processor (Art. 28(3)).
type DPA struct {
	File          string   `yaml:"file" format:"path"`
	SHA256        string   `yaml:"sha256" format:"sha256"`
	Version       string   `yaml:"version"`
	SignedOn      Date     `yaml:"signed_on"`
	ValidUntil    Date     `yaml:"valid_until"`
	SubProcessors string   `yaml:"sub_processors" enum:"general|specific" doc:"Authorisation of sub-processors (Art. 28(2))."`
	Notice        Duration `yaml:"notice" doc:"Notice before a sub-processor changes."`
	Breach        Duration `yaml:"breach" doc:"Time within which it tells you of a breach, for example PT24H."`
	Audit         string   `yaml:"audit"`
	EndOfContract string   `yaml:"end_of_contract" enum:"delete|return"`
	Clauses       []string `yaml:"clauses" enum:"a|b|c|d|e|f|g|h" doc:"Letters of Art. 28(3) that it covers."`
}

// Transfer is one transfer to a third country (Art. 44–49).
type Transfer struct {
	To         string `yaml:"to" need:"yes" format:"country"`
	Access     string `yaml:"access" enum:"storage|access"`
	Mechanism  string `yaml:"mechanism" need:"yes" enum:"adequacy|dpf|scc|bcr|code|certification|art49"`
	Module     string `yaml:"module" enum:"1|2|3|4" doc:"Module of the standard contractual clauses."`
	Evidence   string `yaml:"evidence" format:"document" doc:"File beside this one, or a register entry."`
	TIA        string `yaml:"tia" format:"document" doc:"Transfer impact assessment: a file beside this one, or where it is."`
	CopyURL    string `yaml:"copy_url" doc:"How to get a copy of the safeguards (Art. 13(1)(f))."`
	VerifiedOn Date   `yaml:"verified_on"`
	HR         bool   `yaml:"hr_data" doc:"Whether employees' data is transferred."`
	HRCovered  bool   `yaml:"hr_covered" doc:"Whether the certification covers such data."`
	Commercial *bool  `yaml:"commercial" doc:"Canada: whether the recipient is under PIPEDA."`
}

// Deletion says how one class of object is deleted at a processor.
type Deletion struct {
	ID        string   `yaml:",key"`
	Mode      string   `yaml:"mode" need:"yes" enum:"immediate|soft_then_purge|explicit|retention_only|none"`
	AutoAfter Duration `yaml:"auto_after"`
	Note      string   `yaml:"note"`
}

// Assistance says how a processor helps with people's requests.
type Assistance struct {
	Contact    string   `yaml:"contact"`
	AnswerTime Duration `yaml:"answer_time"`
}

// Connector says how the program reaches a processor.
type Connector struct {
	Kind string `yaml:"kind" need:"yes" doc:"Name of a connector that this program carries."`
	URL  string `yaml:"url" format:"url"`
}

// DataCategory is a category of personal data.
type DataCategory struct {
	ID              string    `yaml:",key"`
	Label           text.Text `yaml:"label" need:"yes"`
	Parent          string    `yaml:"parent" ref:"data"`
	Special         string    `yaml:"special" enum:"none|art9|art10|cpr"`
	Identifiability string    `yaml:"identifies" enum:"direct|indirect|none" doc:"direct: names the person or reaches them."`
	Source          text.Text `yaml:"source" doc:"When it does not come from the person: where from (Art. 14)."`
	CprGround       string    `yaml:"ground" doc:"Law or consent that allows a CPR number or criminal data."`
}

// SubjectCategory is a category of people.
type SubjectCategory struct {
	ID       string    `yaml:",key"`
	Label    text.Text `yaml:"label" need:"yes"`
	Contract bool      `yaml:"contract" doc:"Whether these people are party to a contract with the controller."`
}

// Purpose is why data is used; exactly one legal basis each.
type Purpose struct {
	ID          string      `yaml:",key"`
	Label       text.Text   `yaml:"label" need:"yes"`
	Description text.Text   `yaml:"description"`
	Basis       *LegalBasis `yaml:"legal_basis"`
	People      []string    `yaml:"people" ref:"people"`
	Data        []string    `yaml:"data" ref:"data" doc:"Categories that the purpose uses."`
	Art9        string      `yaml:"art9_condition" doc:"Condition of Art. 9(2), a letter a–j."`
	Provision   string      `yaml:"provision" enum:"statutory|contractual|voluntary" doc:"Whether people must provide the data (Art. 13(2)(e))."`
	Consequence text.Text   `yaml:"consequence" doc:"What happens if they do not."`
	Automated   *bool       `yaml:"automated_decision" doc:"Decisions without a human, Art. 22."`
	Profiling   *bool       `yaml:"profiling"`
	Logic       text.Text   `yaml:"logic" doc:"For automated decisions: the logic and the consequences."`
	Compatible  string      `yaml:"compatible_with" ref:"purposes" doc:"For further use: the purpose it was collected for (Art. 6(4))."`
	Joins       []string    `yaml:"joins" ref:"purposes" doc:"Purposes whose data is joined with this one's."`
	Ads         bool        `yaml:"advertising" doc:"Serves advertising or is sold or shared (Global Privacy Control)."`
	Marketing   string      `yaml:"marketing" enum:"newsletter|similar_products" doc:"Sends marketing: by consent, or markedsføringsloven § 10(2)."`
	Withdrawal  text.Text   `yaml:"withdrawal" doc:"For consent: how to withdraw."`
	Refresh     Duration    `yaml:"refresh" doc:"For consent: asked again after."`
	ProofWindow Duration    `yaml:"proof_window" doc:"For consent: how long proof is kept after withdrawal."`
	Conditional bool        `yaml:"conditional" doc:"Whether a service is refused without this consent."`
}

// LegalBasis is one of Art. 6(1)(a)–(f).
type LegalBasis struct {
	Art       string    `yaml:"art" need:"yes" enum:"6.1.a|6.1.b|6.1.c|6.1.d|6.1.e|6.1.f"`
	Interest  text.Text `yaml:"interest" doc:"6.1.f: the legitimate interest, in words."`
	Balancing string    `yaml:"balancing" format:"document" doc:"6.1.f: the balancing test: a file beside this one, or where it is."`
	Reviewed  Date      `yaml:"reviewed" doc:"6.1.f: when the balancing was last looked at."`
	Law       string    `yaml:"law" doc:"6.1.c and 6.1.e: the law."`
}

// Consent reports whether the basis is consent, Art. 6(1)(a).
func (b *LegalBasis) Consent() bool { return b != nil && b.Art == "6.1.a" }

// Service is a third-party script, pixel or embed that pages may load.
type Service struct {
	ID          string    `yaml:",key"`
	Label       text.Text `yaml:"label" need:"yes"`
	Engagement  string    `yaml:"engagement" ref:"engagements"`
	Purpose     string    `yaml:"purpose" need:"yes" ref:"purposes"`
	Category    string    `yaml:"category" need:"yes" enum:"necessary|preferences|statistics|marketing"`
	Kind        string    `yaml:"kind" need:"yes" enum:"script|pixel|embed|widget"`
	Gate        string    `yaml:"gate" enum:"consent|none" doc:"consent: loaded only after a yes. Must be said."`
	Hosts       Hosts     `yaml:"hosts" doc:"What the browser may reach when it is granted, by directive."`
	Placeholder text.Text `yaml:"placeholder" doc:"For embeds: what stands there before a yes."`
	Poster      string    `yaml:"poster" format:"path" doc:"For embeds: a picture (PNG, JPEG or WebP) beside this file, shown from this host before a yes."`
	Signals     []string  `yaml:"signals" enum:"ad_storage|ad_user_data|ad_personalization|analytics_storage|functionality_storage|personalization_storage|security_storage|none" doc:"Types of Google Consent Mode that stand for this service; by its category when absent, none for no type."`
}

// Hosts lists host sources (Content-Security-Policy syntax: example.com,
// *.example.com, https://example.com/path) by what they may do.
type Hosts struct {
	Script   []string `yaml:"script" format:"source" doc:"Scripts and modules; also what workers import."`
	Connect  []string `yaml:"connect" format:"source" doc:"fetch, XMLHttpRequest, beacons, WebSocket, EventSource, pings."`
	Image    []string `yaml:"image" format:"source" doc:"Pictures, pixels, icons, posters of videos."`
	Frame    []string `yaml:"frame" format:"source" doc:"Frames: players, maps, forms of others."`
	Style    []string `yaml:"style" format:"source" doc:"Style sheets and what they import."`
	Font     []string `yaml:"font" format:"source"`
	Media    []string `yaml:"media" format:"source" doc:"Sound, video, and their subtitles."`
	Form     []string `yaml:"form" format:"source" doc:"Where forms may be sent."`
	Worker   []string `yaml:"worker" json:",omitempty" format:"source" doc:"Workers, shared workers and service workers."`
	Object   []string `yaml:"object" json:",omitempty" format:"source" doc:"object and embed elements."`
	Manifest []string `yaml:"manifest" json:",omitempty" format:"source" doc:"Manifests of web applications."`
}

// All returns every host source, whatever it may do.
func (h Hosts) All() []string {
	return slices.Concat(h.Script, h.Connect, h.Image, h.Frame, h.Style, h.Font, h.Media, h.Form, h.Worker, h.Object, h.Manifest)
}

// DeviceAccess is a cookie or other storage on the visitor's device.
type DeviceAccess struct {
	ID         string    `yaml:",key" doc:"Name, or pattern with * at the end."`
	Technology string    `yaml:"technology" enum:"cookie|local_storage|session_storage|indexed_db|cache|service_worker|pixel" doc:"cookie when absent; of a service worker the name is that of its script."`
	Party      string    `yaml:"party" doc:"A party of the register, or self."`
	Service    string    `yaml:"service" ref:"services" doc:"The service that sets it."`
	Category   string    `yaml:"category" need:"yes" enum:"necessary|preferences|statistics|marketing"`
	Purpose    string    `yaml:"purpose" ref:"purposes"`
	Duration   Duration  `yaml:"duration" doc:"Lifetime; PT0S for a session cookie."`
	Rolling    bool      `yaml:"rolling" doc:"Whether each visit renews it."`
	Necessity  text.Text `yaml:"necessity" doc:"For necessary ones: why the site cannot work without."`
	Describe   text.Text `yaml:"description"`
	ThirdParty *bool     `yaml:"third_party_access" doc:"Whether a third party can read it (Planet49)."`
	Domain     string    `yaml:"domain" format:"host"`
	Path       string    `yaml:"path"`
}

// Asking is how visitors are asked for consent. There is no way to say that a
// box is ticked beforehand, or that a yes lives longer than a no.
type Asking struct {
	QuietPeriod Duration `yaml:"refusal_quiet_period" doc:"How long nobody is asked again after a no; as long as the cookie tillid_choice lives when absent."`
}

// Interest is a segment of visitors, by the pages they open. It is kept in their
// own browser and nowhere else.
type Interest struct {
	ID      string    `yaml:",key"`
	Label   text.Text `yaml:"label" need:"yes"`
	Purpose string    `yaml:"purpose" need:"yes" ref:"purposes" doc:"On consent."`
	Paths   []string  `yaml:"paths" need:"yes" format:"site_path" doc:"Pages that show the interest: /kasser, or /kasser/* for all below."`
	Stored  string    `yaml:"stored" need:"yes" ref:"device_access" doc:"The local storage entry of the visitor's browser in which it is kept."`
}

// Form is where people type something in.
type Form struct {
	ID         string    `yaml:",key"`
	Site       string    `yaml:"site" ref:"sites"`
	Label      text.Text `yaml:"label" need:"yes"`
	Kind       string    `yaml:"kind" enum:"enquiry|callback|newsletter|application|other" doc:"What happens with what is sent; enquiry when absent."`
	Where      string    `yaml:"where" doc:"Path of the page that carries it."`
	Purpose    string    `yaml:"purpose" need:"yes" ref:"purposes"`
	Person     string    `yaml:"person" ref:"people"`
	Notice     text.Text `yaml:"notice" doc:"What people read at the form (Art. 13)."`
	Consents   []Consent `yaml:"consents" doc:"Ticks, one per purpose."`
	Fields     []Field   `yaml:"fields" need:"yes"`
	Source     string    `yaml:"source" enum:"person|third_party|import"`
	Art14      Duration  `yaml:"art14_notice" doc:"For data not from the person: notice within."`
	MinAge     int       `yaml:"min_age" doc:"Youngest age accepted, where age is asked."`
	SendTo     []string  `yaml:"send_to" ref:"engagements" doc:"Processors that receive what is sent."`
	Mailbox    string    `yaml:"mailbox" format:"email" doc:"Mail to this address becomes a case of this form, and is then removed from the mailbox."`
	AutoReply  *bool     `yaml:"auto_reply" doc:"Whether the sender gets a receipt by mail with the notice."`
	Promise    text.Text `yaml:"promise" doc:"For newsletters: company, channel, product kinds, and that it can be withdrawn."`
	IDDocument bool      `yaml:"id_document" doc:"Whether an identity document is asked for."`
}

// Field is one input of a form.
type Field struct {
	Name        string    `yaml:"name" need:"yes" format:"name"`
	Label       text.Text `yaml:"label" need:"yes"`
	Type        string    `yaml:"type" enum:"text|long_text|email|phone|choice|date|number|consent|file" doc:"text when absent."`
	Data        string    `yaml:"data" need:"yes" ref:"data"`
	Required    bool      `yaml:"required"`
	Consequence text.Text `yaml:"consequence" doc:"What does not happen without it (Art. 13(2)(e))."`
	Hint        text.Text `yaml:"hint"`
	Choices     []Choice  `yaml:"choices"`
	MaxLength   int       `yaml:"max_length" doc:"Characters; 200 for text, 5000 for long text when absent."`
	Pattern     string    `yaml:"pattern" format:"pattern"`
	MaxSize     int       `yaml:"max_size" doc:"For files: bytes of one; at most 10 MB."`
	MaxFiles    int       `yaml:"max_files" doc:"For files: how many; 3 when absent, and at most."`
	Accept      []string  `yaml:"accept" enum:"pdf|docx|odt|txt|png|jpg"`
}

// Choice is one option of a choice field.
type Choice struct {
	ID    string    `yaml:",key"`
	Label text.Text `yaml:"label" need:"yes"`
}

// Consent is one tick at a form, for one purpose. It is never preselected:
// there is no way to say so.
type Consent struct {
	Name     string    `yaml:"name" need:"yes" format:"name"`
	Purposes []string  `yaml:"purposes" need:"yes" ref:"purposes"`
	Text     text.Text `yaml:"text" need:"yes"`
	Required bool      `yaml:"required"`
}

// Rule says when data of a purpose goes.
type Rule struct {
	ID        string    `yaml:",key"`
	Purpose   string    `yaml:"purpose" need:"yes" ref:"purposes"`
	Data      []string  `yaml:"data" ref:"data" doc:"Only these categories; all of the purpose's when absent."`
	Trigger   string    `yaml:"trigger" need:"yes" format:"event" doc:"Event that starts the period; see tillid explain --events."`
	Duration  Duration  `yaml:"duration" need:"yes"`
	AtLatest  Duration  `yaml:"at_latest" doc:"Counted from receipt; needed unless the trigger is received."`
	Action    string    `yaml:"action" need:"yes" enum:"delete|anonymise|aggregate|review|ask_consent"`
	IfConsent *After    `yaml:"if_consent"`
	IfSilent  string    `yaml:"if_silent" enum:"delete"`
	Executor  string    `yaml:"executor" enum:"job|manual" doc:"job when absent."`
	Owner     string    `yaml:"owner" doc:"For manual rules: who does it."`
	Stages    []Stage   `yaml:"stages"`
	Floor     *Floor    `yaml:"floor" doc:"A law that forbids earlier deletion."`
	Reason    text.Text `yaml:"reason" doc:"Why this long."`
	Leaves    []string  `yaml:"leaves" ref:"data" doc:"For anonymise: categories that remain."`
}

// After is what follows a yes to being kept longer.
type After struct {
	Duration Duration `yaml:"duration" need:"yes"`
	Action   string   `yaml:"action" need:"yes" enum:"delete|anonymise"`
}

// Stage is a state in which rows leave a rule for another.
type Stage struct {
	ID        string `yaml:",key"`
	LeavesFor string `yaml:"leaves_for" need:"yes" ref:"retention"`
}

// Floor is a legal minimum for keeping some fields.
type Floor struct {
	Law      string   `yaml:"law" need:"yes" doc:"Its id in a law pack, for example dk.bookkeeping."`
	Duration Duration `yaml:"duration"`
	Data     []string `yaml:"data" ref:"data"`
}

// BackupSet says when backups forget.
type BackupSet struct {
	ID        string   `yaml:",key"`
	Horizon   Duration `yaml:"horizon" doc:"The oldest backup that exists."`
	Cycle     Duration `yaml:"cycle"`
	Encrypted bool     `yaml:"encrypted"`
}

// Rights says how people reach the controller about their data.
type Rights struct {
	Email      string    `yaml:"email" format:"email"`
	Phone      string    `yaml:"phone" format:"phone"`
	Post       string    `yaml:"post"`
	Portal     *bool     `yaml:"portal" doc:"Whether /privacy/me is open; true when absent."`
	AnswerTime Duration  `yaml:"answer_time" doc:"P1M when absent (Art. 12(3))."`
	Extension  text.Text `yaml:"extension" doc:"How people are told when it takes longer."`
	IDDocument bool      `yaml:"id_document" doc:"Whether an identity document is demanded by default."`
	Complaints string    `yaml:"complaints" format:"email"`
}

// Measure is one technical or organisational measure.
type Measure struct {
	ID        string    `yaml:",key"`
	Kind      string    `yaml:"kind" need:"yes" enum:"technical|organisational"`
	Statement text.Text `yaml:"statement" need:"yes"`
}

// Agreement is a service in which the company is processor for its customers.
type Agreement struct {
	ID             string    `yaml:",key"`
	Label          text.Text `yaml:"label" need:"yes"`
	Accounts       string    `yaml:"accounts" enum:"all"`
	Nature         text.Text `yaml:"nature"`
	Purpose        text.Text `yaml:"purpose"`
	People         []string  `yaml:"people" ref:"people"`
	Data           []string  `yaml:"data" ref:"data"`
	Instructions   text.Text `yaml:"instructions"`
	SubProcessors  []string  `yaml:"sub_processors" ref:"engagements"`
	Authorisation  string    `yaml:"authorisation" enum:"general|specific"`
	Notice         Duration  `yaml:"notice"`
	Measures       []string  `yaml:"measures" ref:"measures"`
	Assistance     text.Text `yaml:"assistance"`
	Breach         Duration  `yaml:"breach"`
	EndOfContract  string    `yaml:"end_of_contract" enum:"delete|return"`
	EndDuration    Duration  `yaml:"end_duration"`
	Audit          text.Text `yaml:"audit"`
	Duration       text.Text `yaml:"duration" doc:"How long the processing lasts."`
	Body           string    `yaml:"body" enum:"own|file"`
	File           string    `yaml:"file" format:"path"`
	SHA256         string    `yaml:"sha256" format:"sha256"`
	CalledStandard bool      `yaml:"called_standard" doc:"Whether it is presented as the authority's standard clauses."`
}

// Claim is what an existing policy states. It is linted and never compiled.
type Claim struct {
	About  string      `yaml:"about" need:"yes" doc:"Path of what it is about, for example retention.enquiry."`
	Kind   string      `yaml:"kind" need:"yes" enum:"implied_consent|prose_retention|two_bases|consent_only|photo_exemption|preselected|adequacy_only|stale_name|other"`
	Says   text.Text   `yaml:"says" need:"yes" doc:"Its words, in one language at least."`
	Source ClaimSource `yaml:"source"`
}

// ClaimSource says where a claim was read.
type ClaimSource struct {
	Document string    `yaml:"document"`
	Language text.Lang `yaml:"language"`
	SHA256   string    `yaml:"sha256" format:"sha256"`
	ReadOn   Date      `yaml:"read_on"`
}

// Suppression accepts a lint finding for a while.
type Suppression struct {
	Rule   string `yaml:"rule" need:"yes" doc:"Id of the rule, for example LB-04."`
	Path   string `yaml:"path" doc:"Where; everywhere when absent."`
	Reason string `yaml:"reason" need:"yes"`
	By     string `yaml:"by" need:"yes"`
	Until  Date   `yaml:"until" need:"yes" doc:"At most twelve months away."`
}
