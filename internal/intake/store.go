package intake

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/ledger"
	"github.com/tillid/tillid/internal/text"
)

// enquiry is a row of table enquiry.
type enquiry struct {
	ID, Form, Kind, Number, Idem string
	State, Quarantine            string
	Lang                         text.Lang
	Consents                     []string // names of the form's consents that were ticked
	Received                     time.Time
	Receipt, Answered, Closed    time.Time // zero: not yet
	Leaf                         string
	Promise                      ledger.Promise
	Sealed                       []byte
	Assignee                     string // id of the user who works on it, or ""
	Came                         string // form, phone, letter, mail
}

const enquiryColumns = `assignee, came, id, form, kind, number, idem, state, quarantine, lang, consents, received_at, receipt_at, answered_at, closed_at, leaf, promise, sealed`

// insertEnquiry stores e; stored is false when its idempotency key is taken.
func insertEnquiry(ctx context.Context, tx *db.Tx, e enquiry) (stored bool, err error) {
	promise, err := json.Marshal(e.Promise)
	if err != nil {
		return false, fmt.Errorf("write promise: %w", err)
	}
	res, err := tx.Exec(ctx, `insert into enquiry (id, form, kind, number, idem, state, quarantine, lang, consents, received_at, leaf, promise, sealed, came, assignee)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) on conflict (idem) do nothing`,
		e.ID, e.Form, e.Kind, e.Number, e.Idem, e.State, e.Quarantine, string(e.Lang), strings.Join(e.Consents, " "), db.Time{Time: e.Received}, e.Leaf, string(promise), e.Sealed, cmp.Or(e.Came, "form"), e.Assignee)
	if err != nil {
		return false, fmt.Errorf("insert enquiry: %w", err)
	}
	n, err := res.RowsAffected()
	return n == 1, err
}

type scanner interface{ Scan(...any) error }

func scanEnquiry(row scanner) (e enquiry, err error) {
	var received, receipt, answered, closed db.Time
	var lang, consents, promise string
	err = row.Scan(&e.Assignee, &e.Came, &e.ID, &e.Form, &e.Kind, &e.Number, &e.Idem, &e.State, &e.Quarantine, &lang, &consents,
		&received, &receipt, &answered, &closed, &e.Leaf, &promise, &e.Sealed)
	if err != nil {
		return e, err
	}
	e.Lang, e.Consents = text.Lang(lang), strings.Fields(consents)
	e.Received, e.Receipt, e.Answered, e.Closed = received.Time, receipt.Time, answered.Time, closed.Time
	if err := json.Unmarshal([]byte(promise), &e.Promise); err != nil {
		return e, fmt.Errorf("read promise: %w", err)
	}
	return e, nil
}

