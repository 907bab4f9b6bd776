package staff

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/web"
)

// errWrong is the one answer to every combination that is not right.
var errWrong = errors.New("wrong combination")

type credentials struct {
	number, login, password string
}

// login is the form of a user name under which it is looked up.
func login(userName string) string { return strings.ToLower(strings.TrimSpace(userName)) }

// signedIn is what a successful sign-in brings.
type signedIn struct {
	token  string
	failed int64 // tries with this user name that failed since the last success
}

// signIn checks credentials and begins a session; old is the hash of the
// session that the browser had, which ends. A wrong combination is errWrong, whatever is
// wrong with it, after the same work.
func (s *Service) signIn(ctx context.Context, c credentials, from netip.Addr, old string) (in signedIn, err error) {
	if c.number == "" || c.login == "" || c.password == "" || len(c.password) > maxPassword {
		return in, errWrong // depends on what was typed only, not on who exists
	}
	t := s.newTry(c.number, c.login, from)
	if err := s.reserve(ctx, t); err != nil {
		return in, err
	}
	u, err := s.selectLogin(ctx, c.number, c.login)
	if err != nil {
		return in, err
	}
	ok, stale, err := s.Hasher.Verify(ctx, u.password, c.password)
	if err != nil { // not looked at, so it does not count
		return in, errors.Join(err, s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error { return release(ctx, tx, t.keys[:]...) }))
	}
	if !ok {
		return in, s.failed(ctx, u)
	}
	var rehashed string
	if stale {
		if rehashed, err = s.Hasher.Hash(ctx, c.password); err != nil {
			return in, err
		}
	}
	return s.enter(ctx, u, t, rehashed, old)
}

func (s *Service) failed(ctx context.Context, u User) error {
	err := s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error {
		return s.Audit(ctx, tx, Entry{User: u.ID, Account: u.Account, Act: "sign_in", Object: u.ID, Outcome: "failed"})
	})
	if err != nil {
		return err
	}
	return errWrong
}

// enter begins the session of a user whose password was right.
func (s *Service) enter(ctx context.Context, u User, t try, rehashed, old string) (in signedIn, err error) {
	var h string
	in.token, h = newToken()
	err = s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error {
		res, err := tx.Exec(ctx, `update staff_user set signed_in_at = $1, password = case when $2 = '' then password else $2 end
			where id = $3 and pw_epoch = $4 and state = 'active'`, db.Time{Time: s.Now()}, rehashed, u.ID, u.epoch)
		if err != nil {
			return fmt.Errorf("update user: %w", err)
		}
		if n, err := res.RowsAffected(); err != nil {
			return err
		} else if n != 1 { // changed since it was read
			return errWrong
		}
		if in.failed, err = succeeded(ctx, tx, t); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `delete from staff_session where h = $1`, old); err != nil {
			return fmt.Errorf("delete session: %w", err)
		}
		if err := s.begin(ctx, tx, u, u.epoch, h); err != nil {
			return err
		}
		return s.Audit(ctx, tx, Entry{User: u.ID, Account: u.Account, Act: "sign_in", Object: u.ID})
	})
	return in, err
}

// signOut ends the session that r brings.
func (s *Service) signOut(w http.ResponseWriter, r *http.Request) error {
	err := s.DB.Do(r.Context(), func(ctx context.Context, tx *db.Tx) error {
		if _, err := tx.Exec(ctx, `delete from staff_session where h = $1`, cookieHash(r)); err != nil {
			return fmt.Errorf("delete session: %w", err)
		}
		return s.Audit(ctx, tx, Entry{Act: "sign_out", Object: web.ViewerOf(ctx).User})
	})
	if err != nil {
		return err
	}
	setCookie(w, r, "")
	web.Done(w, r, "/signin", "staff.done.signed_out")
	return nil
}
