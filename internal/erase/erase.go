// Package erase is the one way in which anything about a person is deleted:
// for a person who asks, for a retention rule, for a case that was closed. So
// holds, legal floors, dry runs, processors and certificates exist once.
//
// Order of work: freeze the foreign references, sealed with the key of the
// case; in one transaction open the case, delete locally, and ask for the
// commands to processors and for the destruction of keys; destroy the keys;
// certify. Processors are commanded and probed by jobs until they really have
// forgotten: local deletion never waits for them, and a case never closes on hope.
package erase

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/tillid/tillid/internal/connect"
	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/job"
	"github.com/tillid/tillid/internal/ledger"
	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/subject"
	"github.com/tillid/tillid/internal/web"
)

// Service erases.
type Service struct {
	DB         *db.DB
	Subject    *subject.Service
	Keys       *subject.Keys
	Holders    []subject.Holder
	Connect    *connect.Service
	Ledger     *ledger.Log
	Plan       func() *policy.Plan
	Now        func() time.Time
	Log        *slog.Logger
	Controller string // its name in certificates
	House      *web.House

	// Export writes the erasure list beside the backups. It runs before a
	// certificate is issued, so that nothing is certified that a restore could
	// bring back unnoticed. May be nil.
	Export func(ctx context.Context) error
}

// CaseID names a case of erasure. It cannot be guessed: it is also the address
// of the certificate.
type CaseID string

// Kind is why something is erased.
type Kind string

// Kinds of reason.
const (
	Request   Kind = "request"   // a person asked (Art. 17)
	Retention Kind = "retention" // a rule's period ended
	Closed    Kind = "closed"    // a case was closed, and the rule says at once
	Restored  Kind = "restore"   // it was erased before, and a restored backup brought it back
)

// Reason is why something is erased.
type Reason struct {
	Kind Kind   `json:"kind"`
	Rule string `json:"rule,omitempty"` // retention rule, when it is one
}

// Case is one erasure: what is done here and at every processor.
type Case struct {
	ID       CaseID
	Person   subject.PersonID // of a request; else empty
	Reason   Reason
	Version  string // hash of the declaration in force when it was opened
	State    string // open, closed
	Result   string // "", granted, partly
	Opened   time.Time
	Deadline time.Time // by law, for the whole case
	Local    time.Time // rows deleted here
	KeysGone time.Time
	Closed   time.Time
	Keys     int            // how many were destroyed
	Rows     map[string]int // deleted rows per table
	Leaves   []string       // log leaves that say so
}

// Results of a case.
const (
	Open    = "open"
	Ended   = "closed"
	Granted = "granted"
	Partly  = "partly"
)

// Person erases everything about a person that no hold and no law keeps. Called
// again for the same person, it returns the case that is there.
func (s *Service) Person(ctx context.Context, p subject.PersonID, why Reason) (id CaseID, err error) {
	for range 5 {
		id, err = s.person(ctx, p, why)
		if fault.Of(err).Kind != fault.Gone {
			break
		}
		// Somebody else erased a record between reading the register and opening it: look again.
	}
	return id, err
}

func (s *Service) person(ctx context.Context, p subject.PersonID, why Reason) (CaseID, error) {
	records, err := s.Subject.Of(ctx, s.DB, p)
	if err != nil {
		return "", err
	}
	if len(records) == 0 || s.allRunning(ctx, records) {
		id, ok, err := caseOf(ctx, s.DB, p)
		if err != nil || ok {
			return id, err
		}
	}
	if len(records) == 0 {
		return "", fault.New(fault.NotFound, "Nothing is held about this person.").In("erase.nothing")
	}
	return s.open(ctx, p, records, why)
}

// allRunning reports whether every record is in an open case already, waiting for a hold to end.
func (s *Service) allRunning(ctx context.Context, records []subject.Record) bool {
	for _, r := range records {
		if n, err := blockedTasks(ctx, s.DB, r.ID); err != nil || n == 0 {
			return false
		}
	}
	return true
}

// Records erases records, each with its key; the persons stay as long as
// something else is held about them.
func (s *Service) Records(ctx context.Context, records []subject.Record, why Reason) (CaseID, error) {
	if len(records) == 0 {
		return "", fault.New(fault.NotFound, "There is nothing to erase.").In("erase.nothing")
	}
	return s.open(ctx, "", records, why)
}

