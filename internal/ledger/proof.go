package ledger

import (
	"context"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/tillid/tillid/internal/fault"
)

// Proof shows that a leaf is in the tree of Checkpoint.
type Proof struct {
	Leaf       []byte   `json:"leaf"` // the leaf's bytes
	Index      int64    `json:"index"`
	Hashes     []string `json:"hashes"` // base64
	Checkpoint string   `json:"checkpoint"`
}

// Prove returns the inclusion proof of a leaf; ErrWaiting while it is
// unnumbered, fault.NotFound when there is none of that id.
func (l *Log) Prove(ctx context.Context, leafID string) (*Proof, error) {
	body, n, err := leafByID(ctx, l.DB, leafID) // before head, which then covers it
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil, errNoLeaf()
	case err != nil:
		return nil, fmt.Errorf("prove leaf: %w", err)
	case n < 0:
		return nil, ErrWaiting
	}
	head, err := l.head(ctx)
	if err != nil {
		return nil, fmt.Errorf("prove leaf: %w", err)
	}
	if n >= head.N {
		return nil, fmt.Errorf("prove leaf: number %d is not in the signed tree of %d", n, head.N)
	}
	hashes, err := tlog.ProveRecord(head.N, n, reader(ctx, l.DB))
	if err != nil {
		return nil, fmt.Errorf("prove leaf: %w", err)
	}
	p := &Proof{Leaf: body, Index: n, Hashes: make([]string, len(hashes)), Checkpoint: head.note}
	for i, h := range hashes {
		p.Hashes[i] = h.String()
	}
	return p, nil
}

// Leaf returns one leaf with its number, -1 while it waits for one;
// fault.NotFound when there is none of that id.
func (l *Log) Leaf(ctx context.Context, leafID string) (Entry, error) {
	body, n, err := leafByID(ctx, l.DB, leafID)
	if errors.Is(err, sql.ErrNoRows) {
		return Entry{}, errNoLeaf()
	}
	if err != nil {
		return Entry{}, fmt.Errorf("read leaf: %w", err)
	}
	leaf, err := parseLeaf(body)
	return Entry{Leaf: leaf, Index: n}, err
}

// PromiseOf returns the signed promise of a leaf once more: the same that Promise gave.
func (l *Log) PromiseOf(ctx context.Context, leafID string) (Promise, error) {
	body, _, err := leafByID(ctx, l.DB, leafID)
	if errors.Is(err, sql.ErrNoRows) {
		return Promise{}, errNoLeaf()
	}
	if err != nil {
		return Promise{}, fmt.Errorf("promise: %w", err)
	}
	return l.Signer.Promise(Appended{leafID, tlog.RecordHash(body)})
}

func errNoLeaf() error {
	return fault.New(fault.NotFound, "The log has no such leaf.").In("ledger.leaf")
}

// Exact reports whether everything in a proof is written in the only way there is
// for it, so that no byte of it can change unseen.
func (p *Proof) Exact() bool {
	return OneSignature(p.Checkpoint) && !slices.ContainsFunc(p.Hashes, func(h string) bool { return !exact64(h) })
}

// OneSignature reports whether a note has exactly one signature, written in the
// only way base64 has for its bytes: otherwise bits could change unseen.
func OneSignature(note string) bool {
	_, lines, ok := strings.Cut(note, "\n\n")
	line, more, end := strings.Cut(lines, "\n")
	fields := strings.Split(line, " ")
	return ok && end && more == "" && len(fields) == 3 && exact64(fields[2])
}

func exact64(s string) bool {
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	return err == nil && base64.StdEncoding.EncodeToString(b) == s
}

// Check verifies a proof offline against a verifier key.
func (p *Proof) Check(vkey string) (Leaf, error) {
	_, tree, err := openCheckpoint([]byte(p.Checkpoint), vkey)
	if err != nil {
		return Leaf{}, fmt.Errorf("proof: checkpoint: %w", err)
	}
	if p.Index < 0 || p.Index >= tree.N {
		return Leaf{}, fmt.Errorf("proof: number %d is not in a tree of %d", p.Index, tree.N)
	}
	hashes := make(tlog.RecordProof, len(p.Hashes))
	for i, s := range p.Hashes {
		if hashes[i], err = tlog.ParseHash(s); err != nil {
			return Leaf{}, fmt.Errorf("proof: hash %d: %w", i, err)
		}
	}
	if err := tlog.CheckRecord(hashes, tree.N, tree.Hash, p.Index, tlog.RecordHash(p.Leaf)); err != nil {
		return Leaf{}, errors.New("proof: the leaf is not in the signed tree")
	}
	return parseLeaf(p.Leaf)
}
