//go:build e2e

package consent

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// lab is a site for these tests: pages by path, a script that says its name.
func lab(pages map[string]string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch body, ok := pages[r.URL.Path]; {
		case ok:
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			if policy := pages["policy "+r.URL.Path]; policy != "" {
				w.Header().Set("Content-Security-Policy", policy)
			}
			if cookie := pages["cookie "+r.URL.Path]; cookie != "" {
				w.Header().Set("Set-Cookie", cookie)
			}
			fmt.Fprintf(w, `<!doctype html><html lang="en"><head><title>Lab</title>%s</html>`, body)
		case r.URL.Path == "/b.js":
			w.Header().Set("Content-Type", "text/javascript")
			fmt.Fprint(w, `ran.push("b");`)
		case r.URL.Path == "/sw.js":
			w.Header().Set("Content-Type", "text/javascript")
			fmt.Fprint(w, `self.addEventListener("fetch", function () {});`)
		case r.URL.Path == "/pic.svg":
			w.Header().Set("Content-Type", "image/svg+xml")
			fmt.Fprint(w, `<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"/>`)
		default:
			http.NotFound(w, r)
		}
	})
}

// another opens one more tab of the same browser.
func (b *tab) another() *tab {
	b.t.Helper()
	ctx, stop := chromedp.NewContext(b.ctx)
	b.t.Cleanup(stop)
	return &tab{t: b.t, ctx: ctx}
}

// leave does what makes the tab load a page, and waits for that.
func (b *tab) leave(js string) {
	b.t.Helper()
	if _, err := chromedp.RunResponse(b.ctx, chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Run(ctx, chromedp.Evaluate[bool](js+", true"))
		return err
	})); err != nil {
		b.t.Fatalf("%s: %v", js, err)
	}
}

// onEachPage runs a script at the beginning of every page from now on.
func (b *tab) onEachPage(js string) {
	b.t.Helper()
	b.do(call(page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: js}))
}

const gatesPage = `<script>
window.ran = []; window.heard = [];
window.early = JSON.stringify([].map.call(window.dataLayer || [], function (c) { return c[0] === "consent" ? [c[0], c[1], c[2]] : c[0]; }));
["CookiebotOnLoad", "CookiebotOnDialogDisplay", "CookiebotOnConsentReady", "CookiebotOnAccept", "CookiebotOnDecline"].forEach(function (n) { addEventListener(n, function () { heard.push(n); }); });
document.addEventListener("tillid:ready", function (e) { heard.push("ready " + e.detail.granted.join()); });
function CookiebotCallback_OnAccept() { heard.push("called"); }
</script>
<script async src="https://www.googletagmanager.com/gtag/js?id=x"></script></head><body>
<script type="text/plain" data-category="statistics">ran.push("a");</script>
<script type="text/plain" data-service="google_analytics" data-src="/b.js"></script>
<script type="text/plain" data-category="statistics">ran.push("c");</script>
<script type="text/plain" data-cookieconsent="statistics" src="/b.js"></script>
<script type="text/plain" data-cookieconsent="statistics">ran.push("d");</script>
<script type="text/plain" data-category="!marketing">ran.push("no marketing");</script>
<script type="text/plain" data-category="!statistics">ran.push("no statistics");</script>
<script type="text/plain" data-category="marketing">ran.push("marketing");</script>
<script type="text/plain" data-cookieconsent="statistics,marketing">ran.push("both");</script>
<script type="text/plain" data-category="odd">ran.push("odd");</script>
<script type="text/plain" data-category="">ran.push("empty");</script>
<script type="text/plain" data-category="analytics" data-type="module">ran.push("module");</script>
<img id="yes" data-category="statistics" data-src="/pic.svg" alt=""><img id="no" data-category="marketing" data-src="/pic.svg" alt="">
<iframe id="bot" title="x" data-cookieblock-src="/pic.svg" data-cookieconsent="statistics"></iframe>
<video data-service="google_analytics" data-poster="/pic.svg"><source data-category="statistics" data-src="/film.webm"></video>
<p id="out" class="cookieconsent-optout-marketing">Say yes to see it.</p><p id="in" class="cookieconsent-optin-statistics">Counted.</p>
<main><h1>Lab</h1></main></body>`

