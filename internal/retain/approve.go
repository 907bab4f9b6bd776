package retain

import (
	"context"
	"fmt"
	"time"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/ledger"
	"github.com/tillid/tillid/internal/subject"
)

// Two things wait for a person, and nothing else: a rule that was shortened, with
// the records that it would take, and, above a cap, records whose date yesterday's
// forecast did not contain. A wrong edit or a wrong clock must not empty a house.

// Approval is what a person is asked.
type Approval struct {
	ID      string    `json:"id"`
	Kind    string    `json:"kind"` // shortened, unforeseen, clock
	Rule    string    `json:"rule"`
	Old     string    `json:"old,omitempty"` // shortened: the period as it was applied: event, duration, at-latest
	New     string    `json:"new,omitempty"`
	Records int       `json:"records"` // that go at once
	Later   int       `json:"later"`   // shortened: whose date comes earlier
	State   string    `json:"state"`   // asked, approved, declined
	Asked   time.Time `json:"asked_at"`
	Decided time.Time `json:"decided_at,omitzero"`
}

// Kinds and states of approvals.
const (
	Shortened  = "shortened"
	Unforeseen = "unforeseen"
	Clock      = "clock"

	asked    = "asked"
	approved = "approved"
	declined = "declined"
)

const (
	ahead     = 48 * time.Hour // how far a forecast looks
	yesterday = 23 * time.Hour // how old the forecast must be that a record stood in
	askAgain  = 24 * time.Hour // after a no
	clockOff  = 48 * time.Hour // between now and the last line of the log

	// The cap: so many records that nobody foresaw go without a word.
	capRecords = 500
	capFew     = 20 // in a small house a twentieth is nothing
	capPart    = 20 // one in so many
)

// above reports whether n unforeseen records of all are more than may go unasked.
func above(n, all int) bool { return n > capRecords || n > capFew && n*capPart > all }

// shorten looks whether rules were shortened since they were applied last. What
// that would take is asked; what a person approved, or takes nothing, is applied.
func (s *Service) shorten(ctx context.Context) error {
	plan := s.Plan()
	applied, err := appliedRules(ctx, s.DB)
	if err != nil {
		return err
	}
	for i := range plan.Retention {
		rule := &plan.Retention[i]
		now, was := subject.PromiseOf(rule), applied[rule.ID]
		if was == now {
			if err := s.takenBack(ctx, rule.ID); err != nil {
				return err
			}
			continue
		}
		if err := s.changed(ctx, rule.ID, was, now); err != nil {
			return err
		}
	}
	return nil
}

// takenBack forgets what was asked about a change that is not in force any more.
func (s *Service) takenBack(ctx context.Context, rule string) error {
	list, err := selectApprovals(ctx, s.DB, `where rule = $1 and kind = 'shortened' and state = 'asked'`, rule)
	if err != nil || len(list) == 0 {
		return err
	}
	_, err = s.DB.Exec(ctx, `delete from retention_approval where rule = $1 and kind = 'shortened' and state = 'asked'`, rule)
	return err
}

// changed deals with one rule whose period is not the one applied last.
func (s *Service) changed(ctx context.Context, rule, was, now string) error {
	before, err := selectApprovals(ctx, s.DB, `where rule = $1 and kind = 'shortened' and old = $2 and new = $3 and not done order by asked_at desc, id limit 1`, rule, was, now)
	if err != nil {
		return err
	}
	if len(before) > 0 {
		switch before[0].State {
		case asked:
			return nil
		case approved:
			return s.apply(ctx, rule, now)
		default:
			return s.setApplied(ctx, rule, now)
		}
	}
	a := Approval{ID: db.NewID(), Kind: Shortened, Rule: rule, Old: was, New: now, State: asked, Asked: s.Now()}
	if was == "" {
		return s.setApplied(ctx, rule, now)
	}
	if a.Records, a.Later, err = s.taken(ctx, rule); err != nil {
		return err
	}
	if a.Records+a.Later == 0 {
		return s.setApplied(ctx, rule, now)
	}
	return s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error { return ask(ctx, tx, a) })
}

// taken counts the records of a rule whose date would come earlier: those that
// would go at once, and the others.
func (s *Service) taken(ctx context.Context, rule string) (now, later int, err error) {
	err = s.eachShorter(ctx, rule, func(_ subject.Record, due time.Time) error {
		if due.After(s.Now()) {
			later++
		} else {
			now++
		}
		return nil
	})
	return now, later, err
}

func (s *Service) eachShorter(ctx context.Context, rule string, do func(subject.Record, time.Time) error) error {
	after := ""
	for {
		records, err := s.Subject.UnderRule(ctx, s.DB, rule, after, page)
		if err != nil || len(records) == 0 {
			return err
		}
		after = records[len(records)-1].ID
		for _, r := range records {
			if due, ok := s.Subject.Shorter(r, s.Plan().Rule(rule)); ok {
				if err := do(r, due); err != nil {
					return err
				}
			}
		}
	}
}

