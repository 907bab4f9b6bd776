package intake

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/job"
	"github.com/tillid/tillid/internal/subject"
)

const (
	receiptJob = "intake.receipt"
	closeJob   = "intake.close"
)

// asideKept is how long what looks like spam waits for a member of staff.
const asideKept = 14 * 24 * time.Hour

type ref struct {
	ID string `json:"id"`
}

// Jobs returns the work of the package by kind.
func (s *Service) Jobs() map[string]func(context.Context, []byte) error {
	return map[string]func(context.Context, []byte) error{receiptJob: s.sendReceipt, closeJob: s.eraseClosed}
}

// Periodic returns the work that is done again and again.
func (s *Service) Periodic() []job.Periodic {
	return append(s.box(), job.Periodic{Name: "intake.aside", Every: time.Hour, Run: s.dropAside})
}

// sendReceipt queues the receipt of one submission, once.
func (s *Service) sendReceipt(ctx context.Context, payload []byte) error {
	var r ref
	if err := json.Unmarshal(payload, &r); err != nil {
		return fmt.Errorf("read payload: %w", err)
	}
	e, err := getEnquiry(ctx, s.DB, r.ID)
	if fault.Of(err).Kind == fault.NotFound {
		return nil // erased meanwhile
	}
	if err != nil {
		return err
	}
	what, _, err := s.open(ctx, e)
	if fault.Of(err).Kind == fault.Gone {
		return nil
	}
	if err != nil {
		return err
	}
	form := s.Plan().Form(e.Form)
	if form == nil {
		return nil // no longer declared: there is no notice to send
	}
	to := given(submission{form: form, answers: what.Answers}, "email")
	if to == "" {
		return nil
	}
	record, err := s.Subjects.Get(ctx, s.DB, e.ID)
	if err != nil {
		return err
	}
	m := s.receiptMail(e, form, record)
	m.To = subject.Secret(to)
	key, err := s.Mail.Prepare(ctx)
	if err != nil {
		return err
	}
	return s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error {
		if first, err := mark(ctx, tx, e.ID, "receipt_at", s.Now()); err != nil || !first {
			return err
		}
		return s.Mail.Queue(ctx, tx, m, key)
	})
}

// dropAside erases what looked like spam and that nobody asked for.
func (s *Service) dropAside(ctx context.Context) error {
	ids, err := suspectsBefore(ctx, s.DB, s.Now().Add(-asideKept))
	if err != nil || len(ids) == 0 {
		return err
	}
	var records []subject.Record
	for _, id := range ids {
		r, err := s.Subjects.Get(ctx, s.DB, id)
		if fault.Of(err).Kind == fault.NotFound {
			continue
		}
		if err != nil {
			return err
		}
		records = append(records, r)
	}
	return s.Erase(ctx, records, "retention")
}
