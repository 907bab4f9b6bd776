package intake

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/subject"
	"github.com/tillid/tillid/internal/text"
	"github.com/tillid/tillid/internal/web"
)

// Colleague is a member of staff who may work on enquiries.
type Colleague struct{ ID, Name string }

// outcomes of a call, in the order that they are offered.
var outcomes = []string{"reached", "no_answer", "busy", "message", "wrong_number"}

// names returns the names of who may work on enquiries, by id.
func (s *Service) names(ctx context.Context) (map[string]string, error) {
	names := map[string]string{}
	if s.Colleagues == nil {
		return names, nil
	}
	all, err := s.Colleagues(ctx)
	for _, c := range all {
		names[c.ID] = c.Name
	}
	return names, err
}

// work fills in who works on a case, and what can be done with it.
func (s *Service) work(ctx context.Context, p *casePage, c enquiryCase) error {
	names, err := s.names(ctx)
	if err != nil {
		return err
	}
	p.Assignee = names[c.enquiry.Assignee]
	for id, name := range names {
		p.Colleagues = append(p.Colleagues, choiceView{id, name, id == c.enquiry.Assignee})
	}
	slices.SortFunc(p.Colleagues, func(a, b choiceView) int { return cmp.Or(cmp.Compare(a.Label, b.Label), cmp.Compare(a.ID, b.ID)) })
	p.Callable = c.given("phone") != ""
	for _, o := range outcomes {
		p.Outcomes = append(p.Outcomes, choiceView{ID: o, Label: text.T(p.Lang, "intake.outcome."+o)})
	}
	if until := c.enquiry.Closed.Add(undoTime); c.enquiry.State == "closed" && !c.record.Triggered.Before(until) && s.Now().Before(until) {
		p.Undo = until
	}
	return nil
}

// given is the value of the first filled-in field of a type.
func (c enquiryCase) given(kind string) string {
	if c.form == nil {
		return ""
	}
	return given(submission{form: c.form, answers: c.what.Answers}, kind)
}

// Assign gives an enquiry to a colleague, or to nobody. That it was handed over, by
// whom and to whom, is noted (C4).
func (s *Service) Assign(ctx context.Context, id, user string) error {
	names, err := s.names(ctx)
	if err != nil {
		return err
	}
	if user != "" && names[user] == "" {
		return fault.New(fault.Invalid, "That member of staff does not work on enquiries.").
			WithHint("Choose one from the list.").In("intake.no_colleague")
	}
	c, err := s.load(ctx, id)
	if err != nil {
		return err
	}
	return s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error {
		before, err := assign(ctx, tx, id, user)
		if err != nil || before == user {
			return err
		}
		kind := "assigned"
		if before != "" && user != "" {
			kind = "handed"
		}
		return s.note(ctx, tx, c.key, kind, by(ctx, cmp.Or(names[user], "–")))
	})
}

// Call notes how a call went.
func (s *Service) Call(ctx context.Context, id, outcome, body string) error {
	if !slices.Contains(outcomes, outcome) {
		return fault.New(fault.Invalid, "How did the call go?").WithHint("Choose one from the list.").In("intake.no_outcome")
	}
	if strings.TrimSpace(body) != "" {
		var err error
		if body, err = written(body); err != nil {
			return err
		}
	}
	c, err := s.load(ctx, id)
	if err != nil {
		return err
	}
	d := by(ctx, strings.TrimSpace(body))
	d.Outcome = outcome
	return s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error { return s.note(ctx, tx, c.key, "called", d) })
}

func (s *Service) postAssign(w http.ResponseWriter, r *http.Request) error {
	form, err := post(w, r, "user")
	if err != nil {
		return err
	}
	return s.done(w, r, s.Assign(r.Context(), r.PathValue("id"), form.Get("user")), "intake.done.assigned", "")
}

func (s *Service) postCall(w http.ResponseWriter, r *http.Request) error {
	form, err := post(w, r, "outcome", "text")
	if err != nil {
		return err
	}
	return s.done(w, r, s.Call(r.Context(), r.PathValue("id"), form.Get("outcome"), form.Get("text")), "intake.done.called", form.Get("text"))
}

