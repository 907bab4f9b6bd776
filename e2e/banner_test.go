//go:build e2e

package e2e

import (
	"math"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/tillid/tillid/internal/policy"
)

// sameLook compares everything that makes one button easier to press than another,
// and gives the contrast of its text.
const sameLook = `(() => {
	const [a, b] = document.querySelectorAll(".tillid-button"), x = getComputedStyle(a), y = getComputedStyle(b);
	const differ = ["color", "backgroundColor", "backgroundImage", "fontFamily", "fontSize", "fontWeight", "borderTopWidth", "borderTopColor", "borderRadius", "boxShadow", "opacity", "textDecorationLine", "cursor"]
		.filter(p => x[p] !== y[p]);
	for (const p of ["offsetWidth", "offsetHeight"]) if (a[p] !== b[p]) differ.push(p);
	const light = c => c.match(/[\d.]+/g).slice(0, 3).map(v => v / 255).map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
		.reduce((s, v, i) => s + v * [.2126, .7152, .0722][i], 0);
	const [hi, lo] = [light(x.color), light(x.backgroundColor)].sort((p, q) => q - p);
	return {differ, contrast: (hi + .05) / (lo + .05), boxes: document.querySelectorAll(".tillid-banner input").length};
})()`

// The banner's two answers look the same in every look, it has no ticked boxes,
// it is answered by keyboard alone, it is gone for good after an answer, and the
// way back stands on every page. In Danish and English.
func TestBanner(t *testing.T) {
	d := startDemo(t)
	for _, l := range []look{{width: 1280, height: 900, lang: "da"}, {width: 360, height: 740, dark: true, lang: "en"}} {
		b := newBrowser(t, l)
		home, products, title, no, yes, entry := "/", "/produkter", "Må vi?", "Nej", "Ja", "Privatliv"
		if l.lang == "en" {
			home, products, title, no, yes, entry = "/en/", "/en/products", "May we?", "No", "Yes", "Privacy"
		}
		b.open(d.at("site", home))
		b.do(chromedp.WaitVisible(".tillid-banner"))
		if got := b.text("#tillid-title") + b.text(".tillid-button:nth-child(1)") + b.text(".tillid-button:nth-child(2)"); got != title+no+yes {
			t.Errorf("the banner says %q", got)
		}
		look := eval[struct {
			Differ   []string
			Contrast float64
			Boxes    int
		}](b, sameLook)
		if len(look.Differ) > 0 || look.Contrast < 4.5 || look.Boxes > 0 {
			t.Errorf("%s: yes and no differ in %v; contrast %.1f; %d boxes", l.lang, look.Differ, look.Contrast, look.Boxes)
		}
		if to := eval[string](b, `document.querySelector(".tillid-more a").getAttribute("href")`); !strings.HasPrefix(to, "/privacy/choices") {
			t.Errorf("the link to choose leads to %q", to)
		}
		b.keyTo(no)
		b.do(chromedp.KeyEvent("\r"), chromedp.WaitNotPresent(".tillid-banner"))
		b.open(d.at("site", products))
		b.do(chromedp.WaitReady(".tillid-entry"))
		if got := b.text(".tillid-entry a"); got != entry {
			t.Errorf("the way back is called %q", got)
		}
		if eval[bool](b, `!!document.querySelector(".tillid-banner")`) {
			t.Error("asked again after a no")
		}
		b.noErrors()
		b.close()
	}
	log := d.staff(t, "en").get("backoffice", "/log").body
	if n := strings.Count(log, "consent.refused"); n != 2 {
		t.Errorf("%d leaves for two refusals", n)
	}
}

// keyTo presses Tab until what has focus says text.
func (b *browser) keyTo(text string) {
	b.t.Helper()
	for range 12 {
		b.do(chromedp.KeyEvent("\t"))
		if eval[string](b, `document.activeElement.textContent.trim()`) == text {
			return
		}
	}
	b.t.Fatalf("%q is not reached by the keyboard", text)
}

// The choices page does all of it without JavaScript: all, none, one by one,
// withdraw. The cookie is the server's, lasts as long for a no as for a yes, and
// is worth nothing when it was changed. Each choice has its leaf.
func TestChoicesWithoutJavaScript(t *testing.T) {
	d := startDemo(t)
	l := desktop
	l.noScript = true
	b := newBrowser(t, l)
	choices := func() {
		t.Helper()
		b.open(d.at("site", "/privacy/choices?lang=en"))
	}
	ticked := func() (n int) {
		t.Helper()
		nodes, err := chromedp.Run(b.ctx, chromedp.AttributesAll("main input[type=checkbox]"))
		if err != nil {
			t.Fatal(err)
		}
		for _, attributes := range nodes {
			if _, ok := attributes["checked"]; ok {
				n++
			}
		}
		return n
	}
	choices()
	b.wants("You have not chosen yet", "Google Ireland Limited")
	b.do(chromedp.Click(`.choice:has([value="meta_pixel"]) summary`)) // opens without a script
	b.wants("_fbp")
	if n := ticked(); n != 0 {
		t.Errorf("%d boxes are ticked before a choice", n)
	}
	b.press(`button[value="none"]`)
	b.wants("no to everything")
	refused := b.cookie(policy.ChoiceCookie)
	choices()
	b.press(`button[value="all"]`)
	b.wants("Your choice is saved", "Meta pixel")
	granted := b.cookie(policy.ChoiceCookie)
	if refused == nil || granted == nil || !granted.HTTPOnly || granted.SameSite != "Lax" {
		t.Fatalf("the cookies of a no and a yes: %+v, %+v", refused, granted)
	}
	if apart := granted.Expires - refused.Expires; math.Abs(apart) > (24 * time.Hour).Seconds() {
		t.Errorf("a yes lasts %.0f s longer than a no", apart)
	}
	if n := ticked(); n < 5 {
		t.Errorf("only %d boxes are ticked after a yes to everything", n)
	}
	b.do(chromedp.Click("#item-meta_pixel"))
	b.press(`button[value="some"]`)
	v := d.visitor(t, "en")
	u, _ := url.Parse(d.at("site", "/"))
	holds := func(value string) string {
		t.Helper()
		v.http.Jar.SetCookies(u, []*http.Cookie{{Name: policy.ChoiceCookie, Value: value, Path: "/"}})
		return strings.Join(v.get("site", "/").Header.Values("Content-Security-Policy"), " ")
	}
	some := b.cookie(policy.ChoiceCookie).Value
	if csp := holds(some); !strings.Contains(csp, "google.localhost") || strings.Contains(csp, "meta.localhost") {
		t.Errorf("with all but Meta, pages may load from: %s", csp)
	}
	for _, at := range []int{0, len(some) / 2, len(some) - 3} {
		if csp := holds(some[:at] + string(some[at]^1) + some[at+1:]); strings.Contains(csp, "google.localhost") {
			t.Errorf("a cookie with another byte %d lets in: %s", at, csp)
		}
	}
	choices()
	b.press(`button[value="none"]`)
	b.wants("withdrawn")
	if ticked() != 0 {
		t.Error("boxes are ticked after withdrawal")
	}
	log := d.staff(t, "en").get("backoffice", "/log").page(t)
	var kinds []string
	for _, code := range log.Find("td:nth-child(3) code").EachIter() {
		if kind := code.Text(); strings.HasPrefix(kind, "consent.") {
			kinds = append(kinds, kind)
		}
	}
	if got := strings.Join(kinds, " "); got != "consent.withdrawn consent.given consent.given consent.refused" {
		t.Errorf("the log says %s", got)
	}
}
