package staff

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/job"
	"github.com/tillid/tillid/internal/subject"
)

// jobForget destroys the key of a user who was removed; its payload is the user's id.
const jobForget = "staff.forget"

// Jobs returns what runs in the background.
func (s *Service) Jobs() map[string]func(context.Context, []byte) error {
	return map[string]func(context.Context, []byte) error{
		jobForget: func(ctx context.Context, payload []byte) error {
			var id string
			if err := json.Unmarshal(payload, &id); err != nil {
				return fmt.Errorf("payload of %s: %w", jobForget, err)
			}
			return s.Keys.Destroy(ctx, id)
		},
	}
}

// ClaimKeys returns which of the ids are those of users, whose keys are in use;
// for subject.Service.Claims.
func (s *Service) ClaimKeys(ctx context.Context, q db.Queryer, ids []string) ([]string, error) {
	in, args := db.List(1, ids)
	rows, err := q.Query(ctx, `select id from staff_user where id in `+in, args...)
	if err != nil {
		return nil, fmt.Errorf("select users: %w", err)
	}
	defer rows.Close()
	var used []string
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, fmt.Errorf("scan user: %w", err)
		}
		used = append(used, id)
	}
	return used, rows.Err()
}

// NewUser is what AddUser needs. Without a password the user is invited.
type NewUser struct {
	Account  string // id
	UserName string
	Profile  Profile
	Roles    []string
	Password string
}

var (
	numberForm   = regexp.MustCompile(`^[0-9A-Za-z-]{1,20}$`)
	userNameForm = regexp.MustCompile(`^[\pL\pN][\pL\pN._@+-]{1,63}$`)
)

// AddAccount adds a customer number.
func (s *Service) AddAccount(ctx context.Context, kind, number, name string) (Account, error) {
	a := Account{ID: db.NewID(), Kind: kind, Number: strings.TrimSpace(number), Name: strings.TrimSpace(name), State: "open", Created: db.Time{Time: s.Now()}}
	if !numberForm.MatchString(a.Number) || a.Name == "" || len(a.Name) > 200 || len(Roles(kind)) == 0 {
		return a, fault.New(fault.Invalid, "An account needs a name, and a number of letters, figures and hyphens.").
			WithHint("For example 2044.").In("staff.account")
	}
	err := s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error {
		if err := insertAccount(ctx, tx, a); err != nil {
			return err
		}
		return s.Audit(ctx, tx, Entry{Act: "account.added", Object: a.ID})
	})
	if db.IsUnique(err) {
		err = fault.New(fault.Conflict, "That customer number is taken.").WithHint("Choose another one.").In("staff.number_taken").Because(err)
	}
	return a, err
}

// AddUser adds a user. For an invited user it returns the token of the link
// with which to set a password; see LinkPath.
func (s *Service) AddUser(ctx context.Context, n NewUser) (u User, token string, err error) {
	a, err := s.AccountByID(ctx, n.Account)
	if err != nil {
		return u, "", err
	}
	u = User{ID: db.NewID(), Account: a.ID, UserName: strings.TrimSpace(n.UserName), State: Invited, MFA: "none", Roles: n.Roles, Created: db.Time{Time: s.Now()}}
	if err := checkUser(a, u, n.Profile); err != nil {
		return u, "", err
	}
	if n.Password != "" {
		if err := CheckPassword(n.Password, u.UserName, a.Number); err != nil {
			return u, "", err
		}
		if u.password, err = s.Hasher.Hash(ctx, n.Password); err != nil {
			return u, "", err
		}
		u.State = Active
	}
	if u.profile, err = s.sealProfile(ctx, u.ID, n.Profile); err != nil {
		return u, "", err
	}
	err = s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) (err error) {
		if err := insertUser(ctx, tx, u); err != nil {
			return err
		}
		if u.State == Invited {
			if token, err = s.newLink(ctx, tx, u.ID); err != nil {
				return err
			}
		}
		return s.Audit(ctx, tx, Entry{Act: "user.added", Object: u.ID})
	})
	if db.IsUnique(err) {
		err = fault.New(fault.Conflict, "That user name is taken in this account.").WithHint("Choose another one.").In("staff.name_taken").Because(err)
	}
	return u, token, err
}

