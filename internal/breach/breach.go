// Package breach is the register of personal data breaches (GDPR Art. 33(5)): what happened,
// since when the house knows, how long is left to notify the authority, who was told, and
// the letter to the people concerned.
package breach

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/law"
	"github.com/tillid/tillid/internal/ledger"
	"github.com/tillid/tillid/internal/mail"
	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/subject"
	"github.com/tillid/tillid/internal/web"
)

// Service keeps a house's register of breaches.
type Service struct {
	DB       *db.DB
	Plan     func() *policy.Plan
	Subjects *subject.Service
	Ledger   *ledger.Log
	Mail     *mail.Service
	House    *web.House
	Log      *slog.Logger
	Now      func() time.Time
	// Audit notes an act of a member of staff, in the transaction of the act.
	Audit func(ctx context.Context, tx *db.Tx, act, object string) error
}

// Content is what Art. 33(3) asks for, in the order of the authority's form.
type Content struct {
	What      string `json:"what"`      // nature of the breach: 33(3)(a)
	When      string `json:"when"`      // when it began and ended
	People    string `json:"people"`    // categories of people, and roughly how many
	Records   string `json:"records"`   // categories of data and records, and roughly how many
	Contact   string `json:"contact"`   // who can say more: 33(3)(b)
	Effects   string `json:"effects"`   // likely consequences: 33(3)(c)
	Measures  string `json:"measures"`  // taken and proposed: 33(3)(d)
	Delay     string `json:"delay"`     // reasons, when later than 72 hours: 33(1)
	Risk      string `json:"risk"`      // none, risk, high
	Reference string `json:"reference"` // the authority's, once notified
}

// fields are the texts of Content by name, in the form's order.
func (c *Content) fields() []field {
	return []field{
		{"what", &c.What}, {"when", &c.When}, {"people", &c.People}, {"records", &c.Records}, {"contact", &c.Contact},
		{"effects", &c.Effects}, {"measures", &c.Measures}, {"delay", &c.Delay}, {"reference", &c.Reference},
	}
}

type field struct {
	Name  string
	Value *string
}

func risks() []string { return []string{"none", "risk", "high"} }

// maxText is how many characters one field may have.
const maxText = 10_000

// missing names what Art. 33(3) wants and is empty.
func (c Content) missing() []string {
	var names []string
	for _, f := range c.fields() {
		if *f.Value == "" && f.Name != "delay" && f.Name != "reference" {
			names = append(names, f.Name)
		}
	}
	return names
}

// Breach is one row of the register.
type Breach struct {
	ID, Number string
	Aware      time.Time
	Opened     time.Time
	Notified   time.Time // the authority
	Closed     time.Time
	Deadline   time.Time // to notify the authority, by the law pack
}

// Running reports whether the clock of Art. 33 runs: not notified, and not closed as of no risk.
func (b Breach) Running() bool { return b.Notified.IsZero() && b.Closed.IsZero() }

// Late reports whether the authority was, or is by now, told too late.
func (b Breach) Late(now time.Time) bool {
	if b.Notified.IsZero() {
		return b.Running() && now.After(b.Deadline)
	}
	return b.Notified.After(b.Deadline)
}

// deed is what the sealed column of an event holds.
type deed struct {
	User    string   `json:"user,omitempty"`
	Name    string   `json:"name,omitempty"`
	Content *Content `json:"content,omitempty"`
	Text    string   `json:"text,omitempty"`
	Letter  *letter  `json:"letter,omitempty"`
}

// letter is what the people concerned are written (Art. 34), and who they are.
type letter struct {
	Purpose string    `json:"purpose"`
	From    time.Time `json:"from"`
	Until   time.Time `json:"until"`
	Text    string    `json:"text"`
	People  int       `json:"people"`
}

// happened is an event, opened.
type happened struct {
	ID, Kind string
	At       time.Time
	deed
}

// file is a breach with all that belongs to it.
type file struct {
	Breach
	Content Content
	Past    []happened
	key     *subject.Key
}

