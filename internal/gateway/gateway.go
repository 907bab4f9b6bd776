// Package gateway stands in front of a company's site. It answers every page
// with a Content-Security-Policy computed from the visitor's consent, so that the
// browser itself loads nothing that was not allowed; it puts the banner's script
// into pages, turns embeds into placeholders, and filters cookies and headers that
// would open side doors.
//
// In observe mode nothing of the site breaks: what would have been stopped is
// listed as drift. In enforce mode it is stopped. Everything fails closed: a
// request without a plan, or whose choice cannot be read, gets the strictest policy.
package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/web"
)

// Service is the gateway of one house.
type Service struct {
	DB      *db.DB
	Plan    func() *policy.Plan // the declaration in force; may return nil
	House   *web.House
	Log     *slog.Logger
	Now     func() time.Time
	Trusted []netip.Prefix // proxies whose X-Forwarded-For counts

	// Granted returns the services and purposes that a request's visitor said
	// yes to. It is pure and fast, and returns nothing when in doubt.
	Granted func(*http.Request) (services, purposes []string)
	// Head returns what goes into a page's head, Foot what goes before the end
	// of its body; lang is the page's own language or "".
	Head func(r *http.Request, lang string) []byte
	Foot func(r *http.Request, lang string, embeds bool) []byte
	// Placeholder returns what stands where an embed of a service would be.
	Placeholder func(r *http.Request, lang string, e Embed) []byte
	// Share returns what fills an element <tillid-share to="…">; it may be nil.
	Share func(r *http.Request, lang, to string) []byte
	// Told returns what the banner's script learns about a visitor, as JSON.
	Told func(*http.Request) json.RawMessage
	// Limit returns an error when a request's network sends too many reports.
	Limit func(*http.Request) error

	// First returns what goes before the first script of a page's head: signals
	// that have to be there before any tag reads them. It may be nil.
	First func(r *http.Request, lang string) []byte

	// Audit notes an act of the gateway's in the transaction of the act; it may be nil.
	Audit func(ctx context.Context, tx *db.Tx, act, object string) error

	current  atomic.Pointer[compiled]
	bypassed atomic.Pointer[[]Bypass]
	drift    tally
	listed   listing
	once     sync.Once
	proxy    *httputil.ReverseProxy
	large    large
	ending   context.Context // of streams of events
	end      context.CancelFunc
}

// Embed is an iframe, object or embed that must not load: of a declared service that the visitor
// has not said yes to, or of a host that is not declared at all.
type Embed = struct {
	Service       string // "" when the host is not declared
	Host          string
	Title         string // the element's own title, or ""
	Width, Height string // as its attributes say, or ""
	Src           string // the address it would load
}

// maxBody is the largest body of a request that is passed to the site.
const maxBody = 256 << 20

// visit is what the gateway knows about one request.
type visit struct {
	*compiled
	site      *siteTable
	request   *http.Request // as it came in
	services  []string
	purposes  []string
	navigates bool // asks for a document, not for a part of one
	worker    bool
	nonce     string // that the site's own policy knows for our elements, or ""
	bypass    bool   // the gateway is out of the way

	page, template string // of the page that something was found on last
}

func (v *visit) enforce() bool { return v.site.enforce }

type visitKey struct{}

func visitOf(r *http.Request) *visit {
	v, _ := r.Context().Value(visitKey{}).(*visit)
	return v
}

// Handler passes requests to the site that belongs to their host.
func (s *Service) Handler() http.Handler {
	s.begin()
	return http.HandlerFunc(s.serve)
}

func (s *Service) begin() {
	s.once.Do(func() {
		s.proxy, s.large = s.newProxy(), make(large, maxLarge)
		s.ending, s.end = context.WithCancel(context.Background())
	})
}

// EndStreams ends streams of events, which would go on for ever: the server
// stops, and browsers connect again by themselves.
func (s *Service) EndStreams() {
	s.begin()
	s.end()
}

func (s *Service) serve(w http.ResponseWriter, r *http.Request) {
	if Ours(r.URL.Path) {
		web.Wrap(s.Log, web.NotFound).ServeHTTP(w, r)
		return
	}
	v := s.visit(r)
	if v.site == nil || v.site.upstream == nil {
		s.away(w, r, errors.New("no upstream is declared for this host"))
		return
	}
	if r.Body != nil && r.Body != http.NoBody && r.Header.Get("Upgrade") == "" {
		r.Body = &upload{ReadCloser: web.Body(w, r, maxBody), control: http.NewResponseController(w)}
	}
	ctx := context.WithValue(r.Context(), visitKey{}, v)
	if r.Header.Get("Accept") == "text/event-stream" {
		var cancel context.CancelFunc
		ctx, cancel = context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(s.ending, cancel)()
	}
	s.proxy.ServeHTTP(&passing{ResponseWriter: w, s: s, v: v, until: time.Now().Add(stall)}, r.WithContext(ctx)) //nolint:forbidigo // deadlines of connections are real time
}

