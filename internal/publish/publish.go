// Package publish writes what the company tells people, from the Plan: privacy
// policy, cookie declaration, browser guide, and the agreement with its own
// customers; in every language, as HTML, Markdown and PDF.
//
// Each text is one Document whose sentences know the line of the declaration
// that they come from. All renderings are made when a version is published and
// kept in version's archive: the pages serve those bytes, today's and old ones.
// The trace to the line is in every published page (data-path); the line itself,
// with what lint says about it, is shown to staff on the page Declaration.
package publish

import (
	"embed"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/tillid/tillid/internal/ledger"
	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/text"
	"github.com/tillid/tillid/internal/version"
	"github.com/tillid/tillid/internal/web"
)

// Service publishes documents and serves them.
type Service struct {
	House    *web.House
	Versions *version.Service
	Signer   ledger.Signer // signs agreements
	Log      *slog.Logger
	Now      func() time.Time
	// Findings is what lint says about a plan, for the Backoffice; nil shows none.
	Findings func(*policy.Plan, text.Lang) []Finding
}

// Finding is one thing that lint says about a declaration.
type Finding struct {
	Rule     string // for example LB-03
	Severity string // error, warning, info or review
	Path     string
	Line     int
	Message  string
	Fix      string
}

// Badge is the style of the finding's severity.
func (f Finding) Badge() string {
	switch f.Severity {
	case "error":
		return "broken"
	case "warning":
		return "due"
	}
	return ""
}

//go:embed page/*.html
var pageFiles embed.FS

//go:embed page/publish.css
var pageStyle []byte

var pages = sync.OnceValue(func() *web.Pages { return web.Parse(pageFiles) })

// PublicRoutes serves the published documents on the site's host.
func (s *Service) PublicRoutes(mux *http.ServeMux) {
	handle := func(pattern string, h web.Handler) { mux.Handle(pattern, web.Wrap(s.Log, h)) }
	for document, path := range publicPages {
		handle("GET "+path, s.page(document))
		for _, format := range []string{"html", "md", "pdf"} {
			handle("GET /privacy/"+document+"."+format, s.current(document, format))
		}
	}
	handle("GET "+versionsPath, s.versions)
	handle("GET "+versionsPath+"/{number}/{file}", s.archived)
	handle("GET "+assetPath+"{file}", s.asset)
}

// publicPages are the documents that everybody may read, with their addresses.
var publicPages = map[string]string{"policy": policyPath, "cookies": cookiePath, "browsers": browserPath}

// StaffRoutes are the pages of the Backoffice.
func (s *Service) StaffRoutes() []web.Route {
	return []web.Route{
		{Pattern: "GET /versions", Need: web.Policy, Handler: s.staffVersions},
		{Pattern: "GET /versions/{number}", Need: web.Policy, Handler: s.staffVersion},
		{Pattern: "GET /versions/compare", Need: web.Policy, Handler: s.compare},
		{Pattern: "GET /versions/{number}/{file}", Need: web.Policy, Handler: s.staffFile},
		{Pattern: "GET /declaration", Need: web.Policy, Handler: s.declaration},
		{Pattern: "GET /declaration/style.css", Need: web.SignedIn, Handler: style},
		{Pattern: "GET " + supportPath, Need: web.Agreement, Handler: s.support},
		{Pattern: "GET " + supportPath + "/{number}/{file}", Need: web.Agreement, Handler: s.agreementFile},
		{Pattern: "GET " + assetPath + "{file}", Need: web.SignedIn, Handler: s.asset},
	}
}

// StaffNav are the entries of the Backoffice's menu.
func (s *Service) StaffNav() []web.Nav {
	return []web.Nav{
		{Path: "/declaration", TextID: "publish.nav.declaration", Icon: "document", Need: web.Policy, Order: 60},
		{Path: "/versions", TextID: "publish.nav.versions", Icon: "versions", Need: web.Policy, Order: 61},
		{Path: supportPath, TextID: "publish.nav.agreement", Icon: "support", Need: web.Agreement, Order: 80},
	}
}

// PublicNav are the links in the footer of public pages.
func (s *Service) PublicNav() []web.Nav {
	return []web.Nav{
		{Path: policyPath, TextID: "publish.nav.policy", Need: web.Anyone, Order: 10},
		{Path: cookiePath, TextID: "publish.nav.cookies", Need: web.Anyone, Order: 11},
		{Path: browserPath, TextID: "publish.nav.browsers", Need: web.Anyone, Order: 12},
		{Path: versionsPath, TextID: "publish.nav.versions", Need: web.Anyone, Order: 90},
	}
}

// documentName is what a document is called in a list.
func documentName(plan *policy.Plan, l text.Lang, name string) string {
	for _, a := range plan.Agreements {
		if AgreementName(a.ID) == name {
			return text.T(l, "publish.document.agreement", "Label", a.Label.In(l))
		}
	}
	if _, ok := publicPages[name]; ok {
		return text.T(l, "publish.document."+name)
	}
	return name
}

func isAgreement(document string) bool { return strings.HasPrefix(document, "agreement-") }