// Markup that says what it waits for opens with that and nothing else, in order,
// also when it is added later; window.tillid and Cookiebot's object tell the same;
// what tags are told stands there before any tag runs.
// Rows: A1, A4, A5.
func TestBrowserGates(t *testing.T) {
	st := newStage(t, "enforce", lab(map[string]string{"/": gatesPage}))
	b := st.browser(t, desktop)
	b.open("/")
	b.do(chromedp.WaitVisible(`.tillid-banner`))
	b.settled()
	if got := eval[string](b, `ran.join() + "|" + heard.join() + "|" + Cookiebot.hasResponse + Cookiebot.consent.statistics + tillid.has("necessary") + tillid.has("statistics")`); got != "|CookiebotOnLoad,CookiebotOnDialogDisplay,ready |falsefalsetruefalse" {
		t.Errorf("before a choice: %s", got)
	}
	allDenied := `["consent","default",{"ad_personalization":"denied","ad_storage":"denied","ad_user_data":"denied","analytics_storage":"denied","functionality_storage":"denied","personalization_storage":"denied","security_storage":"denied"}]`
	if got := eval[string](b, "early"); !strings.HasPrefix(got, "["+allDenied) {
		t.Errorf("at the first script of the page, the signals were %s", got)
	}
	if got := eval[string](b, `document.getElementById("out").style.display + "|" + document.getElementById("in").style.display`); got != "|none" {
		t.Errorf("shown before a choice: %s", got)
	}
	st.reached()
	eval[bool](b, `Cookiebot.submitCustomConsent(false, true, false), true`)
	b.until(`window.ran && ran.length >= 7 && window.google_tag_data && !!window.google_tag_data.ics`)
	b.settled()
	got := eval[[]string](b, "ran")
	if module := slices.Index(got, "module"); module < 0 || strings.Join(slices.Delete(slices.Clone(got), module, module+1), " ") != "a b c b d no marketing" {
		t.Errorf("ran %q", got)
	}
	if got := eval[string](b, `heard.join()`); got != "CookiebotOnLoad,CookiebotOnConsentReady,CookiebotOnAccept,called,ready google_analytics" {
		t.Errorf("told: %s", got)
	}
	if got := eval[string](b, `["yes", "no"].map(function (id) { return document.getElementById(id).getAttribute("src"); }).join() + document.getElementById("bot").src.slice(-8) + document.querySelector("video").getAttribute("poster") + document.querySelector("source").getAttribute("src")`); got != "/pic.svg,/pic.svg/pic.svg/film.webm" {
		t.Errorf("opened: %s", got)
	}
	if got := eval[map[string]string](b, "google_tag_data.ics"); got["analytics_storage"] != "granted" || got["ad_storage"] != "denied" || got["ad_user_data"] != "denied" || len(got) != 7 {
		t.Errorf("when Google's tag ran, it was told %v", got)
	}
	if got := eval[string](b, `JSON.stringify(dataLayer.filter(function (e) { return e.event; })) + [].slice.call(dataLayer[1]) + [].slice.call(dataLayer[2])`); got != `[{"event":"tillid_consent","tillid":{"granted":["google_analytics"],"names":["analytics","google_analytics","measure_use","performance","statistics"]}}]set,ads_data_redaction,trueset,url_passthrough,false` {
		t.Errorf("dataLayer: %s", got)
	}
	eval[bool](b, `(function () {
		var s = document.createElement("script"); s.type = "text/plain"; s.setAttribute("data-category", "statistics"); s.textContent = "ran.push('later')";
		var d = document.createElement("div"); d.append(s); document.body.append(d);
		var n = document.createElement("script"); n.type = "text/plain"; n.setAttribute("data-category", "marketing"); n.textContent = "ran.push('never')"; document.body.append(n);
	})(), true`)
	b.until(`ran.indexOf("later") >= 0`)
	if eval[bool](b, `ran.indexOf("never") >= 0`) {
		t.Error("what was added later ran without a yes")
	}
	if got := eval[string](b, `Cookiebot.consented + "" + Cookiebot.consent.statistics + Cookiebot.consent.marketing + tillid.granted() + tillid.has("analytics !marketing")`); got != "truetruefalsegoogle_analyticstrue" {
		t.Errorf("after a yes to statistics: %s", got)
	}
	eval[bool](b, `tillid.withdraw(["statistics"]).then(function () {}), true`)
	b.until(`document.readyState === "complete" && window.tillid && tillid.granted().length === 0`)
	eval[bool](b, `tillid.accept("marketing"), true`)
	b.until(`window.ran && ran.indexOf("marketing") >= 0`)
	if got := eval[string](b, `ran.join() + tillid.granted()`); got != "no statistics,marketinggoogle_ads,meta_pixel,linkedin_insight" {
		t.Errorf("after another yes: %s", got)
	}
	b.noErrors()
}