func checkUser(a Account, u User, p Profile) error {
	if !userNameForm.MatchString(u.UserName) {
		return fault.New(fault.Invalid, "A user name has 2 to 64 letters, figures and . _ @ + -, and no spaces.").
			WithHint("For example anna or anna.holm.").In("staff.user_name")
	}
	if err := checkRoles(a, u.Roles); err != nil {
		return err
	}
	if len(p.Name) > 200 || len(p.Email) > 254 || p.Email != "" && !strings.Contains(p.Email.Reveal(), "@") {
		return fault.New(fault.Invalid, "The name is too long, or the e-mail address is not one.").
			WithHint("Correct it and try again.").In("staff.profile")
	}
	return nil
}

func checkRoles(a Account, roles []string) error {
	known := Roles(a.Kind)
	wrong := slices.ContainsFunc(roles, func(r string) bool { return !slices.Contains(known, r) })
	if len(roles) == 0 || wrong {
		return fault.New(fault.Invalid, "A user of this account has one of the roles %s.", strings.Join(known, ", ")).
			WithHint("Choose a role.").In("staff.role")
	}
	return nil
}

// Bootstrap makes the staff account with its first admin. It refuses when there is one.
func (s *Service) Bootstrap(ctx context.Context, number, name string, admin NewUser) (User, string, error) {
	accounts, err := s.Accounts(ctx)
	if err != nil {
		return User{}, "", err
	}
	if slices.ContainsFunc(accounts, func(a Account) bool { return a.Kind == Staff }) {
		return User{}, "", fault.New(fault.Conflict, "This house has its staff account already.").
			WithHint("Add users to it with “tillid user add”, or in the Backoffice under Users.")
	}
	a, err := s.AddAccount(ctx, Staff, number, name)
	if err != nil {
		return User{}, "", err
	}
	admin.Account, admin.Roles = a.ID, []string{"admin"}
	return s.AddUser(ctx, admin)
}

// SetRoles replaces a user's roles and ends the user's sessions.
func (s *Service) SetRoles(ctx context.Context, user string, roles []string) error {
	return s.change(ctx, user, "user.roles", func(ctx context.Context, tx *db.Tx, u User) error {
		a, err := selectAccount(ctx, tx, u.Account)
		if err != nil {
			return err
		}
		if err := checkRoles(a, roles); err != nil {
			return err
		}
		if err := execAll(ctx, tx, stmt{`delete from staff_role where user_id = $1`, []any{user}}); err != nil {
			return err
		}
		return insertRoles(ctx, tx, user, roles)
	})
}

// Disable keeps a user from signing in and ends the user's sessions at once.
func (s *Service) Disable(ctx context.Context, user string) error {
	return s.change(ctx, user, "user.disabled", func(ctx context.Context, tx *db.Tx, _ User) error {
		return execAll(ctx, tx,
			stmt{`update staff_user set state = 'disabled' where id = $1`, []any{user}},
			stmt{`delete from staff_link where user_id = $1`, []any{user}})
	})
}

// Enable undoes Disable. A user without a password is invited again.
func (s *Service) Enable(ctx context.Context, user string) error {
	return s.change(ctx, user, "user.enabled", func(ctx context.Context, tx *db.Tx, u User) error {
		return execAll(ctx, tx, stmt{`update staff_user set state = case when password is null then 'invited' else 'active' end
			where id = $1 and state = 'disabled'`, []any{user}})
	})
}

// Remove deletes a user, who must be disabled or still invited; the audit trail
// keeps the bare id. The key of the user's name and address is destroyed.
func (s *Service) Remove(ctx context.Context, user string) error {
	return s.change(ctx, user, "user.removed", func(ctx context.Context, tx *db.Tx, u User) error {
		if u.State == Active {
			return fault.New(fault.Conflict, "This user can still sign in.").WithHint("Disable the user first.").In("staff.active")
		}
		err := execAll(ctx, tx,
			stmt{`delete from staff_role where user_id = $1`, []any{user}},
			stmt{`delete from staff_link where user_id = $1`, []any{user}},
			stmt{`delete from staff_session where user_id = $1`, []any{user}},
			stmt{`delete from staff_user where id = $1`, []any{user}})
		if err != nil {
			return err
		}
		return job.Add(ctx, tx, jobForget, user, s.Now(), jobForget+":"+user)
	})
}

