package request

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/erase"
	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/subject"
	"github.com/tillid/tillid/internal/text"
	"github.com/tillid/tillid/internal/web"
)

// erasePage names exactly what erasing destroys, before it is done.
type erasePage struct {
	web.Frame
	What    string // record id, or all
	All     bool
	Goes    []goingView
	Stays   []goingView
	Answer  string // how long the processors may take, in words
	Contact string
	Waiting bool // for an answer, which erasing would end
}

// goingView is one record that goes, or stays.
type goingView struct {
	Title    string
	Received time.Time
	Labels   []string // what it holds
	Systems  []string // where it goes too
	Why      string   // why it stays
}

// everything is the word for all records of the persons.
const everything = "all"

// chosen returns the records that what names, of these persons only.
func (s *Service) chosen(ctx context.Context, persons []subject.PersonID, what string) ([]subject.Record, error) {
	if what == everything {
		var out []subject.Record
		for _, p := range persons {
			records, err := s.Subjects.Of(ctx, s.DB, p)
			if err != nil {
				return nil, err
			}
			out = append(out, records...)
		}
		return out, nil
	}
	r, err := s.Subjects.Get(ctx, s.DB, what)
	if err == nil && !owns(persons, r) {
		err = fault.New(fault.NotFound, "There is no such record.").In("request.no_record") // nor for others: S-09
	}
	if fault.Of(err).Kind == fault.NotFound {
		return nil, fault.New(fault.NotFound, "This is not held, or not any more.").
			WithHint("See what is held on the page My data.").In("request.no_record")
	}
	return []subject.Record{r}, err
}

func (s *Service) showErase(w http.ResponseWriter, r *http.Request) error {
	persons, ok := s.need(w, r)
	if !ok {
		return nil
	}
	what := r.URL.Query().Get("what")
	records, err := s.chosen(r.Context(), persons, what)
	if err != nil {
		return err
	}
	steps, err := s.Erase.PlanFor(r.Context(), records, erase.Reason{Kind: erase.Request})
	if err != nil {
		return err
	}
	page := erasePage{Frame: s.House.Public(r), What: what, All: what == everything, Contact: contact(s.Plan())}
	page.Answer = answerTime(s.Plan(), page.Lang)
	if page.Waiting, err = s.waits(r.Context(), records); err != nil {
		return err
	}
	for _, step := range steps {
		v, err := s.going(r.Context(), step, page.Lang)
		if err != nil {
			return err
		}
		if v.Why != "" {
			page.Stays = append(page.Stays, v)
		} else {
			page.Goes = append(page.Goes, v)
		}
	}
	return web.Render(w, http.StatusOK, pages(), "erase", web.Public, page)
}

// waits reports whether records hold a request that is still to be answered: the answer
// comes first, unless its person does without it.
func (s *Service) waits(ctx context.Context, records []subject.Record) (bool, error) {
	for _, r := range records {
		if r.Holder != holder {
			continue
		}
		c, err := getRequest(ctx, s.DB, r.ID)
		if err != nil && fault.Of(err).Kind != fault.NotFound {
			return false, err
		}
		if err == nil && c.open() && c.State != executing {
			return true, nil
		}
	}
	return false, nil
}

func answerTime(plan *policy.Plan, l text.Lang) string {
	d := plan.Rights.AnswerTime
	if !d.Set {
		d = policy.Duration{Set: true, Months: 1}
	}
	return text.Period(l, d.Years, d.Months, d.Weeks, d.Days, d.Hours, d.Minutes)
}

