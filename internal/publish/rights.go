package publish

import (
	"slices"

	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/text"
)

// order is the order in which rights are explained. Objection, withdrawal and
// complaint have sections of their own.
var order = []policy.Right{
	policy.Access, policy.Rectification, policy.Erasure, policy.Restriction, policy.Portability, policy.NoAutomated,
}

// with returns the purposes for which a right holds, computed from their legal bases.
func (b *builder) with(r policy.Right) []string {
	var ids []string
	for _, p := range b.plan.Purposes {
		if slices.Contains(b.plan.RightsOf(p.ID), r) {
			ids = append(ids, p.ID)
		}
	}
	return ids
}

// retentionTable lists every promise about time in one place (Art. 13(2)(a)).
func (b *builder) retentionTable() {
	s := b.section("retention", 2, b.t("retention", "retention.heading"))
	s.para(b.t("retention", "retention.lead"))
	var g Group
	for i := range b.plan.Retention {
		r := &b.plan.Retention[i]
		if p := b.plan.Purpose(r.Purpose); p != nil {
			g.Rows = append(g.Rows, Row{line(b.own("retention."+r.ID+".purpose", "rule", p.Label)), b.retention(r)})
		}
	}
	s.table(Table{Head: line(b.t("purposes", "retention.what"), b.t("retention", "retention.when")), Widths: []float64{2, 5}, Groups: []Group{g}})
	for _, set := range b.plan.Backups {
		if set.Horizon.Set {
			s.para(b.t("backups."+set.ID+".horizon", "retention.backups", "Period", b.period(set.Horizon)))
		}
	}
}

// rights explains each right that holds for at least one purpose, and how to use it.
func (b *builder) rights() {
	s := b.section("rights", 2, b.t("rights", "rights.heading"))
	s.para(b.t("rights", "rights.lead"))
	var facts []Fact
	for _, r := range order {
		ids := b.with(r)
		if len(ids) == 0 {
			continue
		}
		path := "purposes." + ids[0] + ".legal_basis"
		said := line(b.t(path, "right."+string(r)+".means"))
		if len(ids) < len(b.plan.Purposes) {
			said = append(said, b.t(path, "right.for", "Purposes", b.purposeLabels(ids)))
		}
		facts = append(facts, Fact{Term: b.t(path, "right."+string(r)), Lines: [][]Sentence{said}})
	}
	s.facts(facts...)
	b.channels(b.section("how", 3, b.t("rights", "how.heading")))
}

// channels says how to reach the controller, without a login (Art. 12(2)), and by when it answers.
func (b *builder) channels(s *Section) {
	r := b.plan.Rights
	var items [][]Sentence
	if b.portal() {
		items = append(items, line(b.t("rights.portal", "how.portal"), b.t("rights.portal", "link.me").to(portalPath)))
	}
	for _, c := range []struct{ key, value, href string }{
		{"email", r.Email, "mailto:" + r.Email}, {"phone", r.Phone, telephone(r.Phone)}, {"post", r.Post, ""},
	} {
		if c.value != "" {
			items = append(items, line(b.t("rights."+c.key, "how."+c.key), b.sentence("rights."+c.key, "value", c.value).to(c.href)))
		}
	}
	s.list(items...)
	d := r.AnswerTime
	if !d.Set {
		d = policy.Duration{Set: true, Months: 1}
	}
	said := line(b.t("rights.answer_time", "how.answer", "Period", b.period(d)))
	if r.Extension.In(b.lang) != "" {
		said = append(said, b.own("rights.extension", "extension", r.Extension).end())
	}
	said = append(said, b.t("rights", "how.free"), b.t("rights.id_document", either(r.IDDocument, "how.id", "how.no_id")))
	s.para(said...)
}

// objection stands apart from everything else, as Art. 21(4) demands.
func (b *builder) objection() {
	object, marketing := b.with(policy.Objection), b.with(policy.ObjectMarketing)
	if len(object)+len(marketing) == 0 {
		return
	}
	first := append(slices.Clone(object), marketing...)[0]
	path := "purposes." + first + ".legal_basis"
	s := b.section("objection", 2, b.t(path, "objection.heading"))
	s.Apart = true
	if len(object) > 0 {
		path := "purposes." + object[0] + ".legal_basis"
		s.para(b.t(path, "objection.interest"), b.t(path, "objection.stop"))
		var items [][]Sentence
		for _, id := range object {
			items = append(items, line(b.own("purposes."+id+".label", "objection", b.plan.Purpose(id).Label).to("#purpose-"+slug(id))))
		}
		s.list(items...)
	}
	if len(marketing) > 0 {
		s.para(b.t("purposes."+marketing[0]+".legal_basis", "objection.marketing", "Purposes", b.purposeLabels(marketing)))
	}
	said := line(b.t("rights", "objection.how"))
	if b.portal() {
		said = append(said, b.t("rights.portal", "link.object").to(portalPath))
	}
	if b.plan.Rights.Email != "" {
		said = append(said, b.t("rights.email", "objection.email"), b.sentence("rights.email", "value", b.plan.Rights.Email).to("mailto:"+b.plan.Rights.Email))
	}
	s.para(said...)
}