// The second layer is loaded on demand, has single services, nothing ticked, and
// its answer counts. It is used by keyboard alone here.
// Rows: A1, A2.
func TestBrowserSecondLayer(t *testing.T) {
	st := newStage(t, "enforce", nil)
	b := st.browser(t, desktop)
	b.open("/")
	b.do(chromedp.WaitVisible(`.tillid-banner`))
	if eval[bool](b, `performance.getEntriesByType("resource").some(function (e) { return /_tillid\/(u\.js|layer)/.test(e.name); })`) {
		t.Error("the second layer is loaded before anybody asks for it")
	}
	b.do(chromedp.Focus(`.tillid-more a`), chromedp.KeyEvent("\r"), chromedp.WaitVisible(`.tillid-layer`))
	if got := eval[string](b, `document.activeElement.id + document.querySelectorAll(".tillid-layer :checked").length`); got != "tillid-title0" {
		t.Errorf("focus and ticks: %s", got)
	}
	b.do(chromedp.Focus(`input[value=youtube]`), chromedp.KeyEvent(" "), chromedp.Focus(`button[value=some]`))
	b.shot("second-layer")
	if _, err := chromedp.RunResponse(b.ctx, chromedp.KeyEvent("\r")); err != nil {
		t.Fatal(err)
	}
	b.until(`!document.querySelector(".tillid-banner") && window.tillid && tillid.granted().join() === "youtube"`)
	eval[bool](b, `tillid.show(), true`)
	b.until(`!!document.querySelector(".tillid-layer input[value=youtube]:checked")`)
	b.do(chromedp.KeyEvent("\x1b"))
	b.until(`!document.querySelector(".tillid-banner")`)
	b.noErrors()
	if leaf := st.leaves()[0]; leaf.Facts["layer"] != "page" {
		t.Errorf("leaf %+v", leaf.Facts)
	}
}

const withdrawPage = `<script>window.beats = 0;</script></head><body><main><h1>Lab</h1></main>
<script type="text/plain" data-service="google_analytics">
document.cookie = "_ga=1; path=/"; document.cookie = "_ga_X=1; path=/; domain=eksempel.example"; document.cookie = "_ga_D=1; path=/shop"; document.cookie = "odd_one=1; path=/";
localStorage.setItem("ga_local", "1"); localStorage.setItem("profile_x", "1"); sessionStorage.setItem("ga_sess", "1");
indexedDB.open("ga_db"); caches.open("ga_cache"); navigator.serviceWorker.register("/sw.js");
addEventListener("pagehide", function () { document.cookie = "_ga=2; path=/"; localStorage.setItem("ga_local", "2"); });
document.addEventListener("click", function () { window.clicked = true; }, true);
setInterval(function () {
  var late = window.clicked;
  fetch("https://www.google-analytics.com/beat", { mode: "no-cors", method: "POST" }).then(function () { beats++; if (late) localStorage.setItem("late", "1"); }, function () {});
}, 15);
</script></body>`

