package request

import (
	"bytes"
	_ "embed"
	"html/template"
	"net/http"
	"time"

	"github.com/tillid/tillid/internal/text"
)

// The downloaded page stands alone: its style is in it, and it reaches for nothing.
//
//go:embed file.tmpl
var fileTemplate string

func (s *Service) fileHTML(w http.ResponseWriter, r *http.Request) error {
	persons, ok := s.need(w, r)
	if !ok {
		return nil
	}
	page, err := s.dataPage(r, persons)
	if err != nil {
		return err
	}
	b, err := s.filePage(page)
	if err != nil {
		return err
	}
	s.attachment(w, "text/html; charset=utf-8", "html")
	w.Write(b)
	return nil
}

func (s *Service) filePage(page dataPage) ([]byte, error) {
	t, err := fileFor(page.Lang, s.Plan().Loc)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = t.Execute(&b, page)
	return b.Bytes(), err
}

// fileFor returns the template of the downloaded page in a language.
func fileFor(l text.Lang, zone *time.Location) (*template.Template, error) {
	return template.New("file").Funcs(template.FuncMap{
		"t":       func(id string, kv ...any) string { return text.T(l, id, kv...) },
		"date":    func(at time.Time) string { return text.Date(l, at.In(zone)) },
		"country": func(code string) string { return text.Country(l, code) },
		"moment":  func(at time.Time) string { return text.Moment(l, at.In(zone)) },
	}).Parse(fileTemplate)
}
