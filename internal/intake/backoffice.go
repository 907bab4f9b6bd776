package intake

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/file"
	"github.com/tillid/tillid/internal/subject"
	"github.com/tillid/tillid/internal/text"
	"github.com/tillid/tillid/internal/web"
)

// postLimit is how many bytes a post of the Backoffice may have.
const postLimit = 256 << 10

// StaffNav returns the menu's entry.
func (s *Service) StaffNav() []web.Nav {
	return []web.Nav{{Path: "/enquiries", TextID: "intake.nav", Icon: "inbox", Need: web.Enquiries, Order: 20}}
}

// StaffRoutes returns the pages of the Backoffice.
func (s *Service) StaffRoutes() []web.Route {
	at := func(pattern string, h func(http.ResponseWriter, *http.Request) error) web.Route {
		return web.Route{Pattern: pattern, Need: web.Enquiries, Handler: h}
	}
	return []web.Route{
		at("GET /enquiries", s.showList),
		at("POST /enquiries/search", s.search),
		at("GET /enquiries/new", s.showEntry),
		at("POST /enquiries/new", s.postEntry),
		at("GET /enquiries/{id}", s.showCase),
		at("GET /enquiries/{id}/file/{file}", s.getFile),
		at("POST /enquiries/{id}/answer", s.postAnswer),
		at("POST /enquiries/{id}/note", s.postNote),
		at("POST /enquiries/{id}/close", s.postClose),
		at("POST /enquiries/{id}/reopen", s.postReopen),
		at("POST /enquiries/{id}/assign", s.postAssign),
		at("POST /enquiries/{id}/call", s.postCall),
		at("POST /enquiries/{id}/release", s.postRelease),
	}
}

// listPage lists enquiries by state.
type listPage struct {
	web.Frame
	Filter                  string
	OpenN, ClosedN, AsideN  int
	Rows                    []listRow
	Page                    int
	Newer, Older            string
	Now                     time.Time
	FilterOpen, FilterShut  bool
	FilterAside, FilterMine bool
	Searched                bool // the rows are those of a search
	Forms                   []choiceView
}

type listRow struct {
	row
	Label   string
	Who     string // who works on it
	Overdue bool
	DueText string
}

func (s *Service) showList(w http.ResponseWriter, r *http.Request) error {
	filter := r.URL.Query().Get("state")
	if _, ok := filters[filter]; !ok {
		filter = "open"
	}
	number, err := strconv.Atoi(r.URL.Query().Get("page"))
	if err != nil || number < 0 || number > 1_000_000 {
		number = 0
	}
	p := listPage{Frame: s.House.Backoffice(r), Filter: filter, Page: number, Now: s.Now(),
		FilterOpen: filter == "open", FilterShut: filter == "closed", FilterAside: filter == "aside", FilterMine: filter == "mine"}
	rows, err := list(r.Context(), s.DB, filter, web.ViewerOf(r.Context()).User, number)
	if err != nil {
		return err
	}
	if err := s.fillList(r.Context(), &p, rows); err != nil {
		return err
	}
	page := func(n int) string {
		return "/enquiries?" + url.Values{"state": {filter}, "page": {strconv.Itoa(n)}}.Encode()
	}
	if number > 0 {
		p.Newer = page(number - 1)
	}
	if len(rows) == pageSize {
		p.Older = page(number + 1)
	}
	return web.Render(w, http.StatusOK, pages(), "list", web.Backoffice, p)
}

// fillList puts enquiries into a page of the list, with how many there are of each kind.
func (s *Service) fillList(ctx context.Context, p *listPage, rows []row) (err error) {
	if p.OpenN, p.ClosedN, p.AsideN, err = counts(ctx, s.DB); err != nil {
		return err
	}
	names, err := s.names(ctx)
	if err != nil {
		return err
	}
	for _, e := range rows {
		e.Due = goes(e.enquiry, e.Due)
		p.Rows = append(p.Rows, listRow{e, s.label(e.Form, p.Lang), names[e.Assignee], e.Due.Before(s.Now()), s.clock(e.Due, p.Lang)})
	}
	p.Forms = s.entryForms(p.Lang)
	return nil
}

func (s *Service) label(form string, l text.Lang) string {
	if f := s.Plan().Form(form); f != nil {
		return f.Label.In(l)
	}
	return form
}

// goes is when an enquiry goes at the latest: what was put aside goes sooner.
func goes(e enquiry, due time.Time) time.Time {
	if aside := e.Received.Add(asideKept); e.Quarantine != "" && aside.Before(due) {
		return aside
	}
	return due
}

// clock says how long it is until t, in days.
func (s *Service) clock(t time.Time, l text.Lang) string {
	days := int(t.Sub(s.Now()).Hours() / 24)
	if t.Before(s.Now()) {
		return text.T(l, "intake.clock.due")
	}
	return text.T(l, "intake.clock.days", "Count", days)
}

