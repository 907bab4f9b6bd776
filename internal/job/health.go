package job

import (
	"context"
	"fmt"
	"time"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/fault"
)

// grace is how late something may be before it counts as wrong, beside its own
// period: a restart takes a while.
const grace = time.Minute

// Health says what is wrong with the queue: dead jobs, work whose worker has
// vanished or that nobody takes, periodic work that has not succeeded within
// two periods and a minute. Empty when all is well.
func (r *Runner) Health(ctx context.Context) ([]*fault.Error, error) {
	wrong, err := r.jobHealth(ctx)
	if err != nil {
		return nil, fmt.Errorf("job health: %w", err)
	}
	for _, p := range r.Periodic {
		late, err := r.periodicHealth(ctx, p)
		if err != nil {
			return nil, fmt.Errorf("job health: %w", err)
		}
		if late != nil {
			wrong = append(wrong, late)
		}
	}
	return wrong, nil
}

func (r *Runner) jobHealth(ctx context.Context) (wrong []*fault.Error, err error) {
	now := r.Now()
	rows, err := r.DB.Query(ctx, `
		select kind, state, count(*), min(coalesce(lease_until, run_at)) from job
		where state = 'dead' or (state = 'ready' and run_at < $1) or (state = 'running' and lease_until < $1)
		group by kind, state order by state, kind`, db.Time{Time: now.Add(-grace)})
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var kind, state string
		var n int
		var since db.Time
		if err := rows.Scan(&kind, &state, &n, &since); err != nil {
			return nil, err
		}
		wrong = append(wrong, stuck(state, kind, n, since.Time))
	}
	return wrong, rows.Err()
}

// stuck says what is wrong with n jobs of a kind.
func stuck(state, kind string, n int, since time.Time) *fault.Error {
	at := since.UTC().Format(time.RFC3339)
	switch state {
	case "dead":
		return fault.New(fault.Unavailable, "%d jobs of kind %s have failed for good and wait for a person.", n, kind).
			WithHint("The Backoffice lists them with the reason; mend it there and try them again.").
			In("job.dead", "Count", n, "Kind", kind)
	case "running":
		return fault.New(fault.Unavailable, "%d jobs of kind %s lost their worker at %s.", n, kind, at).
			WithHint("Another worker takes them by itself. If this stays, start the program again.").
			In("job.lost", "Count", n, "Kind", kind)
	default:
		return fault.New(fault.Unavailable, "%d jobs of kind %s have been due since %s and nobody takes them.", n, kind, at).
			WithHint("Start the program again. If this stays, its log says what is wrong.").
			In("job.waiting", "Count", n, "Kind", kind)
	}
}

func (r *Runner) periodicHealth(ctx context.Context, p Periodic) (*fault.Error, error) {
	rows, err := r.DB.Query(ctx, `select coalesce(success_at, first_at), coalesce(last_error, '') from periodic where name = $1`, p.Name)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	if !rows.Next() {
		return nil, rows.Err() // this house has not started yet
	}
	var since db.Time
	var last string
	if err := rows.Scan(&since, &last); err != nil {
		return nil, err
	}
	if !since.Add(2*p.Every + grace).Before(r.Now()) {
		return nil, rows.Err()
	}
	late := fault.New(fault.Unavailable, "%s has not succeeded since %s; it should run every %s.", p.Name, since.UTC().Format(time.RFC3339), p.Every).
		WithHint("The log of the program says why.").In("job.late", "Name", p.Name)
	if last != "" {
		late.Msg += " Its last error: " + last
	}
	return late, rows.Err()
}
