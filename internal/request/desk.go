package request

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/erase"
	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/mail"
	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/subject"
	"github.com/tillid/tillid/internal/text"
)

// entry is a request that came by phone, letter or mail, as staff write it down.
type entry struct {
	Kind    policy.Right
	Channel string
	At      time.Time // when it really came
	Lang    text.Lang
	Email   string // by which the person is known here
	Phone   string
	Name    string
	Contact string
	Words   string
	Subject string
}

func (e entry) check(now time.Time) error {
	switch {
	case !slices.Contains(kinds(), e.Kind):
		return fault.New(fault.Invalid, "Choose what is asked for.").In("request.kind")
	case !slices.Contains(channels(), e.Channel):
		return fault.New(fault.Invalid, "Choose how it came.").In("request.channel")
	case e.At.IsZero() || e.At.After(now) || now.Sub(e.At) > 366*24*time.Hour:
		return fault.New(fault.Invalid, "Say when it came: within the last year, and not in the future.").In("request.when")
	case e.Email != "" && !mail.ValidAddress(e.Email):
		return fault.New(fault.Invalid, "This is not an e-mail address.").In("request.address")
	case len([]rune(e.Words)) > maxWords || len([]rune(e.Name)) > 200 || len([]rune(e.Contact)) > 500:
		return fault.New(fault.Invalid, "That is too long.").In("request.long")
	case e.Name == "" && e.Email == "" && e.Phone == "":
		return fault.New(fault.Invalid, "Say who asks: a name, an e-mail address or a phone number.").In("request.who")
	}
	if e.Phone != "" {
		if _, err := subject.Normalise(subject.Phone, subject.Secret(e.Phone)); err != nil {
			return fault.New(fault.Invalid, "This is not a phone number.").In("request.phone")
		}
	}
	return nil
}

// Enter opens a case for a request that did not come through the portal. The clock runs
// from when it came, not from now. It is about the person who is known by the address or
// number; nobody is known by it: about somebody new.
func (s *Service) Enter(ctx context.Context, e entry) (id string, err error) {
	if err := e.check(s.Now()); err != nil {
		return "", err
	}
	if purposeOf(s.Plan()) == nil {
		return "", errNoPurpose()
	}
	var names []subject.Identifier
	if e.Email != "" {
		names = append(names, subject.Identifier{Kind: subject.Email, Value: subject.Secret(e.Email)})
	} else if e.Phone != "" {
		names = append(names, subject.Identifier{Kind: subject.Phone, Value: subject.Secret(e.Phone)})
	}
	id = db.NewID()
	who, keys, err := s.Subjects.Prepare(ctx, names, id)
	if err != nil {
		return "", err
	}
	d := details{Name: e.Name, Contact: e.Contact, Words: e.Words, Subject: e.Subject}
	r := request{Kind: e.Kind, State: received, Channel: e.Channel, Lang: e.Lang, At: e.At}
	return id, s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error {
		person, err := s.asker(ctx, tx, who)
		if err != nil {
			return err
		}
		if _, err := s.file(ctx, tx, keys[0], person, r, d); err != nil {
			return err
		}
		return s.audit(ctx, tx, "entered", id)
	})
}

func (s *Service) asker(ctx context.Context, tx *db.Tx, who []*subject.Prepared) (subject.PersonID, error) {
	if len(who) == 0 {
		return s.Subjects.Unknown(ctx, tx)
	}
	return s.Subjects.Identify(ctx, tx, who[0])
}

// Identified notes that it is known who asks: the clock runs again. known, when it is not
// empty, is the address or number under which the person is on file: the case is theirs then.
func (s *Service) Identified(ctx context.Context, id, known string) error {
	w, err := s.load(ctx, id)
	if err != nil {
		return err
	}
	person := w.record.Person
	if known = strings.TrimSpace(known); known != "" {
		kind := subject.Phone
		if strings.Contains(known, "@") {
			kind = subject.Email
		}
		p, ok, err := s.Subjects.Find(ctx, s.DB, kind, subject.Secret(known))
		if err != nil && fault.Of(err).Kind != fault.Invalid {
			return err
		}
		if !ok {
			return fault.New(fault.Invalid, "Nobody is known here by that.").WithHint("Write the address or number that is on file.").In("request.unknown")
		}
		person = p
	}
	var free []string
	err = s.act(ctx, w, "identified", by(ctx), func(r *request) error { return r.move(identityOK) }, func(ctx context.Context, tx *db.Tx, _ request) error {
		free, err = s.Subjects.Move(ctx, tx, w.record, person)
		return err
	})
	if err != nil {
		return err
	}
	return s.Subjects.Keys.Destroy(ctx, free...)
}

// Assess notes that somebody looks at whether the request is well founded.
func (s *Service) Assess(ctx context.Context, id string) error {
	w, err := s.load(ctx, id)
	if err != nil {
		return err
	}
	return s.act(ctx, w, "assess", by(ctx), func(r *request) error { return r.move(assessing) }, nil)
}

