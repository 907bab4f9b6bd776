package request

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/ledger"
	"github.com/tillid/tillid/internal/subject"
)

// marks writes which changes were accepted, for the case's history; accepted reads it.
func marks(places []int) string {
	words := make([]string, len(places))
	for i, n := range places {
		words[i] = strconv.Itoa(n)
	}
	return strings.Join(words, " ")
}

func accepted(w work) map[int]bool {
	places := map[int]bool{}
	for _, h := range w.past {
		if h.Kind != "decide" {
			continue
		}
		for word := range strings.FieldsSeq(h.Text) {
			if n, err := strconv.Atoi(word); err == nil {
				places[n] = true
			}
		}
	}
	return places
}

// carryCorrection writes the accepted changes into the records, each by the feature that holds it.
func (s *Service) carryCorrection(ctx context.Context, w work) (func(context.Context, *db.Tx, request) error, error) {
	yes := accepted(w)
	byRecord := map[string]map[string]subject.Secret{}
	var order []string
	for i, c := range w.details.Changes {
		if !yes[i] {
			continue
		}
		if byRecord[c.Record] == nil {
			byRecord[c.Record] = map[string]subject.Secret{}
			order = append(order, c.Record)
		}
		byRecord[c.Record][c.Field] = subject.Secret(c.Want)
	}
	var writes []func(context.Context, *db.Tx) error
	for _, id := range order {
		record, err := s.Subjects.Get(ctx, s.DB, id)
		if fault.Of(err).Kind == fault.NotFound && err != nil {
			continue // erased meanwhile
		}
		if err != nil {
			return nil, err
		}
		c, ok := s.holderOf(record.Holder).(subject.Corrector)
		if !ok || record.Person != w.record.Person {
			return nil, fault.New(fault.Invalid, "This cannot be corrected here.").In("request.no_correction")
		}
		write, err := c.Correct(ctx, record, byRecord[id])
		if err != nil {
			return nil, err
		}
		writes = append(writes, write)
	}
	return func(ctx context.Context, tx *db.Tx, _ request) error {
		for _, write := range writes {
			if err := write(ctx, tx); err != nil {
				return err
			}
		}
		return nil
	}, nil
}

// restrict pauses the use of records (Art. 18), with a leaf in the log.
func (s *Service) restrict(ctx context.Context, tx *db.Tx, records []subject.Record, id, ground string) error {
	if !slices.Contains(subject.Grounds(), ground) {
		ground = subject.Grounds()[0]
	}
	if err := s.Subjects.Restrict(ctx, tx, records, id, ground); err != nil {
		return err
	}
	_, err := s.Ledger.Append(ctx, tx, ledger.Leaf{
		Kind: "request.restricted", At: s.Now(), Version: s.Plan().Hash,
		Facts: map[string]string{"records": strconv.Itoa(len(records)), "ground": ground},
	})
	return err
}

// liftDue ends the restrictions of which people were told that they end now.
func (s *Service) liftDue(ctx context.Context) error {
	return s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error { return s.Subjects.LiftDue(ctx, tx, nil) })
}
