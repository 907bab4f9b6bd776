package erase

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/subject"
)

func insertCase(ctx context.Context, tx *db.Tx, c *Case) error {
	_, err := tx.Exec(ctx, `insert into erasure_case (id, person, reason, rule, version, state, result, opened_at, deadline_at, keys_destroyed, row_count, leaf)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, '{}', '[]')`,
		string(c.ID), nullable(string(c.Person)), string(c.Reason.Kind), c.Reason.Rule, c.Version, c.State, c.Result,
		db.Time{Time: c.Opened}, db.Time{Time: c.Deadline})
	if err != nil {
		return fmt.Errorf("insert case: %w", err)
	}
	return nil
}

func nullable(s string) sql.NullString { return sql.NullString{String: s, Valid: s != ""} }

func updateCase(ctx context.Context, tx *db.Tx, c *Case) error {
	rows, err := json.Marshal(c.Rows)
	if err != nil {
		return fmt.Errorf("marshal counts: %w", err)
	}
	leaves, err := json.Marshal(c.Leaves)
	if err != nil {
		return fmt.Errorf("marshal leaves: %w", err)
	}
	_, err = tx.Exec(ctx, `update erasure_case set state = $2, result = $3, local_at = $4, closed_at = $5, keys_destroyed = $6, row_count = $7, leaf = $8
		where id = $1`, string(c.ID), c.State, c.Result, db.Time{Time: c.Local}, db.Time{Time: c.Closed}, c.Keys, string(rows), string(leaves))
	if err != nil {
		return fmt.Errorf("update case: %w", err)
	}
	return nil
}

func setKeysGone(ctx context.Context, tx *db.Tx, id CaseID, now time.Time) error {
	if _, err := tx.Exec(ctx, `update erasure_case set keys_at = $2 where id = $1`, string(id), db.Time{Time: now}); err != nil {
		return fmt.Errorf("update case: %w", err)
	}
	return nil
}

// Case returns a case; a fault of kind NotFound when there is none.
func (s *Service) Case(ctx context.Context, id CaseID) (*Case, error) { return caseByID(ctx, s.DB, id) }

func caseByID(ctx context.Context, q db.Queryer, id CaseID) (*Case, error) {
	all, err := selectCases(ctx, q, `where id = $1`, string(id))
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, fault.New(fault.NotFound, "There is no such erasure.").In("erase.no_case")
	}
	return &all[0], nil
}

// caseOf returns the newest case of a person.
func caseOf(ctx context.Context, q db.Queryer, p subject.PersonID) (CaseID, bool, error) {
	all, err := selectCases(ctx, q, `where person = $1 order by opened_at desc, id limit 1`, string(p))
	if err != nil || len(all) == 0 {
		return "", false, err
	}
	return all[0].ID, true, nil
}

// Cases returns the newest cases, open ones first.
func (s *Service) Cases(ctx context.Context, limit int) ([]Case, error) {
	return selectCases(ctx, s.DB, `order by state desc, opened_at desc, id limit $1`, limit)
}

func selectCases(ctx context.Context, q db.Queryer, where string, args ...any) ([]Case, error) {
	rows, err := q.Query(ctx, `select id, person, reason, rule, version, state, result, opened_at, deadline_at, local_at, keys_at, closed_at,
		keys_destroyed, row_count, leaf from erasure_case `+where, args...)
	if err != nil {
		return nil, fmt.Errorf("select cases: %w", err)
	}
	defer rows.Close()
	var all []Case
	for rows.Next() {
		var c Case
		var person sql.NullString
		var opened, deadline, local, keys, closed db.Time
		var counts, leaves string
		err := rows.Scan(&c.ID, &person, &c.Reason.Kind, &c.Reason.Rule, &c.Version, &c.State, &c.Result, &opened, &deadline, &local, &keys, &closed,
			&c.Keys, &counts, &leaves)
		if err != nil {
			return nil, fmt.Errorf("scan case: %w", err)
		}
		c.Person = subject.PersonID(person.String)
		c.Opened, c.Deadline, c.Local, c.KeysGone, c.Closed = opened.Time, deadline.Time, local.Time, keys.Time, closed.Time
		if err := errors.Join(json.Unmarshal([]byte(counts), &c.Rows), json.Unmarshal([]byte(leaves), &c.Leaves)); err != nil {
			return nil, fmt.Errorf("read case: %w", err)
		}
		all = append(all, c)
	}
	return all, rows.Err()
}

