package staff

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/web"
)

// Guard serves the Backoffice: it is the one place that decides who reaches
// which route. What no route names is refused, and a route that does not say what it
// needs is a mistake of the program, found when it starts. When the decision cannot be
// made because the database does not answer, nobody gets in.
func (s *Service) Guard(routes []web.Route) http.Handler {
	mux := http.NewServeMux()
	for _, r := range routes {
		if r.Handler == nil || !slices.Contains(web.Permissions(), r.Need) {
			panic(fmt.Sprintf("route %s does not say what it needs", r.Pattern))
		}
		mux.Handle(r.Pattern, web.Wrap(s.Log, s.guarded(r.Need, r.Handler)))
	}
	mux.Handle("/", web.Wrap(s.Log, s.guarded(web.SignedIn, web.NotFound)))
	return mux
}

func (s *Service) guarded(need web.Permission, next web.Handler) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		v, err := s.viewer(r)
		if err != nil {
			return fault.New(fault.Unavailable, "Nobody can be let in at the moment.").
				WithHint("Try again in a little while.").In("staff.closed").Because(err)
		}
		*r = *r.WithContext(web.WithViewer(r.Context(), v)) // error pages too know who is signed in
		switch {
		case May(v, need):
			return next(w, r)
		case v.User == "":
			return askToSignIn(w, r)
		}
		return s.refuse(r, need)
	}
}

// askToSignIn sends a browser to the sign-in page, and back afterwards. Nothing
// that was posted is kept.
func askToSignIn(w http.ResponseWriter, r *http.Request) error {
	if r.Method == http.MethodGet && !strings.Contains(r.Header.Get("Accept"), "json") {
		to := "/signin"
		if next := r.URL.RequestURI(); next != "/" {
			to += "?next=" + url.QueryEscape(next)
		}
		http.Redirect(w, r, to, http.StatusSeeOther)
		return nil
	}
	e := fault.New(fault.Denied, "You are not signed in any more.").
		WithHint("Sign in and do it again; nothing was changed.").In("staff.signed_out")
	return web.Status(e, http.StatusUnauthorized)
}

// refuse notes who was refused what.
func (s *Service) refuse(r *http.Request, need web.Permission) error {
	err := s.DB.Do(r.Context(), func(ctx context.Context, tx *db.Tx) error {
		return s.Audit(ctx, tx, Entry{Act: "refused", Object: r.Pattern, Outcome: "denied"})
	})
	if err != nil {
		return err
	}
	return fault.New(fault.Denied, "Your access does not include this page.").
		WithHint("Ask whoever manages the users in your company.").In("staff.denied")
}

// safeNext returns where to go after signing in: a path of this host, else "/".
func safeNext(next string) string {
	u, err := url.Parse(next)
	ok := err == nil && u.Scheme == "" && u.Host == "" && u.User == nil && u.Opaque == "" && u.Fragment == "" &&
		strings.HasPrefix(next, "/") && !strings.HasPrefix(next, "//") && !strings.HasPrefix(u.Path, "//") &&
		!strings.ContainsFunc(next, func(r rune) bool { return r <= ' ' || r == '\\' || r == 0x7f }) &&
		!strings.Contains(u.Path, "\\") && u.Path != "/signin" && u.Path != "/signout" && len(next) <= 500
	if !ok {
		return "/"
	}
	return u.RequestURI()
}
