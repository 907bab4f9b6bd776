package app

import (
	"context"
	"embed"
	"encoding/hex"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tillid/tillid/internal/erase"
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
	add := func(f *staff.Figure, id string, n int, path string) { count(l, f, id, n, path) }
	add(&o.Kept, "app.overview.erased", erased.Erased, "/erasures")
	add(&o.Kept, "app.overview.held", max(0, held.Records-held.Overdue-held.DueSoon), "/retention?days=36500")
	add(&o.Due, "app.overview.due_soon", held.DueSoon, "/retention?days=7")
	add(&o.Due, "app.overview.cases_open", erased.Open, "/erasures")
	add(&o.Broken, "app.overview.overdue", held.Overdue, "/retention?days=0")
	add(&o.Broken, "app.overview.lying", erased.Lying, "/erasures")
	add(&o.Broken, "app.overview.cases_late", erased.Overdue, "/erasures")
	if erased.Erased > 0 {
		o.Deleted = []staff.Line{{Label: text.T(l, "app.overview.erased", "Count", erased.Erased), Count: erased.Erased, Path: "/erasures"}}
	}
	return o, h.overviewRest(ctx, l, &o)
}

// count adds what there is n of to a figure.
func count(l text.Lang, f *staff.Figure, id string, n int, path string) {
	if n > 0 {
		f.Count += n
		f.Lines = append(f.Lines, staff.Line{Label: text.T(l, id, "Count", n), Count: n, Path: path})
	}
}

func (h *House) overviewRest(ctx context.Context, l text.Lang, o *staff.Overview) error {
	undeclared, err := h.gateway.Undeclared(ctx, h.folder.db)
	if err != nil {
		return err
	}
	if undeclared > 0 {
		o.Drift = []staff.Line{{Label: text.T(l, "app.overview.drift", "Count", undeclared), Count: undeclared, Path: "/drift"}}
	}
	scanned, err := h.scan.Drifts(ctx)
	if err != nil {
		return err
	}
	if scanned > 0 {
		o.Drift = append(o.Drift, staff.Line{Label: text.T(l, "app.overview.scan", "Count", scanned), Count: scanned, Path: "/scan"})
	}
	o.Alarms = h.alarms(ctx, l)
	if err := h.openBreaches(ctx, l, o); err != nil {
		return err
	}
	if err := h.openRequests(ctx, l, o); err != nil {
		return err
	}
	rates, err := h.consent.Rates(ctx)
	for _, r := range rates {
		if r.Of > 0 {
			o.Consent = append(o.Consent, staff.Rate{Label: r.Label.In(l), Part: r.Yes, Of: r.Of})
		}
	}
	return err
}

// alarms are the problems of health, each with what to do and where.
func (h *House) alarms(ctx context.Context, l text.Lang) []staff.Alarm {
	_, problems := h.Health(ctx)
	var list []staff.Alarm
	for _, p := range problems {
		what, do := web.Say(l, p)
		list = append(list, staff.Alarm{What: what, Do: do, Path: whereToMend(p)})
	}
	for _, lang := range h.Plan().Languages {
		if !text.Reviewed(lang) {
			list = append(list, staff.Alarm{
				What: text.T(l, "app.overview.unreviewed", "Language", text.Name(lang)),
				Do:   text.T(l, "app.overview.unreviewed.do"), Path: "/declaration",
			})
		}
	}
	return list
}

// openBreaches are alarms, each with its deadline, and a promise broken when that has passed.
func (h *House) openBreaches(ctx context.Context, l text.Lang, o *staff.Overview) error {
	running, err := h.breach.Running(ctx)
	late := 0
	for _, b := range running {
		o.Alarms = append(o.Alarms, staff.Alarm{
			What: text.T(l, "breach.alarm", "Number", b.Number, "Date", text.Moment(l, b.Deadline.In(h.Plan().Loc))),
			Do:   text.T(l, "breach.alarm.do"), Path: "/breaches/" + b.ID,
		})
		if h.Now().After(b.Deadline) {
			late++
		}
	}
	count(l, &o.Broken, "app.overview.breaches_late", late, "/breaches")
	return err
}

