package gateway

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// ask is what a server in front does.
func (g *rig) ask(host string, headers ...string) http.Header {
	g.t.Helper()
	mux := http.NewServeMux()
	g.PublicRoutes(mux)
	r := httptest.NewRequestWithContext(g.t.Context(), http.MethodGet, "http://"+host+forwardPath, nil)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	if want := http.StatusNoContent; host == siteHost && w.Code != want {
		g.t.Fatalf("%s: %d, want %d", host, w.Code, want)
	}
	return w.Result().Header
}

// A server in front is told for each request exactly what the gateway would have
// added to the answer itself, under names that nothing else uses.
func TestForward(t *testing.T) {
	for _, mode := range []string{"enforce", "observe"} {
		g := newRig(t, mode, page)
		name := map[string]string{"enforce": "Content-Security-Policy", "observe": "Content-Security-Policy-Report-Only"}[mode]
		for _, services := range [][]string{nil, {"maps"}} {
			g.services = services
			for _, request := range [][]string{
				{"Sec-Fetch-Dest", "document"}, {"Accept", "text/html,*/*"}, {"Sec-Fetch-Dest", "image"}, {"Sec-Fetch-Dest", "worker"},
			} {
				told, passed := g.ask(siteHost, request...), g.get("/", request...).Header
				for _, header := range []string{name, "Permissions-Policy", "Referrer-Policy"} {
					if got, want := told.Get("Tillid-"+header), passed.Get(header); got != want {
						t.Errorf("%s %v %v: %s is told as %q, and added as %q", mode, services, request, header, got, want)
					}
				}
				if told.Get("Tillid-"+name) == "" {
					t.Errorf("%s %v: no policy", mode, request)
				}
				if told.Get("Cache-Control") != "no-store" {
					t.Errorf("the answer itself may be cached: %q", told.Get("Cache-Control"))
				}
			}
			cache := g.ask(siteHost, "Sec-Fetch-Dest", "document").Get("Tillid-Cache-Control")
			if want := map[bool]string{false: "private, no-cache", true: "private, no-store"}[len(services) > 0]; cache != want {
				t.Errorf("a page of %v may be cached as %q, want %q", services, cache, want)
			}
			if cache := g.ask(siteHost, "Sec-Fetch-Dest", "image").Get("Tillid-Cache-Control"); cache != "" {
				t.Errorf("a picture's caching is changed to %q", cache)
			}
		}
	}
}

// A host that is not declared gets no header, so that the server in front falls
// back on its own, strictest one; neither does anybody before a declaration is in force.
func TestForwardUnknown(t *testing.T) {
	g := newRig(t, "enforce", page)
	for name := range g.ask("other.test") {
		if strings.HasPrefix(name, "Tillid-") {
			t.Errorf("another host is told %s", name)
		}
	}
	g.plan = nil
	mux := http.NewServeMux()
	g.PublicRoutes(mux)
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+siteHost+forwardPath, nil))
	if w.Code != http.StatusNotFound {
		t.Errorf("without a declaration: %d", w.Code)
	}
}
