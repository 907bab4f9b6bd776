// Package ledger keeps a house's Merkle log: one append-only list of what was
// done, whose signed checkpoints anyone can check (RFC 6962 trees, tlog-tiles,
// signed-note checkpoints).
//
// A leaf is inserted, unnumbered, in the transaction of the act that it
// records; one leased sequencer numbers leaves and signs the tree within a
// second. Leaves are commitments: they hold no personal data.
package ledger

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/mod/sumdb/tlog"

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

// maxLeaf is the largest leaf that tlog-tiles can serve, in bytes.
const maxLeaf = 1<<16 - 1

// ErrWaiting says that a leaf has no number yet: ask again in a second.
var ErrWaiting = errors.New("the leaf waits for its number in the log")

// Log is the log of one house.
type Log struct {
	DB     *db.DB
	Origin string // name in checkpoints, for example "eksempel.example/tillid"
	Signer Signer
	Now    func() time.Time
	Logger *slog.Logger // for Run and Routes; may be nil

	Witnesses []Cosigner // who cosigns; see Cosign

	// Grown runs after a new checkpoint was signed; an error is only logged. May be nil.
	Grown func(ctx context.Context) error

	self holder
}

// Append inserts a leaf, unnumbered, in tx and returns what Promise signs.
// ID and At are filled in when empty; At is kept to the millisecond.
func (l *Log) Append(ctx context.Context, tx *db.Tx, leaf Leaf) (Appended, error) {
	if leaf.ID == "" {
		leaf.ID = db.NewID()
	}
	if leaf.At.IsZero() {
		leaf.At = l.Now()
	}
	leaf.At = leaf.At.UTC().Truncate(time.Millisecond)
	body, err := leaf.bytes()
	if err != nil {
		return Appended{}, fmt.Errorf("append leaf: %w", err)
	}
	hash := tlog.RecordHash(body)
	if err := insertLeaf(ctx, tx, leaf, body, hash); err != nil {
		return Appended{}, fmt.Errorf("append leaf: %w", err)
	}
	tx.Ring(bell)
	return Appended{leaf.ID, hash}, nil
}

// bytes returns the canonical JSON of the leaf: fields in the order of the
// type, facts by name, no spaces.
func (l Leaf) bytes() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(l); err != nil {
		return nil, err
	}
	body := bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	if len(body) > maxLeaf {
		return nil, fmt.Errorf("a leaf of %d bytes is longer than %d", len(body), maxLeaf)
	}
	return body, nil
}

func parseLeaf(body []byte) (Leaf, error) {
	var leaf Leaf
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&leaf); err != nil {
		return Leaf{}, fmt.Errorf("read leaf: %w", err)
	}
	return leaf, nil
}

// Checkpoint returns the last signed checkpoint (a signed note: origin, size,
// root). That of an empty log has size 0.
func (l *Log) Checkpoint(ctx context.Context) ([]byte, error) {
	head, err := l.head(ctx)
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	return []byte(head.note), nil
}

// LastCheckpoint returns the newest signed checkpoint as it is stored, "" while
// the log is empty; of a snapshot, for example.
func LastCheckpoint(ctx context.Context, q db.Queryer) (string, error) {
	note, err := lastNote(ctx, q)
	if err != nil {
		return "", fmt.Errorf("checkpoint: %w", err)
	}
	return note, nil
}

// CheckpointAt returns the stored checkpoint of that many leaves, "" when there is none.
func CheckpointAt(ctx context.Context, q db.Queryer, size int64) (note string, err error) {
	err = q.QueryRow(ctx, `select note from checkpoint where size = $1`, size).Scan(&note)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", fmt.Errorf("checkpoint: %w", err)
	}
	return note, nil
}

// OpenCheckpoint checks a checkpoint's signature, and returns the log's name,
// how many leaves it covers, and its root.
func OpenCheckpoint(signed, vkey string) (origin string, size int64, root string, err error) {
	origin, tree, err := openCheckpoint([]byte(signed), vkey)
	if err != nil {
		return "", 0, "", fmt.Errorf("checkpoint: %w", err)
	}
	return origin, tree.N, tree.Hash.String(), nil
}

// Entry is a leaf with its place.
type Entry struct {
	Leaf
	Index int64
}

// Recent returns the newest n leaves with their numbers (-1 while unnumbered),
// for the Backoffice. before, when positive, asks for leaves with lower numbers only.
func (l *Log) Recent(ctx context.Context, n int, before int64) ([]Entry, error) {
	list, err := recent(ctx, l.DB, n, before)
	if err != nil {
		return nil, fmt.Errorf("recent leaves: %w", err)
	}
	return list, nil
}

// Commit is H(nonce ‖ pseudonym): unlinkable once the nonce is gone. H is
// SHA-256; the nonce has a fixed length of at least 16 random bytes.
func Commit(nonce []byte, pseudonym string) []byte {
	h := sha256.New()
	h.Write(nonce)
	h.Write([]byte(pseudonym))
	return h.Sum(nil)
}

// Size returns how many leaves the last signed checkpoint covers.
func (l *Log) Size(ctx context.Context) (int64, error) {
	head, err := l.head(ctx)
	if err != nil {
		return 0, fmt.Errorf("size: %w", err)
	}
	return head.N, nil
}
