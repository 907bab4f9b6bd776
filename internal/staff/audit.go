package staff

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/ledger"
	"github.com/tillid/tillid/internal/web"
)

// Entry is one act in the audit trail. It holds ids, no names: the page looks
// names up, and a user who was removed is a number from then on.
type Entry struct {
	ID      string
	At      db.Time
	User    string // who did it; "" is the command line, or somebody not signed in
	Account string
	Act     string // for example user.added; see actText for its words
	Object  string // id of what it was done to, or the pattern of a route
	Outcome string // ok, failed or denied; ok when empty
}

// Audit notes an act in the transaction of the act: no audit, no act. Who did
// it comes from ctx unless e says so.
func (s *Service) Audit(ctx context.Context, tx *db.Tx, e Entry) error {
	if v := web.ViewerOf(ctx); e.User == "" {
		e.User, e.Account = v.User, v.Account
	}
	if e.Outcome == "" {
		e.Outcome = "ok"
	}
	_, err := tx.Exec(ctx, `insert into audit (id, at, user_id, account, act, object, outcome) values ($1, $2, $3, $4, $5, $6, $7)`,
		db.NewID(), db.Time{Time: s.Now()}, e.User, e.Account, e.Act, e.Object, e.Outcome)
	if err != nil {
		return fmt.Errorf("insert audit: %w", err)
	}
	if s.Append == nil || !logged(e) {
		return nil
	}
	_, err = s.Append(ctx, tx, ledger.Leaf{Kind: "staff." + e.Act})
	return err
}

// logged reports whether an act goes into the log too: those that change who may do what.
func logged(e Entry) bool {
	return e.Outcome == "ok" && slices.Contains([]string{"account.added", "user.added", "user.roles", "user.disabled", "user.enabled", "user.removed", "password.set"}, e.Act)
}

// Trail returns n acts, newest first: those after an entry of an earlier page,
// or the newest when after is the zero Entry.
func (s *Service) Trail(ctx context.Context, after Entry, n int) ([]Entry, error) {
	if after.At.IsZero() {
		after.At.Time = s.Now().Add(time.Hour)
	}
	rows, err := s.DB.Query(ctx, `select id, at, user_id, account, act, object, outcome from audit
		where at < $1 or (at = $1 and id > $2) order by at desc, id limit $3`, after.At, after.ID, n)
	if err != nil {
		return nil, fmt.Errorf("select audit: %w", err)
	}
	defer rows.Close()
	var all []Entry
	for rows.Next() {
		var e Entry
		if err := rows.Scan(&e.ID, &e.At, &e.User, &e.Account, &e.Act, &e.Object, &e.Outcome); err != nil {
			return nil, fmt.Errorf("scan audit: %w", err)
		}
		all = append(all, e)
	}
	return all, rows.Err()
}
