package gateway

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"
	"github.com/google/go-cmp/cmp"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/db/dbtest"
	"github.com/tillid/tillid/internal/web"
)

// A flood of made-up reports of one kind fills its own room only: cookies, headers
// and leftovers are recorded and shown as before, and the flood goes again by itself.
//
// Rows: A7, E10.
func TestFlood(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		g := newRig(t, "enforce", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Set-Cookie", "cart=1")
			w.Header().Set("Link", "<https://spy.test/>; rel=preload")
			page(w, r)
		})
		g.DB = d
		v := g.visit(httptest.NewRequest("GET", "https://"+siteHost+"/", nil))
		flood := func(round int) {
			for i := range maxWaiting + 100 {
				g.heed(v, report{Document: "https://" + siteHost + "/", Blocked: fmt.Sprintf("https://h%d-%d.test/", round, i), Directive: "img-src"})
			}
		}
		store := func() {
			t.Helper()
			if err := g.flush(t.Context(), true); err != nil {
				t.Fatal(err)
			}
		}
		count := func() map[string]int {
			t.Helper()
			all, err := countDrift(t.Context(), d)
			if err != nil {
				t.Fatal(err)
			}
			by := map[string]int{}
			for of, n := range all {
				by[of.kind] += n
			}
			return by
		}
		for round := range 4 {
			flood(round)
			if n := len(g.drift.found); n != maxWaiting {
				t.Fatalf("%d findings in memory", n)
			}
			store()
		}
		if got := count(); got["request"] != maxRows || len(got) != 1 {
			t.Fatalf("after the flood: %v", got)
		}
		flood(5) // also while the flood fills its room in memory
		g.get("/")
		g.Leftover(httptest.NewRequest("POST", "https://"+siteHost+"/", nil), "local_storage", "profile", "/")
		store()
		want := map[string]int{"request": maxRows, "cookie": 1, "header": 1, leftover: 1}
		if diff := cmp.Diff(want, count()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if _, ok := g.listedSince("main", "cart"); !ok {
			t.Error("the cookie's grace has not begun: it would never be stopped, or never be listed")
		}
		text := func(query string) string { return g.driftText(t, query) }
		all := text("")
		for _, word := range []string{"cart", "Link", "profile", "There is no room for more", "More is listed than is shown here"} {
			if !strings.Contains(all, word) {
				t.Errorf("the page does not say %q", word)
			}
		}
		if got := text("&kind=cookie"); !strings.Contains(got, "cart") || strings.Contains(got, "profile") || strings.Contains(got, "h0-1.test") {
			t.Errorf("cookies alone: %s", got)
		}
		if got := text("&kind=leftover&site=main&q=PROF"); !strings.Contains(got, "profile") || strings.Contains(got, "cart") {
			t.Errorf("leftovers alone: %s", got)
		}
		if got := text("&q=spy.te"); !strings.Contains(got, "Link") || strings.Contains(got, "cart") {
			t.Errorf("one host: %s", got)
		}
		for _, none := range []string{"&q=%25", "&q=_", "&site=other", "&q=%27%20or%201=1"} {
			if got := text(none); !strings.Contains(got, "Nothing matches") {
				t.Errorf("%s: %s", none, got)
			}
		}
		g.now = g.now.Add(doubtIn + time.Hour)
		if err := g.forget(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := count(); got["request"] != 0 || got["cookie"] != 1 || got[leftover] != 1 {
			t.Errorf("a day later: %v", got)
		}
	})
}

// driftText is what the page of the Backoffice says.
func (g *rig) driftText(t *testing.T, query string) string {
	t.Helper()
	w := httptest.NewRecorder()
	web.Wrap(g.Log, g.driftPage).ServeHTTP(w, httptest.NewRequest("GET", "/drift?lang=en"+query, nil))
	doc, err := goquery.NewDocumentFromReader(w.Body)
	if err != nil || w.Code != http.StatusOK {
		t.Fatalf("%d %v", w.Code, err)
	}
	return doc.Find("main .notice, main p, main tbody, main .empty").Text()
}

