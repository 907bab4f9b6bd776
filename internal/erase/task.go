package erase

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tillid/tillid/internal/connect"
	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/job"
	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/subject"
)

// State is the true state of a task.
type State string

// States of a task.
const (
	Planned       State = "planned"
	Commanded     State = "commanded"    // we asked
	Acknowledged  State = "acknowledged" // they answered
	Effective     State = "effective"    // they say that it has taken effect
	Verified      State = "verified"     // a probe at or after that moment found nothing
	RetryWait     State = "retry_wait"
	Manual        State = "manual" // a person must do it
	Retained      State = "retained"
	NotFound      State = "not_found"
	Blocked       State = "blocked_by_hold"
	NotDeletable  State = "not_deletable"
	Failed        State = "failed"
	Local               = "local"
	AtProcessor         = "processor"
	stillPresent        = "still_present"
	neverSent           = "never_sent"
	noConnector         = "no_connector"
	noAnswer            = "no_answer"
	noDeletion          = "no_deletion"
	unreachable         = "unreachable"
	searchPending       = "search_pending"
)

// Ended reports whether nothing more is to come. A case may close as granted only
// when every task is done; one that is not_deletable closes it partly.
func (s State) Ended() bool { return s.Done() || s == NotDeletable }

// Done reports whether the task lets its case close as granted.
func (s State) Done() bool { return s == Verified || s == Retained || s == NotFound }

// Task is one place from which something must go: a record here, or an object at
// a processor.
type Task struct {
	ID           string
	Case         CaseID
	Kind         string // Local, AtProcessor
	Store        string // the holder, or the engagement
	Record       string // pseudonym of the record; empty for a search by the person's identifiers
	Sealed       []byte
	State        State
	Code         string // why: the law, the hold, what was searched
	Attempts     int
	Next         time.Time
	SearchAfter  time.Time // a search that finds nothing counts only from then on
	Planned      time.Time
	Commanded    time.Time
	Acknowledged time.Time
	Effective    time.Time
	Probed       time.Time
	Verified     time.Time
	RequestID    string
}

func localTask(id CaseID, step Step, now time.Time) Task {
	return Task{ID: db.NewID(), Case: id, Kind: Local, Store: step.Record.Holder, Record: step.Record.ID,
		State: step.State, Code: step.Code, Planned: now}
}

// command writes the frozen tasks of the records that are gone and asks for
// their jobs. What never left the house is noted as such.
func (s *Service) command(ctx context.Context, tx *db.Tx, gone []subject.Record, frozen []frozenTask) error {
	erased := map[string]bool{"": len(gone) > 0}
	ids := make([]string, len(gone))
	for i, r := range gone {
		ids[i], erased[r.ID] = r.ID, true
	}
	handovers, err := s.Connect.Handovers(ctx, tx, ids)
	if err != nil {
		return err
	}
	for _, f := range frozen {
		if !erased[f.task.Record] {
			continue
		}
		if err := s.commandOne(ctx, tx, f, handovers); err != nil {
			return err
		}
		handovers = slices.DeleteFunc(handovers, func(h connect.Handover) bool {
			return h.Record == f.task.Record && h.Engagement == f.task.Store
		})
	}
	if slices.ContainsFunc(handovers, func(h connect.Handover) bool { return h.State != connect.Waiting }) {
		return errChanged
	}
	return nil
}

func (s *Service) commandOne(ctx context.Context, tx *db.Tx, f frozenTask, handovers []connect.Handover) error {
	t := f.task
	stays := f.waiting && !slices.ContainsFunc(handovers, func(h connect.Handover) bool {
		return h.Record == t.Record && h.Engagement == t.Store && h.State != connect.Waiting
	})
	switch {
	case stays:
		t.State, t.Code, t.Next = NotFound, neverSent, time.Time{}
	case t.Record != "" && deletionImpossible(s.Plan(), t.Store):
		t.State, t.Code, t.Next = NotDeletable, noDeletion, time.Time{}
	}
	if err := insertTask(ctx, tx, t); err != nil || t.State != Planned {
		return err
	}
	return s.schedule(ctx, tx, t)
}

// deletionImpossible reports whether the declaration says that nothing can be deleted there.
func deletionImpossible(plan *policy.Plan, engagement string) bool {
	e := plan.Engagement(engagement)
	return e != nil && len(e.Deletion) > 0 &&
		!slices.ContainsFunc(e.Deletion, func(d policy.Deletion) bool { return d.Mode != "none" })
}

type taskPayload struct {
	Task string `json:"task"`
}

// schedule asks for the task's next step. A job that comes before Task.Next does
// nothing, so it does not matter when there are two.
func (s *Service) schedule(ctx context.Context, tx *db.Tx, t Task) error {
	return job.Add(ctx, tx, TaskJob, taskPayload{t.ID}, t.Next, "")
}

// Jobs returns the job kinds of this package.
func (s *Service) Jobs() map[string]func(context.Context, []byte) error {
	return map[string]func(context.Context, []byte) error{
		DestroyJob: s.destroyJob,
		TaskJob:    s.taskJob,
	}
}

