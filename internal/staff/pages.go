package staff

import (
	"embed"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/subject"
	"github.com/tillid/tillid/internal/text"
	"github.com/tillid/tillid/internal/web"
)

//go:embed *.html
var pageFiles embed.FS

var pages = sync.OnceValue(func() *web.Pages { return web.Parse(pageFiles) })

// formBytes is more than any form here needs.
const formBytes = 16 << 10

// StaffRoutes returns the addresses of sign-in, the overview, users and the audit trail.
func (s *Service) StaffRoutes() []web.Route {
	return []web.Route{
		{Pattern: "GET /signin", Need: web.Anyone, Handler: s.showSignIn},
		{Pattern: "POST /signin", Need: web.Anyone, Handler: s.postSignIn},
		{Pattern: "POST /signout", Need: web.SignedIn, Handler: s.signOut},
		{Pattern: "GET /welcome/{token}", Need: web.Anyone, Handler: s.showWelcome},
		{Pattern: "POST /welcome/{token}", Need: web.Anyone, Handler: s.postWelcome},
		{Pattern: "GET /{$}", Need: web.SignedIn, Handler: s.showOverview},
		{Pattern: "GET /account", Need: web.SignedIn, Handler: s.showAccount},
		{Pattern: "POST /account/password", Need: web.SignedIn, Handler: s.postPassword},
		{Pattern: "POST /account/sessions", Need: web.SignedIn, Handler: s.postSessions},
		{Pattern: "GET /users", Need: web.Admin, Handler: s.showUsers},
		{Pattern: "POST /users", Need: web.Admin, Handler: s.postUser},
		{Pattern: "POST /accounts", Need: web.Admin, Handler: s.postAccount},
		{Pattern: "GET /users/{id}", Need: web.Admin, Handler: s.showUser},
		{Pattern: "POST /users/{id}/roles", Need: web.Admin, Handler: s.postRoles},
		{Pattern: "POST /users/{id}/{act}", Need: web.Admin, Handler: s.postAct},
		{Pattern: "GET /audit", Need: web.Admin, Handler: s.showAudit},
	}
}

// StaffNav returns the entries of the menu.
func (s *Service) StaffNav() []web.Nav {
	return []web.Nav{
		{Path: "/", TextID: "staff.nav.overview", Icon: "home", Need: web.StaffRead, Order: 0},
		{Path: "/users", TextID: "staff.nav.users", Icon: "users", Need: web.Admin, Order: 900},
		{Path: "/audit", TextID: "staff.nav.audit", Icon: "audit", Need: web.Admin, Order: 910},
	}
}

type signInPage struct {
	web.Frame
	Number, UserName, Next string
	Wrong                  bool
}

func (s *Service) showSignIn(w http.ResponseWriter, r *http.Request) error {
	next := safeNext(r.URL.Query().Get("next"))
	if web.ViewerOf(r.Context()).User != "" {
		http.Redirect(w, r, next, http.StatusSeeOther) //nolint:gosec // safeNext keeps it on this host
		return nil
	}
	return web.Render(w, http.StatusOK, pages(), "signin", web.Bare, signInPage{Frame: s.House.Backoffice(r), Next: next})
}

func (s *Service) postSignIn(w http.ResponseWriter, r *http.Request) error {
	form, err := web.DecodeForm(w, r, formBytes)
	if err != nil {
		return err
	}
	number, userName := strings.TrimSpace(form.Get("number")), form.Get("user_name")
	c := credentials{number: number, login: login(userName), password: form.Get("password")}
	next := safeNext(form.Get("next"))
	in, err := s.signIn(r.Context(), c, web.ClientIP(r, s.Trusted), cookieHash(r))
	if errors.Is(err, errWrong) {
		page := signInPage{Frame: s.House.Backoffice(r), Number: number, UserName: userName, Next: next, Wrong: true}
		page.Viewer, page.Path = web.Viewer{}, "/signin"
		return web.Render(w, http.StatusUnauthorized, pages(), "signin", web.Bare, page)
	}
	if err != nil {
		return err
	}
	setCookie(w, r, in.token)
	if in.failed > 0 {
		web.Done(w, r, next, "staff.done.tries")
		return nil
	}
	http.Redirect(w, r, next, http.StatusSeeOther)
	return nil
}

// passwordPage is a form for a new password, perhaps shown again with what is wrong.
type passwordPage struct {
	web.Frame
	UserName, Number string
	Min              int
	Error, Hint      string
}

func (s *Service) showWelcome(w http.ResponseWriter, r *http.Request) error {
	return s.welcome(w, r, http.StatusOK, nil)
}

func (s *Service) welcome(w http.ResponseWriter, r *http.Request, status int, mistake error) error {
	u, a, err := s.LinkUser(r.Context(), r.PathValue("token"))
	if err != nil {
		return err
	}
	page := passwordPage{Frame: s.House.Backoffice(r), UserName: u.UserName, Number: a.Number, Min: minPassword}
	if mistake != nil {
		page.Error, page.Hint = web.Say(page.Lang, mistake)
	}
	return web.Render(w, status, pages(), "welcome", web.Bare, page)
}

