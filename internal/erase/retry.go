package erase

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/ledger"
)

// retry tries again later; near the deadline a person must help.
func (s *Service) retry(ctx context.Context, t Task, code string, cause error) error {
	if cause != nil {
		s.Log.Info("a processor does not do what it is told yet", "case", t.Case, "engagement", t.Store, "err", cause)
	}
	c, err := s.Case(ctx, t.Case)
	if err != nil {
		return err
	}
	now := s.Now()
	t.Attempts++
	t.Code, t.Next = code, now.Add(backOff(t.Attempts))
	if t.State != Effective {
		t.State = RetryWait
	}
	if now.After(c.Deadline.Add(-margin)) && code != stillPresent {
		t.State, t.Code = Manual, noAnswer
	}
	return s.save(ctx, t)
}

// margin before the deadline is for the person who must then help.
const margin = 3 * 24 * time.Hour

// backOff grows from a minute to a day, with a little chance in it.
func backOff(attempts int) time.Duration {
	d := min(time.Minute<<min(attempts-1, 11), 24*time.Hour)
	return d*4/5 + rand.N(d*2/5) //nolint:gosec // spreads load, guards nothing
}

// save writes a task and asks for its next step; the last task closes the case.
func (s *Service) save(ctx context.Context, t Task) error {
	return s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error {
		if err := updateTask(ctx, tx, t); err != nil {
			return err
		}
		if !t.Next.IsZero() && t.State != Commanded {
			if err := s.schedule(ctx, tx, t); err != nil {
				return err
			}
		}
		return s.settle(ctx, tx, t.Case)
	})
}

// TryAgain takes the next step of every task of a case now.
func (s *Service) TryAgain(ctx context.Context, id CaseID) error {
	return s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error {
		tasks, err := tasksOf(ctx, tx, id)
		if err != nil {
			return err
		}
		for _, t := range tasks {
			if t.Kind != AtProcessor || t.State.Ended() || (t.State == Acknowledged && t.Effective.After(s.Now())) {
				continue
			}
			t.Next = s.Now()
			if err := updateTask(ctx, tx, t); err != nil {
				return err
			}
			if err := s.schedule(ctx, tx, t); err != nil {
				return err
			}
		}
		return nil
	})
}

// DoneByHand notes that a person has seen to a task that no connector can do.
func (s *Service) DoneByHand(ctx context.Context, id CaseID, task, user string) error {
	return s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error {
		t, ok, err := taskByID(ctx, tx, task)
		if err != nil {
			return err
		}
		if !ok || t.Case != id || (t.State != Manual && t.State != Failed) {
			return notByHand()
		}
		now := s.Now()
		if t.Commanded.IsZero() {
			t.Commanded = now
		}
		t.State, t.Code, t.Effective, t.Verified, t.Next = Verified, byHand, now, now, time.Time{}
		if err := updateTask(ctx, tx, t); err != nil {
			return err
		}
		leaf := ledger.Leaf{Kind: "erasure.by_hand", At: now, Version: s.Plan().Hash,
			Facts: map[string]string{"case": string(id), "engagement": t.Store, "user": user}}
		if _, err := s.Ledger.Append(ctx, tx, leaf); err != nil {
			return fmt.Errorf("append leaf: %w", err)
		}
		return s.settle(ctx, tx, id)
	})
}

func notByHand() error {
	return fault.New(fault.Conflict, "This task does not wait for anybody.").In("erase.not_by_hand")
}
