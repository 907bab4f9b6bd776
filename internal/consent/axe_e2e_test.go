//go:build e2e

package consent

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// seen is a way in which somebody sees a page.
type seen struct {
	name, lang    string
	width, height int64
	features      []*emulation.MediaFeature
}

// waysToSee are light, dark and forced colours, and a window of 1280 × 1024 at 400 % zoom.
var waysToSee = []seen{
	{"light", "da", 1280, 900, []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "light"}}},
	{"dark", "en", 1280, 900, []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}}},
	{"forced colours", "da", 1280, 900, []*emulation.MediaFeature{{Name: "forced-colors", Value: "active"}, {Name: "prefers-color-scheme", Value: "light"}}},
	{"400 percent", "en", 320, 256, []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "light"}}},
}

// axe-core finds nothing in any state, nothing is wider than the window, and all
// that can be pressed has 24 px: first layer, second layer, placeholder, an embed
// shown once, its frame that asks, the choices page, the way back after a yes.
// Rows: A4, A8.
func TestBrowserAccessible(t *testing.T) {
	st := newStage(t, "enforce", nil)
	for _, w := range waysToSee {
		t.Run(w.name, func(t *testing.T) {
			b := st.browser(t, look{width: w.width, height: w.height, lang: w.lang})
			b.do(call(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: w.features}))
			front := map[string]string{"da": "/", "en": "/en/"}[w.lang]
			b.open(front)
			b.do(chromedp.WaitVisible(`.tillid-banner`), chromedp.WaitVisible(`.tillid-embed`))
			b.accessible(w, "first layer and placeholder")
			eval[bool](b, `document.querySelector(".tillid-more a").click(), true`)
			b.do(chromedp.WaitVisible(`.tillid-layer`))
			eval[bool](b, `document.querySelectorAll("details").forEach(function (d) { d.open = true; }), true`)
			b.accessible(w, "second layer")
			b.do(chromedp.KeyEvent("\x1b"), chromedp.WaitNotPresent(`.tillid-banner`))
			asks := eval[string](b, `document.querySelector("[data-tillid-once]").formAction.replace(location.origin, "")`)
			eval[bool](b, `document.querySelector("[data-tillid-once]").click(), true`)
			b.until(`(function () { var f = document.querySelector("iframe.tillid-once"); return !!(f && f.contentDocument && f.contentDocument.querySelector("iframe[credentialless]")); })()`)
			eval[bool](b, `document.querySelector("iframe.tillid-once").scrollIntoView({ block: "center" }), true`)
			b.accessible(w, "shown once")
			b.open(asks)
			b.accessible(w, "frame that asks")
			b.open("/privacy/choices?lang=" + w.lang)
			eval[bool](b, `document.querySelectorAll("details").forEach(function (d) { d.open = true; }), true`)
			b.accessible(w, "choices page")
			b.open(front)
			b.do(chromedp.WaitVisible(`.tillid-banner`))
			b.leave(`document.querySelectorAll(".tillid-button")[1].click()`)
			b.until(`document.readyState === "complete" && !!document.querySelector(".tillid-link")`)
			b.accessible(w, "after a yes")
			b.noErrors()
		})
	}
}

// accessible fails for all that axe-core finds in the page and in its frames of this
// host, for sideways scrolling and for small targets.
func (b *tab) accessible(w seen, state string) {
	b.t.Helper()
	for _, frame := range b.frames() {
		for _, f := range b.axe(frame) {
			b.t.Errorf("%s: %s", state, f)
		}
	}
	if got := eval[[]string](b, small); len(got) > 0 {
		b.t.Errorf("%s: targets under 24 px, or out of sight: %v", state, got)
	}
	if wide := eval[int64](b, `document.documentElement.scrollWidth`); wide > w.width {
		b.t.Errorf("%s: the page is %d px wide in a window of %d", state, wide, w.width)
	}
	b.shot(strings.ReplaceAll("axe-"+w.name+"-"+state, " ", "-"))
}

// frames returns the page's own frame and those of the same host in it.
func (b *tab) frames() []cdp.FrameID {
	b.t.Helper()
	var all []cdp.FrameID
	b.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		got, err := cdp.Call(ctx, t, page.GetFrameTree, cdp.Empty{})
		if err != nil {
			return err
		}
		all = append(all, got.FrameTree.Frame.ID)
		for _, child := range got.FrameTree.ChildFrames {
			if strings.HasPrefix(child.Frame.URL, "https://"+siteHost+"/") {
				all = append(all, child.Frame.ID)
			}
		}
		return nil
	}))
	return all
}

