package erase

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/job"
	"github.com/tillid/tillid/internal/ledger"
)

func (s *Service) destroyJob(ctx context.Context, payload []byte) error {
	var p destroyPayload
	if err := json.Unmarshal(payload, &p); err != nil {
		return fmt.Errorf("read payload: %w", err)
	}
	return s.finish(ctx, p.Case, p.Keys)
}

// finish destroys keys, makes the deleted bytes go from the file, looks whether
// that is so, and certifies. It is idempotent.
func (s *Service) finish(ctx context.Context, id CaseID, keys []string) error {
	if err := s.Keys.Destroy(ctx, keys...); err != nil {
		return err
	}
	if err := s.DB.Checkpoint(ctx); err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	left, err := s.Keys.Left(ctx, keys...)
	if err != nil {
		return err
	}
	if len(left) > 0 {
		return fmt.Errorf("%d keys are still there after they were destroyed", len(left))
	}
	if s.Export != nil {
		if err := s.Export(ctx); err != nil {
			return fmt.Errorf("export the erasure list: %w", err)
		}
	}
	verified, err := s.checkLocal(ctx, id)
	if err != nil {
		return err
	}
	return s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error {
		for _, t := range verified {
			if err := updateTask(ctx, tx, t); err != nil {
				return err
			}
		}
		if len(verified) > 0 {
			if err := setKeysGone(ctx, tx, id, s.Now()); err != nil {
				return err
			}
		}
		return s.settle(ctx, tx, id)
	})
}

// checkLocal returns the local tasks of which neither row nor key is left.
func (s *Service) checkLocal(ctx context.Context, id CaseID) ([]Task, error) {
	tasks, err := tasksOf(ctx, s.DB, id)
	if err != nil {
		return nil, err
	}
	var open []Task
	var records []string
	for _, t := range tasks {
		if t.Kind == Local && t.State == Effective {
			open, records = append(open, t), append(records, t.Record)
		}
	}
	keyed, err := s.Keys.Left(ctx, records...)
	if err != nil {
		return nil, err
	}
	var verified []Task
	for _, t := range open {
		_, err := s.Subject.Get(ctx, s.DB, t.Record)
		if err != nil && fault.Of(err).Kind != fault.NotFound {
			return nil, err
		}
		if err == nil || slices.Contains(keyed, t.Record) {
			continue
		}
		now := s.Now()
		t.State, t.Probed, t.Verified = Verified, now, now
		verified = append(verified, t)
	}
	return verified, nil
}

// settle certifies what there is to certify: nothing while a key is still there,
// preliminarily while something is pending, finally when the case ends.
func (s *Service) settle(ctx context.Context, tx *db.Tx, id CaseID) error {
	c, err := caseByID(ctx, tx, id)
	if err != nil || c.State == Ended {
		return err
	}
	tasks, err := tasksOf(ctx, tx, id)
	if err != nil {
		return err
	}
	ended, granted := true, true
	for _, t := range tasks {
		if t.Kind == Local && (t.State == Effective || t.State == Planned) {
			return nil
		}
		ended, granted = ended && t.State.Ended(), granted && t.State.Done()
	}
	if !ended {
		has, err := hasCertificate(ctx, tx, id)
		if err != nil || has {
			return err
		}
		return s.certify(ctx, tx, c, tasks)
	}
	c.State, c.Result, c.Closed = Ended, Partly, s.Now()
	if granted {
		c.Result = Granted
	}
	return s.close(ctx, tx, c, tasks)
}

// close ends a case: the final certificate, and the key of the case goes.
func (s *Service) close(ctx context.Context, tx *db.Tx, c *Case, tasks []Task) error {
	leaf := ledger.Leaf{ID: db.NewID(), Kind: "erasure.closed", At: c.Closed, Version: s.Plan().Hash,
		Facts: map[string]string{"case": string(c.ID), "result": c.Result}}
	if _, err := s.Ledger.Append(ctx, tx, leaf); err != nil {
		return fmt.Errorf("append leaf: %w", err)
	}
	c.Leaves = append(c.Leaves, leaf.ID)
	if err := updateCase(ctx, tx, c); err != nil {
		return err
	}
	if err := s.certify(ctx, tx, c, tasks); err != nil {
		return err
	}
	if err := clearSealed(ctx, tx, c.ID); err != nil {
		return err
	}
	return job.Add(ctx, tx, DestroyJob, destroyPayload{c.ID, []string{string(c.ID)}}, s.Now(), "")
}
