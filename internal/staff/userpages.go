package staff

import (
	"net/http"
	"slices"

	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/web"
)

type usersPage struct {
	web.Frame
	Accounts    []accountUsers
	Error, Hint string
}

type accountUsers struct {
	Account
	Users []User
	Roles []string // that its users may have
}

func (s *Service) showUsers(w http.ResponseWriter, r *http.Request) error {
	return s.users(w, r, http.StatusOK, nil)
}

func (s *Service) users(w http.ResponseWriter, r *http.Request, status int, mistake error) error {
	accounts, err := s.Accounts(r.Context())
	if err != nil {
		return err
	}
	users, err := s.Users(r.Context())
	if err != nil {
		return err
	}
	page := usersPage{Frame: s.House.Backoffice(r)}
	page.Path = "/users"
	for _, a := range accounts {
		own := slices.DeleteFunc(slices.Clone(users), func(u User) bool { return u.Account != a.ID })
		page.Accounts = append(page.Accounts, accountUsers{a, own, Roles(a.Kind)})
	}
	if mistake != nil {
		page.Error, page.Hint = web.Say(page.Lang, mistake)
	}
	return web.Render(w, status, pages(), "users", web.Backoffice, page)
}

// mistaken reports whether err is one that the person can correct in the form.
func mistaken(err error) bool {
	k := fault.Of(err).Kind
	return err != nil && (k == fault.Invalid || k == fault.Conflict)
}

func (s *Service) postAccount(w http.ResponseWriter, r *http.Request) error {
	form, err := web.DecodeForm(w, r, formBytes)
	if err != nil {
		return err
	}
	_, err = s.AddAccount(r.Context(), Customer, form.Get("number"), form.Get("name"))
	if mistaken(err) {
		return s.users(w, r, http.StatusUnprocessableEntity, err)
	}
	if err != nil {
		return err
	}
	web.Done(w, r, "/users", "staff.done.account")
	return nil
}

func (s *Service) postUser(w http.ResponseWriter, r *http.Request) error {
	form, err := web.DecodeForm(w, r, formBytes)
	if err != nil {
		return err
	}
	u, token, err := s.AddUser(r.Context(), NewUser{
		Account: form.Get("account"), UserName: form.Get("user_name"),
		Profile: profileOf(form.Get("name"), form.Get("email")), Roles: []string{form.Get("role")},
	})
	if mistaken(err) {
		return s.users(w, r, http.StatusUnprocessableEntity, err)
	}
	if err != nil {
		return err
	}
	return s.showLink(w, r, u, token)
}

type linkPage struct {
	web.Frame
	User User
	Link string
}

// showLink shows a link once; only its hash is kept.
func (s *Service) showLink(w http.ResponseWriter, r *http.Request, u User, token string) error {
	scheme := "http"
	if web.HTTPS(r) {
		scheme = "https"
	}
	f := s.House.Backoffice(r)
	f.Path, f.Active = "/users/"+u.ID, "/users"
	return web.Render(w, http.StatusOK, pages(), "link", web.Backoffice,
		linkPage{f, u, scheme + "://" + r.Host + LinkPath(token)})
}

type userPage struct {
	web.Frame
	User        User
	Account     Account
	Profile     Profile
	Roles       []string
	Sessions    []Session
	Error, Hint string
}

// Has reports whether the user has a role.
func (p userPage) Has(role string) bool { return slices.Contains(p.User.Roles, role) }

func (s *Service) showUser(w http.ResponseWriter, r *http.Request) error {
	return s.user(w, r, http.StatusOK, nil)
}

func (s *Service) user(w http.ResponseWriter, r *http.Request, status int, mistake error) (err error) {
	ctx, page := r.Context(), userPage{Frame: s.House.Backoffice(r)}
	if page.User, err = s.UserByID(ctx, r.PathValue("id")); err != nil {
		return err
	}
	page.Path = "/users/" + page.User.ID
	if page.Account, err = s.AccountByID(ctx, page.User.Account); err != nil {
		return err
	}
	if page.Profile, err = s.ProfileOf(ctx, page.User); err != nil {
		return err
	}
	if page.Sessions, err = s.Sessions(ctx, page.User.ID); err != nil {
		return err
	}
	page.Roles = Roles(page.Account.Kind)
	if mistake != nil {
		page.Error, page.Hint = web.Say(page.Lang, mistake)
	}
	return web.Render(w, status, pages(), "user", web.Backoffice, page)
}

func (s *Service) postRoles(w http.ResponseWriter, r *http.Request) error {
	form, err := web.DecodeForm(w, r, formBytes, "role")
	if err != nil {
		return err
	}
	return s.changed(w, r, s.SetRoles(r.Context(), r.PathValue("id"), form["role"]), "staff.done.roles")
}

// changed answers a change of a user.
func (s *Service) changed(w http.ResponseWriter, r *http.Request, err error, done string) error {
	if mistaken(err) {
		return s.user(w, r, http.StatusUnprocessableEntity, err)
	}
	if err != nil {
		return err
	}
	web.Done(w, r, "/users/"+r.PathValue("id"), done)
	return nil
}

func (s *Service) postAct(w http.ResponseWriter, r *http.Request) error {
	ctx, id := r.Context(), r.PathValue("id")
	switch r.PathValue("act") {
	case "disable":
		return s.changed(w, r, s.Disable(ctx, id), "staff.done.disabled")
	case "enable":
		return s.changed(w, r, s.Enable(ctx, id), "staff.done.enabled")
	case "sessions":
		if _, err := s.UserByID(ctx, id); err != nil {
			return err
		}
		return s.changed(w, r, s.EndSessions(ctx, id, ""), "staff.done.sessions")
	case "remove":
		err := s.Remove(ctx, id)
		if err != nil {
			return s.changed(w, r, err, "")
		}
		web.Done(w, r, "/users", "staff.done.removed")
		return nil
	case "link":
		token, err := s.ResetLink(ctx, id)
		if err != nil {
			return s.changed(w, r, err, "")
		}
		u, err := s.UserByID(ctx, id)
		if err != nil {
			return err
		}
		return s.showLink(w, r, u, token)
	}
	return web.NotFound(w, r)
}
