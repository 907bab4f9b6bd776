package request

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/subject"
	"github.com/tillid/tillid/internal/text"
)

// ask is a row of table portal_ask. Sealed is nil once it has been answered.
type ask struct {
	ID, H  string
	Lang   text.Lang
	At     time.Time
	Sealed []byte
}

func insertAsk(ctx context.Context, tx *db.Tx, a ask) error {
	_, err := tx.Exec(ctx, `insert into portal_ask (id, h, lang, asked_at, sealed) values ($1, $2, $3, $4, $5)`,
		a.ID, a.H, string(a.Lang), db.Time{Time: a.At}, a.Sealed)
	if err != nil {
		return fmt.Errorf("insert question: %w", err)
	}
	return nil
}

func asksSince(ctx context.Context, q db.Queryer, h string, since time.Time) (int, error) {
	var n int
	err := q.QueryRow(ctx, `select count(*) from portal_ask where h = $1 and asked_at > $2`, h, db.Time{Time: since}).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count questions: %w", err)
	}
	return n, nil
}

// waitingAsk returns a question that has not been answered; ok is false when there is none.
func waitingAsk(ctx context.Context, q db.Queryer, id string) (a ask, ok bool, err error) {
	var lang string
	err = q.QueryRow(ctx, `select id, lang, sealed from portal_ask where id = $1 and sealed is not null`, id).Scan(&a.ID, &lang, &a.Sealed)
	if errors.Is(err, sql.ErrNoRows) {
		return a, false, nil
	}
	if err != nil {
		return a, false, fmt.Errorf("get question: %w", err)
	}
	a.Lang = text.Lang(lang)
	return a, true, nil
}

// answered forgets the address of a question; first is false when it was forgotten before.
func answered(ctx context.Context, tx *db.Tx, id string) (first bool, err error) {
	res, err := tx.Exec(ctx, `update portal_ask set sealed = null where id = $1 and sealed is not null`, id)
	if err != nil {
		return false, fmt.Errorf("mark question: %w", err)
	}
	n, err := res.RowsAffected()
	return n == 1, err
}

// Claim returns which of the ids are those of questions that wait: their keys are in
// use (subject.Service.Claims).
func (s *Service) Claim(ctx context.Context, q db.Queryer, keys []string) ([]string, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	in, args := db.List(1, keys)
	return db.Texts(ctx, q, `select id from portal_ask where sealed is not null and id in `+in, args...)
}

func insertLink(ctx context.Context, tx *db.Tx, h string, p subject.PersonID, expires time.Time) error {
	_, err := tx.Exec(ctx, `insert into portal_link (h, person, expires) values ($1, $2, $3)`, h, string(p), db.Time{Time: expires})
	if err != nil {
		return fmt.Errorf("insert link: %w", err)
	}
	return nil
}

// linkGood reports whether a link can still be used.
func linkGood(ctx context.Context, q db.Queryer, h string, now time.Time) (bool, error) {
	var n int
	err := q.QueryRow(ctx, `select count(*) from portal_link where h = $1 and used_at is null and expires > $2`, h, db.Time{Time: now}).Scan(&n)
	if err != nil {
		return false, fmt.Errorf("find link: %w", err)
	}
	return n == 1, nil
}

// useLink uses a link up; used is false when it cannot be used.
func useLink(ctx context.Context, tx *db.Tx, h string, now time.Time) (p subject.PersonID, used bool, err error) {
	res, err := tx.Exec(ctx, `update portal_link set used_at = $2 where h = $1 and used_at is null and expires > $2`, h, db.Time{Time: now})
	if err != nil {
		return "", false, fmt.Errorf("use link: %w", err)
	}
	if n, err := res.RowsAffected(); err != nil || n != 1 {
		return "", false, err
	}
	var person string
	if err := tx.QueryRow(ctx, `select person from portal_link where h = $1`, h).Scan(&person); err != nil {
		return "", false, fmt.Errorf("use link: %w", err)
	}
	return subject.PersonID(person), true, nil
}

func insertSession(ctx context.Context, tx *db.Tx, h string, p subject.PersonID, expires, ends time.Time) error {
	_, err := tx.Exec(ctx, `insert into portal_session (h, person, expires, ends) values ($1, $2, $3, $4)`,
		h, string(p), db.Time{Time: expires}, db.Time{Time: ends})
	if err != nil {
		return fmt.Errorf("insert session: %w", err)
	}
	return nil
}

// session returns the person of a session that has not ended.
func session(ctx context.Context, q db.Queryer, h string, now time.Time) (p subject.PersonID, expires time.Time, ok bool, err error) {
	var person string
	var until db.Time
	err = q.QueryRow(ctx, `select person, expires from portal_session where h = $1 and expires > $2 and ends > $2`, h, db.Time{Time: now}).
		Scan(&person, &until)
	if errors.Is(err, sql.ErrNoRows) {
		return "", time.Time{}, false, nil
	}
	if err != nil {
		return "", time.Time{}, false, fmt.Errorf("find session: %w", err)
	}
	return subject.PersonID(person), until.Time, true, nil
}

func extendSession(ctx context.Context, q db.Queryer, h string, expires time.Time) error {
	if _, err := q.Exec(ctx, `update portal_session set expires = $2 where h = $1`, h, db.Time{Time: expires}); err != nil {
		return fmt.Errorf("extend session: %w", err)
	}
	return nil
}

func endSession(ctx context.Context, q db.Queryer, h string) error {
	if _, err := q.Exec(ctx, `delete from portal_session where h = $1`, h); err != nil {
		return fmt.Errorf("end session: %w", err)
	}
	return nil
}

// forgetPortal removes a person's links and sessions.
func forgetPortal(ctx context.Context, tx *db.Tx, p subject.PersonID) error {
	for _, statement := range []string{`delete from portal_link where person = $1`, `delete from portal_session where person = $1`} {
		if _, err := tx.Exec(ctx, statement, string(p)); err != nil {
			return fmt.Errorf("forget portal: %w", err)
		}
	}
	return nil
}

// sweepPortal removes what has run out and returns the keys that are free then.
func sweepPortal(ctx context.Context, tx *db.Tx, now time.Time) ([]string, error) {
	stale, err := db.Texts(ctx, tx, `select id from portal_ask where asked_at < $1 limit 1000`, db.Time{Time: now.Add(-askKept)})
	if err != nil {
		return nil, err
	}
	for _, id := range stale {
		if _, err := tx.Exec(ctx, `delete from portal_ask where id = $1`, id); err != nil {
			return nil, fmt.Errorf("sweep questions: %w", err)
		}
	}
	for _, statement := range []string{`delete from portal_link where expires < $1`, `delete from portal_session where expires < $1 or ends < $1`} {
		if _, err := tx.Exec(ctx, statement, db.Time{Time: now}); err != nil {
			return nil, fmt.Errorf("sweep portal: %w", err)
		}
	}
	return stale, nil
}
