package ledger

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/db/dbtest"
)

// rebuild makes the stored hashes fit the leaves, as an attacker would who has
// the database but not the key. moved maps a new number to the old one whose
// seal goes along; nil leaves the seals in their places.
func rebuild(t *testing.T, d *db.DB, size int64, moved func(n int64) int64) {
	t.Helper()
	err := d.Do(t.Context(), func(ctx context.Context, tx *db.Tx) error {
		seals, err := sealsOf(ctx, tx, size)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `delete from tree_hash`); err != nil {
			return err
		}
		list := make([]place, size)
		for n := range list {
			list[n].n = int64(n)
		}
		if err := addLeaves(ctx, tx, 0, size, list); err != nil {
			return err
		}
		var g growing
		for _, p := range list {
			if p.leaf == nil { // the leaves after a deleted one were moved up
				if moved != nil {
					continue
				}
				_, err := tx.Exec(ctx, `insert into tree_hash (pos, hash, leaf, seal) values ($1, $2, $3, $4)`,
					tlog.StoredHashIndex(0, p.n), make([]byte, 32), "", seals[p.n])
				if err != nil {
					return err
				}
				continue
			}
			hash := tlog.RecordHash(p.leaf.body)
			if _, err := tx.Exec(ctx, `update leaf set hash = $1 where id = $2`, hash[:], p.leaf.id); err != nil {
				return err
			}
			first, n := tlog.StoredHashIndex(0, g.n), g.n
			for pos, h := range g.add(hash) {
				var id, seal any
				if pos == first {
					from := n
					if moved != nil {
						from = moved(n)
					}
					id, seal = p.leaf.id, seals[from]
				}
				if _, err := tx.Exec(ctx, `insert into tree_hash (pos, hash, leaf, seal) values ($1, $2, $3, $4)`, pos, h[:], id, seal); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func sealsOf(ctx context.Context, q db.Queryer, size int64) ([][]byte, error) {
	list := make([]place, size)
	if _, err := addHashes(ctx, q, 0, size, list); err != nil {
		return nil, err
	}
	seals := make([][]byte, size)
	for n, p := range list {
		if p.hash != nil {
			seals[n] = p.hash.seal
		}
	}
	return seals, nil
}

// remove deletes the leaf with number n and moves those after it up.
func remove(t *testing.T, d *db.DB, n, size int64) {
	t.Helper()
	run(t, d, `delete from leaf where idx = $1`, n)
	for k := n + 1; k < size; k++ {
		run(t, d, `update leaf set idx = $1 where idx = $2`, k-1, k)
	}
}

func swap(t *testing.T, d *db.DB, a, b int64) {
	t.Helper()
	run(t, d, `update leaf set idx = 1000000 where idx = $1`, a)
	run(t, d, `update leaf set idx = $1 where idx = $2`, a, b)
	run(t, d, `update leaf set idx = $1 where idx = 1000000`, b)
}

const alter = `update leaf set body = replace(body, '"kind":"test"', '"kind":"tost"'), kind = 'tost' where id = $1`

// Each tampering names its leaf, and nothing else.
//
// Rows: E7.
func TestVerifyNames(t *testing.T) {
	const size = 23
	for _, test := range []struct {
		name   string
		tamper func(t *testing.T, d *db.DB)
		want   []string
	}{
		{"nothing", func(t *testing.T, d *db.DB) {}, nil},
		{"altered", func(t *testing.T, d *db.DB) { run(t, d, alter, "a0009") },
			[]string{"leaf 9 (a0009): It was altered."}},
		{"altered and hashes rewritten", func(t *testing.T, d *db.DB) {
			run(t, d, alter, "a0009")
			rebuild(t, d, size, nil)
		}, []string{"leaf 9 (a0009): It was altered."}},
		{"two altered and hashes rewritten", func(t *testing.T, d *db.DB) {
			run(t, d, alter, "a0004")
			run(t, d, alter, "a0022")
			rebuild(t, d, size, nil)
		}, []string{"leaf 4 (a0004): It was altered.", "leaf 22 (a0022): It was altered."}},
		{"renamed", func(t *testing.T, d *db.DB) {
			run(t, d, `update leaf set id = 'zzz', body = replace(body, 'a0003', 'zzz') where id = 'a0003'`)
			rebuild(t, d, size, nil)
		}, []string{"leaf 3 (zzz): It was altered."}},
		{"not JSON", func(t *testing.T, d *db.DB) { run(t, d, `update leaf set body = 'x' where idx = 0`) },
			[]string{"leaf 0 (a0000): It was altered."}},
		{"deleted", func(t *testing.T, d *db.DB) { run(t, d, `delete from leaf where idx = 5`) },
			[]string{"leaf 5 (a0005): It was deleted."}},
		{"deleted with its hash", func(t *testing.T, d *db.DB) {
			run(t, d, `delete from leaf where idx = 5`)
			run(t, d, `delete from tree_hash where pos = $1`, tlog.StoredHashIndex(0, 5))
		}, []string{"leaf 5 (): It was deleted."}},
		{"the last deleted", func(t *testing.T, d *db.DB) { run(t, d, `delete from leaf where idx = 22`) },
			[]string{"leaf 22 (a0022): It was deleted."}},
		{"deleted and moved up", func(t *testing.T, d *db.DB) { remove(t, d, 5, size) },
			[]string{"leaf 5 (a0005): It was deleted, and those after it were moved up."}},
		{"deleted, moved up, hashes rewritten", func(t *testing.T, d *db.DB) {
			remove(t, d, 5, size)
			rebuild(t, d, size, nil)
		}, []string{"leaf 5 (): It was deleted, and those after it were moved up."}},
		{"deleted, moved up, hashes rewritten, seals moved", func(t *testing.T, d *db.DB) {
			remove(t, d, 5, size)
			rebuild(t, d, size, func(n int64) int64 {
				if n >= 5 {
					return n + 1
				}
				return n
			})
		}, []string{"leaf 5 (): It was deleted, and those after it were moved up."}},
		{"two deleted in two places", func(t *testing.T, d *db.DB) {
			remove(t, d, 15, size)
			remove(t, d, 5, size-1)
			rebuild(t, d, size, nil)
		}, []string{
			"leaf 5 (): It was deleted, and those after it were moved up.",
			"leaf 15 (): It was deleted, and those after it were moved up.",
		}},
		{"the last but one deleted and moved up", func(t *testing.T, d *db.DB) {
			remove(t, d, 21, size)
			rebuild(t, d, size, nil)
		}, []string{"leaf 21 (): It was deleted, and those after it were moved up."}},
		{"reordered", func(t *testing.T, d *db.DB) { swap(t, d, 3, 17) }, []string{
			"leaf 3 (a0017): The order was changed: this leaf was number 17.",
			"leaf 17 (a0003): The order was changed: this leaf was number 3.",
		}},
		{"neighbours reordered, hashes rewritten", func(t *testing.T, d *db.DB) {
			swap(t, d, 21, 22)
			rebuild(t, d, size, nil)
		}, []string{
			"leaf 21 (a0022): The order was changed: this leaf was number 22.",
			"leaf 22 (a0021): The order was changed: this leaf was number 21.",
		}},
		{"reordered, hashes rewritten, seals moved", func(t *testing.T, d *db.DB) {
			swap(t, d, 3, 4)
			rebuild(t, d, size, func(n int64) int64 {
				switch n {
				case 3:
					return 4
				case 4:
					return 3
				}
				return n
			})
		}, []string{
			"leaf 3 (a0004): The order was changed: this leaf was number 4.",
			"leaf 4 (a0003): The order was changed: this leaf was number 3.",
		}},
		{"added", func(t *testing.T, d *db.DB) {
			run(t, d, `insert into leaf (id, idx, kind, at, version, body, hash) select 'more', 23, kind, at, version, body, hash from leaf where idx = 1`)
		}, []string{"leaf 23 (more): It has a number that no checkpoint signed."}},
		{"columns", func(t *testing.T, d *db.DB) { run(t, d, `update leaf set kind = 'other' where idx = 22`) },
			[]string{"leaf 22 (a0022): Its bytes are as signed, but what is stored beside them was altered."}},
		{"leaf hash", func(t *testing.T, d *db.DB) {
			run(t, d, `update tree_hash set hash = $1 where pos = $2`, make([]byte, 32), tlog.StoredHashIndex(0, 20))
		}, []string{"leaf 20 (a0020): Its bytes are as signed, but what is stored beside them was altered."}},
		{"upper hash", func(t *testing.T, d *db.DB) {
			run(t, d, `update tree_hash set hash = $1 where pos = 2`, make([]byte, 32))
		}, []string{"The stored hash at position 2 is missing or altered; the leaves below it are as signed."}},
		{"checkpoint", func(t *testing.T, d *db.DB) {
			run(t, d, `update checkpoint set note = replace(note, 'eksempel.example', 'other.example') where size = 8`)
		}, []string{"The stored checkpoint of 8 leaves was altered: its signature does not hold."}},
		{"seals gone, altered, hashes rewritten", func(t *testing.T, d *db.DB) {
			run(t, d, alter, "a0021")
			run(t, d, `update tree_hash set seal = $1 where leaf is not null`, []byte("x"))
			rebuild(t, d, size, nil)
		}, []string{
			"leaf 20 (a0020): Nothing shows that it is what was signed: its seal is gone.",
			"leaf 21 (a0021): Nothing shows that it is what was signed: its seal is gone.",
			"leaf 22 (a0022): Nothing shows that it is what was signed: its seal is gone.",
		}},
		{"waiting leaf altered", func(t *testing.T, d *db.DB) {
			run(t, d, `insert into leaf (id, kind, at, version, body, hash) select 'w', kind, at, version, 'x', hash from leaf where idx = 1`)
		}, []string{"leaf -1 (w): It waits for its number and was altered."}},
	} {
		t.Run(test.name, func(t *testing.T) {
			dbtest.Each(t, func(t *testing.T, d *db.DB) {
				l := newLog(t, d)
				fill(t, l, size, 4)
				test.tamper(t, d)
				if got, want := verify(t, l, nil), strings.Join(test.want, "\n"); got != want {
					t.Errorf("got\n%s\nwant\n%s", got, want)
				}
			})
		})
	}
}

// An earlier checkpoint shows what the database itself no longer can.
func TestVerifyExtendsEarlier(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		l := newLog(t, d)
		fill(t, l, 8, 4)
		old := lastCheckpoint(t, l)
		if got := verify(t, l, old); got != "" {
			t.Error(got)
		}
		run(t, d, `delete from checkpoint where size = 8`) // the end is cut off without a trace
		run(t, d, `delete from leaf where idx >= 4`)
		run(t, d, `delete from tree_hash where pos >= $1`, tlog.StoredHashIndex(0, 4))
		if got := verify(t, l, nil); got != "" {
			t.Error(got)
		}
		want := "The log has 4 signed leaves; the earlier checkpoint has 8: its end was cut off."
		for n := 4; n < 8; n++ {
			want += fmt.Sprintf("\nleaf %d (): It was deleted.", n)
		}
		if got := verify(t, l, old); got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}

		fork := []Leaf{{ID: "x", Kind: "test"}, {ID: "y", Kind: "test"}, {ID: "z", Kind: "test"}, {ID: "ø", Kind: "test"}}
		for _, leaf := range fork {
			appendLeaf(t, l, leaf)
		}
		sequence(t, l, 4) // signed with the same key: another log
		if got := verify(t, l, old); !strings.Contains(got, "two logs were signed") {
			t.Error(got)
		}
		appendLeaf(t, l, Leaf{ID: "å", Kind: "test"})
		sequence(t, l, 1)
		run(t, d, `delete from checkpoint where size = 8`)
		if got := verify(t, l, old); got != "The leaves do not give the root that was signed for 8 leaves." {
			t.Error(got)
		}
		if _, err := l.Verify(t.Context(), []byte("no checkpoint")); err == nil {
			t.Error("not a checkpoint: no error")
		}
		other := newLog(t, d)
		if _, err := l.Verify(t.Context(), lastCheckpointOf(t, other, tlog.Tree{N: 3})); err == nil {
			t.Error("another key's checkpoint: no error")
		}
	})
}

func lastCheckpointOf(t *testing.T, l *Log, tree tlog.Tree) []byte {
	t.Helper()
	c, err := l.sign(tree)
	if err != nil {
		t.Fatal(err)
	}
	return []byte(c.note)
}

// Whichever leaf is tampered with, and however well it is covered up, its
// number is named, and no fault lies before it.
func TestVerifyProperty(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		size := rapid.Int64Range(2, 40).Draw(rt, "size")
		n := rapid.Int64Range(0, size-2).Draw(rt, "number")
		how := rapid.SampledFrom([]string{"alter", "delete", "move up", "swap"}).Draw(rt, "how")
		each := rapid.IntRange(1, 9).Draw(rt, "leaves per checkpoint")
		d := dbtest.Open(t, dbtest.Lite(t)("house"))
		defer d.Close()
		l := newLog(t, d)
		fill(t, l, int(size), each)
		last := lastCheckpoint(t, l)
		moved := func(k int64) int64 { return k }
		switch other := rapid.Int64Range(n+1, size-1).Draw(rt, "other"); how {
		case "alter":
			run(t, d, alter, fmt.Sprintf("a%04d", n))
		case "delete":
			run(t, d, `delete from leaf where idx = $1`, n)
		case "move up":
			remove(t, d, n, size)
			moved = func(k int64) int64 {
				if k >= n {
					k++
				}
				return k
			}
		case "swap":
			swap(t, d, n, other)
			moved = func(k int64) int64 { return map[int64]int64{n: other - k, other: n - k}[k] + k }
		}
		if how != "delete" {
			switch rapid.SampledFrom([]string{"nothing", "hashes", "seals too"}).Draw(rt, "covered up") {
			case "hashes":
				rebuild(t, d, size, nil)
			case "seals too":
				rebuild(t, d, size, moved)
			}
		}
		if rapid.Bool().Draw(rt, "earlier checkpoints deleted") {
			run(t, d, `delete from checkpoint where size < $1`, size)
		}
		faults, err := l.Verify(t.Context(), last)
		if err != nil {
			rt.Fatal(err)
		}
		if len(faults) == 0 || faults[0].Index != n || len(faults) > 2 {
			rt.Fatalf("%s leaf %d of %d: got %v", how, n, size, faults)
		}
	})
}
