//go:build e2e

package consent

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// Under a site's strictest policy, with nonces and Trusted Types, the banner works
// in every state and breaks no rule of it.
func TestBrowserStrictPolicy(t *testing.T) {
	body := `<script nonce="abc123">window.broken = []; document.addEventListener("securitypolicyviolation", function (e) { broken.push(e.effectiveDirective + " " + e.blockedURI); }); window.ran = [];</script></head>
<body><main><h1>Strict</h1></main><script nonce="abc123" type="text/plain" data-category="preferences">ran.push("inline");</script>
<script nonce="abc123" type="text/plain" data-category="preferences" src="/b.js"></script><script nonce="abc123" type="text/plain" data-category="preferences" data-src="/b.js"></script></body>`
	policy := "default-src 'none'; script-src 'nonce-abc123'; style-src 'nonce-abc123'; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'"
	st := newStage(t, "enforce", lab(map[string]string{"/": body, "policy /": policy, "/none": body, "policy /none": policy + "; trusted-types 'none'"}))
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
	b.until(`window.ran && ran.join() === "inline,b,b"`)
	clean("after a yes")
	b.settled()
	clean("after a yes, settled")
	b.leave(`document.querySelector(".tillid-link").click()`)
	b.until(`document.readyState === "complete" && tillid.granted().length === 0`)
	clean("after withdrawal")

	// A site that lets nobody vouch for code keeps scripts shut that need it; all else works.
	b.do(call(network.ClearBrowserCookies, cdp.Empty{}))
	b.open("/none")
	b.do(chromedp.WaitVisible(`.tillid-banner`))
	clean("without any policy of Trusted Types")
	b.leave(`document.querySelectorAll(".tillid-button")[1].click()`)
	b.until(`window.ran && ran.join() === "b"`)
	b.settled()
	if got := eval[string](b, `ran.join() + tillid.has("preferences")`); got != "btrue" {
		t.Errorf("ran, with no policy of Trusted Types: %s", got)
	}
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