// getEnquiry returns an enquiry; a fault of kind NotFound when there is none.
func getEnquiry(ctx context.Context, q db.Queryer, id string) (enquiry, error) {
	e, err := scanEnquiry(q.QueryRow(ctx, `select `+enquiryColumns+` from enquiry where id = $1`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return e, fault.New(fault.NotFound, "There is no such enquiry.").
			WithHint("It may have been closed and deleted.").In("intake.none")
	}
	if err != nil {
		return e, fmt.Errorf("get enquiry: %w", err)
	}
	return e, nil
}

// byIdempotency returns the submission with that key, or sql.ErrNoRows.
func byIdempotency(ctx context.Context, q db.Queryer, idem string) (enquiry, error) {
	e, err := scanEnquiry(q.QueryRow(ctx, `select `+enquiryColumns+` from enquiry where idem = $1`, idem))
	if err != nil {
		return e, fmt.Errorf("find submission: %w", err)
	}
	return e, nil
}

// row is an enquiry in the list, with when it goes.
type row struct {
	enquiry
	Due time.Time
}

// filters of the list, by the name in its address.
var filters = map[string]string{
	"open":   `e.state = 'open' and e.quarantine = ''`,
	"closed": `e.state = 'closed'`,
	"aside":  `e.state = 'open' and e.quarantine <> ''`,
	"mine":   `e.state = 'open' and e.quarantine = '' and e.assignee = $3`,
}

const pageSize = 50

// list returns a page of enquiries, the longest waiting first; "mine" are those of user.
func list(ctx context.Context, q db.Queryer, filter, user string, page int) ([]row, error) {
	args := []any{pageSize, page * pageSize}
	if filter == "mine" {
		args = append(args, user)
	}
	return selectRows(ctx, q, filters[filter]+` order by e.received_at, e.id limit $1 offset $2`, args...)
}

// listOf returns those of the records that are enquiries, the newest first.
func listOf(ctx context.Context, q db.Queryer, ids []string) ([]row, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	in, args := db.List(1, ids)
	return selectRows(ctx, q, `e.id in `+in+` order by e.received_at desc, e.id`, args...)
}

func selectRows(ctx context.Context, q db.Queryer, where string, args ...any) ([]row, error) {
	rows, err := q.Query(ctx, `select e.id, e.form, e.kind, e.number, e.state, e.quarantine, e.lang, e.received_at, e.answered_at, r.due_at, e.assignee, e.came
		from enquiry e join record r on r.id = e.id where `+where, args...)
	if err != nil {
		return nil, fmt.Errorf("list enquiries: %w", err)
	}
	defer rows.Close()
	var out []row
	for rows.Next() {
		var r row
		var lang string
		var received, answered, due db.Time
		if err := rows.Scan(&r.ID, &r.Form, &r.Kind, &r.Number, &r.State, &r.Quarantine, &lang, &received, &answered, &due, &r.Assignee, &r.Came); err != nil {
			return nil, fmt.Errorf("list enquiries: %w", err)
		}
		r.Lang, r.Received, r.Answered, r.Due = text.Lang(lang), received.Time, answered.Time, due.Time
		out = append(out, r)
	}
	return out, rows.Err()
}

// counts returns how many enquiries each filter shows.
func counts(ctx context.Context, q db.Queryer) (open, closed, aside int, err error) {
	err = q.QueryRow(ctx, `select
		count(case when e.state = 'open' and e.quarantine = '' then 1 end),
		count(case when e.state = 'closed' then 1 end),
		count(case when e.state = 'open' and e.quarantine <> '' then 1 end) from enquiry e`).Scan(&open, &closed, &aside)
	if err != nil {
		return 0, 0, 0, fmt.Errorf("count enquiries: %w", err)
	}
	return open, closed, aside, nil
}

// suspectsBefore returns the ids of what has been aside since before t.
func suspectsBefore(ctx context.Context, q db.Queryer, t time.Time) ([]string, error) {
	return db.Texts(ctx, q, `select id from enquiry where quarantine <> '' and received_at < $1 order by received_at limit 500`, db.Time{Time: t})
}

// mark sets one of the moments of an enquiry that has none yet; first is false
// when it had one.
func mark(ctx context.Context, tx *db.Tx, id, column string, at time.Time) (first bool, err error) {
	statements := map[string]string{
		"receipt_at":  `update enquiry set receipt_at = $2 where id = $1 and receipt_at is null`,
		"answered_at": `update enquiry set answered_at = $2 where id = $1 and answered_at is null`,
		"closed_at":   `update enquiry set closed_at = $2, state = 'closed' where id = $1 and closed_at is null`,
	}
	res, err := tx.Exec(ctx, statements[column], id, db.Time{Time: at})
	if err != nil {
		return false, fmt.Errorf("mark enquiry: %w", err)
	}
	n, err := res.RowsAffected()
	return n == 1, err
}

// release takes an enquiry out of quarantine; done is false when it was not in it.
func release(ctx context.Context, tx *db.Tx, id string) (done bool, err error) {
	res, err := tx.Exec(ctx, `update enquiry set quarantine = '' where id = $1 and quarantine <> ''`, id)
	if err != nil {
		return false, fmt.Errorf("release enquiry: %w", err)
	}
	n, err := res.RowsAffected()
	return n == 1, err
}

// reopen makes a closed enquiry an open one; done is false when it was open.
func reopen(ctx context.Context, tx *db.Tx, id string) (done bool, err error) {
	res, err := tx.Exec(ctx, `update enquiry set state = 'open', closed_at = null where id = $1 and state = 'closed'`, id)
	if err != nil {
		return false, fmt.Errorf("reopen enquiry: %w", err)
	}
	n, err := res.RowsAffected()
	return n == 1, err
}

// assign gives an enquiry to a user, or to nobody, and returns who had it.
func assign(ctx context.Context, tx *db.Tx, id, user string) (before string, err error) {
	if err := tx.QueryRow(ctx, `select assignee from enquiry where id = $1`, id).Scan(&before); err != nil {
		return "", fmt.Errorf("select assignee: %w", err)
	}
	if _, err := tx.Exec(ctx, `update enquiry set assignee = $2 where id = $1`, id, user); err != nil {
		return "", fmt.Errorf("assign enquiry: %w", err)
	}
	return before, nil
}

// byNumber returns the id of the enquiry with a case number, or "".
func byNumber(ctx context.Context, q db.Queryer, number string) (id string, err error) {
	err = q.QueryRow(ctx, `select id from enquiry where number = $1`, number).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("find case number: %w", err)
	}
	return id, nil
}

