package ledger

import (
	"context"
	"sync"
	"testing"

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
