package policy

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var copenhagen = func() *time.Location {
	loc, err := time.LoadLocation("Europe/Copenhagen")
	if err != nil {
		panic(err)
	}
	return loc
}()

// Rows: E2.
func TestDurationAfter(t *testing.T) {
	for _, c := range []struct{ duration, from, want string }{
		{"P1M", "2026-08-31T12:00", "2026-09-30T12:00"}, // no 31 September
		{"P1M", "2027-01-31T12:00", "2027-02-28T12:00"},
		{"P1M", "2028-01-31T12:00", "2028-02-29T12:00"}, // leap year
		{"P1Y", "2028-02-29T12:00", "2029-02-28T12:00"},
		{"P3M", "2026-11-30T00:30", "2027-02-28T00:30"},
		{"P14M", "2026-12-31T12:00", "2028-02-29T12:00"},
		{"P1M1D", "2026-01-31T12:00", "2026-03-01T12:00"},
		{"P1W", "2026-12-28T12:00", "2027-01-04T12:00"},
		{"P1D", "2026-03-28T12:00", "2026-03-29T12:00"},   // the clock goes forward: the day is 23 hours
		{"PT24H", "2026-03-28T12:00", "2026-03-29T13:00"}, // hours are hours
		{"P0D", "2026-11-01T12:00", "2026-11-01T12:00"},
	} {
		d, err := ParseDuration(c.duration)
		if err != nil {
			t.Fatal(err)
		}
		from, _ := time.ParseInLocation("2006-01-02T15:04", c.from, copenhagen)
		if have := d.After(from.UTC(), copenhagen).Format("2006-01-02T15:04"); have != c.want {
			t.Errorf("%s after %s is %s, want %s", c.duration, c.from, have, c.want)
		}
	}
}

func TestParseDuration(t *testing.T) {
	for _, s := range []string{"P3M", "P1Y6M", "P14D", "PT24H", "P1W", "P0D", "P1Y2M3W4DT5H6M7S", "P100Y"} {
		if d, err := ParseDuration(s); err != nil || d.String() != s {
			t.Errorf("%s: %v, %v", s, d, err)
		}
	}
	for _, s := range []string{"", "P", "PT", "3M", "P3", "P-3M", "P3M ", "p3m", "PT3D", "P1.5M", "P101Y", "P9999Y", "three months", "P1YT"} {
		if d, err := ParseDuration(s); err == nil {
			t.Errorf("%q is taken as %v", s, d)
		}
	}
	if d, _ := ParseDuration("PT0S"); !d.IsZero() || d.String() != "P0D" {
		t.Errorf("PT0S is %v", d)
	}
	if (Duration{}).IsZero() {
		t.Error("no period is at once")
	}
}

// A later beginning never gives an earlier end, and a longer period never an
// earlier one.
func TestDurationMonotone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := func(label string, most int) int { return rapid.IntRange(0, most).Draw(t, label) }
		d := Duration{Set: true, Years: n("y", 30), Months: n("m", 30), Weeks: n("w", 60), Days: n("d", 400), Hours: n("h", 100)}
		from := time.Unix(int64(n("at", 4_000_000_000)), 0)
		end := d.After(from, copenhagen)
		if end.Before(from) {
			t.Fatalf("%v after %v is %v", d, from, end)
		}
		if back, err := ParseDuration(d.String()); err != nil || back != d {
			t.Fatalf("%v is written %s and read %v", d, d, back)
		}
		longer := d
		longer.Days++
		if longer.After(from, copenhagen).Before(end) || longer.Approx() <= d.Approx() {
			t.Fatalf("%v after %v is before %v after it", longer, from, d)
		}
		if later := d.After(from.AddDate(0, 0, 1), copenhagen); later.Before(end.Add(-time.Hour)) {
			t.Fatalf("%v: begun a day later than %v it ends earlier", d, from)
		}
	})
}

func TestDate(t *testing.T) {
	d, err := ParseDate("2026-11-01")
	if err != nil || d != (Date{2026, 11, 1}) || d.String() != "2026-11-01" {
		t.Errorf("%v, %v", d, err)
	}
	for _, s := range []string{"2026-02-29", "2026-13-01", "26-11-01", "1.11.2026", "2026-11-01T00:00"} {
		if d, err := ParseDate(s); err == nil {
			t.Errorf("%q is taken as %v", s, d)
		}
	}
	if !d.Before(Date{2026, 11, 2}) || d.Before(d) || d.Before(Date{}) {
		t.Error("Before is wrong")
	}
}

const rules = minimal + `sites:
  main: {hosts: [www.example.dk, "site.localhost:8080"]}
data:
  contact: {label: {da: Kontakt, en: Contact}}
  contact.email: {label: {da: E-mail, en: E-mail}, parent: contact}
  contact.email.old: {label: {da: Gammel, en: Old}, parent: contact.email}
  text: {label: {da: Tekst, en: Text}}
purposes:
  answer: {label: {da: Svare, en: Answer}, legal_basis: {art: 6.1.f}, data: [contact, text]}
  news: {label: {da: Nyt, en: News}, legal_basis: {art: 6.1.a}, marketing: newsletter}
  law: {label: {da: Lov, en: Law}, legal_basis: {art: 6.1.c}}
  contract: {label: {da: Aftale, en: Contract}, legal_basis: {art: 6.1.b}, automated_decision: true}
  none: {label: {da: Intet, en: None}}
retention:
  all: {purpose: answer, trigger: case.closed, duration: P1M, at_latest: P12M, action: delete}
  contact: {purpose: answer, data: [contact], trigger: received, duration: P3M, action: delete}
  mail: {purpose: answer, data: [contact.email], trigger: received, duration: P2M, action: delete}
`

