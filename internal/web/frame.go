package web

import (
	"context"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/text"
)

// Frame is what a layout needs around a page's own data. A page's data struct
// embeds Frame as its first field.
type Frame struct {
	Lang   text.Lang
	Brand  string // controller's legal name, or Tillid
	Accent string // #rrggbb, or "" for Tillid's own
	Logo   string // address of the logo, or ""
	Home   string // where the brand leads
	Path   string
	Viewer Viewer
	Nav    []Nav
	Active string // Nav.Path of the entry that the page belongs to
	Flash  string
	Langs  []text.Lang
	Print  bool
	Zone   *time.Location // of the dates on the page; UTC when nil

	query url.Values
}

func (f Frame) frame() Frame { return f }

// LangURL returns the address of the same page in another language.
func (f Frame) LangURL(l text.Lang) string {
	q := url.Values{}
	for k, v := range f.query {
		if k != doneParam {
			q[k] = v
		}
	}
	q.Set("lang", string(l))
	return f.Path + "?" + q.Encode()
}

// House gives frames for requests of one house.
type House struct {
	Plan       func() *policy.Plan // the declaration in force; may return nil
	Logo       string              // address of the controller's logo on the site's host, or ""
	PublicNav  []Nav               // links in the footer of public pages
	Nav        []Nav               // menu of the Backoffice
	May        func(Viewer, Permission) bool
	PublicHome string // where the brand of public pages leads; /privacy when empty
}

// Public returns the frame of a page on the site's host; the language comes from ?lang=, cookie or Accept-Language.
func (h *House) Public(r *http.Request) Frame {
	f := h.frame(r)
	f.Home, f.Nav, f.Logo = h.PublicHome, h.PublicNav, h.Logo
	if f.Home == "" {
		f.Home = "/privacy"
	}
	if p := h.plan(); p != nil {
		f.Brand, f.Accent = p.Controller.LegalName, p.Controller.Accent
		if len(p.Languages) > 0 {
			f.Langs = p.Languages
		}
	}
	return f.localised(r)
}

// Backoffice returns the frame of a page on the Backoffice's host, with the
// part of the menu that the viewer may use.
func (h *House) Backoffice(r *http.Request) Frame {
	f := h.frame(r)
	f.Brand, f.Home = "Tillid", "/"
	f.Viewer = ViewerOf(r.Context())
	if f.Viewer.User != "" && h.May != nil {
		for _, n := range h.Nav {
			if h.May(f.Viewer, n.Need) {
				f.Nav = append(f.Nav, n)
			}
		}
	}
	slices.SortStableFunc(f.Nav, func(a, b Nav) int { return a.Order - b.Order })
	f.Active = active(f.Nav, f.Path)
	return f.localised(r)
}

func (h *House) plan() *policy.Plan {
	if h.Plan == nil {
		return nil
	}
	return h.Plan()
}

func (h *House) frame(r *http.Request) Frame {
	f := Frame{Path: r.URL.Path, Langs: text.Langs(), query: r.URL.Query()}
	f.Print = f.query.Has("print")
	if p := h.plan(); p != nil {
		f.Zone = p.Loc
	}
	return f
}

// localised fills in what depends on the language.
func (f Frame) localised(r *http.Request) Frame {
	f.Lang = LangOf(r, f.Langs)
	f.Flash = flash(f.Lang, f.query.Get(doneParam))
	return f
}

// active returns the path of the entry with the longest path that leads to p.
func active(nav []Nav, p string) string {
	best := ""
	for _, n := range nav {
		at := n.Path == p || n.Path != "/" && strings.HasPrefix(p, strings.TrimSuffix(n.Path, "/")+"/")
		if at && len(n.Path) > len(best) {
			best = n.Path
		}
	}
	return best
}

// doneParam names what was just done, so that the page after a POST can say so
// without a cookie. Only catalogue texts of the form "<feature>.done.<what>" are shown.
const doneParam = "done"

