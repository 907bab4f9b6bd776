package lint

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/text"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// faulty is the clean declaration with an error, a warning and what is accepted.
const faulty = `
purposes:
  answer: {legal_basis: null}
engagements:
  desk: {supervised: null}
controller: {dpo: {appointed: true}}
suppress:
  - {rule: LAW-03, reason: Read in December., by: Anna Prøve, until: 2027-01-31}
  - {rule: PR-05, path: engagements.desk, reason: New this week., by: Anna Prøve, until: 2026-12-31}
`

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile("testdata/"+name, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(string(read(t, "testdata/"+name)), string(got)); diff != "" {
		t.Errorf("%s (-want +got; -update rewrites it):\n%s", name, diff)
	}
}

func TestText(t *testing.T) {
	r := run(t, merge(t, read(t, "testdata/clean.yaml"), faulty), policy.Date{})
	for _, l := range text.Langs() {
		var b bytes.Buffer
		if err := r.WriteText(&b, l); err != nil {
			t.Fatal(err)
		}
		golden(t, "report."+string(l)+".txt", b.Bytes())
	}
}

func TestJSON(t *testing.T) {
	r := run(t, merge(t, read(t, "testdata/clean.yaml"), faulty), policy.Date{})
	var b bytes.Buffer
	if err := r.WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	golden(t, "report.json", b.Bytes())

	var schema struct {
		Required []string
		Defs     struct {
			Finding struct{ Required []string }
		} `json:"$defs"`
	}
	if err := json.Unmarshal(Schema, &schema); err != nil {
		t.Fatal(err)
	}
	var out map[string]any
	if err := json.Unmarshal(b.Bytes(), &out); err != nil {
		t.Fatal(err)
	}
	sameKeys(t, out, schema.Required, "")
	sameKeys(t, out["findings"].([]any)[0].(map[string]any), schema.Defs.Finding.Required, "suppressed")
}

func sameKeys(t *testing.T, got map[string]any, want []string, optional string) {
	t.Helper()
	for k := range got {
		if !slices.Contains(want, k) && k != optional {
			t.Errorf("the schema does not know %q", k)
		}
	}
	for _, k := range want {
		if _, ok := got[k]; !ok {
			t.Errorf("the report lacks %q", k)
		}
	}
}

func TestSARIF(t *testing.T) {
	r := run(t, merge(t, read(t, "testdata/clean.yaml"), faulty), policy.Date{})
	var b bytes.Buffer
	if err := r.WriteSARIF(&b, "1.2.3", text.EN); err != nil {
		t.Fatal(err)
	}
	var log sarifLog
	if err := json.Unmarshal(b.Bytes(), &log); err != nil {
		t.Fatal(err)
	}
	if log.Version != "2.1.0" || len(log.Runs) != 1 || len(log.Runs[0].Tool.Driver.Rules) != len(Rules()) {
		t.Fatalf("not a log with every rule: %+v", log)
	}
	results := log.Runs[0].Results
	if len(results) != len(r.Findings) {
		t.Fatalf("%d results of %d findings", len(results), len(r.Findings))
	}
	for i, res := range results {
		f := r.Findings[i]
		if log.Runs[0].Tool.Driver.Rules[res.RuleIndex].ID != f.Rule || res.RuleID != f.Rule {
			t.Errorf("%s points at rule %d", f.Rule, res.RuleIndex)
		}
		if (f.Suppressed != nil) != (len(res.Suppressions) == 1) {
			t.Errorf("%s: suppressions %v", f.Rule, res.Suppressions)
		}
		if reg := res.Locations[0].Physical.Region; reg == nil || reg.Line != f.Pos.Line || reg.Column < 1 {
			t.Errorf("%s: region %+v", f.Rule, reg)
		}
	}
}

// The same declaration gives the same report, ordered by place.
func TestDeterministic(t *testing.T) {
	p := plan(t, merge(t, read(t, "testdata/clean.yaml"), faulty))
	l := packs(t, p)
	first := Run(p, l, p.Reviewed)
	for range 20 {
		if diff := cmp.Diff(first.Findings, Run(p, l, p.Reviewed).Findings); diff != "" {
			t.Fatal(diff)
		}
	}
	if !slices.IsSortedFunc(first.Findings, func(a, b Finding) int { return a.Pos.Line - b.Pos.Line }) {
		t.Error("not in the order of the file")
	}
}

// What rests on an unchecked value is never an error, and says so; TestExamples
// holds every finding against that. These rules are known to rest on one.
func TestRestsOnUnchecked(t *testing.T) {
	for _, id := range []string{"RE-05", "CK-05", "CO-08", "RT-04", "TR-03", "FO-04", "PR-07", "RE-09"} {
		r := run(t, merge(t, read(t, "testdata/clean.yaml"), Examples()[id].Trigger), policy.Date{})
		for _, f := range r.Findings {
			if f.Rule == id && !f.Unchecked {
				t.Errorf("%s at %s does not say that it rests on an unchecked value", id, f.Path)
			}
		}
	}
}

