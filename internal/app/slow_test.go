package app

import (
	"bufio"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"
)

// Who sends headers or a body a byte at a time, or takes an answer and asks for
// no more, is cut; others are served meanwhile. The limits are those of every
// listener, only shorter.
//
// Rows: E7.
func TestSlowClientsAreCut(t *testing.T) {
	short := DefaultLimits()
	short.Header, short.Read, short.Idle = 400*time.Millisecond, 800*time.Millisecond, 400*time.Millisecond
	s := stand(t, folderOf(t, "alfa"), short)
	post := "POST /_tillid/forms/contact HTTP/1.1\r\nHost: " + www + "\r\nContent-Type: application/x-www-form-urlencoded\r\n"
	cut := make(chan string)
	for _, slow := range []struct{ at, once, drip string }{
		{"in the first line", "GE", "T"},
		{"in a header", "GET / HTTP/1.1\r\nHost: " + www + "\r\nX-Slow: ", "x"},
		{"in a body", post + "Content-Length: 5000\r\n\r\nmessage=", "x"},
		{"in a chunked body", post + "Transfer-Encoding: chunked\r\n\r\n", "1\r\nx\r\n"},
		{"after an answer", "GET /_tillid/health HTTP/1.1\r\nHost: " + www + "\r\n\r\n", ""},
	} {
		go func() {
			if err := drip(s.addr, slow.once, slow.drip); err != nil {
				t.Errorf("slow %s: %v", slow.at, err)
			}
			cut <- slow.at
		}()
	}
	served := 0
	for left := 5; left > 0; {
		select {
		case <-cut:
			left--
		default:
			if a := s.do(www, "/privacy", nil); a.StatusCode != http.StatusOK {
				t.Fatalf("another client meanwhile: %d", a.StatusCode)
			}
			served++
		}
	}
	if served == 0 {
		t.Error("no other client was served while the slow ones were connected")
	}
	if n := s.count(kept + ` - (select count(*) from declaration_version)`); n != 0 {
		t.Errorf("%d rows of a submission that never arrived", n)
	}
}

// drip sends once, then drip after drip until the server hangs up. The error
// says that it did not.
func drip(addr, once, drip string) error {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Minute)) // far beyond every limit: only a server that never cuts gets there
	if _, err := io.WriteString(c, once); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, bufio.NewReader(c))
		if t, ok := err.(net.Error); !ok || !t.Timeout() {
			err = nil // closed or reset: both end it
		}
		ended <- err
	}()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-ended:
			return err
		case <-tick.C:
			io.WriteString(c, drip)
		}
	}
}

// What tillid serve waits for is what docs/operate.md says.
func TestDefaultLimits(t *testing.T) {
	want := Limits{
		Header: 10 * time.Second, Read: 30 * time.Second, Write: 2 * time.Minute, Idle: 2 * time.Minute,
		Drain: 20 * time.Second, HeaderBytes: 32 << 10, Streams: 250,
	}
	for _, l := range []Limits{{}, want} {
		srv := l.server(http.NotFoundHandler(), slog.New(slog.DiscardHandler))
		got := Limits{srv.ReadHeaderTimeout, srv.ReadTimeout, srv.WriteTimeout, srv.IdleTimeout, l.orDefault().Drain, srv.MaxHeaderBytes, srv.HTTP2.MaxConcurrentStreams}
		if got != want {
			t.Errorf("got %+v", got)
		}
	}
}
