// Package subject knows about whom something is held: persons (random
// pseudonyms), their identifiers, the records that features keep about them,
// the key of each record, and what a feature must be able to do with its
// records (Holder).
package subject

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"time"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/text"
)

// PersonID is the random pseudonym of a person.
type PersonID string

// Secret is personal data in a value that no log and no error prints.
type Secret string

func (Secret) String() string       { return "[personal]" }
func (Secret) GoString() string     { return "[personal]" }
func (Secret) LogValue() slog.Value { return slog.StringValue("[personal]") }

// Reveal returns the value itself; call it only where it is shown, sent or sealed.
func (s Secret) Reveal() string { return string(s) }

// Identifier kinds.
const (
	Email   = "email"
	Phone   = "phone"
	Visitor = "visitor" // the consent cookie's random id
)

// Record is one thing that is held about a person and expires as one: an
// enquiry, a consent, an application. It has one key in the key store, under its
// ID, and one row in the register of records, which every feature shares: so
// that finding a person, deadlines, and erasing exist once.
type Record struct {
	ID        string
	Person    PersonID
	Holder    string // name of the feature, for example intake
	Kind      string // for example enquiry
	Purpose   string
	Rule      string // retention rule of the declaration
	Version   string // hash of the declaration it was collected under
	Received  time.Time
	Triggered time.Time // when the rule's event happened; zero while it has not
	Due       time.Time // when it goes: policy.Plan.Due
	Dated     time.Time // when Due was set last
	Promise   string    // the rule's period when it was collected: PromiseOf; "" for records from before it was kept
}

// Holder is a feature that keeps data about people. It only says what it holds
// and removes it when told; package erase alone decides, so that holds, floors,
// dry runs and certificates exist once.
type Holder interface {
	Name() string
	// Tables lists every table it owns.
	Tables() []Table
	// Show returns what a record holds, in words for the person.
	Show(ctx context.Context, q db.Queryer, r Record, l text.Lang) (View, error)
	// Apply deletes (or anonymises) all rows of a record in tx. It does not
	// touch keys, the register or other holders. It is idempotent.
	Apply(ctx context.Context, tx *db.Tx, r Record, act Act) (Receipt, error)
}

// Act is what erase tells a holder to do.
type Act string

const (
	Delete    Act = "delete"
	Anonymise Act = "anonymise"
)

// Receipt says what a holder removed: rows per table. No personal data.
type Receipt struct {
	Rows map[string]int `json:"rows"`
}

// Table is a table of the database that holds data about people.
type Table struct {
	Name     string
	Purposes []string          // what the declaration's purposes may be; nil: that of the record
	Fields   map[string]string // column → what it is ("sealed answers")
}

// View is what a record holds, as its person sees it.
type View struct {
	Title  string
	Fields []Shown
	Files  []ShownFile
}

// ShownFile is a file of a record; a Filer has its content.
type ShownFile struct {
	ID, Name  string
	MediaType string
	Size      int64  // bytes
	SHA256    string // of the content, hexadecimal
}

// Filer is a Holder whose records have files.
type Filer interface {
	// File returns a file's content as it came; a fault when it is gone, or is not given out.
	File(ctx context.Context, r Record, id string) (io.ReadSeeker, error)
}

// Shown is one value of a View.
type Shown struct {
	Label string
	Value Secret
	Data  string // category of the declaration
	Name  string // of the field, where it can be corrected or must be reviewed; stable
	Given bool   // the person gave it themselves (Art. 20)
	Free  bool   // staff's free text, which may speak of others: reviewed before its person gets it (Art. 15(4))
}

// Corrector is a Holder whose records can be corrected (Art. 16).
type Corrector interface {
	// Correct returns what writes new values of a record's fields, by Shown.Name; a fault
	// of kind Invalid when one cannot stand there. It runs outside transactions.
	Correct(ctx context.Context, r Record, values map[string]Secret) (func(context.Context, *db.Tx) error, error)
}

