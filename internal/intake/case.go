package intake

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/file"
	"github.com/tillid/tillid/internal/job"
	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/subject"
	"github.com/tillid/tillid/internal/text"
	"github.com/tillid/tillid/internal/web"
)

// maxAnswer is how many characters an answer or a note may have.
const maxAnswer = 20_000

// deed is what the sealed column of an event holds.
type deed struct {
	User string `json:"user"` // user id
	Name string `json:"name"` // user name at the time
	Text string `json:"text,omitempty"`
	Seed string `json:"seed,omitempty"` // of an answer's Message-ID

	Outcome string `json:"outcome,omitempty"` // of a call
}

// happened is an event, opened.
type happened struct {
	Kind string
	At   time.Time
	deed
}

func eventAt(id string) subject.Place {
	return subject.Place{Table: "enquiry_event", Row: id, Column: "sealed"}
}

// note stores an event of an enquiry in tx, sealed under the enquiry's key.
func (s *Service) note(ctx context.Context, tx *db.Tx, key *subject.Key, kind string, d deed) error {
	plain, err := json.Marshal(d)
	if err != nil {
		return fmt.Errorf("write event: %w", err)
	}
	id := db.NewID()
	return insertEvent(ctx, tx, event{ID: id, Enquiry: key.Record, Kind: kind, At: s.Now(), Sealed: key.Seal(eventAt(id), plain)})
}

func (s *Service) history(ctx context.Context, key *subject.Key) ([]happened, error) {
	events, err := eventsOf(ctx, s.DB, key.Record)
	if err != nil {
		return nil, err
	}
	out := make([]happened, 0, len(events))
	for _, e := range events {
		plain, err := key.Open(eventAt(e.ID), e.Sealed)
		if err != nil {
			return nil, fmt.Errorf("open event %s: %w", e.ID, err)
		}
		h := happened{Kind: e.Kind, At: e.At}
		if err := json.Unmarshal(plain, &h.deed); err != nil {
			return nil, fmt.Errorf("read event %s: %w", e.ID, err)
		}
		out = append(out, h)
	}
	return out, nil
}

func by(ctx context.Context, body string) deed {
	v := web.ViewerOf(ctx)
	return deed{User: v.User, Name: v.UserName, Text: body}
}

// enquiryCase is one enquiry with all that belongs to it.
type enquiryCase struct {
	enquiry enquiry
	record  subject.Record
	form    *policy.Form // nil when it is no longer declared
	what    contents
	key     *subject.Key
}

func (s *Service) load(ctx context.Context, id string) (enquiryCase, error) {
	e, err := getEnquiry(ctx, s.DB, id)
	if err != nil {
		return enquiryCase{}, err
	}
	c := enquiryCase{enquiry: e, form: s.Plan().Form(e.Form)}
	if c.record, err = s.Subjects.Get(ctx, s.DB, id); err != nil {
		return enquiryCase{}, err
	}
	c.what, c.key, err = s.open(ctx, e)
	return c, err
}

// email is the address that an answer goes to; "" when there is none.
func (c enquiryCase) email() string {
	if c.form == nil {
		return ""
	}
	return given(submission{form: c.form, answers: c.what.Answers}, "email")
}

// Answer sends a member of staff's answer by mail and keeps it with the enquiry.
func (s *Service) Answer(ctx context.Context, id, body string) error {
	body, err := written(body)
	if err != nil {
		return err
	}
	c, err := s.load(ctx, id)
	if err != nil {
		return err
	}
	to := c.email()
	if to == "" {
		return fault.New(fault.Invalid, "This enquiry has no e-mail address to answer to.").In("intake.no_address")
	}
	past, err := s.history(ctx, c.key)
	if err != nil {
		return err
	}
	var earlier []string
	for _, h := range past {
		if h.Kind == "answered" {
			earlier = append(earlier, s.Mail.MessageID("answer "+h.Seed))
		}
	}
	letterKey, err := s.Mail.Prepare(ctx)
	if err != nil {
		return err
	}
	d := by(ctx, body)
	d.Seed = letterKey.Record
	m := s.answerMail(c.enquiry, c.form, body, d.Seed, earlier)
	m.To = subject.Secret(to)
	return s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error {
		if _, err := mark(ctx, tx, id, "answered_at", s.Now()); err != nil {
			return err
		}
		if err := s.note(ctx, tx, c.key, "answered", d); err != nil {
			return err
		}
		return s.Mail.Queue(ctx, tx, m, letterKey)
	})
}

