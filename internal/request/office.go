package request

import (
	"context"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/law"
	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/subject"
	"github.com/tillid/tillid/internal/text"
	"github.com/tillid/tillid/internal/web"
)

const staffLimit = 256 << 10

// StaffNav is the entry of the Backoffice's menu.
func (s *Service) StaffNav() []web.Nav {
	return []web.Nav{{Path: "/requests", TextID: "request.nav", Icon: "request", Need: web.People, Order: 30}}
}

// StaffRoutes are the Backoffice's addresses.
func (s *Service) StaffRoutes() []web.Route {
	at := func(pattern string, h web.Handler) web.Route {
		return web.Route{Pattern: pattern, Need: web.People, Handler: h}
	}
	return []web.Route{
		at("GET /requests", s.showCases),
		at("GET /requests/new", s.showEntry),
		at("POST /requests/new", s.postEntry),
		at("GET /restricted/{record}", s.showHeld),
		at("POST /restricted/{record}", s.postHeld),
		at("POST /requests/calendar", s.postCalendar),
		{Pattern: "GET /calendar/{token}", Need: web.Anyone, Handler: s.calendar},
		at("GET /requests/{id}", s.showCase),
		at("POST /requests/{id}/step", s.postStep),
		at("POST /requests/{id}/note", s.postNote),
		at("GET /requests/{id}/letter/{kind}", s.showLetter),
		at("POST /requests/{id}/letter/{kind}", s.postLetter),
		at("GET /requests/{id}/printed/{event}", s.showPrinted),
	}
}

// casesPage lists cases: those that are open, the most urgent first.
type casesPage struct {
	web.Frame
	Closed  bool
	Rows    []caseRow
	Overdue int
	Stops   bool // no purpose for requests is declared
}

// caseRow is one case in a list.
type caseRow struct {
	request
	Days    int // left; negative: overdue by so many
	Overdue bool
	Paused  bool
	Words   string
}

// Over is by how many days the case is overdue.
func (r caseRow) Over() int { return -r.Days }

const listed = 500

// daysLeft counts the days of the calendar from now to t: 0 is today, negative is over.
func daysLeft(t, now time.Time, loc *time.Location) int {
	midnight := func(t time.Time) time.Time {
		y, m, d := t.In(loc).Date()
		return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
	}
	return int(math.Round(midnight(t).Sub(midnight(now)).Hours() / 24))
}

func (s *Service) rowOf(r request, l text.Lang) caseRow {
	now := s.Now()
	row := caseRow{request: r, Words: s.stateWords(r, l), Paused: r.State == identityPending}
	row.Overdue = r.open() && now.After(r.Due) && !row.Paused
	row.Days = daysLeft(r.Due, now, s.Plan().Loc)
	return row
}

func (s *Service) showCases(w http.ResponseWriter, r *http.Request) error {
	p := casesPage{Frame: s.House.Backoffice(r), Closed: r.URL.Query().Get("state") == "closed", Stops: purposeOf(s.Plan()) == nil}
	query := `where state <> 'closed' order by due_at, id limit $1`
	if p.Closed {
		query = `where state = 'closed' order by closed_at desc nulls last, id limit $1`
	}
	found, err := selectRequests(r.Context(), s.DB, query, listed)
	if err != nil {
		return err
	}
	for _, c := range found {
		row := s.rowOf(c, p.Lang)
		p.Rows = append(p.Rows, row)
		if row.Overdue {
			p.Overdue++
		}
	}
	return web.Render(w, http.StatusOK, pages(), "requests", web.Backoffice, p)
}

// Waiting is a case that is to be answered, for the overview and what reminds of it.
type Waiting struct {
	ID, Number string
	Kind       policy.Right
	Due        time.Time
	Days       int
	Overdue    bool
}

// Waiting returns the open cases, the most urgent first.
func (s *Service) Waiting(ctx context.Context) ([]Waiting, error) {
	found, err := selectRequests(ctx, s.DB, `where state <> 'closed' order by due_at, id limit $1`, listed)
	var out []Waiting
	for _, c := range found {
		row := s.rowOf(c, text.EN)
		out = append(out, Waiting{c.ID, c.Number, c.Kind, c.Due, row.Days, row.Overdue})
	}
	return out, err
}

// entryPage is the form for a request that came by phone, letter or mail.
type entryPage struct {
	web.Frame
	Entry    entry
	When     string
	Kinds    []policy.Right
	Channels []string
	Subjects []law.Subject
	Spoken   []text.Lang
	Mistake  string
}

