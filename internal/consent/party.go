package consent

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/subject"
	"github.com/tillid/tillid/internal/text"
	"github.com/tillid/tillid/internal/web"
)

// partiesPath shows a visitor which third parties their browser might fetch from.
const partiesPath = "/privacy/me/parties"

// stay is a time during which a visitor let a service in, on one choice.
type stay struct {
	Service string
	Label   text.Text
	Party   string
	Country string
	Outside []string    // third countries that data may reach
	Privacy string      // address of the party's own policy
	Gets    []text.Text // categories of data
	Why     text.Text   // the purpose
	From    time.Time
	Leaf    string    // of the choice that let it in
	Ends    time.Time // when the latest choice for it ends by itself
	Until   time.Time // when it was shut out; zero while it is let in
	How     ending
	EndLeaf string
	Waits   bool // it has grown since: shut out until the visitor has been asked again
}

// stays returns, newest first, which third parties a person let in, as far as
// their choices are still kept.
func (s *Service) stays(ctx context.Context, person subject.PersonID) ([]stay, error) {
	records, err := s.Subjects.Of(ctx, s.DB, person)
	if err != nil {
		return nil, err
	}
	w := walk{open: map[string]*stay{}}
	for _, rec := range records {
		if rec.Holder != holder {
			continue
		}
		r, ok, err := selectChoice(ctx, s.DB, rec.ID)
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		o, err := s.offerOf(ctx, r.version)
		if err != nil {
			return nil, err
		}
		w.step(o, r)
	}
	w.lapse(s.Now(), w.endLeaf)
	slices.Reverse(w.all)
	list := make([]stay, len(w.all))
	for i, st := range w.all {
		list[i] = *st
	}
	return list, nil
}

// walk goes through a visitor's choices in their order.
type walk struct {
	all     []*stay
	open    map[string]*stay
	endLeaf string // of the latest choice, when it has ended by itself
}

func (w *walk) step(o *offer, r row) {
	w.lapse(r.at.Time, "")
	granted := items(r.granted)
	how := changed
	if r.kind == withdrawn {
		how = takenBack
	}
	for id := range w.open {
		if !slices.Contains(granted, id) {
			w.shut(id, r.at.Time, how, r.leaf)
		}
	}
	for _, id := range granted {
		if st, ok := w.open[id]; ok {
			st.Ends = r.ends[id]
		} else if st := o.stay(id, r); st != nil {
			w.open[id] = st
			w.all = append(w.all, st)
		}
	}
	w.endLeaf = r.endLeaf
}

// lapse shuts what has ended by itself until a moment.
func (w *walk) lapse(until time.Time, leaf string) {
	for id, st := range w.open {
		if !st.Ends.IsZero() && !st.Ends.After(until) {
			w.shut(id, st.Ends, expired, leaf)
		}
	}
}

func (w *walk) shut(id string, at time.Time, how ending, leaf string) {
	st := w.open[id]
	st.Until, st.How, st.EndLeaf = at, how, leaf
	delete(w.open, id)
}

// stay begins with a choice; nil when the item is not a third party's.
func (o *offer) stay(id string, r row) *stay {
	at := slices.IndexFunc(o.items, func(it item) bool { return it.ID == id && it.Service != nil })
	if at < 0 {
		return nil
	}
	it := o.items[at]
	st := &stay{Service: id, Label: it.Label, Party: it.Party, Country: it.Country, Outside: it.Transfer, Privacy: it.Privacy, From: r.at.Time, Leaf: r.leaf, Ends: r.ends[id]}
	if p := o.plan.Purpose(it.Service.Purpose); p != nil {
		st.Why, st.Gets = p.Label, o.gets(it.Service, p)
	}
	return st
}

// gets returns what a third party learns: what its engagement says, else what the purpose uses.
func (o *offer) gets(svc *policy.Service, p *policy.Purpose) []text.Text {
	ids := p.Data
	if e := o.plan.Engagement(svc.Engagement); e != nil && len(e.Data) > 0 {
		ids = e.Data
	}
	var all []text.Text
	for _, id := range ids {
		if d := o.plan.DataCategory(id); d != nil {
			all = append(all, d.Label)
		}
	}
	return all
}

// letIn returns stays as a receipt has them.
func letIn(stays []stay, l text.Lang) []LetIn {
	var all []LetIn
	for _, st := range stays {
		all = append(all, LetIn{
			Service: st.Service, Label: st.Label.In(l), Party: st.Party, Countries: append([]string{st.Country}, st.Outside...),
			From: st.From, Choice: st.Leaf, Until: st.Until, End: string(st.How), EndLeaf: st.EndLeaf,
		})
	}
	return all
}

type partiesPage struct {
	web.Frame
	Known bool // this browser holds a visitor's id
	Now   []stay
	Past  []stay
}

// partiesPage answers GET /privacy/me/parties for the browser that holds the id.
func (s *Service) partiesPage(w http.ResponseWriter, r *http.Request) error {
	state := s.Granted(r)
	page := partiesPage{Frame: s.House.Public(r)}
	if state.Visitor == "" {
		return web.Render(w, http.StatusOK, pages, "parties", web.Public, page)
	}
	person, ok, err := s.Subjects.Find(r.Context(), s.DB, subject.Visitor, state.Visitor)
	if err != nil {
		return err
	}
	if page.Known = ok; ok {
		stays, err := s.stays(r.Context(), person)
		if err != nil {
			return err
		}
		page.split(stays, state)
	}
	return web.Render(w, http.StatusOK, pages, "parties", web.Public, page)
}

func (p *partiesPage) split(stays []stay, state State) {
	for _, st := range stays {
		if !st.Until.IsZero() {
			p.Past = append(p.Past, st)
			continue
		}
		st.Waits = !state.Has(st.Service)
		p.Now = append(p.Now, st)
	}
}