// Note keeps an internal note with the enquiry; it is deleted with it.
func (s *Service) Note(ctx context.Context, id, body string) error {
	body, err := written(body)
	if err != nil {
		return err
	}
	c, err := s.load(ctx, id)
	if err != nil {
		return err
	}
	return s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error { return s.note(ctx, tx, c.key, "noted", by(ctx, body)) })
}

// written returns a text that somebody wrote, or what is wrong with it.
func written(s string) (string, error) {
	s = strings.TrimSpace(strings.ReplaceAll(s, "\r\n", "\n"))
	switch {
	case s == "":
		return "", fault.New(fault.Invalid, "Nothing was written.").In("intake.empty")
	case len([]rune(s)) > maxAnswer:
		return "", fault.New(fault.Invalid, "That is more than %d characters.", maxAnswer).In("intake.too_long", "Max", maxAnswer)
	}
	return s, nil
}

// undoTime is how long closing can be taken back before what is then due is erased.
const undoTime = time.Minute

// Closing says how an enquiry is closed.
type Closing struct {
	Drop bool // letters that wait to be sent are dropped
	Now  bool // nothing can be taken back
}

// Close closes an enquiry: a minute later, unless it is reopened before, the event
// case.closed happens to its record, and what is then due is erased. While a letter of
// the enquiry waits to be sent, closing would drop it: that must be asked for.
func (s *Service) Close(ctx context.Context, id string, how Closing) error {
	c, err := s.load(ctx, id)
	if err != nil {
		return err
	}
	at := s.Now()
	if !how.Now {
		at = at.Add(undoTime)
	}
	var record subject.Record
	err = s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error {
		unsent, err := s.Mail.Unsent(ctx, tx, id)
		if err != nil {
			return err
		}
		if unsent > 0 && !how.Drop {
			return fault.New(fault.Conflict, "An answer to this enquiry has not been sent yet.").
				WithHint("Wait until it is sent, or close without sending it.").In("intake.unsent")
		}
		if record, err = s.closeIn(ctx, tx, c, at); err != nil {
			return err
		}
		if how.Now {
			return nil
		}
		return job.Add(ctx, tx, closeJob, ref{id}, at, "")
	})
	if err != nil || record.Due.After(s.Now()) {
		return err
	}
	return s.Erase(ctx, []subject.Record{record}, "closed")
}

// closeIn notes that an enquiry is closed, and that its event counts from a moment.
func (s *Service) closeIn(ctx context.Context, tx *db.Tx, c enquiryCase, at time.Time) (record subject.Record, err error) {
	id := c.enquiry.ID
	first, err := mark(ctx, tx, id, "closed_at", s.Now())
	if err == nil && first {
		err = s.note(ctx, tx, c.key, "closed", by(ctx, ""))
	}
	if err != nil {
		return record, err
	}
	for _, event := range closing(c.enquiry.Kind) {
		if record, err = s.Subjects.TriggerAt(ctx, tx, id, event, at); err != nil {
			return record, err
		}
	}
	return record, nil
}

// eraseClosed erases an enquiry whose closing was not taken back.
func (s *Service) eraseClosed(ctx context.Context, payload []byte) error {
	var r ref
	if err := json.Unmarshal(payload, &r); err != nil {
		return fmt.Errorf("read payload: %w", err)
	}
	e, err := getEnquiry(ctx, s.DB, r.ID)
	if fault.Of(err).Kind == fault.NotFound || err == nil && e.State != "closed" {
		return nil
	}
	if err != nil {
		return err
	}
	record, err := s.Subjects.Get(ctx, s.DB, r.ID)
	if err != nil || record.Triggered.IsZero() || record.Due.After(s.Now()) {
		return err
	}
	return s.Erase(ctx, []subject.Record{record}, "closed")
}

