package gateway

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/PuerkitoBio/goquery"
)

// The site's own policy stays, with room for the banner and for nothing else.
// Rows: A3.
func TestSitesOwnPolicy(t *testing.T) {
	const own = siteHost + "/_tillid/"
	for name, test := range map[string]struct{ in, want string }{
		"nothing about code":  {"frame-ancestors 'none'; upgrade-insecure-requests", "frame-ancestors 'none'; upgrade-insecure-requests"},
		"self is enough":      {"default-src 'self' 'unsafe-inline'", "default-src 'self' 'unsafe-inline'"},
		"all is enough":       {"default-src * 'unsafe-inline'", "default-src * 'unsafe-inline'"},
		"nothing":             {"default-src 'none'", "default-src 'none'; script-src 'nonce-N'; style-src 'nonce-N'; connect-src " + own + "; img-src " + own + "; frame-src " + own},
		"a nonce":             {"script-src 'nonce-abc123' 'strict-dynamic'; object-src 'none'; base-uri 'none'", "script-src 'nonce-abc123' 'strict-dynamic'; object-src 'none'; base-uri 'none'"},
		"a nonce for code":    {"script-src 'nonce-abc123'; style-src 'self'", "script-src 'nonce-abc123'; style-src 'self' 'nonce-abc123'"},
		"a hash":              {"script-src 'sha256-AAAA' 'unsafe-inline'", "script-src 'sha256-AAAA' 'unsafe-inline' 'nonce-N'"},
		"inline stays":        {"script-src https://cdn.test 'unsafe-inline'", "script-src https://cdn.test 'unsafe-inline' " + own},
		"elements":            {"script-src 'none'; script-src-elem 'self' 'unsafe-inline'", "script-src 'none'; script-src-elem 'self' 'unsafe-inline'"},
		"forms":               {"form-action 'none'", "form-action " + own},
		"frames":              {"child-src 'none'", "child-src 'none'; frame-src " + own},
		"twice the same":      {"img-src 'none'; img-src *", "img-src " + own},
		"trusted types":       {"require-trusted-types-for 'script'; trusted-types 'none'", "require-trusted-types-for 'script'; trusted-types 'none'"},
		"a nonce of no form":  {`script-src 'nonce-"><script>'`, `script-src 'nonce-"><script>' 'nonce-N'`},
		"report elsewhere":    {"img-src *; report-uri https://spy.test/r /own", "img-src *; report-uri /own"},
		"report only outside": {"img-src *; report-uri https://spy.test/r", "img-src *"},
	} {
		t.Run(name, func(t *testing.T) {
			g := newRig(t, "enforce", func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Security-Policy", test.in)
				page(w, r)
			})
			g.Head = func(*http.Request, string) []byte { return []byte(`<script src="/_tillid/t.js" defer></script>`) }
			resp := g.get("/")
			doc, err := goquery.NewDocumentFromReader(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			nonce, has := doc.Find("script").Attr("nonce")
			got := resp.Header.Values("Content-Security-Policy")[0]
			if has != strings.Contains(got, "'nonce-"+nonce+"'") {
				t.Errorf("our script has nonce %q, the policy is %q", nonce, got)
			}
			if has && strings.Contains(test.want, "'nonce-N'") {
				if len(nonce) < 20 {
					t.Errorf("nonce %q", nonce)
				}
				got = strings.ReplaceAll(got, "'nonce-"+nonce+"'", "'nonce-N'")
			}
			if got != test.want {
				t.Errorf("%q became\n%q, want\n%q", test.in, got, test.want)
			}
		})
	}
}

// Two answers never share a nonce, and policies in the page itself are opened too.
func TestSitesOwnPolicyInThePage(t *testing.T) {
	g := newRig(t, "observe", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		io.WriteString(w, `<!doctype html><head><meta http-equiv="Content-Security-Policy" content="script-src 'sha256-AA&#x3d;'"><title>æ</title></head><body>`)
	})
	g.Head = func(*http.Request, string) []byte {
		return []byte(`<link rel="stylesheet" href="/_tillid/t.css"><script>1</script>`)
	}
	seen := map[string]bool{}
	for range 2 {
		doc, err := goquery.NewDocumentFromReader(g.get("/").Body)
		if err != nil {
			t.Fatal(err)
		}
		nonce, _ := doc.Find("script").Attr("nonce")
		if content, _ := doc.Find("meta").Attr("content"); nonce == "" || seen[nonce] || content != "script-src 'sha256-AA=' 'nonce-"+nonce+"'" {
			t.Errorf("nonce %q, policy %q", nonce, content)
		}
		if n, _ := doc.Find("link").Attr("nonce"); n != nonce {
			t.Errorf("the style has nonce %q", n)
		}
		seen[nonce] = true
	}
}

func TestPermissions(t *testing.T) {
	for name, test := range map[string]struct {
		site     string
		services []string
		has, not []string
	}{
		"alone":     {"", nil, []string{`camera=(self "https://` + siteHost + `" "https://static.eksempel.test")`, "browsing-topics=()"}, nil},
		"stricter":  {"camera=(), geolocation=(self)", nil, []string{"camera=(), geolocation=(self), ", "browsing-topics=()"}, []string{"camera=(self", `geolocation=(self "`}},
		"topics":    {"browsing-topics=*", nil, []string{"browsing-topics=*, ", ", browsing-topics=()"}, nil},
		"broken":    {"camera 'none'; nonsense", nil, []string{"camera=(self"}, []string{"nonsense"}},
		"a service": {"", []string{"video"}, []string{`microphone=(self "https://` + siteHost + `" "https://static.eksempel.test" "https://video.test")`}, nil},
		"ads":       {"", []string{"counter"}, []string{"camera=("}, []string{"browsing-topics"}},
	} {
		g := newRig(t, "enforce", func(w http.ResponseWriter, r *http.Request) {
			if test.site != "" {
				w.Header().Set("Permissions-Policy", test.site)
			}
			page(w, r)
		})
		g.plan.Purposes[0].Ads = true
		g.services = test.services
		got := strings.Join(g.get("/").Header.Values("Permissions-Policy"), " AND ")
		for _, want := range test.has {
			if !strings.Contains(got, want) {
				t.Errorf("%s: %q has no %q", name, got, want)
			}
		}
		for _, not := range test.not {
			if strings.Contains(got, not) {
				t.Errorf("%s: %q has %q", name, got, not)
			}
		}
	}
}

func TestReferrerPolicy(t *testing.T) {
	for site, want := range map[string]string{
		"": "strict-origin-when-cross-origin", "no-referrer": "no-referrer", "same-origin": "same-origin", "unsafe-url": "strict-origin-when-cross-origin",
		"no-referrer, unsafe-url": "strict-origin-when-cross-origin", "unsafe-url, strict-origin, future": "unsafe-url, strict-origin, future", "nonsense": "strict-origin-when-cross-origin",
	} {
		g := newRig(t, "enforce", func(w http.ResponseWriter, r *http.Request) {
			if site != "" {
				w.Header().Set("Referrer-Policy", site)
			}
			page(w, r)
		})
		if got := g.get("/").Header.Get("Referrer-Policy"); got != want {
			t.Errorf("%q becomes %q, want %q", site, got, want)
		}
	}
	g := newRig(t, "observe", page)
	if h := g.get("/").Header; h.Get("Referrer-Policy") != "" || h.Get("Permissions-Policy") != "" {
		t.Errorf("observe mode adds %v", h)
	}
}
