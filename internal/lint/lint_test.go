package lint

import (
	"os"
	"testing"
	"time"

	"github.com/tillid/tillid/internal/law"
	"github.com/tillid/tillid/internal/policy"
)

func read(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func plan(t testing.TB, src []byte) *policy.Plan {
	t.Helper()
	p, problems := policy.Parse("tillid.yaml", src, nil)
	for _, x := range problems {
		t.Errorf("%s", x)
	}
	if p == nil {
		t.FailNow()
	}
	return p
}

func packs(t testing.TB, p *policy.Plan) *law.Law {
	t.Helper()
	l, err := law.Load(p.Law)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func run(t testing.TB, src []byte, asOf policy.Date) Report {
	t.Helper()
	p := plan(t, src)
	if asOf == (policy.Date{}) {
		asOf = p.Reviewed
	}
	return Run(p, packs(t, p), asOf)
}

func TestCleanIsClean(t *testing.T) {
	r := run(t, read(t, "testdata/clean.yaml"), policy.Date{})
	for _, f := range r.Findings {
		if f.Suppressed == nil {
			t.Errorf("%s %s at %s: %s", f.Severity, f.Rule, f.Path, f.Message["en"])
		}
	}
}

// packsOrDefault loads what p names, or both packs where it names none that exist.
func packsOrDefault(p *policy.Plan) *law.Law {
	l, err := law.Load(p.Law)
	if err != nil {
		l, err = law.Load([]string{"eu-gdpr@2026.2", "dk@2026.2"})
	}
	if err != nil {
		panic(err) // embedded
	}
	return l
}

// The declaration that tillid init writes has nothing standing on its own day; that
// no banner is sent, because there is nothing to ask about, is noted.
func TestStarterIsClean(t *testing.T) {
	src := policy.Starter(policy.StarterOptions{
		Company: "Prøve ApS", Host: "www.example.dk", Email: "kontakt@example.dk", Today: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC),
	})
	if r := run(t, src, policy.Date{}); len(r.Errors())+len(r.Warnings()) > 0 || len(r.Infos()) != 1 || r.Infos()[0].Rule != "CK-09" {
		t.Error(short(r))
	}
}

func TestAuthority(t *testing.T) {
	for id, want := range map[string]string{
		"dk.datatilsyn": "E: Complaints: the law packs know no dk.datatilsyn (did you mean dk.datatilsynet?).",
		"dk.q":          "E: Complaints: the law packs know no dk.q.",
		"se.imy":        "W: Complaints: none of the law packs named knows se.imy.",
	} {
		r := run(t, merge(t, read(t, "testdata/clean.yaml"), "controller: {authority: "+id+"}"), policy.Date{})
		for _, f := range r.Findings {
			if got := string(f.Severity) + ": " + f.Message["en"]; f.Rule == "RT-03" && got != want {
				t.Errorf("%s: %q, want %q", id, got, want)
			}
		}
		if len(r.Errors())+len(r.Warnings()) != 1 {
			t.Errorf("%s: %s", id, short(r))
		}
	}
}
