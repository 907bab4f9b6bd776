//go:build e2e

package consent

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/tillid/tillid/internal/policy"
)

// A video is shown this once in its place, with JavaScript and without: from the one
// declared host, with no cookie of it kept, nothing chosen, the page left as it was.
// Rows: A4, A8.
func TestBrowserShowsOnce(t *testing.T) {
	for _, noScript := range []bool{false, true} {
		t.Run(fmt.Sprintf("noScript=%v", noScript), func(t *testing.T) {
			st := newStage(t, "enforce", nil)
			l := desktop
			l.noScript = noScript
			b := st.browser(t, l)
			b.open("/")
			b.do(chromedp.ScrollIntoView(`.tillid-embed`))
			size := eval[string](b, `(function () { var r = document.querySelector(".tillid-embed").getBoundingClientRect(); return r.width + "x" + r.height; })()`)
			eval[int](b, "window.mark = 1")
			if noScript {
				eval[bool](b, `(function () { var f = document.querySelector("noscript iframe, iframe.tillid-once"); return !!f; })()`)
				b.clickInFrame(`iframe.tillid-once`, `form button`)
			} else {
				b.do(chromedp.WaitVisible(`.tillid-banner`), chromedp.WaitVisible(`[data-tillid-once]`), chromedp.Focus(`[data-tillid-once]`), chromedp.KeyEvent("\r"))
			}
			b.until(`(function () { var f = document.querySelector("iframe.tillid-once"); return !!(f && f.contentDocument && f.contentDocument.querySelector("iframe[credentialless]")); })()`)
			b.do(chromedp.Sleep(time.Second)) // the player's own requests
			if got := st.reached(); !slices.Equal(got, []string{"www.youtube-nocookie.com"}) {
				t.Errorf("the browser reached %v", got)
			}
			if got := eval[string](b, `(function () { var r = document.querySelector(".tillid-embed").getBoundingClientRect(); return r.width + "x" + r.height; })()`); got != size {
				t.Errorf("the page moves: %s, then %s", size, got)
			}
			if eval[int](b, "window.mark || 0") != 1 {
				t.Error("the page was loaded anew")
			}
			if got := slices.DeleteFunc(b.cookies(), func(name string) bool { return name == "eksempel_session" }); len(got) > 0 {
				t.Errorf("cookies %v", got)
			}
			if n := st.count("choice"); n != 0 {
				t.Errorf("%d choices", n)
			}
			b.shot(fmt.Sprintf("once-noscript=%v", noScript))
			b.open("/")
			if !eval[bool](b, `!!document.querySelector(".tillid-embed .tillid-box")`) {
				t.Error("the placeholder is not back")
			}
			b.noErrors()
		})
	}
}

// clickInFrame clicks on an element of a frame of the same host.
func (b *tab) clickInFrame(frame, selector string) {
	b.t.Helper()
	at := fmt.Sprintf(`(function () {
		var f = document.querySelector(%q);
		if (!f || !f.contentDocument || !f.contentDocument.querySelector(%q)) return null;
		var o = f.getBoundingClientRect(), r = f.contentDocument.querySelector(%q).getBoundingClientRect();
		return [o.left + r.left + r.width / 2, o.top + r.top + r.height / 2];
	})()`, frame, selector, selector)
	var xy []float64
	b.until(at + " !== null")
	xy = eval[[]float64](b, at)
	b.do(chromedp.MouseClickXY(xy[0], xy[1]))
}

// "Always" for one service, and back again: the placeholder returns. The usual address
// of YouTube is loaded from its private host. Rows: A8.
func TestBrowserAlwaysAndBack(t *testing.T) {
	st := newStage(t, "enforce", siteWith(`<iframe width="480" height="270" title="En film" src="https://www.youtube.com/embed/abc"></iframe>`))
	b := st.browser(t, desktop)
	b.open("/x")
	b.do(chromedp.WaitVisible(`[data-tillid-show]`))
	b.press(`[data-tillid-show]`)
	b.settled()
	if got := st.reached(); !slices.Equal(got, []string{"www.youtube-nocookie.com"}) {
		t.Errorf("the browser reached %v", got)
	}
	if src := eval[string](b, `document.querySelector("iframe[src]").src`); !strings.HasPrefix(src, "https://www.youtube-nocookie.com/embed/abc") {
		t.Errorf("plays %s", src)
	}
	if !slices.Contains(b.cookies(), policy.ChoiceCookie) {
		t.Error("the choice is not kept")
	}
	b.do(chromedp.WaitVisible(`.tillid-link`))
	b.press(`.tillid-link`)
	b.settled()
	st.reached()
	b.open("/x")
	b.settled()
	if !eval[bool](b, `!!document.querySelector("[data-tillid-once]")`) || len(st.reached()) > 0 {
		t.Error("withdrawing does not put the placeholder back")
	}
	b.noErrors()
}

// siteWith is a site of one page with that in its body.
func siteWith(body string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprintf(w, `<!doctype html><html lang="en"><head><title>x</title></head><body><h1>Page</h1>%s<footer>end</footer></body></html>`, body)
	})
}
