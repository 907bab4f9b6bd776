//go:build e2e

package e2e

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
)

// notPages are addresses that answer something else than a page to look at: a
// part of a pattern, with what it is. Every other address that the program
// answers GET on must be among the pages that TestPages looks at.
var notPages = map[string]string{
	"/_tillid/":                            "what programs read: scripts, styles, the log's tiles, health",
	"/.well-known/":                        "what programs read",
	"/privacy/{document}.{format}":         "the document itself as a file: publish's golden files and TestPrint",
	"/privacy/versions/{number}/{file}":    "an old document as a file",
	"/versions/{number}/{file}":            "an old document as a file",
	"/support/agreement/{number}/{file}":   "the agreement as a file: TestPrint",
	"/privacy/me/data.json":                "a file",
	"/privacy/me/data.html":                "a file",
	"/privacy/me/data.zip":                 "a file",
	"/privacy/me/file/{record}/{file}":     "what somebody attached",
	"/privacy/thanks/{token}/receipt.json": "a file",
	"/privacy/certificate/{id}/file":       "a file",
	"/erasures/{id}/certificate":           "a file",
	"/declaration/style.css":               "a style",
	"/metrics":                             "what programs read",
	"/desk.css":                            "a style",
	"/privacy/asset/{file}":                "the style and icons of published documents",
	"/tickets":                             "the simulated processor's API",
	"/site.css":                            "a style",
	"/menu.js":                             "a script",
	"/privacy/choices/receipt/{ticket}":    "a file",
	"/breaches/{id}/report.json":           "a file",
	"/calendar/{token}":                    "a calendar that programs read",
	"/privacy/me/portable.json":            "a file",
	"/privacy/access-pack.schema.json":     "what programs read",
	"/restricted/{record}":                 "a question on the way to a restricted record, whose address is made on the way: request's TestRestriction",
	"/scan/{site}/{file}":                  "a file",
	"/enquiries/{id}/file/{file}":          "what somebody attached",
	"/requests/{id}/printed/{event}":       "a letter on paper, for who has no address on file: internal/request reads it",
	"/welcome/{token}":                     "looked at as bo-welcome, whose address is made on the way",
}

// TestEveryRouteIsLookedAt reads the program's routes from its source: a new page
// without an entry among the pages that are looked at fails here.
func TestEveryRouteIsLookedAt(t *testing.T) {
	d := startDemo(t)
	set := stage(t, d)
	for folder, patterns := range routes(t) {
		mux := http.NewServeMux()
		seen := map[string]bool{}
		patterns = slices.DeleteFunc(patterns, listed)
		for _, p := range patterns {
			mux.HandleFunc(p, func(http.ResponseWriter, *http.Request) {})
		}
		for _, s := range set {
			path, _, _ := strings.Cut(s.path, "?")
			if r, err := http.NewRequest(http.MethodGet, "http://host"+path, nil); err == nil && s.path != "" {
				_, p := mux.Handler(r)
				seen[p] = true
			}
		}
		for _, p := range patterns {
			if !seen[p] {
				t.Errorf("%s answers %q, and nobody looks at it: add it to stage (e2e/screenshot_test.go), or say in notPages what it is", folder, p)
			}
		}
	}
	d.lettersLead(t)
}

// lettersLead follows every link of every letter in the demo's mail room: each
// leads to a page of the demo.
func (d *demo) lettersLead(t *testing.T) {
	t.Helper()
	v, links := d.visitor(t, "da"), 0
	for _, letter := range v.get("mail", "/").page(t).Find("td a").EachIter() {
		page := v.get("mail", letter.AttrOr("href", "")).page(t)
		for _, a := range page.Find(`article a[href]`).EachIter() {
			at, err := url.Parse(a.AttrOr("href", ""))
			if err != nil || at.Scheme == "mailto" {
				continue
			}
			if at.Host == "www.datatilsynet.dk" {
				continue // the authority that the declaration names
			}
			host, ok := strings.CutSuffix(at.Host, ".localhost:"+d.port)
			if !ok || at.Scheme != "http" {
				t.Errorf("the letter %q leads to %s, which is not the demo", letter.Text(), at)
				continue
			}
			links++
			if got := v.get(host, at.RequestURI()); got.StatusCode != http.StatusOK && got.StatusCode != http.StatusGone { // a newer link makes older ones useless
				t.Errorf("the letter %q leads to %s: %d", letter.Text(), at, got.StatusCode)
			}
		}
	}
	if links < 8 {
		t.Errorf("only %d links in the letters", links)
	}
}

func listed(pattern string) bool {
	path := strings.TrimPrefix(pattern, "GET ")
	for p := range notPages {
		if path == p || strings.HasSuffix(p, "/") && strings.HasPrefix(path, p) {
			return true
		}
	}
	return false
}

// routes returns every GET pattern in the source below internal, by folder.
func routes(t *testing.T) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	err := filepath.WalkDir("../internal", func(name string, e fs.DirEntry, err error) error {
		if err != nil || !e.IsDir() {
			return err
		}
		if found := routesOf(t, name); len(found) > 0 {
			all[name] = found
		}
		return nil
	})
	if err != nil || len(all) < 8 {
		t.Fatalf("routes of %d packages: %v", len(all), err)
	}
	return all
}