// apply gives the records of a shortened rule their earlier dates.
func (s *Service) apply(ctx context.Context, rule, now string) error {
	err := s.eachShorter(ctx, rule, func(r subject.Record, due time.Time) error {
		return s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error { return s.Subject.SetDue(ctx, tx, r, due) })
	})
	if err != nil {
		return err
	}
	return s.setApplied(ctx, rule, now)
}

// gate says which due records may go in this run.
type gate struct {
	known    window
	approved map[string]time.Time // by rule: until when what was due may go
	shut     bool                 // above the cap: what nobody foresaw waits
}

// window is a forecast: made at a moment, for everything due until another.
type window struct{ at, until time.Time }

// open reports whether a due record may go.
func (g gate) open(r subject.Record) bool {
	if !g.shut || !r.Dated.After(g.known.at) && !r.Due.After(g.known.until) {
		return true
	}
	return !r.Due.After(g.approved[r.Rule]) && !r.Dated.After(g.approved[r.Rule])
}

// gate counts what is due and was not foreseen, and asks when it is too much.
func (s *Service) gate(ctx context.Context) (gate, error) {
	now := s.Now()
	var g gate
	var err error
	if g.known, err = forecastBefore(ctx, s.DB, now.Add(-yesterday)); err != nil {
		return g, err
	}
	if g.approved, err = approvedRules(ctx, s.DB); err != nil {
		return g, err
	}
	g.shut = true
	unforeseen, n := map[string]int{}, 0
	var last subject.Record
	for {
		records, err := s.Subject.DueAfter(ctx, s.DB, now, last, page)
		if err != nil {
			return g, err
		}
		if len(records) == 0 {
			break
		}
		last = records[len(records)-1]
		for _, r := range records {
			if !g.open(r) && !s.how(r.Rule).manual {
				unforeseen[r.Rule]++
				n++
			}
		}
	}
	counts, err := s.Subject.Count(ctx, s.DB, now, now)
	if err != nil {
		return g, err
	}
	if g.shut = above(n, counts.Records); !g.shut {
		return g, nil
	}
	return g, s.askFor(ctx, unforeseen)
}

// askFor asks for each rule, unless that was done and not yet answered, or refused today.
func (s *Service) askFor(ctx context.Context, unforeseen map[string]int) error {
	kind := Unforeseen
	if off, err := s.clockOff(ctx); err != nil {
		return err
	} else if off {
		kind = Clock
	}
	return s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error {
		for rule, n := range unforeseen {
			last, ok, err := lastApproval(ctx, tx, rule)
			if err != nil {
				return err
			}
			if ok && (last.State == asked || last.State == declined && s.Now().Sub(last.Decided) < askAgain) {
				continue
			}
			a := Approval{ID: db.NewID(), Kind: kind, Rule: rule, Records: n, State: asked, Asked: s.Now()}
			if err := ask(ctx, tx, a); err != nil {
				return err
			}
		}
		return nil
	})
}

// clockOff reports whether the clock disagrees with the last line of the log.
func (s *Service) clockOff(ctx context.Context) (bool, error) {
	recent, err := s.Erase.Ledger.Recent(ctx, 1, 0)
	if err != nil || len(recent) == 0 {
		return false, err
	}
	apart := s.Now().Sub(recent[0].At)
	return apart > clockOff || apart < -clockOff, nil
}

// Decide answers what was asked. A no to a shortened rule leaves the records the
// dates that they had; a no to others is asked again the next day.
func (s *Service) Decide(ctx context.Context, id string, yes bool, user string) error {
	state := declined
	if yes {
		state = approved
	}
	return s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error {
		res, err := tx.Exec(ctx, `update retention_approval set state = $2, decided_at = $3, decided_by = $4 where id = $1 and state = 'asked'`,
			id, state, db.Time{Time: s.Now()}, user)
		if err != nil {
			return fmt.Errorf("update approval: %w", err)
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return fault.New(fault.NotFound, "That is not asked any more.").WithHint("See the list again.").In("retain.not_asked")
		}
		_, err = s.Erase.Ledger.Append(ctx, tx, ledger.Leaf{Kind: "retention." + state, At: s.Now(), Version: s.Plan().Hash,
			Facts: map[string]string{"approval": id, "user": user}})
		return err
	})
}

// Approvals lists what is asked, oldest first.
func (s *Service) Approvals(ctx context.Context) ([]Approval, error) {
	return selectApprovals(ctx, s.DB, `where state = 'asked' order by asked_at, id`)
}

