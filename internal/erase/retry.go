package erase

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/tillid/tillid/internal/db"
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
