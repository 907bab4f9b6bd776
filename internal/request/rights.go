package request

import (
	"context"
	"net/http"
	"net/url"
	"slices"
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

// rightsPage is where a person uses every right but those of the page My data: what can be
// done at once is; the rest becomes a case, with its deadline.
type rightsPage struct {
	web.Frame
	Fields   []fieldRow // that can be corrected
	Grounds  []string   // Art. 18(1)
	Consents int        // records that rest on consent
	Cases    []caseRow
	Routes   []routeRow
	Contact  string
	Stops    bool // cases cannot be kept
	Mistake  string
	Words    url.Values // as typed
}

// fieldRow is one value that its person may call wrong.
type fieldRow struct{ ID, Title, Label, Value string }

// routeRow is one authority, and what it is for.
type routeRow struct {
	Subject law.Subject
	Name    string
	Lines   []string
	Website string
}

// routes names who to complain to: about data, cookies, spam.
func (s *Service) routes(l text.Lang) ([]routeRow, error) {
	var rows []routeRow
	for _, about := range subjects() {
		a, ok, err := s.authority(about)
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		lines := slices.DeleteFunc([]string{a.Address, a.Phone, a.Email}, func(s string) bool { return s == "" })
		rows = append(rows, routeRow{about, a.Name.In(l), lines, a.Website})
	}
	return rows, nil
}

func (s *Service) rightsPage(r *http.Request, persons []subject.PersonID) (rightsPage, error) {
	ctx := r.Context()
	p := rightsPage{Frame: s.House.Public(r), Grounds: subject.Grounds(), Contact: contact(s.Plan()), Stops: purposeOf(s.Plan()) == nil}
	for _, person := range persons {
		records, err := s.Subjects.Of(ctx, s.DB, person)
		if err != nil {
			return p, err
		}
		for _, record := range records {
			if err := s.addRecord(ctx, &p, record); err != nil {
				return p, err
			}
		}
	}
	slices.Reverse(p.Cases)
	var err error
	p.Routes, err = s.routes(p.Lang)
	return p, err
}

// addRecord adds what a record means for the rights: a case, what can be corrected, what rests on consent.
func (s *Service) addRecord(ctx context.Context, p *rightsPage, record subject.Record) error {
	if record.Holder == holder {
		w, err := s.load(ctx, record.ID)
		if k := fault.Of(err).Kind; err != nil && (k == fault.NotFound || k == fault.Gone) {
			return nil
		}
		if err == nil {
			w.request.Due = w.deadline.Due
			p.Cases = append(p.Cases, s.rowOf(w.request, p.Lang))
		}
		return err
	}
	if s.meant(policy.Withdraw, record) {
		p.Consents++
	}
	h := s.holderOf(record.Holder)
	if _, ok := h.(subject.Corrector); !ok {
		return nil
	}
	v, err := h.Show(ctx, s.DB, record, p.Lang)
	if k := fault.Of(err).Kind; err != nil && (k == fault.NotFound || k == fault.Gone) {
		return nil
	}
	for _, f := range v.Fields {
		if f.Name != "" && f.Given {
			p.Fields = append(p.Fields, fieldRow{record.ID + " " + f.Name, v.Title, f.Label, f.Value.Reveal()})
		}
	}
	return err
}

func (s *Service) showRights(w http.ResponseWriter, r *http.Request) error {
	persons, ok := s.need(w, r)
	if !ok {
		return nil
	}
	p, err := s.rightsPage(r, persons)
	if err != nil {
		return err
	}
	return web.Render(w, http.StatusOK, pages(), "rights", web.Public, p)
}

const rightsLimit = 96 << 10

func (s *Service) postRight(w http.ResponseWriter, r *http.Request) error {
	persons, ok := s.need(w, r)
	if !ok {
		return nil
	}
	v, err := formOf(w, r, rightsLimit, "field", "want", "ground", "subject", "words", "pause")
	if err != nil {
		return err
	}
	kind := policy.Right(r.PathValue("right"))
	switch kind {
	case policy.Withdraw, policy.ObjectMarketing:
		err = s.stopNow(r.Context(), persons, kind)
	case policy.Rectification, policy.Restriction, policy.Objection, policy.Complaint:
		err = s.ask(r, persons, kind, v)
	default:
		return web.NotFound(w, r)
	}
	if f := fault.Of(err); err != nil && f.Kind == fault.Invalid {
		p, e := s.rightsPage(r, persons)
		if e != nil {
			return e
		}
		p.Mistake, p.Words = first(web.Say(p.Lang, f)), v
		return web.Render(w, http.StatusUnprocessableEntity, pages(), "rights", web.Public, p)
	}
	if err != nil {
		return err
	}
	done := "request.done.case"
	if kind == policy.Withdraw || kind == policy.ObjectMarketing {
		done = "request.done.stopped"
	}
	web.Done(w, r, "/privacy/me/rights", done)
	return nil
}

// stopNow does what nobody may weigh: consent withdrawn (Art. 7(3)) and an objection to
// marketing (Art. 21(3)) end the use at once; what was kept for it is erased.
func (s *Service) stopNow(ctx context.Context, persons []subject.PersonID, kind policy.Right) error {
	for _, person := range persons {
		records, err := s.concerned(ctx, work{request: request{Kind: kind}, record: subject.Record{Person: person}})
		if err != nil {
			return err
		}
		var d details
		if len(records) > 0 {
			id, err := s.eraseFor(ctx, records)
			if err != nil {
				return err
			}
			d.Case = string(id)
		}
		left, err := s.Subjects.Of(ctx, s.DB, person)
		if err != nil {
			return err
		}
		if len(left) == 0 { // nobody is left to keep a case about
			err = s.log(ctx, person, string(kind))
		} else {
			err = s.atOnce(ctx, person, kind, d)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// ask opens a case that staff must decide, about the first person: that of the session.
// With a pause, what it is about is only stored until then (Art. 18(1)(a) and (d)).
func (s *Service) ask(r *http.Request, persons []subject.PersonID, kind policy.Right, v url.Values) error {
	ctx, person := r.Context(), persons[0]
	d, err := s.said(ctx, persons, kind, v)
	if err != nil {
		return err
	}
	pause := ""
	switch {
	case kind == policy.Restriction:
		pause = d.Ground // the wish itself: its ground is examined while the use is paused
	case v.Get("pause") != "yes":
	case kind == policy.Objection:
		pause = "objection"
	case kind == policy.Rectification:
		pause = "accuracy"
	}
	keys, err := s.Subjects.Keys.New(ctx, db.NewID())
	if err != nil {
		return err
	}
	c := request{Kind: kind, State: identityOK, Channel: "portal", Lang: s.House.Public(r).Lang} // the link went to the address on file
	concerned, err := s.concerned(ctx, work{request: request{Kind: kind}, record: subject.Record{Person: person}, details: d})
	if err != nil {
		return err
	}
	return s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error {
		filed, err := s.file(ctx, tx, keys[0], person, c, d)
		if err != nil || pause == "" {
			return err
		}
		return s.restrict(ctx, tx, concerned, filed.ID, pause)
	})
}

// said reads what a person says about a request of theirs.
func (s *Service) said(ctx context.Context, persons []subject.PersonID, kind policy.Right, v url.Values) (details, error) {
	words, err := written(v.Get("words"))
	if err != nil && (words != "" || kind == policy.Objection || kind == policy.Complaint) {
		return details{}, err
	}
	d := details{Words: words}
	switch kind {
	case policy.Rectification:
		c, err := s.change(ctx, persons, v.Get("field"), v.Get("want"))
		if err != nil {
			return d, err
		}
		d.Changes, d.Records = []change{c}, []string{c.Record}
	case policy.Restriction:
		if d.Ground = v.Get("ground"); !slices.Contains(subject.Grounds(), d.Ground) {
			return d, fault.New(fault.Invalid, "Choose why its use is to be paused.").In("request.ground")
		}
	case policy.Complaint:
		if d.Subject = v.Get("subject"); !slices.Contains(subjects(), law.Subject(d.Subject)) {
			return d, fault.New(fault.Invalid, "Choose what the complaint is about.").In("request.subject")
		}
	default: // the words say it
	}
	return d, nil
}

// change reads which value is wrong, of these persons only, and what it should be.
func (s *Service) change(ctx context.Context, persons []subject.PersonID, field, want string) (change, error) {
	want, err := written(want)
	if err != nil {
		return change{}, err
	}
	id, name, _ := strings.Cut(field, " ")
	record, err := s.Subjects.Get(ctx, s.DB, id)
	if err != nil || !owns(persons[:1], record) {
		return change{}, fault.New(fault.Invalid, "Choose what is wrong.").In("request.which")
	}
	c, ok := s.holderOf(record.Holder).(subject.Corrector)
	if !ok {
		return change{}, fault.New(fault.Invalid, "This cannot be corrected here.").In("request.no_correction")
	}
	if _, err := c.Correct(ctx, record, map[string]subject.Secret{name: subject.Secret(want)}); err != nil {
		return change{}, err
	}
	v, err := s.holderOf(record.Holder).Show(ctx, s.DB, record, s.Plan().Languages[0])
	if err != nil {
		return change{}, err
	}
	for _, f := range v.Fields {
		if f.Name == name {
			return change{record.ID, name, f.Label, f.Value.Reveal(), want}, nil
		}
	}
	return change{}, fault.New(fault.Invalid, "Choose what is wrong.").In("request.which")
}

// postTakeBack takes a person's own case back. What was paused for it is used again.
func (s *Service) postTakeBack(w http.ResponseWriter, r *http.Request) error {
	persons, ok := s.need(w, r)
	if !ok {
		return nil
	}
	if _, err := form(w, r); err != nil {
		return err
	}
	c, err := s.load(r.Context(), r.PathValue("id"))
	if err == nil && !owns(persons, c.record) {
		return web.NotFound(w, r)
	}
	if err != nil {
		return err
	}
	err = s.act(r.Context(), c, string(withdrawn), deed{}, func(r *request) error { return r.end(withdrawn, s.Now()) }, func(ctx context.Context, tx *db.Tx, _ request) error {
		return s.Subjects.Lift(ctx, tx, c.request.ID, s.Now().Add(-time.Second))
	})
	if err != nil {
		return err
	}
	web.Done(w, r, "/privacy/me/rights", "request.done.taken_back")
	return s.liftDue(r.Context())
}

// complaintPage says where to complain, to anybody.
type complaintPage struct {
	web.Frame
	Routes  []routeRow
	Contact string
}

func (s *Service) showComplaint(w http.ResponseWriter, r *http.Request) error {
	p := complaintPage{Frame: s.House.Public(r), Contact: contact(s.Plan())}
	if to := s.Plan().Rights.Complaints; to != "" {
		p.Contact = to
	}
	var err error
	if p.Routes, err = s.routes(p.Lang); err != nil {
		return err
	}
	return web.Render(w, http.StatusOK, pages(), "complaint", web.Public, p)
}