// taskJob takes a task's next step: command, or probe.
func (s *Service) taskJob(ctx context.Context, payload []byte) error {
	var p taskPayload
	if err := json.Unmarshal(payload, &p); err != nil {
		return fmt.Errorf("read payload: %w", err)
	}
	t, ok, err := taskByID(ctx, s.DB, p.Task)
	if err != nil || !ok || t.State.Ended() || t.Next.After(s.Now()) {
		return err // done, or another job is asked for
	}
	processor := s.Connect.Processors[t.Store]
	if processor == nil {
		t.State, t.Code, t.Next = Manual, noConnector, time.Time{}
		return s.save(ctx, t)
	}
	key, err := s.Keys.Get(ctx, string(t.Case))
	if err != nil {
		return err
	}
	sec, err := openSecret(key, t)
	if err != nil {
		return err
	}
	if sec.Ref == nil {
		return s.resolve(ctx, t, key, sec, processor)
	}
	if t.State == Acknowledged || t.State == Effective {
		return s.probe(ctx, t, *sec.Ref, processor)
	}
	return s.tell(ctx, t, *sec.Ref, processor)
}

// resolve searches for what has no reference. Each find becomes the reference of
// a task; a search that finds nothing ends the task.
func (s *Service) resolve(ctx context.Context, t Task, key *subject.Key, sec secret, p connect.Processor) error {
	ids := make([]connect.Identifier, len(sec.Search))
	kinds := make([]string, len(sec.Search))
	for i, id := range sec.Search {
		ids[i], kinds[i] = connect.Identifier{Kind: id.Kind, Value: subject.Secret(id.Value)}, id.Kind
	}
	refs, err := p.Resolve(ctx, ids)
	if err != nil {
		return s.retry(ctx, t, unreachable, err)
	}
	known, err := s.knownRefs(ctx, t, key)
	if err != nil {
		return err
	}
	refs = slices.DeleteFunc(refs, func(r connect.Ref) bool {
		return slices.ContainsFunc(sec.Not, r.Same) || slices.ContainsFunc(known, r.Same)
	})
	t.Probed = s.Now()
	if len(refs) == 0 {
		if s.Now().Before(t.SearchAfter) {
			t.State, t.Code, t.Next = RetryWait, searchPending, t.SearchAfter
			return s.save(ctx, t)
		}
		t.State, t.Code, t.Next = NotFound, "searched_by:"+strings.Join(slices.Compact(kinds), ","), time.Time{}
		return s.save(ctx, t)
	}
	return s.split(ctx, t, key, refs)
}

// split gives the first reference to t and makes a task for each other.
func (s *Service) split(ctx context.Context, t Task, key *subject.Key, refs []connect.Ref) error {
	tasks := make([]Task, len(refs))
	for i, ref := range refs {
		n := s.processorTask(t.Case, t.Store, t.Record)
		if i == 0 {
			n = t
		}
		n.State, n.Code, n.Next = Planned, "", s.Now()
		if deletionImpossible(s.Plan(), n.Store) {
			n.State, n.Code, n.Next = NotDeletable, noDeletion, time.Time{}
		}
		var err error
		if n.Sealed, err = sealSecret(key, n.ID, secret{Ref: &ref}); err != nil {
			return err
		}
		tasks[i] = n
	}
	return s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error {
		for i, n := range tasks {
			write := insertTask
			if i == 0 {
				write = updateTask
			}
			if err := write(ctx, tx, n); err != nil {
				return err
			}
			if n.State != Planned {
				continue
			}
			if err := s.schedule(ctx, tx, n); err != nil {
				return err
			}
		}
		return s.settle(ctx, tx, t.Case)
	})
}

// knownRefs returns the references that other tasks of the case at the same
// processor have.
func (s *Service) knownRefs(ctx context.Context, t Task, key *subject.Key) ([]connect.Ref, error) {
	tasks, err := tasksOf(ctx, s.DB, t.Case)
	if err != nil {
		return nil, err
	}
	var refs []connect.Ref
	for _, o := range tasks {
		if o.ID == t.ID || o.Store != t.Store || len(o.Sealed) == 0 {
			continue
		}
		sec, err := openSecret(key, o)
		if err != nil {
			return nil, err
		}
		if sec.Ref != nil {
			refs = append(refs, *sec.Ref)
		}
	}
	return refs, nil
}

// tell commands the processor, in two phases where it has two. The command is
// noted before it is given; it is given again under the same key.
func (s *Service) tell(ctx context.Context, t Task, ref connect.Ref, p connect.Processor) error {
	if t.Commanded.IsZero() {
		t.Commanded = s.Now()
	}
	t.State = Commanded
	if err := s.save(ctx, t); err != nil {
		return err
	}
	semantics := p.Describe()
	receipt, err := p.Erase(ctx, ref, t.ID)
	if err == nil && semantics.TwoPhase {
		receipt, err = p.Purge(ctx, ref, t.ID)
	}
	if err != nil {
		return s.retry(ctx, t, unreachable, err)
	}
	now := s.Now()
	t.State, t.Acknowledged, t.Effective, t.RequestID = Acknowledged, now, now.Add(semantics.Lag), receipt.RequestID
	if semantics.Lag > 0 {
		t.Next = t.Effective
		return s.save(ctx, t)
	}
	return s.probe(ctx, t, ref, p)
}

// probe looks whether it is really gone. One who says yes and keeps is told again.
func (s *Service) probe(ctx context.Context, t Task, ref connect.Ref, p connect.Processor) error {
	t.State = Effective
	presence, err := p.Probe(ctx, ref)
	if err != nil || presence == connect.Unknown {
		return s.retry(ctx, t, unreachable, err)
	}
	t.Probed = s.Now()
	if presence == connect.Gone && !t.Probed.Before(t.Effective) {
		t.State, t.Code, t.Verified, t.Next = Verified, "", t.Probed, time.Time{}
		return s.save(ctx, t)
	}
	s.Log.Warn("a processor says that it has deleted and still holds", "case", t.Case, "engagement", t.Store)
	t.State = RetryWait
	return s.retry(ctx, t, stillPresent, nil)
}
