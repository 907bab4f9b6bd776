//go:build e2e

package consent

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/storage"
	"github.com/chromedp/chromedp"

	"github.com/tillid/tillid/internal/db/dbtest"
	"github.com/tillid/tillid/internal/demosite"
	"github.com/tillid/tillid/internal/gateway"
	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/web"
)

// stage is a house behind its gateway, with the demo's site as upstream, and a
// sink to which every other name in the world leads.
type stage struct {
	*house
	gateway *gateway.Service
	site    *httptest.Server // the gateway, by https
	sink    *httptest.Server
	world   *demosite.World

	mu    sync.Mutex
	named map[string]int // names that the browser connected to the sink for

	// fault, when set, may answer a request in the gateway's place.
	fault atomic.Pointer[func(w http.ResponseWriter, r *http.Request) bool]
}

// front is the gateway with whatever is wrong with it.
func (st *stage) front(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f := st.fault.Load(); f == nil || !(*f)(w, r) {
			next.ServeHTTP(w, r)
		}
	})
}

func newStage(t testing.TB, mode string, extra http.Handler) *stage {
	t.Helper()
	st := &stage{house: newHouse(t, dbtest.Lite(t)), world: demosite.Outside(), named: map[string]int{}}
	upstream := demosite.Site(demosite.RealHosts())
	if extra != nil {
		upstream = extra
	}
	up := httptest.NewServer(upstream)
	t.Cleanup(up.Close)
	st.publish(parse(map[string]string{"http://127.0.0.1:8081": up.URL, "mode: enforce": "mode: " + mode}))
	st.sink = httptest.NewUnstartedServer(st.world)
	st.sink.TLS = &tls.Config{GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		st.mu.Lock()
		defer st.mu.Unlock()
		st.named[hello.ServerName]++
		return nil, nil
	}}
	st.sink.StartTLS()
	t.Cleanup(st.sink.Close)
	h := st.house
	st.gateway = &gateway.Service{
		DB: h.DB, Plan: h.Plan, House: h.House, Log: h.Log, Now: h.Now,
		Granted: h.Grants, First: h.First, Head: h.Head, Foot: h.Foot, Placeholder: func(r *http.Request, lang string, e gateway.Embed) []byte {
			return h.Placeholder(r, lang, Embed{Service: e.Service, Host: e.Host, Title: e.Title, Width: e.Width, Height: e.Height, Src: e.Src})
		}, Share: h.Share,
	}
	h.Leftover = st.gateway.Leftover
	st.gateway.PublicRoutes(h.mux)
	web.StaticRoutes(h.mux)
	h.mux.Handle("/", st.gateway.Handler())
	st.site = httptest.NewTLSServer(st.front(h.House.Serve(web.Public, h.mux)))
	t.Cleanup(st.site.Close)
	return st
}

// reached returns the outside hosts that the browser reached or connected to
// since the last call, without those that Chromium itself asks.
func (st *stage) reached() []string {
	st.mu.Lock()
	defer st.mu.Unlock()
	all := maps.Clone(st.named)
	clear(st.named)
	maps.DeleteFunc(all, chromiumsOwn)
	return slices.Sorted(maps.Keys(all))
}

// chromiumsOwn reports whether Chromium itself asks a host, whatever the page.
func chromiumsOwn(host string, _ int) bool {
	return strings.HasSuffix(host, ".googleapis.com") || host == "accounts.google.com" || host == "www.google.com" || strings.HasPrefix(host, "clients")
}

type tab struct {
	t      testing.TB
	ctx    context.Context
	mu     sync.Mutex
	errors []string
}

type look struct {
	width, height int64
	dark          bool
	lang          string
	noScript      bool
	gpc           bool
	noStorage     bool // the browser lets no site keep anything
	automated     bool // the browser says that a program drives it
}

func port(s *httptest.Server) string {
	u, err := url.Parse(s.URL)
	if err != nil {
		panic(err)
	}
	return u.Port()
}