// Ours reports whether a path is Tillid's own and never the site's.
func Ours(p string) bool {
	p = path.Clean("/" + p)
	if p == "/.well-known/gpc.json" {
		return true // how the house heeds Global Privacy Control
	}
	for _, own := range [...]string{"/privacy", "/_tillid"} {
		if rest, ok := strings.CutPrefix(p, own); ok && (rest == "" || rest[0] == '/') {
			return true
		}
	}
	return false
}

func (s *Service) visit(r *http.Request) *visit {
	c := s.compiled()
	v := &visit{compiled: c, request: r, site: c.siteOf(r.Host)}
	v.navigates, v.worker = destination(r)
	if v.bypass = s.bypasses(v.site); !v.bypass {
		s.ask(v)
	}
	return v
}

// ask reads the visitor's choice; when that breaks, nothing is granted.
func (s *Service) ask(v *visit) {
	if s.Granted == nil || v.plan == nil {
		return
	}
	defer func() {
		if r := recover(); r != nil {
			s.Log.ErrorContext(v.request.Context(), "a choice cannot be read", "panic", fmt.Sprint(r))
			v.services, v.purposes = nil, nil
		}
	}()
	v.services, v.purposes = s.Granted(v.request)
}

// destination says whether a request asks for a document or for a worker.
// Browsers tell (Sec-Fetch-Dest); where they do not, as on plain http, the Accept
// header of a navigation names HTML first.
func destination(r *http.Request) (document, worker bool) {
	if strings.HasPrefix(r.Header.Get("Sec-Purpose"), "prefetch") {
		return true, false // shown later as it comes now
	}
	switch r.Header.Get("Sec-Fetch-Dest") {
	case "document", "iframe", "frame", "embed", "object", "fencedframe":
		return true, false
	case "worker", "sharedworker", "serviceworker":
		return false, true
	case "":
		html := strings.HasPrefix(r.Header.Get("Accept"), "text/html")
		return html && r.Header.Get("X-Requested-With") == "", false
	}
	return false, false
}

func (s *Service) newProxy() *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Rewrite:        s.outgoing,
		ModifyResponse: s.incoming,
		Transport:      newTransport(),
		BufferPool:     &bufferPool{},
		ErrorLog:       slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
		ErrorHandler:   s.away,
	}
}

func newTransport() *http.Transport {
	return &http.Transport{
		DialContext:            (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout:    5 * time.Second,
		ResponseHeaderTimeout:  60 * time.Second,
		ExpectContinueTimeout:  time.Second,
		IdleConnTimeout:        90 * time.Second,
		MaxIdleConns:           512,
		MaxIdleConnsPerHost:    256,
		MaxResponseHeaderBytes: 256 << 10,
		DisableCompression:     true,
		ReadBufferSize:         16 << 10,
		WriteBufferSize:        8 << 10,
	}
}

// outgoing makes the request to the site.
func (s *Service) outgoing(p *httputil.ProxyRequest) {
	v := visitOf(p.In)
	p.SetURL(v.site.upstream)
	p.Out.Host = p.In.Host
	s.forwarded(p)
	h := p.Out.Header
	hideCookies(h)
	if v.navigates && !v.bypass {
		// The answer is rewritten: it must come whole and readable. A copy in the
		// browser's cache would keep the policy of an earlier choice.
		h.Set("Accept-Encoding", "gzip;q=0.1, identity;q=1")
		for _, name := range [...]string{"If-None-Match", "If-Modified-Since", "If-Range", "Range"} {
			h.Del(name)
		}
	}
}

// forwarded tells the site who asked, under which name and how.
func (s *Service) forwarded(p *httputil.ProxyRequest) {
	h := p.Out.Header
	if addr := web.ClientIP(p.In, s.Trusted); addr.IsValid() {
		h.Set("X-Forwarded-For", addr.String())
	}
	h.Set("X-Forwarded-Host", p.In.Host)
	h.Set("X-Forwarded-Proto", web.Proto(p.In, s.Trusted))
}

// away answers for a site that does not: honestly, in the visitor's language,
// with the way to what still works.
func (s *Service) away(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		panic(http.ErrAbortHandler) // the visitor has gone
	}
	web.Wrap(s.Log, func(http.ResponseWriter, *http.Request) error {
		if f := fault.Of(err); f.Kind != fault.Internal {
			return f // what the visitor sent could not be read
		}
		return fault.New(fault.Unavailable, "The website does not answer just now.").
			WithHint("Try again in a moment. Forms and the pages about your data still work.").
			In("gateway.upstream").Because(withoutAddress(err))
	}).ServeHTTP(w, r)
}

// withoutAddress takes the address asked for out of an error: it may hold what a visitor typed.
func withoutAddress(err error) error {
	if u := (*url.Error)(nil); errors.As(err, &u) {
		return u.Err
	}
	return err
}

// bufferPool lends the proxy its copying buffers.
type bufferPool struct{ pool sync.Pool }

func (p *bufferPool) Get() []byte {
	if b, ok := p.pool.Get().(*[]byte); ok {
		return *b
	}
	return make([]byte, 32<<10)
}

func (p *bufferPool) Put(b []byte) { p.pool.Put(&b) }
