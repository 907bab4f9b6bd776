package erase

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/ledger"
)

// Evidence is what a member of staff knows about a task that no connector can do.
// It is chosen, not written: so no person gets into it.
type Evidence struct {
	Kind string    // LookedThere, Confirmed, Declined
	Day  time.Time // when that was, in the controller's calendar
}

// Kinds of evidence.
const (
	LookedThere = "looked"    // searched there, and found nothing
	Confirmed   = "confirmed" // the recipient says so in writing; nobody has looked
	Declined    = "declined"  // the recipient says that it cannot or will not
)

var evidences = []string{LookedThere, Confirmed, Declined}

// byHand begins the code of a task that ended by a person's word; the kind of evidence follows.
const byHand = "by_hand:"

// DoneByHand notes what a person knows about a task that no connector can do, and
// ends it: only a look there counts as seen; a recipient that declines leaves
// the case granted in part.
func (s *Service) DoneByHand(ctx context.Context, id CaseID, task, user string, e Evidence) error {
	return s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error {
		t, ok, err := taskByID(ctx, tx, task)
		if err != nil {
			return err
		}
		if !ok || t.Case != id || (t.State != Manual && t.State != Failed) {
			return notByHand()
		}
		if t, err = s.noted(t, e); err != nil {
			return err
		}
		if err := updateTask(ctx, tx, t); err != nil {
			return err
		}
		leaf := ledger.Leaf{Kind: "erasure.by_hand", At: s.Now(), Version: s.Plan().Hash, Facts: map[string]string{
			"case": string(id), "engagement": t.Store, "user": user, "evidence": e.Kind, "day": e.Day.Format(time.DateOnly)}}
		if _, err := s.Ledger.Append(ctx, tx, leaf); err != nil {
			return fmt.Errorf("append leaf: %w", err)
		}
		return s.settle(ctx, tx, id)
	})
}

// noted returns a task as the evidence ends it. A day counts until its end, at most until now.
func (s *Service) noted(t Task, e Evidence) (Task, error) {
	now, loc := s.Now(), s.Plan().Loc
	y, m, d := e.Day.Date()
	day := time.Date(y, m, d, 0, 0, 0, 0, loc)
	at := time.Date(y, m, d+1, 0, 0, 0, 0, loc)
	if !slices.Contains(evidences, e.Kind) || day.After(now) || !at.After(t.Planned) {
		return t, fault.New(fault.Invalid, "Say how you know it, and on which day since the case was opened.").In("erase.evidence")
	}
	if at.After(now) {
		at = now
	}
	t.Code, t.Next = byHand+e.Kind, time.Time{}
	if t.Commanded.IsZero() && e.Kind != LookedThere {
		t.Commanded = at
	}
	switch e.Kind {
	case LookedThere:
		t.State, t.Effective, t.Probed, t.Verified = Verified, at, at, at
	case Confirmed:
		t.State, t.Acknowledged = Verified, at
	case Declined:
		t.State, t.Acknowledged = NotDeletable, at
	}
	return t, nil
}

func notByHand() error {
	return fault.New(fault.Conflict, "This task does not wait for anybody.").In("erase.not_by_hand")
}
