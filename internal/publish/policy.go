package publish

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/text"
	"github.com/tillid/tillid/internal/version"
)

// Paths of the pages that documents lead to.
const (
	policyPath   = "/privacy"
	cookiePath   = "/privacy/cookies"
	browserPath  = "/privacy/browsers"
	choicesPath  = "/privacy/choices"
	portalPath   = "/privacy/me"
	versionsPath = "/privacy/versions"
)

// Policy writes the privacy policy: everything that Art. 13 and 14 require, the
// short answers first.
func Policy(plan *policy.Plan, v version.Version, l text.Lang) *Document {
	b := newBuilder(plan, v, l, "policy")
	b.doc.Title = b.t("controller", "policy.title")
	b.doc.Lead = line(
		b.t("controller.legal_name", "policy.lead", "Name", plan.Controller.LegalName),
		b.t("purposes", "policy.lead2"))
	b.summary()
	b.controller()
	b.objection()
	b.purposes()
	b.recipients()
	b.transfers()
	b.sources()
	b.retentionTable()
	b.rights()
	b.withdrawal()
	b.complaint()
	b.automated()
	b.measures()
	b.device()
	b.changes()
	return b.doc
}

// summary answers "what do you hold on me, and when does it go" in one table.
func (b *builder) summary() {
	s := b.section("summary", 2, b.t("people", "summary.heading"))
	t := Table{
		Head: line(b.t("purposes", "summary.why"), b.t("data", "summary.what"), b.t("retention", "summary.gone")), Widths: []float64{3, 4, 4},
	}
	for _, person := range b.plan.People {
		label := b.own("people."+person.ID, "person", person.Label)
		g := Group{Label: &label}
		for i := range b.plan.Purposes {
			if p := &b.plan.Purposes[i]; slices.Contains(p.People, person.ID) {
				g.Rows = append(g.Rows, b.summaryRows(p)...)
			}
		}
		if len(g.Rows) > 0 {
			t.Groups = append(t.Groups, g)
		}
	}
	s.table(t)
	items := [][]Sentence{}
	if b.portal() {
		items = append(items, line(b.t("rights.portal", "summary.me"), b.t("rights.portal", "link.me").to(portalPath)))
	}
	if len(b.plan.ConsentPurposes()) > 0 {
		items = append(items, line(b.t("device_access", "summary.choices"), b.t("device_access", "link.choices").to(choicesPath)))
	}
	s.list(append(items, line(b.t("rights", "summary.rights"), b.t("rights", "link.rights").to("#rights")))...)
}

func (b *builder) summaryRows(p *policy.Purpose) []Row {
	path := "purposes." + p.ID
	rules := b.plan.RulesFor(p.ID)
	if len(rules) == 0 {
		return []Row{{line(b.own(path+".label", "summary", p.Label).to("#purpose-" + slug(p.ID))),
			b.categories(p, p.Data, "summary-data"), nil}}
	}
	rows := make([]Row, 0, len(rules))
	for _, r := range rules {
		data := r.Data
		if len(data) == 0 {
			data = b.governed(p, r)
		}
		rows = append(rows, Row{
			line(b.own(path+".label", "summary", p.Label).to("#purpose-" + slug(p.ID))),
			b.categories(p, data, "summary-data"), b.gone(r)})
	}
	return rows
}

