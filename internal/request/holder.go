package request

import (
	"context"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/mail"
	"github.com/tillid/tillid/internal/subject"
	"github.com/tillid/tillid/internal/text"
)

var _ subject.Holder = (*Service)(nil)

// Name is the feature's name in the register of records.
func (s *Service) Name() string { return holder }

// Tables lists the tables of requests and of the portal.
func (s *Service) Tables() []subject.Table {
	return []subject.Table{
		{Name: "rights_request", Fields: map[string]string{"kind": "which right", "number": "case number", "leaf": "leaf in the log", "sealed": "sealed: what the person said"}},
		{Name: "rights_event", Fields: map[string]string{"kind": "what happened", "sealed": "sealed: who did it, and what was written"}},
		{Name: "portal_ask", Fields: map[string]string{"h": "keyed hash of the address", "sealed": "sealed address, until the link is mailed"}},
		{Name: "portal_link", Fields: map[string]string{"h": "keyed hash of the link", "person": "pseudonym"}},
		{Name: "portal_session", Fields: map[string]string{"h": "keyed hash of the session", "person": "pseudonym"}},
	}
}

// Show returns a request in words for its person: what was asked, how far it is, and what
// was answered.
func (s *Service) Show(ctx context.Context, _ db.Queryer, r subject.Record, l text.Lang) (subject.View, error) {
	w, err := s.load(ctx, r.ID)
	if err != nil {
		return subject.View{}, err
	}
	req := w.request
	v := subject.View{Title: text.T(l, "request.view."+string(req.Kind))}
	add := func(id, value string, given bool) {
		if value != "" {
			v.Fields = append(v.Fields, subject.Shown{Label: text.T(l, "request.view."+id), Value: subject.Secret(value), Given: given})
		}
	}
	add("number", req.Number, false)
	add("asked", text.Moment(l, req.At.In(s.Plan().Loc)), false)
	add("words", w.details.Words, true)
	add("state", s.stateWords(req, l), false)
	if req.open() {
		add("due", text.Date(l, w.deadline.Due.In(s.Plan().Loc)), false)
	}
	for _, h := range w.past {
		if h.Letter != nil {
			add("letter", mail.Letter{Lang: l, Blocks: h.Letter.Blocks}.Text(), false)
		}
		if h.Case != "" && h.Kind == "erasing" {
			add("certificate", "/privacy/certificate/"+h.Case, false)
		}
	}
	if w.details.Case != "" {
		add("certificate", "/privacy/certificate/"+w.details.Case, false)
	}
	for _, c := range w.details.Changes {
		v.Fields = append(v.Fields, subject.Shown{Label: text.T(l, "request.view.change", "Field", c.Label), Value: subject.Secret(c.Want), Given: true})
	}
	return v, nil
}

// stateWords says how far a case is.
func (s *Service) stateWords(r request, l text.Lang) string {
	if r.State == closed {
		return text.T(l, "request.outcome."+string(r.Outcome))
	}
	return text.T(l, "request.state."+string(r.State))
}

// Apply deletes a request, what happened to it, and its unsent letters.
func (s *Service) Apply(ctx context.Context, tx *db.Tx, r subject.Record, _ subject.Act) (subject.Receipt, error) {
	requests, events, err := removeRequest(ctx, tx, r.ID)
	if err != nil {
		return subject.Receipt{}, err
	}
	letters, err := s.Mail.DropFor(ctx, tx, r.ID)
	return subject.Receipt{Rows: map[string]int{"rights_request": requests, "rights_event": events, "mail": letters}}, err
}