// change does f to a user, ends the user's sessions, notes the act, and
// refuses when no active admin of the staff would be left.
func (s *Service) change(ctx context.Context, user, act string, f func(context.Context, *db.Tx, User) error) error {
	return s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error {
		u, err := selectUser(ctx, tx, user)
		if err != nil {
			return err
		}
		before, err := countAdmins(ctx, tx)
		if err != nil {
			return err
		}
		if err := f(ctx, tx, u); err != nil {
			return err
		}
		after, err := countAdmins(ctx, tx)
		if err != nil {
			return err
		}
		if before > 0 && after == 0 {
			return fault.New(fault.Conflict, "That would leave nobody who may manage users.").
				WithHint("Make somebody else an administrator first.").In("staff.last_admin")
		}
		if err := endAll(ctx, tx, user); err != nil {
			return err
		}
		return s.Audit(ctx, tx, Entry{Act: act, Object: user})
	})
}

// endAll raises a user's epoch and deletes the user's sessions.
func endAll(ctx context.Context, tx *db.Tx, user string) error {
	return execAll(ctx, tx,
		stmt{`update staff_user set pw_epoch = pw_epoch + 1 where id = $1`, []any{user}},
		stmt{`delete from staff_session where user_id = $1`, []any{user}})
}

// ChangePassword sets a user's own password, ends every session and begins one
// anew, whose token it returns. A wrong old password counts as a failed sign-in.
func (s *Service) ChangePassword(ctx context.Context, user, number, old, new string) (token string, err error) {
	u, err := selectUser(ctx, s.DB, user)
	if err != nil {
		return "", err
	}
	t := s.newTry(number, login(u.UserName), noAddr)
	if err := s.reserve(ctx, t); err != nil {
		return "", err
	}
	ok, _, err := s.Hasher.Verify(ctx, u.password, old)
	if err != nil {
		return "", err
	}
	if !ok {
		return "", fault.New(fault.Invalid, "The present password is not right.").WithHint("Try again.").In("staff.old_password")
	}
	if err := CheckPassword(new, u.UserName, number); err != nil {
		return "", err
	}
	phc, err := s.Hasher.Hash(ctx, new)
	if err != nil {
		return "", err
	}
	token, h := newToken()
	err = s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error {
		now, err := selectUser(ctx, tx, user)
		if err != nil {
			return err
		}
		if now.epoch != u.epoch || now.State != Active {
			return errors.New("user changed meanwhile")
		}
		if _, err := succeeded(ctx, tx, t); err != nil {
			return err
		}
		if err := s.setPassword(ctx, tx, u, phc); err != nil {
			return err
		}
		return s.begin(ctx, tx, u, u.epoch+1, h)
	})
	return token, err
}

func profilePlace(user string) subject.Place {
	return subject.Place{Table: "staff_user", Row: user, Column: "profile"}
}

func (s *Service) sealProfile(ctx context.Context, user string, p Profile) ([]byte, error) {
	keys, err := s.Keys.New(ctx, user)
	if err != nil {
		return nil, fmt.Errorf("key of a user: %w", err)
	}
	plain, err := json.Marshal(map[string]string{"name": p.Name.Reveal(), "email": p.Email.Reveal()})
	if err != nil {
		return nil, fmt.Errorf("profile: %w", err)
	}
	return keys[0].Seal(profilePlace(user), plain), nil
}

// ProfileOf opens what is known of a user as a person.
func (s *Service) ProfileOf(ctx context.Context, u User) (p Profile, err error) {
	key, err := s.Keys.Get(ctx, u.ID)
	if err != nil {
		return p, fmt.Errorf("key of a user: %w", err)
	}
	plain, err := key.Open(profilePlace(u.ID), u.profile)
	if err != nil {
		return p, err
	}
	var m map[string]subject.Secret
	if err := json.Unmarshal(plain, &m); err != nil {
		return p, errors.New("profile of a user is not JSON")
	}
	return Profile{m["name"], m["email"]}, nil
}