// governed returns the categories of p that r, a rule for all of them, really
// governs: those that no other rule names.
func (b *builder) governed(p *policy.Purpose, r *policy.Rule) []string {
	var ids []string
	for _, id := range p.Data {
		if b.plan.RuleOf(p.ID, id) == r {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return p.Data
	}
	return ids
}

func (b *builder) categories(p *policy.Purpose, ids []string, key string) []Sentence {
	if len(ids) == 0 {
		return nil
	}
	return line(b.sentence("purposes."+p.ID+".data", key, b.inline(b.dataLabels(ids))))
}

func (b *builder) portal() bool { return b.plan.Rights.Portal == nil || *b.plan.Rights.Portal }

// controller says who answers, and about the data protection officer (Art. 13(1)(a)(b)).
func (b *builder) controller() {
	c := b.plan.Controller
	s := b.section("who", 2, b.t("controller", "who.heading"))
	s.para(b.t("controller", "who.lead", "Name", c.LegalName))
	s.facts(
		b.value("controller.legal_name", "name", c.LegalName, ""),
		b.value("controller.cvr", "cvr", c.CVR, ""),
		b.value("controller.address", "address", c.Address, ""),
		b.value("controller.email", "email", c.Email, "mailto:"+c.Email),
		b.value("controller.phone", "phone", c.Phone, telephone(c.Phone)),
		b.value("controller.website", "website", c.Website, c.Website),
		b.value("controller.representative", "representative", c.Representative, ""),
		b.officer(c.DPO),
	)
}

func (b *builder) officer(d policy.DPO) Fact {
	switch {
	case d.Appointed == nil:
		return b.fact("controller.dpo", "dpo")
	case *d.Appointed:
		lines := [][]Sentence{}
		if d.Name != "" {
			lines = append(lines, line(b.sentence("controller.dpo.name", "value", d.Name)))
		}
		if d.Contact != "" {
			lines = append(lines, line(b.sentence("controller.dpo.contact", "value", d.Contact).to(contact(d.Contact))))
		}
		return b.fact("controller.dpo", "dpo", lines...)
	}
	return b.fact("controller.dpo", "dpo", line(b.t("controller.dpo.appointed", "who.no_dpo"), b.t("controller.email", "who.ask_us")))
}

// contact makes a link of an e-mail or web address; "" of anything else.
func contact(s string) string {
	switch {
	case strings.HasPrefix(s, "https://"), strings.HasPrefix(s, "http://"):
		return s
	case strings.Contains(s, "@") && !strings.ContainsAny(s, " ,"):
		return "mailto:" + s
	}
	return ""
}

func telephone(s string) string {
	return "tel:" + strings.Map(func(r rune) rune {
		if r == '+' || '0' <= r && r <= '9' {
			return r
		}
		return -1
	}, s)
}

// purposes says, for each purpose, what Art. 13 asks about it.
func (b *builder) purposes() {
	s := b.section("why", 2, b.t("purposes", "why.heading"))
	s.para(b.t("purposes", "why.lead"))
	for i := range b.plan.Purposes {
		b.purpose(&b.plan.Purposes[i])
	}
}

func (b *builder) purpose(p *policy.Purpose) {
	path := "purposes." + p.ID
	s := b.section("purpose-"+slug(p.ID), 3, b.own(path+".label", "purpose", p.Label))
	if p.Description.In(b.lang) != "" {
		s.para(b.own(path+".description", "description", p.Description).end())
	}
	s.facts(
		b.dataFact(p),
		b.peopleFact(p),
		b.basisFact(p),
		b.interestFact(p),
		b.recipientFact(p),
		b.retentionFact(p),
		b.provisionFact(p),
		b.automatedFact(p),
		b.rightsFact(p),
	)
}

func (b *builder) dataFact(p *policy.Purpose) Fact {
	f := b.fact("purposes."+p.ID+".data", "data")
	if len(p.Data) == 0 {
		return f
	}
	said := b.categories(p, p.Data, "data")
	if p.Art9 != "" {
		said = append(said, b.t("purposes."+p.ID+".art9_condition", "special", "Letter", p.Art9))
	}
	f.Lines = append(f.Lines, said)
	return f
}

func (b *builder) peopleFact(p *policy.Purpose) Fact {
	f := b.fact("purposes."+p.ID+".people", "people")
	if labels := b.peopleLabels(p.People); len(labels) > 0 {
		f.Lines = [][]Sentence{line(b.sentence("purposes."+p.ID+".people", "people", b.inline(labels)))}
	}
	return f
}

func (b *builder) basisFact(p *policy.Purpose) Fact {
	path := "purposes." + p.ID + ".legal_basis"
	f := b.fact(path, "basis")
	if p.Basis != nil {
		f.Lines = [][]Sentence{line(b.t(path+".art", "basis."+p.Basis.Art, "Law", b.lawName(p.Basis.Law)))}
	}
	return f
}

func (b *builder) interestFact(p *policy.Purpose) Fact {
	path := "purposes." + p.ID + ".legal_basis.interest"
	f := b.fact(path, "interest")
	if p.Basis != nil && p.Basis.Art == "6.1.f" && p.Basis.Interest.In(b.lang) != "" {
		f.Lines = [][]Sentence{line(b.own(path, "interest", p.Basis.Interest).end())}
	}
	return f
}

func (b *builder) recipientFact(p *policy.Purpose) Fact {
	path := "purposes." + p.ID
	f := b.fact(path, "recipients")
	for _, e := range b.plan.RecipientsOf(p.ID) {
		f.Lines = append(f.Lines, b.recipient(e, "recipient"))
	}
	if len(f.Lines) == 0 {
		f.Lines = [][]Sentence{line(b.t(path, "recipients.none"))}
	}
	return f
}

// recipient names a party with its role and country.
func (b *builder) recipient(e *policy.Engagement, key string) []Sentence {
	party := b.plan.Party(e.Party)
	if party == nil {
		return nil
	}
	said := line(b.sentence("engagements."+e.ID, key, text.T(b.lang, "publish.recipient",
		"Name", party.LegalName, "Role", b.role(e), "Country", text.Country(b.lang, party.Country))))
	if e.ConsentOnly {
		said = append(said, b.t("engagements."+e.ID+".consent_only", "recipient.consent_only"))
	}
	return said
}

func (b *builder) role(e *policy.Engagement) string {
	return text.T(b.lang, "publish.role."+cmp.Or(e.Role, "recipient"))
}

func (b *builder) retentionFact(p *policy.Purpose) Fact {
	f := b.fact("retention", "retention")
	for _, r := range b.plan.RulesFor(p.ID) {
		f.Lines = append(f.Lines, b.retention(r))
	}
	return f
}

// provisionFact says whether people must give the data and what happens if
// they do not (Art. 13(2)(e)), down to the fields of the forms.
func (b *builder) provisionFact(p *policy.Purpose) Fact {
	path := "purposes." + p.ID
	f := b.fact(path, "provision")
	if p.Provision != "" {
		said := line(b.t(path+".provision", "provision."+p.Provision))
		if p.Consequence.In(b.lang) != "" {
			said = append(said, b.own(path+".consequence", "consequence", p.Consequence).end())
		}
		f.Lines = append(f.Lines, said)
	}
	for i := range b.plan.Forms {
		if form := &b.plan.Forms[i]; form.Purpose == p.ID {
			f.Lines = append(f.Lines, b.formLines(form)...)
		}
	}
	return f
}

func (b *builder) formLines(form *policy.Form) [][]Sentence {
	var lines [][]Sentence
	var voluntary []string
	for i, field := range form.Fields {
		if !field.Required {
			voluntary = append(voluntary, field.Label.In(b.lang))
			continue
		}
		path := fmt.Sprintf("forms.%s.fields[%d]", form.ID, i)
		said := line(b.t(path, "provision.required", "Field", field.Label.In(b.lang), "Form", form.Label.In(b.lang)))
		if field.Consequence.In(b.lang) != "" {
			said = append(said, b.own(path+".consequence", "field-consequence", field.Consequence).end())
		}
		lines = append(lines, said)
	}
	if len(voluntary) > 0 {
		lines = append(lines, line(b.t("forms."+form.ID+".fields", "provision.optional",
			"Fields", b.inline(voluntary), "Form", form.Label.In(b.lang))))
	}
	return lines
}

func (b *builder) automatedFact(p *policy.Purpose) Fact {
	path := "purposes." + p.ID
	f := b.fact(path, "automated")
	for _, q := range []struct {
		key  string
		said *bool
	}{{"automated_decision", p.Automated}, {"profiling", p.Profiling}} {
		if q.said != nil {
			f.Lines = append(f.Lines, line(b.t(path+"."+q.key, q.key+"."+strconv.FormatBool(*q.said))))
		}
	}
	if p.Logic.In(b.lang) != "" {
		f.Lines = append(f.Lines, line(b.own(path+".logic", "logic", p.Logic).end()))
	}
	return f
}

func (b *builder) rightsFact(p *policy.Purpose) Fact {
	var names []string
	for _, r := range b.plan.RightsOf(p.ID) {
		names = append(names, text.T(b.lang, "publish.right."+string(r)))
	}
	f := b.fact("purposes."+p.ID+".legal_basis", "rights")
	if len(names) > 0 {
		f.Lines = [][]Sentence{line(b.sentence("purposes."+p.ID+".legal_basis", "rights", b.inline(names)))}
	}
	return f
}
