package staff

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/web"
)

// limit says how failed sign-ins slow down the next: so many are free, then
// each doubles the wait from base up to max. It backs off and never locks out, so that
// a stranger cannot keep somebody from signing in for good.
type limit struct {
	kind      string
	free      int64
	base, max time.Duration
	forget    time.Duration // after so long without a try, counting begins anew
}

// forgetTries is the longest of the limits' memories.
const forgetTries = time.Hour

func limits() []limit {
	return []limit{
		{"user", 5, 2 * time.Second, 5 * time.Minute, forgetTries},
		{"net", 20, 2 * time.Second, 15 * time.Minute, forgetTries},
		{"all", 300, 250 * time.Millisecond, 250 * time.Millisecond, time.Minute},
	}
}

// wait returns how long nobody may try again after the n-th try.
func (l limit) wait(n int64) time.Duration {
	over := n - l.free
	if over <= 0 {
		return 0
	}
	return min(l.base<<min(over-1, 20), l.max)
}

// try is one attempt to sign in, as the limits count it.
type try struct{ keys [3]string } // in the order of limits()

func (s *Service) newTry(number, login string, from netip.Addr) try {
	var t try
	for i, what := range []string{number + "\x00" + login, web.NetOf(from).String(), ""} {
		mac := hmac.New(sha256.New, s.Secret)
		fmt.Fprintf(mac, "sign-in\x00%s\x00%s", limits()[i].kind, what)
		t.keys[i] = hex.EncodeToString(mac.Sum(nil)[:16])
	}
	return t
}

// reserve counts a try before its password is looked at, so that many at once
// do not slip through. It returns web.TooMany when it is too early for one.
func (s *Service) reserve(ctx context.Context, t try) error {
	now := s.Now()
	return s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error {
		var tries [3]int64
		var wait time.Duration
		for i, l := range limits() {
			n, at, until, err := selectLimit(ctx, tx, t.keys[i])
			if err != nil {
				return err
			}
			wait = max(wait, until.Sub(now))
			if now.Sub(at.Time) < l.forget {
				tries[i] = n
			}
		}
		if wait > 0 {
			return web.TooMany(wait)
		}
		for i, l := range limits() {
			if err := upsertLimit(ctx, tx, t.keys[i], tries[i]+1, now, now.Add(l.wait(tries[i]+1))); err != nil {
				return err
			}
		}
		return nil
	})
}

// succeeded takes a try back from the network's and everybody's count and
// clears the user's. It returns how many tries of the user's had failed before.
func succeeded(ctx context.Context, tx *db.Tx, t try) (failed int64, err error) {
	n, _, _, err := selectLimit(ctx, tx, t.keys[0])
	if err != nil {
		return 0, err
	}
	if _, err := tx.Exec(ctx, `delete from sign_in_limit where h = $1`, t.keys[0]); err != nil {
		return 0, fmt.Errorf("delete limit: %w", err)
	}
	return max(0, n-1), release(ctx, tx, t.keys[1:]...)
}

// release takes a reserved try back.
func release(ctx context.Context, tx *db.Tx, keys ...string) error {
	for _, k := range keys {
		_, err := tx.Exec(ctx, `update sign_in_limit set tries = tries - 1, until = tried_at where h = $1 and tries > 0`, k)
		if err != nil {
			return fmt.Errorf("update limit: %w", err)
		}
	}
	return nil
}

func selectLimit(ctx context.Context, tx *db.Tx, h string) (tries int64, at, until db.Time, err error) {
	err = tx.QueryRow(ctx, `select tries, tried_at, until from sign_in_limit where h = $1`, h).Scan(&tries, &at, &until)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, at, until, fmt.Errorf("select limit: %w", err)
	}
	return tries, at, until, nil
}

func upsertLimit(ctx context.Context, tx *db.Tx, h string, tries int64, at, until time.Time) error {
	_, err := tx.Exec(ctx, `insert into sign_in_limit (h, tries, tried_at, until) values ($1, $2, $3, $4)
		on conflict (h) do update set tries = excluded.tries, tried_at = excluded.tried_at, until = excluded.until`,
		h, tries, db.Time{Time: at}, db.Time{Time: until})
	if err != nil {
		return fmt.Errorf("upsert limit: %w", err)
	}
	return nil
}
