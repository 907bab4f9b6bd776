package ledger

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"golang.org/x/mod/sumdb/tlog"
)

// Fault is one thing that Verify found wrong, named by the leaf's index and
// id. What concerns the log as a whole has index -1 and no id.
type Fault struct {
	Index int64
	ID    string
	Msg   string
}

func (f Fault) String() string {
	if f.Index < 0 && f.ID == "" {
		return f.Msg
	}
	return fmt.Sprintf("leaf %d (%s): %s", f.Index, f.ID, f.Msg)
}

// Verify recomputes the whole tree from the leaves and names each altered,
// deleted or reordered leaf, also when the stored hashes were rewritten to
// match: it trusts the log key's signatures only. old, when not nil, is an
// earlier signed checkpoint that the tree must extend.
func (l *Log) Verify(ctx context.Context, old []byte) ([]Fault, error) {
	v := &verifier{log: l, marks: map[int64]tlog.Hash{}}
	if err := v.readMarks(ctx, old); err != nil {
		return nil, fmt.Errorf("verify log: %w", err)
	}
	if err := v.walk(ctx); err != nil {
		return nil, fmt.Errorf("verify log: %w", err)
	}
	if v.broken {
		if err := v.diagnose(ctx); err != nil {
			return nil, fmt.Errorf("verify log: %w", err)
		}
	}
	if err := v.waiting(ctx); err != nil {
		return nil, fmt.Errorf("verify log: %w", err)
	}
	return v.faults, nil
}

// verifier is one run of Verify.
type verifier struct {
	log    *Log
	size   int64               // of the largest checkpoint whose signature holds
	marks  map[int64]tlog.Hash // signed roots by size
	good   int64               // the largest size whose signed root the leaves give
	failed int64               // the smallest size whose signed root they do not give
	above  []int64             // positions whose stored hash is not that of the leaves below
	broken bool                // something about a leaf is wrong
	faults []Fault
}

func (v *verifier) fault(n int64, id, format string, args ...any) {
	v.faults = append(v.faults, Fault{Index: n, ID: id, Msg: fmt.Sprintf(format, args...)})
}

// readMarks reads the signed roots that the leaves must give.
func (v *verifier) readMarks(ctx context.Context, old []byte) error {
	all, err := notes(ctx, v.log.DB)
	if err != nil {
		return err
	}
	vkey := v.log.Signer.Verifier()
	for size, signed := range all {
		_, tree, err := openCheckpoint([]byte(signed), vkey)
		if err != nil || tree.N != size {
			v.fault(-1, "", "The stored checkpoint of %d leaves was altered: its signature does not hold.", size)
			continue
		}
		v.marks[size] = tree.Hash
		v.size = max(v.size, size)
	}
	if old == nil {
		return nil
	}
	_, tree, err := openCheckpoint(old, vkey)
	if err != nil {
		return fmt.Errorf("the earlier checkpoint: %w", err)
	}
	if root, ok := v.marks[tree.N]; ok && root != tree.Hash {
		v.fault(-1, "", "The stored checkpoint of %d leaves is not the one that was given: two logs were signed.", tree.N)
	}
	if tree.N > v.size {
		v.fault(-1, "", "The log has %d signed leaves; the earlier checkpoint has %d: its end was cut off.", v.size, tree.N)
	}
	v.marks[tree.N] = tree.Hash
	v.size = max(v.size, tree.N)
	return nil
}

const chunk = 1000

// walk computes the tree from the leaves' bytes and compares everything stored
// and signed with it. It stops at the first leaf that it cannot read.
func (v *verifier) walk(ctx context.Context) error {
	var t growing
	extra, err := highest(ctx, v.log.DB)
	if err != nil {
		return err
	}
	v.broken = extra > v.size
	for first := int64(0); first < v.size; first += chunk {
		list, above, err := places(ctx, v.log.DB, first, min(first+chunk, v.size))
		if err != nil {
			return err
		}
		for _, p := range list {
			if p.leaf == nil {
				v.broken = true
				return nil
			}
			v.broken = v.broken || !p.consistent()
			for pos, h := range t.add(tlog.RecordHash(p.leaf.body)) {
				if pos != tlog.StoredHashIndex(0, p.n) && !bytes.Equal(above[pos], h[:]) {
					v.above = append(v.above, pos)
				}
			}
			if root, ok := v.marks[t.n]; ok && root == t.root() {
				v.good = t.n
			} else if ok && v.failed == 0 {
				v.failed = t.n
			}
		}
	}
	v.broken = v.broken || len(v.above) > 0 || v.failed > 0
	return nil
}

// consistent reports whether everything stored about a leaf agrees with its bytes.
func (p place) consistent() bool {
	hash := tlog.RecordHash(p.leaf.body)
	leaf, err := parseLeaf(p.leaf.body)
	return err == nil && p.hash != nil && bytes.Equal(p.leaf.hash, hash[:]) && bytes.Equal(p.hash.hash, hash[:]) &&
		p.hash.id == p.leaf.id && leaf.ID == p.leaf.id && leaf.Kind == p.leaf.kind && leaf.Version == p.leaf.version && leaf.At.Equal(p.leaf.at)
}

// waiting checks the leaves that have no number yet.
func (v *verifier) waiting(ctx context.Context) error {
	rows, err := v.log.DB.Query(ctx, `select id, body, hash from leaf where idx is null order by at, id`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		var body, hash []byte
		if err := rows.Scan(&id, &body, &hash); err != nil {
			return err
		}
		if want := tlog.RecordHash(body); !bytes.Equal(hash, want[:]) {
			v.fault(-1, id, "It waits for its number and was altered.")
		}
	}
	return rows.Err()
}

// growing is a tree that is built leaf by leaf: the roots of its complete
// subtrees from left to right.
type growing struct {
	n     int64
	roots []tlog.Hash
}

// add appends a leaf and returns the hashes that become known, by stored position.
func (t *growing) add(h tlog.Hash) map[int64]tlog.Hash {
	pos := tlog.StoredHashIndex(0, t.n)
	known := map[int64]tlog.Hash{pos: h}
	for i := t.n; i&1 == 1; i >>= 1 {
		last := len(t.roots) - 1
		h = tlog.NodeHash(t.roots[last], h)
		t.roots = t.roots[:last]
		pos++
		known[pos] = h
	}
	t.roots = append(t.roots, h)
	t.n++
	return known
}

func (t *growing) root() tlog.Hash {
	h := t.roots[len(t.roots)-1]
	for _, left := range slices.Backward(t.roots[:len(t.roots)-1]) {
		h = tlog.NodeHash(left, h)
	}
	return h
}
