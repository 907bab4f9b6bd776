// Package retain deletes what is due by the declaration's retention rules, and
// says beforehand what will go and why. Due means due: it goes with the next
// sweep. It decides nothing else: package erase does the deleting.
package retain

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/erase"
	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/job"
	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/subject"
	"github.com/tillid/tillid/internal/web"
)

// Service sweeps.
type Service struct {
	DB      *db.DB
	Subject *subject.Service
	Erase   *erase.Service
	Plan    func() *policy.Plan
	Now     func() time.Time
	Log     *slog.Logger
	House   *web.House
}

// Every is how often the sweeper runs: a cycle.
const Every = time.Minute

// page is how many records are read, and at most erased in one case, at a time.
const page = 200

// Run is one run of the sweeper.
type Run struct {
	ID       string
	Started  time.Time
	Ended    time.Time
	Due      int
	Held     int // due, but a hold or a law keeps it
	Manual   int // due, and a person must do it
	Deleted  int
	Failed   int
	Forecast []Forecast
}

// Forecast is what is due within the next day, by rule.
type Forecast struct {
	Rule    string `json:"rule"`
	Records int    `json:"records"`
}

// Periodic is the sweeper, for app's table of periodic work.
func (s *Service) Periodic() []job.Periodic {
	return []job.Periodic{{Name: "retain.sweep", Every: Every, Run: func(ctx context.Context) error {
		_, err := s.Sweep(ctx)
		return err
	}}}
}

// Sweep erases what is due now, rule by rule, and notes the run. One rule that
// fails does not stop the others; the error then says how many records failed.
func (s *Service) Sweep(ctx context.Context) (Run, error) {
	run := Run{ID: db.NewID(), Started: s.Now()}
	if err := s.shorten(ctx); err != nil {
		return run, err
	}
	may, err := s.gate(ctx)
	if err != nil {
		return run, err
	}
	var last subject.Record
	for {
		records, err := s.Subject.DueAfter(ctx, s.DB, run.Started, last, page)
		if err != nil {
			return run, err
		}
		if len(records) == 0 {
			break
		}
		last = records[len(records)-1]
		free := slices.DeleteFunc(slices.Clone(records), func(r subject.Record) bool { return !may.open(r) })
		run.Held, run.Due = run.Held+len(records)-len(free), run.Due+len(records)-len(free)
		if err := s.sweepPage(ctx, free, &run); err != nil {
			return run, err
		}
	}
	run.Ended = s.Now()
	if run.Forecast, err = forecast(ctx, s.DB, run.Ended.AddDate(0, 0, 1)); err != nil {
		return run, err
	}
	if err := s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error {
		return errors.Join(publish(ctx, tx, run.Ended), writeRun(ctx, tx, run))
	}); err != nil {
		return run, err
	}
	if run.Failed > 0 {
		return run, fmt.Errorf("sweep: %d records that are due could not be erased", run.Failed)
	}
	return run, nil
}

func (s *Service) sweepPage(ctx context.Context, records []subject.Record, run *Run) error {
	var rules []string // in the order of the first record that is due
	byRule := map[string][]subject.Record{}
	for _, r := range records {
		if byRule[r.Rule] == nil {
			rules = append(rules, r.Rule)
		}
		byRule[r.Rule] = append(byRule[r.Rule], r)
	}
	for _, rule := range rules {
		if err := s.sweepRule(ctx, rule, byRule[rule], run); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) sweepRule(ctx context.Context, rule string, records []subject.Record, run *Run) error {
	run.Due += len(records)
	if how := s.how(rule); how.manual {
		run.Manual += len(records)
		return s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error {
			for _, r := range records {
				if err := insertTask(ctx, tx, r, how.owner, s.Now()); err != nil {
					return err
				}
			}
			return nil
		})
	}
	steps, err := s.Erase.PlanFor(ctx, records, erase.Reason{Kind: erase.Retention, Rule: rule})
	if err != nil {
		s.Log.Error("a retention rule cannot be planned", "rule", rule, "err", err)
		run.Failed += len(records)
		return nil
	}
	var free []subject.Record
	for _, step := range steps {
		if step.State == erase.Planned {
			free = append(free, step.Record)
		}
	}
	run.Held += len(records) - len(free)
	if len(free) == 0 {
		return nil
	}
	if _, err := s.Erase.Records(ctx, free, s.reason(rule)); err != nil {
		s.Log.Error("a retention rule cannot be carried out", "rule", rule, "records", len(free), "err", err)
		run.Failed += len(free)
		return nil
	}
	run.Deleted += len(free)
	return nil
}

