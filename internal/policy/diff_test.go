package policy

import (
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tillid/tillid/internal/text"
)

func example(t testing.TB) string {
	t.Helper()
	b, err := os.ReadFile("../../examples/eksempel/tillid.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

const before = minimal + `parties:
  desk: {legal_name: Hjælpedisk ApS, country: DK}
  ads: {legal_name: Reklame A/S, country: DK}
engagements:
  desk: {party: desk, role: processor, purposes: [answer]}
  ads: {party: ads, role: joint_controller, purposes: [sell], transfers: [{to: US, mechanism: dpf}]}
data:
  contact: {label: {da: Kontakt, en: Contact}}
purposes:
  answer: {label: {da: Svare dig, en: Answer you}, legal_basis: {art: 6.1.f}, data: [contact], profiling: false}
  sell: {label: {da: Reklamere, en: Advertise}, legal_basis: {art: 6.1.a}}
device_access:
  _own: {category: necessary, party: self, purpose: answer, duration: P1D}
  _ad: {category: marketing, party: ads, purpose: sell, duration: P90D}
retention:
  answers: {purpose: answer, trigger: case.closed, duration: P6M, at_latest: P12M, action: delete}
rights: {email: a@example.dk}
`

// What changed is said in words, each change with the class that it owes. Rows: E8.
func TestDiff(t *testing.T) {
	for _, c := range []struct{ name, old, new, want string }{
		{"nothing", "tillid: 1", "# a comment\ntillid:   1", ""},
		{"reviewed", "reviewed: 2026-11-01", "reviewed: 2026-11-02",
			"A reviewed Changed: review: 2026-11-01 → 2026-11-02"},
		{"phone", "rights: {email: a@example.dk}", `rights: {email: b@example.dk, phone: "12345678"}`,
			"A rights.email Changed: your rights, e-mail: a@example.dk → b@example.dk|A rights.phone Changed: your rights, phone: – → 12345678"},
		{"longer", "duration: P6M", "duration: P12M",
			"B retention.answers.duration Changed: retention rule “answers”, duration: 6 months → 12 months"},
		{"shorter", "duration: P6M", "duration: P3M",
			"A retention.answers.duration Changed: retention rule “answers”, duration: 6 months → 3 months"},
		{"the same", "at_latest: P12M", "at_latest: P1Y",
			"A retention.answers.at_latest Changed: retention rule “answers”, at the latest after: 12 months → 1 year"},
		{"without end", ", at_latest: P12M", "",
			"B retention.answers.at_latest Changed: retention rule “answers”, at the latest after: 12 months → –"},
		{"recipient", "purposes: [answer]}\n  ads", "purposes: [answer]}\n  more: {party: ads, role: processor, purposes: [answer]}\n  ads",
			"B engagements.more Added: recipient “Reklame A/S”"},
		{"recipient of what was consented to", "purposes: [answer]}\n  ads", "purposes: [answer]}\n  more: {party: desk, role: independent_controller, purposes: [sell]}\n  ads",
			"C engagements.more Added: recipient “Hjælpedisk ApS”"},
		{"no recipient", "  desk: {party: desk, role: processor, purposes: [answer]}\n", "",
			"A engagements.desk Removed: recipient “Hjælpedisk ApS”"},
		{"transfer", "role: processor, purposes: [answer]}", "role: processor, purposes: [answer], transfers: [{to: US, mechanism: scc}]}",
			"B engagements.desk.transfers[0] Changed: recipient “Hjælpedisk ApS”, added: transfer to a third country"},
		{"mechanism", "mechanism: dpf", "mechanism: scc",
			"C engagements.ads.transfers[0].mechanism Changed: recipient “Reklame A/S”, transfer mechanism: dpf → scc"},
		{"category below another", "data:\n  contact: {label: {da: Kontakt, en: Contact}}", "data:\n  contact: {label: {da: Kontakt, en: Contact}}\n  contact.email: {label: {da: E-mail, en: E-mail}, parent: contact}",
			"B data.contact.email Added: category of data “E-mail”"},
		{"purpose", "  sell: {label", "  more: {label: {da: Mere, en: More}}\n  sell: {label",
			"B purposes.more Added: purpose “More”"},
		{"basis", "art: 6.1.f", "art: 6.1.b",
			"B purposes.answer.legal_basis.art Changed: purpose “Answer you”, legal basis: 6.1.f → 6.1.b"},
		{"profiling", "profiling: false", "profiling: true",
			"B purposes.answer.profiling Changed: purpose “Answer you”, profiling: false → true"},
		{"what was consented to", "en: Advertise", "en: Advertise everywhere",
			"C purposes.sell.label.en Changed: purpose “Advertise everywhere”, name: Advertise → Advertise everywhere"},
		{"own cookie", "duration: P1D", "duration: P2D",
			"B device_access._own.duration Changed: cookie “_own”, duration: 1 day → 2 days"},
		{"cookie", "duration: P90D", "duration: P1Y",
			"C device_access._ad.duration Changed: cookie “_ad”, duration: 90 days → 1 year"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if !strings.Contains(before, c.old) {
				t.Fatalf("%q is not there to change", c.old)
			}
			var have []string
			for _, x := range Diff(mustParse(t, before), mustParse(t, strings.Replace(before, c.old, c.new, 1))) {
				have = append(have, fmt.Sprintf("%s %s %s", x.Class, x.Path, x.Text[text.EN]))
				if strings.Contains(x.Text[text.DA]+x.Text[text.EN], "⟦") || x.Text[text.DA] == x.Text[text.EN] {
					t.Errorf("%s is not said in both languages: %v", x.Path, x.Text)
				}
			}
			if strings.Join(have, "|") != c.want {
				t.Errorf("have %q\nwant %q", strings.Join(have, "|"), c.want)
			}
		})
	}
}

// Every section has a word for what it holds.
func TestNouns(t *testing.T) {
	_, names := fieldsOf(reflect.TypeFor[Declaration]())
	for _, n := range names {
		if !text.Has("policy.noun." + n) {
			t.Errorf("no word for %s", n)
		}
	}
}

// A new purpose, recipient, transfer or category and a longer period are never
// editorial; the class does not depend on what else changes; and nothing is
// different from itself. Row: E8.
func TestClassOfAdditions(t *testing.T) {
	full := mustParse(t, example(t))
	var paths []string
	for _, p := range full.Paths() {
		at, _ := full.placeOf(p)
		if (at.field == "" && at.entry != "" && slices.Contains([]string{"purposes", "engagements", "data", "retention", "services", "device_access", "forms"}, at.section)) ||
			(at.section == "engagements" && within(at.field, "transfers") && strings.HasSuffix(at.field, "]")) {
			paths = append(paths, p)
		}
	}
	slices.Sort(paths)
	rapid.Check(t, func(t *rapid.T) {
		path := rapid.SampledFrom(paths).Draw(t, "path")
		src, err := Without(full.Source, path)
		if err != nil {
			t.Fatal(err)
		}
		less := loose(src)
		for _, c := range Diff(less, full) {
			if c.Path == path && c.Class == Editorial || c.Text[text.DA] == "" {
				t.Fatalf("%s: %+v", path, c)
			}
		}
		if worst(Diff(less, full)) == Editorial {
			t.Fatalf("adding %s is editorial: %+v", path, Diff(less, full))
		}
		if len(Diff(less, less)) != 0 {
			t.Fatalf("different from itself: %+v", Diff(less, less))
		}
	})
}

func worst(changes []Change) string {
	class := Editorial
	for _, c := range changes {
		class = max(class, c.Class)
	}
	return class
}

// loose reads a declaration whose references may dangle.
func loose(src []byte) *Plan {
	d := newDecoder("tillid.yaml", src)
	p := &Plan{Loc: copenhagen}
	d.structure(d.parse(src), reflect.ValueOf(&p.Declaration).Elem(), "")
	return p
}

func TestLongerIsNotice(t *testing.T) {
	src := example(t)
	plan := mustParse(t, src)
	rapid.Check(t, func(t *rapid.T) {
		i := rapid.IntRange(0, len(plan.Retention)-1).Draw(t, "rule")
		longer := loose([]byte(src))
		r := &longer.Retention[i]
		if rapid.Bool().Draw(t, "at latest") {
			r.AtLatest.Set, r.AtLatest.Days = true, r.AtLatest.Days+rapid.IntRange(1, 1000).Draw(t, "days")
		} else {
			r.Duration.Months += rapid.IntRange(1, 100).Draw(t, "months")
		}
		if c := worst(Diff(plan, longer)); c == Editorial {
			t.Fatalf("keeping %s longer is editorial", r.ID)
		}
	})
}
