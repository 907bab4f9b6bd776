package app

import (
	"net/http"
	"slices"

	"github.com/tillid/tillid/internal/connect"
	"github.com/tillid/tillid/internal/connect/desk"
	"github.com/tillid/tillid/internal/gateway"
	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/web"
)

// Handlers returns what answers on the site's hosts and on the Backoffice's.
func (h *House) Handlers() (site, office http.Handler) {
	h.handlers.once.Do(func() { h.handlers.site, h.handlers.office = h.siteHandler(), h.officeHandler() })
	return h.handlers.site, h.handlers.office
}

// siteHandler answers Tillid's own paths and passes all others to the site.
// Forged requests are refused on the own paths only: what the site takes from
// others is the site's to decide.
func (h *House) siteHandler() http.Handler {
	protected := sameOrigin(h, h.siteRoutes())
	site := h.consent.Carry(h.gateway.Handler())
	return h.web.Serve(web.Public, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if gateway.Ours(r.URL.Path) {
			protected.ServeHTTP(w, r)
			return
		}
		site.ServeHTTP(w, r)
	}))
}

// siteRoutes are Tillid's own paths on a site's host.
func (h *House) siteRoutes() *http.ServeMux {
	own := http.NewServeMux()
	for _, routes := range []func(*http.ServeMux){
		h.publish.PublicRoutes, h.consent.PublicRoutes, h.intake.PublicRoutes, h.request.PublicRoutes,
		h.erase.PublicRoutes, h.gateway.PublicRoutes, h.ledger.Routes, web.StaticRoutes,
	} {
		routes(own)
	}
	own.Handle("/", web.Wrap(h.Log, web.NotFound))
	return own
}

// officeHandler answers the Backoffice. Every route says what it needs; the
// guard refuses all others.
func (h *House) officeHandler() http.Handler {
	mux := http.NewServeMux()
	web.StaticRoutes(mux)
	mux.Handle("/", h.staff.Guard(h.officeRoutes()))
	return h.web.Serve(web.Backoffice, sameOrigin(h, mux))
}

func (h *House) officeRoutes() []web.Route {
	return slices.Concat(
		h.staff.StaffRoutes(), h.intake.StaffRoutes(), h.request.StaffRoutes(), h.breach.StaffRoutes(), h.consent.StaffRoutes(), h.gateway.StaffRoutes(), h.publish.StaffRoutes(),
		h.erase.StaffRoutes(), h.retain.StaffRoutes(), h.backup.StaffRoutes(), h.scan.StaffRoutes(), h.StaffRoutes(),
	)
}

// sameOrigin refuses unsafe requests that another site makes a browser send.
func sameOrigin(h *House, next http.Handler) http.Handler {
	protection := http.NewCrossOriginProtection()
	protection.SetDenyHandler(web.Wrap(h.Log, crossOrigin))
	return protection.Handler(next)
}

func crossOrigin(http.ResponseWriter, *http.Request) error { return errCrossOrigin }

func (h *House) publicNav() []web.Nav {
	return slices.Concat(h.publish.PublicNav(), []web.Nav{
		{Path: "/privacy/choices", TextID: "app.nav.choices", Need: web.Anyone, Order: 20},
		{Path: "/privacy/me", TextID: "app.nav.me", Need: web.Anyone, Order: 30},
	})
}

func (h *House) officeNav() []web.Nav {
	return slices.Concat(
		h.staff.StaffNav(), h.intake.StaffNav(), h.request.StaffNav(), h.breach.StaffNav(), h.consent.StaffNav(), h.gateway.StaffNav(), h.publish.StaffNav(),
		h.erase.StaffNav(), h.retain.StaffNav(), h.backup.StaffNav(), h.scan.StaffNav(), h.StaffNav(),
	)
}

// processors makes the connectors that the declaration names. An engagement
// without one is done by hand.
func (h *House) processors(plan *policy.Plan) map[string]connect.Processor {
	made := map[string]connect.Processor{}
	for _, e := range plan.Engagements {
		if e.Connector != nil && e.Connector.Kind == desk.Kind {
			made[e.ID] = desk.NewClient(e.Connector.URL, h.Now)
		}
	}
	return made
}
