package publish

import (
	"cmp"
	"time"

	"github.com/tillid/tillid/internal/law"
)

// local is a moment in the controller's calendar.
func (b *builder) local(t time.Time) time.Time {
	if b.plan.Loc == nil {
		return t
	}
	return t.In(b.plan.Loc)
}

// lawName is the provision behind a law-pack id; any other text stands as it is.
func (b *builder) lawName(id string) string {
	if v, ok := b.law.Value(id, b.version.EffectiveAt); ok {
		return v.Law
	}
	return id
}

// complaint names the authorities, with how to reach them (Art. 13(2)(d), 77).
func (b *builder) complaint() {
	s := b.section("complaint", 2, b.t("controller.authority", "complaint.heading"))
	said := line(b.t("rights", "complaint.us"))
	if to := cmp.Or(b.plan.Rights.Complaints, b.plan.Rights.Email); to != "" {
		said = append(said, b.sentence("rights.email", "complaint-to", to).to("mailto:"+to))
	}
	s.para(append(said, b.t("controller.authority", "complaint.right"))...)
	var facts []Fact
	if a, ok := b.law.Authority(b.plan.Controller.Authority); ok {
		facts = append(facts, b.authority("controller.authority", "complaint.data", a))
	}
	if len(b.plan.Device)+len(b.plan.Services) > 0 {
		if a, ok := b.law.AuthorityFor(law.DeviceAccess, b.version.EffectiveAt); ok {
			facts = append(facts, b.authority("device_access", "complaint.device", a))
		}
	}
	if path := b.marketing(); path != "" {
		if a, ok := b.law.AuthorityFor(law.Marketing, b.version.EffectiveAt); ok {
			facts = append(facts, b.authority(path, "complaint.marketing", a))
		}
	}
	s.facts(facts...)
	s.para(b.t("controller.authority", "complaint.court"))
}

// marketing is the path of the first purpose that sends marketing; "" if none does.
func (b *builder) marketing() string {
	for _, p := range b.plan.Purposes {
		if p.Marketing != "" {
			return "purposes." + p.ID + ".marketing"
		}
	}
	return ""
}

// authority is a fact: what it is for, and how to reach it.
func (b *builder) authority(path, term string, a law.Authority) Fact {
	f := Fact{Term: b.t(path, term), Lines: [][]Sentence{line(b.sentence(path, "authority", a.Name.In(b.lang)))}}
	for _, c := range []struct{ value, href string }{
		{a.Address, ""}, {a.Phone, telephone(a.Phone)}, {a.Email, "mailto:" + a.Email}, {a.Website, a.Website},
	} {
		if c.value != "" {
			f.Lines = append(f.Lines, line(b.sentence(path, "contact", c.value).to(c.href)))
		}
	}
	return f
}

// deviceComplaint says where to complain about cookies; another authority than for personal data.
func (b *builder) deviceComplaint() {
	a, ok := b.law.AuthorityFor(law.DeviceAccess, b.version.EffectiveAt)
	if !ok {
		return
	}
	s := b.section("complaint", 2, b.t("device_access", "complaint.heading"))
	s.facts(b.authority("device_access", "complaint.device", a))
}