// event is a row of table enquiry_event.
type event struct {
	ID, Enquiry, Kind string
	At                time.Time
	Sealed            []byte
}

func insertEvent(ctx context.Context, tx *db.Tx, e event) error {
	_, err := tx.Exec(ctx, `insert into enquiry_event (id, enquiry, kind, at, sealed) values ($1, $2, $3, $4, $5)`,
		e.ID, e.Enquiry, e.Kind, db.Time{Time: e.At}, e.Sealed)
	if err != nil {
		return fmt.Errorf("insert event: %w", err)
	}
	return nil
}

func hasEvent(ctx context.Context, q db.Queryer, id string) (bool, error) {
	var n int
	if err := q.QueryRow(ctx, `select count(*) from enquiry_event where id = $1`, id).Scan(&n); err != nil {
		return false, fmt.Errorf("find event: %w", err)
	}
	return n > 0, nil
}

// unanswer makes an enquiry one that waits for an answer again.
func unanswer(ctx context.Context, tx *db.Tx, id string) error {
	if _, err := tx.Exec(ctx, `update enquiry set answered_at = null where id = $1`, id); err != nil {
		return fmt.Errorf("unanswer enquiry: %w", err)
	}
	return nil
}

func eventsOf(ctx context.Context, q db.Queryer, id string) ([]event, error) {
	rows, err := q.Query(ctx, `select id, enquiry, kind, at, sealed from enquiry_event where enquiry = $1 order by at, id`, id)
	if err != nil {
		return nil, fmt.Errorf("list events: %w", err)
	}
	defer rows.Close()
	var out []event
	for rows.Next() {
		var e event
		var at db.Time
		if err := rows.Scan(&e.ID, &e.Enquiry, &e.Kind, &at, &e.Sealed); err != nil {
			return nil, fmt.Errorf("list events: %w", err)
		}
		e.At = at.Time
		out = append(out, e)
	}
	return out, rows.Err()
}

// removeEnquiry deletes an enquiry and what happened to it, and counts the rows.
func removeEnquiry(ctx context.Context, tx *db.Tx, id string) (enquiries, events int, err error) {
	res, err := tx.Exec(ctx, `delete from enquiry_event where enquiry = $1`, id)
	if err != nil {
		return 0, 0, fmt.Errorf("delete events: %w", err)
	}
	n, err := res.RowsAffected()
	if err != nil {
		return 0, 0, err
	}
	res, err = tx.Exec(ctx, `delete from enquiry where id = $1`, id)
	if err != nil {
		return 0, 0, fmt.Errorf("delete enquiry: %w", err)
	}
	m, err := res.RowsAffected()
	return int(m), int(n), err
}

// replaceAnswers writes corrected answers, unless somebody changed them meanwhile.
func replaceAnswers(ctx context.Context, tx *db.Tx, id string, was, sealed []byte) error {
	res, err := tx.Exec(ctx, `update enquiry set sealed = $3 where id = $1 and sealed = $2`, id, was, sealed)
	if err != nil {
		return fmt.Errorf("correct enquiry: %w", err)
	}
	if n, err := res.RowsAffected(); err != nil || n == 1 {
		return err
	}
	return fault.New(fault.Conflict, "The enquiry was changed meanwhile.").WithHint("Try again.").In("intake.changed")
}
