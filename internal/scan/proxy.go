package scan

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Dial opens a connection to host:port.
type Dial func(ctx context.Context, network, addr string) (net.Conn, error)

// guard is the only way out for the browser: a proxy on this machine. It
// refuses private addresses, looked up once and then dialled, so that a name
// cannot be pointed elsewhere in between; it ends what sends without end; and
// it knows every host that was asked for, also by workers that nothing else sees.
type guard struct {
	dial     Dial
	private  bool   // private addresses may be reached
	loopback bool   // this machine may be reached
	own      string // host that may be reached wherever it is
	instead  func(addr string) string

	listener net.Listener
	server   *http.Server
	left     atomic.Int64 // bytes that may still come

	mu      sync.Mutex
	asked   map[string]bool
	refused map[string]bool
	open    map[net.Conn]bool
}

var errPrivate = errors.New("an address of this machine or its network")

func newGuard(o Options) (*guard, error) {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("scan: proxy: %w", err)
	}
	g := &guard{
		dial: o.Dial, private: o.AllowPrivate, loopback: o.AllowPrivate || loopback(o.Start.Hostname()), instead: o.redirected,
		listener: l, asked: map[string]bool{}, refused: map[string]bool{}, open: map[net.Conn]bool{},
	}
	if o.OwnHost {
		g.own, g.loopback = o.Start.Host, o.AllowPrivate
	}
	if g.dial == nil {
		g.dial = g.checked
	}
	forward := &httputil.ReverseProxy{
		Rewrite:      func(*httputil.ProxyRequest) {},
		ErrorLog:     log.New(io.Discard, "", 0), // pages that are cut off are no news
		Transport:    &http.Transport{DialContext: g.connect, DisableKeepAlives: true, ResponseHeaderTimeout: time.Minute},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	g.server = &http.Server{ErrorLog: forward.ErrorLog, ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodConnect {
			g.tunnel(w, r)
			return
		}
		forward.ServeHTTP(w, r)
	})}
	go g.server.Serve(l) //nolint:errcheck // it ends when close is called
	return g, nil
}

func (g *guard) address() string { return "http://" + g.listener.Addr().String() }

func (g *guard) close() {
	g.server.Close()
	g.cut()
}

// allow gives the next page its share of bytes, and forgets who was asked.
func (g *guard) allow(bytes int64) {
	g.left.Store(bytes)
	g.mu.Lock()
	defer g.mu.Unlock()
	clear(g.asked)
	clear(g.refused)
}

// cut ends every open connection.
func (g *guard) cut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for c := range g.open {
		c.Close()
	}
}

// seen returns the hosts that were asked for since allow, and those of them that were refused.
func (g *guard) seen() (asked, refused []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Sorted(maps.Keys(g.asked)), slices.Sorted(maps.Keys(g.refused))
}

const maxHosts = 500 // that one page may ask for

func (g *guard) note(addr string, refused bool) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		host = addr
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.asked) < maxHosts {
		g.asked[strings.ToLower(host)] = true
		if refused {
			g.refused[strings.ToLower(host)] = true
		}
	}
}

// connect dials for the browser and counts what comes.
func (g *guard) connect(ctx context.Context, network, addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	if g.left.Load() <= 0 {
		return nil, errors.New("the page has loaded more than it may")
	}
	conn, err := g.reach(ctx, network, addr)
	g.note(addr, errors.Is(err, errPrivate))
	if err != nil {
		return nil, err
	}
	return g.count(conn), nil
}

// reach dials a host, or what a person said to dial instead.
func (g *guard) reach(ctx context.Context, network, addr string) (net.Conn, error) {
	if to := g.instead(addr); to != "" {
		return (&net.Dialer{}).DialContext(ctx, network, to)
	}
	return g.dial(ctx, network, addr)
}

// checked dials what a name means, when that is an address that may be reached.
func (g *guard) checked(ctx context.Context, network, addr string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	candidates, err := lookUp(ctx, host)
	if err != nil {
		return nil, err
	}
	own := g.own != "" && (strings.EqualFold(addr, g.own) || strings.EqualFold(host, g.own) && (port == "443" || port == "80"))
	err = errPrivate
	for _, a := range candidates {
		if a = a.Unmap(); !own && !g.private && !public(a) && (!g.loopback || !a.IsLoopback()) {
			continue
		}
		var conn net.Conn
		if conn, err = (&net.Dialer{}).DialContext(ctx, network, net.JoinHostPort(a.String(), port)); err == nil {
			return conn, nil
		}
	}
	return nil, err
}

func lookUp(ctx context.Context, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a}, nil
	}
	if loopback(host) { // RFC 6761: never asked of a name server
		return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}, nil
	}
	return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
}

func (g *guard) tunnel(w http.ResponseWriter, r *http.Request) {
	out, err := g.connect(r.Context(), "tcp", r.Host)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	defer out.Close()
	h, ok := w.(http.Hijacker)
	if !ok {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	in, buffered, err := h.Hijack()
	if err != nil {
		return
	}
	defer in.Close()
	if _, err := io.WriteString(in, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		return
	}
	done := make(chan struct{}, 2)
	pipe := func(to io.WriteCloser, from io.Reader) {
		io.Copy(to, from) //nolint:errcheck // either side may end at any time
		done <- struct{}{}
	}
	go pipe(out, buffered)
	go pipe(in, out)
	<-done
}

// counted is a connection whose bytes count against the page's share.
type counted struct {
	net.Conn
	g *guard
}

func (g *guard) count(c net.Conn) net.Conn {
	conn := &counted{c, g}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open[conn] = true
	return conn
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if c.g.left.Add(-int64(n)) < 0 {
		return 0, errors.New("the page has loaded more than it may")
	}
	return n, err
}

func (c *counted) Close() error {
	go c.g.drop(c) // cut holds the lock while it closes
	return c.Conn.Close()
}

func (g *guard) drop(c net.Conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.open, c)
}
