package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// h2c makes a house's client speak HTTP/2 without TLS, as servers in front do.
func (s *standing) h2c() {
	var dialer net.Dialer
	over := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return dialer.DialContext(ctx, "tcp", s.addr)
	}}
	over.Protocols = new(http.Protocols)
	over.Protocols.SetUnencryptedHTTP2(true)
	s.http.Transport = over
	s.t.Cleanup(over.CloseIdleConnections)
}

// Everything is as with HTTP/1: the site's pages through the gateway, with policy
// and banner, Tillid's own pages, a choice, many requests at once on one connection.
func TestHTTP2(t *testing.T) {
	s := stand(t, folderOf(t, "alfa"), Limits{})
	s.h2c()
	a := s.do(www, "/", nil, "Sec-Fetch-Dest", "document")
	if a.ProtoMajor != 2 || a.StatusCode != http.StatusOK || !strings.Contains(a.Header.Get("Content-Security-Policy"), "default-src 'self'") || !strings.Contains(a.body, "/_tillid/") {
		t.Errorf("%s %d %v", a.Proto, a.StatusCode, a.Header)
	}
	said := s.send(http.MethodPost, www, "/_tillid/consent", `{"do":"all","lang":"en","layer":"banner"}`, "Content-Type", "application/json")
	if said.StatusCode != http.StatusOK || len(said.Cookies()) == 0 {
		t.Fatalf("a choice: %d %s", said.StatusCode, said.body)
	}
	if a = s.do(www, "/", nil, "Sec-Fetch-Dest", "document", "Cookie", cookiesOf(said)); !strings.Contains(a.Header.Get("Content-Security-Policy"), "www.googletagmanager.com") {
		t.Errorf("after a yes: %v", a.Header)
	}
	var all sync.WaitGroup
	for i := range 100 {
		all.Go(func() {
			path := []string{"/", "/privacy", "/kontakt", "/_tillid/health"}[i%4]
			if a := s.do(www, path, nil, "Sec-Fetch-Dest", "document"); a.StatusCode != http.StatusOK || a.ProtoMajor != 2 {
				t.Errorf("%s: %s %d", path, a.Proto, a.StatusCode)
			}
		})
	}
	all.Wait()
	s.whole()
}

// framer speaks HTTP/2 frame by frame.
type framer struct {
	t *testing.T
	*http2.Framer
	conn net.Conn
	next uint32
}

func (s *standing) frames(settings ...http2.Setting) *framer {
	s.t.Helper()
	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(time.Minute)) // far beyond every limit
	f := &framer{t: s.t, Framer: http2.NewFramer(c, c), conn: c, next: 1}
	f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	if _, err := io.WriteString(c, http2.ClientPreface); err != nil {
		s.t.Fatal(err)
	}
	if err := errors.Join(f.WriteSettings(settings...), f.WriteSettingsAck()); err != nil {
		s.t.Fatal(err)
	}
	return f
}

// ask begins a request and returns its number; a body may follow when it is open.
func (f *framer) ask(method, path string, open bool, more ...string) uint32 {
	var b bytes.Buffer
	e := hpack.NewEncoder(&b)
	fields := append([]string{":method", method, ":scheme", "http", ":authority", www, ":path", path}, more...)
	for i := 0; i+1 < len(fields); i += 2 {
		e.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	id, block, first := f.next, b.Bytes(), true
	f.next += 2
	for len(block) > 0 || first {
		n := min(len(block), 16<<10)
		if first {
			f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block[:n], EndStream: !open, EndHeaders: n == len(block)})
		} else {
			f.WriteContinuation(id, n == len(block), block[:n])
		}
		block, first = block[n:], false
	}
	return id
}

// end reads until the server says how a request, or the connection, ended: the
// status of its answer, the reason of a reset, or why the connection is closed.
func (f *framer) end(id uint32) string {
	for {
		frame, err := f.ReadFrame()
		switch v := frame.(type) {
		case *http2.MetaHeadersFrame:
			if v.StreamID == id {
				return v.PseudoValue("status")
			}
		case *http2.RSTStreamFrame:
			if v.StreamID == id {
				return v.ErrCode.String()
			}
		case *http2.GoAwayFrame:
			return "GOAWAY " + v.ErrCode.String()
		case *http2.SettingsFrame:
			if v, ok := v.Value(http2.SettingMaxConcurrentStreams); ok && id == 0 {
				return fmt.Sprint(v)
			}
		}
		if late, ok := err.(net.Error); ok && late.Timeout() {
			f.t.Error("the server goes on for ever")
		}
		if err != nil {
			return "closed"
		}
	}
}

