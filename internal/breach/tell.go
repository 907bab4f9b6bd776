package breach

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/job"
	"github.com/tillid/tillid/internal/mail"
	"github.com/tillid/tillid/internal/subject"
	"github.com/tillid/tillid/internal/text"
)

const tellJob = "breach.tell"

type tellPayload struct {
	Breach string `json:"breach"`
	Event  string `json:"event"`
	After  string `json:"after"`
}

// Jobs returns the work of the package by kind.
func (s *Service) Jobs() map[string]func(context.Context, []byte) error {
	return map[string]func(context.Context, []byte) error{tellJob: s.tell}
}

// page is how many people are written to in one job.
const page = 100

// Tell writes to the people concerned (Art. 34): those about whom something is held for a
// purpose that came in a period. Who has no e-mail address on file must be reached otherwise.
func (s *Service) Tell(ctx context.Context, id string, l letter) error {
	f, err := s.load(ctx, id)
	if err != nil {
		return err
	}
	if l, err = s.checked(l); err != nil {
		return err
	}
	if l.People, err = s.count(ctx, l); err != nil {
		return err
	}
	if l.People == 0 {
		return fault.New(fault.Invalid, "Nobody is concerned by that choice.").In("breach.nobody")
	}
	d := by(ctx)
	d.Letter = &l
	return s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error {
		if err := s.happen(ctx, tx, f.key, id, "told", d); err != nil {
			return err
		}
		return job.Add(ctx, tx, tellJob, tellPayload{Breach: id}, s.Now(), "")
	})
}

func (s *Service) checked(l letter) (letter, error) {
	l.Text = strings.TrimSpace(strings.ReplaceAll(l.Text, "\r\n", "\n"))
	switch {
	case s.Plan().Purpose(l.Purpose) == nil:
		return l, fault.New(fault.Invalid, "Choose what was held about the people concerned.").In("breach.purpose")
	case l.From.IsZero() || !l.Until.After(l.From):
		return l, fault.New(fault.Invalid, "Choose the period in which it came.").In("breach.period")
	case l.Text == "" || len([]rune(l.Text)) > maxText:
		return l, fault.New(fault.Invalid, "Write what happened and what the people can do.").In("breach.letter")
	}
	return l, nil
}

// count counts the people concerned.
func (s *Service) count(ctx context.Context, l letter) (int, error) {
	n, after := 0, subject.PersonID("")
	for {
		some, err := concerned(ctx, s.DB, l, after, 1000)
		if err != nil || len(some) == 0 {
			return n, err
		}
		n, after = n+len(some), some[len(some)-1]
	}
}

// tell writes to some of the people, and asks for the next. It may run again: nobody is
// written to twice.
func (s *Service) tell(ctx context.Context, payload []byte) error {
	var p tellPayload
	if err := json.Unmarshal(payload, &p); err != nil {
		return fmt.Errorf("read payload: %w", err)
	}
	f, err := s.load(ctx, p.Breach)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(f.Past, func(h happened) bool {
		return h.Kind == "told" && h.Letter != nil && (p.Event == "" || p.Event == h.ID)
	})
	if i < 0 {
		return nil
	}
	if p.Event == "" { // the newest
		for j, h := range f.Past {
			if h.Kind == "told" {
				i = j
			}
		}
		p.Event = f.Past[i].ID
	}
	people, err := concerned(ctx, s.DB, *f.Past[i].Letter, subject.PersonID(p.After), page)
	if err != nil || len(people) == 0 {
		return err
	}
	for _, person := range people {
		if err := s.write(ctx, f, *f.Past[i].Letter, person); err != nil {
			return err
		}
	}
	p.After = string(people[len(people)-1])
	return s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error { return job.Add(ctx, tx, tellJob, p, s.Now(), "") })
}

func (s *Service) write(ctx context.Context, f file, l letter, p subject.PersonID) error {
	known, err := s.Subjects.Identifiers(ctx, s.DB, p)
	if err != nil || len(known[subject.Email]) == 0 {
		return err
	}
	key, err := s.Mail.Prepare(ctx)
	if err != nil {
		return err
	}
	m := s.letterTo(f, l)
	m.To = known[subject.Email][0]
	return s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error {
		if first, err := firstLetter(ctx, tx, f.ID, p, s.Now()); err != nil || !first {
			return err
		}
		return s.Mail.Queue(ctx, tx, m, key)
	})
}

// letterTo is the letter of Art. 34(2): what happened in plain words, who can say more, what
// may follow from it, what was and can be done. The last three stand firm.
func (s *Service) letterTo(f file, l letter) mail.Message {
	plan := s.Plan()
	lang, name := plan.Languages[0], plan.Controller.LegalName
	t := func(id string, kv ...any) string { return text.T(lang, "breach.mail."+id, kv...) }
	m := mail.Message{Subject: t("subject", "Name", name), ReplyTo: plan.Rights.Email}
	return m.Write(mail.Letter{Lang: lang, Brand: name, Footer: t("footer"), Blocks: []mail.Block{
		{Text: t("about", "Name", name)}, {Text: l.Text},
		{Heading: t("effects")}, {Text: f.Content.Effects},
		{Heading: t("measures")}, {Text: f.Content.Measures},
		{Text: t("contact", "Contact", f.Content.Contact)},
	}})
}

// until is the end of the day of t.
func until(t time.Time) time.Time { return t.AddDate(0, 0, 1) }
