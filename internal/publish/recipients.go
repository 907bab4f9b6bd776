package publish

import (
	"fmt"

	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/text"
)

// recipients lists everybody who gets data, by name (Art. 13(1)(e), C-154/21).
func (b *builder) recipients() {
	s := b.section("recipients", 2, b.t("engagements", "recipients.heading"))
	if len(b.plan.Engagements) == 0 {
		s.para(b.t("engagements", "recipients.nobody"))
		return
	}
	s.para(b.t("engagements", "recipients.lead"))
	s.table(b.recipientTable(b.plan.Engagements))
	for i := range b.plan.Engagements {
		if e := &b.plan.Engagements[i]; e.Role == "joint_controller" {
			s.para(b.joint(e)...)
		}
	}
}

func (b *builder) recipientTable(engagements []policy.Engagement) Table {
	t := Table{
		Head: line(b.t("parties", "recipients.who"), b.t("engagements", "recipients.role"),
			b.t("engagements", "recipients.does"), b.t("parties", "recipients.where")),
		Widths: []float64{4, 3, 5, 2},
	}
	var g Group
	for i := range engagements {
		e := &engagements[i]
		party := b.plan.Party(e.Party)
		if party == nil {
			continue
		}
		where := b.sentence("parties."+party.ID+".country", "country", text.Country(b.lang, party.Country))
		g.Rows = append(g.Rows, Row{b.partyName(party), line(b.sentence("engagements."+e.ID+".role", "role", b.role(e))), b.does(e), line(where)})
	}
	t.Groups = []Group{g}
	return t
}

func (b *builder) partyName(p *policy.Party) []Sentence {
	path := "parties." + p.ID
	said := line(b.sentence(path+".legal_name", "party", p.LegalName).alone())
	if len(p.TradingNames) > 0 {
		said = append(said, b.t(path+".trading_names", "recipients.known_as", "Names", text.List(b.lang, p.TradingNames)))
	}
	if p.PrivacyURL != "" {
		said = append(said, b.t(path+".privacy_url", "recipients.privacy").to(p.PrivacyURL))
	}
	return said
}

func (b *builder) does(e *policy.Engagement) []Sentence {
	path := "engagements." + e.ID
	var said []Sentence
	if e.Service.In(b.lang) != "" {
		said = append(said, b.own(path+".service", "service", e.Service).end())
	}
	said = append(said, b.t(path+".purposes", "recipients.for", "Purposes", b.purposeLabels(e.Purposes)))
	if parent := b.plan.Engagement(e.Parent); parent != nil {
		if p := b.plan.Party(parent.Party); p != nil {
			said = append(said, b.t(path+".parent", "recipients.under", "Name", p.LegalName))
		}
	}
	if len(e.Data) > 0 {
		said = append(said, b.t(path+".data", "recipients.gets", "Data", b.inline(b.dataLabels(e.Data))))
	}
	return said
}

// joint says the essence of the arrangement between joint controllers (Art. 26(2)).
func (b *builder) joint(e *policy.Engagement) []Sentence {
	party := b.plan.Party(e.Party)
	if party == nil {
		return nil
	}
	path := "engagements." + e.ID
	said := line(b.t(path+".role", "joint", "Name", party.LegalName, "Purposes", b.purposeLabels(e.Purposes)))
	if e.Joint != "" {
		said = append(said, b.reference(path+".arrangement", "joint.copy", e.Joint))
	}
	if e.Page != "" {
		said = append(said, b.t(path+".page", "joint.page", "Name", party.LegalName).to(e.Page))
	}
	if e.Unfollow.In(b.lang) != "" {
		said = append(said, b.own(path+".unfollow", "unfollow", e.Unfollow).end())
	}
	if party.OptOutURL != "" {
		said = append(said, b.t("parties."+party.ID+".opt_out_url", "joint.opt_out", "Name", party.LegalName).to(party.OptOutURL))
	}
	return said
}

// reference leads to where something can be read: a link when it is an address,
// else the place in words.
func (b *builder) reference(path, key, where string) Sentence {
	if href := contact(where); href != "" {
		return b.t(path, key+".link").to(href)
	}
	return b.t(path, key+".place", "Where", where)
}

// transfers says which data leave the EU/EEA, on what ground, and how to get
// a copy of the safeguards (Art. 13(1)(f)).
func (b *builder) transfers() {
	s := b.section("transfers", 2, b.t("engagements", "transfers.heading"))
	var items [][]Sentence
	for i := range b.plan.Engagements {
		items = append(items, b.transferLines(&b.plan.Engagements[i])...)
	}
	if len(items) == 0 {
		s.para(b.t("engagements", "transfers.none"))
		return
	}
	s.para(b.t("engagements", "transfers.lead"))
	s.list(items...)
}

func (b *builder) transferLines(e *policy.Engagement) [][]Sentence {
	party := b.plan.Party(e.Party)
	if party == nil {
		return nil
	}
	var lines [][]Sentence
	for i, t := range e.Transfers {
		path := fmt.Sprintf("engagements.%s.transfers[%d]", e.ID, i)
		said := line(
			b.t(path, "transfer."+either(t.Access == "access", "access", "storage"), "Name", party.LegalName, "Country", text.Country(b.lang, t.To)),
			b.t(path, "mechanism."+t.Mechanism, "Name", party.LegalName, "Country", text.Country(b.lang, t.To), "Module", t.Module))
		if t.CopyURL != "" {
			said = append(said, b.reference(path, "transfer.copy", t.CopyURL))
		}
		if t.VerifiedOn != (policy.Date{}) {
			said = append(said, b.t(path, "transfer.verified", "Date", b.day(t.VerifiedOn)))
		}
		lines = append(lines, said)
	}
	return lines
}

func either(first bool, a, b string) string {
	if first {
		return a
	}
	return b
}

// sources says where data come from that people did not give themselves (Art. 14).
func (b *builder) sources() {
	var items [][]Sentence
	for _, d := range b.plan.Data {
		if d.Source.In(b.lang) != "" {
			path := "data." + d.ID
			items = append(items, line(b.own(path+".label", "source-of", d.Label).colon(), b.own(path+".source", "source", d.Source).end()))
		}
	}
	for _, f := range b.plan.Forms {
		if f.Art14.Set {
			items = append(items, line(b.t("forms."+f.ID+".art14_notice", "sources.notice", "Form", f.Label.In(b.lang), "Period", b.period(f.Art14))))
		}
	}
	if len(items) == 0 {
		return
	}
	s := b.section("sources", 2, b.t("data", "sources.heading"))
	s.para(b.t("data", "sources.lead"))
	s.list(items...)
}

func (s Sentence) colon() Sentence {
	s.Text += ":"
	return s
}
