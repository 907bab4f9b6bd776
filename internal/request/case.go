package request

import (
	"slices"
	"time"

	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/law"
	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/text"
)

// kindCopy is the right to a copy (Art. 15(3)); the others are named in policy.
const kindCopy = policy.Right("copy")

// kinds are the rights that a case can be about, in the order in which they are offered.
func kinds() []policy.Right {
	return []policy.Right{
		policy.Access, kindCopy, policy.Portability, policy.Rectification, policy.Erasure, policy.Restriction,
		policy.Objection, policy.ObjectMarketing, policy.Withdraw, policy.Complaint,
	}
}

// state is how far a case has come. That it is overdue is no state: see deadline.
type state string

const (
	received        state = "received"
	identityPending state = "identity_pending" // proof of who it is was asked for: the clock stands
	identityOK      state = "identity_ok"
	assessing       state = "assessing"
	executing       state = "executing" // decided, and being done
	answering       state = "answering" // done; the person is to be told
	closed          state = "closed"
)

// outcome is how a closed case ended.
type outcome string

const (
	granted   outcome = "granted"
	partly    outcome = "partly"
	refused   outcome = "refused"
	withdrawn outcome = "withdrawn"
	duplicate outcome = "duplicate_of"
)

// moves says which states a case goes to from each. Whoever asked may withdraw, and a
// case may prove to be another one's duplicate, until it is closed.
var moves = map[state][]state{
	received:        {identityPending, assessing, closed},
	identityPending: {identityOK, closed},
	identityOK:      {identityPending, assessing, closed},
	assessing:       {executing, answering, closed},
	executing:       {answering, closed},
	answering:       {closed},
}

// move takes a case to another state, or says why it cannot go there.
func (r *request) move(to state) error {
	if slices.Contains(moves[r.State], to) {
		r.State = to
		return nil
	}
	return fault.New(fault.Conflict, "The case is at another step now.").
		WithHint("See the case again: somebody else may have gone on with it.").In("request.step")
}

// end closes a case.
func (r *request) end(how outcome, at time.Time) error {
	if err := r.move(closed); err != nil {
		return err
	}
	r.Outcome, r.Closed = how, at
	return nil
}

// request is a row of table rights_request: one case.
type request struct {
	ID, Number string
	Kind       policy.Right
	State      state
	Outcome    outcome
	Channel    string
	Lang       text.Lang
	At         time.Time // received, by whatever channel
	Entered    time.Time // when it came into this program
	Due        time.Time
	Told       time.Time // of an extension
	Closed     time.Time
	Leaf       string
	Sealed     []byte
}

// open reports whether the case is to be answered yet.
func (r request) open() bool { return r.State != closed }

// channels are the ways in which staff receive requests.
func channels() []string { return []string{"mail", "letter", "phone", "person"} }

// extensions are the reasons that Art. 12(3) knows for an extension.
func extensions() []string { return []string{"complex", "many"} }

// ground is a coded reason for refusing (part of) a request.
type ground struct {
	Code    string
	Article string
	rights  []policy.Right // nil: all
}

// grounds are the reasons that the law knows. Which of them holds is for a person to judge.
func grounds() []ground {
	pack := []policy.Right{policy.Access, kindCopy, policy.Portability}
	gone := []policy.Right{policy.Erasure}
	return []ground{
		{"unfounded", "GDPR Art. 12(5)", nil},
		{"excessive", "GDPR Art. 12(5)", nil},
		{"unidentified", "GDPR Art. 11(2), 12(2)", nil},
		{"others", "GDPR Art. 15(4), 20(4)", pack},
		{"exempt", "Databeskyttelsesloven § 22", []policy.Right{policy.Access, kindCopy}},
		{"not_portable", "GDPR Art. 20(1)", []policy.Right{policy.Portability}},
		{"accurate", "GDPR Art. 16", []policy.Right{policy.Rectification}},
		{"expression", "GDPR Art. 17(3)(a)", gone},
		{"obligation", "GDPR Art. 17(3)(b)", gone},
		{"archive", "GDPR Art. 17(3)(d)", gone},
		{"claims", "GDPR Art. 17(3)(e), 21(1)", []policy.Right{policy.Erasure, policy.Objection}},
		{"needed", "GDPR Art. 17(1)", gone},
		{"no_ground", "GDPR Art. 18(1)", []policy.Right{policy.Restriction}},
		{"compelling", "GDPR Art. 21(1)", []policy.Right{policy.Objection}},
		{"no_breach", "GDPR Art. 77", []policy.Right{policy.Complaint}},
	}
}

// groundsFor returns the grounds on which a request of a kind can be refused. Nobody can
// refuse an objection to marketing or a withdrawal because of what it says.
func groundsFor(kind policy.Right) []ground {
	return slices.DeleteFunc(grounds(), func(g ground) bool { return g.rights != nil && !slices.Contains(g.rights, kind) })
}

// clockOf returns the statutory clock of a case: pauses are told by its events.
func clockOf(r request, past []happened) law.Clock {
	c := law.Clock{Received: r.At, Told: r.Told}
	for _, h := range past {
		switch last := len(c.Pauses) - 1; {
		case h.Kind == identityLetter:
			c.Pauses = append(c.Pauses, law.Pause{Asked: h.At})
		case h.Kind == "identified" && last >= 0 && c.Pauses[last].Satisfied.IsZero():
			c.Pauses[last].Satisfied = h.At
		}
	}
	return c
}

// deadline returns what the clock of a case says now, by the law packs in force. Where
// the declaration promises an answer sooner, that is what the house aims at.
func (s *Service) deadline(r request, past []happened) (law.Deadline, error) {
	plan := s.Plan()
	packs, err := s.law()
	if err != nil {
		return law.Deadline{}, err
	}
	now := s.Now()
	if !r.Closed.IsZero() {
		now = r.Closed
	}
	d := packs.Answer(clockOf(r, past), now, plan.Loc)
	if promised := plan.Rights.AnswerTime; promised.Set {
		if at := promised.After(r.At, plan.Loc); at.Before(d.Target) {
			d.Target = at
		}
	}
	return d, nil
}

// law returns the law packs of the declaration in force.
func (s *Service) law() (*law.Law, error) {
	plan := s.Plan()
	if l, ok := s.packs.Load(plan.Hash); ok {
		return l.(*law.Law), nil
	}
	l, err := law.Load(plan.Law)
	if err == nil {
		s.packs.Store(plan.Hash, l)
	}
	return l, err
}
