package consent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"database/sql"

	"github.com/tillid/tillid/internal/db"
)

// row is a row of table choice. That of a refusal belongs to no record.
type row struct {
	id, kind             string
	at                   db.Time
	lang, layer, control string
	version, shown       string
	granted              string // JSON list
	leaf                 string
	sealed               []byte
	ends                 map[string]time.Time // when each yes ends by itself
	endsAt               db.Time              // the next of them; zero when there is none
	endedAt              db.Time
	ended                ending
	endLeaf              string // of an expiry
}

// ending says how a choice ended; "" while it is relied upon.
type ending string

const (
	changed   ending = "changed"
	takenBack ending = "withdrawn"
	expired   ending = "expired"
)

func newRow(o *offer, c choice, out outcome, id string) row {
	granted, err := json.Marshal(append([]string{}, c.granted...))
	if err != nil {
		panic(err) // a list of strings
	}
	r := row{
		id: id, kind: out.kind, at: db.Time{Time: out.At}, lang: string(c.lang), layer: c.layer, control: c.control,
		version: o.plan.Hash, shown: c.shown(o), granted: string(granted), leaf: out.leaf,
	}
	r.ends = o.endings(c.answers)
	r.endsAt.Time = r.next(time.Time{})
	return r
}

// next returns when the first yes ends after a moment; zero when none does.
func (r row) next(after time.Time) (next time.Time) {
	for _, end := range r.ends {
		if end.After(after) && (next.IsZero() || end.Before(next)) {
			next = end
		}
	}
	return next
}

// lapsed returns the ids of what ended by itself from one moment to another, both included.
func (r row) lapsed(from, to time.Time) (ids []string) {
	for _, id := range items(r.granted) {
		if end, ok := r.ends[id]; ok && !end.Before(from) && !end.After(to) {
			ids = append(ids, id)
		}
	}
	return ids
}

func insertChoice(ctx context.Context, tx *db.Tx, r row) error {
	ends, err := json.Marshal(r.ends)
	if err != nil {
		return fmt.Errorf("insert choice: %w", err)
	}
	_, err = tx.Exec(ctx, `insert into choice (id, kind, at, lang, layer, control, version, shown, granted, leaf, sealed, ends, ends_at)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`,
		r.id, r.kind, r.at, r.lang, r.layer, r.control, r.version, r.shown, r.granted, r.leaf, r.sealed, string(ends), r.endsAt)
	if err != nil {
		return fmt.Errorf("insert choice: %w", err)
	}
	return nil
}

const columns = `id, kind, at, lang, layer, control, version, shown, granted, leaf, ends, ends_at, ended_at, ended, coalesce(end_leaf, '')`

func scanChoice(scan func(...any) error) (r row, err error) {
	var ends string
	err = scan(&r.id, &r.kind, &r.at, &r.lang, &r.layer, &r.control, &r.version, &r.shown, &r.granted, &r.leaf, &ends, &r.endsAt, &r.endedAt, &r.ended, &r.endLeaf)
	if err != nil {
		return r, err
	}
	return r, json.Unmarshal([]byte(ends), &r.ends)
}

func selectChoice(ctx context.Context, q db.Queryer, id string) (r row, ok bool, err error) {
	r, err = scanChoice(q.QueryRow(ctx, `select `+columns+` from choice where id = $1`, id).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return r, false, nil
	}
	if err != nil {
		return r, false, fmt.Errorf("select choice: %w", err)
	}
	return r, true, nil
}

func recentChoices(ctx context.Context, q db.Queryer, n int) ([]row, error) {
	return selectChoices(ctx, q, `order by at desc, id limit $1`, n)
}

func selectChoices(ctx context.Context, q db.Queryer, where string, args ...any) ([]row, error) {
	rows, err := q.Query(ctx, `select `+columns+` from choice `+where, args...)
	if err != nil {
		return nil, fmt.Errorf("select choices: %w", err)
	}
	defer rows.Close()
	var all []row
	for rows.Next() {
		r, err := scanChoice(rows.Scan)
		if err != nil {
			return nil, fmt.Errorf("scan choice: %w", err)
		}
		all = append(all, r)
	}
	return all, rows.Err()
}

// choiceByLeaf returns the choice that a leaf of the log records.
func choiceByLeaf(ctx context.Context, q db.Queryer, leaf string) (r row, ok bool, err error) {
	found, err := selectChoices(ctx, q, `where leaf = $1`, leaf)
	if err != nil || len(found) == 0 {
		return r, false, err
	}
	return found[0], true, nil
}

// endingBefore returns choices that have ended by themselves, and of which nobody has noted it yet.
func endingBefore(ctx context.Context, q db.Queryer, at time.Time, limit int) ([]row, error) {
	return selectChoices(ctx, q, `where ended = '' and kind = 'given' and ends_at <= $1 order by ends_at, id limit $2`, db.Time{Time: at}, limit)
}

// endChoice notes how a choice ended; ok is false when it had ended already.
func endChoice(ctx context.Context, tx *db.Tx, id string, how ending, at time.Time, leaf string) (ok bool, err error) {
	var with any
	if leaf != "" {
		with = leaf
	}
	res, err := tx.Exec(ctx, `update choice set ended = $1, ended_at = $2, end_leaf = $3 where id = $4 and ended = '' and kind = 'given'`,
		string(how), db.Time{Time: at}, with, id)
	if err != nil {
		return false, fmt.Errorf("end choice: %w", err)
	}
	n, err := res.RowsAffected()
	return n == 1, err
}

// waitEnd notes the next moment at which something of a choice ends.
func waitEnd(ctx context.Context, tx *db.Tx, id string, was, next time.Time) (ok bool, err error) {
	res, err := tx.Exec(ctx, `update choice set ends_at = $1 where id = $2 and ended = '' and ends_at = $3`,
		db.Time{Time: next}, id, db.Time{Time: was})
	if err != nil {
		return false, fmt.Errorf("note next end: %w", err)
	}
	n, err := res.RowsAffected()
	return n == 1, err
}

func deleteChoice(ctx context.Context, tx *db.Tx, id string) (int, error) {
	res, err := tx.Exec(ctx, `delete from choice where id = $1`, id)
	if err != nil {
		return 0, fmt.Errorf("delete choice: %w", err)
	}
	n, err := res.RowsAffected()
	return int(n), err
}

// deleteRefusals drops what old refusals tell the figures.
func deleteRefusals(ctx context.Context, d *db.DB, before time.Time) error {
	if _, err := d.Exec(ctx, `delete from choice where kind = 'refused' and at < $1`, db.Time{Time: before}); err != nil {
		return fmt.Errorf("delete old refusals: %w", err)
	}
	return nil
}

// answers counts equal choices.
type answers struct {
	lang, kind, granted string
	n                   int
}

func countChoices(ctx context.Context, q db.Queryer, since time.Time) ([]answers, error) {
	rows, err := q.Query(ctx, `select lang, kind, granted, count(*) from choice where at >= $1
		group by lang, kind, granted order by lang, kind, granted`, db.Time{Time: since})
	if err != nil {
		return nil, fmt.Errorf("count choices: %w", err)
	}
	defer rows.Close()
	var all []answers
	for rows.Next() {
		var a answers
		if err := rows.Scan(&a.lang, &a.kind, &a.granted, &a.n); err != nil {
			return nil, fmt.Errorf("scan counts: %w", err)
		}
		all = append(all, a)
	}
	return all, rows.Err()
}

// items returns the ids of what was granted.
func items(granted string) []string {
	var ids []string
	if json.Unmarshal([]byte(granted), &ids) != nil {
		return nil
	}
	return ids
}
