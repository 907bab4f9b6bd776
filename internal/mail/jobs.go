package mail

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/job"
)

const (
	sendJob   = "mail.send"
	forgetJob = "mail.forget"

	heldPause = time.Minute // until a held letter asks again
)

// ref is the payload of both jobs.
type ref struct {
	ID string `json:"id"`
}

// Jobs returns the work of the package by kind.
func (s *Service) Jobs() map[string]func(context.Context, []byte) error {
	return map[string]func(context.Context, []byte) error{
		sendJob:   func(ctx context.Context, b []byte) error { return withRef(ctx, b, s.send) },
		forgetJob: func(ctx context.Context, b []byte) error { return withRef(ctx, b, s.forget) },
	}
}

// Periodic returns the sweep of letters that could not be sent.
func (s *Service) Periodic() []job.Periodic {
	return []job.Periodic{{Name: "mail.sweep", Every: time.Hour, Run: s.sweep}}
}

func withRef(ctx context.Context, payload []byte, f func(context.Context, string) error) error {
	var r ref
	if err := json.Unmarshal(payload, &r); err != nil {
		return fmt.Errorf("read payload: %w", err)
	}
	return f(ctx, r.ID)
}

// send hands one letter to the relay. It may happen twice after a crash between
// the relay's answer and the deletion; the Message-ID is then the same.
func (s *Service) send(ctx context.Context, id string) error {
	l, ok, err := get(ctx, s.DB, id)
	if err != nil || !ok {
		return err // sent, dropped or refused before
	}
	if paused, err := s.paused(ctx, s.DB, l.Record); err != nil {
		return err
	} else if paused {
		return s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error {
			return job.Add(ctx, tx, sendJob, ref{id}, s.Now().Add(time.Hour), "")
		})
	}
	if s.Held != nil {
		held, err := s.Held(ctx)
		if err != nil {
			return err
		}
		if held {
			return job.Add(ctx, s.DB, sendJob, ref{id}, s.Now().Add(heldPause), "")
		}
	}
	key, err := s.Keys.Get(ctx, id)
	if f := (*fault.Error)(nil); errors.As(err, &f) && f.Kind == fault.Gone {
		return s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error { return remove(ctx, tx, id) })
	}
	if err != nil {
		return fmt.Errorf("key of a letter: %w", err)
	}
	m, err := open(key, l)
	if err != nil {
		return err
	}
	err = s.transmit(ctx, m, l.Queued)
	if r := (*refusal)(nil); errors.As(err, &r) {
		s.Log.WarnContext(ctx, "relay refused a letter", "mail", id, "answer", r.answer)
		return s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error { return refuse(ctx, tx, id, r.answer) })
	}
	if err != nil {
		return err
	}
	return s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error { return s.drop(ctx, tx, id) })
}

// forget destroys the key of a letter whose row is gone.
func (s *Service) forget(ctx context.Context, id string) error { return s.Keys.Destroy(ctx, id) }

// sweep removes letters that have waited so long that sending them helps nobody.
func (s *Service) sweep(ctx context.Context) error {
	return s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error {
		stale, err := old(ctx, tx, s.Now().Add(-refusedKept))
		for _, id := range stale {
			if err := s.drop(ctx, tx, id); err != nil {
				return err
			}
		}
		return err
	})
}