// momentForm is how a browser writes <input type="datetime-local">.
const momentForm = "2006-01-02T15:04"

func (s *Service) entryPage(r *http.Request, e entry, when string) entryPage {
	return entryPage{Frame: s.House.Backoffice(r), Entry: e, When: when, Kinds: kinds(), Channels: channels(),
		Subjects: subjects(), Spoken: s.Plan().Languages}
}

// subjects are what a complaint can be about; each has its authority.
func subjects() []law.Subject {
	return []law.Subject{law.PersonalData, law.DeviceAccess, law.Marketing}
}

func (s *Service) showEntry(w http.ResponseWriter, r *http.Request) error {
	e := entry{Channel: "mail", Lang: s.Plan().Languages[0], Kind: policy.Access, Subject: string(law.PersonalData)}
	return web.Render(w, http.StatusOK, pages(), "entry", web.Backoffice, s.entryPage(r, e, s.Now().In(s.Plan().Loc).Format(momentForm)))
}

// staffForm reads a post of the Backoffice that may carry the names of known only.
func staffForm(w http.ResponseWriter, r *http.Request, known ...string) (url.Values, error) {
	return formOf(w, r, staffLimit, known...)
}

func (s *Service) postEntry(w http.ResponseWriter, r *http.Request) error {
	v, err := staffForm(w, r, "kind", "channel", "at", "lang", "email", "phone", "name", "contact", "words", "subject")
	if err != nil {
		return err
	}
	at, err := time.ParseInLocation(momentForm, v.Get("at"), s.Plan().Loc)
	if err != nil {
		at = time.Time{}
	}
	trim := func(name string) string { return strings.TrimSpace(v.Get(name)) }
	e := entry{
		Kind: policy.Right(v.Get("kind")), Channel: v.Get("channel"), At: at, Lang: text.Lang(v.Get("lang")), Email: trim("email"), Phone: trim("phone"),
		Name: trim("name"), Contact: trim("contact"), Words: strings.ReplaceAll(trim("words"), "\r\n", "\n"), Subject: v.Get("subject"),
	}
	if !slices.Contains(s.Plan().Languages, e.Lang) {
		e.Lang = s.Plan().Languages[0]
	}
	if !slices.Contains(subjects(), law.Subject(e.Subject)) || e.Kind != policy.Complaint {
		e.Subject = ""
	}
	id, err := s.Enter(r.Context(), e)
	if f := fault.Of(err); err != nil && f.Kind == fault.Invalid {
		p := s.entryPage(r, e, v.Get("at"))
		p.Mistake, _ = web.Say(p.Lang, f)
		return web.Render(w, http.StatusUnprocessableEntity, pages(), "entry", web.Backoffice, p)
	}
	if err != nil {
		return err
	}
	web.Done(w, r, "/requests/"+id, "request.done.entered")
	return nil
}

// casePage is one case.
type casePage struct {
	web.Frame
	Row     caseRow
	Clock   law.Deadline
	Details details
	Known   []subject.Secret // on file: where answers go
	Past    []pastRow
	Letters []string // kinds that can be sent now
	Can     map[string]bool
	Changes []changeRow
	Records []heldRow
	Told    []toldRow
	Mistake string
}

type pastRow struct {
	happened
	What  string
	Print bool
}

type changeRow struct {
	change
	Place    int
	Accepted bool
}

type heldRow struct {
	subject.Record
	Title      string
	Restricted bool
}

