package law_test

import (
	"strings"
	"testing"
	"time"

	"github.com/tillid/tillid/internal/law"
)

func load(t *testing.T) *law.Law {
	t.Helper()
	l, err := law.Load([]string{"eu-gdpr@2026.2", "dk@2026.2"})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func date(s string) time.Time {
	d, err := time.Parse(time.DateOnly, s)
	if err != nil {
		panic(err)
	}
	return d
}

// Every value says where it comes from, when it holds, and that nobody has signed for it
// until somebody has. The parser refuses a value that does not, so loading is the test.
func TestEveryPackLoads(t *testing.T) {
	for _, ref := range law.Available() {
		l, err := law.Load([]string{ref})
		if err != nil {
			t.Fatal(err)
		}
		p := l.Packs()[0]
		if p.Ref() != ref {
			t.Errorf("file %s calls itself %s", ref, p.Ref())
		}
		type key struct {
			id   string
			from time.Time
		}
		seen := map[key]bool{}
		for _, f := range p.Facts() {
			if f.Source == "" || f.Law == "" || f.From.IsZero() || f.Date.IsZero() {
				t.Errorf("%s lacks source, law or dates: %+v", f.ID, f)
			}
			if f.Status == law.Checked && f.Checker == "" {
				t.Errorf("%s is checked by nobody", f.ID)
			}
			if f.Date.Before(date("2026-01-01")) || f.Date.After(p.AsOf) {
				t.Errorf("%s was read on %s", f.ID, f.Date)
			}
			if k := (key{f.ID, f.From}); seen[k] {
				t.Errorf("%s stands twice", f.ID)
			} else {
				seen[k] = true
			}
		}
	}
}

func TestLoadSaysEverythingThatIsWrong(t *testing.T) {
	_, err := law.Load([]string{"dk@2027.1", "eu-gpdr@2026.2", "no@1", "dk@2026.2", "dk@2026.2"})
	if err == nil {
		t.Fatal("loaded")
	}
	for _, want := range []string{
		`unknown law pack "dk@2027.1": did you mean "dk@2026.2"?`,
		`unknown law pack "eu-gpdr@2026.2": did you mean "eu-gdpr@2026.2"?`,
		`unknown law pack "no@1": this program carries dk@2026.2, eu-gdpr@2026.2`,
		`law pack dk is named twice`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in %v", want, err)
		}
	}
}

func TestAdequacy(t *testing.T) {
	l := load(t)
	for _, c := range []struct {
		country, at   string
		eea, adequate bool
	}{
		{"DK", "2026-11-01", true, false},
		{"NO", "2018-06-01", false, false}, // the EEA Agreement took GDPR in on 20 July 2018
		{"NO", "2026-11-01", true, false},
		{"GB", "2020-12-31", true, false},
		{"GB", "2021-01-01", false, false},
		{"GB", "2026-11-01", false, true},
		{"GB", "2031-12-27", false, true},
		{"GB", "2031-12-28", false, false},
		{"GL", "2026-11-01", false, false}, // Greenland is not adequate
		{"FO", "2026-11-01", false, true},  // the Faroe Islands are
		{"BR", "2026-01-25", false, false},
		{"BR", "2026-01-26", false, true},
		{"US", "2023-07-09", false, false},
		{"US", "2023-07-10", false, true},
		{"IN", "2026-11-01", false, false},
	} {
		if _, ok := l.EEA(c.country, date(c.at)); ok != c.eea {
			t.Errorf("EEA(%s, %s) = %v", c.country, c.at, ok)
		}
		if _, ok := l.Adequacy(c.country, date(c.at)); ok != c.adequate {
			t.Errorf("Adequacy(%s, %s) = %v", c.country, c.at, ok)
		}
	}
	if us, _ := l.Adequacy("US", date("2026-11-01")); !us.Contested {
		t.Error("the Data Privacy Framework is before the court")
	}
}

func TestScope(t *testing.T) {
	l := load(t)
	for _, c := range []struct {
		country string
		r       law.Recipient
		want    bool
	}{
		{"US", law.Recipient{}, false},
		{"US", law.Recipient{SelfCertified: true}, true},
		{"US", law.Recipient{SelfCertified: true, HRData: true}, false},
		{"US", law.Recipient{SelfCertified: true, HRData: true, HRCovered: true}, true},
		{"CA", law.Recipient{}, false},
		{"CA", law.Recipient{Commercial: true}, true},
		{"JP", law.Recipient{}, true},
		{"JP", law.Recipient{Authority: true}, false},
		{"CH", law.Recipient{Authority: true}, true},
	} {
		a, ok := l.Adequacy(c.country, date("2026-11-01"))
		if !ok || a.Covers(c.r) != c.want {
			t.Errorf("%s covers %+v: %v", c.country, c.r, !c.want)
		}
	}
}

// A country's own value goes before the Union's, and the old one holds for its own time.
func TestValueOfTheDay(t *testing.T) {
	l := load(t)
	for _, c := range []struct{ id, at, want string }{
		{"age_of_consent", "2023-12-31", "13"},
		{"age_of_consent", "2024-01-01", "15"},
		{"eu-gdpr.age_of_consent", "2024-01-01", "16"},
		{"dk.bookkeeping", "2026-11-01", "P5Y"},
		{"answer", "2026-11-01", "P1M"},
		{"answer", "2018-05-24", ""},
		{"no.such", "2026-11-01", ""},
	} {
		if v, _ := l.Value(c.id, date(c.at)); v.Value != c.want {
			t.Errorf("%s on %s is %q, want %q", c.id, c.at, v.Value, c.want)
		}
	}
	if got := l.NearestValue("dk.bookeeping"); got != "dk.bookkeeping" {
		t.Errorf("nearest is %q", got)
	}
}

func TestAuthorities(t *testing.T) {
	l := load(t)
	for s, want := range map[law.Subject]string{
		law.PersonalData: "dk.datatilsynet",
		law.DeviceAccess: "dk.digitaliseringsstyrelsen",
		law.Marketing:    "dk.forbrugerombudsmanden",
	} {
		a, ok := l.AuthorityFor(s, date("2026-11-01"))
		if !ok || a.ID != want {
			t.Errorf("%s goes to %s", s, a.ID)
		}
	}
	if got := l.NearestAuthority("dk.datatilsyn"); got != "dk.datatilsynet" {
		t.Errorf("nearest is %q", got)
	}
}

func TestPrintSaysThatItIsNotAdvice(t *testing.T) {
	var b strings.Builder
	if err := load(t).Print(&b, "en", date("2026-11-01")); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"not legal advice", "dk.bookkeeping", "P5Y", "unchecked, contested", "until 2031-12-27", "Store bededag"} {
		if got := strings.Contains(b.String(), want); got == (want == "Store bededag") {
			t.Errorf("%q: %v", want, got)
		}
	}
}