func (st *stage) browser(t testing.TB, l look) *tab {
	t.Helper()
	rules := fmt.Sprintf("MAP %s:443 127.0.0.1:%s, MAP * 127.0.0.1:%s, EXCLUDE localhost", siteHost, port(st.site), port(st.sink))
	profile := t.TempDir()
	if l.noStorage {
		folder := filepath.Join(profile, "Default")
		settings := `{"profile":{"default_content_setting_values":{"cookies":2}}}`
		if err := errors.Join(os.MkdirAll(folder, 0o700), os.WriteFile(filepath.Join(folder, "Preferences"), []byte(settings), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	alloc, stopAlloc := chromedp.NewExecAllocator(context.Background(),
		chromedp.ExecPath("/usr/bin/chromium"), chromedp.NoSandbox, chromedp.Headless, chromedp.DisableGPU, chromedp.NoFirstRun,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true), chromedp.Flag("disable-dev-shm-usage", true), chromedp.Flag("ignore-certificate-errors", true),
		chromedp.Flag("host-resolver-rules", rules), chromedp.Flag("lang", l.lang),
		chromedp.Flag("enable-automation", l.automated), chromedp.UserDataDir(profile), chromedp.WindowSize(int(l.width), int(l.height)))
	ctx, stop := chromedp.NewContext(alloc)
	ctx, cancel := context.WithTimeout(ctx, 90*time.Second)
	t.Cleanup(func() { cancel(); stop(); stopAlloc() })
	b := &tab{t: t, ctx: ctx}
	b.do(chromedp.Navigate("about:blank"))
	if err := chromedp.Listen(ctx, func(event any) {
		if e, ok := event.(*runtime.EventExceptionThrown); ok {
			b.mu.Lock()
			b.errors = append(b.errors, e.ExceptionDetails.Text)
			b.mu.Unlock()
		}
	}); err != nil {
		t.Fatal(err)
	}
	scheme := "light"
	if l.dark {
		scheme = "dark"
	}
	headers := network.Headers{"Accept-Language": l.lang}
	if l.gpc {
		headers["Sec-GPC"] = "1"
	}
	b.do(
		call(network.Enable, network.EnableParams{}), call(runtime.Enable, cdp.Empty{}),
		call(network.SetExtraHTTPHeaders, network.SetExtraHTTPHeadersParams{Headers: headers}),
		call(emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: l.width, Height: l.height, DeviceScaleFactor: 1, Mobile: l.width < 500}),
		call(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}}),
		call(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: l.noScript}),
	)
	return b
}

func call[P, R any](c cdp.Command[P, R], params P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, c, params)
		return err
	})
}

func (b *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, actions...); err != nil {
		where, _ := chromedp.Run(b.ctx, chromedp.Location())
		b.t.Fatalf("at %s: %v", where, err)
	}
}

func (b *tab) open(path string) {
	b.t.Helper()
	b.do(chromedp.Navigate("https://"+siteHost+path), chromedp.WaitReady("body"))
}

// press clicks on something that loads a page.
func (b *tab) press(selector string) {
	b.t.Helper()
	if _, err := chromedp.RunResponse(b.ctx, chromedp.Click(selector)); err != nil {
		b.t.Fatalf("press %s: %v", selector, err)
	}
	b.do(chromedp.WaitReady("body"))
}

// settled waits until the page is loaded and gives its tags the time that they
// would need to send something.
func (b *tab) settled() {
	b.t.Helper()
	if _, err := chromedp.Run(b.ctx, chromedp.Poll[bool](`document.readyState === "complete"`)); err != nil {
		b.t.Fatal(err)
	}
	b.do(chromedp.Sleep(700 * time.Millisecond)) // nothing in the page says that nothing will follow
}

// until waits for a condition in whatever page the tab shows.
func (b *tab) until(js string) {
	b.t.Helper()
	for {
		ok, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool](js))
		if err == nil && ok {
			return
		}
		if b.ctx.Err() != nil { // between two pages there is nothing to ask
			b.t.Fatalf("it never came to be that %s: %v", js, err)
		}
		select {
		case <-b.ctx.Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func eval[T any](b *tab, js string) T {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](js))
	if err != nil {
		b.t.Fatalf("%s: %v", js, err)
	}
	return v
}

// cookies returns the names of all cookies that the browser has, HttpOnly ones too.
func (b *tab) cookies() []string {
	b.t.Helper()
	var names []string
	b.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		got, err := cdp.Call(ctx, t, storage.GetCookies, storage.GetCookiesParams{})
		if err != nil {
			return err
		}
		for _, c := range got.Cookies {
			names = append(names, c.Name)
		}
		return nil
	}))
	slices.Sort(names)
	return names
}

// shot keeps a picture of the page when TILLID_SHOTS names a folder.
func (b *tab) shot(name string) {
	b.t.Helper()
	dir := os.Getenv("TILLID_SHOTS")
	if dir == "" {
		return
	}
	var png []byte
	b.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		got, err := cdp.Call(ctx, t, page.CaptureScreenshot, page.CaptureScreenshotParams{})
		if err == nil {
			png = got.Data
		}
		return err
	}))
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o600); err != nil {
		b.t.Fatal(err)
	}
}