// Withdrawal takes everything back: code stops at the click, cookies go wherever
// they are, storage goes, the other tab follows, what nobody declared is listed.
// Rows: A3.
func TestBrowserWithdraws(t *testing.T) {
	st := newStage(t, "enforce", lab(map[string]string{"/shop/a": withdrawPage, "/other": withdrawPage, "cookie /shop/a": "_ga_H=1; HttpOnly; Path=/shop"}))
	device := func(id, technology string) string {
		return "  " + id + ":\n    technology: " + technology + "\n    party: google\n    service: google_analytics\n    category: statistics\n    purpose: measure_use\n    duration: P1M\n    third_party_access: false\n"
	}
	st.publish(parse(map[string]string{
		"http://127.0.0.1:8081": st.Plan().Sites[0].Upstream,
		"  _ga:\n":              device("ga_local", "local_storage") + device("ga_sess", "session_storage") + device("ga_db", "indexed_db") + device("ga_cache", "cache") + device("sw.js", "service_worker") + "  _ga:\n",
	}))
	b := st.browser(t, desktop)
	b.open("/shop/a")
	b.do(chromedp.WaitVisible(`.tillid-banner`))
	eval[bool](b, `tillid.accept(), true`)
	b.until(`window.beats > 3 && !!navigator.serviceWorker`)
	b.open("/shop/a") // so that the site's own cookie comes with a yes
	b.until(`window.beats > 3`)
	other := b.another()
	other.open("/other")
	other.until(`window.beats > 3`)
	for _, name := range []string{"_ga", "_ga_X", "_ga_D", "_ga_H", "odd_one"} {
		if !slices.Contains(b.cookies(), name) {
			t.Errorf("the page did not set %s: %v", name, b.cookies())
		}
	}
	b.leave(`document.querySelector(".tillid-link").click()`)
	b.until(`document.readyState === "complete" && tillid.granted().length === 0`)
	other.until(`document.readyState === "complete" && window.tillid && tillid.granted().length === 0`)
	b.settled()
	st.reached()
	before := st.world.Counts()["www.google-analytics.com"]
	b.until(`caches.has("ga_cache").then(function (there) { window.cached = there; }) && window.cached === false`)
	b.settled()
	other.settled()
	if after := st.world.Counts()["www.google-analytics.com"]; after != before {
		t.Errorf("%d heartbeats after withdrawal", after-before)
	}
	if got := st.reached(); len(got) > 0 {
		t.Errorf("after withdrawal the browser reached %v", got)
	}
	b.until(`document.cookie.indexOf("_ga") < 0 && !localStorage.getItem("ga_local")`)
	if got := b.cookies(); !slices.Equal(got, []string{"odd_one", "tillid_choice"}) {
		t.Errorf("cookies after withdrawal: %v", got)
	}
	if got := eval[string](b, `JSON.stringify([Object.keys(localStorage), Object.keys(sessionStorage)])`); got != `[["profile_x"],[]]` {
		t.Errorf("storage after withdrawal: %s", got)
	}
	b.until(`(indexedDB.databases().then(function (all) { window.dbs = all.length; }), window.dbs === 0)`)
	b.until(`(navigator.serviceWorker.getRegistrations().then(function (all) { window.workers = all.length; }), window.workers === 0)`)
	if err := st.gateway.Periodic()[0].Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	list, err := st.gateway.Drifts(t.Context(), st.DB)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, d := range list {
		if d.Kind == "cookie" && d.Service == "" {
			found[d.Subject] = d.Detail
		}
	}
	if detail, ok := found["odd_one"]; !ok || detail != "" || found["profile_x"] != "local_storage" {
		t.Errorf("leftovers in the list: %v", found)
	}
	b.noErrors()
}

const formPage = `</head><body><main><h1>Form</h1><form>
<label>Name <input name="name" value="x"></label><label>Text <textarea name="text"></textarea></label>
<label>Size <select name="size"><option>S<option>M<option>L</select></label><label><input type="checkbox" name="tick"> Tick</label>
<label>Secret <input type="password" name="secret"></label><label>Card <input name="card" autocomplete="cc-number"></label>
<label>Code <input name="code" autocomplete="one-time-code"></label></form>
<video muted src="/film.mp4"></video><script>for (var i = 0; i < 60; i++) document.write("<p>" + i + "</p>");
addEventListener("input", function (e) { (window.told = window.told || []).push(e.target.name); });</script></main></body>`

