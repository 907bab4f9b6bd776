//go:build e2e

package e2e

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// sink is where every name of the outside world leads: it speaks TLS and plain
// HTTP on one port, takes datagrams on the same, and remembers who was asked.
type sink struct {
	port string
	cert tls.Certificate
	play http.Handler // how the outside answers; nil: so that what asked goes on

	mu    sync.Mutex
	named map[string]int // connections by host
	asked map[string]int // requests by host
	udp   int            // datagrams, of WebRTC and QUIC
}

func newSink(t testing.TB) *sink {
	t.Helper()
	s := &sink{named: map[string]int{}, asked: map[string]int{}}
	borrowed := httptest.NewTLSServer(http.NotFoundHandler())
	s.cert = borrowed.TLS.Certificates[0]
	borrowed.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, s.port, _ = net.SplitHostPort(l.Addr().String())
	datagrams, err := net.ListenPacket("udp", "127.0.0.1:"+s.port)
	if err != nil {
		t.Fatal(err)
	}
	go s.listen(datagrams)
	srv := &http.Server{Handler: http.HandlerFunc(s.serve), ReadHeaderTimeout: 10 * time.Second}
	go srv.Serve(&either{l, s})
	t.Cleanup(func() { srv.Close(); datagrams.Close() })
	return s
}

func (s *sink) listen(c net.PacketConn) {
	b := make([]byte, 2048)
	for {
		if _, _, err := c.ReadFrom(b); err != nil {
			return
		}
		s.mu.Lock()
		s.udp++
		s.mu.Unlock()
	}
}

func (s *sink) saw(in map[string]int, host string) {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	in[host]++
}

// serve answers so that what asked goes on: scripts run, pages open, anybody may read.
func (s *sink) serve(w http.ResponseWriter, r *http.Request) {
	s.saw(s.asked, r.Host)
	if s.play != nil {
		s.play.ServeHTTP(w, r)
		return
	}
	w.Header().Set("Access-Control-Allow-Origin", "*")
	w.Header().Set("Cross-Origin-Resource-Policy", "cross-origin")
	switch {
	case strings.HasSuffix(r.URL.Path, ".js"):
		w.Header().Set("Content-Type", "text/javascript")
		fmt.Fprint(w, "export {};")
	case strings.HasSuffix(r.URL.Path, ".css"):
		w.Header().Set("Content-Type", "text/css")
	case r.URL.Path == "/" && r.Method == http.MethodGet:
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, "<!doctype html><title>Outside</title>outside")
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}

// reached returns the outside hosts that the browser sent requests to since the
// last call, and those that it only connected to; without those that Chromium
// itself asks whatever the page.
func (s *sink) reached() (asked, connected []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for host := range s.asked {
		if !chromiums(host) {
			asked = append(asked, host)
		}
	}
	if s.udp > 0 {
		asked = append(asked, "w-webrtc.test")
	}
	for host := range s.named {
		if !chromiums(host) && s.asked[host] == 0 {
			connected = append(connected, host)
		}
	}
	s.udp = 0
	clear(s.named)
	clear(s.asked)
	slices.Sort(asked)
	slices.Sort(connected)
	return asked, connected
}

func chromiums(host string) bool {
	return host == "" || strings.HasSuffix(host, ".googleapis.com") || strings.HasSuffix(host, ".google.com") || strings.HasSuffix(host, ".gvt1.com")
}

// either takes TLS and plain connections on one listener.
type either struct {
	net.Listener
	sink *sink
}

func (e *either) Accept() (net.Conn, error) {
	c, err := e.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &peeked{Conn: c, sink: e.sink}, nil
}

// peeked decides with its first byte what it speaks, and with its first server
// name who was meant.
type peeked struct {
	net.Conn
	sink *sink
	once sync.Once
	real net.Conn
}

type buffered struct {
	net.Conn
	in *bufio.Reader
}

func (b buffered) Read(p []byte) (int, error) { return b.in.Read(p) }

func (p *peeked) decide() {
	in := bufio.NewReader(p.Conn)
	p.real = buffered{p.Conn, in}
	if first, err := in.Peek(1); err == nil && first[0] == 0x16 {
		p.real = tls.Server(p.real, &tls.Config{Certificates: []tls.Certificate{p.sink.cert}, GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
			p.sink.saw(p.sink.named, h.ServerName)
			return nil, nil
		}})
	}
}

func (p *peeked) Read(b []byte) (int, error) { p.once.Do(p.decide); return p.real.Read(b) }

func (p *peeked) Write(b []byte) (int, error) { p.once.Do(p.decide); return p.real.Write(b) }

// secure is a server in front that ends TLS for an address, as a company has one;
// it returns its port.
func secure(t testing.TB, address string) (port string) {
	t.Helper()
	to := &url.URL{Scheme: "http", Host: address}
	front := httptest.NewTLSServer(&httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(to)
			p.Out.Host = p.In.Host
			p.SetXForwarded()
		},
		FlushInterval: -1,
	})
	t.Cleanup(front.Close)
	_, port, _ = net.SplitHostPort(front.Listener.Addr().String())
	return port
}

// outdoors returns a browser for which host is at port (by https), and every
// other name in the world leads to the sink.
func outdoors(t testing.TB, l look, s *sink, host, port string) *browser {
	t.Helper()
	l.resolve = fmt.Sprintf("MAP %s:443 127.0.0.1:%s, MAP * 127.0.0.1:%s, EXCLUDE 127.0.0.1, EXCLUDE localhost", host, port, s.port)
	return newBrowser(t, l)
}

// late waits for what no event of the page tells of: connections that are opened
// ahead, those of WebRTC, and what another window asks for. All else waits with quiet.
func late() { time.Sleep(1500 * time.Millisecond) }

// settled waits until the page has loaded and had the time that its calls need to leave.
func (b *browser) settled() {
	b.t.Helper()
	eventually(b.t, "the page is loaded", func() bool { return eval[string](b, "document.readyState") == "complete" })
	late()
}
