package ledger

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/db/dbtest"
)

// BenchmarkAppend measures durable leaves of 256 goroutines at once, while the
// sequencer numbers and signs them.
func BenchmarkAppend(b *testing.B) {
	l := newLog(b, dbtest.Open(b, dbtest.Lite(b)("house")))
	ctx, stop := context.WithCancel(b.Context())
	var wg sync.WaitGroup
	wg.Go(func() { l.Run(ctx) })
	b.SetParallelism(128) // times two cores
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			err := l.DB.Do(b.Context(), func(ctx context.Context, tx *db.Tx) error {
				_, err := l.Append(ctx, tx, Leaf{Kind: "consent.given", Version: "v1", Facts: map[string]string{"purposes": "statistics"}})
				return err
			})
			if err != nil {
				b.Error(err)
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "leaves/s")
	stop()
	wg.Wait()
}

// BenchmarkSequence measures numbering and signing alone, per leaf.
func BenchmarkSequence(b *testing.B) {
	l := newLog(b, dbtest.Open(b, dbtest.Lite(b)("house")))
	for range b.N {
		appendLeaf(b, l, Leaf{Kind: "test"})
	}
	b.ResetTimer()
	sequence(b, l, b.N)
}

const million = 1_000_000

// TestProofSize: the hashes of a proof among a million leaves are at most 1 KB as
// they are handed out.
func TestProofSize(t *testing.T) {
	same := tlog.HashReaderFunc(func(positions []int64) ([]tlog.Hash, error) { return make([]tlog.Hash, len(positions)), nil })
	for _, n := range []int64{0, 1, million / 3, million / 2, million - 1} {
		p, err := tlog.ProveRecord(million, n, same)
		if err != nil {
			t.Fatal(err)
		}
		hashes := make([]string, len(p))
		for i, h := range p {
			hashes[i] = h.String()
		}
		if b, err := json.Marshal(hashes); err != nil || len(b) > 1024 {
			t.Errorf("the proof of leaf %d has %d bytes, %v", n, len(b), err)
		}
	}
}

// BenchmarkProve measures inclusion proofs among a million leaves.
func BenchmarkProve(b *testing.B) {
	l := newLog(b, dbtest.Open(b, dbtest.Lite(b)("house")))
	plant(b, l, million)
	ids := make([]string, 0, 100)
	for n := int64(0); n < million; n += million / 100 {
		ids = append(ids, fmt.Sprintf("leaf%d", n))
	}
	i := 0
	for b.Loop() {
		if _, err := l.Prove(b.Context(), ids[i%len(ids)]); err != nil {
			b.Fatal(err)
		}
		i++
	}
}

// plant writes a signed tree of n leaves straight into the tables: the leaves' rows
// only of those that are asked for.
func plant(b *testing.B, l *Log, n int64) {
	b.Helper()
	var t growing
	var values []string
	var args []any
	flush := func(tx *db.Tx) {
		if len(values) == 0 {
			return
		}
		if _, err := tx.Exec(b.Context(), `insert into tree_hash (pos, hash) values `+strings.Join(values, ","), args...); err != nil {
			b.Fatal(err)
		}
		values, args = nil, nil
	}
	for first := int64(0); first < n; first += 50_000 {
		err := l.DB.Do(b.Context(), func(ctx context.Context, tx *db.Tx) error {
			for i := first; i < min(first+50_000, n); i++ {
				body := fmt.Appendf(nil, `{"id":"leaf%d","kind":"test","at":"2026-10-05T12:00:00Z","version":""}`, i)
				hash := tlog.RecordHash(body)
				for pos, h := range t.add(hash) {
					values, args = append(values, fmt.Sprintf("($%d, $%d)", len(args)+1, len(args)+2)), append(args, pos, h[:])
				}
				if len(values) > 500 {
					flush(tx)
				}
				if i%(million/100) != 0 {
					continue
				}
				_, err := tx.Exec(ctx, `insert into leaf (id, idx, kind, at, version, body, hash) values ($1, $2, 'test', $3, '', $4, $5)`,
					fmt.Sprintf("leaf%d", i), i, db.Time{Time: start}, string(body), hash[:])
				if err != nil {
					return err
				}
			}
			flush(tx)
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	c, err := l.sign(tlog.Tree{N: n, Hash: t.root()})
	if err != nil {
		b.Fatal(err)
	}
	err = l.DB.Do(b.Context(), func(ctx context.Context, tx *db.Tx) error { return insertCheckpoint(ctx, tx, c, start) })
	if err != nil {
		b.Fatal(err)
	}
}
