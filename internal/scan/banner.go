package scan

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"time"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// tool is one consent banner, and how it is told.
type tool struct {
	name         string
	there        string // an expression of the page that is true when the page has it
	refuse, take act
}

// act makes one choice: through the tool's documented interface, or by pressing
// a control as a person does.
type act struct {
	call  string // an expression; true, or a promise of it, when it could act
	press string // an expression that gives the control
}

func through(call string) act { return act{call: call} }

// button is the first control that a selector finds.
func button(selector string) act {
	q, _ := json.Marshal(selector) // a string: cannot fail
	return act{press: `document.querySelector(` + string(q) + `)`}
}

func has(selector string) string { return `!!` + button(selector).press }

// ours is Tillid's own banner: it is answered when it is gone.
const ours = ".tillid-banner .tillid-buttons .tillid-button"

// The tools, our own first, then by how often they are met. Written from the
// vendors' documentation of their interfaces; see docs/scan.md. The last is any
// banner whose controls say what they do.
var tools = []tool{
	{"Tillid", has(ours), button(ours + ":nth-of-type(1)"), button(ours + ":nth-of-type(2)")},
	{"Cookiebot", `!!(window.Cookiebot && Cookiebot.submitCustomConsent)`, through(`(Cookiebot.submitCustomConsent(false, false, false), true)`), through(`(Cookiebot.submitCustomConsent(true, true, true), true)`)},
	{"Cookie Information", `!!(window.CookieInformation && CookieInformation.submitAllCategories)`, through(`(CookieInformation.declineAllCategories(), true)`), through(`(CookieInformation.submitAllCategories(), true)`)},
	{"OneTrust", `!!(window.OneTrust && OneTrust.RejectAll)`, through(`(OneTrust.RejectAll(), true)`), through(`(OneTrust.AllowAll(), true)`)},
	{"Usercentrics", `!!(window.UC_UI && UC_UI.isInitialized && UC_UI.isInitialized())`, through(`UC_UI.denyAllConsents().then(() => true)`), through(`UC_UI.acceptAllConsents().then(() => true)`)},
	{"vanilla-cookieconsent", `!!(window.CookieConsent && CookieConsent.acceptCategory)`, through(`(CookieConsent.acceptCategory([]), CookieConsent.hide && CookieConsent.hide(), true)`), through(`(CookieConsent.acceptCategory("all"), CookieConsent.hide && CookieConsent.hide(), true)`)},
	{"vanilla-cookieconsent", `!!document.querySelector('#cc-main [data-role="necessary"]')`, button(`#cc-main [data-role="necessary"]`), button(`#cc-main [data-role="all"]`)},
	{"Klaro", `!!(window.klaro && klaro.getManager)`, through(`(m => (m.changeAll(false), m.saveAndApplyConsents(), true))(klaro.getManager())`), through(`(m => (m.changeAll(true), m.saveAndApplyConsents(), true))(klaro.getManager())`)},
	{"Didomi", `!!(window.Didomi && Didomi.setUserDisagreeToAll)`, through(`(Didomi.setUserDisagreeToAll(), true)`), through(`(Didomi.setUserAgreeToAll(), true)`)},
	{"tarteaucitron", `!!(window.tarteaucitron && tarteaucitron.userInterface)`, through(`(tarteaucitron.userInterface.respondAll(false), true)`), through(`(tarteaucitron.userInterface.respondAll(true), true)`)},
	{"CookieYes", `!!document.querySelector(".cky-btn-reject")`, button(".cky-btn-reject"), button(".cky-btn-accept")},
	{"Complianz", `!!document.querySelector(".cmplz-deny")`, button(".cmplz-deny"), button(".cmplz-accept")},
	{"iubenda", `!!document.querySelector(".iubenda-cs-reject-btn")`, button(".iubenda-cs-reject-btn"), button(".iubenda-cs-accept-btn")},
	{"Osano", `!!document.querySelector(".osano-cm-denyAll")`, button(".osano-cm-denyAll"), button(".osano-cm-accept-all")},
	{ByWords, `!!(` + words + `(false) || ` + words + `(true))`, act{press: words + `(false)`}, act{press: words + `(true)`}},
}

// ByWords is the name of a banner of no known kind, whose controls were found by what they say.
const ByWords = "by its words"

