package scan

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/job"
	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/web"
)

// Service looks at a house's sites every night and keeps what it found last.
type Service struct {
	DB        *db.DB
	Plan      func() *policy.Plan // nil before a version is open
	House     *web.House
	Log       *slog.Logger
	Now       func() time.Time
	Chromium  string // "" when there is none: nothing is scanned, and the page says so
	Off       bool   // switched off
	OnlyAsked bool   // no nights: only when somebody asks
	Work      string // folder for scans under way
}

// nightLimits keep a night's scan from being felt.
var nightLimits = Limits{Pages: 25, Depth: 4, Time: 8 * time.Minute}

const (
	jobKind     = "scan.site"
	nightBegins = 2 // o'clock in the controller's calendar
	nightEnds   = 5
	notAgain    = 20 * time.Hour
	maxStored   = 2000 // findings of a site
	maxText     = 1 << 20
)

type siteJob struct {
	Site string `json:"site"`
}

// Jobs are the kinds of background work.
func (s *Service) Jobs() map[string]func(context.Context, []byte) error {
	return map[string]func(context.Context, []byte) error{jobKind: s.work}
}

// Periodic asks for the night's scans.
func (s *Service) Periodic() []job.Periodic {
	return []job.Periodic{{Name: "scan.nightly", Every: time.Hour, Run: s.nightly}}
}

// able reports whether sites can be scanned at all.
func (s *Service) able() bool { return s.Chromium != "" && !s.Off }

// nightly asks for a scan of every site that was not scanned since yesterday, at night.
func (s *Service) nightly(ctx context.Context) error {
	plan := s.Plan()
	if plan == nil || !s.able() || s.OnlyAsked {
		return nil
	}
	if hour := s.Now().In(plan.Loc).Hour(); hour < nightBegins || hour >= nightEnds {
		return nil
	}
	runs, err := s.runs(ctx)
	if err != nil {
		return err
	}
	for _, site := range plan.Sites {
		if last, ok := runs[site.ID]; ok && s.Now().Sub(last.At.Time) < notAgain {
			continue
		}
		if err := s.ask(ctx, site.ID); err != nil {
			return err
		}
	}
	return nil
}

// ask adds a scan of a site, unless one waits already.
func (s *Service) ask(ctx context.Context, site string) error {
	return job.Add(ctx, s.DB, jobKind, siteJob{site}, s.Now(), jobKind+" "+site)
}

// work scans a site. That a site or the browser fails is a result, kept and
// shown; it is tried again the next night.
func (s *Service) work(ctx context.Context, payload []byte) error {
	var j siteJob
	if err := json.Unmarshal(payload, &j); err != nil {
		return job.Permanent(err)
	}
	plan := s.Plan()
	start := siteAddress(plan, j.Site)
	if start == nil || !s.able() {
		return nil // taken out of the declaration, or switched off, since it was asked for
	}
	work := filepath.Join(s.Work, j.Site)
	result, err := Run(ctx, Options{
		Start: start, Plan: plan, Limits: nightLimits, OwnHost: true, Chromium: s.Chromium, NoSandbox: Root(), Work: work, Now: s.Now,
	})
	switch {
	case err != nil && ctx.Err() != nil:
		return ctx.Err() // it goes on where it was
	case err != nil:
		s.Log.WarnContext(ctx, "site not scanned", "site", j.Site, "err", err)
		return s.keepFailure(ctx, j.Site, fault.Of(err))
	}
	if err := s.keep(ctx, j.Site, plan, result); err != nil {
		return err
	}
	return os.RemoveAll(work)
}

// siteAddress is where a site of the declaration begins, or nil.
func siteAddress(plan *policy.Plan, id string) *url.URL {
	if plan == nil {
		return nil
	}
	for _, site := range plan.Sites {
		if site.ID == id && site.Origin() != "" {
			if u, err := Address(site.Origin()); err == nil {
				return u
			}
		}
	}
	return nil
}

// keep stores what a scan found in place of what was found before; what was
// there before keeps the day since when.
func (s *Service) keep(ctx context.Context, site string, plan *policy.Plan, r *Result) error {
	report := NewReport(plan, r)
	var js strings.Builder
	if err := report.WriteJSON(&js); err != nil {
		return fmt.Errorf("scan report: %w", err)
	}
	patch := NewPatch(plan, r)
	patchText := ""
	if len(patch.Diff) > 0 || len(patch.ByHand) > 0 {
		patchText = string(patch.Bytes())
	}
	run := siteRun{
		Site: site, At: db.Time{Time: s.Now()}, State: "done", Pages: len(r.Pages), Errors: report.Errors,
		Report: bounded(js.String()), Patch: bounded(patchText), Lock: bounded(string(NewLock(r, nil).Bytes())),
	}
	return s.store(ctx, run, report.Findings[:min(len(report.Findings), maxStored)])
}

func bounded(s string) string {
	if len(s) > maxText {
		return ""
	}
	return s
}
