//go:build e2e

package scan_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tillid/tillid/examples/eksempel"
	"github.com/tillid/tillid/internal/demosite"
	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/scan"
	"github.com/tillid/tillid/internal/text"
)

// world is a machine without an internet: the site answers under its name, and
// every other name in the world leads to a sink.
type world struct {
	t    *testing.T
	site *httptest.Server
	sink *httptest.Server
	host string
}

func newWorld(t *testing.T, host string, site, outside http.Handler) *world {
	t.Helper()
	w := &world{t: t, site: httptest.NewUnstartedServer(site), sink: httptest.NewUnstartedServer(outside), host: host}
	for _, s := range []*httptest.Server{w.site, w.sink} {
		s.Config.ErrorLog = log.New(io.Discard, "", 0) // what browsers break off
		s.StartTLS()
		t.Cleanup(s.Close)
	}
	return w
}

func (w *world) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	to := w.sink.Listener.Addr().String()
	if name, _, err := net.SplitHostPort(addr); err == nil && strings.EqualFold(name, w.host) {
		to = w.site.Listener.Addr().String()
	}
	return (&net.Dialer{}).DialContext(ctx, network, to)
}

// options are those of a scan that a test can wait for.
func (w *world) options(plan *policy.Plan) scan.Options {
	w.t.Helper()
	start, err := scan.Address("https://" + w.host + "/")
	if err != nil {
		w.t.Fatal(err)
	}
	chromium, err := scan.FindChromium(os.Getenv("TILLID_TEST_CHROMIUM"))
	if err != nil {
		w.t.Fatal(err)
	}
	return scan.Options{
		Start: start, Plan: plan, Chromium: chromium, NoSandbox: scan.Root(), Work: w.t.TempDir(), Now: time.Now, Dial: w.dial, TrustAnyCertificate: true,
		Limits:   scan.Limits{Pages: 30, Depth: 3, Load: 6 * time.Second, Settle: 2 * time.Second, Quiet: 300 * time.Millisecond, Page: 20 * time.Second, Bytes: 8 << 20, BannerTries: 2},
		Progress: func(p scan.Progress) { w.t.Logf("%s %s %d/%d %s", p.Pass, p.Page, p.Done, p.Of, p.Trouble) },
	}
}

func run(t *testing.T, o scan.Options) *scan.Result {
	t.Helper()
	r, err := scan.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err, fault.Of(err).Hint, fault.Of(err).Err)
	}
	return r
}

func item(r *scan.Result, kind, name string) *scan.Item {
	for _, it := range r.Items {
		if it.Kind == kind && it.Name == name {
			return it
		}
	}
	return nil
}

