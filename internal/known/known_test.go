package known_test

import (
	"flag"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tillid/tillid/internal/known"
	"github.com/tillid/tillid/internal/law"
	"github.com/tillid/tillid/internal/lint"
	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/text"
)

var update = flag.Bool("update", false, "rewrite the golden fragments")

// Every service of the catalogue is whole: texts in both languages, a vendor, a
// source with the day it was read, hosts that a declaration takes.
func TestCatalogueIsWhole(t *testing.T) {
	c := known.Load()
	if len(c.Services) < 25 || len(c.Platforms) < 10 {
		t.Fatalf("%d services, %d platforms", len(c.Services), len(c.Platforms))
	}
	for _, s := range slices.Concat(c.Services, c.Platforms) {
		texts := map[string]text.Text{"label": s.Label}
		if s.Vendor != nil {
			texts["does"] = s.Does
			if s.Kind == "embed" {
				texts["placeholder"] = s.Placeholder
			}
			source(t, s.ID, s.Source)
			for _, h := range slices.Concat(s.Hosts.All(), s.Seen) {
				if strings.Contains(h, "//") && !strings.HasPrefix(h, "wss://") || !strings.Contains(h, ".") {
					t.Errorf("%s: host %q", s.ID, h)
				}
			}
		}
		for _, st := range s.Storage {
			texts[st.Name] = st.Says
			if st.Category == "necessary" {
				texts[st.Name+" necessity"] = st.Necessity
			}
			source(t, s.ID+" "+st.Name, st.Source)
			if strings.Contains(strings.TrimSuffix(st.Name, "*"), "*") {
				t.Errorf("%s: the pattern %q has its * elsewhere than at the end", s.ID, st.Name)
			}
		}
		for what, txt := range texts {
			if txt[text.DA] == "" || txt[text.EN] == "" {
				t.Errorf("%s: %s is not said in both languages", s.ID, what)
			}
		}
	}
}

var address = regexp.MustCompile(`^https://[a-z0-9.-]+/`)

func source(t *testing.T, of string, s known.Source) {
	t.Helper()
	if _, err := time.Parse(time.DateOnly, s.Read); err != nil || !address.MatchString(s.URL) || s.By != "vendor" && s.By != "third_party" {
		t.Errorf("%s: source %+v", of, s)
	}
}

var today = time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)

func starter() []byte {
	return policy.Starter(policy.StarterOptions{Company: "Prøve ApS", Host: "www.example.dk", Email: "kontakt@example.dk", Today: today})
}

// Each service's fragment, put into a first declaration, parses, and lint finds
// nothing that is not marked with CHANGE: only the company can know it.
func TestEachFragmentLints(t *testing.T) {
	c := known.Load()
	for _, s := range slices.Concat(c.Services, c.Platforms) {
		t.Run(s.ID, func(t *testing.T) {
			f := known.Of([]*known.Service{s})
			golden(t, s.ID, f.String())
			base := parse(t, starter())
			f = f.Without(func(section, id string) bool { return base.Has(section, id) })
			merged, left := known.Merge(starter(), f)
			if !left.Empty() {
				t.Fatalf("not put in: %s", left)
			}
			lintMarked(t, merged)
		})
	}
}

// All of them together are one declaration.
func TestAllTogether(t *testing.T) {
	c := known.Load()
	base := parse(t, starter())
	f := known.Of(slices.Concat(c.Services, c.Platforms)).Without(base.Has)
	merged, left := known.Merge(starter(), f)
	if !left.Empty() {
		t.Fatalf("not put in: %s", left)
	}
	plan := lintMarked(t, merged)
	if len(plan.Services) != len(c.Services) {
		t.Errorf("%d services were declared, %d are known", len(plan.Services), len(c.Services))
	}
	again, _ := known.Merge(merged, known.Of(c.Services).Without(plan.Has))
	if string(again) != string(merged) {
		t.Error("putting in what is there changed the file")
	}
}

func parse(t *testing.T, src []byte) *policy.Plan {
	t.Helper()
	plan, problems := policy.Parse("tillid.yaml", src, nil)
	for _, p := range problems {
		t.Error(p)
	}
	if plan == nil {
		t.Fatalf("does not parse:\n%s", src)
	}
	return plan
}

