package job

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tillid/tillid/internal/db"
)

func insert(ctx context.Context, q db.Queryer, id, kind, payload string, runAt time.Time, key string) error {
	_, err := q.Exec(ctx, `
		insert into job (id, kind, payload, run_at, unique_key)
		values ($1, $2, $3, $4, nullif($5, ''))
		on conflict (unique_key) do nothing`,
		id, kind, payload, db.Time{Time: runAt}, key)
	return err
}

// nextDue returns when the next job, and when the next periodic work of these
// names, is due; zero when there is none.
func nextDue(ctx context.Context, q db.Queryer, names []string) (job, periodic time.Time, err error) {
	in, args := db.List(1, names)
	var j, p db.Time
	err = q.QueryRow(ctx, `
		select (select min(case when state = 'ready' then run_at else lease_until end) from job where state in ('ready', 'running')),
		       (select min(case when lease is null then next_at else lease_until end) from periodic where name in `+in+`)`,
		args...).Scan(&j, &p)
	return j.Time, p.Time, wrap("next due job", err)
}

// claimed is a job that a worker has leased.
type claimed struct {
	id, kind, lease string
	payload         []byte
	attempt         int
}

// claim leases a job that is due, or whose worker has vanished; nil when there is none.
func claim(ctx context.Context, d *db.DB, now time.Time) (*claimed, error) {
	var c *claimed
	err := d.Do(ctx, func(ctx context.Context, tx *db.Tx) error {
		c = &claimed{lease: db.NewID()}
		err := tx.QueryRow(ctx, `
			update job set state = 'running', attempt = attempt + 1, lease = $1, lease_until = $2
			where id = (
				select id from job
				where (state = 'ready' and run_at <= $3) or (state = 'running' and lease_until <= $3)
				order by run_at, id limit 1`+tx.SkipLocked()+`)
			returning id, kind, payload, attempt`,
			c.lease, db.Time{Time: now.Add(lease)}, db.Time{Time: now}).Scan(&c.id, &c.kind, &c.payload, &c.attempt)
		if errors.Is(err, sql.ErrNoRows) {
			c = nil
			return nil
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("claim job: %w", err)
	}
	return c, nil
}

func (c *claimed) renew(ctx context.Context, q db.Queryer, now time.Time) (ours bool, err error) {
	res, err := q.Exec(ctx, `update job set lease_until = $3 where id = $1 and lease = $2`,
		c.id, c.lease, db.Time{Time: now.Add(lease)})
	return affected(res, err)
}

func (c *claimed) finish(ctx context.Context, q db.Queryer) error {
	_, err := q.Exec(ctx, `delete from job where id = $1 and lease = $2`, c.id, c.lease)
	return wrap("finish job", err)
}

func (c *claimed) giveBack(ctx context.Context, q db.Queryer, now time.Time) error {
	_, err := q.Exec(ctx, `
		update job set state = 'ready', attempt = attempt - 1, run_at = $3, lease = null, lease_until = null
		where id = $1 and lease = $2`, c.id, c.lease, db.Time{Time: now})
	return wrap("give back job", err)
}

func (c *claimed) postpone(ctx context.Context, q db.Queryer, again time.Time, cause error) error {
	_, err := q.Exec(ctx, `
		update job set state = 'ready', run_at = $3, last_error = $4, lease = null, lease_until = null
		where id = $1 and lease = $2`, c.id, c.lease, db.Time{Time: again}, short(cause))
	return wrap("postpone job", err)
}

// bury keeps the job as dead; another with the same key may then be added.
func (c *claimed) bury(ctx context.Context, q db.Queryer, cause error) error {
	_, err := q.Exec(ctx, `
		update job set state = 'dead', unique_key = null, last_error = $3, lease = null, lease_until = null
		where id = $1 and lease = $2`, c.id, c.lease, short(cause))
	return wrap("bury job", err)
}

// Dead is a job that has failed for good.
type Dead struct {
	ID, Kind string
	Attempts int
	Err      string
	RunAt    time.Time // when it was to run last
}

// ListDead returns the jobs that have failed for good, the newest first.
func ListDead(ctx context.Context, q db.Queryer) ([]Dead, error) {
	rows, err := q.Query(ctx, `
		select id, kind, attempt, coalesce(last_error, ''), run_at from job
		where state = 'dead' order by run_at desc, id`)
	if err != nil {
		return nil, fmt.Errorf("dead jobs: %w", err)
	}
	defer rows.Close()
	var list []Dead
	for rows.Next() {
		var d Dead
		var at db.Time
		if err := rows.Scan(&d.ID, &d.Kind, &d.Attempts, &d.Err, &at); err != nil {
			return nil, fmt.Errorf("dead jobs: %w", err)
		}
		d.RunAt = at.Time
		list = append(list, d)
	}
	return list, rows.Err()
}

// Retry makes a dead job due again, with all its attempts. It reports whether
// there was such a job.
func Retry(ctx context.Context, q db.Queryer, id string, now time.Time) (bool, error) {
	res, err := q.Exec(ctx, `update job set state = 'ready', attempt = 0, run_at = $2 where id = $1 and state = 'dead'`,
		id, db.Time{Time: now})
	if q, ok := q.(interface{ Ring(string) }); ok && err == nil {
		q.Ring(bell)
	}
	return affected(res, wrap("retry job", err))
}

// enrol gives p its row. A period that became shorter counts at once.
func enrol(ctx context.Context, d *db.DB, p Periodic, now time.Time) error {
	err := d.Do(ctx, func(ctx context.Context, tx *db.Tx) error {
		_, err := tx.Exec(ctx, `insert into periodic (name, first_at, next_at) values ($1, $2, $2) on conflict (name) do nothing`,
			p.Name, db.Time{Time: now})
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `update periodic set next_at = $2 where name = $1 and next_at > $2`,
			p.Name, db.Time{Time: now.Add(p.Every)})
		return err
	})
	return wrap("enrol periodic work", err)
}

// claimPeriodic leases periodic work that is due and returns the lease, or ""
// when it is not due or another runs it.
func claimPeriodic(ctx context.Context, q db.Queryer, name string, now time.Time) (token string, err error) {
	token = db.NewID()
	res, err := q.Exec(ctx, `
		update periodic set lease = $2, lease_until = $3
		where name = $1 and ((lease is null and next_at <= $4) or lease_until <= $4)`,
		name, token, db.Time{Time: now.Add(lease)}, db.Time{Time: now})
	if ours, err := affected(res, wrap("claim periodic work", err)); err != nil || !ours {
		return "", err
	}
	return token, nil
}

func renewPeriodic(ctx context.Context, q db.Queryer, name, token string, now time.Time) (ours bool, err error) {
	res, err := q.Exec(ctx, `update periodic set lease_until = $3 where name = $1 and lease = $2`,
		name, token, db.Time{Time: now.Add(lease)})
	return affected(res, err)
}

func succeedPeriodic(ctx context.Context, q db.Queryer, name, token string, now, next time.Time) error {
	_, err := q.Exec(ctx, `
		update periodic set success_at = $3, next_at = $4, last_error = null, lease = null, lease_until = null
		where name = $1 and lease = $2`, name, token, db.Time{Time: now}, db.Time{Time: next})
	return wrap("finish periodic work", err)
}

func failPeriodic(ctx context.Context, q db.Queryer, name, token string, again time.Time, cause error) error {
	_, err := q.Exec(ctx, `
		update periodic set next_at = $3, last_error = $4, lease = null, lease_until = null
		where name = $1 and lease = $2`, name, token, db.Time{Time: again}, short(cause))
	return wrap("fail periodic work", err)
}

func affected(res sql.Result, err error) (bool, error) {
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n == 1, err
}

func wrap(what string, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// short bounds what is stored of an error, and keeps it storable.
func short(err error) string {
	const limit = 500
	s := err.Error()
	if len(s) > limit {
		s = s[:limit]
	}
	return strings.ReplaceAll(strings.ToValidUTF8(s, "?"), "\x00", "?")
}
