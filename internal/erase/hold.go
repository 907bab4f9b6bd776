package erase

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/ledger"
	"github.com/tillid/tillid/internal/subject"
)

// Scope is what a hold keeps from being deleted.
type Scope string

// Scopes of a hold.
const (
	OfRecord  Scope = "record"
	OfPerson  Scope = "person"
	OfPurpose Scope = "purpose"
)

// Hold keeps something from being deleted, for example because of a dispute
// (Art. 17(3)(e)). It never keeps anybody from seeing what is held about them.
type Hold struct {
	ID       string
	Scope    Scope
	Target   string // record, person or purpose
	Reason   string // for staff: no personal data
	Owner    string // user id
	Review   time.Time
	Created  time.Time
	Released time.Time
}

// Covers reports whether the hold keeps a record.
func (h Hold) Covers(r subject.Record) bool {
	switch h.Scope {
	case OfRecord:
		return h.Target == r.ID
	case OfPerson:
		return h.Target == string(r.Person)
	case OfPurpose:
		return h.Target == r.Purpose
	}
	return false
}

// Hold puts a hold in force and returns its id.
func (s *Service) Hold(ctx context.Context, h Hold) (string, error) {
	if err := s.fit(h); err != nil {
		return "", err
	}
	h.ID, h.Created = db.NewID(), s.Now()
	err := s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error {
		if err := insertHold(ctx, tx, h); err != nil {
			return err
		}
		return s.noteHold(ctx, tx, "hold.set", h)
	})
	return h.ID, err
}

func (s *Service) fit(h Hold) error {
	if h.Target == "" || h.Reason == "" || h.Owner == "" {
		return fault.New(fault.Invalid, "A hold needs a reason and somebody who answers for it.").In("erase.hold")
	}
	if !h.Review.After(s.Now()) {
		return fault.New(fault.Invalid, "A hold needs a day in the future on which it is reviewed.").In("erase.review")
	}
	return nil
}

// Review says that somebody looked at a hold again and found that it is still needed,
// why, and when it is looked at next. They answer for it from now on.
func (s *Service) Review(ctx context.Context, id, reason, owner string, next time.Time) error {
	return s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error {
		h, ok, err := holdByID(ctx, tx, id)
		if err != nil {
			return err
		}
		if !ok || !h.Released.IsZero() {
			return errNoHold()
		}
		if h.Owner, h.Review = owner, next; reason != "" {
			h.Reason = reason
		}
		if err := s.fit(h); err != nil {
			return err
		}
		if err := reviewHold(ctx, tx, h); err != nil {
			return err
		}
		return s.noteHold(ctx, tx, "hold.reviewed", h)
	})
}

func errNoHold() error {
	return fault.New(fault.NotFound, "There is no such hold.").In("erase.no_hold")
}

// Release ends a hold. What waited for it in an open case is deleted now,
// without a new request; what is due by a rule goes with the next sweep.
func (s *Service) Release(ctx context.Context, id string) error {
	var waiting []CaseID
	err := s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error {
		h, ok, err := holdByID(ctx, tx, id)
		if err != nil {
			return err
		}
		if !ok {
			return errNoHold()
		}
		if err := releaseHold(ctx, tx, id, s.Now()); err != nil {
			return err
		}
		if err := s.noteHold(ctx, tx, "hold.released", h); err != nil {
			return err
		}
		waiting, err = casesBlocked(ctx, tx)
		return err
	})
	if err != nil {
		return err
	}
	var errs []error
	for _, c := range waiting {
		errs = append(errs, s.Resume(ctx, c))
	}
	return errors.Join(errs...)
}

func (s *Service) noteHold(ctx context.Context, tx *db.Tx, kind string, h Hold) error {
	leaf := ledger.Leaf{Kind: kind, At: s.Now(), Version: s.Plan().Hash,
		Facts: map[string]string{"hold": h.ID, "scope": string(h.Scope), "review": h.Review.UTC().Format(time.DateOnly)}}
	if _, err := s.Ledger.Append(ctx, tx, leaf); err != nil {
		return fmt.Errorf("append leaf: %w", err)
	}
	return nil
}

// Resume goes on with the records of an open case that waited for a hold.
// Release calls it, and so does ResumeAll, should the program stop in between.
func (s *Service) Resume(ctx context.Context, id CaseID) error {
	c, err := s.Case(ctx, id)
	if err != nil || c.State == Ended {
		return err
	}
	tasks, err := tasksOf(ctx, s.DB, id)
	if err != nil {
		return err
	}
	var records []subject.Record
	for _, t := range tasks {
		if t.State != Blocked {
			continue
		}
		r, err := s.Subject.Get(ctx, s.DB, t.Record)
		if fault.Of(err).Kind == fault.NotFound {
			r = subject.Record{ID: t.Record, Holder: t.Store}
		} else if err != nil {
			return err
		}
		records = append(records, r)
	}
	keys, err := s.pass(ctx, c, records, func(ctx context.Context, tx *db.Tx, steps []Step) (*Case, error) {
		if !slices.ContainsFunc(steps, func(st Step) bool { return st.State == Planned }) {
			return nil, nil
		}
		return caseByID(ctx, tx, c.ID)
	})
	if err != nil {
		return fmt.Errorf("resume case of erasure: %w", err)
	}
	if len(keys) > 0 {
		s.finishNow(ctx, c.ID, keys)
	}
	return nil
}

// ResumeAll goes on with every case whose hold has ended; for periodic work.
func (s *Service) ResumeAll(ctx context.Context) error {
	cases, err := casesBlocked(ctx, s.DB)
	if err != nil {
		return err
	}
	var errs []error
	for _, id := range cases {
		errs = append(errs, s.Resume(ctx, id))
	}
	return errors.Join(errs...)
}

// holding returns the hold that keeps a record, if any.
func holding(holds []Hold, r subject.Record) (Hold, bool) {
	for _, h := range holds {
		if h.Covers(r) {
			return h, true
		}
	}
	return Hold{}, false
}

// holdOn is holding within a transaction, for the last look before deleting.
func holdOn(ctx context.Context, tx *db.Tx, r subject.Record) (Hold, bool, error) {
	holds, err := selectHolds(ctx, tx, `where released_at is null order by created_at, id`)
	if err != nil {
		return Hold{}, false, err
	}
	h, ok := holding(holds, r)
	return h, ok, nil
}

// Holds returns the holds in force, oldest first.
func (s *Service) Holds(ctx context.Context, q db.Queryer) ([]Hold, error) {
	return selectHolds(ctx, q, `where released_at is null order by created_at, id`)
}