// hostile is a site that does everything that a scanner must live through. Its
// banner is Cookiebot's interface; a yes sets a cookie, and so does a no.
func hostile() http.Handler {
	mux := http.NewServeMux()
	page := func(path, body string) {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			io.WriteString(w, "<!doctype html><html lang=en><title>Hostile</title>"+body)
		})
	}
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "server_only", Value: "secret-value", Path: "/", HttpOnly: true, Secure: true, MaxAge: 30 * 86400})
		http.SetCookie(w, &http.Cookie{Name: "forever", Value: "secret-value", Path: "/", MaxAge: 3000 * 86400})
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		io.WriteString(w, `<!doctype html><html lang=en><title>Hostile</title>
<a href="/dialogs">a</a> <a href="/popups">b</a> <a href="/file">c</a> <a href="/loop">d</a> <a href="/hang">e</a> <a href="/huge">f</a>
<a href="/busy">g</a> <a href="/away">h</a> <a href="/endless/1?token=secret-query">i</a> <a href="/forbidden/x">j</a> <a href="/logout">k</a>
<a href="mailto:a@example.dk">l</a> <a href="javascript:alert(1)">m</a> <a href="https://elsewhere.invalid/">n</a> <a href="/picture.jpg">o</a>
<script src="https://tracker.invalid/t.js?id=secret-query"></script>
<img src="https://pixel.invalid/p.gif?email=secret-query" alt="">
<iframe src="https://frame.invalid/f" title="f"></iframe>
<script>
document.cookie = "script_cookie=secret-value; path=/; max-age=" + 30 * 60;
localStorage.setItem("basket", "secret-value"); sessionStorage.setItem("tab_id", "secret-value");
indexedDB.open("store-8f14e45fceea167a");
caches.open("offline").then(c => c.put("/x", new Response("secret-value")));
navigator.serviceWorker.register("/sw.js");
new RTCPeerConnection();
if (document.cookie.includes("cb=yes")) document.cookie = "_ga=secret-value; path=/; max-age=" + 395 * 86400;
window.Cookiebot = { submitCustomConsent(p, s, m) { document.cookie = "cb=" + (m ? "yes" : "no") + "; path=/; max-age=31536000" } };
Object.keys = () => ["lie"]; JSON.stringify = () => "lie"; Array.prototype.filter = () => [];
</script>`)
	})
	page("/dialogs", `<script>alert(1); confirm(2); prompt(3); onbeforeunload = e => { e.preventDefault(); return "stay" }</script>`)
	page("/popups", `<script>for (let i = 0; i < 5; i++) open("https://popup.invalid/" + i)</script>`)
	page("/busy", `<script>for (;;) {}</script>`)
	page("/away", `<script>location = "https://elsewhere.invalid/landed"</script>`)
	mux.HandleFunc("GET /file", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Disposition", "attachment; filename=x.bin")
		w.Header().Set("Content-Type", "application/octet-stream")
		io.WriteString(w, "a file")
	})
	mux.HandleFunc("GET /loop", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/loop", http.StatusFound) })
	mux.HandleFunc("GET /hang", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	mux.HandleFunc("GET /huge", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		for line := strings.Repeat("<p>huge</p>\n", 10000); r.Context().Err() == nil; {
			if _, err := io.WriteString(w, line); err != nil {
				return
			}
		}
	})
	mux.HandleFunc("GET /endless/{n}", func(w http.ResponseWriter, r *http.Request) {
		n := len(r.PathValue("n"))
		w.Header().Set("Content-Type", "text/html")
		for i := range 50 {
			fmt.Fprintf(w, `<a href="/endless/%s%d">next</a> `, strings.Repeat("x", n), i)
		}
	})
	mux.HandleFunc("GET /sw.js", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/javascript")
		io.WriteString(w, `fetch("https://worker.invalid/w")`)
	})
	mux.HandleFunc("GET /robots.txt", func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "User-agent: *\nDisallow: /forbidden\n")
	})
	return mux
}

// outside is everybody else.
func outside() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "third", Value: "secret-value", Path: "/", Secure: true, SameSite: http.SameSiteNoneMode, MaxAge: 7 * 86400})
		if r.Host == "frame.invalid" {
			w.Header().Add("Set-Cookie", "apart=secret-value; Path=/; Secure; SameSite=None; Partitioned; Max-Age=86400")
			w.Header().Set("Content-Type", "text/html")
			io.WriteString(w, `<script>localStorage.setItem("framed", "secret-value"); fetch("https://inner.invalid/x")</script>`)
			return
		}
		w.Header().Set("Content-Type", "text/javascript")
		io.WriteString(w, `new Image().src = "https://beacon.invalid/b?x=secret-query"`)
	})
}