// Service finds and registers persons and records.
type Service struct {
	DB    *db.DB
	Keys  *Keys
	Plan  func() *policy.Plan // the declaration in force
	Now   func() time.Time
	Index []byte // key of the keyed hash

	// Claims say which of the ids are those of keys that a feature uses for
	// something that is not in the register. Sweep leaves those alone.
	Claims []func(ctx context.Context, q db.Queryer, ids []string) ([]string, error)
}

// Identify returns the person with that identifier, making the person when
// there is none. p comes fresh from PrepareIdentifier, before the transaction.
func (s *Service) Identify(ctx context.Context, tx *db.Tx, p *Prepared) (PersonID, error) {
	person, ok, err := personOf(ctx, tx, p.Kind, p.lookup)
	if err != nil {
		return "", err
	}
	if ok {
		return person, s.Lock(ctx, tx, person)
	}
	person, now := PersonID(db.NewID()), db.Time{Time: s.Now()}
	if err := insertPerson(ctx, tx, person, now); err != nil {
		return "", err
	}
	value := p.key.Seal(identifierPlace(p.key.Record), []byte(p.Value.Reveal()))
	return person, insertIdentifier(ctx, tx, p.key.Record, person, p.Kind, p.lookup, value, now)
}

// Unknown makes a person without an identifier: somebody who wrote a letter.
func (s *Service) Unknown(ctx context.Context, tx *db.Tx) (PersonID, error) {
	person := PersonID(db.NewID())
	return person, insertPerson(ctx, tx, person, db.Time{Time: s.Now()})
}

func identifierPlace(id string) Place { return Place{"identifier", id, "value"} }

// Find returns the person with that identifier; ok is false when there is none.
func (s *Service) Find(ctx context.Context, q db.Queryer, kind string, value Secret) (p PersonID, ok bool, err error) {
	lookup, err := s.lookup(kind, value)
	if err != nil {
		return "", false, err
	}
	return personOf(ctx, q, kind, lookup)
}

// Identifiers returns a person's identifiers, opened. It reads the key store:
// call it outside transactions. An identifier whose key is gone is left out.
func (s *Service) Identifiers(ctx context.Context, q db.Queryer, p PersonID) (map[string][]Secret, error) {
	rows, err := identifiersOf(ctx, q, p)
	if err != nil {
		return nil, err
	}
	ids := map[string][]Secret{}
	for _, row := range rows {
		key, err := s.Keys.Get(ctx, row.id)
		if fault.Of(err).Kind == fault.Gone {
			continue
		}
		if err != nil {
			return nil, err
		}
		value, err := key.Open(identifierPlace(row.id), row.value)
		if err != nil {
			return nil, err
		}
		ids[row.kind] = append(ids[row.kind], Secret(value))
	}
	return ids, nil
}

// Add registers a record. It fills in Version, Rule (policy.Plan.RuleOf) and Due from the
// plan; a purpose without a rule is refused (E2), an unknown purpose too (E1).
func (s *Service) Add(ctx context.Context, tx *db.Tx, r Record) (Record, error) {
	if r.ID == "" || r.Person == "" || r.Holder == "" || r.Kind == "" {
		return Record{}, errors.New("add record: id, person, holder and kind are needed")
	}
	plan := s.Plan()
	if plan.Purpose(r.Purpose) == nil {
		return Record{}, fault.New(fault.Invalid, "The purpose %q is not declared.", r.Purpose).
			WithHint("Declare it under purposes in tillid.yaml and publish.").In("subject.purpose")
	}
	rule := plan.RuleOf(r.Purpose, "")
	if r.Rule != "" {
		rule = plan.Rule(r.Rule)
	}
	if rule == nil || rule.Purpose != r.Purpose {
		return Record{}, fault.New(fault.Invalid, "The purpose %q has no retention rule.", r.Purpose).
			WithHint("Declare one under retention in tillid.yaml and publish: nothing is kept without one.").In("subject.rule")
	}
	if r.Received.IsZero() {
		r.Received = s.Now()
	}
	if rule.Trigger == "received" {
		r.Triggered = r.Received
	}
	r.Rule, r.Version, r.Due = rule.ID, plan.Hash, plan.Due(rule, r.Received, r.Triggered)
	r.Dated, r.Promise = s.Now(), PromiseOf(rule)
	if r.Due.IsZero() {
		return Record{}, fault.New(fault.Invalid, "The retention rule %q gives no date.", rule.ID).
			WithHint("Give it an at_latest.").In("subject.rule")
	}
	return r, insertRecord(ctx, tx, r)
}

