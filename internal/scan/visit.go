package scan

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/debugger"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/inspector"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/storage"
	"github.com/chromedp/chromedp"
)

// tab is one page in the browser.
type tab struct {
	s     *surface
	ctx   context.Context
	close func()
	watch *watch
}

// newTab opens a page; it ends after the time that a page may take.
func (s *surface) newTab(limit time.Duration) (*tab, error) {
	s.guard.allow(s.o.Limits.Bytes)
	ctx, stop := chromedp.NewContext(s.ctx)
	if err := chromedp.Do(ctx); err != nil { // its life is bound to the context of the first call
		stop()
		return nil, err
	}
	limited, cancel := context.WithTimeout(ctx, limit)
	t := &tab{s: s, ctx: limited, close: func() { cancel(); stop(); s.guard.cut() }}
	if err := t.prepare(); err != nil {
		t.close()
		return nil, err
	}
	return t, nil
}

func (t *tab) prepare() (err error) {
	if t.watch, err = newWatch(t.ctx, t.s.o.Now); err != nil {
		return err
	}
	tree, err := chromedp.Call(t.ctx, page.GetFrameTree, cdp.Empty{})
	if err != nil {
		return err
	}
	t.watch.main = tree.FrameTree.Frame.ID
	return errors.Join(
		call(t.ctx, page.Enable, page.EnableParams{}), call(t.ctx, network.Enable, network.EnableParams{}), call(t.ctx, runtime.Enable, cdp.Empty{}), call(t.ctx, inspector.Enable, cdp.Empty{}),
		// Who asked for what is told only to a debugger; one that never stops a page.
		call(t.ctx, debugger.Enable, debugger.EnableParams{}), call(t.ctx, debugger.SetSkipAllPauses, debugger.SetSkipAllPausesParams{Skip: true}),
		call(t.ctx, debugger.SetAsyncCallStackDepth, debugger.SetAsyncCallStackDepthParams{MaxDepth: 4}), // images are fetched a step later
		call(t.ctx, emulation.SetUserAgentOverride, emulation.SetUserAgentOverrideParams{UserAgent: t.s.agent, AcceptLanguage: t.s.o.Language}),
		call(t.ctx, runtime.AddBinding, runtime.AddBindingParams{Name: binding}),
		call(t.ctx, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: wrap}),
	)
}

func call[P, R any](ctx context.Context, c cdp.Command[P, R], params P) error {
	_, err := chromedp.Call(ctx, c, params)
	return err
}

// Outcomes of a visit that are troubles, by their ids.
const (
	slow      = "slow"       // did not end loading; what came was looked at
	failed    = "failed"     // no page came
	download  = "download"   // a file, not a page
	away      = "away"       // leads to another site
	heavy     = "heavy"      // sent more than a page may
	unhelpful = "unanswered" // the page did not answer questions about its storage
	crashed   = "crashed"    // the page's part of the browser ended, or the browser, twice
	internal  = "private"    // asks for an address of the machine's own network
)

// visit loads an address and waits until nothing more comes.
func (t *tab) visit(address string) (what string) {
	ctx, cancel := context.WithTimeout(t.ctx, t.s.o.Limits.Load)
	defer cancel()
	nav, err := chromedp.Call(ctx, page.Navigate, page.NavigateParams{URL: address}) // answers when the page begins
	switch {
	case err == nil && nav.IsDownload:
		return download
	case err != nil || nav.ErrorText != "":
		return failed
	}
	return t.settle()
}

// settle waits for the load event and then until the page is quiet, within limits.
func (t *tab) settle() (what string) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	limits := t.s.o.Limits
	late := time.NewTimer(limits.Load)
	defer late.Stop()
	loaded := t.watch.loaded
	for {
		select {
		case <-loaded:
			loaded = nil
			late.Reset(limits.Settle)
		case <-late.C:
			if loaded != nil {
				what = slow
			}
			return t.over(what)
		case <-t.ctx.Done():
			return slow
		case <-t.watch.crashed:
			return crashed
		case <-tick.C:
			if loaded == nil && t.watch.settled(limits.Quiet) {
				return t.over("")
			}
		}
	}
}

// over says whether the page had more to send than it might.
func (t *tab) over(what string) string {
	if t.s.guard.left.Load() <= 0 {
		return heavy
	}
	return what
}