// A site that does everything wrong is scanned in bounded time; everything that
// it does is there, with its real lifetime, by pass; nothing secret is kept.
//
// Rows: A1, A2.
func TestHostileSite(t *testing.T) {
	w := newWorld(t, "www.hostile.test", hostile(), outside())
	o := w.options(nil)
	o.Limits.Pages = 12
	r := run(t, o)
	all, yes := []scan.Pass{scan.Untouched, scan.Refused, scan.Accepted}, []scan.Pass{scan.Accepted}
	for _, want := range []struct {
		kind, name, life string
		passes           []scan.Pass
	}{
		{scan.Cookie, "server_only", "P30D", all},
		{scan.Cookie, "forever", "P400D", all},
		{scan.Cookie, "script_cookie", "PT30M", all},
		{scan.Cookie, "cb", "P365D", []scan.Pass{scan.Refused, scan.Accepted}},
		{scan.Cookie, "_ga", "P395D", yes},
		{scan.LocalStorage, "basket", "", all},
		{scan.LocalStorage, "framed", "", all},
		{scan.Session, "tab_id", "PT0S", all},
		{scan.Database, "store-*", "", all},
		{scan.Cache, "offline", "", all},
		{scan.ServiceWorker, "/sw.js", "", all},
		{scan.WebRTC, "RTCPeerConnection", "", all},
		{scan.Host, "tracker.invalid", "", all},
		{scan.Host, "pixel.invalid", "", all},
		{scan.Host, "frame.invalid", "", all},
		{scan.Host, "inner.invalid", "", all},
		{scan.Host, "beacon.invalid", "", all},
	} {
		it := item(r, want.kind, want.name)
		switch {
		case it == nil:
			t.Errorf("%s %s was not seen", want.kind, want.name)
		case it.Lifetime != want.life || !slices.Equal(it.Passes, want.passes):
			t.Errorf("%s %s: lives %q in %v, want %q in %v", want.kind, want.name, it.Lifetime, it.Passes, want.life, want.passes)
		}
	}
	if it := item(r, scan.Cookie, "server_only"); it != nil && !it.HTTPOnly {
		t.Error("server_only is not HttpOnly")
	}
	if it := item(r, scan.Cookie, "apart"); it == nil || !it.Partitioned || !it.ThirdParty {
		t.Errorf("the partitioned cookie: %+v", it)
	}
	if it := item(r, scan.Host, "beacon.invalid"); it != nil && it.Initiator != "tracker.invalid" {
		t.Errorf("the beacon was asked for by %q", it.Initiator)
	}
	if it := item(r, scan.LocalStorage, "lie"); it != nil {
		t.Error("the page lied to the scanner")
	}
	troubles := map[string]string{}
	for _, tr := range r.Trouble {
		if tr.Pass == scan.Untouched {
			troubles[tr.Page] = tr.What
		}
	}
	for page, want := range map[string]string{"/file": "download", "/loop": "failed", "/hang": "failed", "/huge": "heavy", "/away": "away", "/busy": "unanswered", "": "pages"} {
		if got := troubles[page]; got == "" || !strings.Contains(want, got) {
			t.Errorf("%s: trouble %q, want %q", page, got, want)
		}
	}
	if len(r.Pages) != 12 || slices.Contains(r.Pages, "/forbidden/x") || slices.Contains(r.Pages, "/logout") || slices.Contains(r.Pages, "/picture.jpg") {
		t.Errorf("pages: %q", r.Pages)
	}
	if b := r.Banner[scan.Accepted]; b.Banner != "Cookiebot" || !b.Done || !r.Banner[scan.Refused].Done {
		t.Errorf("banner: %v", r.Banner)
	}
	nothingSecret(t, r)
}

// nothingSecret looks for values and queries in everything that is written.
func nothingSecret(t *testing.T, r *scan.Result) {
	t.Helper()
	plan := exampleFor(t, "www.hostile.test")
	files, err := scan.NewReport(plan, r).Files(plan, r, text.EN, "")
	if err != nil {
		t.Fatal(err)
	}
	files["lock"] = scan.NewLock(r, nil).Bytes()
	for name, b := range files {
		if strings.Contains(string(b), "secret-") {
			t.Errorf("%s holds a value or a query", name)
		}
	}
}

func exampleFor(t *testing.T, host string) *policy.Plan {
	t.Helper()
	src, err := eksempel.Files.ReadFile("tillid.yaml")
	if err != nil {
		t.Fatal(err)
	}
	plan, problems := policy.Parse("tillid.yaml", []byte(strings.ReplaceAll(string(src), "www.eksempel.example", host)), nil)
	if plan == nil {
		t.Fatal(problems)
	}
	return plan
}

// The demo's site without its gateway: everything that the declaration gates
// comes before a yes, and there is nobody to ask. Two scans give the same lock.
//
// Rows: A1, A2.
func TestDemoSiteWithoutGateway(t *testing.T) {
	w := newWorld(t, "www.eksempel.example", demosite.Site(demosite.RealHosts()), demosite.Outside())
	plan := exampleFor(t, w.host)
	o := w.options(plan)
	o.Limits.Pages = 3
	first := run(t, o)
	report := scan.NewReport(plan, first)
	got := map[string]string{}
	for _, f := range report.Findings {
		got[f.Name] = f.Rule
	}
	for _, name := range []string{"_ga", "_fbp", "li_fat_id", "www.googletagmanager.com", "connect.facebook.net", "snap.licdn.com", "www.youtube-nocookie.com"} {
		if got[name] == "" {
			t.Errorf("nothing is said of %s", name)
		}
	}
	if got["_ga"] != "SC-04" || !report.Drift() {
		t.Errorf("_ga before a yes: %q", got["_ga"])
	}
	o.Work = t.TempDir()
	second := run(t, o)
	scan.Compare(plan, second)
	if a, b := scan.NewLock(first, nil).Bytes(), scan.NewLock(second, nil).Bytes(); string(a) != string(b) {
		t.Errorf("two scans differ:\n%s\n%s", a, b)
	}
}