// Nothing that a browser calls its page leaves more than a path, without what may
// belong to one person: no address of mail, no token, no number, no query.
//
// Rows: A7.
func TestPagesHoldNobody(t *testing.T) {
	for in, want := range map[string]string{
		"/":                                   "/",
		"/produkter/kasse-system":             "/produkter/kasse-system",
		"/om_os/kontakt.html":                 "/om_os/kontakt.html",
		"/side/2":                             "/side/2",
		"/søg/ældre":                          "/søg/ældre",
		"/kunde/12345/ordre":                  "/kunde/*/ordre",
		"/find?q=anna":                        "/find",
		"/find#anna":                          "/find",
		"/nyt?anna@example.dk":                "/nyt",
		"/bruger/anna@example.dk":             "/bruger/*",
		"/bruger/anna%40example.dk":           "/bruger/*",
		"/bruger/mail:anna":                   "/bruger/*",
		"/privacy/me/open/abcdefghij":         "/privacy/me/*/*",
		"/privacy/me":                         "/privacy/me",
		"/_tillid/receipt/kjhgfdsaqwer":       "/_tillid/receipt/*",
		"/nulstil/aBcDeFgHiJkLmN":             "/nulstil/*",
		"/nulstil/a8f0":                       "/nulstil/*",
		"/nulstil/x.a8f0c3d2e1":               "/nulstil/*",
		"/nulstil/" + strings.Repeat("a", 41): "/nulstil/*",
		"/a;tlf=12345678":                     "/*",
		"/a b":                                "/*",
		"/a/b/c/d/e/f/g/h":                    "/a/b/c/d/e/*",
		"":                                    "*",
		"anna@example.dk":                     "*",
		"https://www.eksempel.test/anna":      "*",
		"//anna@example.dk/":                  "*",
		"/\x00\n":                             "/*",
		"/\xff":                               "/*",
	} {
		if got := template(in); got != want {
			t.Errorf("%q is kept as %q, want %q", in, got, want)
		}
	}
	if long := template("/" + strings.Repeat("a/", 5000)); len(long) > maxPath+2 {
		t.Errorf("%d bytes are kept", len(long))
	}
}

// By both ways in which a browser names its page, and its hosts and names, nothing
// personal gets into the list.
func TestReportsHoldNobody(t *testing.T) {
	g := newRig(t, "enforce", page)
	at := "https://" + siteHost
	v := g.visit(httptest.NewRequest("GET", at+"/", nil))
	for _, p := range []string{"/bruger/anna@example.dk?tlf=12345678#anna", "/privacy/me/open/annatoken", "/bruger/anna%40example.dk"} {
		g.heed(v, report{Document: at + p, Blocked: "https://spy.test/annasecret?anna", Directive: "img-src"})
		g.Leftover(httptest.NewRequest("POST", at+"/_tillid/left", nil), "cookie", "cart", p)
		g.Leftover(httptest.NewRequest("POST", at+"/_tillid/left", nil), "cookie", "cart", at+p)
	}
	for _, blocked := range []string{"https://anna@example.dk@spy.test/", "https://anna hansen/", "https://spy.test:anna/", "https://<anna>/", "https://anna@/"} {
		g.heed(v, report{Document: at + "/", Blocked: blocked, Directive: "anna"})
	}
	for _, name := range []string{"anna@example.dk", "anna hansen", "user-12345678-anna@x"} {
		g.Leftover(httptest.NewRequest("POST", at+"/_tillid/left", nil), "local_storage", name, "/")
	}
	if len(g.drift.found) < 5 {
		t.Fatalf("only %d are listed", len(g.drift.found))
	}
	for f := range g.drift.found {
		if s := fmt.Sprintf("%+v", f); strings.Contains(s, "anna") || strings.Contains(s, "1234") || strings.ContainsAny(f.Page+f.Subject, "@?#%") {
			t.Errorf("kept: %s", s)
		}
	}
}