// Reopen takes back that an enquiry was closed, while it exists.
func (s *Service) Reopen(ctx context.Context, id string) error {
	c, err := s.load(ctx, id)
	if err != nil {
		return err
	}
	return s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error {
		done, err := reopen(ctx, tx, id)
		if err != nil || !done {
			return err
		}
		if _, err := s.Subjects.Undo(ctx, tx, id); err != nil {
			return err
		}
		return s.note(ctx, tx, c.key, "reopened", by(ctx, ""))
	})
}

// closing lists the events that closing an enquiry is.
func closing(kind string) []string {
	if kind == "callback" {
		return []string{"call.ended", "case.closed"}
	}
	return []string{"case.closed"}
}

// Release takes an enquiry out of quarantine and does what was held back.
func (s *Service) Release(ctx context.Context, id string) error {
	c, err := s.load(ctx, id)
	if err != nil {
		return err
	}
	return s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error {
		done, err := release(ctx, tx, id)
		if err != nil || !done {
			return err
		}
		if err := s.note(ctx, tx, c.key, "released", by(ctx, "")); err != nil || c.form == nil {
			return err
		}
		c.enquiry.Quarantine = "" // its receipt and copies follow now
		return s.actOn(ctx, tx, c.enquiry, submission{form: c.form, answers: c.what.Answers}, c.record)
	})
}

// shown returns an enquiry's answers with their labels in l.
func (c enquiryCase) shown(l text.Lang) []subject.Shown {
	var out []subject.Shown
	for _, a := range c.what.Answers {
		v := subject.Shown{Label: a.Name, Value: subject.Secret(a.Value), Given: true}
		if c.form != nil {
			v = labelled(c.form, c.what.Ticks, a, l)
		}
		out = append(out, v)
	}
	return out
}

// shownFile names a file with the label of its field.
func (c enquiryCase) shownFile(f file.File, l text.Lang) subject.Shown {
	v := subject.Shown{Label: cmp.Or(f.Field, text.T(l, "intake.letter.file")), Value: subject.Secret(f.Name + " (" + text.Bytes(l, f.Size) + ")")}
	if c.form == nil {
		return v
	}
	if field := fileField(c.form, f.Field); field != nil {
		v.Label, v.Data = field.Label.In(l), field.Data
	}
	return v
}

// fetch returns a file of an enquiry; that it was fetched is noted first.
func (s *Service) fetch(ctx context.Context, id, fileID string) (file.File, *subject.Key, error) {
	c, err := s.load(ctx, id)
	if err != nil {
		return file.File{}, nil, err
	}
	f, err := s.Files.Find(ctx, s.DB, c.key, fileID)
	if err != nil {
		return file.File{}, nil, err
	}
	err = s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error { return s.note(ctx, tx, c.key, "fetched", by(ctx, f.Name)) })
	return f, c.key, err
}

func labelled(form *policy.Form, ticks []proof, a answer, l text.Lang) subject.Shown {
	v := subject.Shown{Label: a.Name, Value: subject.Secret(a.Value), Given: true}
	for _, f := range form.Fields {
		if f.Name != a.Name {
			continue
		}
		v.Label, v.Data = f.Label.In(l), f.Data
		if f.Type != "consent" && f.Type != "choice" && f.Type != "file" {
			v.Name = f.Name // such a value can be corrected by writing another
		}
		for _, c := range f.Choices {
			if f.Type == "choice" && c.ID == a.Value {
				v.Value = subject.Secret(c.Label.In(l))
			}
		}
		if f.Type == "consent" {
			v.Value = subject.Secret(text.T(l, "intake.yes"))
		}
	}
	for _, t := range ticks {
		if t.Name == a.Name {
			v.Label, v.Value = t.Text, subject.Secret(text.T(l, "intake.yes"))
		}
	}
	return v
}