// Trigger notes that an event (for example case.closed) happened to a record
// now, and sets when it goes. An event that the record's rule does not wait for
// changes nothing.
func (s *Service) Trigger(ctx context.Context, tx *db.Tx, recordID, event string) (Record, error) {
	return s.TriggerAt(ctx, tx, recordID, event, s.Now())
}

// TriggerAt is Trigger for an event that counts from a moment, now or soon.
func (s *Service) TriggerAt(ctx context.Context, tx *db.Tx, recordID, event string, at time.Time) (Record, error) {
	r, err := s.Get(ctx, tx, recordID)
	if err != nil {
		return Record{}, err
	}
	due, waits := s.dueAfter(r, event, at)
	if !waits {
		return r, nil
	}
	r.Triggered, r.Due, r.Dated = at, due, s.Now()
	return r, updateDue(ctx, tx, r)
}

// Undo takes back that a record's event happened: it goes at its latest date again.
func (s *Service) Undo(ctx context.Context, tx *db.Tx, recordID string) (Record, error) {
	r, err := s.Get(ctx, tx, recordID)
	if err != nil {
		return Record{}, err
	}
	rules := s.rulesOf(r)
	if len(rules) == 0 || rules[0].Trigger == "received" {
		return r, nil
	}
	r.Triggered, r.Dated = time.Time{}, s.Now()
	if due, _ := s.dueAfter(r, "", time.Time{}); !due.IsZero() {
		r.Due = due
	}
	return r, updateDue(ctx, tx, r)
}

// DueBy makes a record go at a moment at the latest; one that goes earlier stays as it is.
func (s *Service) DueBy(ctx context.Context, tx *db.Tx, r Record, at time.Time) (Record, error) {
	if !at.Before(r.Due) {
		return r, nil
	}
	r.Due, r.Dated = at, s.Now()
	return r, updateDue(ctx, tx, r)
}

// Get returns one record; a fault of kind NotFound when there is none.
func (s *Service) Get(ctx context.Context, q db.Queryer, id string) (Record, error) {
	records, err := selectRecords(ctx, q, `where id = $1`, id)
	if err != nil {
		return Record{}, err
	}
	if len(records) == 0 {
		return Record{}, fault.New(fault.NotFound, "There is no such record.").In("subject.record")
	}
	return records[0], nil
}

// Of returns a person's records, oldest first.
func (s *Service) Of(ctx context.Context, q db.Queryer, p PersonID) ([]Record, error) {
	return selectRecords(ctx, q, `where person = $1 order by received_at, id`, string(p))
}

// Due returns at most limit records that are due at a moment, longest due first.
func (s *Service) Due(ctx context.Context, q db.Queryer, at time.Time, limit int) ([]Record, error) {
	return s.DueAfter(ctx, q, at, Record{}, limit)
}

// DueAfter is Due for the records that come after last; it reads on, page by page.
func (s *Service) DueAfter(ctx context.Context, q db.Queryer, at time.Time, last Record, limit int) ([]Record, error) {
	if last.ID == "" {
		return selectRecords(ctx, q, `where due_at <= $1 order by due_at, id limit $2`, db.Time{Time: at}, limit)
	}
	return selectRecords(ctx, q, `where due_at <= $1 and (due_at > $2 or (due_at = $2 and id > $3)) order by due_at, id limit $4`,
		db.Time{Time: at}, db.Time{Time: last.Due}, last.ID, limit)
}