// openRequests lists people's requests that are not yet answered: the cases that staff
// decide, and what people erased themselves and a processor still holds.
func (h *House) openRequests(ctx context.Context, l text.Lang, o *staff.Overview) error {
	waiting, err := h.request.Waiting(ctx)
	if err != nil {
		return err
	}
	soon, late := 0, 0
	for _, w := range waiting {
		switch {
		case w.Overdue:
			late++
		case w.Days >= 0 && w.Days < 7:
			soon++
		}
		o.Requests = append(o.Requests, staff.Deadline{
			Label: text.T(l, "request.kind."+string(w.Kind)) + " " + w.Number, Path: "/requests/" + w.ID, Days: w.Days, Due: w.Due,
		})
	}
	count(l, &o.Due, "app.overview.requests_due", soon, "/requests")
	count(l, &o.Broken, "app.overview.requests_late", late, "/requests")
	cases, err := h.erase.Cases(ctx, 200)
	if err != nil {
		return err
	}
	for _, c := range cases {
		if c.State == erase.Open && c.Reason.Kind == erase.Request {
			o.Requests = append(o.Requests, staff.Deadline{
				Label: text.T(l, "app.overview.erasure", "At", text.Date(l, c.Opened.In(h.Plan().Loc))), Path: "/erasures/" + string(c.ID),
				Days: int(math.Floor(c.Deadline.Sub(h.Now()).Hours() / 24)), Due: c.Deadline,
			})
		}
	}
	return nil
}

// whereToMend is the page of the Backoffice where a problem of health is seen to.
func whereToMend(p *fault.Error) string {
	feature, _, _ := strings.Cut(p.ID, ".")
	switch feature {
	case "erase":
		return "/erasures"
	case "backup":
		return "/backups"
	case "gateway":
		return "/drift"
	case "retain":
		return "/retention"
	default:
		return "/work"
	}
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

// StaffRoutes are the pages that belong to no feature: the log, and work in the background.
func (h *House) StaffRoutes() []web.Route {
	return []web.Route{
		{Pattern: "GET /log", Need: web.Policy, Handler: h.logPage},
		{Pattern: "GET /work", Need: web.StaffRead, Handler: h.showWork},
		{Pattern: "POST /work/{id}/retry", Need: web.Admin, Handler: h.retryWork},
	}
}

// StaffNav are their entries of the menu.
func (h *House) StaffNav() []web.Nav {
	return []web.Nav{
		{Path: "/log", TextID: "app.nav.log", Icon: "log", Need: web.Policy, Order: 70},
		{Path: "/work", TextID: "app.nav.work", Icon: "settings", Need: web.StaffRead, Order: 71},
	}
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
	What       string // the kind of leaf, in words
	Version    string
	Commitment string
}

// leafWords says what a kind of leaf is: a feature's own word for it, else the kind.
func leafWords(l text.Lang, kind string) string {
	act, ofStaff := strings.CutPrefix(kind, "staff.")
	s := text.T(l, "app.leaf."+kind)
	if ofStaff {
		s = text.T(l, "staff.act."+act)
	}
	if strings.HasPrefix(s, "⟦") {
		return kind
	}
	return s
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
		p.Entries = append(p.Entries, logEntry{Entry: e, What: leafWords(p.Lang, e.Kind), Version: short(e.Version), Commitment: short(hex.EncodeToString(e.Commitment))})
	}
	if n := len(entries); n == logRows && entries[n-1].Index > 0 {
		p.Older = entries[n-1].Index
	}
	return web.Render(w, http.StatusOK, pages(), "log.html", web.Backoffice, p)
}

func short(s string) string { return s[:min(12, len(s))] }

var severityWord = map[lint.Severity]string{lint.Error: "error", lint.Warning: "warning", lint.Info: "info"}