var doneID = regexp.MustCompile(`^[a-z]+\.done\.[a-z_]+$`)

// Done redirects (303) to a page of this host, which says the catalogue text
// id on top; id has the form "<feature>.done.<what>".
func Done(w http.ResponseWriter, r *http.Request, to, id string) {
	http.Redirect(w, r, DoneURL(to, id), http.StatusSeeOther)
}

// DoneURL returns the address that Done leads to.
func DoneURL(to, id string) string {
	u := url.URL{Path: to}
	if p, q, ok := strings.Cut(to, "?"); ok {
		u.Path, u.RawQuery = p, q+"&"
	}
	u.RawQuery += doneParam + "=" + url.QueryEscape(id)
	return u.String()
}

func flash(l text.Lang, id string) string {
	if !doneID.MatchString(id) {
		return ""
	}
	s, ok := known(l, id)
	if !ok {
		return ""
	}
	return s
}

// known returns a catalogue's text, and whether there is one.
func known(l text.Lang, id string, kv ...any) (string, bool) {
	s := text.T(l, id, kv...)
	return s, s != "" && !strings.HasPrefix(s, "⟦")
}

// langCookie remembers a language that somebody chose, until the browser closes.
const langCookie = "tillid_lang"

// LangOf returns the language of a request: ?lang=, the language cookie, then Accept-Language.
func LangOf(r *http.Request, offered []text.Lang) text.Lang {
	if l := text.Lang(r.URL.Query().Get("lang")); slices.Contains(offered, l) {
		return l
	}
	if c, err := r.Cookie(langCookie); err == nil && slices.Contains(offered, text.Lang(c.Value)) {
		return text.Lang(c.Value)
	}
	return text.Match(r.Header.Get("Accept-Language"), offered)
}

// rememberLang keeps a language that was chosen with ?lang=. On the site's host
// the cookie is seen under /privacy only, never by the site.
func rememberLang(w http.ResponseWriter, r *http.Request, layout string) {
	l := text.Lang(r.URL.Query().Get("lang"))
	if r.Method != http.MethodGet || !slices.Contains(text.Langs(), l) {
		return
	}
	path := "/"
	if layout == Public {
		if path = "/privacy"; !strings.HasPrefix(r.URL.Path, path) {
			return
		}
	}
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // Secure but on this machine's own names
		Name: langCookie, Value: string(l), Path: path,
		HttpOnly: true, Secure: HTTPS(r), SameSite: http.SameSiteLaxMode,
	})
}

type surroundings struct {
	house  *House
	layout string
}

type houseKey struct{}

// Serve puts h around requests for one of its hosts: errors are answered in
// the house's frame with layout Public or Backoffice, a language chosen with
// ?lang= is remembered, and in the Backoffice every answer has the security headers.
func (h *House) Serve(layout string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if layout != Public { // there, the site's own answers pass too
			secure(w.Header(), layout)
			strictTransport(w, r)
		}
		rememberLang(w, r, layout)
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), houseKey{}, surroundings{h, layout})))
	})
}

// layoutOf returns the layout of the host that was asked, Public when it is not known.
func layoutOf(r *http.Request) string {
	if s, ok := r.Context().Value(houseKey{}).(surroundings); ok {
		return s.layout
	}
	return Public
}

// frameOf returns the frame and layout of an error page.
func frameOf(r *http.Request) (Frame, string) {
	s, _ := r.Context().Value(houseKey{}).(surroundings)
	switch {
	case s.house == nil:
		f := Frame{Brand: "Tillid", Home: "/", Path: r.URL.Path, Langs: text.Langs(), query: r.URL.Query()}
		return f.localised(r), Bare
	case s.layout == Backoffice && ViewerOf(r.Context()).User != "":
		return s.house.Backoffice(r), Backoffice
	case s.layout == Backoffice:
		return s.house.Backoffice(r), Bare
	}
	return s.house.Public(r), Public
}
