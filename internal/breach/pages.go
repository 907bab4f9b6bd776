package breach

import (
	"embed"
	"encoding/json"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/text"
	"github.com/tillid/tillid/internal/web"
)

//go:embed *.html
var pageFiles embed.FS

var pages = sync.OnceValue(func() *web.Pages { return web.Parse(pageFiles) })

const postLimit = 512 << 10

// StaffNav is the entry of the Backoffice's menu.
func (s *Service) StaffNav() []web.Nav {
	return []web.Nav{{Path: "/breaches", TextID: "breach.nav", Icon: "alarm", Need: web.People, Order: 65}}
}

// StaffRoutes are the Backoffice's addresses.
func (s *Service) StaffRoutes() []web.Route {
	at := func(pattern string, h web.Handler) web.Route {
		return web.Route{Pattern: pattern, Need: web.People, Handler: h}
	}
	return []web.Route{
		at("GET /breaches", s.showList),
		at("POST /breaches", s.postOpen),
		at("GET /breaches/{id}", s.showBreach),
		at("POST /breaches/{id}", s.postSave),
		at("POST /breaches/{id}/step", s.postStep),
		at("POST /breaches/{id}/letter", s.postLetter),
		at("GET /breaches/{id}/report", s.showReport),
		at("GET /breaches/{id}/report.json", s.fileJSON),
	}
}

const momentForm = "2006-01-02T15:04"

type listPage struct {
	web.Frame
	Rows    []row
	When    string
	What    string
	Mistake string
}

// row is a breach with what is left of its clock.
type row struct {
	Breach
	Hours int // left; negative: over by so many
	Over  int
	Late  bool
}

func (s *Service) rowOf(b Breach) row {
	r := row{Breach: b, Hours: int(b.Deadline.Sub(s.Now()) / time.Hour), Late: b.Late(s.Now())}
	r.Over = -r.Hours
	return r
}

func (s *Service) renderList(w http.ResponseWriter, r *http.Request, status int, p listPage) error {
	all, err := s.List(r.Context())
	for _, b := range all {
		p.Rows = append(p.Rows, s.rowOf(b))
	}
	if err != nil {
		return err
	}
	return web.Render(w, status, pages(), "breaches", web.Backoffice, p)
}

func (s *Service) showList(w http.ResponseWriter, r *http.Request) error {
	return s.renderList(w, r, http.StatusOK, listPage{Frame: s.House.Backoffice(r), When: s.Now().In(s.Plan().Loc).Format(momentForm)})
}

func (s *Service) postOpen(w http.ResponseWriter, r *http.Request) error {
	v, err := web.DecodeForm(w, r, postLimit)
	if err != nil {
		return err
	}
	aware, err := time.ParseInLocation(momentForm, v.Get("aware"), s.Plan().Loc)
	if err != nil {
		aware = time.Time{}
	}
	id, err := s.Open(r.Context(), aware, v.Get("what"))
	if f := fault.Of(err); err != nil && f.Kind == fault.Invalid {
		p := listPage{Frame: s.House.Backoffice(r), When: v.Get("aware"), What: v.Get("what")}
		p.Mistake, _ = web.Say(p.Lang, f)
		return s.renderList(w, r, http.StatusUnprocessableEntity, p)
	}
	if err != nil {
		return err
	}
	web.Done(w, r, "/breaches/"+id, "breach.done.opened")
	return nil
}

// breachPage is one breach: the authority's form, the clock, and what happened.
type breachPage struct {
	web.Frame
	Row      row
	Phase    string
	Fields   []shown
	Risk     string
	Risks    []string
	Missing  []string
	Past     []happened
	Purposes []policy.Purpose
	Letters  int
	Draft    letter
	Found    int // people whom the draft would reach
	Look     bool
	Mistake  string
}

type shown struct{ Name, Value string }

func (s *Service) breachPage(r *http.Request, f file) (breachPage, error) {
	p := breachPage{Frame: s.House.Backoffice(r), Row: s.rowOf(f.Breach), Phase: f.phase(), Risk: f.Content.Risk, Risks: risks(), Past: slices.Clone(f.Past)}
	p.Path, p.Active = "/breaches/"+f.ID, "/breaches"
	for _, t := range f.Content.fields() {
		p.Fields = append(p.Fields, shown{t.Name, *t.Value})
	}
	for _, name := range f.Content.missing() {
		p.Missing = append(p.Missing, text.T(p.Lang, "breach.field."+name))
	}
	slices.Reverse(p.Past)
	p.Purposes = append(p.Purposes, s.Plan().Purposes...)
	var err error
	p.Letters, err = countLetters(r.Context(), s.DB, f.ID)
	return p, err
}

func (s *Service) showBreach(w http.ResponseWriter, r *http.Request) error {
	return s.render(w, r, http.StatusOK, nil, nil)
}

