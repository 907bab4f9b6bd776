package job

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/db/dbtest"
)

var start = time.Date(2026, 10, 5, 12, 0, 0, 0, time.UTC)

// clock is a clock that a test sets.
type clock struct{ ns atomic.Int64 }

func (c *clock) now() time.Time          { return start.Add(time.Duration(c.ns.Load())) }
func (c *clock) advance(d time.Duration) { c.ns.Add(int64(d)) }

func runner(d *db.DB, c *clock, kinds map[string]func(context.Context, []byte) error) *Runner {
	return &Runner{DB: d, Log: slog.New(slog.DiscardHandler), Kinds: kinds, Now: c.now}
}

func add(t *testing.T, q db.Queryer, kind string, payload any, at time.Time, key string) {
	t.Helper()
	if err := Add(t.Context(), q, kind, payload, at, key); err != nil {
		t.Fatal(err)
	}
}

func count(t *testing.T, d *db.DB, state string) (n int) {
	t.Helper()
	if err := d.QueryRow(t.Context(), `select count(*) from job where state = $1`, state).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestDrain(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		c, got := &clock{}, []string{}
		var r *Runner
		r = runner(d, c, map[string]func(context.Context, []byte) error{
			"note": func(ctx context.Context, payload []byte) error {
				got = append(got, string(payload))
				if string(payload) == `"first"` {
					return Add(ctx, r.DB, "note", map[string]int{"n": 1}, c.now(), "")
				}
				return nil
			},
		})
		add(t, d, "note", "later", c.now().Add(time.Hour), "")
		add(t, d, "note", "first", c.now(), "")
		if err := r.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		if want := []string{`"first"`, `{"n":1}`}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		c.advance(time.Hour)
		if err := r.Drain(t.Context()); err != nil || len(got) != 3 {
			t.Errorf("an hour later: %q, %v", got, err)
		}
		if n := count(t, d, "ready"); n != 0 {
			t.Errorf("%d jobs left", n)
		}
	})
}

func TestAddIsPartOfTheTransaction(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		no := errors.New("no")
		err := d.Do(t.Context(), func(ctx context.Context, tx *db.Tx) error {
			if err := Add(ctx, tx, "note", "x", start, ""); err != nil {
				return err
			}
			return no
		})
		if !errors.Is(err, no) || count(t, d, "ready") != 0 {
			t.Errorf("got %v and %d jobs", err, count(t, d, "ready"))
		}
	})
}

func TestUniqueKey(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		c, runs := &clock{}, 0
		var r *Runner
		r = runner(d, c, map[string]func(context.Context, []byte) error{
			"once": func(ctx context.Context, _ []byte) error {
				runs++
				if err := Add(ctx, r.DB, "once", 0, c.now(), "key"); err != nil { // it runs: not added
					return err
				}
				if runs == 3 {
					return Permanent(errors.New("no"))
				}
				return nil
			},
		})
		for round := range 4 {
			add(t, d, "once", 1, c.now(), "key")
			add(t, d, "once", 2, c.now(), "key")
			add(t, d, "once", 3, c.now().Add(time.Hour), "")
			if err := r.Drain(t.Context()); (err != nil) != (round == 2) {
				t.Errorf("round %d: %v", round, err)
			}
			if runs != round+1 {
				t.Errorf("round %d: %d runs", round, runs)
			}
		}
		if n := count(t, d, "dead"); n != 1 {
			t.Errorf("%d dead jobs, want 1", n)
		}
	})
}