func (s *Service) showCase(w http.ResponseWriter, r *http.Request) error {
	c, err := s.load(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	err = s.DB.Do(r.Context(), func(ctx context.Context, tx *db.Tx) error { // looking is an act of its own (C4)
		if err := s.event(ctx, tx, c.key, "opened", by(ctx)); err != nil {
			return err
		}
		return s.audit(ctx, tx, "opened", c.request.ID)
	})
	if err != nil {
		return err
	}
	return s.renderCase(w, r, http.StatusOK, c, nil)
}

func (s *Service) renderCase(w http.ResponseWriter, r *http.Request, status int, c work, f *fault.Error) error {
	ctx := r.Context()
	p := casePage{Frame: s.House.Backoffice(r), Clock: c.deadline, Details: c.details, Can: map[string]bool{}}
	p.Row = s.rowOf(c.request, p.Lang)
	p.Row.Due, p.Row.Days = c.deadline.Due, daysLeft(c.deadline.Due, s.Now(), s.Plan().Loc)
	p.Path, p.Active = "/requests/"+c.request.ID, "/requests"
	if f != nil {
		p.Mistake, _ = web.Say(p.Lang, f)
	}
	known, err := s.Subjects.Identifiers(ctx, s.DB, c.record.Person)
	if err != nil {
		return err
	}
	p.Known = append(known[subject.Email], known[subject.Phone]...)
	for _, h := range c.past {
		p.Past = append(p.Past, pastRow{happened: h, What: text.T(p.Lang, "request.past."+h.Kind), Print: h.Letter != nil})
	}
	slices.Reverse(p.Past)
	for _, kind := range []string{receiptLetter, identityLetter, extensionLetter, refusalLetter, answerLetter, liftLetter} {
		if s.allowed(c, kind) {
			p.Letters = append(p.Letters, kind)
		}
	}
	for _, to := range moves[c.request.State] {
		p.Can[string(to)] = true
	}
	yes := accepted(c)
	for i, ch := range c.details.Changes {
		p.Changes = append(p.Changes, changeRow{ch, i, yes[i] || c.request.State == assessing})
	}
	if p.Records, err = s.heldBy(ctx, c, p.Lang); err != nil {
		return err
	}
	if p.Told, err = s.toTell(ctx, c); err != nil {
		return err
	}
	return web.Render(w, status, pages(), "request", web.Backoffice, p)
}

// heldBy lists the records that a case is about, by what they are; not what they hold.
func (s *Service) heldBy(ctx context.Context, c work, l text.Lang) ([]heldRow, error) {
	records, err := s.concerned(ctx, c)
	if err != nil {
		return nil, err
	}
	ids := make([]string, len(records))
	for i, r := range records {
		ids[i] = r.ID
	}
	paused, err := s.Subjects.Restrictions(ctx, s.DB, ids)
	if err != nil {
		return nil, err
	}
	var rows []heldRow
	for _, r := range records {
		row := heldRow{Record: r, Title: r.Kind, Restricted: slices.ContainsFunc(paused, func(p subject.Restriction) bool { return p.Record == r.ID })}
		if p := s.Plan().Purpose(r.Purpose); p != nil {
			row.Title = p.Label.In(l)
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// postStep takes a case one step on: what is done without a letter.
func (s *Service) postStep(w http.ResponseWriter, r *http.Request) error {
	v, err := formOf(w, r, staffLimit, "do", "known", "other", "accept", "outcome", "engagement")
	if err != nil {
		return err
	}
	ctx, id := r.Context(), r.PathValue("id")
	switch v.Get("do") {
	case "identified":
		err = s.Identified(ctx, id, v.Get("known"))
	case "assess":
		err = s.Assess(ctx, id)
	case "decide":
		err = s.Decide(ctx, id, outcome(v.Get("outcome")), places(v["accept"]))
	case "execute":
		err = s.Execute(ctx, id)
	case "withdrawn", "duplicate_of":
		err = s.Drop(ctx, id, outcome(v.Get("do")), v.Get("other"))
	case "told":
		err = s.Tell(ctx, id, v.Get("engagement"))
	default:
		err = fault.New(fault.Invalid, "The request has a value that is not known here.").In("request.field")
	}
	return s.stepped(w, r, id, err)
}

// stepped shows the case again: with what was done, or why it was not.
func (s *Service) stepped(w http.ResponseWriter, r *http.Request, id string, err error) error {
	f := fault.Of(err)
	if err != nil && (f.Kind == fault.Invalid || f.Kind == fault.Conflict) {
		c, e := s.load(r.Context(), id)
		if e != nil {
			return e
		}
		status := http.StatusUnprocessableEntity
		if f.Kind == fault.Conflict {
			status = http.StatusConflict
		}
		return s.renderCase(w, r, status, c, f)
	}
	if err != nil {
		return err
	}
	web.Done(w, r, "/requests/"+id, "request.done.step")
	return nil
}

func places(values []string) []int {
	var out []int
	for _, v := range values {
		if n, err := strconv.Atoi(v); err == nil && n >= 0 && n < maxChanges && !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return out
}

func (s *Service) postNote(w http.ResponseWriter, r *http.Request) error {
	v, err := staffForm(w, r, "text")
	if err != nil {
		return err
	}
	return s.stepped(w, r, r.PathValue("id"), s.Note(r.Context(), r.PathValue("id"), v.Get("text")))
}