func (b *tab) noErrors() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range b.errors {
		b.t.Errorf("uncaught error in a page: %s", e)
	}
}

var desktop = look{width: 1280, height: 900, lang: "da"}

// Before a choice the browser reaches nobody but the site; after a yes only
// declared hosts; after withdrawal nobody, and the cookies are gone.
// Rows: A1, A3, A4, A5, A6, A7, A8.
func TestBrowserEnforces(t *testing.T) {
	st := newStage(t, "enforce", nil)
	b := st.browser(t, desktop)
	for _, path := range []string{"/", "/produkter", "/kontakt", "/en/"} {
		b.open(path)
		b.settled()
	}
	if got := st.reached(); len(got) > 0 {
		t.Errorf("before a choice the browser reached %v", got)
	}
	// The site's own session is declared as necessary.
	if got := b.cookies(); !slices.Equal(got, []string{"eksempel_session"}) {
		t.Errorf("before a choice there are cookies %v", got)
	}
	b.open("/")
	b.do(chromedp.WaitVisible(`.tillid-banner`), chromedp.WaitVisible(`.tillid-embed`))
	if same := eval[bool](b, `(function () {
		var b = document.querySelectorAll(".tillid-button"), x = getComputedStyle(b[0]), y = getComputedStyle(b[1]);
		return b.length === 2 && b[0].offsetHeight >= 44 && b[0].offsetWidth === b[1].offsetWidth && b[0].offsetHeight === b[1].offsetHeight &&
			["color", "backgroundColor", "fontSize", "fontWeight", "borderTopColor", "borderTopWidth"].every(function (p) { return x[p] === y[p]; });
	})()`); !same {
		t.Error("yes and no do not look the same")
	}
	b.noErrors()
}

// A no takes the banner away, for good.
func TestBrowserRefuses(t *testing.T) {
	st := newStage(t, "enforce", nil)
	b := st.browser(t, desktop)
	b.open("/")
	b.do(chromedp.WaitVisible(`.tillid-banner`), chromedp.Click(`.tillid-button:nth-child(1)`), chromedp.WaitNotPresent(`.tillid-banner`))
	b.open("/produkter")
	b.settled()
	if eval[bool](b, `!!document.querySelector(".tillid-banner")`) {
		t.Error("asked again after a no")
	}
	if got := b.cookies(); !slices.Equal(got, []string{policy.ChoiceCookie}) {
		t.Errorf("cookies after a no: %v", got)
	}
	if got := st.reached(); len(got) > 0 {
		t.Errorf("after a no the browser reached %v", got)
	}
	b.noErrors()
}

// Rows: A3, A5, A6, A7, A8.
func TestBrowserAcceptsAndWithdraws(t *testing.T) {
	st := newStage(t, "enforce", nil)
	b := st.browser(t, desktop)
	b.open("/")
	b.do(chromedp.WaitVisible(`.tillid-banner`))
	b.press(`.tillid-button:nth-child(2)`)
	b.settled()
	if got, want := st.reached(), []string{"connect.facebook.net", "snap.licdn.com", "www.googletagmanager.com", "www.youtube-nocookie.com"}; !slices.Equal(got, want) {
		t.Errorf("after a yes the browser reached %v, want %v", got, want)
	}
	if eval[bool](b, `!!document.querySelector(".tillid-embed, .tillid-banner")`) {
		t.Error("after a yes there is a banner or a placeholder")
	}
	for _, name := range []string{"_ga", "_fbp", "li_fat_id"} {
		if !slices.Contains(b.cookies(), name) {
			t.Errorf("the tag did not set %s", name)
		}
	}
	b.open("/om-os")
	b.do(chromedp.WaitVisible(`.tillid-link`))
	b.press(`.tillid-link`) // one click on any page withdraws
	b.settled()
	st.reached()
	b.do(chromedp.WaitVisible(`.tillid-entry a[href*="/receipt/"]`)) // and leads to its receipt
	b.open("/produkter")
	b.settled()
	for _, path := range []string{"/om-os", "/"} { // back to pages from before the withdrawal
		// The browser may show the page as it was left, without asking for it again.
		eval[bool](b, "setTimeout(function () { history.back(); }), true")
		b.until(`location.pathname === "` + path + `"`)
		b.settled()
		if at := eval[string](b, "location.pathname"); at != path {
			t.Errorf("back leads to %s, want %s", at, path)
		}
	}
	if got := st.reached(); len(got) > 0 {
		t.Errorf("after withdrawal the browser reached %v", got)
	}
	for _, name := range []string{"_ga", "_fbp", "li_fat_id"} {
		if slices.Contains(b.cookies(), name) {
			t.Errorf("%s is still there after withdrawal", name)
		}
	}
	b.noErrors()
}

