//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// beside is a site that does not stand behind Tillid: its own server answers, and
// its pages hold what tillid snippet prints. Tillid answers at a name below the
// site's, over https, at another address.
type beside struct {
	*served
	certificate *certificate
	outside     *outsider
	tag         string              // port of the outside hosts
	head        atomic.Value        // string: what the snippet printed
	page        func(string) string // what the site's pages hold, with the port of the outside
	whole       http.Handler        // answers instead of a page with that; nil: none does
	port        string              // of the site
	consent     string              // host and port at which Tillid answers
	backend     atomic.Pointer[http.HandlerFunc]
}

func newBeside(t *testing.T, mode string) *beside {
	t.Helper()
	b := &beside{certificate: newCertificate(t), outside: &outsider{}}
	b.head.Store("")
	b.page = func(tag string) string {
		return fmt.Sprintf(`<script src="https://tag.outside.test:%s/tag.js"></script><script>fetch("https://stray.outside.test:%[1]s/x").catch(function () {})</script>`, tag)
	}
	b.tag = b.certificate.serve(t, b.outside)
	b.port = b.certificate.serve(t, http.HandlerFunc(b.answer))
	b.behind(http.NotFound)
	b.consent = "consent.tag.test:" + b.certificate.serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		(*b.backend.Load())(w, r)
	}))
	e := newEstate(t, "tag", lite)
	e.change(t, "mode: enforce", "mode: "+mode, "hosts: [www.tag.test]", "hosts: [www.tag.test:"+b.port+"]\n    consent_host: "+b.consent,
		"www.googletagmanager.com", "tag.outside.test:"+b.tag)
	b.served = e.serve(t)
	b.behind((&httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) {
		p.SetURL(&url.URL{Scheme: "http", Host: b.addr})
		p.Out.Host = p.In.Host
		p.SetXForwarded()
	}}).ServeHTTP)
	out, code := tillid(t, "snippet", "--json", "--house", b.dir)
	var printed []struct{ Guard, Fallback, Banner string }
	if err := json.Unmarshal([]byte(out), &printed); err != nil || code != 0 || len(printed) != 1 {
		t.Fatal(code, err, out)
	}
	b.head.Store(printed[0].Guard + printed[0].Fallback + printed[0].Banner)
	return b
}

// behind puts h behind the name at which Tillid answers.
func (b *beside) behind(h http.HandlerFunc) { b.backend.Store(&h) }

// answer is the site's own server, which knows nothing of Tillid.
func (b *beside) answer(w http.ResponseWriter, r *http.Request) {
	if b.whole != nil {
		b.whole.ServeHTTP(w, r)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "public, max-age=600")
	fmt.Fprintf(w, `<!doctype html><html lang="en"><head><meta charset="utf-8">%s<title>Site</title></head><body><h1>The company's own page</h1>
<script>window.own = true</script>%s</body></html>`, b.head.Load(), b.page(b.tag))
}

func (b *beside) at(path string) string { return "https://www.tag.test:" + b.port + path }

func (b *beside) browser(t *testing.T) *browser {
	return newBrowser(t, look{width: 1280, height: 900, lang: "en", pin: b.certificate.pin})
}

// ran returns the outside scripts that ran in the page.
func (b *browser) ran() string { return eval[string](b, "window.ran || ''") }

// The printed tags on a site of its own: nothing outside runs before a yes, what
// was allowed runs after it, and nothing after withdrawal. The choice is set by the
// server, for the whole domain, and no script can read it.
//
// Rows: A1, A5, E10.
func TestSnippet(t *testing.T) {
	s := newBeside(t, "enforce")
	b := s.browser(t)
	b.open(s.at("/"))
	b.do(chromedp.WaitVisible(".tillid-banner"))
	b.quiet()
	if ran := b.ran(); ran != "" || !eval[bool](b, "window.own === true") {
		t.Errorf("before a choice %q ran; the site's own script ran: %v", ran, eval[bool](b, "window.own === true"))
	}
	// The browser's look-ahead may have asked for what stands in the markup; that is
	// what a script cannot stop. Nothing asked for by code gets out.
	if got := s.outside.take(); slices.Contains(got, "stray.outside.test/x") {
		t.Errorf("before a choice code reached %v", got)
	}
	b.press(".tillid-banner .tillid-button:last-child")
	b.quiet()
	if ran := b.ran(); ran != "tag.outside.test " {
		t.Errorf("after a yes %q ran", ran)
	}
	if got := s.outside.take(); !slices.Equal(got, []string{"tag.outside.test/tag.js"}) {
		t.Errorf("after a yes to everything declared, the container's custom tags or others reached %v", got)
	}
	c := b.cookie("tillid_choice")
	if c == nil || c.Domain != ".tag.test" || !c.HTTPOnly || !c.Secure || c.SameSite != network.CookieSameSiteLax || !eval[bool](b, "document.cookie.indexOf('tillid') < 0") {
		t.Errorf("the choice is kept as %+v", c)
	}
	b.press(".tillid-entry .tillid-link")
	b.quiet()
	if ran := b.ran(); ran != "" {
		t.Errorf("after withdrawal %q ran", ran)
	}
	b.press(".tillid-entry a")
	b.wants("Google Analytics")
	b.press(`button[value="all"]`)
	b.open(s.at("/"))
	b.quiet()
	if ran := b.ran(); ran != "tag.outside.test " {
		t.Errorf("after a yes on the choices page %q ran", ran)
	}
	b.noErrors()
}

