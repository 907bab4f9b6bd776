package intake

import (
	"context"
	"slices"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/subject"
)

var _ subject.Corrector = (*Service)(nil)

// Correct returns what writes new answers into an enquiry (GDPR Art. 16). They must be such
// as the form would take. Under which address its person is known is not changed by it.
func (s *Service) Correct(ctx context.Context, r subject.Record, values map[string]subject.Secret) (func(context.Context, *db.Tx) error, error) {
	c, err := s.load(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	what := c.what
	what.Answers = slices.Clone(what.Answers)
	for name, value := range values {
		i := slices.IndexFunc(what.Answers, func(a answer) bool { return a.Name == name })
		if c.form == nil || i < 0 {
			return nil, errNoCorrection()
		}
		f := slices.IndexFunc(c.form.Fields, func(f policy.Field) bool { return f.Name == name })
		if f < 0 || c.form.Fields[f].Type == "consent" {
			return nil, errNoCorrection()
		}
		accepted, mistake := s.field(c.form.Fields[f], value.Reveal())
		if mistake != nil || accepted == "" {
			return nil, fault.New(fault.Invalid, "The form would not take that value.").In("intake.correct")
		}
		what.Answers[i].Value = accepted
	}
	sealed, err := seal(c.key, what)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, tx *db.Tx) error {
		return replaceAnswers(ctx, tx, r.ID, c.enquiry.Sealed, sealed)
	}, nil
}

func errNoCorrection() error {
	return fault.New(fault.Invalid, "This cannot be corrected.").In("intake.no_field")
}