// going says in words what happens to one record.
func (s *Service) going(ctx context.Context, step erase.Step, l text.Lang) (goingView, error) {
	r, plan := step.Record, s.Plan()
	v := goingView{Title: r.Kind, Received: r.Received}
	if h := s.holderOf(r.Holder); h != nil {
		view, err := h.Show(ctx, s.DB, r, l)
		if k := fault.Of(err).Kind; err != nil && k != fault.NotFound && k != fault.Gone {
			return v, err
		}
		v.Title = view.Title
		for _, f := range view.Fields {
			if !slices.Contains(v.Labels, f.Label) {
				v.Labels = append(v.Labels, f.Label)
			}
		}
	}
	for _, h := range step.Systems {
		if name := recipient(plan, h).Name; !slices.Contains(v.Systems, name) {
			v.Systems = append(v.Systems, name)
		}
	}
	switch step.State {
	case erase.Blocked:
		v.Why = text.T(l, "request.erase.held")
	case erase.Retained:
		v.Why = text.T(l, "request.erase.law", "Law", step.Code, "Until", text.Date(l, step.Until.In(plan.Loc)))
	default: // it goes
	}
	return v, nil
}

func (s *Service) postErase(w http.ResponseWriter, r *http.Request) error {
	persons, ok := s.need(w, r)
	if !ok {
		return nil
	}
	values, err := form(w, r, "what", "drop")
	if err != nil {
		return err
	}
	what := values.Get("what")
	records, err := s.chosen(r.Context(), persons, what)
	if err != nil {
		return err
	}
	waits, err := s.waits(r.Context(), records)
	if err != nil {
		return err
	}
	if waits && values.Get("drop") != "yes" {
		return fault.New(fault.Conflict, "A request of yours has not been answered yet; erasing would end it.").
			WithHint("Wait for the answer, or say on the page that you do without it.").In("request.answer_first")
	}
	var id erase.CaseID
	if what == everything {
		id, err = s.eraseAll(r.Context(), persons)
	} else {
		id, err = s.eraseOne(r.Context(), records[0])
	}
	if err != nil {
		return err
	}
	if what == everything {
		http.SetCookie(w, cookie(r, "", -1))
	}
	http.Redirect(w, r, "/privacy/me/erased/"+string(id), http.StatusSeeOther)
	return nil
}

// eraseAll erases everything about persons. The request itself leaves a leaf in
// the log and the certificate, but no record: it would be about a person who is gone.
func (s *Service) eraseAll(ctx context.Context, persons []subject.PersonID) (first erase.CaseID, err error) {
	for _, p := range persons {
		if err := s.log(ctx, p, string(policy.Erasure)); err != nil {
			return "", err
		}
		id, err := s.Erase.Person(ctx, p, erase.Reason{Kind: erase.Request})
		if fault.Of(err).Kind == fault.NotFound && err != nil {
			continue // nothing is held about this one
		}
		if err != nil {
			return "", err
		}
		if first == "" {
			first = id
		}
		err = s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error { return forgetPortal(ctx, tx, p) })
		if err != nil {
			return "", err
		}
	}
	if first == "" {
		return "", fault.New(fault.NotFound, "Nothing is held about you here.").In("request.nothing")
	}
	return first, nil
}

// eraseOne erases one record; the person stays, and so does the request.
func (s *Service) eraseOne(ctx context.Context, r subject.Record) (erase.CaseID, error) {
	id, err := s.Erase.Records(ctx, []subject.Record{r}, erase.Reason{Kind: erase.Request})
	if err != nil {
		return "", err
	}
	return id, s.atOnce(ctx, r.Person, policy.Erasure, details{Case: string(id)})
}

// erasedPage shows how far an erasure is. Whoever has its address may see it: it
// holds nothing about anybody.
type erasedPage struct {
	web.Frame
	Case        *erase.Case
	Rows        int
	Certificate string
	Contact     string
}

func (s *Service) showErased(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("case")
	if !caseAddress(id) {
		return web.NotFound(w, r)
	}
	c, err := s.Erase.Case(r.Context(), erase.CaseID(id))
	if err != nil {
		return err
	}
	page := erasedPage{Frame: s.House.Public(r), Case: c, Certificate: "/privacy/certificate/" + id, Contact: contact(s.Plan())}
	for _, n := range c.Rows {
		page.Rows += n
	}
	return web.Render(w, http.StatusOK, pages(), "erased", web.Public, page)
}
