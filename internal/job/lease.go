package job

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"time"
)

var errLeaseLost = errors.New("the lease was lost to another worker")

// hold runs work and renews its lease until it ends. Work whose lease is lost
// is cancelled. A panic in work becomes its error.
func (r *Runner) hold(ctx context.Context, renew func(context.Context) (bool, error), work func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		tick := time.NewTicker(lease / 3)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			ours, err := renew(ctx)
			if err != nil && ctx.Err() == nil {
				r.Log.WarnContext(ctx, "renew lease", "err", err) // two tries are left
			} else if err == nil && !ours {
				cancel(errLeaseLost)
			}
		}
	}()
	err := safely(ctx, work)
	if err != nil && errors.Is(context.Cause(ctx), errLeaseLost) {
		return errors.Join(errLeaseLost, err)
	}
	return err
}

func safely(ctx context.Context, work func(context.Context) error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		}
	}()
	return work(ctx)
}

// backOff is how long to wait after attempt attempts: 15 s, doubled each time,
// up to a day, and up to a fifth less or more so that failures do not march in step.
func backOff(attempt int) time.Duration {
	pause := min(firstPause<<min(attempt-1, 20), maxPause)
	spread := pause / 5
	return min(pause-spread+rand.N(2*spread), maxPause) //nolint:gosec // spreads retries, guards nothing
}
