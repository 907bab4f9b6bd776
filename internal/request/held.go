package request

import (
	"context"
	"net/http"
	"slices"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/subject"
	"github.com/tillid/tillid/internal/web"
)

// heldPage is a record whose use is paused: shown to staff only with a ground.
type heldPage struct {
	web.Frame
	ID      string
	Pause   subject.Restriction
	Reasons []subject.Reason
	Why     subject.Reason
	View    *subject.View
	Mistake bool
}

func (s *Service) heldPage(r *http.Request) (heldPage, error) {
	p := heldPage{Frame: s.House.Backoffice(r), ID: r.PathValue("record"), Reasons: subject.Reasons()}
	p.Path, p.Active = r.URL.Path, "/requests"
	found, err := s.Subjects.Restrictions(r.Context(), s.DB, []string{p.ID})
	if err == nil && len(found) == 0 {
		err = fault.New(fault.NotFound, "No such record is restricted.").In("request.no_record")
	}
	if err != nil {
		return p, err
	}
	p.Pause = found[0]
	return p, nil
}

func (s *Service) showHeld(w http.ResponseWriter, r *http.Request) error {
	p, err := s.heldPage(r)
	if err != nil {
		return err
	}
	return web.Render(w, http.StatusOK, pages(), "held", web.Backoffice, p)
}

// postHeld shows a restricted record once. The ground is noted with the case and in the
// audit trail before anything is shown.
func (s *Service) postHeld(w http.ResponseWriter, r *http.Request) error {
	v, err := staffForm(w, r, "why")
	if err != nil {
		return err
	}
	p, err := s.heldPage(r)
	if err != nil {
		return err
	}
	p.Why = subject.Reason(v.Get("why"))
	if !slices.Contains(subject.Reasons(), p.Why) {
		p.Mistake = true
		return web.Render(w, http.StatusUnprocessableEntity, pages(), "held", web.Backoffice, p)
	}
	ctx := subject.WithReason(r.Context(), p.Why)
	record, err := s.Subjects.Get(ctx, s.DB, p.ID)
	if err != nil {
		return err
	}
	c, err := s.load(ctx, p.Pause.Case)
	if err != nil {
		return err
	}
	d := by(ctx)
	d.Code, d.Text = string(p.Why), p.ID
	err = s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error {
		if err := s.event(ctx, tx, c.key, "looked", d); err != nil {
			return err
		}
		return s.audit(ctx, tx, "looked", p.ID)
	})
	if err != nil {
		return err
	}
	view, err := s.holderOf(record.Holder).Show(ctx, s.DB, record, p.Lang)
	if err != nil {
		return err
	}
	p.View = &view
	return web.Render(w, http.StatusOK, pages(), "held", web.Backoffice, p)
}
