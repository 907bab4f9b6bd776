package scan

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/inspector"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// reached is one request that left the browser for another host.
type reached struct {
	url       *url.URL
	use       string // script, connect, image, frame, style, font, media
	initiator string // host of the script that asked
}

// watch listens to what one tab does.
type watch struct {
	mu       sync.Mutex
	requests map[network.RequestID]*reached
	order    []network.RequestID
	flying   map[network.RequestID]bool
	last     time.Time // something began or ended
	loaded   chan struct{}
	once     sync.Once
	crashed  chan struct{}
	crash    sync.Once
	main     cdp.FrameID
	rtc      bool
	dialogs  int
	now      func() time.Time
}

const maxRequests = 5000 // of one page

// binding is the function by which a page's wrapped constructor says that it was used.
const binding = "tillidScanWebRTC"

// wrap makes the use of WebRTC known: no other event of the browser tells.
const wrap = `(() => { const say = globalThis.` + binding + `; delete globalThis.` + binding + `;
const R = globalThis.RTCPeerConnection; if (!R || !say) return;
globalThis.RTCPeerConnection = new Proxy(R, { construct(t, a, n) { try { say("used") } catch {} return Reflect.construct(t, a, n) } }) })()`

func newWatch(ctx context.Context, now func() time.Time) (*watch, error) {
	w := &watch{requests: map[network.RequestID]*reached{}, flying: map[network.RequestID]bool{}, loaded: make(chan struct{}), crashed: make(chan struct{}), now: now, last: now()}
	return w, chromedp.Listen(ctx, func(ev any) { w.on(ctx, ev) })
}

func (w *watch) on(ctx context.Context, ev any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch e := ev.(type) {
	case *network.EventRequestWillBeSent:
		w.sent(e)
	case *network.EventWebSocketCreated:
		if u, err := url.Parse(e.URL); err == nil {
			w.keep(e.RequestID, &reached{u, "connect", hostOfStack(e.Initiator)})
		}
	case *network.EventLoadingFinished:
		delete(w.flying, e.RequestID)
		w.last = w.now()
	case *network.EventLoadingFailed:
		delete(w.flying, e.RequestID)
		w.last = w.now()
		if e.BlockedReason != "" { // by a policy of the page: it never left
			delete(w.requests, e.RequestID)
		}
	case *page.EventLoadEventFired:
		w.once.Do(func() { close(w.loaded) })
	case *inspector.EventTargetCrashed:
		w.crash.Do(func() { close(w.crashed) })
	case *runtime.EventBindingCalled:
		w.rtc = w.rtc || e.Name == binding
	case *page.EventJavascriptDialogOpening:
		w.dialogs++
		accept := e.Type == page.DialogTypeBeforeunload
		go chromedp.Call(ctx, page.HandleJavaScriptDialog, page.HandleJavaScriptDialogParams{Accept: accept}) //nolint:errcheck // the page may be gone
	}
}

func (w *watch) sent(e *network.EventRequestWillBeSent) {
	u, err := url.Parse(e.Request.URL)
	if err != nil || u.Host == "" || !slices.Contains([]string{"http", "https", "ws", "wss"}, u.Scheme) {
		return
	}
	w.last = w.now()
	w.flying[e.RequestID] = e.Type != network.ResourceTypeEventSource && e.Type != network.ResourceTypePing
	if !w.flying[e.RequestID] {
		delete(w.flying, e.RequestID)
	}
	id := e.RequestID
	if e.RedirectResponse != nil { // the same id, once more: keep both hosts
		id += network.RequestID("#" + u.Host)
	}
	use := useOf(e.Type)
	if e.Type == network.ResourceTypeDocument && e.FrameID == w.main {
		use = "" // the page itself
	}
	w.keep(id, &reached{u, use, hostOfStack(e.Initiator)})
}

func (w *watch) keep(id network.RequestID, r *reached) {
	if len(w.order) < maxRequests {
		w.requests[id] = r
		w.order = append(w.order, id)
	}
}

// all returns the requests that left, in their order.
func (w *watch) all() []*reached {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []*reached
	for _, id := range w.order {
		if r := w.requests[id]; r != nil {
			list = append(list, r)
		}
	}
	return list
}

// settled reports whether nothing began or ended for so long.
func (w *watch) settled(quiet time.Duration) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.flying) == 0 && w.now().Sub(w.last) >= quiet
}

func useOf(t network.ResourceType) string {
	switch t {
	case network.ResourceTypeScript:
		return "script"
	case network.ResourceTypeStylesheet:
		return "style"
	case network.ResourceTypeImage:
		return "image"
	case network.ResourceTypeFont:
		return "font"
	case network.ResourceTypeMedia, network.ResourceTypeTextTrack:
		return "media"
	case network.ResourceTypeDocument:
		return "frame"
	}
	return "connect"
}

// hostOfStack returns the host of the script that asked, as far as the browser tells.
func hostOfStack(i *network.Initiator) string {
	if i == nil {
		return ""
	}
	for stack := i.Stack; stack != nil; stack = stack.Parent {
		for _, f := range stack.CallFrames {
			if u, err := url.Parse(f.URL); err == nil && u.Host != "" {
				return strings.ToLower(u.Hostname())
			}
		}
	}
	if u, err := url.Parse(i.URL); err == nil {
		return strings.ToLower(u.Hostname())
	}
	return ""
}
