//go:build e2e

package consent

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/chromedp"
)

// beside has the site answer /plain without the gateway: with the page's own script
// tag, as sites have it that do not stand behind Tillid.
func (st *stage) beside(body string) {
	f := func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/plain" {
			return false
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprintf(w, `<!doctype html><html lang="en"><head><title>Plain</title><script src="/_tillid/page.js" defer></script></head><body><h1>Page</h1>%s<footer>end</footer></body></html>`, body)
		return true
	}
	st.fault.Store(&f)
}

const shareLinks = `[].map.call(document.querySelectorAll("tillid-share a"), function (a) { return a.href; }).join(" ")`

// Share links are there in the page, by the gateway also without JavaScript, by the
// script where there is no gateway. They reach nobody before somebody follows them,
// and say nothing of how that visitor came. Copying and the device's own way of
// sharing show where the browser has them.
// Rows: A9.
func TestBrowserShares(t *testing.T) {
	st := newStage(t, "enforce", siteWith(`<tillid-share to="facebook linkedin email copy native"></tillid-share>`))
	st.beside(`<tillid-share to="facebook linkedin email copy native"></tillid-share>`)
	for _, l := range []struct {
		path     string
		noScript bool
	}{{"/x", true}, {"/x", false}, {"/plain", false}} {
		t.Run(fmt.Sprintf("%s noScript=%v", strings.Trim(l.path, "/"), l.noScript), func(t *testing.T) {
			at := look{width: 1280, height: 900, lang: "en", noScript: l.noScript}
			b := st.browser(t, at)
			if !l.noScript {
				b.onEachPage(`if (location.hash === "#device") navigator.share = function (what) { window.shared = JSON.stringify(what); return Promise.resolve(); };`) // as phones have
				for _, name := range []string{"clipboard-read", "clipboard-write"} {
					b.do(call(browser.SetPermission, browser.SetPermissionParams{Permission: &browser.PermissionDescriptor{Name: name}, Setting: browser.PermissionSettingGranted, Origin: "https://" + siteHost}))
				}
			}
			b.open(l.path + "?id=7&utm_source=letter&fbclid=x")
			page := "https%3A%2F%2F" + siteHost + "%2F" + l.path[1:] + "%3Fid%3D7"
			b.until(shareLinks + ` !== ""`)
			links := strings.Fields(eval[string](b, shareLinks))
			if len(links) != 3 || links[0] != "https://www.facebook.com/sharer/sharer.php?u="+page || links[1] != "https://www.linkedin.com/sharing/share-offsite/?url="+page || !strings.HasPrefix(links[2], "mailto:?subject=") || !strings.HasSuffix(links[2], "&body="+page) {
				t.Errorf("links %q", links)
			}
			buttons := `[].map.call(document.querySelectorAll("tillid-share button"), function (b) { return b.textContent + (b.hidden ? "-" : "+"); }).join()`
			if l.noScript {
				if got := eval[string](b, buttons); got != "Copy the address-,Share…-" {
					t.Errorf("buttons without JavaScript: %s", got)
				}
				return
			}
			b.until(buttons + ` === "Copy the address+,Share…-"`)
			b.do(chromedp.Click(`[data-tillid-copy]`))
			b.until(`!!document.querySelector("tillid-share [role=status]")`)
			eval[bool](b, `navigator.clipboard.readText().then(function (s) { window.pasted = s; }), true`)
			b.until(`!!window.pasted`)
			want := "https://" + siteHost + l.path + "?id=7"
			if got := eval[string](b, "pasted"); got != want {
				t.Errorf("copied %q", got)
			}
			b.open(l.path + "?id=7&utm_source=letter#device")
			b.until(buttons + ` === "Copy the address+,Share…+"`)
			b.do(chromedp.Click(`[data-tillid-native]`))
			if got := eval[string](b, "window.shared || ''"); !strings.Contains(got, `"url":"`+want+`"`) {
				t.Errorf("shared %s", got)
			}
			if got := st.reached(); len(got) > 0 {
				t.Errorf("the browser reached %v", got)
			}
			b.noErrors()
		})
	}
}