// render shows a breach; with a fault, why something was not done; with a draft, whom it reaches.
func (s *Service) render(w http.ResponseWriter, r *http.Request, status int, flt *fault.Error, draft *letter) error {
	f, err := s.load(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	p, err := s.breachPage(r, f)
	if err != nil {
		return err
	}
	if flt != nil {
		what, hint := web.Say(p.Lang, flt)
		p.Mistake = what + " " + hint
	}
	if draft != nil {
		p.Draft, p.Look = *draft, flt == nil
		if p.Look {
			if p.Found, err = s.count(r.Context(), *draft); err != nil {
				return err
			}
		}
	}
	return web.Render(w, status, pages(), "breach", web.Backoffice, p)
}

// after shows what came of a post.
func (s *Service) after(w http.ResponseWriter, r *http.Request, err error, draft *letter, done string) error {
	f := fault.Of(err)
	if err != nil && (f.Kind == fault.Invalid || f.Kind == fault.Conflict) {
		return s.render(w, r, http.StatusUnprocessableEntity, f, draft)
	}
	if err != nil {
		return err
	}
	web.Done(w, r, "/breaches/"+r.PathValue("id"), done)
	return nil
}

func (s *Service) postSave(w http.ResponseWriter, r *http.Request) error {
	v, err := web.DecodeForm(w, r, postLimit)
	if err != nil {
		return err
	}
	c := Content{Risk: v.Get("risk")}
	for _, t := range c.fields() {
		*t.Value = v.Get(t.Name)
	}
	return s.after(w, r, s.Save(r.Context(), r.PathValue("id"), c), nil, "breach.done.saved")
}

func (s *Service) postStep(w http.ResponseWriter, r *http.Request) error {
	v, err := web.DecodeForm(w, r, postLimit)
	if err != nil {
		return err
	}
	return s.after(w, r, s.Step(r.Context(), r.PathValue("id"), v.Get("do")), nil, "breach.done.step")
}

// postLetter shows how many people a letter would reach, or sends it.
func (s *Service) postLetter(w http.ResponseWriter, r *http.Request) error {
	v, err := web.DecodeForm(w, r, postLimit)
	if err != nil {
		return err
	}
	day := func(name string) time.Time {
		t, err := time.ParseInLocation(time.DateOnly, v.Get(name), s.Plan().Loc)
		if err != nil {
			return time.Time{}
		}
		return t
	}
	l := letter{Purpose: v.Get("purpose"), From: day("from"), Text: v.Get("text")}
	if to := day("until"); !to.IsZero() {
		l.Until = until(to)
	}
	if v.Get("do") == "send" {
		return s.after(w, r, s.Tell(r.Context(), r.PathValue("id"), l), &l, "breach.done.told")
	}
	l, err = s.checked(l)
	if err != nil {
		return s.after(w, r, err, &l, "")
	}
	return s.render(w, r, http.StatusOK, nil, &l)
}

// reportPage is the notification for the authority, in the order of its form.
type reportPage struct {
	web.Frame
	Row    row
	Fields []shown
	Risk   string
	House  string
	CVR    string
	Where  string
	People int
}

func (s *Service) showReport(w http.ResponseWriter, r *http.Request) error {
	f, err := s.load(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	own := s.Plan().Controller
	p := reportPage{Frame: s.House.Backoffice(r), Row: s.rowOf(f.Breach), Risk: f.Content.Risk, House: own.LegalName, CVR: own.CVR, Where: own.Address}
	p.Path, p.Active = r.URL.Path, "/breaches"
	for _, t := range f.Content.fields() {
		p.Fields = append(p.Fields, shown{t.Name, *t.Value})
	}
	if p.People, err = countLetters(r.Context(), s.DB, f.ID); err != nil {
		return err
	}
	return web.Render(w, http.StatusOK, pages(), "report", web.Backoffice, p)
}

// Export is a breach as JSON.
type Export struct {
	Format     string     `json:"format"`
	Number     string     `json:"number"`
	Controller string     `json:"controller"`
	Aware      time.Time  `json:"aware_at"`
	Deadline   time.Time  `json:"notify_by"`
	Notified   *time.Time `json:"notified_at,omitempty"`
	Late       bool       `json:"late"`
	Content    Content    `json:"content"`
	Told       int        `json:"people_written_to"`
	Events     []exported `json:"events"`
}

type exported struct {
	At   time.Time `json:"at"`
	Kind string    `json:"kind"`
	By   string    `json:"by,omitempty"`
}

func (s *Service) fileJSON(w http.ResponseWriter, r *http.Request) error {
	f, err := s.load(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	e := Export{Format: "tillid.breach/1", Number: f.Number, Controller: s.Plan().Controller.LegalName, Aware: f.Aware, Deadline: f.Deadline, Late: f.Late(s.Now()), Content: f.Content}
	if !f.Notified.IsZero() {
		e.Notified = &f.Notified
	}
	if e.Told, err = countLetters(r.Context(), s.DB, f.ID); err != nil {
		return err
	}
	for _, h := range f.Past {
		e.Events = append(e.Events, exported{h.At, h.Kind, h.Name})
	}
	b, err := json.MarshalIndent(e, "", "  ")
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("Content-Disposition", `attachment; filename="breach-`+f.Number+`.json"`)
	h.Set("Cache-Control", "no-store")
	w.Write(append(b, '\n'))
	return nil
}

// DraftFrom and DraftUntil are the draft's days as <input type="date"> writes them.
func (p breachPage) DraftFrom() string { return p.Draft.From.Format(time.DateOnly) }

// DraftUntil is the last day of the draft's period.
func (p breachPage) DraftUntil() string { return p.Draft.Until.AddDate(0, 0, -1).Format(time.DateOnly) }
