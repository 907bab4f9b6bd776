package scan

import (
	"context"
	"encoding/json"
	"time"

	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// tool is one consent banner, and how it is told. The expressions run in the
// page; each gives true, or a promise, when it could act.
type tool struct {
	name         string
	there        string // true when the page has it
	refuse, take string
}

// click is an expression that presses the first control that a selector finds.
func click(selector string) string {
	q, _ := json.Marshal(selector) // a string: cannot fail
	return `(() => { const b = document.querySelector(` + string(q) + `); if (!b) return false; b.click(); return true })()`
}

func own(do string) string {
	return `fetch("/_tillid/consent", { method: "POST", credentials: "same-origin",
headers: { "Content-Type": "application/json", Accept: "application/json" },
body: JSON.stringify({ do: "` + do + `", layer: "banner", lang: document.documentElement.lang || "en" }) }).then(r => r.ok)`
}

// The tools, our own first, then by how often they are met. Written from the
// vendors' documentation of their interfaces; see docs/scan.md.
var tools = []tool{
	{"Tillid", `!!document.querySelector('script[src*="/_tillid/"], script[data-tillid]')`, own("none"), own("all")},
	{"Cookiebot", `!!(window.Cookiebot && Cookiebot.submitCustomConsent)`, `(Cookiebot.submitCustomConsent(false, false, false), true)`, `(Cookiebot.submitCustomConsent(true, true, true), true)`},
	{"Cookie Information", `!!(window.CookieInformation && CookieInformation.submitAllCategories)`, `(CookieInformation.declineAllCategories(), true)`, `(CookieInformation.submitAllCategories(), true)`},
	{"OneTrust", `!!(window.OneTrust && OneTrust.RejectAll)`, `(OneTrust.RejectAll(), true)`, `(OneTrust.AllowAll(), true)`},
	{"Usercentrics", `!!(window.UC_UI && UC_UI.isInitialized && UC_UI.isInitialized())`, `UC_UI.denyAllConsents().then(() => true)`, `UC_UI.acceptAllConsents().then(() => true)`},
	{"vanilla-cookieconsent", `!!(window.CookieConsent && CookieConsent.acceptCategory)`, `(CookieConsent.acceptCategory([]), CookieConsent.hide && CookieConsent.hide(), true)`, `(CookieConsent.acceptCategory("all"), CookieConsent.hide && CookieConsent.hide(), true)`},
	{"vanilla-cookieconsent", `!!document.querySelector('#cc-main [data-role="necessary"]')`, click(`#cc-main [data-role="necessary"]`), click(`#cc-main [data-role="all"]`)},
	{"Klaro", `!!(window.klaro && klaro.getManager)`, `(m => (m.changeAll(false), m.saveAndApplyConsents(), true))(klaro.getManager())`, `(m => (m.changeAll(true), m.saveAndApplyConsents(), true))(klaro.getManager())`},
	{"Didomi", `!!(window.Didomi && Didomi.setUserDisagreeToAll)`, `(Didomi.setUserDisagreeToAll(), true)`, `(Didomi.setUserAgreeToAll(), true)`},
	{"tarteaucitron", `!!(window.tarteaucitron && tarteaucitron.userInterface)`, `(tarteaucitron.userInterface.respondAll(false), true)`, `(tarteaucitron.userInterface.respondAll(true), true)`},
	{"CookieYes", `!!document.querySelector(".cky-btn-reject")`, click(".cky-btn-reject"), click(".cky-btn-accept")},
	{"Complianz", `!!document.querySelector(".cmplz-deny")`, click(".cmplz-deny"), click(".cmplz-accept")},
	{"iubenda", `!!document.querySelector(".iubenda-cs-reject-btn")`, click(".iubenda-cs-reject-btn"), click(".iubenda-cs-accept-btn")},
	{"Osano", `!!document.querySelector(".osano-cm-denyAll")`, click(".osano-cm-denyAll"), click(".osano-cm-accept-all")},
}

// answer makes the choice of a pass on the page that is open: a no, or a yes to everything.
func (t *tab) answer(pass Pass) Answer {
	for try := 0; ; try++ {
		for _, tool := range tools {
			if !t.says(tool.there) {
				continue
			}
			act := tool.refuse
			if pass == Accepted {
				act = tool.take
			}
			return Answer{Banner: tool.name, Done: t.says(act)}
		}
		if try >= t.s.o.Limits.BannerTries { // some come late, from elsewhere
			return Answer{}
		}
		select {
		case <-t.ctx.Done():
			return Answer{}
		case <-time.After(250 * time.Millisecond):
		}
	}
}

// says evaluates an expression in the page itself and reports whether it gave true.
func (t *tab) says(expression string) bool {
	ctx, cancel := context.WithTimeout(t.ctx, 5*time.Second)
	defer cancel()
	yes := true
	got, err := chromedp.Call(ctx, runtime.Evaluate, runtime.EvaluateParams{Expression: expression, AwaitPromise: &yes, ReturnByValue: &yes, UserGesture: &yes})
	if err != nil || got.ExceptionDetails != nil || got.Result == nil {
		return false
	}
	var said bool
	return json.Unmarshal([]byte(got.Result.Value), &said) == nil && said
}
