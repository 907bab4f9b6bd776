package job

import (
	"context"
	"fmt"
	"time"

	"github.com/tillid/tillid/internal/db"
)

// grace is how late something may be before it counts as wrong, beside its own
// period: a restart takes a while.
const grace = time.Minute

// Health says what is wrong with the queue: dead jobs, work whose worker has
// vanished or that nobody takes, periodic work that has not succeeded within
// two periods and a minute. Empty when all is well.
func (r *Runner) Health(ctx context.Context) ([]string, error) {
	wrong, err := r.jobHealth(ctx)
	if err != nil {
		return nil, fmt.Errorf("job health: %w", err)
	}
	for _, p := range r.Periodic {
		late, err := r.periodicHealth(ctx, p)
		if err != nil {
			return nil, fmt.Errorf("job health: %w", err)
		}
		if late != "" {
			wrong = append(wrong, late)
		}
	}
	return wrong, nil
}

func (r *Runner) jobHealth(ctx context.Context) (wrong []string, err error) {
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
		at := since.UTC().Format(time.RFC3339)
		switch state {
		case "dead":
			wrong = append(wrong, fmt.Sprintf("%d jobs of kind %s have failed for good and wait for a person.", n, kind))
		case "running":
			wrong = append(wrong, fmt.Sprintf("%d jobs of kind %s lost their worker at %s.", n, kind, at))
		default:
			wrong = append(wrong, fmt.Sprintf("%d jobs of kind %s have been due since %s and nobody takes them.", n, kind, at))
		}
	}
	return wrong, rows.Err()
}

func (r *Runner) periodicHealth(ctx context.Context, p Periodic) (string, error) {
	rows, err := r.DB.Query(ctx, `select coalesce(success_at, first_at), coalesce(last_error, '') from periodic where name = $1`, p.Name)
	if err != nil {
		return "", err
	}
	defer rows.Close()
	if !rows.Next() {
		return "", rows.Err() // this house has not started yet
	}
	var since db.Time
	var last string
	if err := rows.Scan(&since, &last); err != nil {
		return "", err
	}
	if !since.Add(2*p.Every + grace).Before(r.Now()) {
		return "", rows.Err()
	}
	late := fmt.Sprintf("%s has not succeeded since %s; it should run every %s.", p.Name, since.UTC().Format(time.RFC3339), p.Every)
	if last != "" {
		late += " Its last error: " + last
	}
	return late, rows.Err()
}
