//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// A Tag Manager container behind the gateway: without a yes it does not load; with
// one it runs, and its custom tags still reach only hosts that have one too. What
// they store in the page's name nobody stops: it goes when it is declared, and is
// listed when it is not. The two other ways to install are tried with the same
// container in TestServersInFront and TestSnippet.
//
// Rows: A1, A5, E10.
func TestContainer(t *testing.T) {
	c, outside := newCertificate(t), &outsider{}
	tag := c.serve(t, outside)
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprintf(w, `<!doctype html><html lang="en"><head><title>Site</title><script>window.own = true</script>
<script async src="https://tag.outside.test:%s/tag.js"></script></head><body><h1>The company's own page</h1>
<noscript><iframe src="https://tag.outside.test:%[1]s/ns.html"></iframe></noscript></body></html>`, tag)
	}))
	t.Cleanup(site.Close)
	e := newEstate(t, "container", lite)
	e.change(t, e.site.URL, site.URL, "www.googletagmanager.com", "tag.outside.test:"+tag)
	s := e.serve(t)
	port := c.serve(t, &httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) {
		p.SetURL(&url.URL{Scheme: "http", Host: s.addr})
		p.Out.Host = p.In.Host
		p.SetXForwarded()
	}})
	at := "https://www.container.test:" + port
	b := newBrowser(t, look{width: 1280, height: 900, lang: "en", pin: c.pin})
	is := func(when string, ran string, asked ...string) {
		t.Helper()
		late()
		if got := outside.take(); !slices.Equal(got, asked) {
			t.Errorf("%s the outside world was asked %v, want %v", when, got, asked)
		}
		if got := b.ran(); got != ran || !eval[bool](b, "window.own === true") {
			t.Errorf("%s %q ran, want %q", when, got, ran)
		}
	}
	b.open(at + "/")
	b.do(chromedp.WaitVisible(".tillid-banner"))
	is("before a choice", "")
	b.press(".tillid-banner .tillid-button:last-child")
	b.do(chromedp.WaitVisible(".tillid-entry"))
	is("after a yes to everything declared", "tag.outside.test ", "tag.outside.test/tag.js")
	if c := b.cookie("custom_tag"); c == nil {
		t.Error("the container stored nothing: that this is listed shows nothing")
	}
	b.press(".tillid-entry .tillid-link")
	b.open(at + "/")
	is("after withdrawal", "")
	session := s.signIn(t)
	eventually(t, "what the custom tags tried and left is listed", func() bool {
		page := s.must(t, http.StatusOK, "GET", s.office()+"/drift", "", "Cookie", session).page(t)
		rows := page.Find("tbody").Text()
		return strings.Contains(rows, "custom.outside.test") && strings.Contains(rows, "custom_tag")
	})
	b.noErrors()
}
