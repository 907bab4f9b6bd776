package text

import (
	"testing"
	"time"
)

func TestT(t *testing.T) {
	for _, test := range []struct {
		lang Lang
		id   string
		kv   []any
		want string
	}{
		{DA, "base.period.day", []any{"Count", 1}, "1 dag"},
		{DA, "base.period.day", []any{"Count", int64(30)}, "30 dage"},
		{EN, "base.period.year", []any{"Count", 0}, "0 years"},
		{EN, "base.list", []any{"First", "<b>", "Last", "æ"}, "<b> and æ"},
		{EN, "base.list", []any{"First", "a", "Last", "b", "Count", 1}, "a and b"},
		{"de", "base.period.none", nil, "at once"},
		{DA, "fault.internal", nil, "Noget gik galt hos os."},
		{DA, "base.no.such", nil, "⟦base.no.such⟧"},
	} {
		if got := T(test.lang, test.id, test.kv...); got != test.want {
			t.Errorf("T(%s, %s, %v) = %q, want %q", test.lang, test.id, test.kv, got, test.want)
		}
	}
}

func TestMatch(t *testing.T) {
	both := []Lang{DA, EN}
	for _, test := range []struct {
		header  string
		offered []Lang
		want    Lang
	}{
		{"en-GB,en;q=0.9,da;q=0.8", both, EN},
		{"da-DK", both, DA},
		{"nb-NO,nb;q=0.9", both, DA},
		{"ja", both, DA},
		{"ja", []Lang{EN, DA}, EN},
		{"", both, DA},
		{";;;=", both, DA},
		{"en", []Lang{DA}, DA},
		{"en", nil, DA},
		{"sv,en;q=0.5", both, EN},
		{"da;q=0.1,en", both, EN},
	} {
		if got := Match(test.header, test.offered); got != test.want {
			t.Errorf("Match(%q, %v) = %s, want %s", test.header, test.offered, got, test.want)
		}
	}
}

func FuzzMatch(f *testing.F) {
	f.Add("da, en;q=0.8")
	f.Fuzz(func(t *testing.T, header string) {
		if got := Match(header, Langs()); got != DA && got != EN {
			t.Errorf("got %q", got)
		}
	})
}

func TestDates(t *testing.T) {
	at := time.Date(2026, 11, 22, 14, 5, 0, 0, time.UTC)
	for _, test := range []struct{ got, want string }{
		{Date(DA, at), "22. nov. 2026"},
		{Date(EN, at), "22 Nov 2026"},
		{Date(DA, at.AddDate(0, -6, 0)), "22. maj 2026"},
		{Moment(DA, at), "22. nov. 2026 kl. 14.05"},
		{Moment(EN, at), "22 Nov 2026, 14:05"},
		{Period(DA, 0, 3, 0, 0, 0, 0), "3 måneder"},
		{Period(EN, 1, 0, 2, 1, 0, 0), "1 year, 2 weeks and 1 day"},
		{Period(DA, 1, 0, 0, 0, 1, 0), "1 år og 1 time"},
		{Period(DA, 0, 0, 0, 0, 0, 0), "straks"},
		{Period(EN, 0, 0, 0, 0, 0, 0), "at once"},
		{List(DA, []string{"a", "b", "c"}), "a, b og c"},
		{List(EN, []string{"a", "b"}), "a and b"},
		{List(EN, []string{"a"}), "a"},
		{List(EN, nil), ""},
	} {
		if test.got != test.want {
			t.Errorf("got %q, want %q", test.got, test.want)
		}
	}
}

func TestIn(t *testing.T) {
	for _, test := range []struct {
		text Text
		lang Lang
		want string
	}{
		{Text{DA: "da", EN: "en"}, DA, "da"},
		{Text{DA: "da", EN: "en"}, "de", "en"},
		{Text{DA: "da"}, EN, "da"},
		{Text{"sv": "sv", "de": "de"}, EN, "de"},
		{nil, EN, ""},
	} {
		if got := test.text.In(test.lang); got != test.want {
			t.Errorf("%v in %s = %q, want %q", test.text, test.lang, got, test.want)
		}
	}
}

func BenchmarkT(b *testing.B) {
	for b.Loop() {
		T(DA, "base.list", "First", "a", "Last", "b")
	}
}

func BenchmarkMatch(b *testing.B) {
	for b.Loop() {
		Match("en-GB,en;q=0.9,da;q=0.8", Langs())
	}
}
