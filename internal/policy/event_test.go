package policy

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Each event that the table gives to a package stands in that package's code, and
// an executor is a package that holds records. Rows: E2.
func TestEventsAreEmitted(t *testing.T) {
	for _, e := range Events() {
		if e.EmittedBy != "" && !mentions(t, e.EmittedBy, `"`+e.Name+`"`) {
			t.Errorf("package %s does not speak of %s", e.EmittedBy, e.Name)
		}
		if wrongFormat("event", e.Name) != "" || e.Means == "" {
			t.Errorf("%+v cannot be declared or says nothing", e)
		}
	}
	if _, ok := EventNamed("no.such.event"); ok {
		t.Error("there is an event that is not in the table")
	}
}

func TestExecutors(t *testing.T) {
	plan := mustParse(t, example(t))
	for _, p := range plan.Purposes {
		e, ok := plan.ExecutorOf(p.ID)
		if ok && !mentions(t, e.Package, "Tables() []subject.Table") {
			t.Errorf("%s is left to %s, which holds nothing", p.ID, e.Package)
		}
		for _, r := range plan.RulesFor(p.ID) {
			if !ok && r.Executor != "manual" {
				t.Errorf("nothing executes %s", r.ID)
			}
		}
	}
	for _, purpose := range []string{plan.ChoicePurpose(), plan.RightsPurpose()} {
		if plan.Purpose(purpose) == nil {
			t.Errorf("there is no purpose %q", purpose)
		}
	}
}

// mentions reports whether the code of a package, without its tests, holds s.
func mentions(t *testing.T, pkg, s string) bool {
	t.Helper()
	files, err := filepath.Glob("../" + pkg + "/*.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("no package %s: %v", pkg, err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(name, "_test.go") && strings.Contains(string(b), s) {
			return true
		}
	}
	return false
}
