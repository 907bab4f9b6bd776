// Package job runs work in the background, at least once.
//
// A job is a row. It is added in the same transaction as the change that asks
// for it, so there is never one without the other. A worker leases a job, runs
// it, and deletes the row; a job that fails is tried again later, and one that
// keeps failing is kept as dead for a person to look at. Payloads hold ids
// only, never personal data.
package job

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/tillid/tillid/internal/db"
)

const (
	workers     = 2
	lease       = 5 * time.Minute // renewed while the work goes on
	maxAttempts = 20
	firstPause  = 15 * time.Second
	maxPause    = 24 * time.Hour
	bell        = "job"
)

// Add asks for the job kind to be run with payload (JSON), at the earliest at
// runAt. A non-empty key makes the job unique while it waits or runs: another
// with the same key is then not added.
func Add(ctx context.Context, q db.Queryer, kind string, payload any, runAt time.Time, key string) error {
	b, err := json.Marshal(payload)
	if err != nil {
		return fmt.Errorf("add job %s: %w", kind, err)
	}
	if err := insert(ctx, q, db.NewID(), kind, string(b), runAt, key); err != nil {
		return fmt.Errorf("add job %s: %w", kind, err)
	}
	if q, ok := q.(interface{ Ring(string) }); ok {
		q.Ring(bell)
	}
	return nil
}

// Permanent marks err as one that no further attempt can mend: the job is dead at once.
func Permanent(err error) error { return &permanentError{err} }

type permanentError struct{ err error }

func (e *permanentError) Error() string { return e.err.Error() }
func (e *permanentError) Unwrap() error { return e.err }

// Periodic is work that runs again and again: one row of a table in app. It
// runs first when the house first starts, and again Every after it succeeded.
type Periodic struct {
	Name  string
	Every time.Duration
	Run   func(ctx context.Context) error
}

// Runner runs jobs and periodic work of one house.
type Runner struct {
	DB       *db.DB
	Log      *slog.Logger
	Kinds    map[string]func(ctx context.Context, payload []byte) error
	Periodic []Periodic
	Now      func() time.Time

	mu       sync.Mutex
	enrolled bool
}

// Run works until ctx ends. A job added in this process starts at once. Work
// that ctx interrupts is given back and not counted as an attempt.
func (r *Runner) Run(ctx context.Context) {
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() { r.work(ctx) })
	}
	wg.Wait()
}

// Drain runs everything that is due now, periodic work too, and returns when
// nothing is left; for tests and for the command line without a server. What
// failed is joined in its error, and due again later.
func (r *Runner) Drain(ctx context.Context) error {
	var failed []error
	for {
		ran, err := r.one(ctx)
		if !ran {
			return errors.Join(append(failed, err)...)
		}
		if err != nil {
			failed = append(failed, err)
		}
	}
}

func (r *Runner) work(ctx context.Context) {
	for ctx.Err() == nil {
		ran, err := r.one(ctx)
		if ran {
			continue // what failed is logged already
		}
		if err != nil && ctx.Err() == nil {
			r.Log.ErrorContext(ctx, "look for jobs", "err", err)
			rest(ctx)
			continue
		}
		r.idle(ctx)
	}
}