func TestBackOffUntilDead(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		c, runs, fail := &clock{}, 0, true
		r := runner(d, c, map[string]func(context.Context, []byte) error{
			"hard": func(context.Context, []byte) error {
				if runs++; !fail {
					return nil
				}
				if runs%2 == 0 {
					panic("broken \xff\x00")
				}
				return errors.New("no answer")
			},
		})
		add(t, d, "hard", "id", c.now(), "")
		for n := 1; n <= maxAttempts; n++ {
			if err := r.Drain(t.Context()); err == nil || runs != n {
				t.Fatalf("attempt %d: %d runs, %v", n, runs, err)
			}
			pause := min(15*time.Second<<(n-1), 24*time.Hour)
			c.advance(pause*8/10 - time.Second)
			if err := r.Drain(t.Context()); err != nil || runs != n {
				t.Fatalf("attempt %d: tried again too early, %v", n, err)
			}
			c.advance(pause*4/10 + 2*time.Second)
		}
		if err := r.Drain(t.Context()); err != nil || runs != maxAttempts {
			t.Errorf("a dead job ran: %d runs, %v", runs, err)
		}
		wrong, err := r.Health(t.Context())
		if err != nil || len(wrong) != 1 || !strings.Contains(wrong[0].Msg, "1 jobs of kind hard have failed for good") {
			t.Errorf("health: %q, %v", wrong, err)
		}
		dead, err := ListDead(t.Context(), d)
		if err != nil || len(dead) != 1 || dead[0].Attempts != maxAttempts || !strings.Contains(dead[0].Err, "panic: broken") {
			t.Fatalf("dead: %+v, %v", dead, err)
		}
		fail = false
		if ok, err := Retry(t.Context(), d, dead[0].ID, c.now()); err != nil || !ok {
			t.Fatal(ok, err)
		}
		if err := r.Drain(t.Context()); err != nil {
			t.Error(err)
		}
		if wrong, err := r.Health(t.Context()); err != nil || len(wrong) != 0 {
			t.Errorf("health: %q, %v", wrong, err)
		}
	})
}

func TestUnknownKind(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		c := &clock{}
		var log bytes.Buffer
		r := runner(d, c, nil)
		r.Log = slog.New(slog.NewTextHandler(&log, nil))
		add(t, d, "strange", "secret-payload", c.now(), "")
		if err := r.Drain(t.Context()); err == nil || count(t, d, "ready") != 1 {
			t.Errorf("got %v", err)
		}
		if s := log.String(); !strings.Contains(s, "kind=strange") || strings.Contains(s, "secret") {
			t.Errorf("log: %s", s)
		}
	})
}

// A worker that vanishes leaves a leased job; another takes it when the lease
// has ended, and the first can no longer finish it.
func TestVanishedWorker(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		c, runs := &clock{}, 0
		r := runner(d, c, map[string]func(context.Context, []byte) error{
			"note": func(context.Context, []byte) error { runs++; return nil },
		})
		add(t, d, "note", 1, c.now(), "")
		gone, err := claim(t.Context(), d, c.now())
		if err != nil || gone == nil {
			t.Fatal(gone, err)
		}
		c.advance(lease - time.Second)
		if err := r.Drain(t.Context()); err != nil || runs != 0 {
			t.Fatalf("%d runs, %v", runs, err)
		}
		if ours, err := gone.renew(t.Context(), d, c.now()); err != nil || !ours {
			t.Fatal(ours, err)
		}
		c.advance(2*time.Second + grace)
		if err := r.Drain(t.Context()); err != nil || runs != 0 {
			t.Fatalf("after renewal: %d runs, %v", runs, err)
		}
		c.advance(lease + grace)
		if wrong, err := r.Health(t.Context()); err != nil || len(wrong) != 1 || !strings.Contains(wrong[0].Msg, "lost their worker") {
			t.Errorf("health: %q, %v", wrong, err)
		}
		next, err := claim(t.Context(), d, c.now())
		if err != nil || next == nil || next.attempt != 2 {
			t.Fatal(next, err)
		}
		if ours, err := gone.renew(t.Context(), d, c.now()); err != nil || ours {
			t.Error("the first worker renews the second one's lease", err)
		}
		if err := gone.finish(t.Context(), d); err != nil || count(t, d, "running") != 1 {
			t.Error("the first worker finishes the second one's job", err)
		}
	})
}