// words is a function of the page: the visible control beside a text about
// cookies or consent that says yes to everything, or no. What it says must be
// the whole of one of these, so that nothing else is pressed.
const words = `(yes => {
const says = yes
? /^(ja|ja tak|ok|accepter|accepter alle|acceptér|acceptér alle|godkend|godkend alle|tillad|tillad alle|tillad alle cookies|accepter alle cookies|yes|accept|accept all|accept cookies|accept all cookies|allow|allow all|allow all cookies|i agree|agree|alle akzeptieren|acceptera alla|godta alle)$/
: /^(nej|nej tak|afvis|afvis alle|afvis alle cookies|kun nødvendige|kun nødvendige cookies|tillad kun nødvendige|accepter kun nødvendige|no|no thanks|no, thanks|reject|reject all|reject all cookies|decline|decline all|deny|deny all|refuse|refuse all|necessary only|only necessary|only necessary cookies|use necessary cookies only|alle ablehnen|nur notwendige|avvisa alla|avvis alle)$/;
const seen = e => e.getClientRects().length > 0 && getComputedStyle(e).visibility === "visible";
const about = e => { for (let i = 0; e && e !== document.body && i < 6; i++, e = e.parentElement) if (/cookie|samtykke|consent/i.test(e.textContent)) return true; return false };
return [...document.querySelectorAll("button, [role=button], input[type=button], input[type=submit], a")].slice(0, 2000)
.find(e => says.test((e.value || e.textContent || "").trim().toLowerCase().replace(/\s+/g, " ").replace(/[.!]$/, "")) && seen(e) && about(e)) || null })`

// answer makes the choice of a pass on the page that is open: a no, or a yes to everything.
func (t *tab) answer(pass Pass) Answer {
	for try := 0; ; try++ {
		for i, tool := range tools {
			if tool.name == ByWords && try < t.s.o.Limits.BannerTries || !t.says(tool.there) {
				continue // words count last: a known one may still come
			}
			return Answer{Banner: tool.name, Done: t.act(tools[i], pass)}
		}
		if try >= t.s.o.Limits.BannerTries { // some come late, from elsewhere
			return Answer{}
		}
		if !t.wait(250 * time.Millisecond) {
			return Answer{}
		}
	}
}

// act makes the choice, and reports whether it was made.
func (t *tab) act(tool tool, pass Pass) bool {
	act := tool.refuse
	if pass == Accepted {
		act = tool.take
	}
	if act.press == "" {
		return t.says(act.call)
	}
	if !t.press(act.press) {
		return false
	}
	if tool.name == "Tillid" { // it goes when its server has written the choice down
		for range 40 {
			if !t.says(tool.there) {
				return true
			}
			if !t.wait(125 * time.Millisecond) {
				break
			}
		}
		return false
	}
	return true
}

// wait returns false when the page's time is over first.
func (t *tab) wait(d time.Duration) bool {
	select {
	case <-t.ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// press presses a control with the mouse, where a person would: in its middle,
// if nothing lies over it. Else it is pressed by the browser's own means.
func (t *tab) press(control string) bool {
	var at struct{ X, Y float64 }
	err := t.evaluate(`(() => { const b = `+control+`; if (!b) return null; b.scrollIntoView({ block: "nearest", behavior: "instant" });
const r = b.getBoundingClientRect(), x = r.left + r.width / 2, y = r.top + r.height / 2, top = document.elementFromPoint(x, y);
return top && b.contains(top) ? { X: x, Y: y } : (b.click(), { X: -1, Y: -1 }) })()`, &at)
	if err != nil || math.IsNaN(at.X) {
		return false
	}
	if at.X < 0 {
		return true
	}
	for _, kind := range []input.DispatchMouseEventType{input.DispatchMouseEventTypeMousePressed, input.DispatchMouseEventTypeMouseReleased} {
		one := int64(1)
		if call(t.ctx, input.DispatchMouseEvent, input.DispatchMouseEventParams{Type: kind, X: at.X, Y: at.Y, Button: input.MouseButtonLeft, ClickCount: one}) != nil {
			return false
		}
	}
	return true
}

// says evaluates an expression in the page itself and reports whether it gave true.
func (t *tab) says(expression string) (said bool) {
	return t.evaluate(expression, &said) == nil && said
}

// evaluate gives an expression of the page its say; null is an error.
func (t *tab) evaluate(expression string, into any) error {
	ctx, cancel := context.WithTimeout(t.ctx, 5*time.Second)
	defer cancel()
	yes := true
	got, err := chromedp.Call(ctx, runtime.Evaluate, runtime.EvaluateParams{Expression: expression, AwaitPromise: &yes, ReturnByValue: &yes, UserGesture: &yes})
	if err != nil {
		return err
	}
	if got.ExceptionDetails != nil || got.Result == nil || string(got.Result.Value) == "null" || len(got.Result.Value) == 0 {
		return fmt.Errorf("no answer to %.40s", expression)
	}
	return json.Unmarshal(got.Result.Value, into)
}