const taskColumns = `id, case_id, kind, store, record, sealed, state, code, attempts, next_at, search_after,
	planned_at, commanded_at, acknowledged_at, effective_at, probed_at, verified_at, request_id`

func insertTask(ctx context.Context, tx *db.Tx, t Task) error {
	_, err := tx.Exec(ctx, `insert into erasure_task (`+taskColumns+`)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)`,
		t.ID, string(t.Case), t.Kind, t.Store, t.Record, t.Sealed, string(t.State), t.Code, t.Attempts, at(t.Next), at(t.SearchAfter),
		at(t.Planned), at(t.Commanded), at(t.Acknowledged), at(t.Effective), at(t.Probed), at(t.Verified), t.RequestID)
	if err != nil {
		return fmt.Errorf("insert task: %w", err)
	}
	return nil
}

func at(t time.Time) db.Time { return db.Time{Time: t} }

// updateTask never changes a task that has ended: a late answer proves nothing.
func updateTask(ctx context.Context, tx *db.Tx, t Task) error {
	_, err := tx.Exec(ctx, `update erasure_task set sealed = $2, state = $3, code = $4, attempts = $5, next_at = $6, search_after = $7,
			commanded_at = $8, acknowledged_at = $9, effective_at = $10, probed_at = $11, verified_at = $12, request_id = $13
		where id = $1 and state not in ('verified', 'retained', 'not_found')`,
		t.ID, t.Sealed, string(t.State), t.Code, t.Attempts, at(t.Next), at(t.SearchAfter),
		at(t.Commanded), at(t.Acknowledged), at(t.Effective), at(t.Probed), at(t.Verified), t.RequestID)
	if err != nil {
		return fmt.Errorf("update task: %w", err)
	}
	return nil
}

func clearSealed(ctx context.Context, tx *db.Tx, id CaseID) error {
	if _, err := tx.Exec(ctx, `update erasure_task set sealed = null where case_id = $1`, string(id)); err != nil {
		return fmt.Errorf("clear frozen references: %w", err)
	}
	return nil
}

// Tasks returns a case's tasks, local ones first.
func (s *Service) Tasks(ctx context.Context, id CaseID) ([]Task, error) {
	return tasksOf(ctx, s.DB, id)
}

func tasksOf(ctx context.Context, q db.Queryer, id CaseID) ([]Task, error) {
	return selectTasks(ctx, q, `where case_id = $1 order by kind, planned_at, id`, string(id))
}

func taskByID(ctx context.Context, q db.Queryer, id string) (Task, bool, error) {
	all, err := selectTasks(ctx, q, `where id = $1`, id)
	if err != nil || len(all) == 0 {
		return Task{}, false, err
	}
	return all[0], true, nil
}

func localTaskOf(ctx context.Context, q db.Queryer, id CaseID, record string) (Task, error) {
	all, err := selectTasks(ctx, q, `where case_id = $1 and kind = 'local' and record = $2`, string(id), record)
	if err != nil {
		return Task{}, err
	}
	if len(all) != 1 {
		return Task{}, fmt.Errorf("case has %d tasks for one record", len(all))
	}
	return all[0], nil
}

func selectTasks(ctx context.Context, q db.Queryer, where string, args ...any) ([]Task, error) {
	rows, err := q.Query(ctx, `select `+taskColumns+` from erasure_task `+where, args...)
	if err != nil {
		return nil, fmt.Errorf("select tasks: %w", err)
	}
	defer rows.Close()
	var all []Task
	for rows.Next() {
		var t Task
		var next, search, planned, commanded, acknowledged, effective, probed, verified db.Time
		err := rows.Scan(&t.ID, &t.Case, &t.Kind, &t.Store, &t.Record, &t.Sealed, &t.State, &t.Code, &t.Attempts, &next, &search,
			&planned, &commanded, &acknowledged, &effective, &probed, &verified, &t.RequestID)
		if err != nil {
			return nil, fmt.Errorf("scan task: %w", err)
		}
		t.Next, t.SearchAfter, t.Planned, t.Commanded = next.Time, search.Time, planned.Time, commanded.Time
		t.Acknowledged, t.Effective, t.Probed, t.Verified = acknowledged.Time, effective.Time, probed.Time, verified.Time
		all = append(all, t)
	}
	return all, rows.Err()
}

