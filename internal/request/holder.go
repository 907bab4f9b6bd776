package request

import (
	"context"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/subject"
	"github.com/tillid/tillid/internal/text"
)

var _ subject.Holder = (*Service)(nil)

// Name is the feature's name in the register of records.
func (s *Service) Name() string { return holder }

// Tables lists the tables of requests and of the portal.
func (s *Service) Tables() []subject.Table {
	return []subject.Table{
		{Name: "rights_request", Fields: map[string]string{"kind": "which right", "leaf": "leaf in the log", "sealed": "sealed details"}},
		{Name: "portal_ask", Fields: map[string]string{"h": "keyed hash of the address", "sealed": "sealed address, until the link is mailed"}},
		{Name: "portal_link", Fields: map[string]string{"h": "keyed hash of the link", "person": "pseudonym"}},
		{Name: "portal_session", Fields: map[string]string{"h": "keyed hash of the session", "person": "pseudonym"}},
	}
}

// Show returns a request in words for its person.
func (s *Service) Show(ctx context.Context, q db.Queryer, r subject.Record, l text.Lang) (subject.View, error) {
	req, err := getRequest(ctx, q, r.ID)
	if err != nil {
		return subject.View{}, err
	}
	d, err := s.details(ctx, req)
	if err != nil {
		return subject.View{}, err
	}
	v := subject.View{Title: text.T(l, "request.view."+req.Kind)}
	add := func(id, value string) {
		v.Fields = append(v.Fields, subject.Shown{Label: text.T(l, "request.view."+id), Value: subject.Secret(value)})
	}
	add("asked", text.Moment(l, req.At.In(s.Plan().Loc)))
	add("state", text.T(l, "request.state."+req.State))
	if d.Case != "" {
		add("certificate", "/privacy/certificate/"+d.Case)
	}
	return v, nil
}

// Apply deletes a request.
func (s *Service) Apply(ctx context.Context, tx *db.Tx, r subject.Record, _ subject.Act) (subject.Receipt, error) {
	n, err := removeRequest(ctx, tx, r.ID)
	return subject.Receipt{Rows: map[string]int{"rights_request": n}}, err
}
