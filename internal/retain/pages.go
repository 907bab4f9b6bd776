package retain

import (
	"embed"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/tillid/tillid/internal/erase"
	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/subject"
	"github.com/tillid/tillid/internal/text"
	"github.com/tillid/tillid/internal/web"
)

//go:embed *.html
var pageFiles embed.FS

var pages = web.Parse(pageFiles)

// StaffRoutes are the Backoffice's addresses.
func (s *Service) StaffRoutes() []web.Route {
	return []web.Route{
		{Pattern: "GET /retention", Need: web.StaffRead, Handler: s.page},
		{Pattern: "POST /retention/holds", Need: web.People, Handler: s.hold},
		{Pattern: "POST /retention/holds/{id}/review", Need: web.People, Handler: s.review},
		{Pattern: "POST /retention/holds/{id}/release", Need: web.People, Handler: s.release},
		{Pattern: "POST /retention/approvals/{id}", Need: web.Policy, Handler: s.decide},
		{Pattern: "POST /retention/tasks/{record}/done", Need: web.People, Handler: s.done},
	}
}

// StaffNav are the entries of the Backoffice's menu.
func (s *Service) StaffNav() []web.Nav {
	return []web.Nav{{Path: "/retention", TextID: "retain.nav", Icon: "clock", Need: web.StaffRead, Order: 61}}
}

type retentionPage struct {
	web.Frame
	Days    int
	All     int // as many days as "all"
	Periods []int
	AsOf    time.Time
	Now     time.Time
	Lines   []lineRow
	Runs    []Run
	Tasks   []Task
	Holds   []erase.Hold
	Broken  []wrong
	Asked   []Approval
	May     bool // decide
}

// wrong is something wrong with retention, and what to do about it.
type wrong struct{ What, Do string }

type lineRow struct {
	Line
	PurposeName string
	Event       string // in words
	Duration    policy.Duration
	AtLatest    policy.Duration
	Known       bool
}

// How far the page looks ahead, in days: what it does unasked, what it offers, and
// the farthest that it takes.
const (
	lookAhead = 30
	farthest  = 36500
)

func periods() []int { return []int{7, lookAhead, 365, farthest} }

// daysOf is how far a request wants to look ahead.
func daysOf(r *http.Request) int {
	n, err := strconv.Atoi(r.URL.Query().Get("days"))
	if err != nil || n < 0 || n > farthest {
		return lookAhead
	}
	return n
}

func (s *Service) page(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	p := retentionPage{Frame: s.House.Backoffice(r), Days: daysOf(r), Periods: periods(), All: farthest}
	p.Now = s.Now()
	p.AsOf = p.Now.AddDate(0, 0, p.Days)
	lines, err := s.Forecast(ctx, p.AsOf)
	if err != nil {
		return err
	}
	for _, l := range lines {
		p.Lines = append(p.Lines, s.row(p.Lang, l))
	}
	if p.Runs, err = s.Runs(ctx, 50); err != nil {
		return err
	}
	if p.Tasks, err = s.Tasks(ctx, 200); err != nil {
		return err
	}
	if p.Asked, err = s.Approvals(ctx); err != nil {
		return err
	}
	p.May = s.House.May(p.Viewer, web.Policy)
	if p.Holds, err = s.Erase.Holds(ctx, s.DB); err != nil {
		return err
	}
	broken, err := s.Health(ctx)
	if err != nil {
		return err
	}
	for _, b := range broken {
		what, do := web.Say(p.Lang, b)
		p.Broken = append(p.Broken, wrong{what, do})
	}
	return web.Render(w, http.StatusOK, pages, "retention", web.Backoffice, p)
}

func (s *Service) row(l text.Lang, line Line) lineRow {
	row := lineRow{Line: line, PurposeName: line.Purpose}
	plan := s.Plan()
	if p := plan.Purpose(line.Purpose); p != nil {
		row.PurposeName = p.Label.In(l)
	}
	if r := plan.Rule(line.Rule); r != nil {
		row.Known, row.Event, row.Duration, row.AtLatest = true, event(l, r.Trigger), r.Duration, r.AtLatest
	}
	return row
}

// event says when a rule's time begins, in words; one of a system outside keeps its name.
func event(l text.Lang, trigger string) string {
	if id := "retain.event." + trigger; text.Has(id) {
		return text.T(l, id)
	}
	return text.T(l, "retain.event.outside", "Event", trigger)
}

func (s *Service) hold(w http.ResponseWriter, r *http.Request) error {
	form, err := web.DecodeForm(w, r, 1<<14)
	if err != nil {
		return err
	}
	review := s.dayIn(form)
	scope := erase.Scope(form.Get("scope"))
	if scope != erase.OfRecord && scope != erase.OfPerson && scope != erase.OfPurpose {
		return fault.New(fault.Invalid, "Choose what the hold is about.").In("retain.scope")
	}
	h := erase.Hold{Scope: scope, Target: form.Get("target"), Reason: form.Get("reason"), Owner: web.ViewerOf(r.Context()).User, Review: review}
	if _, err := s.Erase.Hold(r.Context(), h); err != nil {
		return err
	}
	web.Done(w, r, "/retention", "retain.done.held")
	return nil
}

// dayIn is the day in a form on which a hold is looked at; the zero time when it names none.
func (s *Service) dayIn(form url.Values) time.Time {
	day, err := time.ParseInLocation(time.DateOnly, form.Get("review"), s.Plan().Loc)
	if err != nil {
		return time.Time{}
	}
	return day
}

func (s *Service) review(w http.ResponseWriter, r *http.Request) error {
	form, err := web.DecodeForm(w, r, 1<<14)
	if err != nil {
		return err
	}
	err = s.Erase.Review(r.Context(), r.PathValue("id"), form.Get("reason"), web.ViewerOf(r.Context()).User, s.dayIn(form))
	if err != nil {
		return err
	}
	web.Done(w, r, "/retention", "retain.done.reviewed")
	return nil
}

func (s *Service) release(w http.ResponseWriter, r *http.Request) error {
	if err := s.Erase.Release(r.Context(), r.PathValue("id")); err != nil {
		return err
	}
	web.Done(w, r, "/retention", "retain.done.released")
	return nil
}

// decide answers what retention asks a person.
func (s *Service) decide(w http.ResponseWriter, r *http.Request) error {
	form, err := web.DecodeForm(w, r, 1<<10)
	if err != nil {
		return err
	}
	do := form.Get("do")
	if do != "approve" && do != "decline" {
		return fault.New(fault.Invalid, "Approve or decline.").In("retain.decide")
	}
	if err := s.Decide(r.Context(), r.PathValue("id"), do == "approve", web.ViewerOf(r.Context()).User); err != nil {
		return err
	}
	web.Done(w, r, "/retention", "retain.done.decided")
	return nil
}

// done erases a record that a person has looked at.
func (s *Service) done(w http.ResponseWriter, r *http.Request) error {
	record, err := s.Subject.Get(r.Context(), s.DB, r.PathValue("record"))
	if err != nil {
		return err
	}
	if record.Due.After(s.Now()) {
		return fault.New(fault.Conflict, "This record is not due.").In("retain.not_due")
	}
	id, err := s.Erase.Records(r.Context(), []subject.Record{record}, erase.Reason{Kind: erase.Retention, Rule: record.Rule})
	if err != nil {
		return err
	}
	web.Done(w, r, "/erasures/"+string(id), "retain.done.erased")
	return nil
}
