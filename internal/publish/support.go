package publish

import (
	"net/http"
	"slices"
	"strconv"

	"github.com/tillid/tillid/internal/version"
	"github.com/tillid/tillid/internal/web"
)

const supportPath = "/support/agreement"

// contract is one agreement with all its versions, newest first.
type contract struct {
	Name    string
	Now     *signed
	Waiting bool
	All     []signed
}

// signed is an agreement under a version, in the viewer's language.
type signed struct {
	version.Version
	State              State
	PDFSHA256, Note    string
	Read, PDF, NoteURL string
	Markdown           string
}

type supportPage struct {
	web.Frame
	Controller string
	Key        string
	Contracts  []contract
}

// support is where a customer's admin finds the data-processing agreement:
// today's and every earlier version, to read, print and fetch.
func (s *Service) support(w http.ResponseWriter, r *http.Request) error {
	plan := s.Versions.Current()
	p := supportPage{Frame: s.Office.Backoffice(r), Controller: plan.Controller.LegalName, Key: s.Signer.Verifier()}
	l := p.Lang
	if !slices.Contains(plan.Languages, l) {
		l = plan.Languages[0]
	}
	all, err := s.Versions.List(r.Context())
	if err != nil {
		return err
	}
	replaced, now := version.Replaced(all), s.Now()
	byName := map[string]*contract{}
	var order []string
	for _, v := range all {
		state := s.state(v, replaced, now)
		list, err := s.Versions.ShownList(r.Context(), v.Number)
		if err != nil {
			return err
		}
		for _, sh := range list {
			if !isAgreement(sh.Document) || sh.Format != "pdf" || sh.Lang != l {
				continue
			}
			c := byName[sh.Document]
			if c == nil {
				c = &contract{Name: documentName(plan, p.Lang, sh.Document)}
				byName[sh.Document] = c
				order = append(order, sh.Document)
			}
			at := supportPath + "/" + strconv.Itoa(v.Number) + "/"
			one := signed{Version: v, State: state, PDFSHA256: sh.SHA256,
				Read: at + version.ShownName(sh.Document, sh.Lang, "html"), PDF: at + version.ShownName(sh.Document, sh.Lang, "pdf"),
				NoteURL: at + version.ShownName(sh.Document, sh.Lang, "note"), Markdown: at + version.ShownName(sh.Document, sh.Lang, "md")}
			if state == Now {
				note, err := s.Versions.ShownAs(r.Context(), v.Number, sh.Document, sh.Lang, "note")
				if err != nil {
					return err
				}
				one.Note = string(note.Content)
			}
			c.All = append(c.All, one)
		}
	}
	for _, name := range order {
		c := byName[name]
		if at := slices.IndexFunc(c.All, func(x signed) bool { return x.State == Now }); at >= 0 {
			c.Now = &c.All[at]
		}
		p.Contracts = append(p.Contracts, *c)
	}
	return web.Render(w, http.StatusOK, pages(), "support", web.Backoffice, p)
}

// agreementFile serves an agreement of any version: page, PDF, Markdown or note.
func (s *Service) agreementFile(w http.ResponseWriter, r *http.Request) error {
	number, err := strconv.Atoi(r.PathValue("number"))
	if err != nil {
		return errDocument()
	}
	document, l, format := split(r.PathValue("file"))
	if !isAgreement(document) {
		return errDocument()
	}
	return s.file(w, r, number, document, l, format)
}
