// Package staff knows who may sign in to the Backoffice and what they may do
// there: accounts, users, roles, sign-in, sessions, the audit trail, and the one
// authorisation function, Guard.
package staff

import (
	"context"
	"log/slog"
	"net/netip"
	"time"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/job"
	"github.com/tillid/tillid/internal/ledger"
	"github.com/tillid/tillid/internal/subject"
	"github.com/tillid/tillid/internal/text"
	"github.com/tillid/tillid/internal/web"
)

// Kinds of accounts.
const (
	Staff    = "staff"    // the controller's own people
	Customer = "customer" // one of the controller's customers
)

// States of users.
const (
	Invited  = "invited" // has no password yet
	Active   = "active"
	Disabled = "disabled"
)

// Sessions end after this time without a request, and at the latest after this time.
const (
	idleLimit     = 30 * time.Minute
	absoluteLimit = 12 * time.Hour
)

// Service is the staff of one house.
type Service struct {
	DB      *db.DB
	Keys    *subject.Keys
	House   *web.House
	Log     *slog.Logger
	Now     func() time.Time
	Secret  []byte         // key of the hashes of what sign-in limits count
	Hasher  *Hasher        // of passwords
	Trusted []netip.Prefix // proxies whose X-Forwarded-For counts

	// Overview makes the first page of the Backoffice.
	Overview func(ctx context.Context, l text.Lang) (Overview, error)
	// Append puts acts that change who may do what into the log, in the
	// transaction of the act; nil where there is no log.
	Append func(ctx context.Context, tx *db.Tx, leaf ledger.Leaf) (ledger.Appended, error)
}

// Account is a customer number with its users.
type Account struct {
	ID, Kind, Number, Name, State string
	Created                       db.Time
}

// User is a person who may sign in.
type User struct {
	ID, Account, UserName string
	State                 string
	MFA                   string // none or totp
	Roles                 []string
	Created, SignedIn     db.Time

	password string
	epoch    int64
	profile  []byte
}

// Profile is what is known of a user as a person.
type Profile struct {
	Name  subject.Secret
	Email subject.Secret
}

// Periodic returns the work that runs again and again.
func (s *Service) Periodic() []job.Periodic {
	return []job.Periodic{{Name: "staff.tidy", Every: time.Hour, Run: s.Tidy}}
}

// auditKept is how long the audit trail is kept.
const auditKept = 365 * 24 * time.Hour

// Tidy deletes sessions and links that have ended, limits that nobody needs
// any more, and what is in the audit trail for longer than a year.
func (s *Service) Tidy(ctx context.Context) error {
	now := s.Now()
	at := func(d time.Duration) db.Time { return db.Time{Time: now.Add(-d)} }
	return s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error {
		return execAll(ctx, tx,
			stmt{`delete from staff_session where seen_at < $1 or created_at < $2`, []any{at(idleLimit), at(absoluteLimit)}},
			stmt{`delete from staff_link where expires_at < $1`, []any{at(0)}},
			stmt{`delete from sign_in_limit where tried_at < $1`, []any{at(forgetTries)}},
			stmt{`delete from audit where at < $1`, []any{at(auditKept)}},
		)
	})
}