// The rule that names a category or the nearest category above it goes before
// the purpose's general rule.
func TestRuleOf(t *testing.T) {
	plan := mustParse(t, rules)
	for data, want := range map[string]string{"text": "all", "contact": "contact", "contact.email": "mail", "contact.email.old": "mail", "unknown": "all"} {
		if r := plan.RuleOf("answer", data); r == nil || r.ID != want {
			t.Errorf("%s is under %v, want %s", data, r, want)
		}
	}
	if r := plan.RuleOf("news", "contact"); r != nil {
		t.Errorf("a purpose without rules has %v", r)
	}
}

// Rows: C5, E2.
func TestDue(t *testing.T) {
	plan := mustParse(t, rules)
	day := func(s string) time.Time { d, _ := ParseDate(s); return d.In(copenhagen) }
	for _, c := range []struct{ rule, received, triggered, want string }{
		{"all", "2026-01-31", "", "2027-01-31"},           // never closed: at the latest
		{"all", "2026-01-31", "2026-02-10", "2026-03-10"}, // closed
		{"all", "2026-01-31", "2027-01-30", "2027-01-31"}, // closed late: at the latest all the same
		{"contact", "2026-11-30", "", "2027-02-28"},       // received triggers by itself
	} {
		var triggered time.Time
		if c.triggered != "" {
			triggered = day(c.triggered)
		}
		if have := plan.Due(plan.Rule(c.rule), day(c.received), triggered); !have.Equal(day(c.want)) {
			t.Errorf("%s, received %s, triggered %q: due %v, want %s", c.rule, c.received, c.triggered, have, c.want)
		}
	}
}

// The rights shown for a purpose follow from its legal basis alone. Rows: E9, E10, E11.
func TestRightsOf(t *testing.T) {
	plan := mustParse(t, rules)
	for purpose, want := range map[string]string{
		"answer":   "access rectification erasure restriction objection complaint",
		"news":     "access rectification erasure restriction portability withdraw object_marketing complaint",
		"law":      "access rectification restriction complaint",
		"contract": "access rectification erasure restriction portability no_automated complaint",
		"none":     "",
	} {
		var have []string
		for _, r := range plan.RightsOf(purpose) {
			have = append(have, string(r))
		}
		if strings.Join(have, " ") != want {
			t.Errorf("%s has %v, want %s", purpose, have, want)
		}
	}
}

func TestSiteByHost(t *testing.T) {
	plan := mustParse(t, rules)
	for host, found := range map[string]bool{
		"www.example.dk": true, "WWW.EXAMPLE.DK:443": true, "site.localhost:8080": true,
		"site.localhost": false, "site.localhost:1": false, "example.dk": false, "": false, ":80": false, "[::1]:80": false,
	} {
		if s := plan.SiteByHost(host); (s != nil) != found {
			t.Errorf("%q: %v", host, s)
		}
	}
}

func TestConsentPurposes(t *testing.T) {
	plan := mustParse(t, minimal+`purposes:
  need: {label: {da: A, en: A}, legal_basis: {art: 6.1.f}}
  count: {label: {da: B, en: B}, legal_basis: {art: 6.1.a}}
  video: {label: {da: C, en: C}, legal_basis: {art: 6.1.a}}
  mail: {label: {da: D, en: D}, legal_basis: {art: 6.1.a}}
services:
  yt: {label: {da: Video, en: Video}, purpose: video, category: preferences, kind: embed, gate: consent}
  open: {label: {da: Kort, en: Map}, purpose: mail, category: marketing, kind: embed, gate: none}
device_access:
  _ga: {category: statistics, purpose: count}
  session: {category: necessary, purpose: need}
`)
	var have []string
	for _, p := range plan.ConsentPurposes() {
		have = append(have, p.ID)
	}
	if !slices.Equal(have, []string{"count", "video"}) {
		t.Errorf("visitors are asked about %v", have)
	}
}

func ExamplePlan_At() {
	plan, _ := Parse("tillid.yaml", []byte(rules), nil)
	pos := plan.At("purposes.answer.legal_basis.art")
	fmt.Printf("%s:%d:%d\n", pos.File, pos.Line, pos.Col)
	// Output: tillid.yaml:16:63
}

// A cookie reaches from one name to another only when they have a registrable
// domain in common.
func TestDomain(t *testing.T) {
	for host, want := range map[string]string{
		"www.example.dk": "example.dk", "example.dk": "example.dk", "WWW.Example.dk:8443": "example.dk", "a.b.example.co.uk": "example.co.uk",
		"www.front.localhost": "front.localhost", "localhost": "", "dk": "", "co.uk": "", "127.0.0.1:80": "", "[::1]": "", "": "",
	} {
		if got := Domain(host); got != want {
			t.Errorf("Domain(%q) = %q, want %q", host, got, want)
		}
	}
}

func TestSiteByConsentHost(t *testing.T) {
	plan := &Plan{Declaration: Declaration{Sites: []Site{{ID: "a", Hosts: []string{"www.example.dk"}}, {ID: "b", Hosts: []string{"www.example.com"}, Consent: "consent.example.com"}}}}
	for host, want := range map[string]string{"consent.example.com": "b", "Consent.example.com:443": "b", "www.example.com": "", "": "", ":80": ""} {
		got := ""
		if s := plan.SiteByConsentHost(host); s != nil {
			got = s.ID
		}
		if got != want {
			t.Errorf("the site of consent host %q is %q, want %q", host, got, want)
		}
	}
	if plan.SiteByHost("consent.example.com") != nil {
		t.Error("a consent host counts as the site's own")
	}
}