// casePage is one enquiry for staff.
type casePage struct {
	web.Frame
	ID, Number, Form, Kind, State string
	Quarantine                    string
	Received                      time.Time
	Due                           time.Time
	Clock                         string
	Keep                          string
	Language                      string
	Answers                       []subject.Shown
	Files                         []fileView
	Assignee                      string
	Colleagues                    []choiceView
	Callable                      bool // there is a number to call
	Outcomes                      []choiceView
	Came                          string
	Undo                          time.Time // until then closing can be taken back; zero: not any more
	Past                          []pastView
	CanAnswer                     bool
	Draft                         string // an answer that was not accepted
	DraftNote                     string
	Mistake                       string
	Unsent                        int
	Destroys                      []string
	AtOnce                        bool
}

type pastView struct {
	What string
	Who  string
	At   time.Time
	Text string
}

// fileView is a file of an enquiry for staff.
type fileView struct {
	Label, Name, Size, URL string
	Scan                   string
	Active                 bool
}

func (s *Service) filesOf(ctx context.Context, c enquiryCase, l text.Lang) ([]fileView, error) {
	files, err := s.Files.Of(ctx, s.DB, c.key)
	if err != nil {
		return nil, err
	}
	var out []fileView
	for _, f := range files {
		v := fileView{Label: c.shownFile(f, l).Label, Name: f.Name, Size: text.Bytes(l, f.Size), Scan: f.Scan, Active: f.Active}
		if f.Scan == file.ScanClean || f.Scan == file.ScanNone {
			v.URL = "/enquiries/" + c.enquiry.ID + "/file/" + f.ID
		}
		out = append(out, v)
	}
	return out, nil
}

// getFile gives a file to a member of staff, to be saved.
func (s *Service) getFile(w http.ResponseWriter, r *http.Request) error {
	f, key, err := s.fetch(r.Context(), r.PathValue("id"), r.PathValue("file"))
	if err != nil {
		return err
	}
	return s.Files.Serve(w, r, key, f)
}

func (s *Service) showCase(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	c, err := s.load(ctx, r.PathValue("id"))
	if subject.IsRestricted(err) { // opened with a ground only (GDPR Art. 18(2))
		http.Redirect(w, r, "/restricted/"+url.PathEscape(r.PathValue("id")), http.StatusSeeOther)
		return nil
	}
	if err != nil {
		return err
	}
	// Opening is an act of its own: noted before anything is shown (C4).
	err = s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error { return s.note(ctx, tx, c.key, "opened", by(ctx, "")) })
	if err != nil {
		return err
	}
	return s.renderCase(w, r, http.StatusOK, c, "", "", nil)
}

// renderCase writes the page of a case; with a fault, what was typed stays.
func (s *Service) renderCase(w http.ResponseWriter, r *http.Request, status int, c enquiryCase, draft, draftNote string, f *fault.Error) error {
	ctx, e := r.Context(), c.enquiry
	p := casePage{
		Frame: s.House.Backoffice(r), ID: e.ID, Number: e.Number, Kind: e.Kind, State: e.State, Quarantine: e.Quarantine,
		Received: e.Received, Due: goes(e, c.record.Due), CanAnswer: c.email() != "", Draft: draft, DraftNote: draftNote,
	}
	p.Path, p.Active = "/enquiries/"+e.ID, "/enquiries"
	p.Form, p.Clock = s.label(e.Form, p.Lang), s.clock(p.Due, p.Lang)
	p.Language = text.T(p.Lang, "intake.language."+string(e.Lang))
	p.Answers, p.Came = c.shown(p.Lang), text.T(p.Lang, "intake.came."+e.Came)
	if err := s.work(ctx, &p, c); err != nil {
		return err
	}
	if f != nil {
		p.Mistake = text.T(p.Lang, "fault."+f.ID, f.Args...)
	}
	var err error
	if p.Files, err = s.filesOf(ctx, c, p.Lang); err != nil {
		return err
	}
	past, err := s.history(ctx, c.key)
	if err != nil {
		return err
	}
	for _, h := range past {
		what := text.T(p.Lang, "intake.past."+h.Kind)
		if h.Outcome != "" {
			what += ": " + text.T(p.Lang, "intake.outcome."+h.Outcome)
		}
		p.Past = append(p.Past, pastView{what, h.Name, h.At, h.Text})
	}
	if p.Unsent, err = s.Mail.Unsent(ctx, s.DB, e.ID); err != nil {
		return err
	}
	s.foretell(&p, c, past)
	return web.Render(w, status, pages(), "case", web.Backoffice, p)
}

