package app

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/fault"
)

// Health is what /_tillid/health answers. It names no house and no person.
type Health struct {
	Live     bool     `json:"live"`
	Ready    bool     `json:"ready"`
	Problems []string `json:"problems,omitempty"`
}

// health answers for one house, or for all together where the host is nobody's.
// 200 when ready, 503 when not; live is true whenever the process answers.
func (s *Server) health(w http.ResponseWriter, r *http.Request, house *House) {
	houses := s.Houses
	if house != nil {
		houses = []*House{house}
	}
	h := Health{Live: true, Ready: true}
	for _, one := range houses {
		ready, problems := one.Health(r.Context())
		h.Ready = h.Ready && ready
		h.Problems = append(h.Problems, sentences(problems)...)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if !h.Ready {
		w.Header().Set("Retry-After", "5")
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	if r.Method != http.MethodHead {
		json.NewEncoder(w).Encode(h) //nolint:errcheck // who asked has gone
	}
}

var (
	errNoWrite = fault.New(fault.Unavailable, "The database cannot be written.").
			WithHint("Is the disk full, or the folder read-only? The log of the program says more.").In("app.no_write")
	errNoCheck = fault.New(fault.Unavailable, "A check of health could not run.").
			WithHint("The log of the program says why.").In("app.no_check")
)

// sentences are problems as machines read them: in English.
func sentences(problems []*fault.Error) []string {
	var says []string
	for _, p := range problems {
		says = append(says, p.Msg)
	}
	return says
}

// ledgerHealth says what is wrong with the log.
func (h *House) ledgerHealth(ctx context.Context) (wrong []*fault.Error, err error) {
	says, err := h.ledger.Health(ctx)
	for _, s := range says {
		wrong = append(wrong, fault.New(fault.Unavailable, "%s", s).
			WithHint("Start the program again. If this stays, its log says what is wrong.").In("app.log_waits"))
	}
	return wrong, err
}

// pulse remembers a house's last health check, so that asking often costs nothing.
type pulse struct {
	mu       sync.Mutex
	at       time.Time
	ready    bool
	problems []*fault.Error
	failed   int64 // writes that the databases had refused by then
}

const pulseAge = time.Second

// Health reports whether the house can take and keep data now, and what is
// wrong with it. A problem such as a late retention run does not make it unready.
func (h *House) Health(ctx context.Context) (ready bool, problems []*fault.Error) {
	h.pulse.mu.Lock()
	defer h.pulse.mu.Unlock()
	now := h.Now()
	if !h.pulse.at.IsZero() && now.Sub(h.pulse.at) < pulseAge && now.Sub(h.pulse.at) >= 0 {
		return h.pulse.ready, h.pulse.problems
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	h.pulse.at, h.pulse.ready, h.pulse.problems = now, true, nil
	if err := h.canWrite(ctx, now); err != nil {
		h.pulse.ready = false
		h.pulse.problems = append(h.pulse.problems, errNoWrite)
		h.Log.ErrorContext(ctx, "health: database cannot be written", "err", err)
	}
	for _, check := range h.checks {
		found, err := check(ctx)
		if err != nil {
			h.Log.ErrorContext(ctx, "health check failed", "err", err)
			found = append(found, errNoCheck)
		}
		h.pulse.problems = append(h.pulse.problems, found...)
	}
	return h.pulse.ready, h.pulse.problems
}

// canWrite really writes to both databases: a disk that is full or read-only
// answers reads happily. What it writes is small, so a larger write that was
// refused since the last check counts too.
func (h *House) canWrite(ctx context.Context, now time.Time) error {
	before := h.pulse.failed
	h.pulse.failed = h.folder.db.Failures() + h.folder.keys.DB.Failures()
	if _, err := h.folder.db.Exec(ctx, `update house set checked_at = $1`, db.Time{Time: now}); err != nil {
		return err
	}
	if _, err := h.folder.keys.DB.Exec(ctx, `update record_key set kek_version = kek_version where record = $1`, houseKey(h.folder.id)); err != nil {
		return err
	}
	if n := h.pulse.failed - before; n > 0 {
		return fmt.Errorf("%d writes were refused since the last check", n)
	}
	return nil
}
