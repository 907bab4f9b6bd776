package breach

import (
	"context"
	"fmt"
	"time"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/subject"
)

func insertBreach(ctx context.Context, tx *db.Tx, b Breach) error {
	_, err := tx.Exec(ctx, `insert into breach (id, number, aware_at, opened_at) values ($1, $2, $3, $4)`,
		b.ID, b.Number, db.Time{Time: b.Aware}, db.Time{Time: b.Opened})
	if err != nil {
		return fmt.Errorf("insert breach: %w", err)
	}
	return nil
}

func markBreach(ctx context.Context, tx *db.Tx, id, kind string, at time.Time) error {
	column := map[string]string{"notified": "notified_at", "closed": "closed_at"}[kind]
	if column == "" {
		return nil
	}
	if _, err := tx.Exec(ctx, `update breach set `+column+` = $2 where id = $1`, id, db.Time{Time: at}); err != nil {
		return fmt.Errorf("update breach: %w", err)
	}
	return nil
}

func selectBreaches(ctx context.Context, q db.Queryer, where string, args ...any) ([]Breach, error) {
	rows, err := q.Query(ctx, `select id, number, aware_at, opened_at, notified_at, closed_at from breach `+where, args...)
	if err != nil {
		return nil, fmt.Errorf("select breaches: %w", err)
	}
	defer rows.Close()
	var all []Breach
	for rows.Next() {
		var b Breach
		var aware, opened, notified, closed db.Time
		if err := rows.Scan(&b.ID, &b.Number, &aware, &opened, &notified, &closed); err != nil {
			return nil, fmt.Errorf("scan breach: %w", err)
		}
		b.Aware, b.Opened, b.Notified, b.Closed = aware.Time, opened.Time, notified.Time, closed.Time
		all = append(all, b)
	}
	return all, rows.Err()
}

type event struct {
	ID, Breach, Kind string
	At               time.Time
	Sealed           []byte
}

func insertEvent(ctx context.Context, tx *db.Tx, e event) error {
	_, err := tx.Exec(ctx, `insert into breach_event (id, breach, kind, at, sealed) values ($1, $2, $3, $4, $5)`,
		e.ID, e.Breach, e.Kind, db.Time{Time: e.At}, e.Sealed)
	if err != nil {
		return fmt.Errorf("insert event: %w", err)
	}
	return nil
}

func eventsOf(ctx context.Context, q db.Queryer, id string) ([]event, error) {
	rows, err := q.Query(ctx, `select id, kind, at, sealed from breach_event where breach = $1 order by at, id`, id)
	if err != nil {
		return nil, fmt.Errorf("select events: %w", err)
	}
	defer rows.Close()
	var all []event
	for rows.Next() {
		e := event{Breach: id}
		var at db.Time
		if err := rows.Scan(&e.ID, &e.Kind, &at, &e.Sealed); err != nil {
			return nil, fmt.Errorf("scan event: %w", err)
		}
		e.At = at.Time
		all = append(all, e)
	}
	return all, rows.Err()
}

// concerned returns the persons about whom something is held for a purpose that came in a
// period, after one of them, at most limit.
func concerned(ctx context.Context, q db.Queryer, l letter, after subject.PersonID, limit int) ([]subject.PersonID, error) {
	rows, err := q.Query(ctx, `select distinct person from record where purpose = $1 and received_at >= $2 and received_at < $3 and person > $4
		order by person limit $5`, l.Purpose, db.Time{Time: l.From}, db.Time{Time: l.Until}, string(after), limit)
	if err != nil {
		return nil, fmt.Errorf("select persons: %w", err)
	}
	defer rows.Close()
	var all []subject.PersonID
	for rows.Next() {
		var p string
		if err := rows.Scan(&p); err != nil {
			return nil, fmt.Errorf("scan person: %w", err)
		}
		all = append(all, subject.PersonID(p))
	}
	return all, rows.Err()
}

// firstLetter notes that a person is written to; false when that was done before.
func firstLetter(ctx context.Context, tx *db.Tx, id string, p subject.PersonID, at time.Time) (bool, error) {
	res, err := tx.Exec(ctx, `insert into breach_letter (breach, person, at) values ($1, $2, $3) on conflict (breach, person) do nothing`,
		id, string(p), db.Time{Time: at})
	if err != nil {
		return false, fmt.Errorf("insert letter: %w", err)
	}
	n, err := res.RowsAffected()
	return n == 1, err
}

func countLetters(ctx context.Context, q db.Queryer, id string) (n int, err error) {
	if err = q.QueryRow(ctx, `select count(*) from breach_letter where breach = $1`, id).Scan(&n); err != nil {
		return 0, fmt.Errorf("count letters: %w", err)
	}
	return n, nil
}
