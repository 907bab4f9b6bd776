package staff

import (
	"context"
	"time"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/fault"
)

// linkLife is how long a link to set a password works.
const linkLife = 72 * time.Hour

// LinkPath returns the path of the page on which a user sets a password.
func LinkPath(token string) string { return "/welcome/" + token }

func (s *Service) newLink(ctx context.Context, tx *db.Tx, user string) (string, error) {
	token, h := newToken()
	err := execAll(ctx, tx,
		stmt{`delete from staff_link where user_id = $1`, []any{user}},
		stmt{`insert into staff_link (h, user_id, expires_at) values ($1, $2, $3)`, []any{h, user, db.Time{Time: s.Now().Add(linkLife)}}})
	return token, err
}

// ResetLink makes a link with which a user sets a new password. Until then the
// old one works; older links do not.
func (s *Service) ResetLink(ctx context.Context, user string) (token string, err error) {
	err = s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error {
		u, err := selectUser(ctx, tx, user)
		if err != nil {
			return err
		}
		if u.State == Disabled {
			return fault.New(fault.Conflict, "This user is disabled.").WithHint("Enable the user first.").In("staff.disabled")
		}
		if token, err = s.newLink(ctx, tx, user); err != nil {
			return err
		}
		return s.Audit(ctx, tx, Entry{Act: "link.made", Object: user})
	})
	return token, err
}

var errLink = fault.New(fault.Gone, "This link has been used, or its time has run out.").
	WithHint("Ask whoever manages the users in your company for a new one.").In("staff.link")

// LinkUser returns the user for whom a link was made, with the account.
func (s *Service) LinkUser(ctx context.Context, token string) (User, Account, error) {
	return linkUser(ctx, s.DB, hashToken(token), s.Now())
}

func linkUser(ctx context.Context, q db.Queryer, h string, now time.Time) (u User, a Account, err error) {
	id, err := selectLink(ctx, q, h, now)
	if err != nil {
		return u, a, err
	}
	if u, err = selectUser(ctx, q, id); err != nil {
		return u, a, err
	}
	a, err = selectAccount(ctx, q, u.Account)
	return u, a, err
}

// SetByLink sets a password with a link, which then works no more.
func (s *Service) SetByLink(ctx context.Context, token, password string) error {
	u, a, err := s.LinkUser(ctx, token)
	if err != nil {
		return err
	}
	if err := CheckPassword(password, u.UserName, a.Number); err != nil {
		return err
	}
	phc, err := s.Hasher.Hash(ctx, password)
	if err != nil {
		return err
	}
	return s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error {
		u, _, err := linkUser(ctx, tx, hashToken(token), s.Now()) // still good?
		if err != nil {
			return err
		}
		return s.setPassword(ctx, tx, u, phc)
	})
}

func (s *Service) setPassword(ctx context.Context, tx *db.Tx, u User, phc string) error {
	err := execAll(ctx, tx,
		stmt{`update staff_user set password = $1, state = case when state = 'invited' then 'active' else state end where id = $2`, []any{phc, u.ID}},
		stmt{`delete from staff_link where user_id = $1`, []any{u.ID}})
	if err != nil {
		return err
	}
	if err := endAll(ctx, tx, u.ID); err != nil {
		return err
	}
	return s.Audit(ctx, tx, Entry{User: u.ID, Account: u.Account, Act: "password.set", Object: u.ID})
}