func TestSuppression(t *testing.T) {
	const gap = "purposes:\n  count: {refresh: null}\n  play: {refresh: null}\n"
	for _, c := range []struct {
		name, by   string
		asOf       string
		stands     []string // paths of CO-10 that stand
		complaints []string
	}{
		{"one place", `{rule: CO-10, path: purposes.count, reason: R, by: B, until: 2027-01-31}`, "", []string{"purposes.play"}, nil},
		{"everywhere", `{rule: CO-10, reason: R, by: B, until: 2027-01-31}`, "", nil, nil},
		{"below a place", `{rule: CO-10, path: purposes, reason: R, by: B, until: 2027-01-31}`, "", nil, nil},
		{"no half names", `{rule: CO-10, path: purposes.cou, reason: R, by: B, until: 2027-01-31}`, "", []string{"purposes.count", "purposes.play"}, []string{"SUP-02"}},
		{"last day", `{rule: CO-10, reason: R, by: B, until: 2026-12-01}`, "2026-12-01", nil, nil},
		{"run out", `{rule: CO-10, reason: R, by: B, until: 2026-12-01}`, "2026-12-02", []string{"purposes.count", "purposes.play"}, []string{"SUP-01"}},
		{"too long", `{rule: CO-10, reason: R, by: B, until: 2027-11-02}`, "", []string{"purposes.count", "purposes.play"}, []string{"SUP-01"}},
		{"no reason", `{rule: CO-10, reason: " ", by: B, until: 2027-01-31}`, "", []string{"purposes.count", "purposes.play"}, []string{"SUP-01"}},
		{"no such rule", `{rule: CO-99, reason: R, by: B, until: 2027-01-31}`, "", []string{"purposes.count", "purposes.play"}, []string{"SUP-01"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := run(t, merge(t, read(t, "testdata/clean.yaml"), gap+"suppress:\n  - "+c.by+"\n"), onDay(t, c.asOf))
			var stands, complaints []string
			for _, f := range r.Findings {
				switch {
				case f.Rule == "CO-10" && f.Suppressed == nil:
					stands = append(stands, f.Path)
				case strings.HasPrefix(f.Rule, "SUP-"):
					complaints = append(complaints, f.Rule)
				}
			}
			if !slices.Equal(stands, c.stands) || !slices.Equal(complaints, c.complaints) {
				t.Errorf("stands %v, want %v; complaints %v, want %v", stands, c.stands, complaints, c.complaints)
			}
		})
	}
}

// Every rule of the catalogue (108, and two about suppressions) is in the table once, with both languages.
func TestCatalogue(t *testing.T) {
	seen := map[string]bool{}
	checked := 0
	for _, r := range Rules() {
		if seen[r.ID] {
			t.Errorf("%s stands twice", r.ID)
		}
		seen[r.ID] = true
		if r.check != nil {
			checked++
		}
		for _, w := range []text.Text{r.Title, r.Message, r.Fix, r.Why} {
			if w[text.DA] == "" || w[text.EN] == "" || len(w) != 2 {
				t.Errorf("%s lacks a text: %v", r.ID, w)
			}
		}
		if (r.check == nil) != (r.Message[text.EN] == "–") && r.Needs == Declared {
			t.Errorf("%s: message %q", r.ID, r.Message[text.EN])
		}
	}
	if n := len(Rules()); n != 108+3+5 || checked < 90 {
		t.Errorf("%d rules, %d of them decided here", n, checked)
	}
}

// A rule that needs more than the declaration is never passed.
func TestNotObserved(t *testing.T) {
	r := run(t, read(t, "testdata/clean.yaml"), policy.Date{})
	for _, rule := range Rules() {
		if got := slices.Contains(r.NotObserved, rule.ID); got != (rule.Needs != Declared) {
			t.Errorf("%s, which needs %s: not observed is %v", rule.ID, rule.Needs, got)
		}
	}
}

func TestExplain(t *testing.T) {
	for _, r := range Rules() {
		for _, l := range text.Langs() {
			s, err := Explain(strings.ToLower(r.ID), l)
			if err != nil || !strings.Contains(s, r.Why.In(l)) || !strings.Contains(s, r.Article) {
				t.Errorf("%s in %s: %v %s", r.ID, l, err, s)
			}
		}
	}
	var b bytes.Buffer
	for _, id := range []string{"LB-04", "CO-02"} {
		for _, l := range text.Langs() {
			s, err := Explain(id, l)
			if err != nil {
				t.Fatal(err)
			}
			b.WriteString(s + "---\n")
		}
	}
	golden(t, "explain.txt", b.Bytes())
	if _, err := Explain("LB-99", text.EN); err == nil || !strings.Contains(err.Error(), `no rule "LB-99"`) {
		t.Errorf("LB-99: %v", err)
	}
}

func TestLIX(t *testing.T) {
	for _, c := range []struct {
		s    string
		want int
		n    int
	}{
		{"", 0, 0},
		{"Vi ses.", 2, 2},
		{"En kat sidder på en sten. Den er sort.", 4, 9},
		{"Personoplysninger behandles fortroligt.", 103, 3},
	} {
		if got, n := lix(c.s); got != c.want || n != c.n {
			t.Errorf("lix(%q) = %d of %d words, want %d of %d", c.s, got, n, c.want, c.n)
		}
	}
}

func TestWordsMatchWhole(t *testing.T) {
	for _, c := range []struct {
		s, phrase string
		want      bool
	}{
		{"sketche", "etc", false}, {"kage etc.", "etc", true}, {"osv", "osv", true}, {"mvå", "mv", false}, {"åmv", "mv", false}, {"a mv, b", "mv", true},
	} {
		if mentions(c.s, c.phrase) != c.want {
			t.Errorf("%q mentions %q: %v", c.s, c.phrase, !c.want)
		}
	}
	w := words()
	for host, want := range map[string]string{"connect.facebook.net": "Meta Pixel", "https://*.ytimg.com/vi": "YouTube", "notfacebook.net": "", "facebook.net.evil.test": ""} {
		got := ""
		if s := w.service([]string{host}); s != nil {
			got = s.Name
		}
		if got != want {
			t.Errorf("%s is %q, want %q", host, got, want)
		}
	}
}