func (s *Service) postReopen(w http.ResponseWriter, r *http.Request) error {
	if _, err := post(w, r); err != nil {
		return err
	}
	return s.done(w, r, s.Reopen(r.Context(), r.PathValue("id")), "intake.done.reopened", "")
}

// done goes back to the case, or shows it with what is wrong and what was typed.
func (s *Service) done(w http.ResponseWriter, r *http.Request, err error, says, draftNote string) error {
	if f := fault.Of(err); err != nil && f.Kind == fault.Invalid {
		return s.again(w, r, f, "", draftNote)
	}
	if err != nil {
		return err
	}
	web.Done(w, r, "/enquiries/"+r.PathValue("id"), says)
	return nil
}

// search lists the enquiries of an e-mail address, a phone number or a case number. It
// is a POST: an address in a URL would stand in histories and logs.
func (s *Service) search(w http.ResponseWriter, r *http.Request) error {
	form, err := post(w, r, "q")
	if err != nil {
		return err
	}
	ids, err := s.find(r.Context(), strings.TrimSpace(form.Get("q")))
	if err != nil {
		return err
	}
	rows, err := listOf(r.Context(), s.DB, ids)
	if err != nil {
		return err
	}
	p := listPage{Frame: s.House.Backoffice(r), Now: s.Now(), Searched: true}
	p.Path, p.Active = "/enquiries", "/enquiries"
	if err := s.fillList(r.Context(), &p, rows); err != nil {
		return err
	}
	return web.Render(w, http.StatusOK, pages(), "list", web.Backoffice, p)
}

// maxFound is how many records of a person a search looks at.
const maxFound = 200

// find returns the records that a search finds: by case number, else by who sent them.
func (s *Service) find(ctx context.Context, q string) (ids []string, err error) {
	if id, err := byNumber(ctx, s.DB, strings.ToUpper(q)); err != nil || id != "" {
		return []string{id}, err
	}
	for _, kind := range []string{subject.Email, subject.Phone} {
		person, ok, err := s.Subjects.Find(ctx, s.DB, kind, subject.Secret(q))
		if err != nil && fault.Of(err).Kind != fault.Invalid {
			return nil, err
		}
		if !ok || err != nil {
			continue // it is no such thing, or nobody's
		}
		held, err := s.Subjects.Of(ctx, s.DB, person)
		if err != nil {
			return nil, err
		}
		for _, r := range held {
			if r.Holder == holder && len(ids) < maxFound {
				ids = append(ids, r.ID)
			}
		}
	}
	return ids, nil
}

// entryPage is a form that staff fill in for somebody who called, wrote or came.
type entryPage struct {
	formPage
	Received string // local time, as an input of type datetime-local has it
	Came     []choiceView
	Late     string // what is wrong with the time
}

// ways are how an enquiry may come that staff enter.
var ways = []string{"phone", "letter", "mail"}

// localTime is what an input of type datetime-local sends.
const localTime = "2006-01-02T15:04"

// entryBack is how long ago an enquiry that is entered may have come.
const entryBack = 31 * 24 * time.Hour

// entryForms are the forms that staff may fill in.
func (s *Service) entryForms(l text.Lang) (out []choiceView) {
	for i := range s.Plan().Forms {
		if f := &s.Plan().Forms[i]; taken(f) {
			out = append(out, choiceView{ID: f.ID, Label: f.Label.In(l)})
		}
	}
	return out
}

func (s *Service) entryForm(r *http.Request) (*policy.Form, error) {
	if f := s.Plan().Form(r.URL.Query().Get("form")); f != nil && taken(f) {
		return f, nil
	}
	return nil, fault.New(fault.NotFound, "There is no such form.").WithHint("Choose one on the page Enquiries.").In("intake.no_form_here")
}

