package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/job"
	"github.com/tillid/tillid/internal/web"
)

// finding is one thing that the site did and that the visitor's choice, or the
// declaration, does not allow. It holds nothing about any visitor.
type finding struct {
	Site     string
	Kind     string // request, cookie, header
	Subject  string // host, name of a cookie, name of a header
	Detail   string // directive, or the host a header names
	Page     string // path with what looks like an id taken out
	Service  string // what it is declared for; empty: it is not declared
	Enforced bool   // stopped, not only listed
}

// sighting says when and how often something was found.
type sighting struct {
	First, Last time.Time
	Count       int
}

// tally gathers findings in memory, so that a busy site costs one write every few seconds.
type tally struct {
	mu      sync.Mutex
	found   map[finding]sighting
	flushed time.Time
}

const (
	maxWaiting = 1000 // findings in memory
	maxRows    = 2000 // findings kept
	flushEvery = 5 * time.Second
	forgetIn   = 90 * 24 * time.Hour // what was not seen for so long
)

// note counts a finding on a page.
func (s *Service) note(v *visit, f finding, page string) {
	f.Site, f.Enforced, f.Page = v.site.id, v.enforce(), template(page)
	now := s.Now()
	s.drift.mu.Lock()
	defer s.drift.mu.Unlock()
	seen, known := s.drift.found[f]
	if !known {
		if len(s.drift.found) >= maxWaiting {
			return
		}
		if s.drift.found == nil {
			s.drift.found = map[finding]sighting{}
		}
		seen.First = now
	}
	seen.Last = now
	seen.Count++
	s.drift.found[f] = seen
}

// flush stores what was gathered, at most every few seconds unless now is true.
func (s *Service) flush(ctx context.Context, now bool) error {
	s.drift.mu.Lock()
	at := s.Now()
	if len(s.drift.found) == 0 || !now && at.Sub(s.drift.flushed) < flushEvery {
		s.drift.mu.Unlock()
		return nil
	}
	found := s.drift.found
	s.drift.found, s.drift.flushed = nil, at
	s.drift.mu.Unlock()
	return s.store(ctx, found)
}

// Periodic returns the gateway's periodic work.
func (s *Service) Periodic() []job.Periodic {
	return []job.Periodic{
		{Name: "gateway.drift", Every: 30 * time.Second, Run: func(ctx context.Context) error { return s.flush(ctx, true) }},
		{Name: "gateway.forget", Every: 24 * time.Hour, Run: s.forget},
	}
}

// template makes a page's path fit to be kept: segments that may name a person
// or a thing of one become "*", and it has a bounded length.
func template(p string) string {
	segments := strings.Split(limited(p, 200), "/")
	for i, s := range segments {
		digits := strings.IndexFunc(s, unicode.IsDigit) >= 0
		if digits && len(s) > 2 || len(s) > 40 || strings.ContainsAny(s, "@%=;,") || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0xfffd }) {
			segments[i] = "*"
		}
	}
	if len(segments) > 6 {
		segments = append(segments[:6], "*")
	}
	return strings.Join(segments, "/")
}

func limited(s string, n int) string {
	s = strings.ToValidUTF8(s, "\ufffd")
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "")
}

// report is what browsers send about one thing that a policy stopped, or would
// have; names differ between report-uri and the Reporting API.
type report struct {
	Document  string `json:"document-uri"`
	Blocked   string `json:"blocked-uri"`
	Directive string `json:"effective-directive"`
	Violated  string `json:"violated-directive"`

	DocumentURL        string `json:"documentURL"`
	BlockedURL         string `json:"blockedURL"`
	EffectiveDirective string `json:"effectiveDirective"`
}

const maxReport = 64 << 10

// receive takes browsers' reports. They are hearsay: bounded, counted, and never
// the reason for anything but a line in a list.
func (s *Service) receive(w http.ResponseWriter, r *http.Request) error {
	if s.Limit != nil {
		if err := s.Limit(r); err != nil {
			return err
		}
	}
	reports, err := readReports(w, r)
	if err != nil {
		return err
	}
	v := s.visit(r)
	if v.site != nil {
		for _, rep := range reports[:min(len(reports), 20)] {
			s.heed(v, rep)
		}
		if err := s.flush(r.Context(), false); err != nil {
			return err
		}
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func readReports(w http.ResponseWriter, r *http.Request) ([]report, error) {
	body, err := io.ReadAll(web.Body(w, r, maxReport))
	if err != nil {
		return nil, err
	}
	unreadable := web.Status(fault.New(fault.Invalid, "This is not a report of a browser."), http.StatusBadRequest)
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return nil, unreadable
	}
	switch d := json.NewDecoder(bytes.NewReader(body)); kind {
	case "application/csp-report", "application/json":
		var one struct {
			Report report `json:"csp-report"`
		}
		if d.Decode(&one) != nil {
			return nil, unreadable
		}
		return []report{one.Report}, nil
	case "application/reports+json":
		var many []struct {
			Type string `json:"type"`
			Body report `json:"body"`
		}
		if d.Decode(&many) != nil {
			return nil, unreadable
		}
		var all []report
		for _, m := range many {
			if m.Type == "csp-violation" {
				m.Body.Document, m.Body.Blocked, m.Body.Directive = m.Body.DocumentURL, m.Body.BlockedURL, m.Body.EffectiveDirective
				all = append(all, m.Body)
			}
		}
		return all, nil
	}
	return nil, unreadable
}

// heed notes a report that is about another host and about a page of this site.
func (s *Service) heed(v *visit, rep report) {
	blocked, err := url.Parse(rep.Blocked)
	if err != nil || blocked.Host == "" || !reaches(blocked.Scheme) || v.ownHost(blocked) {
		return
	}
	page, err := url.Parse(rep.Document)
	if err != nil || !v.ownHost(page) {
		return
	}
	directive := rep.Directive
	if directive == "" {
		directive, _, _ = strings.Cut(rep.Violated, " ")
	}
	s.note(v, finding{
		Kind: "request", Subject: limited(strings.ToLower(blocked.Hostname()), 253), Detail: known(directive), Service: v.declares(blocked),
	}, page.Path)
}

// reaches reports whether a scheme is one by which pages reach other hosts; those
// of browsers' extensions are not.
func reaches(scheme string) bool {
	return scheme == "http" || scheme == "https" || scheme == "ws" || scheme == "wss"
}

// known returns the directive when it is one.
func known(directive string) string {
	base := strings.TrimSuffix(strings.TrimSuffix(directive, "-elem"), "-attr")
	for _, d := range directives {
		if d.name == base {
			return d.name
		}
	}
	return "default-src"
}
