package erase

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/tillid/tillid/internal/connect"
	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/subject"
)

// Step is what would happen, or happens, to one record.
type Step struct {
	Record  subject.Record
	Act     subject.Act
	State   State              // Planned, Blocked or Retained
	Code    string             // the hold, or the law that keeps it
	Until   time.Time          // Retained: when the law's period ends
	Systems []connect.Handover // where it went, or waits to go
}

// PlanFor says what erasing records would do, and does nothing.
func (s *Service) PlanFor(ctx context.Context, records []subject.Record, why Reason) ([]Step, error) {
	plan, now := s.Plan(), s.Now()
	ids := make([]string, len(records))
	for i, r := range records {
		ids[i] = r.ID
	}
	handovers, err := s.Connect.Handovers(ctx, s.DB, ids)
	if err != nil {
		return nil, err
	}
	holds, err := s.Holds(ctx, s.DB)
	if err != nil {
		return nil, err
	}
	paused, err := s.paused(ctx, s.DB, why, ids)
	if err != nil {
		return nil, err
	}
	steps := make([]Step, len(records))
	for i, r := range records {
		if s.holder(r.Holder) == nil {
			return nil, fmt.Errorf("plan erasure: no feature is called %q", r.Holder)
		}
		step := Step{Record: r, Act: act(plan, r, why), State: Planned}
		for _, h := range handovers {
			if h.Record == r.ID {
				step.Systems = append(step.Systems, h)
			}
		}
		if why.Kind == Restored { // it was erased once, when nothing kept it
			steps[i] = step
			continue
		}
		if hold, ok := holding(holds, r); ok {
			step.State, step.Code = Blocked, hold.ID
		} else if paused[r.ID] {
			step.State, step.Code = Blocked, restriction
		} else if law, until := floor(plan, r); until.After(now) {
			step.State, step.Code, step.Until = Retained, law, until
		}
		steps[i] = step
	}
	return steps, nil
}

// restriction is the code of what is not deleted because its person wants it kept (Art. 18).
const restriction = "restriction"

// paused returns which records no rule may delete now. Their person may.
func (s *Service) paused(ctx context.Context, q db.Queryer, why Reason, ids []string) (map[string]bool, error) {
	paused := map[string]bool{}
	if why.Kind == Request {
		return paused, nil
	}
	for some := range slices.Chunk(ids, 500) {
		found, err := s.Subject.Restrictions(ctx, q, some)
		if err != nil {
			return nil, err
		}
		for _, r := range found {
			paused[r.Record] = true
		}
	}
	return paused, nil
}

// act is how a record goes: a rule may make it impersonal instead; a person who
// asks gets it deleted.
func act(plan *policy.Plan, r subject.Record, why Reason) subject.Act {
	if rule := plan.Rule(r.Rule); rule != nil && rule.Action == string(subject.Anonymise) && why.Kind != Request && why.Kind != Restored {
		return subject.Anonymise
	}
	return subject.Delete
}

// floor returns the law that forbids to delete a record, and until when.
func floor(plan *policy.Plan, r subject.Record) (law string, until time.Time) {
	rule := plan.Rule(r.Rule)
	if rule == nil || rule.Floor == nil || !rule.Floor.Duration.Set {
		return "", time.Time{}
	}
	return rule.Floor.Law, rule.Floor.Duration.After(r.Received, plan.Loc)
}

// secret is what a task needs of the outside world, sealed with the case's key.
type secret struct {
	Ref    *connect.Ref  `json:"ref,omitempty"`
	Search []searched    `json:"search,omitempty"`
	Not    []connect.Ref `json:"not,omitempty"` // found by the search, but not to be erased
}

// searched is an identifier in its plain form; it exists sealed only.
type searched struct {
	Kind  string `json:"kind"`
	Value string `json:"value"`
}

// frozenTask is a task for a processor that is ready to be written.
type frozenTask struct {
	task    Task
	waiting bool // nothing had left the house when it was frozen
}