func (s *Service) showEntry(w http.ResponseWriter, r *http.Request) error {
	form, err := s.entryForm(r)
	if err != nil {
		return err
	}
	p := s.entryPage(r, form, map[string]string{"_received": s.Now().In(s.Plan().Loc).Format(localTime), "_came": ways[0]}, nil)
	return web.Render(w, http.StatusOK, pages(), "entry", web.Backoffice, p)
}

func (s *Service) entryPage(r *http.Request, form *policy.Form, values map[string]string, mistakes []mistake) entryPage {
	f := s.House.Backoffice(r)
	p := entryPage{formPage: s.formPage(f, form, values, mistakes), Received: values["_received"]}
	p.Frame, p.Active = f, "/enquiries"
	p.Path = "/enquiries/new?form=" + form.ID
	p.Action = p.Path
	for _, way := range ways {
		p.Came = append(p.Came, choiceView{way, text.T(p.Lang, "intake.came."+way), way == values["_came"]})
	}
	p.Fields = slices.DeleteFunc(p.Fields, func(v fieldView) bool { return v.Type == "file" })
	for i := range p.Fields {
		p.Fields[i].Consequence, p.Fields[i].Auto = "", ""
	}
	return p
}

// postEntry stores what somebody said on the phone or wrote in a letter, with the time
// when they did. Who calls may leave out what the form on the website must have; ticks
// are theirs alone, and are not offered.
func (s *Service) postEntry(w http.ResponseWriter, r *http.Request) error {
	form, err := s.entryForm(r)
	if err != nil {
		return err
	}
	sent, err := web.DecodeForm(w, r, postLimit)
	if err != nil {
		return err
	}
	values := map[string]string{}
	for name := range sent {
		values[name] = sent.Get(name)
	}
	in, mistakes, late := s.readEntry(r, form, values)
	if len(mistakes) > 0 || late != "" {
		p := s.entryPage(r, form, values, mistakes)
		p.Late = late
		return web.Render(w, http.StatusUnprocessableEntity, pages(), "entry", web.Backoffice, p)
	}
	receipt, err := s.submit(r.Context(), in)
	if err != nil {
		return err
	}
	if err := s.Assign(r.Context(), receipt.ID, web.ViewerOf(r.Context()).User); err != nil && fault.Of(err).Kind != fault.Invalid {
		return err
	}
	web.Done(w, r, "/enquiries/"+receipt.ID, "intake.done.entered")
	return nil
}

func (s *Service) readEntry(r *http.Request, form *policy.Form, values map[string]string) (in submission, mistakes []mistake, late string) {
	l := s.House.Backoffice(r).Lang
	in = submission{form: form, lang: l, came: values["_came"], token: values[tokenField], rendered: s.readFormToken(form.ID, values[tokenField])}
	received, err := time.ParseInLocation(localTime, values["_received"], s.Plan().Loc)
	if now := s.Now(); err != nil || received.After(now) || received.Before(now.Add(-entryBack)) {
		late = text.T(l, "intake.entry.time")
	}
	in.received = received.UTC()
	if !slices.Contains(ways, in.came) {
		in.came = ways[0]
	}
	fields := map[string]string{}
	for name, v := range values {
		if !strings.HasPrefix(name, "_") {
			fields[name] = v
		}
	}
	for _, c := range form.Consents {
		delete(fields, c.Name)
	}
	in.answers, mistakes = s.check(form, fields, &uploads{})
	mistakes = slices.DeleteFunc(mistakes, func(m mistake) bool { return slices.Contains([]string{"missing", "tick", "missing_file"}, m.ID) })
	if len(mistakes) == 0 && given(in, "email") == "" && given(in, "phone") == "" {
		mistakes = append(mistakes, s.unreachable(form)...)
	}
	return in, mistakes, late
}

// unreachable says at each field by which a person could be reached that one is needed.
func (s *Service) unreachable(form *policy.Form) (out []mistake) {
	for _, f := range form.Fields {
		if f.Type == "email" || f.Type == "phone" {
			out = append(out, mistake{Field: f.Name, ID: "reach"})
		}
	}
	return out
}
