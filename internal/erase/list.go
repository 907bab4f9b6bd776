package erase

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/subject"
)

// Erased is an entry of the erasure list: a pseudonym that no restore may bring
// back. It is never a hash of an identifier.
type Erased struct {
	Pseudonym string    `json:"pseudonym"`
	Kind      string    `json:"kind"` // record, person
	Case      CaseID    `json:"case"`
	At        time.Time `json:"at"`
}

// List returns the erasure list from a moment on, oldest first; it is exported
// beside the backups.
func (s *Service) List(ctx context.Context, since time.Time) ([]Erased, error) {
	if since.IsZero() {
		since = time.Unix(0, 0)
	}
	return selectErased(ctx, s.DB, `where erased_at >= $1 order by erased_at, pseudonym`, at(since))
}

func selectErased(ctx context.Context, q db.Queryer, where string, args ...any) ([]Erased, error) {
	rows, err := q.Query(ctx, `select pseudonym, kind, case_id, erased_at from erasure_list `+where, args...)
	if err != nil {
		return nil, fmt.Errorf("select erasure list: %w", err)
	}
	defer rows.Close()
	var all []Erased
	for rows.Next() {
		var e Erased
		var moment db.Time
		if err := rows.Scan(&e.Pseudonym, &e.Kind, &e.Case, &moment); err != nil {
			return nil, fmt.Errorf("scan erasure list: %w", err)
		}
		e.At = moment.Time
		all = append(all, e)
	}
	return all, rows.Err()
}

// Figures are the numbers of erasures for the overview.
type Figures struct {
	Open    int // cases that are not closed
	Lying   int // tasks whose processor said yes and still holds
	Waiting int // tasks that wait for a person
	Overdue int // open cases past their deadline
	Erased  int // records erased since the moment that was asked for
}

// Count returns the figures; Erased counts from since.
func (s *Service) Count(ctx context.Context, since time.Time) (Figures, error) {
	var f Figures
	queries := []struct {
		into  *int
		query string
		args  []any
	}{
		{&f.Open, `select count(*) from erasure_case where state = 'open'`, nil},
		{&f.Lying, `select count(*) from erasure_task where code = 'still_present' and state in ('retry_wait', 'manual', 'commanded', 'effective')`, nil},
		{&f.Waiting, `select count(*) from erasure_task where state in ('manual', 'failed')`, nil},
		{&f.Overdue, `select count(*) from erasure_case where state = 'open' and deadline_at < $1`, []any{at(s.Now())}},
		{&f.Erased, `select count(*) from erasure_list where kind = 'record' and erased_at >= $1`, []any{at(since)}},
	}
	for _, q := range queries {
		if err := s.DB.QueryRow(ctx, q.query, q.args...).Scan(q.into); err != nil {
			return f, fmt.Errorf("count erasures: %w", err)
		}
	}
	return f, nil
}

// Health says what is wrong with erasures; empty when all is well.
func (s *Service) Health(ctx context.Context) ([]*fault.Error, error) {
	f, err := s.Count(ctx, s.Now())
	if err != nil {
		return nil, err
	}
	var says []*fault.Error
	for _, p := range []struct {
		n              int
		id, text, hint string
	}{
		{f.Overdue, "erase.late", "%d erasures are past their deadline.", "Open each and see what it waits for."},
		{f.Lying, "erase.lying", "%d times a processor said that it had deleted and still holds.", "Ask the processor; the program goes on probing."},
		{f.Waiting, "erase.waiting", "%d tasks of erasures wait for a person.", "Open the case, see to it by hand, and say so there."},
	} {
		if p.n > 0 {
			says = append(says, fault.New(fault.Unavailable, p.text, p.n).WithHint("%s", p.hint).In(p.id, "Count", p.n))
		}
	}
	late, err := s.lateKeys(ctx)
	if err != nil || !late {
		return says, err
	}
	return append(says, fault.New(fault.Unavailable, "Keys of erased records are not destroyed yet.").
		WithHint("Is the key store writable? The program goes on trying.").In("erase.late_keys")), nil
}

// lateKeys reports whether keys are still there ten minutes after their rows went.
func (s *Service) lateKeys(ctx context.Context) (bool, error) {
	var n int
	err := s.DB.QueryRow(ctx, `select count(*) from erasure_task t join erasure_case c on c.id = t.case_id
		where t.kind = 'local' and t.state = 'effective' and t.effective_at < $1`, at(s.Now().Add(-10*time.Minute))).Scan(&n)
	if err != nil {
		return false, fmt.Errorf("count late keys: %w", err)
	}
	return n > 0, nil
}

// Tables lists this package's tables, for the test that every table is claimed.
func Tables() []subject.Table {
	names := map[string]map[string]string{
		"erasure_case": {"person": "pseudonym of an erased person"},
		"erasure_task": {"record": "pseudonym of an erased record", "sealed": "frozen foreign reference, until the case ends"},
		"certificate":  {"note": "signed text without identifiers"},
		"hold":         {"target": "pseudonym or purpose"},
		"erasure_list": {"pseudonym": "of what was erased"},
	}
	var tables []subject.Table
	for name, fields := range names {
		tables = append(tables, subject.Table{Name: name, Fields: fields})
	}
	slices.SortFunc(tables, func(a, b subject.Table) int { return strings.Compare(a.Name, b.Name) })
	return tables
}
