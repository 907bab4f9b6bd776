package subject

import (
	"context"
	"strings"
	"time"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/policy"
)

// PromiseOf writes down a rule's period: its event, duration, and at-latest. It
// stands at every record: a later declaration may shorten what was promised when
// the record was collected, never lengthen it.
func PromiseOf(r *policy.Rule) string {
	return strings.TrimSpace(r.Trigger + " " + r.Duration.String() + " " + r.AtLatest.String())
}

// promised reads a promise back; ok is false for a record from before it was kept.
func promised(promise string) (r policy.Rule, ok bool) {
	f := strings.Fields(promise)
	if len(f) < 2 {
		return r, false
	}
	r.Trigger = f[0]
	var err error
	if r.Duration, err = policy.ParseDuration(f[1]); err != nil {
		return r, false
	}
	if len(f) > 2 {
		r.AtLatest, err = policy.ParseDuration(f[2])
	}
	return r, err == nil
}

// rulesOf are the rules that bind a record: the one in force, and the one that
// was promised. Whichever lets it go first counts.
func (s *Service) rulesOf(r Record) []policy.Rule {
	var rules []policy.Rule
	if now := s.Plan().Rule(r.Rule); now != nil {
		rules = append(rules, *now)
	}
	if then, ok := promised(r.Promise); ok {
		rules = append(rules, then)
	}
	return rules
}

// dueAfter is when a record goes once an event has happened; waits is false when
// none of its rules waits for that event.
func (s *Service) dueAfter(r Record, event string, at time.Time) (due time.Time, waits bool) {
	for _, rule := range s.rulesOf(r) {
		var triggered time.Time
		if rule.Trigger == event {
			triggered, waits = at, true
		}
		due = earlier(due, s.Plan().Due(&rule, r.Received, triggered))
	}
	return due, waits
}

// Shorter is when a record goes by a rule that is in force now, if that is
// earlier than its date.
func (s *Service) Shorter(r Record, rule *policy.Rule) (due time.Time, ok bool) {
	triggered := r.Triggered
	if then, known := promised(r.Promise); known && then.Trigger != rule.Trigger {
		triggered = time.Time{} // it was another event
	}
	due = s.Plan().Due(rule, r.Received, triggered)
	return due, !due.IsZero() && due.Before(r.Due)
}

// SetDue gives a record another date.
func (s *Service) SetDue(ctx context.Context, tx *db.Tx, r Record, due time.Time) error {
	r.Due, r.Dated = due, s.Now()
	return updateDue(ctx, tx, r)
}

// UnderRule returns at most limit records of a rule, in the order of their ids, after one.
func (s *Service) UnderRule(ctx context.Context, q db.Queryer, rule, after string, limit int) ([]Record, error) {
	return selectRecords(ctx, q, `where rule = $1 and id > $2 order by id limit $3`, rule, after, limit)
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
