// Package subject knows about whom something is held: persons (random
// pseudonyms), their identifiers, the records that features keep about them,
// the key of each record, and what a feature must be able to do with its
// records (Holder).
package subject

import (
	"context"
	"log/slog"
	"time"

	"github.com/tillid/tillid/internal/db"
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
}

// Shown is one value of a View.
type Shown struct {
	Label string
	Value Secret
	Data  string // category of the declaration
}

// Service finds and registers persons and records.
type Service struct {
	DB    *db.DB
	Keys  *Keys
	Plan  func() *policy.Plan // the declaration in force
	Now   func() time.Time
	Index []byte // key of the keyed hash
}

// Identify returns the person with that identifier, making the person when
// there is none. key is the fresh key of the identifier's own record, made by
// the caller before the transaction with PrepareIdentifier.
func (s *Service) Identify(ctx context.Context, tx *db.Tx, p *Prepared) (PersonID, error) {
	panic("helper FORGET writes this")
}

// Prepared is an identifier with a durable key, ready for Identify.
type Prepared struct {
	Kind  string
	Value Secret
	key   *Key
}

// PrepareIdentifier makes the key of a (perhaps new) identifier. It runs before
// the transaction: key first and durable, then data. A key that is not used
// in the end is swept.
func (s *Service) PrepareIdentifier(ctx context.Context, kind string, value Secret) (*Prepared, error) {
	panic("helper FORGET writes this")
}

// Find returns the person with that identifier; ok is false when there is none.
func (s *Service) Find(ctx context.Context, q db.Queryer, kind string, value Secret) (p PersonID, ok bool, err error) {
	panic("helper FORGET writes this")
}

// Identifiers returns a person's identifiers, opened.
func (s *Service) Identifiers(ctx context.Context, q db.Queryer, p PersonID) (map[string][]Secret, error) {
	panic("helper FORGET writes this")
}

// Add registers a record. It fills in Version, Rule (policy.Plan.RuleOf) and Due from the
// plan; a purpose without a rule is refused (E2), an unknown purpose too (E1).
func (s *Service) Add(ctx context.Context, tx *db.Tx, r Record) (Record, error) {
	panic("helper FORGET writes this")
}

// Trigger notes that an event (for example case.closed) happened to a record
// now, and sets when it goes.
func (s *Service) Trigger(ctx context.Context, tx *db.Tx, recordID, event string) (Record, error) {
	panic("helper FORGET writes this")
}

// Get, Of, Due: one record; a person's records; the records due at a moment, oldest first.
func (s *Service) Get(ctx context.Context, q db.Queryer, id string) (Record, error) {
	panic("helper FORGET writes this")
}
func (s *Service) Of(ctx context.Context, q db.Queryer, p PersonID) ([]Record, error) {
	panic("helper FORGET writes this")
}
func (s *Service) Due(ctx context.Context, q db.Queryer, at time.Time, limit int) ([]Record, error) {
	panic("helper FORGET writes this")
}
