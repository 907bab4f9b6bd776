package policy

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tillid/tillid/internal/text"
)

// minimal is about the smallest declaration there is; %s takes more sections.
const minimal = `tillid: 1
law: [dk@2026.2]
reviewed: 2026-11-01
languages: [da, en]
controller:
  legal_name: Prøve ApS
  country: DK
`

func mustParse(t *testing.T, src string) *Plan {
	t.Helper()
	plan, problems := Parse("tillid.yaml", []byte(src), nil)
	for _, p := range problems {
		t.Error(p)
	}
	if t.Failed() {
		t.FailNow()
	}
	return plan
}

// Every problem of a broken declaration is reported at once, in the order of
// the file, with its place, the line and a remedy.
func TestProblems(t *testing.T) {
	files, err := filepath.Glob("testdata/problem/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	for _, name := range files {
		t.Run(filepath.Base(name), func(t *testing.T) {
			src, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			plan, problems := Parse(filepath.Base(name), src, testFiles{})
			if plan != nil {
				t.Error("there is a plan in spite of problems")
			}
			var have strings.Builder
			for _, p := range problems {
				have.WriteString(p.String())
			}
			golden(t, strings.TrimSuffix(name, ".yaml")+".txt", []byte(have.String()))
		})
	}
}

// testFiles are two files that the examples refer to.
type testFiles struct{}

func (testFiles) ReadFile(name string) ([]byte, error) {
	if name == "dpa.txt" || name == "lia.md" {
		return []byte(name), nil
	}
	return nil, os.ErrNotExist
}

// A value is taken as it is written, whatever YAML would make of it elsewhere.
func TestPlainValues(t *testing.T) {
	plan := mustParse(t, strings.Replace(minimal, "country: DK", "country: NO\n  cvr: 01234567\n  phone: +45 12345678", 1))
	if c := plan.Controller; c.Country != "NO" || c.CVR != "01234567" || c.Phone != "+45 12345678" {
		t.Errorf("have %+v", c)
	}
}

func TestPlacesOfPaths(t *testing.T) {
	plan := mustParse(t, minimal+`data:
  contact.email:
    label: {da: E-mail, en: E-mail}
purposes:
  answer:
    label: {da: Svare, en: Answer}
    legal_basis:
      art: 6.1.f
forms:
  contact:
    label: {da: Skriv, en: Write}
    purpose: answer
    fields:
      - name: email
        label: {da: E-mail, en: E-mail}
        data: contact.email
      - {name: copy, data: contact.email, label: {da: Kopi, en: Copy}}
`)
	for path, want := range map[string]string{
		"":                                     "1:1",
		"controller":                           "5:1",
		"controller.legal_name":                "6:15",
		"controller.dpo":                       "5:1", // not in the file: its parent
		"data.contact.email":                   "9:3",
		"data.contact.email.label.da":          "10:17",
		"purposes.answer.legal_basis":          "14:5",
		"purposes.answer.legal_basis.art":      "15:12",
		"purposes.answer.legal_basis.interest": "14:5",
		"forms.contact.fields[0].name":         "21:15",
		"forms.contact.fields[1].label.en":     "24:65",
		"forms.contact.fields[7].label":        "20:5",
		"retention.x":                          "1:1",
	} {
		pos := plan.At(path)
		if have := fmt.Sprintf("%d:%d", pos.Line, pos.Col); have != want || pos.File != "tillid.yaml" {
			t.Errorf("%q is at %s, want %s", path, have, want)
		}
	}
}

func TestMeant(t *testing.T) {
	for _, c := range []struct{ have, want string }{
		{"legal_bais", "Did you mean legal_basis?"},  // a letter is missing
		{"legal_baiss", "Did you mean legal_basis?"}, // two are swapped
		{"Label", "Did you mean label?"},
		{"purpose", "Did you mean purposes?"},
		{"xyz", "other"},
		{"d", "other"},
		{strings.Repeat("legal_basis", 100), "other"},
	} {
		if have := meant(c.have, []string{"legal_basis", "label", "purposes", "da", "en"}, "other"); have != c.want {
			t.Errorf("%.20q: %q, want %q", c.have, have, c.want)
		}
	}
}

