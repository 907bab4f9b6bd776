package publish

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/tillid/tillid/internal/text"
	"github.com/tillid/tillid/internal/version"
	"github.com/tillid/tillid/internal/web"
)

const supportPath = "/support/agreement"

// contract is one agreement with all its versions, newest first.
type contract struct {
	document string
	Name     string
	Now      *signed
	All      []signed
}

// signed is an agreement under a version, in the viewer's language.
type signed struct {
	version.Version
	State              State
	PDFSHA256, Note    string
	Read, PDF, NoteURL string
}

type supportPage struct {
	web.Frame
	Controller string
	Key        string
	Contracts  []*contract
}

// support is where a customer's admin finds the data-processing agreement:
// today's and every earlier version, to read, print and fetch.
func (s *Service) support(w http.ResponseWriter, r *http.Request) error {
	plan := s.Versions.Current()
	p := supportPage{Frame: s.House.Backoffice(r), Controller: plan.Controller.LegalName, Key: s.Signer.Verifier()}
	l := p.Lang
	if !slices.Contains(plan.Languages, l) {
		l = plan.Languages[0]
	}
	all, err := s.Versions.List(r.Context())
	if err != nil {
		return err
	}
	replaced, now := version.Replaced(all), s.Now()
	for _, v := range all {
		agreements, err := s.signed(r.Context(), v, s.state(v, replaced, now), l)
		if err != nil {
			return err
		}
		for document, one := range agreements {
			p.add(document, documentName(plan, p.Lang, document), one)
		}
	}
	slices.SortFunc(p.Contracts, func(a, b *contract) int { return strings.Compare(a.Name, b.Name) })
	return web.Render(w, http.StatusOK, pages(), "support", web.Backoffice, p)
}

// add puts an agreement's version to its others.
func (p *supportPage) add(document, name string, one signed) {
	at := slices.IndexFunc(p.Contracts, func(c *contract) bool { return c.document == document })
	if at < 0 {
		at = len(p.Contracts)
		p.Contracts = append(p.Contracts, &contract{document: document, Name: name})
	}
	c := p.Contracts[at]
	c.All = append(c.All, one)
	if one.State == Now {
		c.Now = &one
	}
}

// signed returns the agreements of a version in a language, by document; the
// words of the signature only for the version in force.
func (s *Service) signed(ctx context.Context, v version.Version, state State, l text.Lang) (map[string]signed, error) {
	list, err := s.Versions.ShownList(ctx, v.Number)
	if err != nil {
		return nil, err
	}
	found := map[string]signed{}
	for _, sh := range list {
		if !isAgreement(sh.Document) || sh.Format != "pdf" || sh.Lang != l {
			continue
		}
		one := signed{
			Version: v, State: state, PDFSHA256: sh.SHA256,
			Read: filePath(v.Number, sh.Document, l, "html"), PDF: filePath(v.Number, sh.Document, l, "pdf"),
			NoteURL: filePath(v.Number, sh.Document, l, "note"),
		}
		if state == Now {
			note, err := s.Versions.ShownAs(ctx, v.Number, sh.Document, l, "note")
			if err != nil {
				return nil, err
			}
			one.Note = string(note.Content)
		}
		found[sh.Document] = one
	}
	return found, nil
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
