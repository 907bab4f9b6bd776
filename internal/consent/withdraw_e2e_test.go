//go:build e2e

package consent

import (
	"slices"
	"testing"

	"github.com/chromedp/chromedp"
)

// another opens one more tab of the same browser.
func (b *tab) another() *tab {
	b.t.Helper()
	ctx, stop := chromedp.NewContext(b.ctx)
	b.t.Cleanup(stop)
	return &tab{t: b.t, ctx: ctx}
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
	st := newStage(t, "enforce", lab(map[string]string{"/shop/a": withdrawPage, "/other": withdrawPage, "cookie /shop/a": "_ga_H=1; HttpOnly; Path=/"}))
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
	if detail, ok := found["odd_one"]; !ok || detail != "cookie" || found["profile_x"] != "local_storage" {
		t.Errorf("leftovers in the list: %v", found)
	}
	b.noErrors()
}