// One video, and nothing else; with JavaScript and without.
// Rows: A4, A8.
func TestBrowserShowsOneVideo(t *testing.T) {
	for _, noScript := range []bool{false, true} {
		t.Run(fmt.Sprintf("noScript=%v", noScript), func(t *testing.T) {
			st := newStage(t, "enforce", nil)
			l := desktop
			l.noScript = noScript
			b := st.browser(t, l)
			b.open("/")
			b.do(chromedp.ScrollIntoView(`.tillid-embed`))
			if !noScript {
				b.do(chromedp.WaitVisible(`.tillid-banner`))
			}
			b.do(chromedp.WaitVisible(`[data-tillid-show]`), chromedp.Focus(`[data-tillid-show]`))
			if _, err := chromedp.RunResponse(b.ctx, chromedp.KeyEvent("\r")); err != nil { // by keyboard
				t.Fatal(err)
			}
			b.do(chromedp.WaitReady(`iframe[src]`), chromedp.ScrollIntoView(`iframe[src]`), chromedp.Sleep(time.Second))
			if got := st.reached(); !slices.Equal(got, []string{"www.youtube-nocookie.com"}) {
				t.Errorf("the browser reached %v", got)
			}
		})
	}
}

// Tags of every kind that a page can make, none of them annotated.
func TestBrowserStopsEveryKind(t *testing.T) {
	kinds := `<!doctype html><html lang="en"><head><title>x</title>
<link rel="stylesheet" href="https://a-style.test/a.css"><link rel="preload" as="script" href="https://a-preload.test/a.js"><link rel="modulepreload" href="https://a-modulepreload.test/a.js">
<link rel="prefetch" href="https://a-prefetch.test/a"><link rel="icon" href="https://a-icon.test/a.ico"><link rel="manifest" href="https://a-manifest.test/m.json">
<style>@import url(https://a-import.test/a.css); @font-face { font-family: f; src: url(https://a-font.test/f.woff2) } body { font-family: f; background: url(https://a-background.test/b.png) }</style>
<script src="https://a-script.test/a.js"></script><script type="module" src="https://a-module.test/a.js"></script></head><body>text
<img src="https://a-img.test/a.png"><img srcset="https://a-srcset.test/a.png 1x"><video src="https://a-video.test/a.mp4" poster="https://a-poster.test/a.png"></video>
<audio src="https://a-audio.test/a.mp3"></audio><iframe src="https://a-frame.test/"></iframe><object data="https://a-object.test/"></object><embed src="https://a-embed.test/">
<svg><image href="https://a-svg.test/a.png"/></svg><input type="image" src="https://a-input.test/a.png"><form id="f" action="https://a-form.test/" method="post" target="w"></form><iframe name="w"></iframe>
<script>
window.done = 0;
function tried(f) { try { var p = f(); if (p && p.catch) p.catch(function () {}); } catch (e) {} window.done++; }
tried(function () { return fetch("https://d-fetch.test/", { mode: "no-cors" }); });
tried(function () { var x = new XMLHttpRequest(); x.open("GET", "https://d-xhr.test/"); x.send(); });
tried(function () { navigator.sendBeacon("https://d-beacon.test/", "x"); });
tried(function () { new WebSocket("wss://d-socket.test/"); });
tried(function () { new EventSource("https://d-events.test/"); });
tried(function () { new Image().src = "https://d-image.test/"; });
tried(function () { var s = document.createElement("script"); s.src = "https://d-script.test/"; document.body.append(s); });
tried(function () { return import("https://d-import.test/a.js"); });
tried(function () { new Worker(URL.createObjectURL(new Blob(["fetch('https://d-worker.test/', {mode: 'no-cors'}); importScripts('https://d-importscripts.test/')"]))); });
tried(function () { new Worker("/worker.js"); });
tried(function () { new SharedWorker("https://d-shared.test/"); });
tried(function () { document.getElementById("f").submit(); });
tried(function () { var s = new CSSStyleSheet(); s.replaceSync("p { background: url(https://d-sheet.test/a.png) }"); document.adoptedStyleSheets = [s]; document.body.append(document.createElement("p")); });
tried(function () { var f = document.createElement("iframe"); f.srcdoc = "<img src='https://d-srcdoc.test/a.png'>"; document.body.append(f); });
</script></body></html>`
	site := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/worker.js" {
			w.Header().Set("Content-Type", "text/javascript")
			fmt.Fprint(w, `fetch("https://d-ownworker.test/", { mode: "no-cors" });`)
			return
		}
		w.Header().Set("Content-Type", "text/html")
		w.Header().Set("Link", `<https://a-link.test/a.css>; rel=preload; as=style, <https://a-linkconnect.test>; rel=preconnect`)
		w.Header().Set("Reporting-Endpoints", `default="https://a-report.test/"`)
		w.Header().Set("NEL", `{"report_to":"default","max_age":100}`)
		fmt.Fprint(w, kinds)
	})
	st := newStage(t, "enforce", site)
	b := st.browser(t, desktop)
	b.open("/x")
	b.settled()
	b.do(chromedp.Sleep(time.Second))
	if n := eval[int](b, "window.done"); n != 14 {
		t.Errorf("only %d of the calls were tried: the page's own script does not run", n)
	}
	counts := st.world.Counts()
	maps.DeleteFunc(counts, chromiumsOwn)
	if len(counts) > 0 {
		t.Errorf("requests reached %v", counts)
	}
	// Measured: Chromium opens a connection for a form post before it asks the policy,
	// which then stops the request.
	if got := slices.DeleteFunc(st.reached(), func(host string) bool { return host == "a-form.test" }); len(got) > 0 {
		t.Errorf("the browser connected to %v", got)
	}
	drifts, err := func() (int, error) {
		if err := st.gateway.Periodic()[0].Run(t.Context()); err != nil {
			return 0, err
		}
		list, err := st.gateway.Drifts(t.Context(), st.DB)
		return len(list), err
	}()
	if err != nil || drifts < 20 {
		t.Errorf("%d kinds are listed as drift: %v", drifts, err)
	}
}