// phase says how far the handling has come, by what has happened.
func (f file) phase() string {
	phase := "open"
	for _, kind := range []string{"contained", "notified", "told", "closed"} {
		if slices.ContainsFunc(f.Past, func(h happened) bool { return h.Kind == kind }) {
			phase = kind
		}
	}
	return phase
}

// keyOf names the key of a breach: the program's own, never swept as an orphan.
func keyOf(id string) string { return "breach:" + id }

func by(ctx context.Context) deed {
	v := web.ViewerOf(ctx)
	return deed{User: v.User, Name: v.UserName}
}

// deadline is until when the authority must be notified (Art. 33(1)), by the law packs.
func (s *Service) deadline(aware time.Time) (time.Time, error) {
	packs, err := law.Load(s.Plan().Law)
	if err != nil {
		return time.Time{}, err
	}
	v, ok := packs.Value("breach_authority", aware)
	if !ok {
		return time.Time{}, fault.New(fault.Invalid, "No law pack in force says how soon a breach must be notified.").
			WithHint("Name eu-gdpr under law in tillid.yaml.").In("breach.no_law")
	}
	d, err := policy.ParseDuration(v.Value)
	if err != nil {
		return time.Time{}, fmt.Errorf("read law value: %w", err)
	}
	return d.After(aware, time.UTC), nil
}

// Open begins a breach: from when somebody in the house knew of it.
func (s *Service) Open(ctx context.Context, aware time.Time, what string) (string, error) {
	what = strings.TrimSpace(what)
	switch {
	case aware.IsZero() || aware.After(s.Now()):
		return "", fault.New(fault.Invalid, "Say when you became aware of it; not in the future.").In("breach.aware")
	case what == "" || len([]rune(what)) > maxText:
		return "", fault.New(fault.Invalid, "Say in a few words what happened.").In("breach.what")
	}
	id := db.NewID()
	keys, err := s.Subjects.Keys.New(ctx, keyOf(id))
	if err != nil {
		return "", err
	}
	b := Breach{ID: id, Number: "B-" + id[:4] + "-" + id[4:8], Aware: aware, Opened: s.Now()}
	d := by(ctx)
	d.Content = &Content{What: what, Contact: s.Plan().Rights.Email, Risk: "risk"}
	return id, s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error {
		if err := insertBreach(ctx, tx, b); err != nil {
			return err
		}
		return s.happen(ctx, tx, keys[0], id, "opened", d)
	})
}

// happen stores what happened, with its place in the audit trail and its leaf in the log.
func (s *Service) happen(ctx context.Context, tx *db.Tx, key *subject.Key, id, kind string, d deed) error {
	plain, err := json.Marshal(d)
	if err != nil {
		return fmt.Errorf("write event: %w", err)
	}
	e := event{ID: db.NewID(), Breach: id, Kind: kind, At: s.Now()}
	e.Sealed = key.Seal(place(e.ID), plain)
	if err := insertEvent(ctx, tx, e); err != nil {
		return err
	}
	if s.Audit != nil {
		if err := s.Audit(ctx, tx, "breach."+kind, id); err != nil {
			return err
		}
	}
	if kind == "saved" {
		return nil
	}
	_, err = s.Ledger.Append(ctx, tx, ledger.Leaf{Kind: "breach." + kind, At: s.Now(), Version: s.Plan().Hash, Facts: map[string]string{"breach": id}})
	return err
}

func place(id string) subject.Place {
	return subject.Place{Table: "breach_event", Row: id, Column: "sealed"}
}

// load opens a breach.
func (s *Service) load(ctx context.Context, id string) (file, error) {
	found, err := selectBreaches(ctx, s.DB, `where id = $1`, id)
	if err == nil && len(found) == 0 {
		err = fault.New(fault.NotFound, "There is no such breach.").In("breach.none")
	}
	if err != nil {
		return file{}, err
	}
	f := file{Breach: found[0]}
	if f.Deadline, err = s.deadline(f.Aware); err != nil {
		return f, err
	}
	if f.key, err = s.Subjects.Keys.Get(ctx, keyOf(id)); err != nil {
		return f, err
	}
	events, err := eventsOf(ctx, s.DB, id)
	if err != nil {
		return f, err
	}
	for _, e := range events {
		plain, err := f.key.Open(place(e.ID), e.Sealed)
		if err != nil {
			return f, fmt.Errorf("open event %s: %w", e.ID, err)
		}
		h := happened{ID: e.ID, Kind: e.Kind, At: e.At}
		if err := json.Unmarshal(plain, &h.deed); err != nil {
			return f, fmt.Errorf("read event %s: %w", e.ID, err)
		}
		if h.Content != nil {
			f.Content = *h.Content
		}
		f.Past = append(f.Past, h)
	}
	return f, nil
}

