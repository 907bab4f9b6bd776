package app

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"
)

// pair is a server before a restart and the one that comes after it.
type pair struct {
	addr          string
	before, after *http.Server
	entrance      *entrance
	restart       Restart
	kept          chan string // the clients whose connections were kept
}

func serveBefore(t *testing.T, h http.HandlerFunc) *pair {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &pair{addr: l.Addr().String(), entrance: newEntrance(l, nil), kept: make(chan string, 20)}
	p.restart.ready.Store(true)
	p.before = Limits{}.server(h, slog.New(slog.DiscardHandler))
	p.before.ConnState = p.entrance.state
	go p.before.Serve(p.entrance)
	t.Cleanup(func() { p.before.Close() })
	return p
}

// leave ends the first server as Run does, with its resting connections kept.
func (p *pair) leave(t *testing.T) {
	t.Helper()
	p.entrance.shut(t.Context(), func(c *net.TCPConn) {
		p.restart.keep(c)
		p.kept <- c.RemoteAddr().String()
	})
	if err := p.before.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

// follow serves what the first server kept.
func (p *pair) follow(t *testing.T, h http.HandlerFunc) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var resting []net.Conn
	for _, f := range p.restart.resting {
		c, err := net.FileConn(f)
		if err := errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
		resting = append(resting, c)
	}
	e := newEntrance(l, resting)
	p.after = Limits{}.server(h, slog.New(slog.DiscardHandler))
	p.after.ConnState = e.state
	go p.after.Serve(e)
	t.Cleanup(func() { p.after.Close() })
}

func says(word string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, word)
	}
}

// asking is a client that writes what it likes.
type asking struct {
	t *testing.T
	net.Conn
	in *bufio.Reader
}

func (p *pair) dial(t *testing.T) *asking {
	t.Helper()
	c, err := net.Dial("tcp", p.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(20 * time.Second))
	return &asking{t, c, bufio.NewReader(c)}
}

const asked = "POST / HTTP/1.1\r\nHost: www.alfa.test\r\nContent-Length: 3\r\n\r\na=1"

func (a *asking) write(s string) { io.WriteString(a, s) }

func (a *asking) wants(word string) {
	a.t.Helper()
	resp, err := http.ReadResponse(a.in, nil)
	if err != nil {
		a.t.Fatalf("no answer %q: %v", word, err)
	}
	if b, err := io.ReadAll(resp.Body); err != nil || string(b) != word || resp.Close {
		a.t.Errorf("%q (close: %v) %v, want %q", b, resp.Close, err, word)
	}
}

// Connections that rest go on after a restart as if there had been none; whoever
// has begun a request gets its answer first.
func TestRestingConnections(t *testing.T) {
	began, finish := make(chan struct{}), make(chan struct{})
	p := serveBefore(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			began <- struct{}{}
			<-finish
		}
		says("before")(w, r)
	})
	fresh, used, half, twice, slow := p.dial(t), p.dial(t), p.dial(t), p.dial(t), p.dial(t)
	used.write(asked)
	used.wants("before")
	half.write(asked[:20])
	slow.write("GET /slow HTTP/1.1\r\nHost: www.alfa.test\r\n\r\n")
	<-began
	twice.write(asked + asked[:30])
	twice.wants("before")
	// What has been sent is known to be read once a later connection was answered.
	for range 3 {
		c := p.dial(t)
		c.write(asked)
		c.wants("before")
		c.Close()
	}
	left := make(chan struct{})
	go func() { p.leave(t); close(left) }()
	<-p.entrance.idle
	half.write(asked[20:])
	half.wants("before")
	twice.write(asked[30:])
	twice.wants("before")
	finish <- struct{}{}
	slow.wants("before")
	for <-p.kept != used.LocalAddr().String() { //nolint:revive // until it rests
	}
	used.write(asked) // while nobody serves
	<-left
	p.follow(t, says("after"))
	used.wants("after")
	for _, c := range []*asking{fresh, half, twice, slow, used} {
		c.write(asked)
		c.wants("after")
	}
}

// A process that only ends closes what rests, and answers what has begun.
func TestEndClosesWhatRests(t *testing.T) {
	p := serveBefore(t, says("before"))
	used := p.dial(t)
	used.write(asked)
	used.wants("before")
	p.entrance.shut(t.Context(), (*Restart)(nil).keep)
	if b, err := io.ReadAll(used); err != nil || len(b) > 0 {
		t.Errorf("%q %v", b, err)
	}
}

// What a process hands to itself is found again by name and number.
func TestInheritedNames(t *testing.T) {
	env := map[string]string{fdsVariable: "public=7,metrics=x,=,public"}
	if got := inheritedFDs(func(n string) string { return env[n] }); len(got) != 1 || got["public"] != 7 {
		t.Error(got)
	}
	sockets, waiting, err := Inherited(func(string) string { return "" })
	if err != nil || len(sockets) != 0 || len(waiting) != 0 {
		t.Error(sockets, waiting, err)
	}
}
