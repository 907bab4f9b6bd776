package app

import (
	"context"
	"errors"
	"maps"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"
)

// entrance is a server's listener. It can be shut before the server is: then no
// connection is let in any more, requests that have begun get their answers, and a
// connection that waits between two requests is not closed, which could cross a
// request on its way, but kept for the program that comes after.
//
// Shutting down net/http alone drops requests: once it shuts down it closes a
// connection without an answer even when it has just read a whole request from it.
type entrance struct {
	net.Listener
	waiting  []net.Conn    // kept from before a restart; they come in first
	shutting chan struct{} // closed when no more may be let in
	idle     chan struct{} // closed when none is being let in
	closed   chan struct{}
	quiet    sync.Once

	mu     sync.Mutex
	inside map[*guest]bool // HTTP/1 connections that are served
	keep   keeper          // takes those that rest when the entrance is shut; nil before
	empty  chan struct{}   // closed when it is shut and none is inside
}

// keeper takes a connection that is closed for its server, and may stay open.
type keeper func(*net.TCPConn)

func newEntrance(l net.Listener, waiting []net.Conn) *entrance {
	return &entrance{
		Listener: l, waiting: waiting, inside: map[*guest]bool{},
		shutting: make(chan struct{}), idle: make(chan struct{}), closed: make(chan struct{}), empty: make(chan struct{}),
	}
}

// Accept lets the next connection in, until the entrance is shut; then it waits for Close.
func (e *entrance) Accept() (net.Conn, error) {
	if len(e.waiting) > 0 {
		c := e.waiting[0]
		e.waiting = e.waiting[1:]
		return e.enter(c), nil
	}
	select {
	case <-e.shutting:
	default:
		c, err := e.Listener.Accept()
		if err == nil {
			return e.enter(c), nil
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			if passing := net.Error(nil); !errors.As(err, &passing) || !passing.Temporary() { //nolint:staticcheck // net/http asks the same, and tries again
				e.quiet.Do(func() { close(e.idle) })
			}
			return nil, err
		}
	}
	e.quiet.Do(func() { close(e.idle) })
	<-e.closed
	return nil, net.ErrClosed
}

func (e *entrance) enter(c net.Conn) net.Conn {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return c
	}
	g := &guest{TCPConn: tcp, entrance: e, rests: true}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.inside[g] = true
	return g
}

// shut lets no connection in any more: those that arrive wait in the kernel for the
// program that gets the socket, if one does. Those that rest go to keep; for the
// others it waits until they have their answers, or ctx ends.
func (e *entrance) shut(ctx context.Context, keep keeper) {
	if l, ok := e.Listener.(interface{ SetDeadline(time.Time) error }); !ok || l.SetDeadline(time.Unix(1, 0)) != nil {
		return // it is closed already, or of a kind that is only closed
	}
	close(e.shutting)
	<-e.idle
	for _, g := range e.guests(keep) {
		g.wake()
	}
	select {
	case <-e.empty:
	case <-ctx.Done():
	}
}

// guests returns who is inside, and from now on keeps those that rest.
func (e *entrance) guests(keep keeper) []*guest {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.keep = keep; len(e.inside) == 0 {
		close(e.empty)
	}
	return slices.Collect(maps.Keys(e.inside))
}

func (e *entrance) left(g *guest) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.inside[g] {
		if delete(e.inside, g); len(e.inside) == 0 && e.keep != nil {
			close(e.empty)
		}
	}
}

func (e *entrance) keeper() keeper {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.keep
}

// state is a server's ConnState.
func (e *entrance) state(c net.Conn, to http.ConnState) {
	g, ok := c.(*guest)
	switch {
	case ok && to == http.StateIdle:
		g.rest()
	case ok && to == http.StateHijacked: // a WebSocket: not the server's any more
		e.left(g)
	}
}

// Close closes the listener. A socket that was kept for a restart stays open.
func (e *entrance) Close() error {
	select {
	case <-e.closed:
	default:
		close(e.closed)
	}
	return e.Listener.Close()
}

// guest is a connection that was let in.
type guest struct {
	*net.TCPConn
	entrance *entrance

	mu    sync.Mutex
	kept  bool      // for the program that comes after: nothing may be read from it any more
	rests bool      // it speaks HTTP/1, and nothing of a next request was read
	ahead bool      // a byte of the next request was read while one is answered
	begun []byte    // what it began with
	until time.Time // when the server's patience for a read ends
	waits int       // deadlines that were set since the last answer
	woken bool      // another deadline than that was set
}

const http2Begins = "PRI"

// Read reads, unless the connection rests and the entrance is shut: then it is
// kept, and whoever reads finds its time over. Only the one that reads decides, so
// that no byte of a request is lost in between.
func (g *guest) Read(p []byte) (int, error) {
	if g.stays() {
		return 0, os.ErrDeadlineExceeded
	}
	n, err := g.TCPConn.Read(p)
	if n > 0 {
		g.read(p[:n], len(p) == 1)
	} else {
		g.stays()
	}
	return n, err
}

// stays keeps the connection if it rests and the entrance is shut, and reports whether it is kept.
func (g *guest) stays() bool {
	keep := g.entrance.keeper()
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.rests && keep != nil && !g.kept {
		g.kept = true
		keep(g.TCPConn)
	}
	return g.kept
}

func (g *guest) read(b []byte, one bool) {
	if g.noted(b, one) {
		g.entrance.left(g) // HTTP/2 says itself which request is the last
	}
}

// noted notes what was read, and reports whether the connection turns out to speak HTTP/2.
func (g *guest) noted(b []byte, one bool) (turns bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ahead = one && !g.rests // net/http reads one byte ahead while it answers
	g.rests = false
	if g.woken { // too late: a request had begun, and has to be read to its end
		g.woken = false
		g.TCPConn.SetReadDeadline(g.until) //nolint:errcheck // the next read says so
	}
	missing := len(http2Begins) - len(g.begun)
	if missing <= 0 {
		return false
	}
	g.begun = append(g.begun, b[:min(len(b), missing)]...)
	return g.http2()
}

func (g *guest) http2() bool { return string(g.begun) == http2Begins }

// rest says that an answer is complete.
func (g *guest) rest() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.rests, g.ahead, g.waits = !g.ahead && !g.http2(), false, 0
}

// wake makes a read end that waits for the next request.
func (g *guest) wake() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.rests {
		g.woken = true
		g.TCPConn.SetReadDeadline(time.Unix(1, 0)) //nolint:errcheck // what cannot be woken is waited for
	}
}

// SetReadDeadline is the server's. It sets one when it begins to wait for a request;
// another without a read between them means that the request was there already,
// read together with the one before.
func (g *guest) SetReadDeadline(t time.Time) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.waits++; g.waits > 1 {
		g.rests = false
	}
	g.until, g.woken = t, false
	return g.TCPConn.SetReadDeadline(t)
}

func (g *guest) Close() error {
	g.entrance.left(g)
	return g.TCPConn.Close()
}
