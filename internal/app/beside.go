package app

import (
	"net/http"
	"net/url"
	"slices"

	"github.com/tillid/tillid/internal/gateway"
	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/web"
)

// forScript are the addresses that the script in the pages of a site uses from
// another name. No page about a person is among them: whatever runs in the site's
// pages could read it.
var forScript = []string{
	"/_tillid/guard.js", "/_tillid/state", "/_tillid/choice", "/_tillid/layer", "/_tillid/forget", "/_tillid/left", "/_tillid/csp",
	"/_tillid/t.js", "/_tillid/u.js", "/_tillid/t.css", "/_tillid/page", "/_tillid/page.js",
}

// besideHandler answers at a site's consent_host, the name beside the site's own
// where Tillid answers for a site that does not stand behind it. Pages of that
// site, and no others, may ask there what the script needs, with the visitor's
// cookie. Everything else is as on the site's own host.
func (h *House) besideHandler() http.Handler {
	site, _ := h.Handlers()
	missing := h.web.Serve(web.Public, web.Wrap(h.Log, web.NotFound))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			http.Redirect(w, r, "/privacy", http.StatusSeeOther)
			return
		}
		if !gateway.Ours(r.URL.Path) {
			missing.ServeHTTP(w, r) // the site itself is elsewhere
			return
		}
		if slices.Contains(forScript, r.URL.Path) && h.share(w, r) {
			return
		}
		site.ServeHTTP(w, r)
	})
}

// share lets the pages of the house's sites read an answer (CORS, exactly their
// origin), and nobody else. It answers a browser's question beforehand itself.
func (h *House) share(w http.ResponseWriter, r *http.Request) (answered bool) {
	header := w.Header()
	header.Add("Vary", "Origin")
	origin := r.Header.Get("Origin")
	if !h.siteOrigin(origin, web.HTTPS(r)) {
		if r.URL.Path == forScript[0] {
			r.Header.Del("Cookie") // it is a script: any page could load it and see what was chosen
		}
		return false
	}
	header.Set("Access-Control-Allow-Origin", origin)
	header.Set("Access-Control-Allow-Credentials", "true")
	if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
		header.Set("Access-Control-Allow-Methods", "GET, POST")
		header.Set("Access-Control-Allow-Headers", "Content-Type")
		header.Set("Access-Control-Max-Age", "600")
		w.WriteHeader(http.StatusNoContent)
		return true
	}
	// For the protection against forged requests, the house's own site is itself.
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return false
}

// siteOrigin reports whether an origin is exactly that of one of the house's sites,
// by https unless this machine serves itself.
func (h *House) siteOrigin(origin string, secure bool) bool {
	u, err := url.Parse(origin)
	if err != nil || u.Scheme+"://"+u.Host != origin || u.Scheme != "https" && (secure || u.Scheme != "http") {
		return false
	}
	plan := h.planOrNil()
	return plan != nil && slices.ContainsFunc(plan.Sites, func(s policy.Site) bool { return slices.Contains(s.Hosts, u.Host) })
}
