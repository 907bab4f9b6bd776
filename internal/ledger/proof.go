package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

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
		return nil, fault.New(fault.NotFound, "The log has no such leaf.").In("ledger.leaf")
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
