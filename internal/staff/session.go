package staff

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/web"
)

// Session is one sign-in of a user.
type Session struct {
	ID            string
	Created, Seen db.Time
	Current       bool // the one that asks
}

// newToken returns a secret of 256 bits for a cookie or a link, and the hash under which it is kept.
func newToken() (token, h string) {
	b := make([]byte, 32)
	rand.Read(b)
	token = base64.RawURLEncoding.EncodeToString(b)
	return token, hashToken(token)
}

func hashToken(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// cookieName has the prefix that ties the cookie to this host and to https;
// only this machine's own names (the demo) do without.
func cookieName(r *http.Request) string {
	if web.HTTPS(r) {
		return "__Host-tillid"
	}
	return "tillid_session"
}

func setCookie(w http.ResponseWriter, r *http.Request, token string) {
	c := &http.Cookie{ //nolint:gosec // Secure but on this machine's own names
		Name: cookieName(r), Value: token, Path: "/",
		HttpOnly: true, Secure: web.HTTPS(r), SameSite: http.SameSiteStrictMode,
	}
	if token == "" {
		c.MaxAge = -1
	}
	http.SetCookie(w, c)
}

// cookieHash returns the hash of the session token that r brings, or "".
func cookieHash(r *http.Request) string {
	c, err := r.Cookie(cookieName(r))
	if err != nil || len(c.Value) != 43 {
		return ""
	}
	return hashToken(c.Value)
}

// begin makes a session for u in tx.
func (s *Service) begin(ctx context.Context, tx *db.Tx, u User, epoch int64, h string) error {
	now := db.Time{Time: s.Now()}
	_, err := tx.Exec(ctx, `insert into staff_session (id, h, user_id, pw_epoch, created_at, seen_at) values ($1, $2, $3, $4, $5, $5)`,
		db.NewID(), h, u.ID, epoch, now)
	if err != nil {
		return fmt.Errorf("insert session: %w", err)
	}
	return nil
}

// viewer returns who sent r; the zero Viewer when nobody is signed in.
func (s *Service) viewer(r *http.Request) (web.Viewer, error) {
	h := cookieHash(r)
	if h == "" {
		return web.Viewer{}, nil
	}
	ctx, now := r.Context(), s.Now()
	v, seen, err := s.selectViewer(ctx, h, now)
	if errors.Is(err, sql.ErrNoRows) {
		return web.Viewer{}, nil
	}
	if err != nil {
		return web.Viewer{}, err
	}
	if now.Sub(seen) < time.Minute {
		return v, nil
	}
	_, err = s.DB.Exec(ctx, `update staff_session set seen_at = $1 where id = $2 and seen_at < $1`, db.Time{Time: now}, v.Session)
	if err != nil {
		return web.Viewer{}, fmt.Errorf("update session: %w", err)
	}
	return v, nil
}

func (s *Service) selectViewer(ctx context.Context, h string, now time.Time) (v web.Viewer, seen time.Time, err error) {
	rows, err := s.DB.Query(ctx, `
		select x.id, x.seen_at, u.id, u.user_name, a.id, a.number, a.kind, coalesce(r.role, '')
		from staff_session x
		join staff_user u on u.id = x.user_id and u.pw_epoch = x.pw_epoch and u.state = 'active'
		join account a on a.id = u.account and a.state = 'open'
		left join staff_role r on r.user_id = u.id
		where x.h = $1 and x.seen_at > $2 and x.created_at > $3
		order by r.role`,
		h, db.Time{Time: now.Add(-idleLimit)}, db.Time{Time: now.Add(-absoluteLimit)})
	if err != nil {
		return v, seen, fmt.Errorf("select session: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var at db.Time
		var kind, role string
		if err := rows.Scan(&v.Session, &at, &v.User, &v.UserName, &v.Account, &v.Number, &kind, &role); err != nil {
			return web.Viewer{}, seen, fmt.Errorf("scan session: %w", err)
		}
		v.Staff, seen = kind == Staff, at.Time
		if role != "" {
			v.Roles = append(v.Roles, role)
		}
	}
	if err := rows.Err(); err != nil {
		return web.Viewer{}, seen, fmt.Errorf("select session: %w", err)
	}
	if v.User == "" {
		return v, seen, sql.ErrNoRows
	}
	return v, seen, nil
}

// Sessions returns a user's sessions that have not ended, newest first.
func (s *Service) Sessions(ctx context.Context, user string) ([]Session, error) {
	now := s.Now()
	rows, err := s.DB.Query(ctx, `
		select x.id, x.created_at, x.seen_at from staff_session x
		join staff_user u on u.id = x.user_id and u.pw_epoch = x.pw_epoch
		where x.user_id = $1 and x.seen_at > $2 and x.created_at > $3
		order by x.created_at desc, x.id`,
		user, db.Time{Time: now.Add(-idleLimit)}, db.Time{Time: now.Add(-absoluteLimit)})
	if err != nil {
		return nil, fmt.Errorf("select sessions: %w", err)
	}
	defer rows.Close()
	var all []Session
	for rows.Next() {
		var x Session
		if err := rows.Scan(&x.ID, &x.Created, &x.Seen); err != nil {
			return nil, fmt.Errorf("scan session: %w", err)
		}
		x.Current = x.ID == web.ViewerOf(ctx).Session
		all = append(all, x)
	}
	return all, rows.Err()
}

// EndSessions ends a user's sessions but the one named, which may be "".
func (s *Service) EndSessions(ctx context.Context, user, but string) error {
	return s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error {
		if _, err := tx.Exec(ctx, `delete from staff_session where user_id = $1 and id <> $2`, user, but); err != nil {
			return fmt.Errorf("delete sessions: %w", err)
		}
		return s.Audit(ctx, tx, Entry{Act: "sessions.ended", Object: user})
	})
}
