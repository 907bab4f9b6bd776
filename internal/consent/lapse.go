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

// Lapse ends every yes whose lifetime has passed: each gets a leaf of its own, and
// its dispute window begins. A no needs none: its leaf says for how long it counts,
// and it is about nobody.
func (s *Service) Lapse(ctx context.Context) error {
	now := s.Now()
	for {
		rows, err := endingBefore(ctx, s.DB, now, lapsePage)
		if err != nil || len(rows) == 0 {
			return err
		}
		for _, r := range rows {
			if err := s.lapse(ctx, r); err != nil {
				return err
			}
		}
	}
}

func (s *Service) lapse(ctx context.Context, r row) error {
	then, err := s.offerOf(ctx, r.version)
	if err != nil {
		return err
	}
	current := s.offer()
	leaf := lapseLeaf(then, r, s.Now())
	return s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error {
		record, err := s.Subjects.Get(ctx, tx, r.id)
		if fault.Of(err).Kind == fault.NotFound { // erased meanwhile: the row, if it is still there, is not seen again
			_, err := endChoice(ctx, tx, r.id, expired, r.ends.Time, "")
			return err
		}
		if err != nil {
			return err
		}
		if err := s.Subjects.Lock(ctx, tx, record.Person); err != nil {
			return err
		}
		ended, err := endChoice(ctx, tx, r.id, expired, r.ends.Time, leaf.ID)
		if err != nil || !ended {
			return err
		}
		if _, err := s.Ledger.Append(ctx, tx, leaf); err != nil {
			return err
		}
		return s.openWindow(ctx, tx, current, r.id)
	})
}

// lapseLeaf says which choice ended, and of what. It names the choice's leaf, so
// that both can be read together, and nobody.
func lapseLeaf(then *offer, r row, now time.Time) ledger.Leaf {
	granted := items(r.granted)
	yes, _ := then.purposesOf(granted)
	return ledger.Leaf{
		ID: db.NewID(), Kind: holder + "." + lapses, At: now, Version: r.version,
		Facts: map[string]string{
			"choice": r.leaf, "lapsed": strings.Join(yes, ","), "services": strings.Join(granted, ","),
			"until": r.ends.UTC().Format(time.RFC3339), "language": r.lang,
		},
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