// blockedTasks counts the open tasks in which a record waits for a hold.
func blockedTasks(ctx context.Context, q db.Queryer, record string) (n int, err error) {
	err = q.QueryRow(ctx, `select count(*) from erasure_task where record = $1 and state = 'blocked_by_hold'`, record).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count tasks: %w", err)
	}
	return n, nil
}

func casesBlocked(ctx context.Context, q db.Queryer) ([]CaseID, error) {
	rows, err := q.Query(ctx, `select distinct case_id from erasure_task where state = 'blocked_by_hold' order by case_id`)
	if err != nil {
		return nil, fmt.Errorf("select cases: %w", err)
	}
	defer rows.Close()
	var all []CaseID
	for rows.Next() {
		var id CaseID
		if err := rows.Scan(&id); err != nil {
			return nil, fmt.Errorf("scan case: %w", err)
		}
		all = append(all, id)
	}
	return all, rows.Err()
}

func insertHold(ctx context.Context, tx *db.Tx, h Hold) error {
	_, err := tx.Exec(ctx, `insert into hold (id, scope, target, reason, owner, review_at, created_at) values ($1, $2, $3, $4, $5, $6, $7)`,
		h.ID, string(h.Scope), h.Target, h.Reason, h.Owner, at(h.Review), at(h.Created))
	if err != nil {
		return fmt.Errorf("insert hold: %w", err)
	}
	return nil
}

func releaseHold(ctx context.Context, tx *db.Tx, id string, now time.Time) error {
	if _, err := tx.Exec(ctx, `update hold set released_at = $2 where id = $1 and released_at is null`, id, at(now)); err != nil {
		return fmt.Errorf("release hold: %w", err)
	}
	return nil
}

func reviewHold(ctx context.Context, tx *db.Tx, h Hold) error {
	if _, err := tx.Exec(ctx, `update hold set reason = $2, owner = $3, review_at = $4 where id = $1`, h.ID, h.Reason, h.Owner, at(h.Review)); err != nil {
		return fmt.Errorf("review hold: %w", err)
	}
	return nil
}

func holdByID(ctx context.Context, q db.Queryer, id string) (Hold, bool, error) {
	all, err := selectHolds(ctx, q, `where id = $1`, id)
	if err != nil || len(all) == 0 {
		return Hold{}, false, err
	}
	return all[0], true, nil
}

func selectHolds(ctx context.Context, q db.Queryer, where string, args ...any) ([]Hold, error) {
	rows, err := q.Query(ctx, `select id, scope, target, reason, owner, review_at, created_at, released_at from hold `+where, args...)
	if err != nil {
		return nil, fmt.Errorf("select holds: %w", err)
	}
	defer rows.Close()
	var all []Hold
	for rows.Next() {
		var h Hold
		var review, created, released db.Time
		if err := rows.Scan(&h.ID, &h.Scope, &h.Target, &h.Reason, &h.Owner, &review, &created, &released); err != nil {
			return nil, fmt.Errorf("scan hold: %w", err)
		}
		h.Review, h.Created, h.Released = review.Time, created.Time, released.Time
		all = append(all, h)
	}
	return all, rows.Err()
}

func insertErased(ctx context.Context, tx *db.Tx, pseudonym, kind string, id CaseID, now time.Time) error {
	_, err := tx.Exec(ctx, `insert into erasure_list (pseudonym, kind, case_id, erased_at) values ($1, $2, $3, $4) on conflict (pseudonym) do nothing`,
		pseudonym, kind, string(id), at(now))
	if err != nil {
		return fmt.Errorf("insert into erasure list: %w", err)
	}
	return nil
}

// countTasks returns how many records a case is about, and how many tasks have not ended.
func countTasks(ctx context.Context, q db.Queryer, id CaseID) (records, pending int, err error) {
	err = q.QueryRow(ctx, `select coalesce(sum(case when kind = 'local' then 1 else 0 end), 0),
			coalesce(sum(case when state in ('verified', 'retained', 'not_found', 'not_deletable') then 0 else 1 end), 0)
		from erasure_task where case_id = $1`, string(id)).Scan(&records, &pending)
	if err != nil {
		return 0, 0, fmt.Errorf("count tasks: %w", err)
	}
	return records, pending, nil
}