func (s *Service) postWelcome(w http.ResponseWriter, r *http.Request) error {
	form, err := web.DecodeForm(w, r, formBytes)
	if err != nil {
		return err
	}
	password := form.Get("new")
	err = same(password, form.Get("again"))
	if err == nil {
		err = s.SetByLink(r.Context(), r.PathValue("token"), password)
	}
	if fault.Of(err).Kind == fault.Invalid {
		return s.welcome(w, r, http.StatusUnprocessableEntity, err)
	}
	if err != nil {
		return err
	}
	web.Done(w, r, "/signin", "staff.done.password")
	return nil
}

func same(a, b string) error {
	if a != b {
		return fault.New(fault.Invalid, "The two passwords are not the same.").WithHint("Type the new password twice.").In("staff.twice")
	}
	return nil
}

type accountPage struct {
	web.Frame
	Account     Account
	Profile     Profile
	Sessions    []Session
	Min         int
	Error, Hint string
}

func (s *Service) showAccount(w http.ResponseWriter, r *http.Request) error {
	return s.account(w, r, http.StatusOK, nil)
}

func (s *Service) account(w http.ResponseWriter, r *http.Request, status int, mistake error) (err error) {
	ctx, page := r.Context(), accountPage{Frame: s.House.Backoffice(r), Min: minPassword}
	page.Path = "/account"
	u, err := s.UserByID(ctx, page.Viewer.User)
	if err != nil {
		return err
	}
	if page.Account, err = s.AccountByID(ctx, u.Account); err != nil {
		return err
	}
	if page.Profile, err = s.ProfileOf(ctx, u); err != nil {
		return err
	}
	if page.Sessions, err = s.Sessions(ctx, u.ID); err != nil {
		return err
	}
	if mistake != nil {
		page.Error, page.Hint = web.Say(page.Lang, mistake)
	}
	return web.Render(w, status, pages(), "account", web.Backoffice, page)
}

func (s *Service) postPassword(w http.ResponseWriter, r *http.Request) error {
	form, err := web.DecodeForm(w, r, formBytes)
	if err != nil {
		return err
	}
	v := web.ViewerOf(r.Context())
	var token string
	err = same(form.Get("new"), form.Get("again"))
	if err == nil {
		token, err = s.ChangePassword(r.Context(), v.User, v.Number, form.Get("old"), form.Get("new"))
	}
	if fault.Of(err).Kind == fault.Invalid {
		return s.account(w, r, http.StatusUnprocessableEntity, err)
	}
	if err != nil {
		return err
	}
	setCookie(w, r, token)
	web.Done(w, r, "/account", "staff.done.password_changed")
	return nil
}

func (s *Service) postSessions(w http.ResponseWriter, r *http.Request) error {
	v := web.ViewerOf(r.Context())
	if err := s.EndSessions(r.Context(), v.User, v.Session); err != nil {
		return err
	}
	web.Done(w, r, "/account", "staff.done.sessions")
	return nil
}

type auditPage struct {
	web.Frame
	Entries []auditRow
	More    string // value of ?after= for the next page
}

type auditRow struct {
	Entry
	Did, Who, What string // in words; user names where the user is still there
}

// actText says an act in words: staff's own acts are "staff.act.<act>" in the
// catalogues, another feature's "<feature>.<what>" is "<feature>.act.<what>".
func actText(l text.Lang, act string) string {
	s := text.T(l, "staff.act."+act)
	if feature, what, ok := strings.Cut(act, "."); ok && strings.HasPrefix(s, "⟦") {
		s = text.T(l, feature+".act."+what)
	}
	return s
}

const auditRows = 50

func (s *Service) showAudit(w http.ResponseWriter, r *http.Request) error {
	after, err := cursor(r.URL.Query().Get("after"))
	if err != nil {
		return web.NotFound(w, r)
	}
	entries, err := s.Trail(r.Context(), after, auditRows)
	if err != nil {
		return err
	}
	names, err := s.names(r)
	if err != nil {
		return err
	}
	page := auditPage{Frame: s.House.Backoffice(r)}
	for _, e := range entries {
		page.Entries = append(page.Entries, auditRow{e, actText(page.Lang, e.Act), names[e.User], names[e.Object]})
	}
	if len(entries) == auditRows {
		last := entries[auditRows-1]
		page.More = last.At.Format(time.RFC3339Nano) + "," + last.ID
	}
	return web.Render(w, http.StatusOK, pages(), "audit", web.Backoffice, page)
}

// cursor reads the place of the last entry of a page.
func cursor(s string) (e Entry, err error) {
	if s == "" {
		return e, nil
	}
	at, id, _ := strings.Cut(s, ",")
	e.ID = id
	e.At.Time, err = time.Parse(time.RFC3339Nano, at)
	return e, err
}

// names returns what users and accounts are called, by id.
func (s *Service) names(r *http.Request) (map[string]string, error) {
	users, err := s.Users(r.Context())
	if err != nil {
		return nil, err
	}
	accounts, err := s.Accounts(r.Context())
	if err != nil {
		return nil, err
	}
	names := map[string]string{}
	for _, u := range users {
		names[u.ID] = u.UserName
	}
	for _, a := range accounts {
		names[a.ID] = a.Number
	}
	return names, nil
}

func profileOf(name, email string) Profile {
	return Profile{subject.Secret(strings.TrimSpace(name)), subject.Secret(strings.TrimSpace(email))}
}