// Save keeps what is known by now; the authority's form can be filled in by and by (Art. 33(4)).
func (s *Service) Save(ctx context.Context, id string, c Content) error {
	f, err := s.load(ctx, id)
	if err != nil {
		return err
	}
	for _, t := range c.fields() {
		*t.Value = strings.TrimSpace(strings.ReplaceAll(*t.Value, "\r\n", "\n"))
		if len([]rune(*t.Value)) > maxText {
			return fault.New(fault.Invalid, "That is more than %d characters.", maxText).In("breach.long", "Max", maxText)
		}
	}
	if !slices.Contains(risks(), c.Risk) {
		return fault.New(fault.Invalid, "Choose how great the risk is.").In("breach.risk")
	}
	d := by(ctx)
	d.Content = &c
	return s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error { return s.happen(ctx, tx, f.key, id, "saved", d) })
}

// Step notes that the breach is contained, that the authority was notified, or that the case is closed.
func (s *Service) Step(ctx context.Context, id, kind string) error {
	f, err := s.load(ctx, id)
	if err != nil {
		return err
	}
	switch {
	case !f.Closed.IsZero():
		return errStep()
	case kind == "notified" && len(f.Content.missing()) > 0:
		return fault.New(fault.Invalid, "Something of Art. 33(3) is missing.").WithHint("Fill it in first; it can be said later that more is coming.").In("breach.missing")
	case kind == "notified" && s.Now().After(f.Deadline) && f.Content.Delay == "":
		return fault.New(fault.Invalid, "It is later than 72 hours: the authority wants the reasons.").In("breach.delay")
	case kind == "closed" && f.Notified.IsZero() && f.Content.Risk != "none":
		return fault.New(fault.Invalid, "The authority has not been notified, and the risk is not said to be unlikely.").In("breach.not_yet")
	case kind == "notified" && !f.Notified.IsZero(), !slices.Contains([]string{"contained", "notified", "closed"}, kind):
		return errStep()
	}
	return s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error {
		if err := markBreach(ctx, tx, id, kind, s.Now()); err != nil {
			return err
		}
		return s.happen(ctx, tx, f.key, id, kind, by(ctx))
	})
}

func errStep() error {
	return fault.New(fault.Conflict, "The breach is at another step now.").WithHint("See it again.").In("breach.step")
}

// List returns the register, those whose clock runs first.
func (s *Service) List(ctx context.Context) ([]Breach, error) {
	all, err := selectBreaches(ctx, s.DB, `order by case when notified_at is null and closed_at is null then 0 else 1 end, aware_at desc, id limit 500`)
	for i := range all {
		if all[i].Deadline, err = s.deadline(all[i].Aware); err != nil {
			return nil, err
		}
	}
	return all, err
}

// Running returns the breaches whose clock runs, for the overview's alarm.
func (s *Service) Running(ctx context.Context) ([]Breach, error) {
	all, err := s.List(ctx)
	return slices.DeleteFunc(all, func(b Breach) bool { return !b.Running() }), err
}

// Tables lists the register's tables. A breach is about the house; who was written to about it
// is kept under the purpose of no one form, as a pseudonym.
func Tables() []subject.Table {
	return []subject.Table{
		{Name: "breach", Fields: map[string]string{"number": "of the register"}},
		{Name: "breach_event", Fields: map[string]string{"sealed": "sealed: who did it, and what was written"}},
		{Name: "breach_letter", Fields: map[string]string{"person": "pseudonym of whoever was written to"}},
	}
}
