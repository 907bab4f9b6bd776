package publish

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"path"
	"strings"

	"github.com/tillid/tillid/internal/text"
	"github.com/tillid/tillid/internal/version"
	"github.com/tillid/tillid/internal/web"
)

//go:embed document/document.html page/_blocks.html
var documentFiles embed.FS

//go:embed document/document.css
var documentStyle []byte

// URL is the sentence's link as it may stand in a page; "" for a scheme that
// no document uses.
func (s Sentence) URL() template.URL { //nolint:forbidigo // publish makes the documents
	for _, scheme := range []string{"/", "#", "https://", "http://", "mailto:", "tel:"} {
		if strings.HasPrefix(s.Href, scheme) {
			return template.URL(s.Href) //nolint:gosec,forbidigo // the schemes are checked above
		}
	}
	return ""
}

// Ends reports whether the sentence ends with a mark, so that the next one may
// follow on the same line.
func (s Sentence) Ends() bool {
	return !s.Line && s.Text != "" && strings.ContainsAny(s.Text[len(s.Text)-1:], ".:!?,")
}

// frame is everything around a document on its archived page. It depends only
// on the version, so that the live page and the archived one are the same bytes.
type frame struct {
	*Document
	Brand, Logo, Style string
	Number             int
	Hash               string // of the declaration
	From               string
	Others             []tie
	Formats            []tie
	Nav                []tie
	Short, Rest        []Section
	Contents           []Section
}

// tie is a link of the frame.
type tie struct {
	Name, Href string
	Lang       text.Lang
	Here       bool
}

// assetPath is where style sheets and logos of versions are served, by digest.
const assetPath = "/privacy/asset/"

func documentTemplate(l text.Lang) (*template.Template, error) {
	return template.New("document.html").Funcs(template.FuncMap{
		"dir": func() string { return text.Dir(l) },
		"t":   func(id string, kv ...any) string { return text.T(l, id, kv...) },
	}).ParseFS(documentFiles, "document/document.html", "page/_blocks.html")
}

// html renders the complete page of a document.
func (e *edition) html(d *Document) ([]byte, error) {
	t, err := documentTemplate(d.Lang)
	if err != nil {
		return nil, fmt.Errorf("parse document page: %w", err)
	}
	f := frame{
		Document: d, Brand: e.plan.Controller.LegalName, Logo: e.logoURL, Style: e.styleURL, Number: e.version.Number, Hash: e.plan.Hash,
		From:    text.Date(d.Lang, e.version.EffectiveAt.In(e.zone())),
		Formats: []tie{{Name: "PDF", Href: filePath(e.version.Number, d.Name, d.Lang, "pdf")}, {Name: "Markdown", Href: filePath(e.version.Number, d.Name, d.Lang, "md")}},
		Nav:     nav(d), Rest: d.Sections,
	}
	if !isAgreement(d.Name) {
		f.Formats = append(f.Formats, tie{Name: text.T(d.Lang, "publish.page.versions"), Href: versionsPath})
	}
	if len(d.Sections) > 0 && d.Name == "policy" {
		f.Short, f.Rest = d.Sections[:1], d.Sections[1:]
	}
	for _, s := range f.Rest {
		if s.Level == 2 {
			f.Contents = append(f.Contents, s)
		}
	}
	for _, l := range e.plan.Languages {
		f.Others = append(f.Others, tie{Name: text.T(l, "publish.page.language"), Lang: l, Here: l == d.Lang, Href: pagePath(e.version.Number, d.Name, l)})
	}
	if len(f.Others) == 1 {
		f.Others = nil
	}
	var b bytes.Buffer
	if err := t.Execute(&b, f); err != nil {
		return nil, fmt.Errorf("render %s in %s: %w", d.Name, d.Lang, err)
	}
	return b.Bytes(), nil
}

// nav is the footer's way between the pages under /privacy; from an agreement,
// which stands in the Backoffice, back to Support.
func nav(d *Document) []tie {
	if isAgreement(d.Name) {
		return []tie{{Name: text.T(d.Lang, "publish.support.back"), Href: supportPath}}
	}
	var ties []tie
	for _, n := range []struct{ name, href string }{
		{"policy", policyPath}, {"cookies", cookiePath}, {"browsers", browserPath},
		{"choices", choicesPath}, {"me", portalPath}, {"versions", versionsPath},
	} {
		ties = append(ties, tie{Name: text.T(d.Lang, "publish.nav."+n.name), Href: n.href, Here: n.name == d.Name})
	}
	return ties
}

// filePath is the address of an archived file, for ever.
func filePath(number int, document string, l text.Lang, format string) string {
	base := versionsPath
	if isAgreement(document) {
		base = supportPath
	}
	return fmt.Sprintf("%s/%d/%s", base, number, version.ShownName(document, l, format))
}

// pagePath is the address of a version's page in a language: that of today's
// text while the version is in force, its archived one later.
func pagePath(number int, document string, l text.Lang) string {
	if isAgreement(document) {
		return filePath(number, document, l, "html")
	}
	return fmt.Sprintf("%s/%d/%s?lang=%s", versionsPath, number, document, l)
}

// assets are the style sheet and logo that the pages of a version need.
func (e *edition) assets() []version.Shown {
	css := append(web.PublicStyle(e.plan.Controller.Accent), documentStyle...)
	shown := []version.Shown{{Document: "style", Format: "css", Content: css}}
	e.styleURL = assetPath + digest(css) + ".css"
	if name := e.plan.Controller.Logo; name != "" {
		format := strings.TrimPrefix(strings.ToLower(path.Ext(name)), ".")
		if b, err := e.version.Files.ReadFile(name); err == nil && (format == "svg" || format == "png") {
			shown = append(shown, version.Shown{Document: "logo", Format: format, Content: b})
			e.logoURL = assetPath + digest(b) + "." + format
		}
	}
	return shown
}
