package request

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/text"
)

const requestColumns = `id, number, kind, state, outcome, channel, lang, received_at, entered_at, due_at, told_at, closed_at, leaf, sealed`

func insertRequest(ctx context.Context, tx *db.Tx, r request) error {
	_, err := tx.Exec(ctx, `insert into rights_request (`+requestColumns+`) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)`,
		r.ID, r.Number, string(r.Kind), string(r.State), string(r.Outcome), r.Channel, string(r.Lang), db.Time{Time: r.At}, db.Time{Time: r.Entered},
		db.Time{Time: r.Due}, db.Time{Time: r.Told}, db.Time{Time: r.Closed}, r.Leaf, r.Sealed)
	if err != nil {
		return fmt.Errorf("insert request: %w", err)
	}
	return nil
}

func selectRequests(ctx context.Context, q db.Queryer, where string, args ...any) ([]request, error) {
	rows, err := q.Query(ctx, `select `+requestColumns+` from rights_request `+where, args...)
	if err != nil {
		return nil, fmt.Errorf("select requests: %w", err)
	}
	defer rows.Close()
	var out []request
	for rows.Next() {
		var r request
		var kind, st, how, lang string
		var at, entered, due, told, shut db.Time
		if err := rows.Scan(&r.ID, &r.Number, &kind, &st, &how, &r.Channel, &lang, &at, &entered, &due, &told, &shut, &r.Leaf, &r.Sealed); err != nil {
			return nil, fmt.Errorf("scan request: %w", err)
		}
		r.Kind, r.State, r.Outcome, r.Lang = policy.Right(kind), state(st), outcome(how), text.Lang(lang)
		r.At, r.Entered, r.Due, r.Told, r.Closed = at.Time, entered.Time, due.Time, told.Time, shut.Time
		out = append(out, r)
	}
	return out, rows.Err()
}

func getRequest(ctx context.Context, q db.Queryer, id string) (request, error) {
	found, err := selectRequests(ctx, q, `where id = $1`, id)
	if err == nil && len(found) == 0 {
		err = fault.New(fault.NotFound, "There is no such request.").In("request.none")
	}
	if err != nil {
		return request{}, err
	}
	return found[0], nil
}

// numbered returns the id of the case with a number; "" when there is none.
func numbered(ctx context.Context, q db.Queryer, number string) (id string, err error) {
	err = q.QueryRow(ctx, `select id from rights_request where number = $1`, number).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return id, err
}

// updateRequest writes what changes of a case, unless somebody else was there first.
func updateRequest(ctx context.Context, tx *db.Tx, r request, was state) error {
	res, err := tx.Exec(ctx, `update rights_request set state = $3, outcome = $4, due_at = $5, told_at = $6, closed_at = $7 where id = $1 and state = $2`,
		r.ID, string(was), string(r.State), string(r.Outcome), db.Time{Time: r.Due}, db.Time{Time: r.Told}, db.Time{Time: r.Closed})
	if err != nil {
		return fmt.Errorf("update request: %w", err)
	}
	if n, err := res.RowsAffected(); err != nil || n == 1 {
		return err
	}
	return fault.New(fault.Conflict, "The case is at another step now.").In("request.step")
}

func removeRequest(ctx context.Context, tx *db.Tx, id string) (requests, events int, err error) {
	for i, statement := range []string{`delete from rights_request where id = $1`, `delete from rights_event where request = $1`} {
		res, err := tx.Exec(ctx, statement, id)
		if err != nil {
			return 0, 0, fmt.Errorf("delete request: %w", err)
		}
		n, err := res.RowsAffected()
		if err != nil {
			return 0, 0, err
		}
		if i == 0 {
			requests = int(n)
		} else {
			events = int(n)
		}
	}
	return requests, events, nil
}

// event is a row of table rights_event.
type event struct {
	ID, Request, Kind string
	At                time.Time
	Sealed            []byte
}

func insertEvent(ctx context.Context, tx *db.Tx, e event) error {
	_, err := tx.Exec(ctx, `insert into rights_event (id, request, kind, at, sealed) values ($1, $2, $3, $4, $5)`,
		e.ID, e.Request, e.Kind, db.Time{Time: e.At}, e.Sealed)
	if err != nil {
		return fmt.Errorf("insert event: %w", err)
	}
	return nil
}

func eventsOf(ctx context.Context, q db.Queryer, request string) ([]event, error) {
	rows, err := q.Query(ctx, `select id, request, kind, at, sealed from rights_event where request = $1 order by at, id`, request)
	if err != nil {
		return nil, fmt.Errorf("select events: %w", err)
	}
	defer rows.Close()
	var out []event
	for rows.Next() {
		var e event
		var at db.Time
		if err := rows.Scan(&e.ID, &e.Request, &e.Kind, &at, &e.Sealed); err != nil {
			return nil, fmt.Errorf("scan event: %w", err)
		}
		e.At = at.Time
		out = append(out, e)
	}
	return out, rows.Err()
}
