package publish

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/text"
	"github.com/tillid/tillid/internal/version"
)

// categories of what is stored on a device, in the order in which people are asked.
var categories = []string{"necessary", "preferences", "statistics", "marketing"}

// Cookies writes the cookie declaration: what is stored on or read from the
// visitor's device, by whom, what for, for how long, and who can read it (C-673/17).
func Cookies(plan *policy.Plan, v version.Version, l text.Lang) *Document {
	b := newBuilder(plan, v, l, "cookies")
	b.doc.Title = b.t("device_access", "cookies.title")
	b.doc.Lead = line(b.t("device_access", "cookies.lead", "Name", plan.Controller.LegalName))
	s := b.section("short", 2, b.t("device_access", "cookies.short"))
	items := [][]Sentence{line(b.t("device_access", "cookies.what"))}
	if len(plan.Gated()) > 0 || len(plan.ConsentPurposes()) > 0 {
		items = append(items, line(b.t("services", "cookies.ask")),
			line(b.t("device_access", "cookies.change"), b.t("device_access", "link.choices").to(choicesPath)))
	}
	s.list(append(items, line(b.t("device_access", "cookies.browser"), b.t("device_access", "link.browsers").to(browserPath)))...)
	for _, c := range categories {
		b.category(c)
	}
	b.deviceComplaint()
	b.whoShort()
	return b.doc
}

func (b *builder) category(name string) {
	var g Group
	for i := range b.plan.Device {
		if d := &b.plan.Device[i]; d.Category == name {
			g.Rows = append(g.Rows, b.deviceRow(d))
		}
	}
	var services [][]Sentence
	for i := range b.plan.Services {
		if s := &b.plan.Services[i]; s.Category == name {
			services = append(services, b.service(s))
		}
	}
	if len(g.Rows)+len(services) == 0 {
		return
	}
	s := b.section("category-"+name, 2, b.t("device_access", "category."+name))
	s.para(b.t("device_access", "category."+name+".means"))
	if len(services) > 0 {
		s.list(services...)
	}
	if len(g.Rows) > 0 {
		s.table(Table{
			Head: line(b.t("device_access", "cookies.name"), b.t("device_access", "cookies.purpose"),
				b.t("device_access", "cookies.lives"), b.t("device_access", "cookies.by")),
			Widths: []float64{4, 5, 3, 4}, Groups: []Group{g},
		})
	}
}

func (b *builder) deviceRow(d *policy.DeviceAccess) Row {
	path := "device_access." + d.ID
	technology := d.Technology
	if technology == "" {
		technology = "cookie"
	}
	name := line(b.sentence(path, "cookie", d.ID).alone(), b.t(path+".technology", "technology."+technology))
	var why []Sentence
	switch p := b.plan.Purpose(d.Purpose); {
	case d.Describe.In(b.lang) != "":
		why = append(why, b.own(path+".description", "describe", d.Describe).end())
	case p != nil:
		why = append(why, b.own(path+".purpose", "purpose", p.Label).end())
	}
	if d.Necessity.In(b.lang) != "" {
		why = append(why, b.own(path+".necessity", "necessity", d.Necessity).end())
	}
	return Row{name, why, b.lives(d), b.setBy(d)}
}

// lives says how long it stays, and whether each visit starts it anew.
func (b *builder) lives(d *policy.DeviceAccess) []Sentence {
	path := "device_access." + d.ID + ".duration"
	switch {
	case !d.Duration.Set:
		return nil
	case zero(d.Duration):
		return line(b.t(path, "cookies.session"))
	case d.Rolling:
		return line(b.t(path, "cookies.rolling", "Period", b.period(d.Duration)))
	}
	return line(b.t(path, "cookies.persistent", "Period", b.period(d.Duration)))
}

// setBy names who sets it and who else can read it.
func (b *builder) setBy(d *policy.DeviceAccess) []Sentence {
	path := "device_access." + d.ID
	var said []Sentence
	party := b.plan.Party(d.Party)
	switch {
	case party != nil:
		said = append(said, b.sentence(path+".party", "party", text.T(b.lang, "publish.cookies.party",
			"Name", party.LegalName, "Country", text.Country(b.lang, party.Country))).alone())
	default:
		said = append(said, b.t(path+".party", "cookies.self", "Name", b.plan.Controller.LegalName).alone())
	}
	if d.ThirdParty != nil {
		said = append(said, b.t(path+".third_party_access", "cookies."+either(*d.ThirdParty, "readable", "unreadable")))
	}
	return said
}

// service says what a script or embed loads, from whom, and when.
func (b *builder) service(s *policy.Service) []Sentence {
	path := "services." + s.ID
	said := line(b.own(path+".label", "service", s.Label).colon())
	if p := b.plan.Purpose(s.Purpose); p != nil {
		said = append(said, b.sentence(path+".purpose", "service-purpose", end(p.Label.In(b.lang))))
	}
	if e := b.plan.Engagement(s.Engagement); e != nil {
		if party := b.plan.Party(e.Party); party != nil {
			said = append(said, b.t(path+".engagement", "service.from", "Name", party.LegalName, "Country", text.Country(b.lang, party.Country)))
		}
	}
	if s.Gate == "consent" {
		said = append(said, b.t(path+".gate", "service.gate"))
	}
	return said
}

// end makes a sentence of a label or a clause.
func end(s string) string {
	if s == "" {
		return ""
	}
	first, n := utf8.DecodeRuneInString(s)
	s = string(unicode.ToUpper(first)) + s[n:]
	if strings.ContainsAny(s[len(s)-1:], ".!?") {
		return s
	}
	return s + "."
}

// whoShort repeats who stands behind, as BEK 1148 § 3 asks of the information itself.
func (b *builder) whoShort() {
	c := b.plan.Controller
	s := b.section("who", 2, b.t("controller", "who.heading"))
	s.facts(
		b.value("controller.legal_name", "name", c.LegalName, ""),
		b.value("controller.cvr", "cvr", c.CVR, ""),
		b.value("controller.address", "address", c.Address, ""),
		b.value("controller.email", "email", c.Email, "mailto:"+c.Email),
		b.value("controller.phone", "phone", c.Phone, telephone(c.Phone)),
	)
	s.para(b.t("controller", "link.policy").to(policyPath))
}
