//go:build e2e

package consent

import (
	"strconv"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// A declaration whose texts would rather be code: in Chromium nothing of it runs, in
// the banner, its second layer, a placeholder, the frame that asks, the choices page
// and the receipt; all of it is shown as it is written.
// Rows: A1, A8.
func TestBrowserHostileDeclaration(t *testing.T) {
	text := strconv.Quote(`'"><script id=pwned>pwned()</script><img src=x onerror=pwned()></title><!-- javascript:pwned()`)
	st := newStage(t, "enforce", siteWith(`<iframe width="480" height="270" src="https://www.youtube-nocookie.com/embed/abc"></iframe>`))
	replace := map[string]string{
		"http://127.0.0.1:8081": st.Plan().Sites[0].Upstream, "Her ligger en video": strings.Trim(text, `"`), "There is a video": strings.Trim(text, `"`),
		"legal_name: Google Ireland Limited": "legal_name: " + text, "legal_name: Eksempel A/S": "legal_name: " + text,
		"Counts visitors by recognising the device.": strings.Trim(text, `"`),
	}
	for _, label := range []string{"Tælle besøg, en: Count visits", "Google Analytics, en: Google Analytics", "YouTube, en: YouTube"} {
		replace["label: {da: "+label+"}"] = "label: {da: " + text + ", en: " + text + "}"
	}
	st.publish(parse(replace))
	b := st.browser(t, look{width: 1280, height: 900, lang: "en"})
	b.onEachPage(`window.ran = 0; window.pwned = function () { ran++; };`)
	calm := func(where string) {
		t.Helper()
		if n := eval[int](b, `ran + document.querySelectorAll("#pwned, [onerror], img[src=x]").length`); n > 0 {
			t.Errorf("%s: a text of the declaration became code", where)
		}
		if !eval[bool](b, `document.body.innerText.indexOf("<script id=pwned>") >= 0`) {
			t.Errorf("%s: the text is not shown", where)
		}
	}
	b.open("/x")
	b.do(chromedp.WaitVisible(`.tillid-banner`), chromedp.WaitVisible(`.tillid-embed`))
	calm("first layer and placeholder")
	asks := eval[string](b, `document.querySelector("[data-tillid-once]").formAction.replace(location.origin, "")`)
	eval[bool](b, `document.querySelector(".tillid-more a").click(), true`)
	b.do(chromedp.WaitVisible(`.tillid-layer`))
	eval[bool](b, `document.querySelectorAll("details").forEach(function (d) { d.open = true; }), true`)
	calm("second layer")
	b.do(chromedp.KeyEvent("\x1b"), chromedp.WaitNotPresent(`.tillid-banner`))
	b.shot("hostile-placeholder")
	b.open(asks)
	calm("frame that asks")
	b.open("/privacy/choices?lang=en")
	b.press(`button[value="all"]`)
	eval[bool](b, `document.querySelectorAll("details").forEach(function (d) { d.open = true; }), true`)
	calm("choices page")
	b.leave(`document.querySelector("a[href^='/privacy/choices/receipt/']").click()`)
	calm("receipt")
	b.noErrors()
}
