package subject

import (
	"context"
	"fmt"
	"time"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/fault"
)

// Restriction says that a record may only be stored (GDPR Art. 18). Its key does not open,
// nothing of it is sent or handed over, and no rule deletes it, until it is lifted.
// Whoever has one of the reasons of Art. 18(2) says so: see WithReason.
type Restriction struct {
	Record string
	Person PersonID
	Case   string // the request by which it was asked for
	Ground string // Art. 18(1): accuracy, unlawful, claims, objection
	Since  time.Time
	Lifts  time.Time // when it ends, after its person was told (Art. 18(3)); zero: not yet decided
}

// Grounds are the cases of Art. 18(1), in its order.
func Grounds() []string { return []string{"accuracy", "unlawful", "claims", "objection"} }

// Reason is why a restricted record may be opened.
type Reason string

// Reasons to open what is restricted: the person's own portal and request, and Art. 18(2).
const (
	OwnPerson      Reason = "person"          // its person looks, corrects, or asks to erase
	ByConsent      Reason = "consent"         // the person said yes to this use
	ForClaims      Reason = "claims"          // legal claims
	ForOthers      Reason = "others"          // another person's rights
	PublicInterest Reason = "public_interest" // an important one
	Handling       Reason = "handling"        // the request itself is examined (Art. 12, 16, 18)
)

// Reasons are those that staff may state, in the order in which they are offered.
func Reasons() []Reason {
	return []Reason{Handling, ByConsent, ForClaims, ForOthers, PublicInterest}
}

type reasonKey struct{}

// WithReason says in ctx why restricted records are opened.
func WithReason(ctx context.Context, why Reason) context.Context {
	return context.WithValue(ctx, reasonKey{}, why)
}

func reasonOf(ctx context.Context) Reason {
	why, _ := ctx.Value(reasonKey{}).(Reason)
	return why
}

// Restricted is the fault of everything that would use a restricted record.
func Restricted() error {
	return fault.New(fault.Denied, "Its person has asked for a pause: this may be kept, and not used (GDPR Art. 18).").
		WithHint("Under Requests it can be opened, with a reason that the law knows.").In("subject.restricted")
}

// IsRestricted reports whether err is Restricted.
func IsRestricted(err error) bool { return err != nil && fault.Of(err).ID == "subject.restricted" }

// Restrict restricts records, for a request. What is restricted already stays as it is.
func (s *Service) Restrict(ctx context.Context, tx *db.Tx, records []Record, request, ground string) error {
	for _, r := range records {
		_, err := tx.Exec(ctx, `insert into restriction (record, person, case_id, ground, since) values ($1, $2, $3, $4, $5)
			on conflict (record) do nothing`, r.ID, string(r.Person), request, ground, db.Time{Time: s.Now()})
		if err != nil {
			return fmt.Errorf("insert restriction: %w", err)
		}
	}
	return nil
}

// Lift says when the restrictions of a request end; they end then by LiftDue.
func (s *Service) Lift(ctx context.Context, tx *db.Tx, request string, at time.Time) error {
	if _, err := tx.Exec(ctx, `update restriction set lifts_at = $2 where case_id = $1`, request, db.Time{Time: at}); err != nil {
		return fmt.Errorf("lift restriction: %w", err)
	}
	return nil
}

// LiftDue ends the restrictions whose time has come, and those that a person gives up
// by asking for something else; records is nil for the former.
func (s *Service) LiftDue(ctx context.Context, tx *db.Tx, records []string) error {
	query, args := `delete from restriction where lifts_at <= $1`, []any{db.Time{Time: s.Now()}}
	if records != nil {
		var in string
		in, args = db.List(1, records)
		query = `delete from restriction where record in ` + in
	}
	if _, err := tx.Exec(ctx, query, args...); err != nil {
		return fmt.Errorf("end restriction: %w", err)
	}
	return nil
}

// Restrictions returns those of the records that are restricted; all there are when
// records is nil.
func (s *Service) Restrictions(ctx context.Context, q db.Queryer, records []string) ([]Restriction, error) {
	query, args := `select record, person, case_id, ground, since, lifts_at from restriction`, []any(nil)
	if records != nil {
		var in string
		in, args = db.List(1, records)
		query += ` where record in ` + in
	}
	rows, err := q.Query(ctx, query+` order by since, record`, args...)
	if err != nil {
		return nil, fmt.Errorf("select restrictions: %w", err)
	}
	defer rows.Close()
	var all []Restriction
	for rows.Next() {
		var r Restriction
		var since, lifts db.Time
		if err := rows.Scan(&r.Record, &r.Person, &r.Case, &r.Ground, &since, &lifts); err != nil {
			return nil, fmt.Errorf("scan restriction: %w", err)
		}
		r.Since, r.Lifts = since.Time, lifts.Time
		all = append(all, r)
	}
	return all, rows.Err()
}

// IsPaused reports whether one record is restricted.
func (s *Service) IsPaused(ctx context.Context, q db.Queryer, record string) (bool, error) {
	found, err := s.Restrictions(ctx, q, []string{record})
	return len(found) > 0, err
}

// Restricts reports whether a request's restrictions are in force.
func (s *Service) Restricts(ctx context.Context, q db.Queryer, request string) (bool, error) {
	var n int
	if err := q.QueryRow(ctx, `select count(*) from restriction where case_id = $1`, request).Scan(&n); err != nil {
		return false, fmt.Errorf("count restrictions: %w", err)
	}
	return n > 0, nil
}
