package lint

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/text"
)

// merge applies a merge patch (RFC 7396) to a declaration.
func merge(t testing.TB, src []byte, patch string) []byte {
	t.Helper()
	var doc, p yaml.Node
	if err := yaml.Unmarshal(src, &doc); err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal([]byte(patch), &p); err != nil {
		t.Fatalf("%v in\n%s", err, patch)
	}
	if len(p.Content) == 1 {
		mergeNode(doc.Content[0], p.Content[0])
	}
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	if err := e.Encode(&doc); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func mergeNode(into, patch *yaml.Node) {
	into.Style = 0
	for i := 0; i+1 < len(patch.Content); i += 2 {
		key, value := patch.Content[i], patch.Content[i+1]
		at := keyIndex(into, key.Value)
		switch {
		case value.Tag == "!!null" && at < 0:
		case value.Tag == "!!null":
			into.Content = slices.Delete(into.Content, at, at+2)
		case at < 0:
			into.Content = append(into.Content, key, value)
		case value.Kind == yaml.MappingNode && into.Content[at+1].Kind == yaml.MappingNode:
			mergeNode(into.Content[at+1], value)
		default:
			into.Content[at+1] = value
		}
	}
}

func keyIndex(n *yaml.Node, key string) int {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return i
		}
	}
	return -1
}

// Every rule that the declaration decides has a change that triggers it, where
// it is said to, and one that comes close and does not. Both stay declarations.
// Rows: A1, C1, E2, E5, E6.
func TestExamples(t *testing.T) {
	clean := read(t, "testdata/clean.yaml")
	for _, r := range Rules() {
		e, ok := Examples()[r.ID]
		if r.check == nil {
			if ok {
				t.Errorf("%s is not decided here, but has an example", r.ID)
			}
			continue
		}
		if !ok || e.Trigger == "" || e.Clear == "" || e.At == "" {
			t.Errorf("%s lacks an example", r.ID)
			continue
		}
		t.Run(r.ID+"/trigger", func(t *testing.T) {
			withCatalogue(t, e.Catalogue)
			report := run(t, merge(t, clean, e.Trigger), onDay(t, e.AsOf))
			for _, f := range report.Findings {
				sound(t, f)
			}
			if !slices.ContainsFunc(report.Findings, func(f Finding) bool { return f.Rule == r.ID && f.Path == e.At && f.Suppressed == nil }) {
				t.Errorf("not found at %s; found %s", e.At, short(report))
			}
		})
		t.Run(r.ID+"/clear", func(t *testing.T) {
			withCatalogue(t, e.ClearCatalogue)
			report := run(t, merge(t, clean, e.Clear), onDay(t, e.ClearAsOf))
			if slices.ContainsFunc(report.Findings, func(f Finding) bool { return f.Rule == r.ID && f.Suppressed == nil }) {
				t.Errorf("found %s", short(report))
			}
		})
	}
}

var unfilled = regexp.MustCompile(`\{[a-z]+\}|⟦`)

// sound holds a finding against what every finding promises: no value left
// unfilled, and nothing that rests on an unchecked value refuses or hides it.
func sound(t *testing.T, f Finding) {
	t.Helper()
	for l, s := range f.Message {
		if unfilled.MatchString(s) || unfilled.MatchString(f.Fix[l]) {
			t.Errorf("%s says %q, %q", f.Rule, s, f.Fix[l])
		}
		if f.Unchecked && (f.Severity == Error || !strings.HasSuffix(s, uncheckedNote[l])) {
			t.Errorf("%s rests on an unchecked value: %s %q", f.Rule, f.Severity, s)
		}
	}
}

// withCatalogue adds German for the time of a test.
func withCatalogue(t *testing.T, catalogue string) {
	t.Helper()
	if catalogue == "" {
		return
	}
	remove, err := text.Add("de.toml", []byte(catalogue))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(remove)
}

// onDay reads the day of an example; none means the declaration's own.
func onDay(t *testing.T, s string) (d policy.Date) {
	t.Helper()
	if s == "" {
		return d
	}
	d, err := policy.ParseDate(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// short lists the standing findings of a report, a line each.
func short(r Report) string {
	var b bytes.Buffer
	for _, f := range r.Findings {
		if f.Suppressed == nil {
			b.WriteString("\n  " + string(f.Severity) + " " + f.Rule + " " + f.Path + ": " + f.Message["en"])
		}
	}
	return b.String()
}
