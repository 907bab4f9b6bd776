// Package web renders pages, turns errors into answers and knows who is signed
// in. It knows no feature.
//
// # Pages
//
// A feature embeds its *.html files and parses them once with Parse. Each file is
// one page and defines
//
//	{{define "title"}}…{{end}}   text of <title>
//	{{define "main"}}…{{end}}    what stands inside <main>, beginning with <h1>
//
// and may define "head" (further <link> and <script src> elements), and "class" (classes
// of <body>: "wide" for tables that need more than a column to read). Files whose names
// begin with "_" are not pages: what they define is there for all pages of the feature.
//
// Functions, all in the page's own language, which is Frame.Lang:
//
//	{{t "intake.received" "Number" .Number}}   text.T; the value of "Count" selects the plural
//	{{in .Label}}                              the text of a text.Text
//	{{date .At}} {{moment .At}} {{iso .At}}    day; day and time; for <time datetime>. time.Time or db.Time
//	{{period .Keep}}                           a policy.Duration in words
//	{{num .Count}}                             a whole number with its thousands marked
//	{{list .Words}}                            "a, b and c"
//	{{asset "public.css"}}                     address of a file under static/, with its hash
//
// # Classes
//
// Both styles know the same words, and style bare elements well:
//
//	button .button .primary .quiet .danger .small    .actions (a row of buttons)
//	.field > label + .hint + input + .error          .choices (check boxes, radio buttons)
//	.card, .cards (a grid of them)                   .badge .ok .due .broken
//	.notice .ok .due .broken                         .empty (what will appear here, and how)
//	table with .num on cells; table.stack for lists that must be read at 360 px: rows become
//	blocks there, each td shows its data-label       dl.facts (terms left, values right)
//	.lead .muted .small .crumbs .toc .visually-hidden .no-print .narrow
package web

import (
	"context"
	"net/http"
)

// Handler is an HTTP handler that may fail. Wrap makes it an http.Handler and is
// the only place where an error becomes an answer.
type Handler func(http.ResponseWriter, *http.Request) error

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

type viewerKey struct{}

// ViewerOf returns the viewer that staff's guard put into ctx; the zero Viewer if nobody.
func ViewerOf(ctx context.Context) Viewer {
	v, _ := ctx.Value(viewerKey{}).(Viewer)
	return v
}

// WithViewer is for the guard and for tests.
func WithViewer(ctx context.Context, v Viewer) context.Context {
	return context.WithValue(ctx, viewerKey{}, v)
}

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

// Permissions returns every permission there is, for tables and tests.
func Permissions() []Permission {
	return []Permission{Anyone, SignedIn, StaffRead, Enquiries, People, Consent, Policy, Admin, Agreement}
}

// Route is one address of the Backoffice.
type Route struct {
	Pattern string // net/http pattern, for example "GET /enquiries/{id}"
	Need    Permission
	Handler Handler
}

// Nav is an entry of a menu.
type Nav struct {
	Path, TextID, Icon string // Icon: a name that icon.html knows, or ""
	Need               Permission
	Order              int
}
