package gateway

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tillid/tillid/internal/policy"
)

// guardOf asks for the guard at a host.
func (g *rig) guardOf(host string) *http.Response {
	g.t.Helper()
	mux := http.NewServeMux()
	g.PublicRoutes(mux)
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequestWithContext(g.t.Context(), http.MethodGet, "http://"+host+guardPath, nil))
	return w.Result()
}

// The guard holds the policy of its visitor's choice, is kept by no cache, and
// holds nothing that a page's policy cannot say.
func TestGuard(t *testing.T) {
	g := newRig(t, "enforce", page)
	g.plan.Sites[0].Consent = "consent.eksempel.test"
	for _, host := range []string{siteHost, "consent.eksempel.test"} {
		g.services = nil
		resp := g.guardOf(host)
		strict := body(t, resp)
		if cache := resp.Header.Get("Cache-Control"); cache != "private, no-store" {
			t.Errorf("%s: the guard may be cached: %q", host, cache)
		}
		if strings.Contains(strict, "tag.test") || strings.Contains(strict, "report-uri") || !strings.Contains(strict, `"enforce":true,"granted":false`) {
			t.Errorf("%s, nothing chosen: %.900s", host, strict)
		}
		if !strings.Contains(strict, " consent.eksempel.test;") {
			t.Errorf("%s: the script cannot reach Tillid: %.900s", host, strict)
		}
		g.services = []string{"counter"}
		if wide := body(t, g.guardOf(host)); !strings.Contains(wide, "tag.test") || strings.Contains(wide, "video.test") || !strings.Contains(wide, `"granted":true`) {
			t.Errorf("%s, the counter granted: %.900s", host, wide)
		}
	}
	if resp := g.guardOf("other.test"); resp.StatusCode != http.StatusNotFound {
		t.Errorf("another host: %d", resp.StatusCode)
	}
}

// Nothing in a declaration gets out of the string that it stands in.
func TestGuardIsInert(t *testing.T) {
	g := newRig(t, "enforce", page)
	g.plan.Services = append(g.plan.Services, policy.Service{ID: "evil", Gate: "none", Hosts: policy.Hosts{Script: []string{"a.test</script>", `b.test"+alert(1)+"`, "c.test\u2028"}}})
	g.plan.Sites[0].Hosts = append(g.plan.Sites[0].Hosts, `d.test"</script>`)
	got := body(t, g.guardOf(siteHost))
	for _, bad := range []string{"</script", `"+alert`, "\u2028"} {
		if strings.Contains(got, bad) {
			t.Errorf("the guard holds %q", bad)
		}
	}
	if strings.ContainsAny(g.Strictest(), `"<>`) {
		t.Errorf("the strictest policy holds markup: %s", g.Strictest())
	}
}

// What only the snippet loads stays small.
func TestGuardIsSmall(t *testing.T) {
	if n := len(guardSource); n > 4<<10 {
		t.Errorf("guard.js has %d bytes", n)
	}
}