// Note keeps an internal note with the case.
func (s *Service) Note(ctx context.Context, id, words string) error {
	words, err := written(words)
	if err != nil {
		return err
	}
	w, err := s.load(ctx, id)
	if err != nil {
		return err
	}
	d := by(ctx)
	d.Text = words
	return s.act(ctx, w, "note", d, nil, nil)
}

// Drop closes a case that its person takes back, or that another case answers: other is then
// that one's number.
func (s *Service) Drop(ctx context.Context, id string, how outcome, other string) error {
	w, err := s.load(ctx, id)
	if err != nil {
		return err
	}
	d := by(ctx)
	if how == duplicate {
		same, err := numbered(ctx, s.DB, strings.TrimSpace(other))
		if err != nil {
			return err
		}
		if same == "" || same == id {
			return fault.New(fault.Invalid, "No other case has that number.").In("request.number")
		}
		d.Code = same
	} else if how != withdrawn {
		return errStep()
	}
	return s.act(ctx, w, string(how), d, func(r *request) error { return r.end(how, s.Now()) }, nil)
}

// Decide grants a request, wholly or in part, and does it. accepted are the changes of a
// rectification that are right, by their place in the list.
func (s *Service) Decide(ctx context.Context, id string, how outcome, accepted []int) error {
	if how != granted && how != partly {
		return errStep()
	}
	w, err := s.load(ctx, id)
	if err != nil {
		return err
	}
	if w.request.Kind == policy.Rectification && len(accepted) < len(w.details.Changes) {
		how = partly
	}
	d := by(ctx)
	d.Text = marks(accepted)
	err = s.act(ctx, w, "decide", d, func(r *request) error {
		r.Outcome = how
		return r.move(executing)
	}, nil)
	if err != nil {
		return err
	}
	return s.Execute(ctx, id)
}

// Execute does what was decided. It can be called again after a crash: all of it can be done twice.
func (s *Service) Execute(ctx context.Context, id string) error {
	w, err := s.load(ctx, id)
	if err != nil {
		return err
	}
	if w.request.State != executing {
		return errStep()
	}
	ctx = subject.WithReason(ctx, subject.Handling)
	d := by(ctx)
	more, err := s.carry(ctx, w, &d)
	if err != nil {
		return err
	}
	if d.Case != "" { // answered when the erasure has ended everywhere: settle
		return s.act(ctx, w, "erasing", d, nil, more)
	}
	return s.act(ctx, w, "done", d, func(r *request) error { return r.move(answering) }, more)
}

// carry does what a right asks for; what must be one transaction with the case's next step is returned.
func (s *Service) carry(ctx context.Context, w work, d *deed) (func(context.Context, *db.Tx, request) error, error) {
	records, err := s.concerned(ctx, w)
	if err != nil {
		return nil, err
	}
	switch w.request.Kind {
	case policy.Erasure, policy.Objection, policy.ObjectMarketing, policy.Withdraw:
		return nil, s.carryErasure(ctx, w, records, d)
	case policy.Restriction:
		return func(ctx context.Context, tx *db.Tx, r request) error {
			return s.restrict(ctx, tx, records, r.ID, w.details.Ground)
		}, nil
	case policy.Rectification:
		return s.carryCorrection(ctx, w)
	default:
		return nil, nil // access and its like are answered by the portal, a complaint by a letter
	}
}

// concerned returns the records that a case is about, never the cases themselves.
func (s *Service) concerned(ctx context.Context, w work) ([]subject.Record, error) {
	all, err := s.Subjects.Of(ctx, s.DB, w.record.Person)
	return slices.DeleteFunc(all, func(r subject.Record) bool {
		return r.Holder == holder || len(w.details.Records) > 0 && !slices.Contains(w.details.Records, r.ID) || !s.meant(w.request.Kind, r)
	}), err
}

// meant reports whether a right reaches a record: an objection to marketing what serves
// marketing, a withdrawal what rests on consent.
func (s *Service) meant(kind policy.Right, r subject.Record) bool {
	p := s.Plan().Purpose(r.Purpose)
	switch kind {
	case policy.ObjectMarketing:
		return p != nil && (p.Marketing != "" || p.Ads)
	case policy.Withdraw:
		return p != nil && p.Basis != nil && p.Basis.Art == "6.1.a"
	case policy.Objection:
		return p != nil && p.Basis != nil && (p.Basis.Art == "6.1.f" || p.Basis.Art == "6.1.e")
	default:
		return true
	}
}

// carryErasure erases records for their person, also those that were restricted.
func (s *Service) carryErasure(ctx context.Context, w work, records []subject.Record, d *deed) error {
	if len(records) == 0 {
		return nil
	}
	id, err := s.eraseFor(ctx, records)
	d.Case = string(id)
	return err
}

func (s *Service) eraseFor(ctx context.Context, records []subject.Record) (erase.CaseID, error) {
	return s.Erase.Records(ctx, records, erase.Reason{Kind: erase.Request})
}
