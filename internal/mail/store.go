package mail

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/tillid/tillid/internal/db"
)

// letter is a row of table mail.
type letter struct {
	ID     string
	Record string // "" when it belongs to none
	Queued time.Time
	Sealed []byte
}

func insert(ctx context.Context, tx *db.Tx, l letter) error {
	_, err := tx.Exec(ctx, `insert into mail (id, record, state, queued_at, sealed) values ($1, $2, 'queued', $3, $4)`,
		l.ID, sql.NullString{String: l.Record, Valid: l.Record != ""}, db.Time{Time: l.Queued}, l.Sealed)
	if err != nil {
		return fmt.Errorf("insert letter: %w", err)
	}
	return nil
}

// get returns a letter that waits; ok is false when there is none.
func get(ctx context.Context, q db.Queryer, id string) (l letter, ok bool, err error) {
	var at db.Time
	var record sql.NullString
	err = q.QueryRow(ctx, `select id, record, queued_at, sealed from mail where id = $1 and state = 'queued'`, id).
		Scan(&l.ID, &record, &at, &l.Sealed)
	if errors.Is(err, sql.ErrNoRows) {
		return l, false, nil
	}
	if err != nil {
		return l, false, fmt.Errorf("get letter: %w", err)
	}
	l.Record, l.Queued = record.String, at.Time
	return l, true, nil
}

func remove(ctx context.Context, tx *db.Tx, id string) error {
	if _, err := tx.Exec(ctx, `delete from mail where id = $1`, id); err != nil {
		return fmt.Errorf("delete letter: %w", err)
	}
	return nil
}

// refuse marks a letter that the relay will never take.
func refuse(ctx context.Context, tx *db.Tx, id, answer string) error {
	if _, err := tx.Exec(ctx, `update mail set state = 'refused', answer = $2 where id = $1`, id, answer); err != nil {
		return fmt.Errorf("mark refused letter: %w", err)
	}
	return nil
}

func of(ctx context.Context, q db.Queryer, record string) ([]string, error) {
	return db.Texts(ctx, q, `select id from mail where record = $1`, record)
}

// old returns letters that wait since before t, refused or not.
func old(ctx context.Context, q db.Queryer, t time.Time) ([]string, error) {
	return db.Texts(ctx, q, `select id from mail where queued_at < $1 order by queued_at limit 500`, db.Time{Time: t})
}

// Refusal is a letter that the relay would not take. It holds no personal data.
type Refusal struct {
	ID     string
	Record string
	Answer string // SMTP code, for example "550 5.1.1"
	Queued time.Time
}

// Refused lists the letters that could not be sent, newest first.
func (s *Service) Refused(ctx context.Context) ([]Refusal, error) {
	rows, err := s.DB.Query(ctx, `select id, record, answer, queued_at from mail where state = 'refused' order by queued_at desc limit 200`)
	if err != nil {
		return nil, fmt.Errorf("list refused letters: %w", err)
	}
	defer rows.Close()
	var out []Refusal
	for rows.Next() {
		var r Refusal
		var record sql.NullString
		var at db.Time
		if err := rows.Scan(&r.ID, &record, &r.Answer, &at); err != nil {
			return nil, fmt.Errorf("list refused letters: %w", err)
		}
		r.Record, r.Queued = record.String, at.Time
		out = append(out, r)
	}
	return out, rows.Err()
}

// Waiting counts the letters that wait to be sent.
func (s *Service) Waiting(ctx context.Context) (int, error) {
	var n int
	if err := s.DB.QueryRow(ctx, `select count(*) from mail where state = 'queued'`).Scan(&n); err != nil {
		return 0, fmt.Errorf("count letters: %w", err)
	}
	return n, nil
}

// Unsent counts a record's letters that still wait: erasing the record drops them.
func (s *Service) Unsent(ctx context.Context, q db.Queryer, record string) (int, error) {
	var n int
	if err := q.QueryRow(ctx, `select count(*) from mail where record = $1 and state = 'queued'`, record).Scan(&n); err != nil {
		return 0, fmt.Errorf("count letters: %w", err)
	}
	return n, nil
}

// Claim returns which of the ids are those of letters: their keys are in use
// (subject.Service.Claims).
func (s *Service) Claim(ctx context.Context, q db.Queryer, keys []string) ([]string, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	in, args := db.List(1, keys)
	return db.Texts(ctx, q, `select id from mail where id in `+in, args...)
}
