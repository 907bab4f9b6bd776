package app

import (
	"context"
	"log/slog"
	"net/http"
	"time"
)

// Limits are what a listener waits for and takes: a slow or endless request is
// cut, not waited for.
type Limits struct {
	Header time.Duration // until a request's headers are here
	Read   time.Duration // until the whole request is here
	Write  time.Duration // until the whole answer has been taken
	Idle   time.Duration // between two requests of one connection
	Drain  time.Duration // for running requests, when the server stops

	HeaderBytes int // of a request's first line and headers; net/http adds 4 KiB
	Streams     int // requests at once on one HTTP/2 connection; 0 means 250
}

// DefaultLimits are the limits of "tillid serve"; docs/operate.md lists them.
func DefaultLimits() Limits {
	return Limits{
		Header: 10 * time.Second, Read: 30 * time.Second, Write: 2 * time.Minute, Idle: 2 * time.Minute,
		Drain: 20 * time.Second, HeaderBytes: 32 << 10, Streams: 250,
	}
}

func (l Limits) orDefault() Limits {
	if l == (Limits{}) {
		return DefaultLimits()
	}
	return l
}

// server returns an HTTP server for h that holds to the limits.
func (l Limits) server(h http.Handler, log *slog.Logger) *http.Server {
	l = l.orDefault()
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true) // from servers in front that end TLS
	return &http.Server{
		Handler:           h,
		Protocols:         protocols,
		ReadHeaderTimeout: l.Header,
		ReadTimeout:       l.Read,
		WriteTimeout:      l.Write,
		IdleTimeout:       l.Idle,
		MaxHeaderBytes:    l.HeaderBytes,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: l.Streams,
			MaxReadFrameSize:     64 << 10,
			WriteByteTimeout:     l.Write, // in which at least something must be taken
			SendPingTimeout:      l.Idle,
			PingTimeout:          l.Header,
		},
		ErrorLog: slog.NewLogLogger(quiet{log.Handler()}, slog.LevelDebug),
	}
}

// quiet drops net/http's own lines, which carry client addresses.
type quiet struct{ slog.Handler }

func (quiet) Enabled(context.Context, slog.Level) bool { return false }
