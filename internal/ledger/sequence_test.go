package ledger

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/db/dbtest"
)

// Several replicas sequence while leaves are appended: each number is given
// once, and only the lease's holder gives them.
func TestReplicas(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		one := newLog(t, d)
		two := &Log{DB: d, Origin: one.Origin, Signer: one.Signer, Now: one.Now}
		fill(t, one, 3, 3)
		appendLeaf(t, one, Leaf{Kind: "test"})
		sequence(t, two, 0) // the lease is the first one's
		two.Now = func() time.Time { return start.Add(lease) }
		sequence(t, two, 1)
		sequence(t, one, 0)

		now := func() time.Time { return start.Add(time.Hour) }
		one.Now, two.Now = now, now
		var wg sync.WaitGroup
		for _, l := range []*Log{one, two} {
			wg.Go(func() {
				for range 10 {
					appendLeaf(t, l, Leaf{Kind: "test"})
					if _, err := l.Sequence(t.Context()); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		if _, err := one.Sequence(t.Context()); err != nil {
			t.Error(err)
		}
		if _, err := two.Sequence(t.Context()); err != nil {
			t.Error(err)
		}
		if _, tree, err := openCheckpoint(lastCheckpoint(t, one), one.Signer.Verifier()); err != nil || tree.N != 24 {
			t.Errorf("%d leaves, %v", tree.N, err)
		}
		if got := verify(t, one, nil); got != "" {
			t.Error(got)
		}
	})
}

// A sequencer that lost its lease, or works on an old state, stores nothing:
// a number once signed is never given again.
func TestFencing(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		l := newLog(t, d)
		fill(t, l, 3, 3)
		appendLeaf(t, l, Leaf{ID: "late", Kind: "test"})
		leaves, err := waitingLeaves(t.Context(), d, batch)
		if err != nil {
			t.Fatal(err)
		}
		stale, err := l.grow(t.Context(), leaves)
		if err != nil {
			t.Fatal(err)
		}
		other := &Log{DB: d, Origin: l.Origin, Signer: l.Signer, Now: func() time.Time { return start.Add(lease) }}
		appendLeaf(t, l, Leaf{ID: "earlier", Kind: "test", At: start.Add(-time.Hour)})
		sequence(t, other, 2)
		store := func(l *Log) error {
			return d.Do(t.Context(), func(ctx context.Context, tx *db.Tx) error { return l.store(ctx, tx, stale) })
		}
		if err := store(l); err == nil {
			t.Error("without the lease: stored")
		}
		if err := store(other); err == nil {
			t.Error("on an old state: stored")
		}
		if got := verify(t, l, nil); got != "" {
			t.Error(got)
		}
		if list, err := l.Recent(t.Context(), 2, 0); err != nil || list[0].ID != "late" || list[0].Index != 4 || list[1].ID != "earlier" {
			t.Errorf("got %+v, %v", list, err)
		}
	})
}

// Nothing is signed on top of a tree that is not the signed one.
func TestSequenceRefusesAlteredTree(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		l := newLog(t, d)
		fill(t, l, 4, 4)
		run(t, d, `update tree_hash set hash = (select hash from tree_hash where pos = 0) where pos = 6`)
		appendLeaf(t, l, Leaf{Kind: "test"})
		if _, err := l.Sequence(t.Context()); err == nil || !strings.Contains(err.Error(), "not the one that was signed") {
			t.Errorf("got %v", err)
		}
		if wrong, err := l.Health(t.Context()); err != nil || len(wrong) != 0 {
			t.Errorf("health: %v, %v", wrong, err)
		}
		l.Now = func() time.Time { return start.Add(2 * time.Minute) }
		if wrong, err := l.Health(t.Context()); err != nil || len(wrong) != 1 {
			t.Errorf("health: %v, %v", wrong, err)
		}
	})
}

func run(tb testing.TB, d *db.DB, query string, args ...any) {
	tb.Helper()
	if _, err := d.Exec(tb.Context(), query, args...); err != nil {
		tb.Fatal(err)
	}
}

func TestRun(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		l := newLog(t, d)
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { l.Run(ctx) })
		p := appendLeaf(t, l, Leaf{Kind: "test"})
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			if _, err := l.Prove(t.Context(), p.LeafID); err == nil {
				break
			}
			<-tick.C
		}
		stop()
		wg.Wait()
	})
}