// A yes in the middle of writing loses nothing: fields, place, focus. Passwords,
// cards and codes are not kept even for that moment, and nothing stays behind.
// Rows: A4.
func TestBrowserLosesNothing(t *testing.T) {
	st := newStage(t, "enforce", lab(map[string]string{"/": formPage}))
	b := st.browser(t, desktop)
	b.onEachPage(`(function () { try { window.atStart = sessionStorage.getItem("tillid_page"); } catch (e) {} })();`)
	b.open("/")
	b.do(chromedp.WaitVisible(`.tillid-banner`))
	eval[bool](b, `(function () {
		var f = document.forms[0];
		f.name.value = "half a na"; f.elements.text.value = "two\nlines"; f.size.selectedIndex = 2; f.tick.checked = true;
		f.secret.value = "hunter2"; f.card.value = "4571000000000000"; f.code.value = "123456";
		f.elements.text.focus(); window.before = true; scrollTo(0, 700);
	})(), true`)
	b.leave(`document.querySelectorAll(".tillid-button")[1].click()`)
	b.until(`document.readyState === "complete" && !window.before && document.forms[0].elements.text.value !== "" && scrollY > 600`)
	f := eval[string](b, `(function () { var f = document.forms[0]; return [f.name.value, f.elements.text.value, f.size.value, f.tick.checked, f.secret.value, f.card.value, f.code.value, scrollY, document.activeElement.name, sessionStorage.length, told.join(" ")].join("|"); })()`)
	if f != "half a na|two\nlines|L|true||||700|text|0|name text size tick" {
		t.Errorf("after the reload: %q", f)
	}
	kept := eval[string](b, "atStart")
	for _, secret := range []string{"hunter2", "4571", "123456"} {
		if strings.Contains(kept, secret) || !strings.Contains(kept, "half a na") {
			t.Errorf("kept for the moment: %s", kept)
		}
	}
	b.noErrors()
}

// Under a site's strictest policy, with nonces and Trusted Types, the banner works
// in every state and breaks no rule of it.
func TestBrowserStrictPolicy(t *testing.T) {
	body := `<script nonce="abc123">window.broken = []; document.addEventListener("securitypolicyviolation", function (e) { broken.push(e.effectiveDirective + " " + e.blockedURI); }); window.ran = [];</script></head>
<body><main><h1>Strict</h1></main><script nonce="abc123" type="text/plain" data-category="preferences">ran.push("inline");</script>
<script nonce="abc123" type="text/plain" data-category="preferences" src="/b.js"></script></body>`
	policy := "default-src 'none'; script-src 'nonce-abc123'; style-src 'nonce-abc123'; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'"
	st := newStage(t, "enforce", lab(map[string]string{"/": body, "policy /": policy, "/none": strings.ReplaceAll(body, "abc123", "other"), "policy /none": policy + "; trusted-types 'none'"}))
	b := st.browser(t, desktop)
	clean := func(when string) {
		t.Helper()
		if got := eval[string](b, `broken.join()`); got != "" {
			t.Errorf("%s: %s", when, got)
		}
	}
	b.open("/")
	b.do(chromedp.WaitVisible(`.tillid-banner`))
	if got := eval[string](b, `getComputedStyle(document.querySelector(".tillid-banner")).position`); got != "fixed" {
		t.Errorf("the banner has no style: %s", got)
	}
	eval[bool](b, `document.querySelector(".tillid-more a").click(), true`)
	b.do(chromedp.WaitVisible(`.tillid-layer`))
	clean("second layer")
	eval[bool](b, `document.querySelector("input[value=youtube]").click(), true`)
	b.leave(`document.querySelector("button[value=some]").click()`)
	b.until(`window.ran && ran.join() === "inline,b"`)
	clean("after a yes")
	b.settled()
	clean("after a yes, settled")
	b.leave(`document.querySelector(".tillid-link").click()`)
	b.until(`document.readyState === "complete" && tillid.granted().length === 0`)
	clean("after withdrawal")
	b.noErrors()
}