// freeze resolves and seals what the processors' tasks need, before anything is
// deleted. It runs before the transaction: it reads and makes keys.
func (s *Service) freeze(ctx context.Context, c *Case, steps []Step) ([]frozenTask, error) {
	var frozen []frozenTask
	secrets := map[string]secret{}
	var keep []connect.Ref
	for _, step := range steps {
		for _, h := range step.Systems {
			ref, ok, err := s.Connect.Ref(ctx, h)
			if err != nil {
				return nil, err
			}
			if step.State != Planned {
				if ok {
					keep = append(keep, ref)
				}
				continue
			}
			t := s.processorTask(c.ID, h.Engagement, h.Record)
			sec := secret{Search: []searched{{connect.Reference, h.Record}}}
			if ok {
				sec = secret{Ref: &ref}
			} else {
				t.SearchAfter = s.Now().Add(inFlight)
			}
			secrets[t.ID] = sec
			frozen = append(frozen, frozenTask{t, h.State == connect.Waiting})
		}
	}
	if err := s.freezeSearches(ctx, c, steps, keep, &frozen, secrets); err != nil || len(frozen) == 0 {
		return nil, err
	}
	key, err := s.caseKey(ctx, c.ID)
	if err != nil {
		return nil, err
	}
	for i := range frozen {
		if frozen[i].task.Sealed, err = sealSecret(key, frozen[i].task.ID, secrets[frozen[i].task.ID]); err != nil {
			return nil, err
		}
	}
	return frozen, nil
}

// inFlight is longer than a hand-over that has begun can last.
const inFlight = 5 * time.Minute

// freezeSearches adds, for a person who asks, one search per processor that may
// hold more than we sent: by the person's identifiers.
func (s *Service) freezeSearches(ctx context.Context, c *Case, steps []Step, keep []connect.Ref, frozen *[]frozenTask, secrets map[string]secret) error {
	if c.Person == "" {
		return nil
	}
	ids, err := s.Subject.Identifiers(ctx, s.DB, c.Person)
	if err != nil {
		return err
	}
	var search []searched
	for _, kind := range []string{subject.Email, subject.Phone} {
		for _, v := range ids[kind] {
			search = append(search, searched{kind, v.Reveal()})
		}
	}
	if len(search) == 0 {
		return nil
	}
	for _, e := range s.Plan().Engagements {
		concerned := slices.ContainsFunc(steps, func(st Step) bool {
			return st.State == Planned && slices.Contains(e.Purposes, st.Record.Purpose)
		})
		if s.Connect.Processors[e.ID] == nil || !concerned {
			continue
		}
		t := s.processorTask(c.ID, e.ID, "")
		secrets[t.ID] = secret{Search: search, Not: keep}
		*frozen = append(*frozen, frozenTask{task: t})
	}
	return nil
}

func (s *Service) processorTask(id CaseID, engagement, record string) Task {
	now := s.Now()
	return Task{ID: db.NewID(), Case: id, Kind: AtProcessor, Store: engagement, Record: record, State: Planned, Planned: now, Next: now}
}

// caseKey returns the key of a case, making it when there is none.
func (s *Service) caseKey(ctx context.Context, id CaseID) (*subject.Key, error) {
	key, err := s.Keys.Get(ctx, string(id))
	if fault.Of(err).Kind != fault.Gone {
		return key, err
	}
	keys, err := s.Keys.New(ctx, string(id))
	if err != nil {
		return nil, err
	}
	return keys[0], nil
}

func secretPlace(task string) subject.Place {
	return subject.Place{Table: "erasure_task", Row: task, Column: "sealed"}
}

func sealSecret(key *subject.Key, task string, sec secret) ([]byte, error) {
	b, err := json.Marshal(sec)
	if err != nil {
		return nil, fmt.Errorf("marshal frozen reference: %w", err)
	}
	return key.Seal(secretPlace(task), b), nil
}

func openSecret(key *subject.Key, t Task) (sec secret, err error) {
	b, err := key.Open(secretPlace(t.ID), t.Sealed)
	if err != nil {
		return sec, err
	}
	if err := json.Unmarshal(b, &sec); err != nil {
		return sec, fmt.Errorf("read frozen reference: %w", err)
	}
	return sec, nil
}
