//go:build e2e

package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// Three restarts under load drop nothing: every request that was sent is answered,
// on connections of its own, on kept ones (a form that goes over one of these is not
// sent again by any client), over HTTP/2, and over connections that rest for a while
// between two requests and are never closed.
func TestRestartUnderLoad(t *testing.T) {
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			time.Sleep(300 * time.Millisecond)
		}
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, "<!doctype html><title>Site</title><p>here</p>")
	}))
	defer site.Close()
	e := newEstate(t, "genstart", lite)
	e.change(t, e.site.URL, site.URL)
	l := &load{served: e.serve(t), stop: make(chan struct{})}
	for _, kind := range []string{"kept", "new", "http2"} {
		l.requests(t, kind, "GET", "/", "")
		l.requests(t, kind, "POST", "/order", "a=1")
		l.requests(t, kind, "GET", "/slow", "")
		l.requests(t, kind, "GET", "/privacy", "")
	}
	for i := range 12 {
		l.resting(t, time.Duration(i)*20*time.Millisecond)
	}
	for round := range 3 {
		before := l.done.Load()
		if err := l.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the new program serves", func() bool { return strings.Count(l.output(), "Serving 1 house") == round+2 })
		eventually(t, "requests are answered", func() bool { return l.done.Load() > before+50 })
	}
	close(l.stop)
	l.running.Wait()
	t.Logf("%d requests through three restarts", l.done.Load())
	if status, problems := l.health(t); status != http.StatusOK {
		t.Errorf("health after restarts: %d %v", status, problems)
	}
	if l.served.stop(t) != 0 {
		t.Error("the restarted program does not end cleanly")
	}
}

// load are visitors who ask and ask until stop is closed, and fail the test when
// one request is not answered.
type load struct {
	*served
	stop    chan struct{}
	done    atomic.Int64
	running sync.WaitGroup
}

func (l *load) until(ask func() bool) {
	l.running.Go(func() {
		for {
			select {
			case <-l.stop:
				return
			default:
				if !ask() {
					return
				}
				l.done.Add(1)
			}
		}
	})
}

// requests asks over and over with a client of its own.
func (l *load) requests(t *testing.T, kind, method, path, body string) {
	c := clientOf(l.addr)
	over := c.Transport.(*http.Transport)
	over.DisableKeepAlives = kind == "new"
	if kind == "http2" {
		over.Protocols = new(http.Protocols)
		over.Protocols.SetUnencryptedHTTP2(true)
	}
	l.until(func() bool {
		a, err := send(c, method, l.www()+path, body, "Content-Type", formType, "Sec-Fetch-Dest", "document")
		if err != nil || a.StatusCode != http.StatusOK {
			t.Errorf("%s, %s %s: %v %v", kind, method, path, a.Response, err)
		} else if major := map[string]int{"http2": 2}[kind]; major != 0 && a.ProtoMajor != major {
			t.Errorf("%s was spoken, not HTTP/2", a.Proto)
		}
		return true
	})
}

// resting asks over one connection, pausing between two requests, and fails the
// test when that connection is ever closed.
func (l *load) resting(t *testing.T, pause time.Duration) {
	conn, err := net.Dial("tcp", l.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	in := bufio.NewReader(conn)
	l.until(func() bool {
		_, err := fmt.Fprintf(conn, "POST /order HTTP/1.1\r\nHost: www.%s.test\r\nContent-Length: 3\r\n\r\na=1", l.name)
		if err != nil {
			t.Errorf("a resting connection: %v", err)
			return false
		}
		resp, err := http.ReadResponse(in, nil)
		if err == nil {
			_, err = io.Copy(io.Discard, resp.Body)
		}
		if err != nil || resp.StatusCode != http.StatusOK || resp.Close {
			t.Errorf("a connection that rested %s: %v %v", pause, resp, err)
			return false
		}
		select {
		case <-l.stop:
		case <-time.After(pause):
		}
		return true
	})
}

// The bypass takes Tillid out of the site's way and back, at once, loudly, and
// leaves a trace.
func TestBypass(t *testing.T) {
	s := newEstate(t, "udenom", lite).serve(t)
	get := func() answer { return s.must(t, http.StatusOK, "GET", s.www()+"/", "", "Sec-Fetch-Dest", "document") }
	enforced := func(a answer) bool {
		return a.Header.Get("Content-Security-Policy") != "" && strings.Contains(a.body, "/_tillid/")
	}
	if !enforced(get()) {
		t.Fatal("nothing is enforced to begin with")
	}
	if out, code := tillid(t, "bypass", "on", "--for", "30m", "--house", s.dir); code != 0 {
		t.Fatal(out)
	}
	if a := get(); a.Header.Get("Content-Security-Policy") != "" || strings.Contains(a.body, "/_tillid/") || !strings.Contains(a.body, "The company's own page.") {
		t.Errorf("under bypass: %v %s", a.Header, a.body)
	}
	s.must(t, http.StatusOK, "GET", s.www()+"/privacy", "")
	eventually(t, "health says so", func() bool {
		_, problems := s.health(t)
		return strings.Contains(strings.Join(problems, " "), "bypass")
	})
	session := s.signIn(t)
	if page := s.must(t, http.StatusOK, "GET", s.office()+"/", "", "Cookie", session, "Accept-Language", "en"); !strings.Contains(page.body, "Nothing is enforced") {
		t.Error("the overview does not say so")
	}
	if out, code := tillid(t, "bypass", "off", "--house", s.dir); code != 0 {
		t.Fatal(out)
	}
	if !enforced(get()) {
		t.Error("nothing is enforced after bypass off")
	}
	page := s.must(t, http.StatusOK, "GET", s.office()+"/audit", "", "Cookie", session, "Accept-Language", "en")
	for _, act := range []string{"Bypass switched on", "Bypass switched off"} {
		if !strings.Contains(page.body, act) {
			t.Errorf("the audit trail does not say %q", act)
		}
	}
}