// reason is "closed" for a rule whose event is that a case was closed, and that gives it no time.
func (s *Service) reason(rule string) erase.Reason {
	why := erase.Reason{Kind: erase.Retention, Rule: rule}
	if r := s.Plan().Rule(rule); r != nil && strings.HasSuffix(r.Trigger, ".closed") && r.Duration.Approx() == 0 {
		why.Kind = erase.Closed
	}
	return why
}

// how is how a rule is carried out.
type how struct {
	manual bool
	owner  string
}

// how says whether the program carries a rule out. A rule that is not declared
// any more still binds: what it governs goes when it is due.
func (s *Service) how(rule string) how {
	r := s.Plan().Rule(rule)
	if r == nil {
		return how{}
	}
	byJob := r.Executor != "manual" && (r.Action == "delete" || r.Action == "anonymise")
	return how{!byJob, r.Owner}
}

// Health says what is wrong with retention; empty when all is well.
func (s *Service) Health(ctx context.Context) ([]*fault.Error, error) {
	var says []*fault.Error
	now := s.Now()
	last, ok, err := lastRun(ctx, s.DB)
	if err != nil {
		return nil, err
	}
	if ok && now.Sub(last.Ended) > 2*Every+Every/2 {
		says = append(says, fault.New(fault.Unavailable, "The retention sweeper has not run for %s.", now.Sub(last.Ended).Round(time.Minute)).
			WithHint("It runs by itself every %s. If this stays, start the program again.", Every).
			In("retain.stands_still", "Count", int(now.Sub(last.Ended).Minutes())))
	}
	holds, err := s.Erase.Holds(ctx, s.DB)
	if err != nil {
		return nil, err
	}
	holds = slices.DeleteFunc(holds, func(h erase.Hold) bool { return h.Review.After(now) })
	if len(holds) > 0 {
		says = append(says, fault.New(fault.Unavailable, "%d holds are to be looked at again.", len(holds)).
			WithHint("On the page Retention, say that they are still needed, or release them.").In("retain.review", "Count", len(holds)))
	}
	waits, err := s.Approvals(ctx)
	if err != nil {
		return nil, err
	}
	if len(waits) > 0 {
		says = append(says, fault.New(fault.Unavailable, "%d deletions wait for your approval.", len(waits)).
			WithHint("See the page Retention, or: tillid retention approvals.").In("retain.waits", "Count", len(waits)))
	}
	may, err := s.opened(ctx, waits)
	if err != nil {
		return nil, err
	}
	late, err := s.late(ctx, now.Add(-2*Every), may)
	if err != nil {
		return nil, err
	}
	if late > 0 {
		says = append(says, fault.New(fault.Unavailable, "%d records are overdue by more than two cycles.", late).
			WithHint("The page Retention shows what failed in each run.").In("retain.late", "Count", late))
	}
	return says, nil
}

// opened is the gate as the last run left it: what a person is asked about is not late.
func (s *Service) opened(ctx context.Context, waits []Approval) (g gate, err error) {
	if g.shut = slices.ContainsFunc(waits, func(a Approval) bool { return a.Kind != Shortened }); !g.shut {
		return g, nil
	}
	if g.known, err = forecastBefore(ctx, s.DB, s.Now().Add(-yesterday)); err != nil {
		return g, err
	}
	g.approved, err = approvedRules(ctx, s.DB)
	return g, err
}

// late counts records that were due before a moment and that nothing keeps.
func (s *Service) late(ctx context.Context, before time.Time, may gate) (int, error) {
	n := 0
	var last subject.Record
	for {
		records, err := s.Subject.DueAfter(ctx, s.DB, before, last, page)
		if err != nil || len(records) == 0 {
			return n, err
		}
		last = records[len(records)-1]
		steps, err := s.Erase.PlanFor(ctx, records, erase.Reason{Kind: erase.Retention})
		if err != nil {
			return n, err
		}
		for _, step := range steps {
			if step.State == erase.Planned && !s.how(step.Record.Rule).manual && may.open(step.Record) {
				n++
			}
		}
	}
}

// Tables lists this package's tables, for the test that every table is claimed.
func Tables() []subject.Table {
	return []subject.Table{
		{Name: "retention_run", Fields: map[string]string{"forecast": "counts by rule"}},
		{Name: "retention_task", Fields: map[string]string{"record": "pseudonym"}},
		{Name: "retention_rule", Fields: map[string]string{"promise": "a rule's period"}},
		{Name: "retention_forecast", Fields: map[string]string{"until_at": "how far a forecast looked"}},
		{Name: "retention_approval", Fields: map[string]string{"records": "how many"}},
	}
}
