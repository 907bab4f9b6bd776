package lint

import (
	"embed"
	"fmt"
	"slices"
	"strings"
	"sync"

	"go.yaml.in/yaml/v4"

	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/text"
)

//go:embed example/*.yaml
var exampleFiles embed.FS

// Example holds for one rule a change to the clean declaration of the tests that
// triggers it, and one that comes close and does not. A change is a merge patch
// (RFC 7396): null takes a key away.
type Example struct {
	Trigger   string `yaml:"trigger"`
	Clear     string `yaml:"clear"`
	At        string `yaml:"at"`    // path of the finding that the trigger gives
	AsOf      string `yaml:"as_of"` // days of the two runs, when they are not the declaration's own
	ClearAsOf string `yaml:"clear_as_of"`

	// Catalogues of a further language under which the two are run, when the rule is
	// about one: LANG.toml.
	Catalogue      string `yaml:"catalogue"`
	ClearCatalogue string `yaml:"clear_catalogue"`
}

// Examples returns the examples by rule. Rules that need more than the declaration have none.
func Examples() map[string]Example { return examples() }

var examples = sync.OnceValue(func() map[string]Example {
	all := map[string]Example{}
	entries, err := exampleFiles.ReadDir("example")
	if err != nil {
		panic(err) // embedded
	}
	for _, e := range entries {
		b, err := exampleFiles.ReadFile("example/" + e.Name())
		if err == nil {
			err = yaml.Unmarshal(b, &all)
		}
		if err != nil {
			panic(fmt.Sprintf("lint: %s: %v", e.Name(), err))
		}
	}
	return all
})

var (
	explainArticle = both("Hjemmel", "Law")
	explainWhy     = both("Hvorfor", "Why")
	explainFix     = both("Gør sådan", "Fix")
	explainExample = both("Eksempel, der udløser den", "Example that triggers it")
	explainClear   = both("Eksempel, der ikke gør", "Example that does not")
	explainNeeds   = map[Needs]text.Text{
		Declared: both("Afgøres ud fra erklæringen og lovpakkerne.", "Decided from the declaration and the law packs."),
		Observed: both("Kræver, at nogen ser på det kørende system; indtil da meldes »ikke observeret«.", "Needs somebody to look at the running system; until then it reports “not observed”."),
		History:  both("Kræver kørsler, leverancer og tidligere versioner; indtil da meldes »ikke observeret«.", "Needs runs, deliveries and earlier versions; until then it reports “not observed”."),
	}
)

// Explain returns the long text about a rule: what it forbids, by what law, why,
// what to do, and an example. An unknown id is a fault with the nearest one.
func Explain(id string, l text.Lang) (string, error) {
	r := rule(strings.ToUpper(id))
	if r == nil {
		return "", unknownRule(id)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s (%s)\n\n", r.ID, r.Title.In(l), severityWord[r.Severity].In(l))
	if r.check != nil && r.Message.In(l) != "–" {
		fmt.Fprintf(&b, "%s\n", r.Message.In(l))
	}
	fmt.Fprintf(&b, "%s\n\n", explainNeeds[r.Needs].In(l))
	for _, part := range []struct{ head, says text.Text }{
		{explainArticle, both(r.Article, r.Article)}, {explainWhy, r.Why}, {explainFix, r.Fix},
	} {
		fmt.Fprintf(&b, "%s: %s\n", part.head.In(l), part.says.In(l))
	}
	if e, ok := examples()[r.ID]; ok {
		fmt.Fprintf(&b, "\n%s:\n\n%s\n%s:\n\n%s", explainExample.In(l), indent(e.Trigger), explainClear.In(l), indent(e.Clear))
	}
	return b.String(), nil
}

func indent(s string) string {
	var b strings.Builder
	for line := range strings.Lines(s) {
		b.WriteString("    " + line)
	}
	return b.String()
}

func unknownRule(id string) error {
	err := fault.New(fault.NotFound, "There is no rule %q.", id)
	family := strings.TrimRight(strings.ToUpper(id), "-0123456789")
	var same []string
	for _, r := range Rules() {
		if strings.EqualFold(strings.ReplaceAll(r.ID, "-", ""), id) {
			return err.WithHint("Did you mean %s?", r.ID)
		}
		if strings.HasPrefix(r.ID, family+"-") {
			same = append(same, r.ID)
		}
	}
	slices.Sort(same)
	if len(same) == 0 {
		return err.WithHint("tillid explain --list shows them all.")
	}
	return err.WithHint("Did you mean one of %s?", strings.Join(same, ", "))
}