// open opens a case, deletes what can be deleted here, and destroys its keys.
func (s *Service) open(ctx context.Context, p subject.PersonID, records []subject.Record, why Reason) (CaseID, error) {
	plan, now := s.Plan(), s.Now()
	c := &Case{
		ID: CaseID(db.NewID()), Person: p, Reason: why, Version: plan.Hash, State: Open, Opened: now, Deadline: deadline(plan, now),
	}
	existing := c.ID
	keys, err := s.pass(ctx, c, records, func(ctx context.Context, tx *db.Tx, steps []Step) (*Case, error) {
		work := *c
		work.Rows = map[string]int{}
		var err error
		if existing, err = s.runningCase(ctx, tx, c); err != nil || existing != c.ID {
			return nil, err
		}
		if err := insertCase(ctx, tx, &work); err != nil {
			return nil, err
		}
		for _, step := range steps {
			if err := insertTask(ctx, tx, localTask(work.ID, step, now)); err != nil {
				return nil, err
			}
		}
		return &work, nil
	})
	if err != nil {
		return "", fmt.Errorf("open case of erasure: %w", err)
	}
	if existing == c.ID {
		s.finishNow(ctx, c.ID, keys)
	}
	return existing, nil
}

// runningCase returns the case by which a person who asks twice at once is being
// erased already, else c's own id.
func (s *Service) runningCase(ctx context.Context, tx *db.Tx, c *Case) (CaseID, error) {
	if c.Person == "" {
		return c.ID, nil
	}
	if err := s.Subject.Lock(ctx, tx, c.Person); err != nil {
		return "", err
	}
	left, err := s.Subject.Of(ctx, tx, c.Person)
	if err != nil || len(left) > 0 {
		return c.ID, err
	}
	id, ok, err := caseOf(ctx, tx, c.Person)
	if err == nil && !ok {
		id = c.ID
	}
	return id, err
}

// errChanged says that a record went to a processor between freezing and deleting.
var errChanged = errors.New("a record was handed over meanwhile")

// pass plans, freezes, and deletes in one transaction, which begin begins; it
// returns nil to do nothing. The keys to destroy are returned.
func (s *Service) pass(ctx context.Context, c *Case, records []subject.Record,
	begin func(context.Context, *db.Tx, []Step) (*Case, error),
) (keys []string, err error) {
	for range 5 {
		var steps []Step
		if steps, err = s.PlanFor(ctx, records, c.Reason); err != nil {
			return nil, err
		}
		var frozen []frozenTask
		if frozen, err = s.freeze(ctx, c, steps); err != nil {
			return nil, err
		}
		err = s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error {
			keys = nil // a transaction may run again from the start
			work, err := begin(ctx, tx, steps)
			if err != nil || work == nil {
				return err
			}
			keys, err = s.delete(ctx, tx, work, steps, frozen)
			return err
		})
		if !errors.Is(err, errChanged) {
			return keys, err
		}
	}
	return nil, err
}

// finishNow destroys the keys at once; the job does it if this does not succeed.
func (s *Service) finishNow(ctx context.Context, id CaseID, keys []string) {
	if err := s.finish(ctx, id, keys); err != nil {
		s.Log.Warn("keys of an erasure are not destroyed yet, a job tries again", "case", id, "err", err)
	}
}

func deadline(plan *policy.Plan, from time.Time) time.Time {
	answer := plan.Rights.AnswerTime
	if !answer.Set {
		answer = policy.Duration{Set: true, Months: 1}
	}
	return answer.After(from, plan.Loc)
}

// delete deletes here what steps say, in the transaction that also asks for
// everything that follows. It returns the keys that must now be destroyed.
func (s *Service) delete(ctx context.Context, tx *db.Tx, c *Case, steps []Step, frozen []frozenTask) ([]string, error) {
	gone, err := s.apply(ctx, tx, c, steps)
	if err != nil {
		return nil, err
	}
	if err := s.command(ctx, tx, gone, frozen); err != nil {
		return nil, err
	}
	for _, r := range gone {
		n, err := s.Connect.Forget(ctx, tx, r.ID)
		if err != nil {
			return nil, err
		}
		count(c.Rows, "handover", n)
	}
	forgotten, err := s.Subject.Forget(ctx, tx, gone)
	if err != nil {
		return nil, err
	}
	for table, n := range forgotten.Rows {
		count(c.Rows, table, n)
	}
	if err := s.note(ctx, tx, c, gone, forgotten); err != nil {
		return nil, err
	}
	return forgotten.Keys, s.askFinish(ctx, tx, c.ID, forgotten.Keys)
}