// lintMarked fails for an error or warning in a line that is not marked.
func lintMarked(t *testing.T, src []byte) *policy.Plan {
	t.Helper()
	plan := parse(t, src)
	packs, err := law.Load(plan.Law)
	if err != nil {
		t.Fatal(err)
	}
	before := map[string]bool{}
	for _, f := range lint.Run(parse(t, starter()), packs, policy.DateOf(today)).Findings {
		before[f.Rule+f.Path] = true
	}
	lines := strings.Split(string(src), "\n")
	for _, f := range lint.Run(plan, packs, policy.DateOf(today)).Findings {
		if before[f.Rule+f.Path] || f.Suppressed != nil || f.Severity == lint.Info {
			continue
		}
		if line := lines[f.Pos.Line-1]; !strings.Contains(line, "# CHANGE: ") {
			t.Errorf("%s at %s is not marked:\n%s\n%s", f.Rule, f.Path, line, f.Message.In(text.EN))
		}
	}
	return plan
}

func golden(t *testing.T, id, have string) {
	t.Helper()
	name := filepath.Join("testdata", "fragment", id+".yaml")
	if *update {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(have), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != have {
		t.Errorf("the fragment of %s changed; look at it, then run go test ./internal/known -update\n%s", id, have)
	}
}

func TestByURL(t *testing.T) {
	c := known.Load()
	for address, want := range map[string]string{
		"https://www.googletagmanager.com/gtag/js":               "google_analytics",
		"https://region1.google-analytics.com/g/collect":         "google_analytics",
		"https://googleads.g.doubleclick.net/pagead/viewthrough": "google_ads",
		"https://cm.g.doubleclick.net/pixel":                     "google_ads",
		"https://www.google.com/recaptcha/api.js":                "google_recaptcha",
		"https://www.google.com/maps/embed":                      "google_maps",
		"https://www.youtube.com/embed/x":                        "youtube",
		"https://connect.facebook.net/en_US/fbevents.js":         "meta_pixel",
		"https://snap.licdn.com/li.lms-analytics/insight.min.js": "linkedin_insight",
		"https://player.vimeo.com/video/1":                       "vimeo",
		"https://fonts.gstatic.com/s/a.woff2":                    "google_fonts",
		"https://example.invalid/x":                              "",
		"https://notdoubleclick.net/":                            "",
	} {
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if s := c.ByURL(u); s != nil {
			got = s.ID
		}
		if got != want {
			t.Errorf("%s belongs to %q, want %q", address, got, want)
		}
	}
}

// Rows: A2.
func TestByName(t *testing.T) {
	c := known.Load()
	for _, test := range []struct{ technology, name, domain, service, pattern, life string }{
		{"cookie", "_ga", "www.example.dk", "google_analytics", "_ga", "P2Y"},
		{"cookie", "_ga_AB12CD", ".example.dk", "google_analytics", "_ga_*", "P2Y"},
		{"cookie", "_gat_UA-1", ".example.dk", "universal_analytics", "_gat*", "PT1M"},
		{"cookie", "_gcl_au", ".example.dk", "google_ads", "_gcl_au", "P90D"},
		{"cookie", "_fbp", ".example.dk", "meta_pixel", "_fbp", "P90D"},
		{"cookie", "bcookie", ".linkedin.com", "linkedin_insight", "bcookie", "P1Y"},
		{"cookie", "bcookie", ".example.dk", "", "", ""},
		{"cookie", "VISITOR_INFO1_LIVE", ".youtube.com", "youtube", "VISITOR_INFO1_LIVE", "P180D"},
		{"cookie", "YSC", ".youtube.com", "youtube", "YSC", "P0D"},
		{"cookie", "PHPSESSID", "www.example.dk", "php", "PHPSESSID", "P0D"},
		{"cookie", "__cf_bm", ".vimeo.com", "cloudflare", "__cf_bm", "PT30M"},
		{"local_storage", "_ga", "www.example.dk", "", "", ""},
		{"local_storage", "ytidb::LAST_RESULT_ENTRY_KEY", "www.youtube-nocookie.com", "youtube", "ytidb::*", ""},
		{"cookie", "nobody_knows", "www.example.dk", "", "", ""},
	} {
		s, st := c.ByName(test.technology, test.name, test.domain)
		got := [3]string{}
		if s != nil {
			got = [3]string{s.ID, st.Name, st.Life.String()}
		}
		if want := [3]string{test.service, test.pattern, test.life}; got != want {
			t.Errorf("%s %s of %s: got %v, want %v", test.technology, test.name, test.domain, got, want)
		}
	}
}

func TestMergeForms(t *testing.T) {
	entry := func(section string) known.Fragment {
		var f known.Fragment
		f.Add(section, known.Entry{ID: "new", Text: "  new: {a: 1}\n"})
		return f
	}
	for name, test := range map[string]struct{ src, want string }{
		"missing":           {"tillid: 1\n", "tillid: 1\n\nservices:\n  new: {a: 1}\n"},
		"empty":             {"services:\ntillid: 1\n", "services:\n  new: {a: 1}\ntillid: 1\n"},
		"empty braces":      {"services: {}   # none\ntillid: 1\n", "services:\n  new: {a: 1}\ntillid: 1\n"},
		"block":             {"services:\n  old: {a: 1}\n\n# what follows\ntillid: 1\n", "services:\n  old: {a: 1}\n  new: {a: 1}\n\n# what follows\ntillid: 1\n"},
		"block at the end":  {"tillid: 1\nservices:\n  old: {a: 1}", "tillid: 1\nservices:\n  old: {a: 1}\n  new: {a: 1}\n"},
		"comment within":    {"services:\n  old: {a: 1}\n# more\n  older: {a: 1}\nx: 1\n", "services:\n  old: {a: 1}\n# more\n  older: {a: 1}\n  new: {a: 1}\nx: 1\n"},
		"key with comment":  {"services:   # of others\n  old: {a: 1}\n", "services:   # of others\n  old: {a: 1}\n  new: {a: 1}\n"},
		"other key's start": {"services_of: 1\n", "services_of: 1\n\nservices:\n  new: {a: 1}\n"},
	} {
		got, left := known.Merge([]byte(test.src), entry("services"))
		if string(got) != test.want || !left.Empty() {
			t.Errorf("%s: got\n%s\nwant\n%s (left %v)", name, got, test.want, left)
		}
	}
	src := "services: {old: {a: 1}}\n"
	got, left := known.Merge([]byte(src), entry("services"))
	if string(got) != src || left.String() != "services:\n  new: {a: 1}\n" {
		t.Errorf("a section on one line: %q, left %q", got, left)
	}
}

// The published data set of others is looked at, not copied: where it is at
// hand, what it says otherwise is listed for whoever keeps our table.
func TestAgainstOpenCookieDatabase(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("..", "..", "..", "shared", "contracts", "cookies-open-cookie-database.csv"))
	if err != nil {
		t.Log("the data set is not at hand; TestByName holds what we say")
		return
	}
	same, other := 0, []string{}
	for _, line := range strings.Split(string(b), "\n") {
		f := strings.Split(line, ",")
		if len(f) < 8 {
			continue
		}
		if s, st := known.Load().ByName("cookie", f[3], f[4]); s != nil && st.Life.Set {
			if life := f[len(f)-4]; said(life) == st.Life.String() {
				same++
			} else {
				other = append(other, fmt.Sprintf("%s %s: we say %s, they say %s", s.ID, f[3], st.Life, life))
			}
		}
	}
	t.Logf("%d lifetimes are the same; these differ:\n%s", same, strings.Join(other, "\n"))
	if same < 10 {
		t.Errorf("only %d lifetimes agree with the data set: one of the two is read wrongly", same)
	}
}

func said(life string) string {
	n, unit, _ := strings.Cut(strings.ToLower(strings.TrimSpace(life)), " ")
	switch strings.TrimSuffix(unit, "s") {
	case "year":
		return "P" + n + "Y"
	case "month":
		return "P" + n + "M"
	case "day":
		return "P" + n + "D"
	case "minute":
		return "PT" + n + "M"
	}
	if n == "session" {
		return "P0D"
	}
	return life
}