// rest waits a second after the database refused: what is due is still due, and
// asking again at once would only fill the log.
func rest(ctx context.Context) {
	timer := time.NewTimer(time.Second)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// idle waits until something is due, was added, or may have been added by
// another replica.
func (r *Runner) idle(ctx context.Context) {
	pause := time.Second
	if r.DB.Lite() {
		pause = 30 * time.Second // nobody else writes to the file
	}
	job, periodic, err := nextDue(ctx, r.DB, r.names())
	if err != nil {
		pause = 5 * time.Second
	}
	for _, at := range []time.Time{job, periodic} {
		if !at.IsZero() {
			pause = min(pause, max(at.Sub(r.Now()), 20*time.Millisecond))
		}
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-r.DB.Bell(bell):
	case <-timer.C:
	}
}

// one runs one thing that is due, periodic work before jobs, for it is rare
// and must not starve. It reports whether there was something, and the error
// of that, or else of looking for it.
func (r *Runner) one(ctx context.Context) (ran bool, err error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	if err := r.enrol(ctx); err != nil {
		return false, err
	}
	job, periodic, err := nextDue(ctx, r.DB, r.names())
	if err != nil {
		return false, err
	}
	if r.due(periodic) {
		for _, p := range r.Periodic {
			if ran, err := r.onePeriodic(ctx, p); ran || err != nil {
				return ran, err
			}
		}
	}
	if r.due(job) {
		return r.oneJob(ctx)
	}
	return false, nil
}

func (r *Runner) due(at time.Time) bool { return !at.IsZero() && !at.After(r.Now()) }

func (r *Runner) oneJob(ctx context.Context) (ran bool, err error) {
	c, err := claim(ctx, r.DB, r.Now())
	if err != nil || c == nil {
		return false, err
	}
	r.DB.Ring(bell) // there may be work for the other worker too
	err = r.run(ctx, c)
	done := context.WithoutCancel(ctx)
	var permanent *permanentError
	switch {
	case err == nil:
		err := c.finish(done, r.DB)
		return true, err
	case ctx.Err() != nil:
		return true, errors.Join(err, c.giveBack(done, r.DB, r.Now()))
	case c.attempt >= maxAttempts || errors.As(err, &permanent):
		r.Log.ErrorContext(ctx, "job is dead", "job", c.id, "kind", c.kind, "attempt", c.attempt, "err", err)
		return true, errors.Join(err, c.bury(done, r.DB, err))
	default:
		again := r.Now().Add(backOff(c.attempt))
		r.Log.WarnContext(ctx, "job failed", "job", c.id, "kind", c.kind, "attempt", c.attempt, "again_at", again, "err", err)
		return true, errors.Join(err, c.postpone(done, r.DB, again, err))
	}
}

func (r *Runner) run(ctx context.Context, c *claimed) error {
	run, ok := r.Kinds[c.kind]
	if !ok {
		return fmt.Errorf("job %s: there is no such kind", c.kind)
	}
	if c.attempt > maxAttempts { // each attempt ended with the process
		return Permanent(fmt.Errorf("job %s: every worker that ran it vanished", c.kind))
	}
	err := r.hold(ctx, func(ctx context.Context) (bool, error) {
		return c.renew(ctx, r.DB, r.Now())
	}, func(ctx context.Context) error { return run(ctx, c.payload) })
	if err != nil {
		return fmt.Errorf("job %s: %w", c.kind, err)
	}
	return nil
}

func (r *Runner) onePeriodic(ctx context.Context, p Periodic) (ran bool, err error) {
	started := r.Now()
	token, err := claimPeriodic(ctx, r.DB, p.Name, started)
	if err != nil || token == "" {
		return false, err
	}
	r.DB.Ring(bell)
	err = r.hold(ctx, func(ctx context.Context) (bool, error) {
		return renewPeriodic(ctx, r.DB, p.Name, token, r.Now())
	}, p.Run)
	done := context.WithoutCancel(ctx)
	if err != nil {
		err = fmt.Errorf("periodic work %s: %w", p.Name, err)
		again := r.Now().Add(min(p.Every, time.Minute))
		if ctx.Err() != nil {
			again = r.Now() // interrupted, not failed
		} else {
			r.Log.WarnContext(ctx, "periodic work failed", "name", p.Name, "again_at", again, "err", err)
		}
		return true, errors.Join(err, failPeriodic(done, r.DB, p.Name, token, again, err))
	}
	return true, succeedPeriodic(done, r.DB, p.Name, token, r.Now(), started.Add(p.Every))
}

// enrol gives all periodic work its row.
func (r *Runner) enrol(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.enrolled {
		return nil
	}
	for _, p := range r.Periodic {
		if err := enrol(ctx, r.DB, p, r.Now()); err != nil {
			return err
		}
	}
	r.enrolled = true
	return nil
}

func (r *Runner) names() []string {
	names := make([]string, len(r.Periodic))
	for i, p := range r.Periodic {
		names[i] = p.Name
	}
	return names
}
