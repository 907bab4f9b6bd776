package staff

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/fault"
)

// noAddr stands for tries that come from somebody who is signed in.
var noAddr netip.Addr

type stmt struct {
	query string
	args  []any
}

func execAll(ctx context.Context, tx *db.Tx, all ...stmt) error {
	for _, x := range all {
		if _, err := tx.Exec(ctx, x.query, x.args...); err != nil {
			return fmt.Errorf("%.40s: %w", x.query, err)
		}
	}
	return nil
}

const accountColumns = `select id, kind, number, name, state, created_at from account`

// Accounts returns all accounts, the staff's own first.
func (s *Service) Accounts(ctx context.Context) ([]Account, error) {
	rows, err := s.DB.Query(ctx, accountColumns+` order by case when kind = 'staff' then 0 else 1 end, number`)
	if err != nil {
		return nil, fmt.Errorf("select accounts: %w", err)
	}
	defer rows.Close()
	var all []Account
	for rows.Next() {
		a, err := scanAccount(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	return all, rows.Err()
}

// AccountByID returns one account.
func (s *Service) AccountByID(ctx context.Context, id string) (Account, error) {
	return selectAccount(ctx, s.DB, id)
}

// AccountByNumber returns the account with a customer number.
func (s *Service) AccountByNumber(ctx context.Context, number string) (Account, error) {
	return scanAccount(s.DB.QueryRow(ctx, accountColumns+` where number = $1`, number))
}

func selectAccount(ctx context.Context, q db.Queryer, id string) (Account, error) {
	return scanAccount(q.QueryRow(ctx, accountColumns+` where id = $1`, id))
}

type scanner interface{ Scan(...any) error }

func scanAccount(row scanner) (a Account, err error) {
	err = row.Scan(&a.ID, &a.Kind, &a.Number, &a.Name, &a.State, &a.Created)
	return a, found(err, "account", fault.New(fault.NotFound, "There is no such account.").
		WithHint("Look at the list of accounts.").In("staff.no_account"))
}

// found makes a missing row a fault, and wraps other errors.
func found(err error, what string, missing *fault.Error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sql.ErrNoRows):
		return missing
	}
	return fmt.Errorf("select %s: %w", what, err)
}

func insertAccount(ctx context.Context, tx *db.Tx, a Account) error {
	_, err := tx.Exec(ctx, `insert into account (id, kind, number, name, state, created_at) values ($1, $2, $3, $4, $5, $6)`,
		a.ID, a.Kind, a.Number, a.Name, a.State, a.Created)
	if err != nil {
		return fmt.Errorf("insert account: %w", err)
	}
	return nil
}

const userColumns = `select u.id, u.account, u.user_name, u.state, u.mfa, u.created_at, u.signed_in_at,
	coalesce(u.password, ''), u.pw_epoch, u.profile, coalesce(r.role, '')
	from staff_user u left join staff_role r on r.user_id = u.id`

// scanUsers reads users, whose rows come once per role.
func scanUsers(rows *sql.Rows, err error) ([]User, error) {
	if err != nil {
		return nil, fmt.Errorf("select users: %w", err)
	}
	defer rows.Close()
	var all []User
	for rows.Next() {
		var u User
		var role string
		err := rows.Scan(&u.ID, &u.Account, &u.UserName, &u.State, &u.MFA, &u.Created, &u.SignedIn, &u.password, &u.epoch, &u.profile, &role)
		if err != nil {
			return nil, fmt.Errorf("scan user: %w", err)
		}
		if n := len(all); n == 0 || all[n-1].ID != u.ID {
			all = append(all, u)
		}
		if role != "" {
			last := &all[len(all)-1]
			last.Roles = append(last.Roles, role)
		}
	}
	return all, rows.Err()
}

// Users returns all users, by account and name.
func (s *Service) Users(ctx context.Context) ([]User, error) {
	return scanUsers(s.DB.Query(ctx, userColumns+` order by u.account, u.login, u.id, r.role`))
}

// UserByID returns one user.
func (s *Service) UserByID(ctx context.Context, id string) (User, error) {
	return selectUser(ctx, s.DB, id)
}

func selectUser(ctx context.Context, q db.Queryer, id string) (User, error) {
	all, err := scanUsers(q.Query(ctx, userColumns+` where u.id = $1 order by r.role`, id))
	if err != nil {
		return User{}, err
	}
	if len(all) == 0 {
		return User{}, fault.New(fault.NotFound, "There is no such user.").WithHint("Look at the list of users.").In("staff.no_user")
	}
	return all[0], nil
}

// selectLogin returns the user who may sign in with these two, or the zero User.
// Who has a second factor cannot sign in by password alone.
func (s *Service) selectLogin(ctx context.Context, number, login string) (User, error) {
	all, err := scanUsers(s.DB.Query(ctx, userColumns+` join account a on a.id = u.account
		where a.number = $1 and a.state = 'open' and u.login = $2 and u.state = 'active' and u.mfa = 'none'`, number, login))
	if err != nil || len(all) == 0 {
		return User{}, err
	}
	return all[0], nil
}

func insertUser(ctx context.Context, tx *db.Tx, u User) error {
	_, err := tx.Exec(ctx, `insert into staff_user (id, account, user_name, login, profile, state, password, pw_epoch, mfa, created_at)
		values ($1, $2, $3, $4, $5, $6, $7, 0, 'none', $8)`,
		u.ID, u.Account, u.UserName, login(u.UserName), u.profile, u.State, sql.NullString{String: u.password, Valid: u.password != ""}, u.Created)
	if err != nil {
		return fmt.Errorf("insert user: %w", err)
	}
	return insertRoles(ctx, tx, u.ID, u.Roles)
}

func insertRoles(ctx context.Context, tx *db.Tx, user string, roles []string) error {
	for _, r := range roles {
		_, err := tx.Exec(ctx, `insert into staff_role (user_id, role) values ($1, $2) on conflict do nothing`, user, r)
		if err != nil {
			return fmt.Errorf("insert role: %w", err)
		}
	}
	return nil
}

// countAdmins counts the staff's own active admins.
func countAdmins(ctx context.Context, tx *db.Tx) (n int, err error) {
	err = tx.QueryRow(ctx, `select count(*) from staff_user u
		join account a on a.id = u.account and a.kind = 'staff' and a.state = 'open'
		join staff_role r on r.user_id = u.id and r.role = 'admin'
		where u.state = 'active'`).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count admins: %w", err)
	}
	return n, nil
}

func selectLink(ctx context.Context, q db.Queryer, h string, now time.Time) (user string, err error) {
	err = q.QueryRow(ctx, `select l.user_id from staff_link l join staff_user u on u.id = l.user_id and u.state <> 'disabled'
		where l.h = $1 and l.expires_at > $2`, h, db.Time{Time: now}).Scan(&user)
	return user, found(err, "link", errLink)
}
