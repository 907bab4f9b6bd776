package consent

import (
	"html/template"
	"net/http"
	"slices"
	"strings"

	"github.com/tillid/tillid/internal/text"
)

var embedTemplate = template.Must(template.New("embed").Parse(
	`<div class="tillid-embed"{{with .Lang}} lang="{{.}}"{{end}}><svg class="tillid-size" width="{{.Width}}" height="{{.Height}}" viewBox="0 0 {{.Width}} {{.Height}}" aria-hidden="true"></svg>` +
		`<div class="tillid-box">{{with .Title}}<p><strong>{{.}}</strong></p>{{end}}<p>{{.Text}}</p>` +
		`{{if .Service}}<p><button type="submit" form="tillid-show" name="service" value="{{.Service}}" data-tillid-show="{{.Service}}" data-failed="{{.Failed}}">{{.Show}}</button></p>` +
		`<p><a href="` + choicesPath + `?lang={{.Lang}}">{{.Choices}}</a></p>{{end}}</div></div>`))

// Placeholder returns what stands where an embed would be: what it is, who gets
// what, and a button that says yes to that one service. The button works without
// JavaScript and within a form of the page.
func (s *Service) Placeholder(r *http.Request, lang string, e struct {
	Service       string
	Host          string
	Title         string
	Width, Height string
	Src           string
}) []byte {
	o := s.offer()
	l := s.langOf(r, lang)
	box := map[string]any{
		"Lang": l, "Service": "", "Title": e.Title, "Text": text.T(l, "consent.embed.undeclared", "Host", e.Host),
		"Width": pixels(e.Width, "560"), "Height": pixels(e.Height, "315"),
		"Choices": text.T(l, "consent.embed.choices"), "Failed": text.T(l, "consent.failed"),
	}
	if at := slices.IndexFunc(o.items, func(it item) bool { return it.Service != nil && it.ID == e.Service }); at >= 0 {
		it := o.items[at]
		box["Service"], box["Show"] = it.ID, text.T(l, "consent.embed.show", "Service", it.Label.In(l))
		if box["Text"] = it.Service.Placeholder.In(l); box["Text"] == "" {
			box["Text"] = text.T(l, "consent.embed.text", "Service", it.Label.In(l), "Party", it.Party)
		}
	}
	return execute(embedTemplate, box)
}

// pixels returns a whole number of at most four digits, else the usual one.
func pixels(s, usual string) string {
	if s == "" || len(s) > 4 || strings.ContainsFunc(s, func(r rune) bool { return r < '0' || r > '9' }) {
		return usual
	}
	return s
}