// Hostile and slow clients of HTTP/2 stay within limits: they get an answer or are
// cut, and others are served meanwhile.
//
// Rows: E7.
func TestHTTP2Limits(t *testing.T) {
	short := DefaultLimits()
	short.Read, short.Write, short.Idle, short.Streams = 800*time.Millisecond, 800*time.Millisecond, 2*time.Second, 20
	s := stand(t, folderOf(t, "alfa"), short)
	s.h2c()
	hostile := map[string]func(t *testing.T){
		"headers": func(t *testing.T) {
			f := s.frames()
			if got := f.end(f.ask("GET", "/privacy", false, "x-large", strings.Repeat("x", 100<<10))); got != "431" && !strings.HasPrefix(got, "GOAWAY") {
				t.Errorf("headers of 100 KB: %s", got)
			}
		},
		"many headers": func(t *testing.T) {
			var many []string
			for i := range 3000 {
				many = append(many, fmt.Sprintf("x-%d", i), "y")
			}
			f := s.frames()
			if got := f.end(f.ask("GET", "/privacy", false, many...)); got != "431" && !strings.HasPrefix(got, "GOAWAY") {
				t.Errorf("3,000 headers: %s", got)
			}
		},
		"streams": func(t *testing.T) {
			f := s.frames()
			if got := f.end(0); got != "20" {
				t.Errorf("the server says that it takes %s at once", got)
			}
			var last uint32
			for range short.Streams + 1 {
				last = f.ask("POST", "/_tillid/forms/contact", true, "content-type", "application/x-www-form-urlencoded")
			}
			if got := f.end(last); got != "REFUSED_STREAM" && got != "PROTOCOL_ERROR" {
				t.Errorf("one more than it takes: %s", got)
			}
		},
		"slow body": func(t *testing.T) {
			f := s.frames()
			id := f.ask("POST", "/_tillid/forms/contact", true, "content-type", "application/x-www-form-urlencoded")
			f.WriteData(id, false, []byte("message="))
			if got := f.end(id); got == "200" || got == "303" {
				t.Errorf("half a form: %s", got)
			}
		},
		"takes nothing": func(t *testing.T) {
			f := s.frames(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
			id := f.ask("GET", "/privacy", false)
			if got := f.end(id); got != "200" {
				t.Fatal(got)
			}
			if got := f.end(id); got == "200" { // its headers came; its body must end without being taken
				t.Error(got)
			}
		},
		"rapid reset": func(t *testing.T) {
			f := s.frames()
			var last uint32
			for range 2000 {
				last = f.ask("GET", "/privacy", false)
				if f.WriteRSTStream(last, http2.ErrCodeCancel) != nil {
					break
				}
			}
			if got := f.end(last); got != "GOAWAY ENHANCE_YOUR_CALM" && got != "closed" && (!keepsUp || got != "GOAWAY NO_ERROR") {
				t.Errorf("2,000 requests that were taken back at once: %s", got)
			}
		},
		"says nothing": func(t *testing.T) {
			f := s.frames()
			if got := f.end(1); got != "GOAWAY NO_ERROR" && got != "closed" {
				t.Error(got)
			}
		},
		"endless headers": func(t *testing.T) {
			f := s.frames()
			f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte{0x82}})
			for range 10_000 {
				if f.WriteContinuation(1, false, bytes.Repeat([]byte{0x82}, 1<<10)) != nil {
					break
				}
			}
			if got := f.end(1); got != "closed" && !strings.HasPrefix(got, "GOAWAY") {
				t.Error(got)
			}
		},
	}
	t.Run("clients", func(t *testing.T) {
		for what, try := range hostile {
			t.Run(what, func(t *testing.T) {
				t.Parallel()
				try(t)
				if a := s.do(www, "/privacy", nil); a.StatusCode != http.StatusOK || a.ProtoMajor != 2 {
					t.Errorf("another client: %s %d", a.Proto, a.StatusCode)
				}
			})
		}
	})
	if n := s.count(kept + ` - (select count(*) from declaration_version)`); n != 0 {
		t.Errorf("%d rows of a submission that never arrived", n)
	}
}
