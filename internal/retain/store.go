package retain

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/subject"
)

// writeRun notes a run. A run that did nothing takes the place of the one before
// it, if that did nothing either: the list is of deeds, with one sign of life.
func writeRun(ctx context.Context, tx *db.Tx, r Run) error {
	last, ok, err := lastRun(ctx, tx)
	if err != nil {
		return err
	}
	if ok && last.Due == last.Held+last.Manual && r.Due == r.Held+r.Manual {
		if _, err := tx.Exec(ctx, `delete from retention_run where id = $1`, last.ID); err != nil {
			return fmt.Errorf("delete idle run: %w", err)
		}
	}
	if _, err := tx.Exec(ctx, `delete from retention_task where record not in (select id from record)`); err != nil {
		return fmt.Errorf("delete retention tasks that are done: %w", err)
	}
	text, err := json.Marshal(r.Forecast)
	if err != nil {
		return fmt.Errorf("marshal forecast: %w", err)
	}
	_, err = tx.Exec(ctx, `insert into retention_run (id, started_at, ended_at, due, held, manual, deleted, failed, forecast)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		r.ID, db.Time{Time: r.Started}, db.Time{Time: r.Ended}, r.Due, r.Held, r.Manual, r.Deleted, r.Failed, string(text))
	if err != nil {
		return fmt.Errorf("insert run: %w", err)
	}
	return nil
}

func lastRun(ctx context.Context, q db.Queryer) (Run, bool, error) {
	all, err := selectRuns(ctx, q, 1)
	if err != nil || len(all) == 0 {
		return Run{}, false, err
	}
	return all[0], true, nil
}

// Runs returns the newest runs.
func (s *Service) Runs(ctx context.Context, limit int) ([]Run, error) {
	return selectRuns(ctx, s.DB, limit)
}

func selectRuns(ctx context.Context, q db.Queryer, limit int) ([]Run, error) {
	rows, err := q.Query(ctx, `select id, started_at, ended_at, due, held, manual, deleted, failed, forecast
		from retention_run order by ended_at desc, started_at desc, id limit $1`, limit)
	if err != nil {
		return nil, fmt.Errorf("select runs: %w", err)
	}
	defer rows.Close()
	var all []Run
	for rows.Next() {
		var r Run
		var started, ended db.Time
		var text string
		if err := rows.Scan(&r.ID, &started, &ended, &r.Due, &r.Held, &r.Manual, &r.Deleted, &r.Failed, &text); err != nil {
			return nil, fmt.Errorf("scan run: %w", err)
		}
		if err := json.Unmarshal([]byte(text), &r.Forecast); err != nil {
			return nil, fmt.Errorf("read forecast: %w", err)
		}
		r.Started, r.Ended = started.Time, ended.Time
		all = append(all, r)
	}
	return all, rows.Err()
}

// forecast counts what is due until a moment, by rule.
func forecast(ctx context.Context, q db.Queryer, until time.Time) ([]Forecast, error) {
	rows, err := q.Query(ctx, `select rule, count(*) from record where due_at <= $1 group by rule order by rule`, db.Time{Time: until})
	if err != nil {
		return nil, fmt.Errorf("select forecast: %w", err)
	}
	defer rows.Close()
	all := []Forecast{}
	for rows.Next() {
		var f Forecast
		if err := rows.Scan(&f.Rule, &f.Records); err != nil {
			return nil, fmt.Errorf("scan forecast: %w", err)
		}
		all = append(all, f)
	}
	return all, rows.Err()
}

// Task is a record that is due and that a person must see to.
type Task struct {
	Record  string
	Rule    string
	Owner   string
	Due     time.Time
	Created time.Time
}

func insertTask(ctx context.Context, tx *db.Tx, r subject.Record, owner string, now time.Time) error {
	_, err := tx.Exec(ctx, `insert into retention_task (record, rule, owner, due_at, created_at) values ($1, $2, $3, $4, $5) on conflict (record) do nothing`,
		r.ID, r.Rule, owner, db.Time{Time: r.Due}, db.Time{Time: now})
	if err != nil {
		return fmt.Errorf("insert retention task: %w", err)
	}
	return nil
}

// Tasks returns what waits for a person: tasks whose record is still there.
func (s *Service) Tasks(ctx context.Context, limit int) ([]Task, error) {
	rows, err := s.DB.Query(ctx, `select t.record, t.rule, t.owner, t.due_at, t.created_at
		from retention_task t join record r on r.id = t.record order by t.due_at, t.record limit $1`, limit)
	if err != nil {
		return nil, fmt.Errorf("select retention tasks: %w", err)
	}
	defer rows.Close()
	var all []Task
	for rows.Next() {
		var t Task
		var due, created db.Time
		if err := rows.Scan(&t.Record, &t.Rule, &t.Owner, &due, &created); err != nil {
			return nil, fmt.Errorf("scan retention task: %w", err)
		}
		t.Due, t.Created = due.Time, created.Time
		all = append(all, t)
	}
	return all, rows.Err()
}