// look is what a page is asked in a world of its own, in which the page's
// scripts have changed nothing.
const look = `(async () => {
const cut = a => a.filter(k => typeof k === "string").slice(0, 200).map(k => k.slice(0, 200)), r = { origin: location.origin, href: location.origin + location.pathname, links: [] };
try { r.local = cut(Object.keys(localStorage)) } catch {}
try { r.session = cut(Object.keys(sessionStorage)) } catch {}
try { r.databases = cut((await indexedDB.databases()).map(d => d.name)) } catch {}
try { r.caches = cut(await caches.keys()) } catch {}
try { r.workers = cut((await navigator.serviceWorker.getRegistrations()).map(w => (w.active || w.waiting || w.installing || {}).scriptURL).filter(u => u).map(u => new URL(u).pathname)) } catch {}
try { r.links = [...document.querySelectorAll("a[href], area[href]")].slice(0, 500).map(a => a.href).filter(h => typeof h === "string" && h.length < 2000).map(h => h.split(/[?#]/)[0]) } catch {}
return JSON.stringify(r) })()`

// facts is what a frame answered.
type facts struct {
	Origin    string   `json:"origin"`
	Href      string   `json:"href"`
	Local     []string `json:"local"`
	Session   []string `json:"session"`
	Databases []string `json:"databases"`
	Caches    []string `json:"caches"`
	Workers   []string `json:"workers"`
	Links     []string `json:"links"`
}

func (f facts) host() string {
	if u, err := url.Parse(f.Origin); err == nil {
		return u.Hostname()
	}
	return ""
}

const maxFrames = 20

// ask asks every frame; the first is the page's own.
func (t *tab) ask() ([]facts, error) {
	ctx, cancel := context.WithTimeout(t.ctx, 3*time.Second)
	defer cancel()
	tree, err := chromedp.Call(ctx, page.GetFrameTree, cdp.Empty{})
	if err != nil {
		return nil, err
	}
	var all []facts
	for _, id := range frames(tree.FrameTree, nil) {
		f, err := t.askFrame(ctx, id)
		if err != nil && len(all) == 0 {
			return nil, err // a frame further down may have gone; the page has not
		}
		if err == nil {
			all = append(all, f)
		}
	}
	return all, nil
}

func frames(tree *page.FrameTree, list []cdp.FrameID) []cdp.FrameID {
	if len(list) >= maxFrames {
		return list
	}
	list = append(list, tree.Frame.ID)
	for _, child := range tree.ChildFrames {
		list = frames(child, list)
	}
	return list
}

func (t *tab) askFrame(ctx context.Context, id cdp.FrameID) (f facts, err error) {
	world, err := chromedp.Call(ctx, page.CreateIsolatedWorld, page.CreateIsolatedWorldParams{FrameID: id, WorldName: "tillid"})
	if err != nil {
		return f, err
	}
	yes := true
	got, err := chromedp.Call(ctx, runtime.Evaluate, runtime.EvaluateParams{Expression: look, ContextID: world.ExecutionContextID, AwaitPromise: &yes, ReturnByValue: &yes})
	if err != nil {
		return f, err
	}
	if got.ExceptionDetails != nil || got.Result == nil {
		return f, errors.New("the frame did not answer")
	}
	var answer string
	if err := json.Unmarshal([]byte(got.Result.Value), &answer); err != nil {
		return f, err
	}
	return f, json.Unmarshal([]byte(answer), &f)
}

// cookie is what is kept of one: everything but its value, which is dropped on arrival.
type cookie struct {
	name, domain          string
	life                  string
	httpOnly, partitioned bool
}

// cookies returns all cookies of the browser, also those that no script can see.
func (t *tab) cookies() ([]cookie, error) {
	ctx, cancel := context.WithTimeout(t.ctx, 10*time.Second)
	defer cancel()
	got, err := chromedp.CallBrowser(ctx, storage.GetCookies, storage.GetCookiesParams{BrowserContextID: chromedp.FromContext(t.s.ctx).BrowserContextID})
	if err != nil {
		return nil, err
	}
	var list []cookie
	for _, c := range got.Cookies {
		rest := time.Duration(0)
		if !c.Session && c.Expires > 0 {
			rest = time.Duration((c.Expires - float64(t.s.o.Now().UnixMilli())/1000) * float64(time.Second))
		}
		list = append(list, cookie{c.Name, c.Domain, life(rest), c.HTTPOnly, c.PartitionKey != nil})
	}
	return list, nil
}

// picture returns the page as it stands, as a small JPEG.
func (t *tab) picture() []byte {
	ctx, cancel := context.WithTimeout(t.ctx, 5*time.Second)
	defer cancel()
	quality := int64(60)
	got, err := chromedp.Call(ctx, page.CaptureScreenshot, page.CaptureScreenshotParams{Format: page.CaptureScreenshotFormatJpeg, Quality: &quality})
	if err != nil {
		return nil
	}
	return got.Data
}
