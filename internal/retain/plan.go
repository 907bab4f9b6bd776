package retain

import (
	"context"
	"fmt"
	"time"

	"github.com/tillid/tillid/internal/erase"
	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/subject"
)

// Line is what one rule does by a day: for `tillid retention plan`.
type Line struct {
	Rule     string
	Purpose  string
	Action   string // delete, anonymise, or what a person must do
	Why      string // the rule, in English
	Manual   bool
	Owner    string
	First    time.Time // when the first record goes
	Last     time.Time
	Records  []Item // pseudonyms
	Held     int    // of them, kept by a hold
	Retained int    // of them, kept by a law
}

// Item is one record of a Line.
type Item struct {
	ID       string
	Kind     string
	Received time.Time
	Due      time.Time
	Kept     string // "", held, retained
}

// Forecast says what would go until a moment, by rule, the earliest first. It
// changes nothing. What has no event yet is taken to go at its latest date.
func (s *Service) Forecast(ctx context.Context, asOf time.Time) ([]Line, error) {
	var lines []Line
	index := map[string]int{}
	var last subject.Record
	for {
		records, err := s.Subject.DueAfter(ctx, s.DB, asOf, last, page)
		if err != nil || len(records) == 0 {
			return lines, err
		}
		last = records[len(records)-1]
		steps, err := s.Erase.PlanFor(ctx, records, erase.Reason{Kind: erase.Retention})
		if err != nil {
			return nil, err
		}
		for _, step := range steps {
			i, ok := index[step.Record.Rule]
			if !ok {
				i = len(lines)
				index[step.Record.Rule] = i
				lines = append(lines, s.line(step))
			}
			lines[i].add(step)
		}
	}
}

func (s *Service) line(step erase.Step) Line {
	r := step.Record
	l := Line{Rule: r.Rule, Purpose: r.Purpose, Action: string(step.Act), First: r.Due, Why: "the rule is not declared any more; its date stands"}
	if rule := s.Plan().Rule(r.Rule); rule != nil {
		l.Action, l.Why = rule.Action, why(rule)
	}
	how := s.how(r.Rule)
	l.Manual, l.Owner = how.manual, how.owner
	return l
}

func why(rule *policy.Rule) string {
	w := fmt.Sprintf("%s after %s", rule.Duration, rule.Trigger)
	if rule.AtLatest.Set {
		w += fmt.Sprintf(", at the latest %s after receipt", rule.AtLatest)
	}
	return w
}

func (l *Line) add(step erase.Step) {
	r := step.Record
	item := Item{ID: r.ID, Kind: r.Kind, Received: r.Received, Due: r.Due}
	switch step.State {
	case erase.Blocked:
		item.Kept, l.Held = "held", l.Held+1
	case erase.Retained:
		item.Kept, l.Retained = "retained", l.Retained+1
	default: // it goes
	}
	l.Last = r.Due
	l.Records = append(l.Records, item)
}