// Whatever is wrong with the back end, the page works, nothing gated loads, and no
// error is left unhandled.
func TestBrowserFailsClosed(t *testing.T) {
	st := newStage(t, "enforce", lab(map[string]string{"/": gatesPage}))
	done := make(chan struct{})
	t.Cleanup(func() { close(done) })
	faults := map[string]func(w http.ResponseWriter, r *http.Request){
		"500": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
		"corrupt": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, `{"state":"google_analytics","settings":`)
		},
		"cut off": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"slow": func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-r.Context().Done():
			case <-done:
			}
		},
	}
	var about atomic.Pointer[string]
	b := st.browser(t, look{width: 1280, height: 900, lang: "en", automated: true})
	b.onEachPage(`(function () { var real = Date; window.Date = function () { return new real(0); }; window.Date.now = function () { return 0; }; })();`) // and the clock is wrong
	for _, part := range []string{"/_tillid/t.js", "/_tillid/u.js", "/_tillid/choice", "/_tillid/layer", "/_tillid/"} {
		for name, fault := range faults {
			if part == "/_tillid/t.js" && name == "slow" || part == "/_tillid/" && name == "slow" {
				continue // tags must find the signals said: the page waits for this one file
			}
			st.fault.Store(nil)
			b.do(call(network.ClearBrowserCache, cdp.Empty{}))
			about.Store(&part)
			f := func(w http.ResponseWriter, r *http.Request) bool {
				if !strings.HasPrefix(r.URL.Path, *about.Load()) {
					return false
				}
				fault(w, r)
				return true
			}
			st.fault.Store(&f)
			b.open("/")
			b.until(`document.readyState !== "loading" && !!document.querySelector(".tillid-entry a")`)
			what := part + " " + name
			if blind := part == "/_tillid/t.js" || part == "/_tillid/"; !blind {
				b.do(chromedp.WaitVisible(`.tillid-banner`))
				if !eval[bool](b, `navigator.webdriver`) {
					t.Fatal("the browser is not flagged as automated")
				}
			}
			switch part {
			case "/_tillid/choice":
				eval[bool](b, `document.querySelectorAll(".tillid-button")[1].click(), true`)
				if name == "slow" {
					break // it goes on waiting, up to its own limit
				}
				b.until(`!!document.querySelector(".tillid-buttons [role=alert]") && !document.querySelector(".tillid-button:disabled")`)
			case "/_tillid/layer", "/_tillid/u.js":
				if name == "slow" {
					break
				}
				eval[bool](b, `document.querySelector(".tillid-more a").click(), true`)
				b.until(`location.pathname === "/privacy/choices"`)
				continue
			}
			if got := eval[string](b, `window.ran.join() + [].filter.call(document.images, function (i) { return i.src; }).length`); got != "0" {
				t.Errorf("%s: %s ran or loaded", what, got)
			}
		}
	}
	if got := st.reached(); len(got) > 0 {
		t.Errorf("the browser reached %v", got)
	}
	b.noErrors()
	st.fault.Store(nil)
	b.open("/")
	b.do(chromedp.WaitVisible(`.tillid-banner`)) // the wrong clock changes nothing
	eval[bool](b, `tillid.accept(["statistics"]), true`)
	b.until(`window.ran && ran.indexOf("a") >= 0`)
	b.noErrors()
}

// A browser that lets no site keep anything: the page works, a yes is not
// remembered, and nothing loads.
func TestBrowserWithoutStorage(t *testing.T) {
	st := newStage(t, "enforce", lab(map[string]string{"/": gatesPage}))
	b := st.browser(t, look{width: 1280, height: 900, lang: "en", noStorage: true})
	b.open("/")
	b.do(chromedp.WaitVisible(`.tillid-banner`))
	if got := eval[bool](b, `(function () { try { return !!localStorage; } catch (e) { return false; } })()`); got {
		t.Fatal("the browser has storage")
	}
	b.leave(`document.querySelectorAll(".tillid-button")[1].click()`)
	b.do(chromedp.WaitVisible(`.tillid-banner`))
	b.settled()
	if got := eval[string](b, `ran.join()`); got != "" {
		t.Errorf("ran %s", got)
	}
	if got := st.reached(); len(got) > 0 {
		t.Errorf("the browser reached %v", got)
	}
	b.noErrors()
}

// The property that some browsers set without the header counts as well.
// Rows: A1.
func TestBrowserGPCProperty(t *testing.T) {
	st := newStage(t, "enforce", lab(map[string]string{"/": gatesPage}))
	b := st.browser(t, desktop)
	b.onEachPage(`Object.defineProperty(navigator, "globalPrivacyControl", { value: true });`)
	b.open("/")
	b.do(chromedp.WaitVisible(`.tillid-banner`))
	if got := eval[string](b, `document.querySelector("#tillid-text").textContent`); !strings.Contains(got, "Global Privacy Control") || strings.Contains(got, "annonce") && !strings.Contains(got, "Global") {
		t.Errorf("the banner says %s", got)
	}
	eval[bool](b, `document.querySelectorAll(".tillid-button")[1].click(), true`)
	b.until(`window.tillid && tillid.granted().length > 0`)
	if got := eval[string](b, `tillid.granted().join()`); got != "google_analytics,youtube" {
		t.Errorf("a yes under the property grants %s", got)
	}
	b.noErrors()
}