func ask(ctx context.Context, tx *db.Tx, a Approval) error {
	if _, err := tx.Exec(ctx, `delete from retention_approval where state = 'asked' and kind = $1 and rule = $2`, a.Kind, a.Rule); err != nil {
		return fmt.Errorf("delete approval: %w", err)
	}
	_, err := tx.Exec(ctx, `insert into retention_approval (id, kind, rule, old, new, records, later, state, asked_at) values ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		a.ID, a.Kind, a.Rule, a.Old, a.New, a.Records, a.Later, a.State, db.Time{Time: a.Asked})
	if err != nil {
		return fmt.Errorf("insert approval: %w", err)
	}
	return nil
}

// lastApproval returns the newest approval of a rule for what nobody foresaw.
func lastApproval(ctx context.Context, q db.Queryer, rule string) (Approval, bool, error) {
	all, err := selectApprovals(ctx, q, `where rule = $1 and kind <> 'shortened' order by asked_at desc, id limit 1`, rule)
	if err != nil || len(all) == 0 {
		return Approval{}, false, err
	}
	return all[0], true, nil
}

func selectApprovals(ctx context.Context, q db.Queryer, where string, args ...any) ([]Approval, error) {
	rows, err := q.Query(ctx, `select id, kind, rule, old, new, records, later, state, asked_at, decided_at from retention_approval `+where, args...)
	if err != nil {
		return nil, fmt.Errorf("select approvals: %w", err)
	}
	defer rows.Close()
	all := []Approval{}
	for rows.Next() {
		var a Approval
		var at, decided db.Time
		if err := rows.Scan(&a.ID, &a.Kind, &a.Rule, &a.Old, &a.New, &a.Records, &a.Later, &a.State, &at, &decided); err != nil {
			return nil, fmt.Errorf("scan approval: %w", err)
		}
		a.Asked, a.Decided = at.Time, decided.Time
		all = append(all, a)
	}
	return all, rows.Err()
}

// approvedRules returns, by rule, the moment until which what was due may go.
func approvedRules(ctx context.Context, q db.Queryer) (map[string]time.Time, error) {
	all, err := selectApprovals(ctx, q, `where state = 'approved' order by decided_at desc limit 500`)
	if err != nil {
		return nil, err
	}
	until := map[string]time.Time{}
	for _, a := range all {
		at := a.Decided
		if a.Kind == Shortened {
			at = at.Add(time.Hour) // its records get their dates with the next run
		}
		if at.After(until[a.Rule]) {
			until[a.Rule] = at
		}
	}
	return until, nil
}

func appliedRules(ctx context.Context, q db.Queryer) (map[string]string, error) {
	rows, err := q.Query(ctx, `select rule, promise from retention_rule`)
	if err != nil {
		return nil, fmt.Errorf("select applied rules: %w", err)
	}
	defer rows.Close()
	all := map[string]string{}
	for rows.Next() {
		var rule, promise string
		if err := rows.Scan(&rule, &promise); err != nil {
			return nil, fmt.Errorf("scan applied rule: %w", err)
		}
		all[rule] = promise
	}
	return all, rows.Err()
}

// setApplied notes the period that a rule's records have now; what was asked
// about it is done with.
func (s *Service) setApplied(ctx context.Context, rule, promise string) error {
	return s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error {
		_, err := tx.Exec(ctx, `insert into retention_rule (rule, promise) values ($1, $2) on conflict (rule) do update set promise = excluded.promise`, rule, promise)
		if err != nil {
			return fmt.Errorf("note applied rule: %w", err)
		}
		if _, err := tx.Exec(ctx, `delete from retention_approval where state = 'asked' and kind = 'shortened' and rule = $1`, rule); err != nil {
			return fmt.Errorf("delete approval: %w", err)
		}
		if _, err := tx.Exec(ctx, `update retention_approval set done = true where kind = 'shortened' and rule = $1`, rule); err != nil {
			return fmt.Errorf("update approval: %w", err)
		}
		return nil
	})
}

// forecastBefore returns the newest forecast that was published before a moment.
func forecastBefore(ctx context.Context, q db.Queryer, before time.Time) (w window, err error) {
	rows, err := q.Query(ctx, `select at, until_at from retention_forecast where at <= $1 order by at desc limit 1`, db.Time{Time: before})
	if err != nil {
		return w, fmt.Errorf("select forecast: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var at, until db.Time
		if err := rows.Scan(&at, &until); err != nil {
			return w, fmt.Errorf("scan forecast: %w", err)
		}
		w = window{at.Time, until.Time}
	}
	return w, rows.Err()
}

// publish notes, once an hour, that a forecast of the next days was made; what it
// held can be told from the records' dates.
func publish(ctx context.Context, tx *db.Tx, now time.Time) error {
	last, err := forecastBefore(ctx, tx, now)
	if err != nil || !last.at.IsZero() && now.Sub(last.at) < time.Hour {
		return err
	}
	_, err = tx.Exec(ctx, `insert into retention_forecast (at, until_at) values ($1, $2) on conflict (at) do nothing`, db.Time{Time: now}, db.Time{Time: now.Add(ahead)})
	if err != nil {
		return fmt.Errorf("insert forecast: %w", err)
	}
	_, err = tx.Exec(ctx, `delete from retention_forecast where at not in (select at from retention_forecast order by at desc limit 200)`)
	if err != nil {
		return fmt.Errorf("delete old forecasts: %w", err)
	}
	return nil
}
