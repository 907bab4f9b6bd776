package job

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/db/dbtest"
)

func TestPeriodic(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		c, runs, fail := &clock{}, 0, false
		r := runner(d, c, nil)
		r.Periodic = []Periodic{{"sweep", time.Hour, func(context.Context) error {
			if runs++; fail {
				return errors.New("no")
			}
			return nil
		}}}
		drain := func(wantRuns int, wantErr bool) {
			t.Helper()
			if err := r.Drain(t.Context()); (err != nil) != wantErr || runs != wantRuns {
				t.Fatalf("%d runs, want %d; %v", runs, wantRuns, err)
			}
		}
		healthy := func(want bool) {
			t.Helper()
			if wrong, err := r.Health(t.Context()); err != nil || (len(wrong) == 0) != want {
				t.Fatalf("health: %q, %v", wrong, err)
			}
		}
		drain(1, false)
		c.advance(time.Hour - time.Second)
		drain(1, false)
		c.advance(time.Second)
		fail = true
		drain(2, true)
		healthy(true)
		c.advance(time.Minute)
		drain(3, true)
		c.advance(time.Hour + time.Minute)
		healthy(false)
		fail = false
		drain(4, false)
		healthy(true)
		if other, err := claimPeriodic(t.Context(), d, "sweep", c.now()); err != nil || other != "" {
			t.Errorf("claimed before it is due: %q, %v", other, err)
		}
		c.advance(time.Hour)
		if first, err := claimPeriodic(t.Context(), d, "sweep", c.now()); err != nil || first == "" {
			t.Fatal(first, err)
		}
		drain(4, false) // leased by a replica
		c.advance(lease)
		drain(5, false) // which has vanished
		again := runner(d, c, nil)
		again.Periodic = []Periodic{{"sweep", time.Minute, r.Periodic[0].Run}}
		if err := again.Drain(t.Context()); err != nil || runs != 5 {
			t.Errorf("%d runs, %v", runs, err)
		}
		c.advance(time.Minute)
		if err := again.Drain(t.Context()); err != nil || runs != 6 {
			t.Errorf("a shorter period: %d runs, %v", runs, err)
		}
	})
}