// Whatever happens to Tillid, the page works and nothing outside runs.
func TestSnippetFailsClosed(t *testing.T) {
	s := newBeside(t, "enforce")
	status := func(code int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/javascript")
			w.WriteHeader(code)
			fmt.Fprint(w, body)
		}
	}
	for what, behave := range map[string]http.HandlerFunc{
		"away":    func(w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) },
		"broken":  status(http.StatusInternalServerError, "oops"),
		"corrupt": status(http.StatusOK, "var tillid_guard = {"),
		"empty":   status(http.StatusOK, ""),
	} {
		s.behind(behave)
		b := s.browser(t)
		b.open(s.at("/"))
		b.quiet()
		if ran := b.ran(); ran != "" || !eval[bool](b, "window.own === true") {
			t.Errorf("%s: %q ran; the site's own script ran: %v", what, ran, eval[bool](b, "window.own === true"))
		}
		if got := s.outside.take(); slices.Contains(got, "stray.outside.test/x") {
			t.Errorf("%s: code reached %v", what, got)
		}
		b.close()
	}
}

// In observe mode the tags break nothing, and what would be stopped is listed.
func TestSnippetObserves(t *testing.T) {
	s := newBeside(t, "observe")
	b := s.browser(t)
	b.open(s.at("/"))
	b.quiet()
	if got := s.outside.take(); !slices.Contains(got, "stray.outside.test/x") || !slices.Contains(got, "tag.outside.test/tag.js") || !slices.Contains(got, "custom.outside.test/c.js") {
		t.Errorf("observing stopped something: the outside world was asked %v", got)
	}
	session := s.signIn(t)
	eventually(t, "what would be stopped is listed", func() bool {
		drift := s.must(t, http.StatusOK, "GET", s.office()+"/drift", "", "Cookie", session).body
		return strings.Contains(drift, "stray.outside.test") && strings.Contains(drift, "tag.outside.test")
	})
	b.noErrors()
}

// Only pages of the declared site, by exactly its origin, may ask from another
// name, and no page about a person may be read so.
func TestSnippetOrigins(t *testing.T) {
	s := newBeside(t, "enforce")
	at := "https://" + s.consent
	client := clientOf(strings.Replace(s.consent, "consent.tag.test", "127.0.0.1", 1))
	client.Transport.(*http.Transport).TLSClientConfig = s.certificate.client()
	ask := func(method, path, origin string, more ...string) answer {
		t.Helper()
		a, err := send(client, method, at+path, "", append([]string{"Origin", origin}, more...)...)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	good := "https://www.tag.test:" + s.port
	a := ask(http.MethodGet, "/_tillid/guard.js", good)
	if a.Header.Get("Access-Control-Allow-Origin") != good || a.Header.Get("Access-Control-Allow-Credentials") != "true" || !strings.Contains(a.Header.Get("Cache-Control"), "no-store") {
		t.Errorf("the site's own pages get %v", a.Header)
	}
	pre := ask(http.MethodOptions, "/_tillid/csp", good, "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "content-type")
	if pre.StatusCode != http.StatusNoContent || pre.Header.Get("Access-Control-Allow-Headers") != "Content-Type" {
		t.Errorf("asked beforehand: %d %v", pre.StatusCode, pre.Header)
	}
	for _, origin := range []string{"http://www.tag.test:" + s.port, "https://www.tag.test", "https://evil.test", "https://www.tag.test.evil.test", "null", "https://tag.test:" + s.port} {
		for _, path := range []string{"/_tillid/guard.js", "/_tillid/csp"} {
			if a := ask(http.MethodGet, path, origin); a.Header.Get("Access-Control-Allow-Credentials") != "" || a.Header.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("%s may read %s: %v", origin, path, a.Header)
			}
		}
	}
	for _, path := range []string{"/privacy/me", "/privacy/choices", "/privacy"} {
		if a := ask(http.MethodGet, path, good); a.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("the site's scripts may read %s", path)
		}
	}
	if a := ask(http.MethodGet, "/own.js", good); a.StatusCode != http.StatusNotFound {
		t.Errorf("the site's own files are served at the other name: %d", a.StatusCode)
	}
	if a := ask(http.MethodGet, "/", ""); a.StatusCode != http.StatusSeeOther || a.to() != "/privacy" {
		t.Errorf("the root leads nowhere: %d %q", a.StatusCode, a.to())
	}
}
