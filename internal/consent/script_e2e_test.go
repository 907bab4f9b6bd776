//go:build e2e

package consent

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

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
	eval[bool](b, `window.old = true, tillid.withdraw(["statistics"]).then(function () {}), true`)
	b.until(`!window.old && document.readyState === "complete" && window.tillid && tillid.granted().length === 0`)
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