func routesOf(t *testing.T, folder string) (patterns []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var parsed []*ast.File
	consts := map[string]ast.Expr{}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		parsed = append(parsed, f)
		for _, d := range f.Decls {
			if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.CONST {
				for _, s := range g.Specs {
					v := s.(*ast.ValueSpec)
					for i := range min(len(v.Names), len(v.Values)) {
						consts[v.Names[i].Name] = v.Values[i]
					}
				}
			}
		}
	}
	found := map[string]bool{}
	for _, f := range parsed {
		ast.Inspect(f, func(n ast.Node) bool {
			x, ok := n.(ast.Expr)
			if !ok {
				return true
			}
			value, known := constant(x, consts)
			if !strings.HasPrefix(value, "GET ") {
				return true
			}
			if known && !found[value] && strings.HasPrefix(value, "GET /") {
				found[value] = true
				patterns = append(patterns, value)
			}
			return false // the parts of this pattern are no patterns
		})
	}
	return patterns
}

// constant evaluates literals, constants of the package, and what is made of
// them with +. What only the running program knows is written in braces and not known.
func constant(x ast.Expr, consts map[string]ast.Expr) (value string, known bool) {
	switch x := x.(type) {
	case *ast.BasicLit:
		s, err := strconv.Unquote(x.Value)
		return s, err == nil && x.Kind == token.STRING
	case *ast.Ident:
		if v, ok := consts[x.Name]; ok {
			return constant(v, consts)
		}
		return "{" + x.Name + "}", false
	case *ast.BinaryExpr:
		left, ok := constant(x.X, consts)
		right, also := constant(x.Y, consts)
		return left + right, ok && also && x.Op == token.ADD
	}
	return "", false
}

// mistakes of one page, as a script in the page finds them.
type mistakes struct {
	Wide  int64    `json:"wide"`
	Texts []string `json:"texts"` // what a person reads, and what a screen reader says
	Axe   []string `json:"axe"`
}

// judge asks axe-core and collects the texts of a page that are in the page's own
// language: what is marked with another language, written by people, or code is not.
const judge = `(async () => {
	const own = document.documentElement.lang.slice(0, 2), texts = [];
	const foreign = e => { const l = e && e.closest('[lang]'); return l && l.lang.slice(0, 2) !== own || e && e.closest('code, pre, .pre, script, style, noscript, svg, iframe, .mono'); };
	const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	while (walk.nextNode()) { const s = walk.currentNode.nodeValue.trim(); if (s && !foreign(walk.currentNode.parentElement)) texts.push(s); }
	for (const e of document.querySelectorAll('[aria-label], [title], [placeholder], [alt], [data-label]'))
		for (const a of ['aria-label', 'title', 'placeholder', 'alt', 'data-label']) if (e.getAttribute(a) && !foreign(e)) texts.push(e.getAttribute(a));
	texts.push(document.title);
	if (!window.axe) return {wide: document.documentElement.scrollWidth, texts, axe: []};
	const result = await axe.run(document, {iframes: false, resultTypes: ['violations']});
	return {wide: document.documentElement.scrollWidth, texts, axe: result.violations.map(v => v.id + ': ' + v.help + ': ' + v.nodes.slice(0, 3).map(n => n.target.join(' ') + ' (' + n.any.concat(n.all, n.none).map(c => c.message).join('; ') + ')').join(' | '))};
})()`

// judged checks one page that is open in b: no sideways scrolling, nothing that
// axe-core finds, no word of the other language.
func (b *browser) judged(name string, l look, other map[string]bool) {
	b.t.Helper()
	script := judge
	if l.dark == (l.width > 600) { // one of two languages is enough: the pages are built alike
		script = axe(b.t) + "\n;" + judge
	}
	m := run[mistakes](b, script)
	if m.Wide > l.width {
		b.t.Errorf("%s is %d px wide", name, m.Wide)
	}
	for _, v := range m.Axe {
		b.t.Errorf("%s: axe: %s", name, v)
	}
	for _, s := range m.Texts {
		if other[s] && s != "English" && s != "Dansk" || strings.Contains(s, "⟦") || stopwords[l.lang].MatchString(s) {
			b.t.Errorf("%s speaks another language than %s: %q", name, l.lang, s)
		}
	}
}

// stopwords of a language's other: two in one text are no accident.
var stopwords = map[string]*regexp.Regexp{
	"da": regexp.MustCompile(`(?i)\b(the|and|of|is|are|with|your|this|that|which|what|when)\b.*\b(the|and|of|is|are|with|your|this|that|which|what|when)\b`),
	"en": regexp.MustCompile(`(?i)(^|\s)(og|ikke|det|der|er|på|din|dine|som|hvad|når|af)\s.*\s(og|ikke|det|der|er|på|din|dine|som|hvad|når|af)\s`),
}

func axe(t testing.TB) string {
	t.Helper()
	b, err := os.ReadFile("testdata/axe/axe.min.js")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// onlyIn returns the whole texts that the catalogues of a language have and the
// other's have not.
func onlyIn(t testing.TB, lang, other string) map[string]bool {
	t.Helper()
	texts, others := catalogue(t, lang), catalogue(t, other)
	for s := range texts {
		if others[s] || len(s) < 4 || strings.Contains(s, "{{") {
			delete(texts, s)
		}
	}
	return texts
}

func catalogue(t testing.TB, lang string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob("../internal/text/locale/*." + lang + ".toml")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	texts := map[string]bool{}
	for _, name := range files {
		var all map[string]any
		if _, err := toml.DecodeFile(name, &all); err != nil {
			t.Fatal(err)
		}
		for _, v := range all {
			texts[fmt.Sprint(v)] = true
		}
	}
	return texts
}
