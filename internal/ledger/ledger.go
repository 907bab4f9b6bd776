// Package ledger keeps a house's Merkle log: one append-only list of what was
// done, whose signed checkpoints anyone can check (RFC 6962 trees, tlog-tiles,
// signed-note checkpoints).
//
// A leaf is inserted, unnumbered, in the transaction of the act that it
// records; one leased sequencer numbers leaves and signs the tree within a
// second. Leaves are commitments: they hold no personal data.
package ledger

import (
	"context"
	"net/http"
	"time"

	"github.com/tillid/tillid/internal/db"
)

// Leaf is one entry as written into the log. Its bytes are the canonical JSON of
// these fields; the leaf hash is RFC 6962's over those bytes.
type Leaf struct {
	ID         string            `json:"id"`
	Kind       string            `json:"kind"` // for example consent.given, enquiry.received, erased
	At         time.Time         `json:"at"`
	Version    string            `json:"version"`              // hash of the declaration in force
	Commitment []byte            `json:"commitment,omitempty"` // Commit(nonce, pseudonym); nil when nobody is concerned
	Facts      map[string]string `json:"facts,omitempty"`      // impersonal facts: purposes, counts, hashes of texts
}

// Log is the log of one house.
type Log struct {
	DB     *db.DB
	Origin string // name in checkpoints, for example "eksempel.example/tillid"
	Signer Signer
	Now    func() time.Time
}

// Signer signs and names a house's key (Ed25519, note format). It signs
// checkpoints, promises and certificates.
type Signer struct{ core }

type core struct{} // helper CORE replaces this

// NewSigner reads a private note key ("PRIVATE+KEY+…"); GenerateKey makes one.
func NewSigner(skey string) (Signer, error)                  { panic("helper CORE writes this") }
func GenerateKey(name string) (skey, vkey string, err error) { panic("helper CORE writes this") }

// Name, Verifier: the key's name and its public note verifier key string.
func (s Signer) Name() string     { panic("helper CORE writes this") }
func (s Signer) Verifier() string { panic("helper CORE writes this") }

// Sign returns a signed note over text (which ends in a newline).
func (s Signer) Sign(text string) ([]byte, error) { panic("helper CORE writes this") }

// OpenNote checks a signed note against a verifier key and returns its text.
func OpenNote(signed []byte, vkey string) (text string, err error) { panic("helper CORE writes this") }

// Promise is signed evidence, given at once, that a leaf will be in the log.
type Promise struct {
	LeafID string `json:"leaf_id"`
	Hash   string `json:"leaf_hash"` // base64 of the RFC 6962 leaf hash
	Note   string `json:"note"`      // signed note over both
}

// Append inserts a leaf, unnumbered, in tx and returns the signed promise.
// ID and At are filled in when empty.
func (l *Log) Append(ctx context.Context, tx *db.Tx, leaf Leaf) (Promise, error) {
	panic("helper CORE writes this")
}

// Sequence numbers what waits and signs a new checkpoint. Only the holder of the
// lease does something. It returns how many leaves it numbered.
func (l *Log) Sequence(ctx context.Context) (int, error) { panic("helper CORE writes this") }

// Checkpoint returns the last signed checkpoint (a signed note: origin, size, root).
func (l *Log) Checkpoint(ctx context.Context) ([]byte, error) { panic("helper CORE writes this") }

// Proof shows that a leaf is in the tree of Checkpoint.
type Proof struct {
	Leaf       []byte   `json:"leaf"` // the leaf's bytes
	Index      int64    `json:"index"`
	Hashes     []string `json:"hashes"` // base64
	Checkpoint string   `json:"checkpoint"`
}

// Prove returns the inclusion proof of a leaf; ErrWaiting while it is unnumbered.
func (l *Log) Prove(ctx context.Context, leafID string) (*Proof, error) {
	panic("helper CORE writes this")
}

// Check verifies a proof offline against a verifier key.
func (p *Proof) Check(vkey string) (Leaf, error) { panic("helper CORE writes this") }

// Fault is one thing that Verify found wrong, named by the leaf's index and id.
type Fault struct {
	Index int64
	ID    string
	Msg   string
}

// Verify recomputes the whole tree from the leaves and names each altered,
// deleted or reordered leaf. old, when not nil, is an earlier signed checkpoint
// that the tree must extend.
func (l *Log) Verify(ctx context.Context, old []byte) ([]Fault, error) {
	panic("helper CORE writes this")
}

// Recent returns the newest n leaves with their numbers (-1 while unnumbered), for the Backoffice.
func (l *Log) Recent(ctx context.Context, n int, before int64) ([]Entry, error) {
	panic("helper CORE writes this")
}

// Entry is a leaf with its place.
type Entry struct {
	Leaf
	Index int64
}

// Routes serves /_tillid/checkpoint, /_tillid/tile/… (tlog-tiles) and /_tillid/log.vkey.
func (l *Log) Routes(mux *http.ServeMux) { panic("helper CORE writes this") }

// Commit is H(nonce ‖ pseudonym): unlinkable once the nonce is gone.
func Commit(nonce []byte, pseudonym string) []byte { panic("helper CORE writes this") }
