package request

import (
	"net/http"
	"slices"

	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/mail"
	"github.com/tillid/tillid/internal/subject"
	"github.com/tillid/tillid/internal/text"
	"github.com/tillid/tillid/internal/web"
)

// letterPage writes a letter: what the law demands stands there, the rest is the writer's.
type letterPage struct {
	web.Frame
	ID, Number, Kind string
	Draft            draft
	Codes            []codeRow
	NeedWhy, NeedIt  bool
	Parts            []part
	Subject          string
	Look             bool // the letter as it would be sent
	To               subject.Secret
	Mistake          string
}

type codeRow struct{ Code, Words, Article string }

func (s *Service) letterPage(r *http.Request, w work, kind string, d draft) (letterPage, error) {
	p := letterPage{Frame: s.House.Backoffice(r), ID: w.request.ID, Number: w.request.Number, Kind: kind, Draft: d}
	p.Path, p.Active = r.URL.Path, "/requests"
	p.NeedWhy, p.NeedIt = needs(kind, w.request)
	for _, code := range codesFor(kind, w.request) {
		row := codeRow{Code: code, Words: text.T(p.Lang, "request.extension."+code)}
		if i := slices.IndexFunc(grounds(), func(g ground) bool { return g.Code == code }); i >= 0 {
			row = codeRow{code, text.T(p.Lang, "request.ground."+code), grounds()[i].Article}
		}
		p.Codes = append(p.Codes, row)
	}
	known, err := s.Subjects.Identifiers(r.Context(), s.DB, w.record.Person)
	if err != nil {
		return p, err
	}
	if mails := known[subject.Email]; len(mails) > 0 {
		p.To = mails[0]
	}
	p.Parts, err = s.parts(w, kind, d)
	return p, err
}

// letterWork loads a case for a letter that may be sent now.
func (s *Service) letterWork(r *http.Request) (work, string, error) {
	kind := r.PathValue("kind")
	w, err := s.load(r.Context(), r.PathValue("id"))
	if err == nil && !s.allowed(w, kind) {
		err = errStep()
	}
	return w, kind, err
}

func (s *Service) showLetter(w http.ResponseWriter, r *http.Request) error {
	c, kind, err := s.letterWork(r)
	if err != nil {
		return err
	}
	l, name := c.request.Lang, web.ViewerOf(r.Context()).UserName
	d := draft{Opening: text.T(l, "request.letter.hello"), Closing: text.T(l, "request.letter.bye", "Who", name, "Name", s.Plan().Controller.LegalName)}
	if c.details.Name != "" {
		d.Opening = text.T(l, "request.letter.hello_name", "Name", c.details.Name)
	}
	p, err := s.letterPage(r, c, kind, d)
	if err != nil {
		return err
	}
	return web.Render(w, http.StatusOK, pages(), "letter", web.Backoffice, p)
}

// postLetter shows the letter as it would be sent, or sends it.
func (s *Service) postLetter(w http.ResponseWriter, r *http.Request) error {
	v, err := staffForm(w, r, "do", "opening", "closing", "code", "why", "what")
	if err != nil {
		return err
	}
	c, kind, err := s.letterWork(r)
	if err != nil {
		return err
	}
	d := draft{Opening: v.Get("opening"), Closing: v.Get("closing"), Code: v.Get("code"), Why: v.Get("why"), What: v.Get("what")}
	checked, err := d.check(kind, c.request)
	if err == nil && v.Get("do") == "send" {
		if err = s.Send(r.Context(), c.request.ID, kind, d); err == nil {
			web.Done(w, r, "/requests/"+c.request.ID, "request.done.sent")
			return nil
		}
	}
	f := fault.Of(err)
	if err != nil && f.Kind != fault.Invalid {
		return err
	}
	if err == nil {
		d = checked
	}
	p, e := s.letterPage(r, c, kind, d)
	if e != nil {
		return e
	}
	status := http.StatusOK
	if err != nil {
		status, p.Mistake = http.StatusUnprocessableEntity, first(web.Say(p.Lang, f))
	}
	p.Look = err == nil && v.Get("do") == "look"
	return web.Render(w, status, pages(), "letter", web.Backoffice, p)
}

func first(what, _ string) string { return what }

// printedPage is a letter on paper.
type printedPage struct {
	web.Frame
	ID      string
	Subject string
	Blocks  []mail.Block
	Sent    happened
	From    []string
}

func (s *Service) showPrinted(w http.ResponseWriter, r *http.Request) error {
	c, err := s.load(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	i := slices.IndexFunc(c.past, func(h happened) bool { return h.ID == r.PathValue("event") && h.Letter != nil })
	if i < 0 {
		return web.NotFound(w, r)
	}
	h, own := c.past[i], s.Plan().Controller
	p := printedPage{Frame: s.House.Backoffice(r), ID: c.request.ID, Subject: h.Letter.Subject, Blocks: h.Letter.Blocks, Sent: h}
	p.From = slices.DeleteFunc([]string{own.LegalName, own.Address, own.Email, own.Phone}, func(s string) bool { return s == "" })
	p.Path, p.Active = r.URL.Path, "/requests"
	return web.Render(w, http.StatusOK, pages(), "printed", web.Backoffice, p)
}