// axe runs axe-core in a frame, in a world of its own: the page's policies concern
// the page's code, not a tool's.
func (b *tab) axe(frame cdp.FrameID) (found []string) {
	b.t.Helper()
	axe, err := os.ReadFile("../../e2e/testdata/axe/axe.min.js")
	if err != nil {
		b.t.Fatal(err)
	}
	js := string(axe) + `;axe.run(document, {iframes: false, runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}).then(function (r) {
		return JSON.stringify(r.violations.map(function (v) { return v.id + ": " + v.nodes.map(function (n) { return n.target.join(" ") + " " + n.failureSummary; }).join("; "); }));
	})`
	b.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		world, err := cdp.Call(ctx, t, page.CreateIsolatedWorld, page.CreateIsolatedWorldParams{FrameID: frame, WorldName: "axe"})
		if err != nil {
			return err
		}
		got, err := cdp.Call(ctx, t, runtime.Evaluate, runtime.EvaluateParams{Expression: js, ContextID: world.ExecutionContextID, AwaitPromise: new(true), ReturnByValue: new(true)})
		if err != nil {
			return err
		}
		if got.ExceptionDetails != nil {
			return fmt.Errorf("axe: %s", got.ExceptionDetails.Text)
		}
		var list string
		if err := json.Unmarshal(got.Result.Value, &list); err != nil {
			return err
		}
		return json.Unmarshal([]byte(list), &found)
	}))
	return found
}

// By keyboard alone: the banner comes first, in the order in which it is read; what
// has focus is never behind it; Escape hides it; focus returns to where it was.
// Rows: A4.
func TestBrowserKeyboard(t *testing.T) {
	st := newStage(t, "enforce", nil)
	b := st.browser(t, desktop)
	b.open("/")
	b.do(chromedp.WaitVisible(`.tillid-banner`))
	var order []string
	for range 40 {
		b.do(chromedp.KeyEvent("\t"))
		order = append(order, eval[string](b, `document.activeElement.textContent.trim()`))
		if hidden := eval[string](b, covered); hidden != "" {
			t.Errorf("focus is behind the banner: %s", hidden)
		}
	}
	if got := strings.Join(order[:4], ", "); got != "Nej, Ja, Vælg selv, Eksempel" {
		t.Errorf("the keyboard goes through %s", got)
	}
	if room := eval[int](b, `parseInt(document.documentElement.style.paddingBottom) - document.querySelector(".tillid-banner").offsetHeight`); room < 8 {
		t.Errorf("the end of the page is behind the banner: %d px", room)
	}
	b.do(chromedp.Focus(`.tillid-more a`), chromedp.KeyEvent("\r"), chromedp.WaitVisible(`.tillid-layer`))
	focus := func() string { return eval[string](b, `document.activeElement.textContent.trim().slice(0, 40)`) }
	if got := focus(); got != "Dine valg" {
		t.Errorf("in the second layer %q has focus", got)
	}
	b.do(chromedp.KeyEvent("\t"))
	if got := eval[string](b, `document.activeElement.name + document.activeElement.value`); got != "servicegoogle_analytics" {
		t.Errorf("after the title %q has focus", got)
	}
	b.do(chromedp.KeyEvent("\x1b"), chromedp.WaitNotPresent(`.tillid-banner`))
	if got := focus(); got != "Privatliv" {
		t.Errorf("after Escape %q has focus", got)
	}
	b.until(`document.documentElement.style.paddingBottom === ""`)
	// A button of the page's own that opens the choices gets the focus back.
	eval[bool](b, `(function () { var e = document.createElement("button"); e.textContent = "Own"; e.onclick = function () { tillid.show(); }; document.querySelector("main").prepend(e); e.focus(); })(), true`)
	b.do(chromedp.KeyEvent("\r"), chromedp.WaitVisible(`.tillid-layer`), chromedp.KeyEvent("\x1b"), chromedp.WaitNotPresent(`.tillid-banner`))
	if got := focus(); got != "Own" {
		t.Errorf("after Escape %q has focus", got)
	}
	if n := st.count("choice"); n != 0 {
		t.Errorf("hiding the banner made %d choices", n)
	}
	b.noErrors()
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