// Links that lead to other sites are marked for eyes and ears, by the gateway and by
// the script alone; links of the house and those that lead nowhere else are not.
// Rows: A10.
func TestBrowserMarksOutbound(t *testing.T) {
	links := `<a id="out" href="https://other.test/x">Other</a> <a id="rel" rel="nofollow noopener" href="http://third.test/">Third</a>
<a id="own" href="/y">Own</a> <a id="same" href="https://` + siteHost + `/z">Same</a> <a id="mail" href="mailto:a@example.dk">Mail</a> <a id="call" href="tel:+4500000000">Call</a> <a id="here" href="#x">Here</a>`
	st := newStage(t, "enforce", siteWith(links))
	st.publish(parse(map[string]string{"http://127.0.0.1:8081": st.Plan().Sites[0].Upstream}))
	st.beside(links)
	for _, path := range []string{"/x", "/plain"} {
		b := st.browser(t, look{width: 1280, height: 900, lang: "en"})
		b.open(path)
		b.until(`document.querySelectorAll(".tillid-out").length === 2`)
		marked := eval[string](b, `[].map.call(document.querySelectorAll("a .tillid-out"), function (m) { return m.parentNode.id + " " + m.parentNode.rel + " " + m.getAttribute("aria-label"); }).join(", ")`)
		if marked != "out external noopener another site, rel nofollow noopener external another site" {
			t.Errorf("%s: marked are %s", path, marked)
		}
		if got := st.reached(); len(got) > 0 {
			t.Errorf("%s: the browser reached %v", path, got)
		}
		b.noErrors()
	}
}

// What somebody is interested in is counted in their own browser, and only after a
// yes; then the matching content stands in the usual content's place. After
// withdrawal the usual content is back and the storage is gone.
// Rows: B9.
func TestBrowserInterests(t *testing.T) {
	st := newStage(t, "enforce", siteWith(`<div><p data-tillid-interest="default">Usual</p><p data-tillid-interest="tills" hidden>Tills</p></div>`))
	st.publish(parse(map[string]string{"http://127.0.0.1:8081": st.Plan().Sites[0].Upstream, "device_access:\n": interestsDeclared}))
	b := st.browser(t, look{width: 1280, height: 900, lang: "en"})
	is := func(path, want, stored, when string) {
		t.Helper()
		b.open(path)
		b.settled()
		if got := eval[string](b, `[].filter.call(document.querySelectorAll("[data-tillid-interest]"), function (e) { return !e.hidden; }).map(function (e) { return e.textContent; }).join() + "|" + (localStorage.getItem("tillid_interest") || "")`); got != want+"|"+stored {
			t.Errorf("%s: %s, want %s|%s", when, got, want, stored)
		}
	}
	is("/produkter/a", "Usual", "", "before a choice")
	eval[bool](b, `tillid.accept(["youtube"]), true`)
	b.until(`document.readyState === "complete" && window.tillid && tillid.granted().join() === "youtube"`)
	is("/produkter/a", "Usual", "", "after a yes to something else")
	eval[bool](b, `tillid.accept(["own:measure_use"]), true`)
	b.until(`window.tillid && tillid.granted().indexOf("own:measure_use") >= 0`)
	is("/other", "Usual", "", "after a yes, before anything was read")
	is("/produkter/a", "Tills", `{"tills":1}`, "on a page about tills")
	is("/other", "Tills", `{"tills":1}`, "on the next page")
	eval[bool](b, `tillid.withdraw(["own:measure_use"]), true`)
	b.until(`document.readyState === "complete" && window.tillid && tillid.granted().join() === "youtube" && !localStorage.getItem("tillid_interest")`)
	is("/produkter/a", "Usual", "", "after withdrawal")
	b.noErrors()
}
