package request

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/erase"
	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/job"
	"github.com/tillid/tillid/internal/mail"
	"github.com/tillid/tillid/internal/subject"
	"github.com/tillid/tillid/internal/text"
)

type ref struct {
	ID string `json:"id"`
}

// Jobs returns the work of the package by kind.
func (s *Service) Jobs() map[string]func(context.Context, []byte) error {
	return map[string]func(context.Context, []byte) error{linkJob: s.sendLink}
}

// Periodic returns the work that is done again and again.
func (s *Service) Periodic() []job.Periodic {
	return []job.Periodic{
		{Name: "request.sweep", Every: 10 * time.Minute, Run: s.sweep},
		{Name: "request.settle", Every: 10 * time.Minute, Run: s.settle},
		{Name: "request.digest", Every: 20 * time.Minute, Run: s.digest},
		{Name: "request.lift", Every: 10 * time.Minute, Run: s.liftDue},
	}
}

// sendLink answers one question by mail: with a link where something is held
// about the address, else by saying that nothing is (Art. 15(1) asks for both).
func (s *Service) sendLink(ctx context.Context, payload []byte) error {
	var r ref
	if err := json.Unmarshal(payload, &r); err != nil {
		return fmt.Errorf("read payload: %w", err)
	}
	a, ok, err := waitingAsk(ctx, s.DB, r.ID)
	if err != nil || !ok {
		return err
	}
	key, err := s.Subjects.Keys.Get(ctx, a.ID)
	if fault.Of(err).Kind == fault.Gone {
		return nil
	}
	if err != nil {
		return err
	}
	address, err := key.Open(askPlace(a.ID), a.Sealed)
	if err != nil {
		return fmt.Errorf("open question: %w", err)
	}
	to := subject.Secret(address)
	person, known, err := s.Subjects.Find(ctx, s.DB, subject.Email, to)
	if err != nil {
		return err
	}
	letterKey, err := s.Mail.Prepare(ctx)
	if err != nil {
		return err
	}
	token := newToken()
	m := s.nothingMail(a.Lang)
	if known {
		m = s.linkMail(a.Lang, token)
	}
	m.To = to
	err = s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error {
		if first, err := answered(ctx, tx, a.ID); err != nil || !first {
			return err
		}
		if known {
			if err := insertLink(ctx, tx, s.hash("link", token), person, s.Now().Add(linkLife)); err != nil {
				return err
			}
		}
		return s.Mail.Queue(ctx, tx, m, letterKey)
	})
	if err != nil {
		return err
	}
	return s.Subjects.Keys.Destroy(ctx, a.ID)
}

func (s *Service) linkMail(l text.Lang, token string) mail.Message {
	name := s.Plan().Controller.LegalName
	m := mail.Message{Subject: text.T(l, "request.mail.subject", "Name", name), Automatic: true}
	return m.Write(mail.Letter{Lang: l, Brand: name, Footer: text.T(l, "request.mail.footer"), Blocks: []mail.Block{
		{Text: text.T(l, "request.mail.hello")},
		{Text: text.T(l, "request.mail.open", "Name", name)},
		{Link: s.baseURL(l, "/privacy/me/open/"+token)},
		{Text: text.T(l, "request.mail.life", "Minutes", int(linkLife.Minutes()))},
	}})
}

func (s *Service) nothingMail(l text.Lang) mail.Message {
	name := s.Plan().Controller.LegalName
	m := mail.Message{Subject: text.T(l, "request.mail.subject", "Name", name), Automatic: true}
	return m.Write(mail.Letter{Lang: l, Brand: name, Footer: text.T(l, "request.mail.footer"), Blocks: []mail.Block{
		{Text: text.T(l, "request.mail.hello")},
		{Text: text.T(l, "request.mail.nothing", "Name", name)},
		{Text: text.T(l, "request.mail.other", "Email", contact(s.Plan()))},
	}})
}

// sweep removes questions, links and sessions that have run out.
func (s *Service) sweep(ctx context.Context) error {
	var free []string
	err := s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) (err error) {
		free, err = sweepPortal(ctx, tx, s.Now())
		return err
	})
	if err != nil {
		return err
	}
	return s.Subjects.Keys.Destroy(ctx, free...)
}

// settle goes on with cases whose erasure has ended: those of the portal are closed, those
// that staff decided go on to the answer.
func (s *Service) settle(ctx context.Context) error {
	open, err := selectRequests(ctx, s.DB, `where state = 'executing' order by due_at, id limit 500`)
	if err != nil {
		return err
	}
	for _, r := range open {
		w, err := s.load(ctx, r.ID)
		if k := fault.Of(err).Kind; err != nil && (k == fault.NotFound || k == fault.Gone) {
			continue // erased meanwhile
		}
		if err != nil {
			return err
		}
		if err := s.settleOne(ctx, w); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) settleOne(ctx context.Context, w work) error {
	id, staff := w.details.Case, false
	for _, h := range w.past {
		if h.Kind == "erasing" {
			id, staff = h.Case, true
		}
	}
	if id == "" {
		return nil
	}
	c, err := s.Erase.Case(ctx, erase.CaseID(id))
	if err != nil || c.State != erase.Ended {
		return err
	}
	return s.act(ctx, w, "erased", deed{Case: id}, func(r *request) error {
		if c.Result == erase.Partly || r.Outcome == "" {
			r.Outcome = outcome(c.Result)
		}
		if staff {
			return r.move(answering)
		}
		return r.end(r.Outcome, s.Now())
	}, nil)
}