// foretell says what closing does and exactly what it destroys.
func (s *Service) foretell(p *casePage, c enquiryCase, past []happened) {
	plan, l := s.Plan(), p.Lang
	if rule := plan.Rule(c.record.Rule); rule != nil {
		p.Keep = ruleText(rule, l)
		if slices.Contains(closing(c.enquiry.Kind), rule.Trigger) {
			p.AtOnce = !plan.Due(rule, c.record.Received, s.Now()).After(s.Now())
		}
	}
	if n := len(p.Files); n > 0 {
		p.Destroys = append(p.Destroys, text.T(l, "intake.destroys.files", "Count", n))
	}
	count := map[string]int{}
	for _, h := range past {
		count[h.Kind]++
	}
	p.Destroys = append(p.Destroys, text.T(l, "intake.destroys.answers", "Count", len(c.what.Answers)))
	for _, k := range []string{"answered", "noted", "opened"} {
		if n := count[k]; n > 0 {
			p.Destroys = append(p.Destroys, text.T(l, "intake.destroys."+k, "Count", n))
		}
	}
	if c.form != nil && c.enquiry.Quarantine == "" {
		for _, e := range s.receivers(c.form, c.enquiry.Consents) {
			if party := plan.Party(e.Party); party != nil {
				p.Destroys = append(p.Destroys, text.T(l, "intake.destroys.copy", "Name", party.LegalName))
			}
		}
	}
	p.Destroys = append(p.Destroys, text.T(l, "intake.destroys.key"))
}

// post reads a post of the case page: only the names it knows.
func post(w http.ResponseWriter, r *http.Request, known ...string) (url.Values, error) {
	form, err := web.DecodeForm(w, r, postLimit)
	if err != nil {
		return nil, err
	}
	for name := range form {
		if !slices.Contains(known, name) {
			return nil, fault.New(fault.Invalid, "The request has a field that is not known here.").In("intake.field")
		}
	}
	return form, nil
}

func (s *Service) postAnswer(w http.ResponseWriter, r *http.Request) error {
	form, err := post(w, r, "text")
	if err != nil {
		return err
	}
	id, body := r.PathValue("id"), form.Get("text")
	err = s.Answer(r.Context(), id, body)
	if f := fault.Of(err); err != nil && f.Kind == fault.Invalid {
		return s.again(w, r, f, body, "")
	}
	if err != nil {
		return err
	}
	web.Done(w, r, "/enquiries/"+id, "intake.done.answered")
	return nil
}

func (s *Service) postNote(w http.ResponseWriter, r *http.Request) error {
	form, err := post(w, r, "text")
	if err != nil {
		return err
	}
	id, body := r.PathValue("id"), form.Get("text")
	err = s.Note(r.Context(), id, body)
	if f := fault.Of(err); err != nil && f.Kind == fault.Invalid {
		return s.again(w, r, f, "", body)
	}
	if err != nil {
		return err
	}
	web.Done(w, r, "/enquiries/"+id, "intake.done.noted")
	return nil
}

// again shows the case with what was typed and why it was not accepted.
func (s *Service) again(w http.ResponseWriter, r *http.Request, f *fault.Error, draft, draftNote string) error {
	c, err := s.load(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	status := http.StatusUnprocessableEntity
	if f.Kind == fault.Conflict {
		status = http.StatusConflict
	}
	return s.renderCase(w, r, status, c, draft, draftNote, f)
}

func (s *Service) postClose(w http.ResponseWriter, r *http.Request) error {
	form, err := post(w, r, "drop", "now")
	if err != nil {
		return err
	}
	id := r.PathValue("id")
	err = s.Close(r.Context(), id, Closing{Drop: form.Get("drop") == "yes", Now: form.Get("now") == "yes"})
	if f := fault.Of(err); err != nil && f.Kind == fault.Conflict {
		return s.again(w, r, f, "", "")
	}
	if err != nil {
		return err
	}
	_, err = getEnquiry(r.Context(), s.DB, id)
	switch {
	case err != nil && fault.Of(err).Kind == fault.NotFound:
		web.Done(w, r, "/enquiries", "intake.done.deleted")
	case err != nil:
		return err
	case form.Get("now") == "yes":
		web.Done(w, r, "/enquiries?state=closed", "intake.done.closed")
	default:
		web.Done(w, r, "/enquiries/"+id, "intake.done.closing")
	}
	return nil
}

func (s *Service) postRelease(w http.ResponseWriter, r *http.Request) error {
	if _, err := post(w, r); err != nil {
		return err
	}
	if err := s.Release(r.Context(), r.PathValue("id")); err != nil {
		return err
	}
	web.Done(w, r, "/enquiries/"+r.PathValue("id"), "intake.done.released")
	return nil
}