// A job that ends the process each time does not do so for ever.
func TestPoison(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		c := &clock{}
		r := runner(d, c, map[string]func(context.Context, []byte) error{
			"poison": func(context.Context, []byte) error { t.Error("ran"); return nil },
		})
		add(t, d, "poison", 1, c.now(), "")
		for range maxAttempts {
			if _, err := claim(t.Context(), d, c.now()); err != nil {
				t.Fatal(err)
			}
			c.advance(lease)
		}
		if err := r.Drain(t.Context()); err == nil || count(t, d, "dead") != 1 {
			t.Errorf("got %v and %d dead", err, count(t, d, "dead"))
		}
	})
}

// Several runners (replicas) share the work: each job runs once.
func TestRun(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		const jobs = 40
		c := &clock{}
		var mu sync.Mutex
		seen := map[string]int{}
		all := make(chan struct{})
		kinds := map[string]func(context.Context, []byte) error{
			"note": func(_ context.Context, payload []byte) error {
				mu.Lock()
				defer mu.Unlock()
				if seen[string(payload)]++; len(seen) == jobs+1 {
					close(all)
				}
				return nil
			},
		}
		var ticks atomic.Int64
		var wg sync.WaitGroup
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		for range 2 {
			r := runner(d, c, kinds)
			r.Periodic = []Periodic{{"tick", time.Hour, func(context.Context) error { ticks.Add(1); return nil }}}
			wg.Go(func() { r.Run(ctx) })
		}
		for n := range jobs {
			add(t, d, "note", n, c.now(), "")
		}
		err := d.Do(ctx, func(ctx context.Context, tx *db.Tx) error {
			return Add(ctx, tx, "note", "in a transaction", c.now(), "")
		})
		if err != nil {
			t.Fatal(err)
		}
		<-all
		stop()
		wg.Wait()
		for payload, n := range seen {
			if n != 1 {
				t.Errorf("job %s ran %d times", payload, n)
			}
		}
		if n := ticks.Load(); n != 1 {
			t.Errorf("periodic work ran %d times", n)
		}
	})
}

// Work that a shutdown interrupts is due at once, and costs no attempt.
func TestInterrupted(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		c := &clock{}
		ctx, stop := context.WithCancel(t.Context())
		r := runner(d, c, map[string]func(context.Context, []byte) error{
			"slow": func(ctx context.Context, _ []byte) error { stop(); <-ctx.Done(); return ctx.Err() },
		})
		add(t, d, "slow", 1, c.now(), "")
		r.Run(ctx)
		again, err := claim(t.Context(), d, c.now())
		if err != nil || again == nil || again.attempt != 1 {
			t.Errorf("got %+v, %v", again, err)
		}
	})
}

// The lease is renewed while work goes on; work that lost it is cancelled.
func TestHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &Runner{Log: slog.New(slog.DiscardHandler)}
		renewed := 0
		renew := func(context.Context) (bool, error) {
			if renewed++; renewed == 2 {
				return false, errors.New("no answer")
			}
			return renewed < 4, nil
		}
		err := r.hold(t.Context(), renew, func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
		if renewed != 4 || !errors.Is(err, errLeaseLost) {
			t.Errorf("renewed %d times, %v", renewed, err)
		}
	})
}

func TestBackOff(t *testing.T) {
	for n := 1; n < 100; n++ {
		got, want := backOff(n), min(15*time.Second<<min(n-1, 20), 24*time.Hour)
		if got < want*8/10 || got > min(want*12/10, 24*time.Hour) {
			t.Errorf("attempt %d: %s, want about %s", n, got, want)
		}
	}
}

func TestShort(t *testing.T) {
	if s := short(fmt.Errorf("%0499d%s", 0, "å")); len(s) != 500 || !strings.HasSuffix(s, "0?") {
		t.Errorf("got %q", s)
	}
}
