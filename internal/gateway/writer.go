package gateway

import (
	"io"
	"net/http"
	"time"
)

// passing is the visitor's side of a request that is passed on. It filters early
// hints, which a proxy sends on as they come, and gives whoever goes on taking or
// sending time: the server's limits are for a whole request, and a long download,
// upload or stream of events is none that hangs.
type passing struct {
	http.ResponseWriter
	s     *Service
	v     *visit
	until time.Time // the deadline that was set last
}

const (
	stall  = 2 * time.Minute  // for which nothing may move
	extend = 30 * time.Second // how often the deadline is moved
)

func (p *passing) Unwrap() http.ResponseWriter { return p.ResponseWriter }

func (p *passing) WriteHeader(code int) {
	if code >= 100 && code < 200 && code != http.StatusSwitchingProtocols && !p.v.bypass {
		p.s.filterDoors(p.v, p.Header())
		if code == http.StatusEarlyHints && len(p.Header()["Link"]) == 0 {
			return
		}
	}
	p.ResponseWriter.WriteHeader(code)
}

func (p *passing) Write(b []byte) (int, error) {
	p.goOn(time.Now()) //nolint:forbidigo // deadlines of connections are real time
	return p.ResponseWriter.Write(b)
}

func (p *passing) goOn(now time.Time) {
	if p.until.Sub(now) < stall-extend {
		p.until = now.Add(stall)
		http.NewResponseController(p.ResponseWriter).SetWriteDeadline(p.until) //nolint:errcheck // what has no deadline needs none
	}
}

// upload is a request's body: whoever sends keeps getting time, as long as
// something worth it arrives.
type upload struct {
	io.ReadCloser
	control *http.ResponseController
	read    int // since the deadline was moved
}

const (
	worth = 64 << 10         // bytes that earn
	more  = 30 * time.Second // so much time
)

func (u *upload) Read(b []byte) (int, error) {
	n, err := u.ReadCloser.Read(b)
	if u.read += n; u.read >= worth {
		u.read = 0
		u.control.SetReadDeadline(time.Now().Add(more)) //nolint:errcheck,forbidigo // what has no deadline needs none; it is real time
	}
	return n, err
}