// axe finds nothing in any state: first and second layer, placeholder, after a
// choice; light, dark, forced colours; at 400 % zoom.
func TestBrowserAccessible(t *testing.T) {
	axe, err := os.ReadFile("../../e2e/testdata/axe/axe.min.js")
	if err != nil {
		t.Fatal(err)
	}
	st := newStage(t, "enforce", nil)
	b := st.browser(t, desktop)
	check := func(state string) {
		t.Helper()
		eval[bool](b, string(axe)+";true")
		eval[bool](b, `window.axed = "", axe.run(document, {runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}).then(function (r) {
			axed = JSON.stringify(r.violations.map(function (v) { return v.id + ": " + v.nodes.map(function (n) { return n.target.join(" "); }).join("; "); }));
		}), true`)
		b.until(`window.axed !== ""`)
		var found []string
		if err := json.Unmarshal([]byte(eval[string](b, "axed")), &found); err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			t.Errorf("%s: %s", state, f)
		}
		if got := eval[[]string](b, small); len(got) > 0 {
			t.Errorf("%s: targets under 24 px, or out of sight: %v", state, got)
		}
		b.shot("axe-" + strings.ReplaceAll(state, " ", "-"))
	}
	features := map[string][]*emulation.MediaFeature{
		"light": {{Name: "prefers-color-scheme", Value: "light"}}, "dark": {{Name: "prefers-color-scheme", Value: "dark"}},
		"forced colours": {{Name: "forced-colors", Value: "active"}, {Name: "prefers-color-scheme", Value: "light"}},
	}
	for _, scheme := range []string{"light", "dark", "forced colours"} {
		b.do(call(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: features[scheme]}))
		b.open("/")
		b.do(chromedp.WaitVisible(`.tillid-banner`))
		check("first layer and placeholder " + scheme)
		eval[bool](b, `document.querySelector(".tillid-more a").click(), true`)
		b.do(chromedp.WaitVisible(`.tillid-layer`))
		eval[bool](b, `document.querySelectorAll("details").forEach(function (d) { d.open = true; }), true`)
		check("second layer " + scheme)
	}
	b.do(call(emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: 320, Height: 256, DeviceScaleFactor: 1}))
	b.open("/")
	b.do(chromedp.WaitVisible(`.tillid-banner`))
	check("first layer at 400 percent")
	eval[bool](b, `document.querySelector(".tillid-more a").click(), true`)
	b.do(chromedp.WaitVisible(`.tillid-layer`))
	if wide := eval[int](b, `document.documentElement.scrollWidth`); wide > 320 {
		t.Errorf("at 400 %% the page is %d px wide", wide)
	}
	check("second layer at 400 percent")
	b.do(call(emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: 1280, Height: 900, DeviceScaleFactor: 1}))
	b.open("/")
	b.do(chromedp.WaitVisible(`.tillid-banner`))
	for range 40 { // by keyboard, what has focus is seen: never behind the banner
		b.do(chromedp.KeyEvent("\t"))
		if hidden := eval[string](b, covered); hidden != "" {
			t.Errorf("focus is behind the banner: %s", hidden)
		}
	}
	eval[bool](b, `tillid.accept(), true`)
	b.until(`window.tillid && tillid.granted().length > 0 && !document.querySelector(".tillid-banner")`)
	check("after a yes")
	b.noErrors()
	b.do(chromedp.Sleep(time.Millisecond))
}

// small lists what can be pressed in our parts and is smaller than 24 px, or wider
// than the window. Links within a line of text are exempt (WCAG 2.2, 2.5.8).
const small = `[].filter.call(document.querySelectorAll(".tillid-banner button, .tillid-more a, .tillid-item label, .tillid-item summary, .tillid-entry a, .tillid-entry button, .tillid-embed button"), function (e) {
	var r = e.getBoundingClientRect();
	return r.width > 0 && (r.height < 24 || r.width < 24 || r.right > innerWidth + 1);
}).map(function (e) { var r = e.getBoundingClientRect(); return e.textContent + " " + Math.round(r.width) + "×" + Math.round(r.height); })`

// covered names what has focus when it is wholly behind the banner.
const covered = `(function () {
	var e = document.activeElement, banner = document.querySelector(".tillid-banner");
	if (!e || e === document.body || !banner || banner.contains(e) || getComputedStyle(banner).position !== "fixed") return "";
	var r = e.getBoundingClientRect(), x = banner.getBoundingClientRect();
	return r.top >= x.top && r.bottom <= innerHeight && r.left >= x.left && r.right <= x.right ? e.outerHTML.slice(0, 100) : "";
})()`
