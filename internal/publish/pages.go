package publish

import (
	"bytes"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/text"
	"github.com/tillid/tillid/internal/version"
	"github.com/tillid/tillid/internal/web"
)

// contentTypes of what is shown, by format.
var contentTypes = map[string]string{
	"html": "text/html; charset=utf-8",
	"md":   "text/markdown; charset=utf-8",
	"pdf":  "application/pdf",
	"note": "text/plain; charset=utf-8",
	"css":  "text/css; charset=utf-8",
	"svg":  "image/svg+xml",
	"png":  "image/png",
}

const forEver = "public, max-age=31536000, immutable"

// write answers with archived bytes.
func write(w http.ResponseWriter, r *http.Request, sh *version.Shown, cache string) {
	h := w.Header()
	h.Set("Content-Type", contentTypes[sh.Format])
	h.Set("Cache-Control", cache)
	h.Set("ETag", `"`+sh.SHA256+`"`)
	if sh.Lang != "" {
		h.Set("Content-Language", string(sh.Lang))
	}
	if sh.Format == "pdf" || sh.Format == "md" || sh.Format == "note" {
		h.Set("Content-Disposition", `inline; filename="`+version.ShownName(sh.Document, sh.Lang, sh.Format)+`"`)
	}
	web.Secure(h)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(sh.Content))
}

// page serves a document's page: today's, or the one in force on ?as-of=.
func (s *Service) page(document string) web.Handler { return s.current(document, "html") }

func (s *Service) current(document, format string) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		number := s.Versions.InForce().Number
		if day := r.URL.Query().Get("as-of"); day != "" {
			v, err := s.asOf(r, day)
			if err != nil {
				return err
			}
			number = v.Number
		}
		w.Header().Set("Vary", "Accept-Language, Cookie")
		return s.serve(w, r, number, document, format, "no-cache")
	}
}

// asOf is the version in force on a day of the controller's calendar: at its
// end, or now when the day is today.
func (s *Service) asOf(r *http.Request, day string) (*version.Version, error) {
	zone := s.Versions.Current().Loc
	if zone == nil {
		zone = time.UTC
	}
	d, err := time.ParseInLocation(time.DateOnly, day, zone)
	if err != nil {
		return nil, fault.New(fault.Invalid, "That is not a day.").WithHint("Write it as 2026-11-22.").In("publish.day")
	}
	now, at := s.Now(), d.AddDate(0, 0, 1).Add(-time.Millisecond)
	if !d.After(now) && at.After(now) {
		at = now
	}
	return s.Versions.At(r.Context(), at)
}

// serve answers with a document of a version in the visitor's language, else in
// the version's first.
func (s *Service) serve(w http.ResponseWriter, r *http.Request, number int, document, format, cache string) error {
	_, plan, err := s.Versions.Get(r.Context(), number)
	if err != nil {
		return err
	}
	sh, err := s.Versions.ShownAs(r.Context(), number, document, web.LangOf(r, plan.Languages), format)
	if err != nil {
		return err
	}
	write(w, r, sh, cache)
	return nil
}

// archived serves what was shown under a version: "policy.da.pdf" as it is for
// ever; "policy" is the page, which leads to today's while the version is in force.
func (s *Service) archived(w http.ResponseWriter, r *http.Request) error {
	number, err := strconv.Atoi(r.PathValue("number"))
	if err != nil {
		return errDocument()
	}
	document, l, format := split(r.PathValue("file"))
	path, public := publicPages[document]
	if !public {
		return errDocument()
	}
	if format == "" {
		if number == s.Versions.InForce().Number {
			http.Redirect(w, r, path+query(r), http.StatusSeeOther) //nolint:gosec // a path of this host
			return nil
		}
		return s.serve(w, r, number, document, "html", "no-cache")
	}
	return s.file(w, r, number, document, l, format)
}

func query(r *http.Request) string {
	if r.URL.RawQuery == "" {
		return ""
	}
	return "?" + r.URL.RawQuery
}

func (s *Service) file(w http.ResponseWriter, r *http.Request, number int, document string, l text.Lang, format string) error {
	sh, err := s.Versions.ShownAs(r.Context(), number, document, l, format)
	if err != nil {
		return err
	}
	write(w, r, sh, forEver)
	return nil
}

// split takes "policy.da.pdf" apart; "policy" has no language and no format.
func split(file string) (document string, l text.Lang, format string) {
	document, rest, _ := strings.Cut(file, ".")
	lang, format, _ := strings.Cut(rest, ".")
	return document, text.Lang(lang), format
}

// asset serves a style sheet or logo by its digest.
func (s *Service) asset(w http.ResponseWriter, r *http.Request) error {
	sum, format, _ := strings.Cut(r.PathValue("file"), ".")
	if format != "css" && format != "svg" && format != "png" {
		return errDocument()
	}
	sh, err := s.Versions.Asset(r.Context(), sum, format)
	if err != nil {
		return err
	}
	write(w, r, sh, forEver)
	return nil
}

// style serves what the Backoffice's pages of this package add to its style.
func style(w http.ResponseWriter, r *http.Request) error {
	write(w, r, &version.Shown{Format: "css", SHA256: digest(pageStyle), Content: pageStyle}, "no-cache")
	return nil
}

func errDocument() error {
	return fault.New(fault.NotFound, "There is no such document.").WithHint("See the list of versions.").In("publish.document")
}
