package gateway

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/job"
	"github.com/tillid/tillid/internal/web"
)

// finding is one thing that the site did and that the visitor's choice, or the
// declaration, does not allow. It holds nothing about any visitor.
type finding struct {
	Site     string
	Kind     string // request, cookie, header
	Subject  string // host, name of a cookie or of other storage, name of a header
	Detail   string // directive, the host a header names, or where a browser has kept a leftover
	Page     string // path with what looks like an id taken out
	Service  string // what it is declared for; empty: it is not declared
	Enforced bool   // stopped, not only listed
}

// shelf is where findings are kept: each has room of its own, so that a flood of
// one kind, which anybody can send as reports, neither pushes out another kind nor
// keeps it from being listed.
type shelf struct{ site, kind string }

// leftover is the kind of what a browser reports to have kept. In the table it is a
// cookie with a detail; a cookie that the site's answer sets has none.
const leftover = "leftover"

func (f finding) shelf() shelf {
	if f.Kind == "cookie" && f.Detail != "" {
		return shelf{f.Site, leftover}
	}
	return shelf{f.Site, f.Kind}
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
	waiting map[shelf]int // how many of found are of each kind
	flushed time.Time
}

// Of one site and one kind. docs/decisions/0012-drift-limits.md says why.
const (
	maxWaiting = 250 // findings in memory
	maxRows    = 500 // findings kept
)

const (
	flushEvery = 5 * time.Second
	forgetIn   = 90 * 24 * time.Hour // what was not seen for so long
	doubtIn    = 24 * time.Hour      // what was seen once only, where there is no room left
)

// note counts a finding on a page; in enforce mode it was stopped.
func (s *Service) note(v *visit, f finding, page string) { s.noteAs(v, f, page, v.enforce()) }

func (s *Service) noteAs(v *visit, f finding, page string, stopped bool) {
	if page != v.page || v.template == "" {
		v.page, v.template = page, template(page)
	}
	f.Site, f.Enforced, f.Page = v.site.id, stopped, v.template
	now := s.Now()
	s.drift.mu.Lock()
	defer s.drift.mu.Unlock()
	seen, known := s.drift.found[f]
	if !known {
		if s.drift.found == nil {
			s.drift.found, s.drift.waiting = map[finding]sighting{}, map[shelf]int{}
		}
		if s.drift.waiting[f.shelf()] >= maxWaiting {
			return
		}
		s.drift.waiting[f.shelf()]++
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
	if err := s.store(ctx, found); err != nil {
		return err
	}
	return s.readListed(ctx)
}

// readListed reads which cookies are listed: by this replica or another.
func (s *Service) readListed(ctx context.Context) error {
	since, err := listedCookies(ctx, s.DB)
	if err != nil {
		return err
	}
	s.listed.mu.Lock()
	defer s.listed.mu.Unlock()
	s.listed.since = since
	return nil
}

// Periodic returns the gateway's periodic work.
func (s *Service) Periodic() []job.Periodic {
	return []job.Periodic{
		{Name: "gateway.drift", Every: 30 * time.Second, Run: s.refresh},
		{Name: "gateway.forget", Every: 24 * time.Hour, Run: s.forget},
	}
}

// refresh stores what was gathered and reads what other replicas have listed and switched.
func (s *Service) refresh(ctx context.Context) error {
	if err := s.flush(ctx, true); err != nil {
		return err
	}
	if _, err := s.Bypasses(ctx); err != nil {
		return err
	}
	return s.readListed(ctx)
}

// listing is which undeclared cookies were listed, and since when.
type listing struct {
	mu    sync.Mutex
	since map[[2]string]time.Time // by site and name; nil before the table was read
}

// listedSince returns when a cookie was first listed. One that only waits in
// memory, or that cannot be looked up, is not listed yet.
func (s *Service) listedSince(site, name string) (time.Time, bool) {
	s.listed.mu.Lock()
	defer s.listed.mu.Unlock()
	at, ok := s.listed.since[[2]string{site, name}]
	return at, ok
}

// WaitingCookie is one that is not declared and still passes in enforce mode.
type WaitingCookie struct {
	Site, Subject string
	Ends          time.Time // when it no longer passes
}

// Waiting returns the cookies that will be stopped unless somebody declares them.
func (s *Service) Waiting(ctx context.Context, q db.Queryer) ([]WaitingCookie, error) {
	since, err := listedCookies(ctx, q)
	if err != nil {
		return nil, err
	}
	c, now := s.compiled(), s.Now()
	var all []WaitingCookie
	for _, site := range c.list {
		for key, at := range since {
			if ends := site.grace.After(at, time.UTC); key[0] == site.id && site.enforce && c.deviceOf(key[1]) == nil && now.Before(ends) {
				all = append(all, WaitingCookie{site.id, key[1], ends})
			}
		}
	}
	slices.SortFunc(all, func(a, b WaitingCookie) int {
		return cmp.Or(a.Ends.Compare(b.Ends), cmp.Compare(a.Site, b.Site), cmp.Compare(a.Subject, b.Subject))
	})
	return all, nil
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
	blocked, leads := addressOf(rep.Blocked)
	if !leads || v.house(blocked) || !isHost(blocked.host) {
		return
	}
	page, err := url.Parse(rep.Document)
	if err != nil || v.siteOf(page.Host) == nil {
		return
	}
	directive := rep.Directive
	if directive == "" {
		directive, _, _ = strings.Cut(rep.Violated, " ")
	}
	s.note(v, finding{
		Kind: "request", Subject: blocked.host, Detail: known(directive), Service: v.declares(blocked),
	}, page.Path)
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
