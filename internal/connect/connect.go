// Package connect is how data reaches a processor and how it is called back:
// the Processor contract, the outbox, foreign references and the log of
// disclosures. Each real system is one package below it, with its simulator.
package connect

import (
	"context"
	"time"

	"github.com/tillid/tillid/internal/subject"
)

// Reference is the kind of Identifier by which a system finds what we sent
// when its answer was lost: the id of our record, which every Send carries.
const Reference = "reference"

// Processor is an outside system that holds data about people for us.
type Processor interface {
	Describe() Semantics
	// Send hands over a record. It is idempotent under key.
	Send(ctx context.Context, out Outbound, key string) (Ref, Receipt, error)
	// Resolve finds what the system holds about identifiers that we never sent.
	Resolve(ctx context.Context, ids []Identifier) ([]Ref, error)
	Erase(ctx context.Context, ref Ref, key string) (Receipt, error)
	// Purge is the second phase where Erase only marks; nil error when there is none.
	Purge(ctx context.Context, ref Ref, key string) (Receipt, error)
	// Probe answers from a search, not from the status of the delete call.
	Probe(ctx context.Context, ref Ref) (Presence, error)
}

// Semantics is how deletion works at a system; the planner and the letters read it.
type Semantics struct {
	System   string
	TwoPhase bool
	Lag      time.Duration // Erase acknowledged → gone
	Objects  []string
}

// Outbound is what is handed over.
type Outbound struct {
	Record  string
	Kind    string
	Subject string
	Fields  []subject.Shown
}

// Identifier is an identifier of a person, for Resolve.
type Identifier struct {
	Kind  string
	Value subject.Secret
}

// Ref names an object at the system. It may be personal data there: it is kept sealed.
type Ref struct {
	Object    string `json:"object"`
	ID        string `json:"id"`
	Reference string `json:"reference,omitempty"` // the id of our record, where the object carries it
}

// Same reports whether both name one object. Systems that move or merge give
// objects new ids; our own reference stays.
func (r Ref) Same(o Ref) bool {
	return r.Object == o.Object && (r.ID == o.ID || (r.Reference != "" && r.Reference == o.Reference))
}

// Receipt is a system's answer: no personal data.
type Receipt struct {
	RequestID string    `json:"request_id"`
	At        time.Time `json:"at"`
	Status    string    `json:"status"`
}

// Presence is what a probe saw.
type Presence string

const (
	Gone    Presence = "gone"
	Soft    Presence = "soft" // marked, can be brought back
	Present Presence = "present"
	Unknown Presence = "unknown"
)
