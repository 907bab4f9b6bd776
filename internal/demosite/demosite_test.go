package demosite

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/PuerkitoBio/goquery"
)

var testHosts = Hosts{Google: "google.localhost:1", Meta: "meta.localhost:1", LinkedIn: "linkedin.localhost:1", YouTube: "youtube.localhost:1"}

func get(t *testing.T, h http.Handler, host, path string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+host+path, nil)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func document(t *testing.T, w *httptest.ResponseRecorder) *goquery.Document {
	t.Helper()
	d, err := goquery.NewDocumentFromReader(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// Every page answers in its language, and every link on it leads somewhere.
func TestPages(t *testing.T) {
	site := Site(testHosts)
	for _, p := range sitePages {
		w := get(t, site, "site.test", p.Path)
		d := document(t, w)
		if lang, _ := d.Find("html").Attr("lang"); w.Code != http.StatusOK || lang != p.Lang || d.Find("h1").Length() != 1 {
			t.Errorf("%s: %d, language %q, %d headings", p.Path, w.Code, lang, d.Find("h1").Length())
		}
		d.Find("a[href^='/']").Each(func(_ int, a *goquery.Selection) {
			to, _ := a.Attr("href")
			if strings.HasPrefix(to, "/privacy") {
				return // Tillid's own
			}
			if w := get(t, site, "site.test", to); w.Code != http.StatusOK {
				t.Errorf("%s links to %s: %d", p.Path, to, w.Code)
			}
		})
	}
	if w := get(t, site, "site.test", "/nowhere"); w.Code != http.StatusNotFound || !strings.Contains(w.Body.String(), "Findes ikke") {
		t.Errorf("missing page: %d", w.Code)
	}
}

// The site's share links are plain links: no script and no picture of a network
// is needed for them. Its tags are ungated, as sites have them.
//
// Rows: A9.
func TestShareLinksNeedNobody(t *testing.T) {
	d := document(t, get(t, Site(testHosts), "site.test", "/"))
	links := d.Find(".share a")
	if links.Length() < 3 {
		t.Fatalf("%d share links", links.Length())
	}
	links.Each(func(_ int, a *goquery.Selection) {
		if to, ok := a.Attr("href"); !ok || to == "" || a.Find("img, iframe, script").Length() > 0 {
			t.Errorf("share link %q is not plain", a.Text())
		}
	})
	outside := map[string]bool{}
	d.Find("script[src], iframe[src], img[src]").Each(func(_ int, s *goquery.Selection) {
		src, _ := s.Attr("src")
		if u, err := url.Parse(src); err == nil && u.Host != "" {
			outside[u.Host] = true
		}
	})
	for _, host := range []string{testHosts.Google, testHosts.YouTube} {
		if !outside[host] {
			t.Errorf("the site loads nothing from %s: there would be nothing to gate", host)
		}
	}
}

// The stand-ins count who was asked and hold nothing about who asked.
func TestOutsideCounts(t *testing.T) {
	world := Outside()
	if len(world.Counts()) != 0 {
		t.Fatal("it begins with counts")
	}
	script := get(t, world, testHosts.Google, "/gtag/js?id=G-1")
	if !strings.Contains(script.Body.String(), `"_ga"`) || script.Header().Get("Content-Type") == "" {
		t.Errorf("the script sets no cookie: %s", script.Body)
	}
	get(t, world, testHosts.Google, "/g/collect?v=2&cid=secret")
	get(t, world, testHosts.YouTube, "/embed/one")
	if c := world.Counts(); c["google.localhost"] != 2 || c["youtube.localhost"] != 1 {
		t.Errorf("counts %v", c)
	}
	if page := get(t, world, "outside.localhost", "/").Body.String(); strings.Contains(page, "secret") || !strings.Contains(page, "google.localhost") {
		t.Errorf("page: %s", page)
	}
	for range 1000 {
		get(t, world, "flood"+strings.Repeat("x", 300)+".test", "/"+strings.Repeat("y", 500))
	}
	if n := len(world.lines()); n > 10 {
		t.Errorf("%d lines after a flood of one kind", n)
	}
}