// apply tells the holders, and returns the records that are gone by it.
func (s *Service) apply(ctx context.Context, tx *db.Tx, c *Case, steps []Step) ([]subject.Record, error) {
	persons := make([]subject.PersonID, len(steps))
	for i, step := range steps {
		persons[i] = step.Record.Person
	}
	if err := s.Subject.Lock(ctx, tx, persons...); err != nil {
		return nil, err
	}
	var gone []subject.Record
	for _, step := range steps {
		if step.State != Planned {
			continue
		}
		t, err := localTaskOf(ctx, tx, c.ID, step.Record.ID)
		if err != nil {
			return nil, err
		}
		if done, err := s.applyOne(ctx, tx, c, step, &t); err != nil {
			return nil, err
		} else if done {
			gone = append(gone, step.Record)
		}
		if err := updateTask(ctx, tx, t); err != nil {
			return nil, err
		}
	}
	return gone, nil
}

func (s *Service) applyOne(ctx context.Context, tx *db.Tx, c *Case, step Step, t *Task) (done bool, err error) {
	r, err := s.Subject.Get(ctx, tx, step.Record.ID)
	if fault.Of(err).Kind == fault.NotFound {
		t.State, t.Code = NotFound, "register"
		return false, nil
	}
	if err != nil {
		return false, err
	}
	hold, held, err := holdOn(ctx, tx, r)
	if err != nil {
		return false, err
	}
	paused, err := s.paused(ctx, tx, c.Reason, []string{r.ID})
	if err != nil {
		return false, err
	}
	if c.Reason.Kind != Restored && (held || paused[r.ID]) {
		t.State, t.Code = Blocked, hold.ID
		if !held {
			t.Code = restriction
		}
		return false, nil
	}
	receipt, err := s.holder(r.Holder).Apply(ctx, tx, r, step.Act)
	if err != nil {
		return false, fmt.Errorf("%s deletes a %s: %w", r.Holder, r.Kind, err)
	}
	for table, n := range receipt.Rows {
		count(c.Rows, table, n)
	}
	now := s.Now()
	t.State, t.Code, t.Commanded, t.Acknowledged, t.Effective = Effective, "", now, now, now
	return true, nil
}

// note writes the erasure list, the log leaf and the case's figures.
func (s *Service) note(ctx context.Context, tx *db.Tx, c *Case, gone []subject.Record, f subject.Forgotten) error {
	if len(gone) == 0 {
		return nil
	}
	c.Local, c.Keys = s.Now(), c.Keys+len(f.Keys)
	for _, r := range gone {
		if err := insertErased(ctx, tx, r.ID, "record", c.ID, c.Local); err != nil {
			return err
		}
	}
	for _, p := range f.Persons {
		if err := insertErased(ctx, tx, string(p), "person", c.ID, c.Local); err != nil {
			return err
		}
	}
	leaf := ledger.Leaf{ID: db.NewID(), Kind: "erased", At: c.Local, Version: c.Version, Facts: map[string]string{
		"case": string(c.ID), "reason": string(c.Reason.Kind), "rule": c.Reason.Rule,
		"records": fmt.Sprint(len(gone)), "persons": fmt.Sprint(len(f.Persons)), "keys": fmt.Sprint(len(f.Keys)),
	}}
	if _, err := s.Ledger.Append(ctx, tx, leaf); err != nil {
		return fmt.Errorf("append leaf: %w", err)
	}
	c.Leaves = append(c.Leaves, leaf.ID)
	return updateCase(ctx, tx, c)
}

// Job kinds.
const (
	DestroyJob = "erase.destroy_key"
	TaskJob    = "erase.task"
)

type destroyPayload struct {
	Case CaseID   `json:"case"`
	Keys []string `json:"keys"`
}

func (s *Service) askFinish(ctx context.Context, tx *db.Tx, id CaseID, keys []string) error {
	return job.Add(ctx, tx, DestroyJob, destroyPayload{id, keys}, s.Now(), "")
}

// holder returns the feature of that name, or nil.
func (s *Service) holder(name string) subject.Holder {
	i := slices.IndexFunc(s.Holders, func(h subject.Holder) bool { return h.Name() == name })
	if i < 0 {
		return nil
	}
	return s.Holders[i]
}

func count(rows map[string]int, table string, n int) {
	if n != 0 {
		rows[table] += n
	}
}
