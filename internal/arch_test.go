package internal_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/tillid/tillid"

// layers lists every package from the ground up. A package may import only
// packages in layers below its own, so features never import each other.
// Packages that only tests import stand in the layer named testing.
var layers = [][]string{
	{"internal/fault", "internal/text", "examples/eksempel"},
	{"internal/law"},
	{"internal/policy", "internal/db"},
	{"internal/lint", "internal/job", "internal/ledger", "internal/known", "internal/db/dbtest"},
	{"internal/web", "internal/subject", "internal/version"},
	{"internal/mail", "internal/file", "internal/mail/mailtest"},
	{"internal/connect"},
	{"internal/erase"},
	{"internal/staff"},
	{
		"internal/gateway", "internal/consent", "internal/intake", "internal/request", "internal/retain", "internal/breach",
		"internal/publish", "internal/scan", "internal/connect/desk", "internal/demosite", "internal/backup",
	},
	{"internal/app"},
	{"cmd/tillid"},
	{"e2e", "scripts/freeport"},
}

// modules are the modules the program may ask for by name, each with what it is for.
var modules = map[string]string{
	"github.com/andybalholm/brotli":            "reads pages that a site sends in br",
	"github.com/klauspost/compress":            "reads pages that a site sends in zstd",
	"codeberg.org/go-pdf/fpdf":                 "PDF of the documents, in pure Go",
	"filippo.io/age":                           "encrypts backups to whoever may open them",
	"github.com/BurntSushi/toml":               "catalogue files",
	"github.com/chromedp/cdproto":              "the scanner: the browser's protocol",
	"github.com/chromedp/chromedp":             "the scanner: real Chromium",
	"github.com/emersion/go-imap/v2":           "reads the mailbox",
	"github.com/emersion/go-message":           "reads mail",
	"github.com/emersion/go-smtp":              "the demo's mail room, a real SMTP server",
	"github.com/google/go-cmp":                 "tests: differences of big structs",
	"github.com/PuerkitoBio/goquery":           "tests: pages by selector",
	"github.com/jackc/pgx/v5":                  "PostgreSQL",
	"github.com/jba/templatecheck":             "tests: templates type-checked",
	"github.com/nicksnyder/go-i18n/v2":         "catalogues, plurals",
	"github.com/pressly/goose/v3":              "migrations",
	"github.com/prometheus/client_golang":      "metrics",
	"github.com/rogpeppe/go-internal":          "the scanner's patches; tests: the command line as scripts",
	"github.com/santhosh-tekuri/jsonschema/v6": "tests: published schemas",
	"github.com/spf13/cobra":                   "command line",
	"github.com/spf13/pflag":                   "the command line's flags; part of cobra",
	"github.com/transparency-dev/formats":      "tests: checkpoints read by others",
	"github.com/transparency-dev/merkle":       "tests: proofs checked by others",
	"github.com/wneessen/go-mail":              "sends mail",
	"github.com/yuin/goldmark":                 "Markdown in publish",
	"go.yaml.in/yaml/v4":                       "declaration files",
	"golang.org/x/crypto":                      "argon2id",
	"golang.org/x/mod":                         "Merkle log: tlog and note",
	"golang.org/x/net":                         "HTML tokenizer, IDNA, public suffixes",
	"golang.org/x/text":                        "languages, normal forms",
	"golang.org/x/time":                        "rate limits",
	"modernc.org/sqlite":                       "SQLite in pure Go",
	"pgregory.net/rapid":                       "tests: properties",
}

// The test reads the files itself and does not run "go list": the test cache
// knows about files that a test opens, but not about programs it runs.
func TestLayers(t *testing.T) {
	level := map[string]int{}
	for i, packages := range layers {
		for _, p := range packages {
			level[p] = i
		}
	}
	eachGoFile(t, func(name string) {
		if strings.HasSuffix(name, "_test.go") {
			return
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		pkg := path.Dir(filepath.ToSlash(strings.TrimPrefix(name, ".."+string(filepath.Separator))))
		at, ok := level[pkg]
		if !ok {
			t.Errorf("%s has no layer: give it one in internal/arch_test.go", pkg)
			return
		}
		for _, spec := range file.Imports {
			imp, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			rest, ours := strings.CutPrefix(imp, module+"/")
			if ours && level[rest] >= at {
				t.Errorf("%s (layer %d) imports %s (layer %d)", name, at, rest, level[rest])
			}
		}
	})
}

func eachGoFile(t *testing.T, f func(name string)) {
	t.Helper()
	err := filepath.WalkDir("..", func(name string, e fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(name, ".go") {
			f(name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestModules(t *testing.T) {
	b, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	var seen []string
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(strings.TrimPrefix(strings.TrimSpace(line), "require "))
		if len(f) == 2 && strings.HasPrefix(f[1], "v") { // direct: no "// indirect" behind
			seen = append(seen, f[0])
			if modules[f[0]] == "" {
				t.Errorf("module %s is not on the list in internal/arch_test.go", f[0])
			}
		}
	}
	for m := range modules {
		if !slices.Contains(seen, m) {
			t.Errorf("module %s is on the list, but go.mod does not ask for it", m)
		}
	}
}

// Function bodies that only panic are contracts that nobody kept.
func TestNothingUnwritten(t *testing.T) {
	eachGoFile(t, func(name string) {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if filepath.Base(name) != "arch_test.go" && strings.Contains(string(b), `writes this")`) {
			t.Errorf("%s has an unwritten function", name)
		}
	})
}
