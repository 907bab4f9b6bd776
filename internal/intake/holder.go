package intake

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/tillid/tillid/internal/connect"
	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/subject"
	"github.com/tillid/tillid/internal/text"
)

var (
	_ subject.Holder = (*Service)(nil)
	_ subject.Filer  = (*Service)(nil)
)

// Name is the feature's name in the register of records.
func (s *Service) Name() string { return holder }

// Tables lists the tables of enquiries.
func (s *Service) Tables() []subject.Table {
	return []subject.Table{
		{Name: "enquiry", Fields: map[string]string{
			"number": "case number", "form": "form that was used", "lang": "language of the form",
			"idem": "keyed hash of the answers, so that a repeated post is one case", "sealed": "sealed answers",
			"leaf": "leaf in the log", "promise": "signed promise given to the sender",
		}},
		{Name: "enquiry_event", Fields: map[string]string{"sealed": "sealed: who opened, answered or noted, and what was written"}},
	}
}

// Show returns what an enquiry holds, in words for its person: what was sent,
// what was answered and noted, and who opened it when.
func (s *Service) Show(ctx context.Context, q db.Queryer, r subject.Record, l text.Lang) (subject.View, error) {
	e, err := getEnquiry(ctx, q, r.ID)
	if err != nil {
		return subject.View{}, err
	}
	c := enquiryCase{enquiry: e, record: r, form: s.Plan().Form(e.Form)}
	if c.what, c.key, err = s.open(ctx, e); err != nil {
		return subject.View{}, err
	}
	label := e.Form
	if c.form != nil {
		label = c.form.Label.In(l)
	}
	v := subject.View{Title: text.T(l, "intake.view.title", "Form", label, "Number", e.Number), Fields: c.shown(l)}
	files, err := s.Files.Of(ctx, q, c.key)
	if err != nil {
		return subject.View{}, err
	}
	for _, f := range files {
		v.Fields = append(v.Fields, c.shownFile(f, l))
		v.Files = append(v.Files, subject.ShownFile{ID: f.ID, Name: f.Name, MediaType: f.MediaType(), Size: f.Size, SHA256: f.Digest})
	}
	past, err := s.history(ctx, c.key)
	if err != nil {
		return subject.View{}, err
	}
	for _, h := range past {
		when := text.Moment(l, h.At.In(s.Plan().Loc))
		words := text.T(l, "intake.view.staff")
		if h.Text != "" && h.Kind != "assigned" && h.Kind != "handed" { // a colleague's name is the colleague's
			words = h.Text
		}
		if h.Outcome != "" {
			words = strings.TrimSpace(text.T(l, "intake.outcome."+h.Outcome) + "\n" + h.Text)
		}
		v.Fields = append(v.Fields, subject.Shown{Label: text.T(l, "intake.view."+h.Kind, "At", when), Value: subject.Secret(words)})
	}
	return v, nil
}

// File gives what its sender attached back to them (subject.Filer).
func (s *Service) File(ctx context.Context, r subject.Record, id string) (io.ReadSeeker, error) {
	e, err := getEnquiry(ctx, s.DB, r.ID)
	if err != nil {
		return nil, err
	}
	_, key, err := s.open(ctx, e)
	if err != nil {
		return nil, err
	}
	f, err := s.Files.Find(ctx, s.DB, key, id)
	if err != nil {
		return nil, err
	}
	return s.Files.Open(ctx, key, f)
}

// Apply deletes an enquiry, what happened to it, and its unsent letters. Nothing
// of an enquiry is worth keeping without its person: to anonymise is to delete.
func (s *Service) Apply(ctx context.Context, tx *db.Tx, r subject.Record, _ subject.Act) (subject.Receipt, error) {
	enquiries, events, err := removeEnquiry(ctx, tx, r.ID)
	letters, err2 := s.Mail.DropFor(ctx, tx, r.ID)
	files, chunks, err3 := s.Files.DropFor(ctx, tx, r.ID)
	receipt := subject.Receipt{Rows: map[string]int{"enquiry": enquiries, "enquiry_event": events, "mail": letters}}
	if files > 0 {
		receipt.Rows["file"], receipt.Rows["file_chunk"] = files, chunks
	}
	return receipt, errors.Join(err, err2, err3)
}

// Fields returns what of an enquiry an engagement gets: only the categories of
// data that are declared for it (connect.Service.Fields).
func (s *Service) Fields(ctx context.Context, r subject.Record, engagement string) (connect.Outbound, error) {
	c, err := s.load(ctx, r.ID)
	if err != nil {
		return connect.Outbound{}, err
	}
	plan := s.Plan()
	l, label := plan.Languages[0], c.enquiry.Form
	if c.form != nil {
		label = c.form.Label.In(l)
	}
	out := connect.Outbound{Record: r.ID, Kind: c.enquiry.Kind, Subject: text.T(l, "intake.view.title", "Form", label, "Number", c.enquiry.Number)}
	for _, f := range c.shown(l) {
		if declared(plan, engagement, r.Purpose, f.Data) {
			out.Fields = append(out.Fields, f)
		}
	}
	return out, nil
}

// declared reports whether an engagement gets data of a category.
func declared(plan *policy.Plan, engagement, purpose, data string) bool {
	e, p := plan.Engagement(engagement), plan.Purpose(purpose)
	switch {
	case e == nil || p == nil || data == "":
		return false
	case len(e.Data) > 0:
		return slices.Contains(e.Data, data)
	default:
		return slices.Contains(p.Data, data)
	}
}

// Consented reports whether the sender ticked a consent to one of an
// engagement's purposes (connect.Service.Consented).
func (s *Service) Consented(ctx context.Context, q db.Queryer, r subject.Record, engagement string) (bool, error) {
	e, err := getEnquiry(ctx, q, r.ID)
	if err != nil {
		return false, err
	}
	form, to := s.Plan().Form(e.Form), s.Plan().Engagement(engagement)
	return form != nil && to != nil && consented(form, e.Consents, to.Purposes), nil
}
