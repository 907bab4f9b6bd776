package policy

import "time"

// Plan is a compiled declaration: immutable, references resolved, hashed. Every
// feature reads it; none changes it or has settings of its own beside it.
type Plan struct {
	Declaration        // read only; no field of it may be written after Compile
	Hash        string // sha256 (hex) over the canonical form, the files referred to and the law packs
	Source      []byte // the file as read
	Loc         *time.Location
	positions   map[string]Pos
}

// Pos is a place in the declaration file. Line and column count from 1.
type Pos struct {
	File      string
	Line, Col int
}

// Problem is one fault of a declaration file.
type Problem struct {
	Pos  Pos
	Path string // for example purposes.answer_enquiry.legal_basis.art
	Msg  string // one sentence (English)
	Hint string // what to do, often "did you mean …?"
	Text string // the line of the file
}

// Files reads the files that a declaration refers to (agreements, logo); the
// name is relative to the declaration. It is nil where none can be read.
type Files interface {
	ReadFile(name string) ([]byte, error)
}

// At returns the place of path (for example "purposes.answer_enquiry") in the file.
// For a path that is not in the file it returns the nearest parent's place.
func (p *Plan) At(path string) Pos { panic("helper POLICY writes this") }

// Lookups return the entry with that id, or nil.
func (p *Plan) Purpose(id string) *Purpose                 { panic("helper POLICY writes this") }
func (p *Plan) Party(id string) *Party                     { panic("helper POLICY writes this") }
func (p *Plan) Engagement(id string) *Engagement           { panic("helper POLICY writes this") }
func (p *Plan) DataCategory(id string) *DataCategory       { panic("helper POLICY writes this") }
func (p *Plan) SubjectCategory(id string) *SubjectCategory { panic("helper POLICY writes this") }
func (p *Plan) Service(id string) *Service                 { panic("helper POLICY writes this") }
func (p *Plan) Form(id string) *Form                       { panic("helper POLICY writes this") }
func (p *Plan) Rule(id string) *Rule                       { panic("helper POLICY writes this") }
func (p *Plan) SiteByHost(host string) *Site               { panic("helper POLICY writes this") }

// RulesFor returns the retention rules of a purpose, in the file's order.
func (p *Plan) RulesFor(purpose string) []*Rule { panic("helper POLICY writes this") }

// RuleOf returns the one rule that governs data of category data collected for
// purpose: a rule that names the category, else the purpose's rule without data.
func (p *Plan) RuleOf(purpose, data string) *Rule { panic("helper POLICY writes this") }

// Due returns when a record under r goes: the earlier of triggered + duration
// and received + at_latest. A zero triggered means that the event has not
// happened; then only at_latest counts (for trigger received, triggered is received).
func (p *Plan) Due(r *Rule, received, triggered time.Time) time.Time {
	panic("helper POLICY writes this")
}

// RecipientsOf returns the engagements that get data of purpose.
func (p *Plan) RecipientsOf(purpose string) []*Engagement { panic("helper POLICY writes this") }

// Gated returns the services that need consent, grouped nowhere, in the file's order.
func (p *Plan) Gated() []*Service { panic("helper POLICY writes this") }

// DeviceOf returns the device access rows that service sets.
func (p *Plan) DeviceOf(service string) []*DeviceAccess { panic("helper POLICY writes this") }

// ConsentPurposes returns the purposes that website visitors are asked about:
// those on consent that a gated service or device access uses, in the file's order.
func (p *Plan) ConsentPurposes() []*Purpose { panic("helper POLICY writes this") }

// Rights of the GDPR as computed from legal bases.
type Right string

const (
	Access          Right = "access"           // Art. 15
	Rectification   Right = "rectification"    // Art. 16
	Erasure         Right = "erasure"          // Art. 17
	Restriction     Right = "restriction"      // Art. 18
	Portability     Right = "portability"      // Art. 20: consent and contract only
	Objection       Right = "objection"        // Art. 21: 6(1)(e), (f)
	ObjectMarketing Right = "object_marketing" // Art. 21(2)
	Withdraw        Right = "withdraw"         // Art. 7(3)
	Complaint       Right = "complaint"        // Art. 77
	NoAutomated     Right = "no_automated"     // Art. 22
)

// RightsOf returns the rights that hold for a purpose, computed from its legal basis.
func (p *Plan) RightsOf(purpose string) []Right { panic("helper POLICY writes this") }

// Parse reads a declaration. It returns every problem of shape and reference;
// the Plan is nil when there is one. name is used in places only.
func Parse(name string, src []byte, files Files) (*Plan, []Problem) {
	panic("helper POLICY writes this")
}
