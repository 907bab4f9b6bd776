package gateway

import (
	"context"
	"embed"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/text"
	"github.com/tillid/tillid/internal/web"
)

//go:embed *.html
var files embed.FS

var pages = web.Parse(files)

// PublicRoutes registers what browsers send about stopped requests, and what a
// server in front asks.
func (s *Service) PublicRoutes(mux *http.ServeMux) {
	mux.Handle("GET "+forwardPath, web.Wrap(s.Log, s.forward))
	mux.Handle("GET "+guardPath, web.Wrap(s.Log, s.guard))
	mux.Handle("POST "+reportPath, web.Wrap(s.Log, s.receive))
}

// StaffRoutes returns the addresses of the Backoffice.
func (s *Service) StaffRoutes() []web.Route {
	return []web.Route{{Pattern: "GET /drift", Need: web.Consent, Handler: s.driftPage}}
}

// StaffNav returns the menu's entries.
func (s *Service) StaffNav() []web.Nav {
	return []web.Nav{{Path: "/drift", TextID: "gateway.nav.drift", Icon: "alarm", Need: web.Consent, Order: 55}}
}

type driftPage struct {
	web.Frame
	Sites      []siteMode
	Filter     Filter
	Kinds      []string // that can be chosen
	Filtered   bool
	More       bool // there are more than are shown
	Full       []string
	Undeclared []driftLine
	Waiting    []driftLine // declared, and not allowed by the visitor's choice
}

var kinds = [...]string{"request", "cookie", leftover, "header"}

type siteMode struct {
	Name    text.Text
	ID      string
	Enforce bool
}

type driftLine struct {
	Drift
	Shelf string
	Label text.Text // of the service or purpose it is declared for
}

func (s *Service) driftPage(w http.ResponseWriter, r *http.Request) error {
	if err := s.flush(r.Context(), true); err != nil {
		return err
	}
	filter, plan := filterOf(r), s.Plan()
	drifts, more, err := s.search(r.Context(), s.DB, filter)
	if err != nil {
		return fmt.Errorf("list drift: %w", err)
	}
	page := driftPage{Frame: s.House.Backoffice(r), Filter: filter, Filtered: filter != Filter{}, Kinds: kinds[:], More: more}
	if page.Full, err = s.full(r.Context()); err != nil {
		return err
	}
	if plan != nil {
		for _, site := range plan.Sites {
			page.Sites = append(page.Sites, siteMode{site.Name, site.ID, site.Mode == "enforce"})
		}
	}
	for _, d := range drifts {
		line := driftLine{Drift: d, Shelf: d.shelf().kind, Label: labelOf(plan, d.Service)}
		if d.Service == "" {
			page.Undeclared = append(page.Undeclared, line)
		} else {
			page.Waiting = append(page.Waiting, line)
		}
	}
	return web.Render(w, http.StatusOK, pages, "drift", web.Backoffice, page)
}

// filterOf reads what to list; what is no kind lists all kinds.
func filterOf(r *http.Request) Filter {
	q := r.URL.Query()
	f := Filter{Site: limited(q.Get("site"), 100), Kind: q.Get("kind"), Text: strings.TrimSpace(limited(q.Get("q"), 100))}
	if !slices.Contains(kinds[:], f.Kind) {
		f.Kind = ""
	}
	return f
}

// full returns the kinds of which some site has no room for another finding.
func (s *Service) full(ctx context.Context) (full []string, err error) {
	count, err := countDrift(ctx, s.DB)
	for of, n := range count {
		if n >= maxRows && !slices.Contains(full, of.kind) {
			full = append(full, of.kind)
		}
	}
	slices.Sort(full)
	return full, err
}

func labelOf(plan *policy.Plan, id string) text.Text {
	if plan != nil {
		if svc := plan.Service(id); svc != nil {
			return svc.Label
		}
		if p := plan.Purpose(id); p != nil {
			return p.Label
		}
	}
	return text.Text{text.EN: id}
}
