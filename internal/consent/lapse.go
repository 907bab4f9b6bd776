package consent

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/ledger"
	"github.com/tillid/tillid/internal/policy"
)

// lapses is the leaf of a choice that ended by itself ("consent.expired").
const lapses = "expired"

// lapsePage is how many choices are read at a time.
const lapsePage = 200

// Lapse ends every yes whose lifetime has passed: the log says so with a leaf, and
// when nothing of a choice is left in force, its dispute window begins. A no needs
// none: nothing is let in by it, and it is about nobody.
func (s *Service) Lapse(ctx context.Context) error {
	now := s.Now()
	for {
		rows, err := endingBefore(ctx, s.DB, now, lapsePage)
		if err != nil || len(rows) == 0 {
			return err
		}
		for _, r := range rows {
			if err := s.lapse(ctx, r, now); err != nil {
				return err
			}
		}
	}
}

func (s *Service) lapse(ctx context.Context, r row, now time.Time) error {
	then, err := s.offerOf(ctx, r.version)
	if err != nil {
		return err
	}
	current, next := s.offer(), r.next(now)
	leaf := lapseLeaf(then, r, now)
	return s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error {
		record, err := s.Subjects.Get(ctx, tx, r.id)
		if fault.Of(err).Kind == fault.NotFound { // erased meanwhile: the row, if it is still there, is not seen again
			_, err := endChoice(ctx, tx, r.id, expired, now, "")
			return err
		}
		if err != nil {
			return err
		}
		if err := s.Subjects.Lock(ctx, tx, record.Person); err != nil {
			return err
		}
		return s.noteLapse(ctx, tx, r, leaf, next, current)
	})
}

// noteLapse writes the leaf, unless the choice has ended meanwhile.
func (s *Service) noteLapse(ctx context.Context, tx *db.Tx, r row, leaf ledger.Leaf, next time.Time, current *offer) error {
	var mine bool
	var err error
	if next.IsZero() {
		mine, err = endChoice(ctx, tx, r.id, expired, r.last(), leaf.ID)
	} else {
		mine, err = waitEnd(ctx, tx, r.id, r.endsAt.Time, next)
	}
	if err != nil || !mine {
		return err
	}
	if _, err := s.Ledger.Append(ctx, tx, leaf); err != nil || !next.IsZero() {
		return err
	}
	return s.openWindow(ctx, tx, current, r.id)
}

// last returns when the last yes of a choice ends.
func (r row) last() (last time.Time) {
	for _, end := range r.ends {
		if end.After(last) {
			last = end
		}
	}
	return last
}

// lapseLeaf says of which choice what has ended. It names the choice's leaf, so
// that both can be read together, and nobody.
func lapseLeaf(then *offer, r row, now time.Time) ledger.Leaf {
	ids := r.lapsed(r.endsAt.Time, now)
	purposes, _ := then.purposesOf(ids)
	return ledger.Leaf{
		ID: db.NewID(), Kind: holder + "." + lapses, At: now, Version: r.version,
		Facts: map[string]string{
			"choice": r.leaf, "lapsed": strings.Join(purposes, ","), "services": strings.Join(ids, ","), "language": r.lang,
		},
	}
}

// endings returns when each yes ends by itself.
func (o *offer) endings(answers []answer) map[string]time.Time {
	ends := map[string]time.Time{}
	for i, a := range answers {
		if a.said && a.yes {
			ends[o.items[i].ID] = o.ends(i, a.at).UTC().Truncate(time.Millisecond)
		}
	}
	return ends
}

// untilFacts adds to a leaf's facts until when the yes to each purpose counts.
func (o *offer) untilFacts(facts map[string]string, answers []answer) {
	ends := o.endings(answers)
	for _, g := range o.Groups {
		var last time.Time
		for _, it := range g.Items {
			if end := ends[it.ID]; end.After(last) {
				last = end
			}
		}
		if !last.IsZero() {
			facts["until."+g.Purpose.ID] = last.Format(time.RFC3339)
		}
	}
}

// openWindow starts the clock of a choice that is not relied upon any more: its
// record is kept while there may be a dispute about it, and not longer.
func (s *Service) openWindow(ctx context.Context, tx *db.Tx, o *offer, record string) error {
	r, err := s.Subjects.Trigger(ctx, tx, record, withdrawal)
	if err != nil {
		return err
	}
	_, err = s.Subjects.DueBy(ctx, tx, r, o.disputeUntil(s.Now()))
	return err
}

// disputeUntil returns until when a choice that ends at a moment may be disputed:
// the longest proof_window of what visitors are asked about, half a year where none
// is declared (CO-08 refuses more than a year).
func (o *offer) disputeUntil(at time.Time) time.Time {
	loc := time.UTC
	if o.plan != nil && o.plan.Loc != nil {
		loc = o.plan.Loc
	}
	half := policy.Duration{Set: true, Months: 6}
	var longest time.Time
	for _, g := range o.Groups {
		window := g.Purpose.ProofWindow
		if !window.Set {
			window = half
		}
		if end := window.After(at, loc); end.After(longest) {
			longest = end
		}
	}
	if longest.IsZero() {
		return half.After(at, loc)
	}
	return longest
}

// lost returns the purposes that had a yes, and have none now.
func (o *offer) lost(before, now []string) []string {
	had, _ := o.purposesOf(before)
	has, _ := o.purposesOf(now)
	return slices.DeleteFunc(had, func(p string) bool { return slices.Contains(has, p) })
}

// offerOf returns what was asked under a version of the declaration, by its hash.
func (s *Service) offerOf(ctx context.Context, version string) (*offer, error) {
	o := s.offer()
	if o.plan != nil && (o.plan.Hash == version || s.PlanOf == nil) {
		return o, nil
	}
	if s.PlanOf == nil {
		return newOffer(nil), nil
	}
	plan, err := s.PlanOf(ctx, version)
	if err != nil {
		return nil, err
	}
	return newOffer(plan), nil
}
