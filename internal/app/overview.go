package app

import (
	"context"
	"embed"
	"encoding/hex"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/law"
	"github.com/tillid/tillid/internal/ledger"
	"github.com/tillid/tillid/internal/lint"
	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/publish"
	"github.com/tillid/tillid/internal/staff"
	"github.com/tillid/tillid/internal/text"
	"github.com/tillid/tillid/internal/web"
)

//go:embed *.html
var pageFiles embed.FS

var pages = sync.OnceValue(func() *web.Pages { return web.Parse(pageFiles) })

var errCrossOrigin = fault.New(fault.Denied, "This was sent from another website, and was not done.").
	WithHint("Open the page itself and try again.").In("app.cross_origin")

const week = 7 * 24 * time.Hour

// overview is the first page of the Backoffice: promises kept, due, broken;
// what was deleted; what the site did that the declaration does not say.
func (h *House) overview(ctx context.Context, l text.Lang) (staff.Overview, error) {
	var o staff.Overview
	now := h.Now()
	erased, err := h.erase.Count(ctx, now.Add(-week))
	if err != nil {
		return o, err
	}
	held, err := h.subjects.Count(ctx, h.folder.db, now, now.Add(week))
	if err != nil {
		return o, err
	}
	add := func(f *staff.Figure, id string, n int, path string) {
		if n > 0 {
			f.Count += n
			f.Lines = append(f.Lines, staff.Line{Label: text.T(l, id, "Count", n), Count: n, Path: path})
		}
	}
	add(&o.Kept, "app.overview.erased", erased.Erased, "/erasures")
	add(&o.Kept, "app.overview.held", max(0, held.Records-held.Overdue-held.DueSoon), "/retention")
	add(&o.Due, "app.overview.due_soon", held.DueSoon, "/retention")
	add(&o.Due, "app.overview.cases_open", erased.Open, "/erasures")
	add(&o.Broken, "app.overview.overdue", held.Overdue, "/retention")
	add(&o.Broken, "app.overview.lying", erased.Lying, "/erasures")
	add(&o.Broken, "app.overview.cases_late", erased.Overdue, "/erasures")
	if erased.Erased > 0 {
		o.Deleted = []staff.Line{{Label: text.T(l, "app.overview.erased", "Count", erased.Erased), Count: erased.Erased, Path: "/erasures"}}
	}
	return o, h.overviewRest(ctx, l, &o, erased.Waiting)
}

func (h *House) overviewRest(ctx context.Context, l text.Lang, o *staff.Overview, waiting int) error {
	undeclared, err := h.gateway.Undeclared(ctx, h.folder.db)
	if err != nil {
		return err
	}
	if undeclared > 0 {
		o.Drift = []staff.Line{{Label: text.T(l, "app.overview.drift", "Count", undeclared), Count: undeclared, Path: "/drift"}}
	}
	if waiting > 0 {
		o.Alarms = append(o.Alarms, staff.Line{Label: text.T(l, "app.overview.waiting", "Count", waiting), Count: waiting, Path: "/erasures"})
	}
	if _, problems := h.Health(ctx); len(problems) > 0 {
		o.Alarms = append(o.Alarms, staff.Line{Label: text.T(l, "app.overview.health", "Count", len(problems)), Count: len(problems)})
	}
	rates, err := h.consent.Rates(ctx)
	for _, r := range rates {
		if r.Of > 0 {
			o.Consent = append(o.Consent, staff.Rate{Label: r.Label.In(l), Part: r.Yes, Of: r.Of})
		}
	}
	return err
}

// findings is what lint says about a plan, for the Backoffice.
func (h *House) findings(plan *policy.Plan, l text.Lang) []publish.Finding {
	packs, err := law.Load(plan.Law)
	if err != nil {
		return []publish.Finding{{Rule: "LAW", Severity: "error", Path: "law", Message: err.Error()}}
	}
	var list []publish.Finding
	for _, f := range lint.Run(plan, packs, policy.DateOf(h.Now().In(plan.Loc))).Findings {
		if f.Suppressed == nil {
			list = append(list, publish.Finding{
				Rule: f.Rule, Severity: severityWord[f.Severity], Path: f.Path, Line: f.Pos.Line,
				Message: f.Message.In(l), Fix: f.Fix.In(l),
			})
		}
	}
	return list
}

// StaffRoutes are the pages that belong to no feature: the log.
func (h *House) StaffRoutes() []web.Route {
	return []web.Route{{Pattern: "GET /log", Need: web.Policy, Handler: h.logPage}}
}

// StaffNav are their entries of the menu.
func (h *House) StaffNav() []web.Nav {
	return []web.Nav{{Path: "/log", TextID: "app.nav.log", Icon: "versions", Need: web.Policy, Order: 70}}
}

type logPage struct {
	web.Frame
	Entries    []logEntry
	Checkpoint string
	Verifier   string
	Older      int64 // index to go on before; 0 when there is nothing older
}

type logEntry struct {
	ledger.Entry
	Version    string
	Commitment string
}

const logRows = 50

func (h *House) logPage(w http.ResponseWriter, r *http.Request) error {
	before, err := strconv.ParseInt(r.URL.Query().Get("before"), 10, 64)
	if err != nil {
		before = 0
	}
	entries, err := h.ledger.Recent(r.Context(), logRows, before)
	if err != nil {
		return err
	}
	checkpoint, err := h.ledger.Checkpoint(r.Context())
	if err != nil && len(entries) > 0 && entries[0].Index >= 0 {
		return fmt.Errorf("read checkpoint: %w", err)
	}
	p := logPage{Frame: h.web.Backoffice(r), Checkpoint: string(checkpoint), Verifier: h.ledger.Signer.Verifier()}
	for _, e := range entries {
		p.Entries = append(p.Entries, logEntry{Entry: e, Version: short(e.Version), Commitment: short(hex.EncodeToString(e.Commitment))})
	}
	if n := len(entries); n == logRows && entries[n-1].Index > 0 {
		p.Older = entries[n-1].Index
	}
	return web.Render(w, http.StatusOK, pages(), "log.html", web.Backoffice, p)
}

func short(s string) string { return s[:min(12, len(s))] }

var severityWord = map[lint.Severity]string{lint.Error: "error", lint.Warning: "warning", lint.Info: "info"}
