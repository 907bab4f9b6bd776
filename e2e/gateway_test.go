//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/storage"
	"github.com/chromedp/chromedp"
)

// cookie returns a cookie that the browser holds, HttpOnly ones too; nil when
// there is none of that name.
func (b *browser) cookie(name string) *network.Cookie {
	b.t.Helper()
	var found *network.Cookie
	b.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		got, err := cdp.Call(ctx, t, storage.GetCookies, storage.GetCookiesParams{})
		for _, c := range got.Cookies {
			if c.Name == name {
				found = c
			}
		}
		return err
	}))
	return found
}

// eval returns what an expression gives in the page.
func eval[T any](b *browser, js string) T {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](js))
	if err != nil {
		b.t.Fatalf("%s: %v", js, err)
	}
	return v
}

// A yes to one service lets in that one and no other; the one click that
// withdraws, on any page, puts it out again and takes its cookies away. The
// outside hosts agree: they count who asked.
func TestYesToOneService(t *testing.T) {
	d := startDemo(t)
	b := newBrowser(t, desktop)
	b.open(d.at("site", "/en/"))
	b.do(chromedp.WaitVisible(".tillid-banner"))
	b.quiet()
	if page := d.visitor(t, "en").get("outside", "/").body; !strings.Contains(page, "No browser has asked") {
		t.Errorf("the outside world was asked before a choice:\n%s", page)
	}
	b.open(d.at("site", "/privacy/choices?lang=en"))
	b.do(chromedp.Click("#item-google_analytics"))
	b.press(`button[value="some"]`)
	b.wants("Your choice is saved", "Google Analytics")
	b.seen()
	b.open(d.at("site", "/en/"))
	b.quiet()
	if got := b.seen(); !slices.Equal(got, []string{"google.localhost", "site.localhost"}) {
		t.Errorf("after a yes to Google Analytics the browser asked %v", got)
	}
	if b.cookie("_ga") == nil {
		t.Error("the tag ran, but set no cookie: the rest of this test shows nothing")
	}
	b.press(".tillid-link")
	b.quiet()
	b.seen()
	b.open(d.at("site", "/en/products"))
	b.quiet()
	if got := b.seen(); !slices.Equal(got, []string{"site.localhost"}) {
		t.Errorf("after withdrawal the browser asked %v", got)
	}
	if b.cookie("_ga") != nil {
		t.Error("the cookie _ga is still there after withdrawal")
	}
	b.noErrors()
}

// change replaces text in the estate's declaration.
func (e *estate) change(t testing.TB, pairs ...string) {
	t.Helper()
	name := filepath.Join(e.dir, "tillid.yaml")
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		if !strings.Contains(string(b), pairs[i]) {
			t.Fatalf("the declaration does not say %q", pairs[i])
		}
	}
	if err := os.WriteFile(name, []byte(strings.NewReplacer(pairs...).Replace(string(b))), 0o600); err != nil {
		t.Fatal(err)
	}
}

// lite makes the estate's databases files in its folder.
func lite(string) string { return "" }

// In observe mode nothing is stopped, and everything that would be is listed. After
// publishing with enforce, beside the running server, the same page loads nothing
// that is not declared.
func TestObserveThenEnforce(t *testing.T) {
	outside := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/javascript")
		fmt.Fprint(w, "window.tagged = true")
	}))
	defer outside.Close()
	_, port, _ := strings.Cut(strings.TrimPrefix(outside.URL, "http://"), ":")
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprintf(w, `<!doctype html><html lang="en"><title>Site</title><h1>Site</h1><script src="http://tag.test:%s/tag.js"></script>
<img src="http://pixel.test:%[1]s/p.gif" alt=""><script src="https://www.googletagmanager.com/gtag/js"></script>`, port)
	}))
	defer site.Close()
	e := newEstate(t, "observe", lite)
	e.change(t, "mode: enforce", "mode: observe", e.site.URL, site.URL)
	s := e.serve(t)
	b := newBrowser(t, desktop)
	_, at, _ := strings.Cut(s.addr, ":")
	b.open("http://www.observe.test:" + at + "/")
	b.quiet()
	if !eval[bool](b, "window.tagged === true") {
		t.Error("observe mode stopped a script")
	}
	if got := b.seen(); !slices.Contains(got, "pixel.test") || !slices.Contains(got, "tag.test") {
		t.Errorf("observe mode stopped something: the browser asked %v", got)
	}
	session := s.signIn(t)
	var page string
	eventually(t, "the drift is listed", func() bool {
		page = s.must(t, http.StatusOK, "GET", e.office()+"/drift", "", "Cookie", session, "Accept-Language", "en").body
		return strings.Contains(page, "tag.test") && strings.Contains(page, "pixel.test") && strings.Contains(page, "www.googletagmanager.com")
	})
	if !strings.Contains(page, "Observing") || strings.Contains(page, ">stopped<") {
		t.Error("the page does not say that nothing is stopped")
	}
	e.change(t, "mode: observe", "mode: enforce")
	if out, code := tillid(t, "publish", "--house", e.dir); code != 0 {
		t.Fatalf("publish: %d\n%s", code, out)
	}
	b.seen()
	b.open("http://www.observe.test:" + at + "/")
	b.do(chromedp.WaitVisible(".tillid-banner"))
	b.quiet()
	if eval[bool](b, "window.tagged === true") {
		t.Error("enforce mode let a script in that nothing declares")
	}
	if got := b.seen(); !slices.Equal(got, []string{"www.observe.test"}) {
		t.Errorf("in enforce mode the browser asked %v", got)
	}
}

// When the site behind the gateway is down, the visitor is told so, and the form,
// the policy and the portal work.
func TestUpstreamDown(t *testing.T) {
	e := newEstate(t, "nede", lite)
	e.site.Close()
	s := e.serve(t)
	page := s.must(t, http.StatusServiceUnavailable, "GET", e.www()+"/", "", "Accept", "text/html", "Accept-Language", "en")
	if !strings.Contains(page.body, "does not answer just now") || !strings.Contains(page.body, "still work") || strings.Contains(page.body, "127.0.0.1") {
		t.Errorf("the page of a site that is down:\n%s", page.body)
	}
	s.must(t, http.StatusOK, "GET", e.www()+"/privacy/form/contact", "")
	thanks := s.must(t, http.StatusSeeOther, "POST", e.www()+"/_tillid/forms/contact", "name=Karla&email=karla@example.dk&message=Hej", "Content-Type", formType)
	s.must(t, http.StatusOK, "GET", e.www()+thanks.to(), "")
	for _, path := range []string{"/privacy", "/privacy/me", "/privacy/choices", "/_tillid/health"} {
		s.must(t, http.StatusOK, "GET", e.www()+path, "")
	}
}