func TestFormats(t *testing.T) {
	for format, cases := range map[string]struct{ good, bad []string }{
		"host":     {[]string{"www.example.dk", "localhost", "site.localhost:8080", "xn--kbmand-bya.example"}, []string{"", "WWW.example.dk", "https://example.dk", "example.dk/", "a..b", "-a.dk", "example.dk:0", "example.dk:99999", "køb.dk", "a b"}},
		"source":   {[]string{"www.example.dk", "*.example.dk", "https://example.dk/a/b", "wss://x.example"}, []string{"*", "'self'", "example.dk; script-src *", "a,b", "https:", "data:"}},
		"url":      {[]string{"https://example.dk", "http://127.0.0.1:8081"}, []string{"example.dk", "ftp://example.dk", "https://", "javascript:alert(1)", "https://user:pass@example.dk"}},
		"email":    {[]string{"kontakt@example.dk", "a+b@sub.example.dk"}, []string{"kontakt", "a@b", "A <a@example.dk>", "a@[127.0.0.1]", "a@example.dk, b@example.dk", "a@example.dk\r\nBcc: b@example.dk"}},
		"path":     {[]string{"a.txt", "dpa/a.txt"}, []string{"", ".", "/etc/passwd", "../a", "a/../b", "a/./b", "a//b", `a\b`, "c:a", "a/"}},
		"document": {[]string{"lia/a.md", "https://example.dk/a", "DPF list, entry 12"}, []string{"", "../a.md", "/a.md"}},
		"sha256":   {[]string{strings.Repeat("0a", 32)}, []string{strings.Repeat("0A", 32), "0a"}},
		"country":  {[]string{"DK", "US", "GB", "FO", "GL"}, []string{"UK", "dk", "EU", "XX", "DNK", "Danmark"}},
		"cvr":      {[]string{"12345678"}, []string{"1234567", "DK12345678"}},
		"phone":    {[]string{"+45 12 34 56 78"}, []string{"ring til os", "1"}},
		"name":     {[]string{"email", "first_name2"}, []string{"E-mail", "2a", ""}},
		"colour":   {[]string{"#0b5d5b"}, []string{"green", "#fff", "#0b5d5b;"}},
		"pattern":  {[]string{`^\d{4}$`}, []string{"(", strings.Repeat("a", 201)}},
		"law":      {[]string{"dk@2026.2", "eu-gdpr@2026.12"}, []string{"dk", "dk@", "dk@2026"}},
		"event":    {[]string{"received", "case.closed"}, []string{"when the case is closed", "Received", "case."}},
	} {
		for _, s := range cases.good {
			if hint := wrongFormat(format, s); hint != "" {
				t.Errorf("%s refuses %q: %s", format, s, hint)
			}
		}
		for _, s := range cases.bad {
			if wrongFormat(format, s) == "" {
				t.Errorf("%s takes %q", format, s)
			}
		}
	}
}

// Two hundred problems are shown, and how many more there are.
func TestManyProblems(t *testing.T) {
	var b strings.Builder
	for i := range 500 {
		fmt.Fprintf(&b, "unknown%d: 1\n", i)
	}
	_, problems := Parse("tillid.yaml", []byte(minimal+b.String()), nil)
	if len(problems) != maxProblems+1 || !strings.Contains(problems[maxProblems].Msg, "more problems") {
		t.Errorf("%d problems, the last %q", len(problems), problems[len(problems)-1].Msg)
	}
}

// A text in every language of the program can be declared.
func TestLanguagesOfTexts(t *testing.T) {
	for _, l := range text.Langs() {
		plan := mustParse(t, minimal+fmt.Sprintf("people:\n  visitor: {label: {%s: hej}}\n", l))
		if have := plan.People[0].Label[l]; have != "hej" {
			t.Errorf("%s: %q", l, have)
		}
	}
}
