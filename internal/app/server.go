package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tillid/tillid/internal/fault"
)

// Server serves many houses from one process, chosen by the request's host.
type Server struct {
	Houses  []*House
	Extra   map[string]http.Handler // further hosts: the demo's mail room and simulated outside world
	Log     *slog.Logger
	Metrics *Metrics
	Limits  Limits // of every listener; the zero value means DefaultLimits

	Restart *Restart   // what this process may become; nil: it only ends
	Waiting []net.Conn // to the public listener, from before a restart

	hosts   map[string]hostEntry
	leaving atomic.Bool // Run is about to end
}

type hostEntry struct {
	house   *House
	handler http.Handler
}

// Build makes the table of hosts. Two houses that claim the same host are refused.
func (s *Server) Build() error {
	s.hosts = map[string]hostEntry{}
	for _, h := range s.Houses {
		for host, handler := range h.Hosts() {
			if other, taken := s.hosts[host]; taken {
				return fault.New(fault.Conflict, "Two houses claim the host %s: %s and %s.", host, other.house.Dir, h.Dir).
					WithHint("A host belongs to one declaration. Take it out of the other's sites or backoffice.")
			}
			s.hosts[host] = hostEntry{h, handler}
		}
	}
	for host, handler := range s.Extra {
		s.hosts[host] = hostEntry{nil, handler}
	}
	return nil
}

// ServeHTTP sends a request to the house of its host. A host that no house has
// answers nothing but health.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	started := time.Now() //nolint:forbidigo // measures real elapsed time for the metrics
	if r.ProtoMajor == 2 && s.leaving.Load() {
		w.Header().Set("Connection", "close") // net/http tells the client (GOAWAY); HTTP/1 connections are kept
	}
	rec := &statusWriter{ResponseWriter: w}
	kind := s.serve(rec, r)
	s.Metrics.request(kind, rec.status, time.Since(started))
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) (kind string) {
	entry, ok := s.lookup(r.Host)
	if r.URL.Path == "/_tillid/health" {
		s.health(w, r, entry.house)
		return "health"
	}
	if !ok {
		http.Error(w, "Nothing is served under this name.", http.StatusMisdirectedRequest)
		return "unknown"
	}
	entry.handler.ServeHTTP(w, r)
	if entry.house == nil {
		return "extra"
	}
	return entry.house.kindOf(r.Host)
}

// lookup finds the entry for a Host header: with its port, then without.
func (s *Server) lookup(host string) (hostEntry, bool) {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if e, ok := s.hosts[host]; ok {
		return e, true
	}
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		return hostEntry{}, false
	}
	e, ok := s.hosts[strings.TrimSuffix(name, ".")]
	return e, ok
}

// statusWriter remembers the status for the metrics. Unwrap keeps flushing and
// hijacking working for the gateway.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(code int) {
	if w.status == 0 && code >= 200 {
		w.status = code
	}
	w.ResponseWriter.WriteHeader(code)
}

func (w *statusWriter) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Run serves on public (and metrics on its own listener, when given) until ctx
// ends; then it stops letting connections in, answers the requests that have begun,
// and stops the houses. Connections that rest are kept for a restart, if one follows.
func (s *Server) Run(ctx context.Context, public, metrics net.Listener) error {
	if err := s.Build(); err != nil {
		return err
	}
	work, stopWork := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	for _, h := range s.Houses {
		running.Go(func() { h.Run(work) })
	}
	defer func() { stopWork(); running.Wait() }()

	entrance := newEntrance(public, s.Waiting)
	open := s.Limits.server(s, s.Log)
	open.ConnState = entrance.state
	servers, listeners := []*http.Server{open}, []net.Listener{entrance}
	if metrics != nil {
		servers = append(servers, s.Limits.server(s.Metrics.Handler(), s.Log))
		listeners = append(listeners, metrics)
	}
	for _, h := range s.Houses {
		l, err := h.listenSocket()
		if err != nil {
			return err
		}
		servers = append(servers, s.Limits.server(h.Control(), s.Log))
		listeners = append(listeners, l)
	}
	failed := make(chan error, len(servers))
	for i := range servers {
		running.Go(func() {
			if err := servers[i].Serve(listeners[i]); !errors.Is(err, http.ErrServerClosed) {
				failed <- fmt.Errorf("serve %s: %w", listeners[i].Addr(), err)
			}
		})
	}
	s.Log.InfoContext(ctx, "serving", "houses", len(s.Houses), "address", public.Addr().String())
	var err error
	select {
	case <-ctx.Done():
		s.Log.InfoContext(ctx, "ending: requests that have begun are answered")
	case err = <-failed:
	}
	s.leave(context.WithoutCancel(ctx), entrance, servers)
	return err
}

// leave ends the servers: first the public one's requests, in the time that Limits gives.
func (s *Server) leave(ctx context.Context, entrance *entrance, servers []*http.Server) {
	ctx, cancel := context.WithTimeout(ctx, s.Limits.orDefault().Drain)
	defer cancel()
	s.leaving.Store(true)
	for _, h := range s.Houses {
		h.gateway.EndStreams()
	}
	entrance.shut(ctx, s.Restart.keep)
	for _, srv := range servers {
		if srv.Shutdown(ctx) != nil {
			srv.Close() // what is still open is cut
		}
	}
}
