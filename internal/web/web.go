// Package web renders pages, turns errors into answers and knows who is signed
// in. It knows no feature.
package web

import (
	"context"
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"

	"github.com/tillid/tillid/internal/text"
)

// Handler is an HTTP handler that may fail. Wrap makes it an http.Handler and is
// the only place where an error becomes an answer.
type Handler func(http.ResponseWriter, *http.Request) error

// Wrap answers h's errors: fault kinds as 4xx/503 pages in the visitor's language, all
// others as 500 with a reference that stands in the log. Personal data never
// goes to the log: the route pattern is logged, never the address.
func Wrap(log *slog.Logger, h Handler) http.Handler { panic("helper WEB writes this") }

// Viewer is who is signed in to the Backoffice.
type Viewer struct {
	User     string // user id
	UserName string
	Account  string // account id
	Number   string // customer number
	Staff    bool   // the controller's own account; else a customer's
	Roles    []string
	Session  string
}

// ViewerOf returns the viewer that staff's guard put into ctx; the zero Viewer if nobody.
func ViewerOf(ctx context.Context) Viewer { panic("helper WEB writes this") }

// WithViewer is for the guard and for tests.
func WithViewer(ctx context.Context, v Viewer) context.Context { panic("helper WEB writes this") }

// Permission is what a Backoffice route needs. Deny by default: a route without one is refused.
type Permission string

const (
	Anyone    Permission = "anyone"    // the sign-in page
	SignedIn  Permission = "signed_in" // any user of any account
	StaffRead Permission = "staff.read"
	Enquiries Permission = "enquiries"
	People    Permission = "people"
	Consent   Permission = "consent"
	Policy    Permission = "policy"    // declaration, versions, log
	Admin     Permission = "admin"     // users, switches
	Agreement Permission = "agreement" // Support → data-processing agreement: a customer's admin, and staff
)

// Route is one address of the Backoffice.
type Route struct {
	Pattern string // net/http pattern, for example "GET /enquiries/{id}"
	Need    Permission
	Handler Handler
}

// Nav is an entry of the Backoffice's menu.
type Nav struct {
	Path, TextID, Icon string
	Need               Permission
	Order              int
}

// Pages is a feature's parsed page templates.
type Pages struct{ core }

type core struct{} // helper WEB replaces this

// Parse parses a feature's *.html files, each with the shared layouts. A page
// file defines "title" and "main". Functions: t (text.T in the page's
// language), date, moment, period. It panics on a broken template: they are part of the program.
func Parse(files fs.FS) *Pages { panic("helper WEB writes this") }

// Template returns a page with a layout, for templatecheck.
func (p *Pages) Template(name, layout string) *template.Template { panic("helper WEB writes this") }

// Layouts.
const (
	Public     = "public"     // company's name, logo and accent
	Backoffice = "backoffice" // Tillid's
	Bare       = "bare"       // sign-in, errors
)

// Frame is what a layout needs around a page's own data. A page's data struct
// embeds Frame as its first field.
type Frame struct {
	Lang   text.Lang
	Brand  string // controller's legal name, or Tillid
	Accent string
	Logo   string
	Path   string
	Viewer Viewer
	Nav    []Nav
	Active string
	Flash  string
	Langs  []text.Lang
	Print  bool
}

// House gives frames for requests of one house.
type House struct{ core }

// Public and Backoffice frames; the language comes from ?lang=, cookie or Accept-Language.
func (h *House) Public(r *http.Request) Frame     { panic("helper WEB writes this") }
func (h *House) Backoffice(r *http.Request) Frame { panic("helper WEB writes this") }

// Render writes a page. Nothing is sent if the template fails. It sets the
// security headers and no-store.
func Render(w http.ResponseWriter, status int, p *Pages, name, layout string, data any) error {
	panic("helper WEB writes this")
}

// LangOf returns the language of a request: ?lang=, the language cookie, then Accept-Language.
func LangOf(r *http.Request, offered []text.Lang) text.Lang { panic("helper WEB writes this") }