// withdrawal says how each consent is withdrawn (Art. 7(3), 13(2)(c)).
func (b *builder) withdrawal() {
	ids := b.with(policy.Withdraw)
	if len(ids) == 0 {
		return
	}
	path := "purposes." + ids[0] + ".legal_basis"
	s := b.section("withdraw", 2, b.t(path, "withdraw.heading"))
	s.para(b.t(path, "withdraw.lead"), b.t(path, "withdraw.before"))
	var items [][]Sentence
	for _, id := range ids {
		p := b.plan.Purpose(id)
		said := line(b.own("purposes."+id+".label", "withdraw", p.Label).colon())
		if p.Withdrawal.In(b.lang) != "" {
			said = append(said, b.own("purposes."+id+".withdrawal", "withdrawal", p.Withdrawal).end())
		}
		if b.asked(id) {
			said = append(said, b.t("purposes."+id+".withdrawal", "link.choices").to(choicesPath))
		}
		if p.Refresh.Set {
			said = append(said, b.t("purposes."+id+".refresh", "withdraw.refresh", "Period", b.period(p.Refresh)))
		}
		if p.ProofWindow.Set {
			said = append(said, b.t("purposes."+id+".proof_window", "withdraw.proof", "Period", b.period(p.ProofWindow)))
		}
		items = append(items, said)
	}
	s.list(items...)
}

// asked reports whether visitors are asked for a purpose in the banner.
func (b *builder) asked(id string) bool {
	return slices.ContainsFunc(b.plan.ConsentPurposes(), func(p *policy.Purpose) bool { return p.ID == id })
}

// automated says whether anything is decided without a human (Art. 13(2)(f)).
func (b *builder) automated() {
	s := b.section("automated", 2, b.t("purposes", "automated.heading"))
	decided, silent := b.answers(func(p policy.Purpose) *bool { return p.Automated })
	profiled, _ := b.answers(func(p policy.Purpose) *bool { return p.Profiling })
	switch {
	case len(decided) > 0:
		path := "purposes." + decided[0] + ".automated_decision"
		s.para(b.t(path, "automated.yes", "Purposes", b.purposeLabels(decided)), b.t(path, "automated.human"))
	case len(silent) == 0:
		s.para(b.t("purposes", "automated.no"))
	}
	if len(profiled) > 0 {
		s.para(b.t("purposes."+profiled[0]+".profiling", "automated.profiling", "Purposes", b.purposeLabels(profiled)))
	} else {
		s.para(b.t("purposes", "automated.no_profiling"))
	}
}

// answers returns the purposes that say yes to a question, and those that are silent.
func (b *builder) answers(of func(policy.Purpose) *bool) (yes, silent []string) {
	for _, p := range b.plan.Purposes {
		switch said := of(p); {
		case said == nil:
			silent = append(silent, p.ID)
		case *said:
			yes = append(yes, p.ID)
		}
	}
	return yes, silent
}

func (b *builder) measures() {
	if len(b.plan.Measures) == 0 {
		return
	}
	s := b.section("measures", 2, b.t("measures", "measures.heading"))
	var items [][]Sentence
	for _, m := range b.plan.Measures {
		items = append(items, line(b.own("measures."+m.ID+".statement", "measure", m.Statement).end()))
	}
	s.list(items...)
}

// device leads from the policy to the cookie declaration.
func (b *builder) device() {
	s := b.section("cookies", 2, b.t("device_access", "device.heading"))
	s.para(b.t("device_access", "device.lead"), b.t("device_access", "link.cookies").to(cookiePath), b.t("device_access", "link.browsers").to(browserPath))
}

// changes says how the text changes and where to find the earlier ones.
func (b *builder) changes() {
	s := b.section("changes", 2, b.t("reviewed", "changes.heading"))
	s.para(
		b.t("reviewed", "changes.version", "Number", b.version.Number, "Date", text.Date(b.lang, b.local(b.version.EffectiveAt))),
		b.t("reviewed", "changes.reviewed", "Date", b.day(b.plan.Reviewed)),
		b.t("reviewed", "changes.announce"),
		b.t("reviewed", "link.versions").to(versionsPath))
}
