package subject

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/tillid/tillid/internal/db"
)

func personOf(ctx context.Context, q db.Queryer, kind string, lookup []byte) (PersonID, bool, error) {
	var p PersonID
	err := q.QueryRow(ctx, `select person from identifier where kind = $1 and lookup = $2`, kind, lookup).Scan(&p)
	if errors.Is(err, sql.ErrNoRows) {
		return "", false, nil
	}
	if err != nil {
		return "", false, fmt.Errorf("select identifier: %w", err)
	}
	return p, true, nil
}

// lockPerson makes two transactions that change what is held about a person run
// one after the other; on PostgreSQL the later one starts again.
func lockPerson(ctx context.Context, tx *db.Tx, p PersonID) error {
	if _, err := tx.Exec(ctx, `update person set id = id where id = $1`, string(p)); err != nil {
		return fmt.Errorf("lock person: %w", err)
	}
	return nil
}

func insertPerson(ctx context.Context, tx *db.Tx, p PersonID, now db.Time) error {
	if _, err := tx.Exec(ctx, `insert into person (id, created_at) values ($1, $2)`, string(p), now); err != nil {
		return fmt.Errorf("insert person: %w", err)
	}
	return nil
}

func insertIdentifier(ctx context.Context, tx *db.Tx, id string, p PersonID, kind string, lookup, value []byte, now db.Time) error {
	// "do nothing" makes PostgreSQL start the transaction again when somebody else
	// was first; then the identifier is found.
	_, err := tx.Exec(ctx, `insert into identifier (id, person, kind, lookup, value, created_at)
		values ($1, $2, $3, $4, $5, $6) on conflict (kind, lookup) do nothing`, id, string(p), kind, lookup, value, now)
	if err != nil {
		return fmt.Errorf("insert identifier: %w", err)
	}
	return nil
}

type identifierRow struct {
	id, kind string
	value    []byte
}

func identifiersOf(ctx context.Context, q db.Queryer, p PersonID) ([]identifierRow, error) {
	rows, err := q.Query(ctx, `select id, kind, value from identifier where person = $1 order by created_at, id`, string(p))
	if err != nil {
		return nil, fmt.Errorf("select identifiers: %w", err)
	}
	defer rows.Close()
	var all []identifierRow
	for rows.Next() {
		var r identifierRow
		if err := rows.Scan(&r.id, &r.kind, &r.value); err != nil {
			return nil, fmt.Errorf("scan identifier: %w", err)
		}
		all = append(all, r)
	}
	return all, rows.Err()
}

func insertRecord(ctx context.Context, tx *db.Tx, r Record) error {
	_, err := tx.Exec(ctx, `insert into record (id, person, holder, kind, purpose, rule, version, received_at, triggered_at, due_at, dated_at, promise)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
		r.ID, string(r.Person), r.Holder, r.Kind, r.Purpose, r.Rule, r.Version,
		db.Time{Time: r.Received}, db.Time{Time: r.Triggered}, db.Time{Time: r.Due}, db.Time{Time: r.Dated}, r.Promise)
	if err != nil {
		return fmt.Errorf("insert record: %w", err)
	}
	return nil
}

func updateDue(ctx context.Context, tx *db.Tx, r Record) error {
	_, err := tx.Exec(ctx, `update record set triggered_at = $1, due_at = $2, dated_at = $3 where id = $4`,
		db.Time{Time: r.Triggered}, db.Time{Time: r.Due}, db.Time{Time: r.Dated}, r.ID)
	if err != nil {
		return fmt.Errorf("update record: %w", err)
	}
	return nil
}

func selectRecords(ctx context.Context, q db.Queryer, where string, args ...any) ([]Record, error) {
	rows, err := q.Query(ctx, `select id, person, holder, kind, purpose, rule, version, received_at, triggered_at, due_at, dated_at, promise from record `+where, args...)
	if err != nil {
		return nil, fmt.Errorf("select records: %w", err)
	}
	defer rows.Close()
	var all []Record
	for rows.Next() {
		var r Record
		var received, triggered, due, dated db.Time
		err := rows.Scan(&r.ID, &r.Person, &r.Holder, &r.Kind, &r.Purpose, &r.Rule, &r.Version, &received, &triggered, &due, &dated, &r.Promise)
		if err != nil {
			return nil, fmt.Errorf("scan record: %w", err)
		}
		r.Received, r.Triggered, r.Due, r.Dated = received.Time, triggered.Time, due.Time, dated.Time
		if r.Dated.IsZero() {
			r.Dated = r.Received
		}
		all = append(all, r)
	}
	return all, rows.Err()
}

// Counts are figures for the overview.
type Counts struct {
	Records   int
	Overdue   int            // due, and still there
	DueSoon   int            // due before the moment that was asked for, and not overdue
	ByPurpose map[string]int // records by purpose
}

// Count counts the register: overdue at now, due soon until soon.
func (s *Service) Count(ctx context.Context, q db.Queryer, now, soon time.Time) (Counts, error) {
	c := Counts{ByPurpose: map[string]int{}}
	rows, err := q.Query(ctx, `select purpose, count(*),
			sum(case when due_at <= $1 then 1 else 0 end),
			sum(case when due_at > $1 and due_at <= $2 then 1 else 0 end)
		from record group by purpose`, db.Time{Time: now}, db.Time{Time: soon})
	if err != nil {
		return c, fmt.Errorf("count records: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var purpose string
		var n, overdue, dueSoon int
		if err := rows.Scan(&purpose, &n, &overdue, &dueSoon); err != nil {
			return c, fmt.Errorf("scan counts: %w", err)
		}
		c.ByPurpose[purpose] = n
		c.Records, c.Overdue, c.DueSoon = c.Records+n, c.Overdue+overdue, c.DueSoon+dueSoon
	}
	return c, rows.Err()
}