// In observe mode the site works as it would without Tillid, and what would have
// been stopped is listed.
func TestBrowserObserves(t *testing.T) {
	st := newStage(t, "observe", nil)
	b := st.browser(t, desktop)
	b.open("/")
	b.settled()
	b.do(chromedp.Sleep(time.Second))
	if got := st.reached(); !slices.Contains(got, "www.googletagmanager.com") {
		t.Errorf("observe mode stopped something: %v", got)
	}
	if err := st.gateway.Periodic()[0].Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	list, err := st.gateway.Drifts(t.Context(), st.DB)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, d := range list {
		found[d.Subject] = d.Service
	}
	if s, ok := found["www.googletagmanager.com"]; !ok || s != "google_analytics" {
		t.Errorf("drift %v", found)
	}
}

// Pictures of every page, to be looked at.
func TestBrowserShots(t *testing.T) {
	if os.Getenv("TILLID_SHOTS") == "" {
		t.Skip("TILLID_SHOTS names no folder")
	}
	st := newStage(t, "enforce", nil)
	for _, l := range []look{
		{width: 1280, height: 900, lang: "da"}, {width: 1280, height: 900, dark: true, lang: "en", gpc: true}, {width: 360, height: 740, lang: "en"}, {width: 360, height: 740, dark: true, lang: "da"},
	} {
		b := st.browser(t, l)
		name := fmt.Sprintf("%s-%d-dark=%v", l.lang, l.width, l.dark)
		front, contact := "/", "/kontakt"
		if l.lang == "en" {
			front, contact = "/en/", "/en/contact"
		}
		b.open(front)
		b.do(chromedp.WaitVisible(`.tillid-banner`))
		b.shot("banner-" + name)
		b.open("/privacy/choices?lang=" + l.lang)
		b.shot("choices-" + name)
		b.do(call(emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: l.width, Height: 3600, DeviceScaleFactor: 1, Mobile: l.width < 500}))
		b.shot("choices-whole-" + name)
		b.open(front)
		b.do(chromedp.WaitVisible(`.tillid-banner`))
		b.do(chromedp.Click(`.tillid-button:nth-child(1)`), chromedp.WaitNotPresent(`.tillid-banner`))
		b.shot("front-" + name)
		b.open(contact)
		b.shot("contact-" + name)
		b.open(strings.Replace(front, "/en/", "/en/products", 1))
	}
}
