package db_test

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/db/dbtest"
)

// BenchmarkDumpAndLoad copies a SQLite house of records of about 1 kB each, with
// their rows in the register, and says how fast each way is.
func BenchmarkDumpAndLoad(b *testing.B) {
	d := dbtest.Open(b, dbtest.Lite(b)("house"))
	now := db.Time{Time: time.Date(2026, 11, 25, 14, 0, 0, 0, time.UTC)}
	sealed := bytes.Repeat([]byte("s"), 900)
	const records = 100_000
	for first := 0; first < records; first += 1000 {
		err := d.Do(b.Context(), func(ctx context.Context, tx *db.Tx) error {
			for i := first; i < first+1000; i++ {
				id := db.NewID()
				for _, q := range []struct {
					text string
					args []any
				}{
					{`insert into person (id, created_at) values ($1, $2)`, []any{id, now}},
					{`insert into identifier (id, person, kind, lookup, value, created_at) values ($1, $1, 'email', $2, $3, $4)`, []any{id, []byte(id), sealed, now}},
					{`insert into leaf (id, idx, kind, at, version, body, hash) values ($1, $2, 'k', $3, '', $4, $5)`, []any{id, int64(i), now, fmt.Sprintf("%0200d", i), []byte(id)}},
				} {
					if _, err := tx.Exec(ctx, q.text, q.args...); err != nil {
						return err
					}
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	var dumping, loading time.Duration
	var size int
	for b.Loop() {
		var out bytes.Buffer
		began := time.Now()
		err := d.Snapshot(b.Context(), func(ctx context.Context, s *db.Snapshot) error {
			_, err := s.Dump(ctx, &out, quiet)
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
		dumping, size = dumping+time.Since(began), out.Len()
		began = time.Now()
		if _, err := db.Load(b.Context(), filepath.Join(b.TempDir(), "house.db"), &out, nil, quiet); err != nil {
			b.Fatal(err)
		}
		loading += time.Since(began)
	}
	mb := float64(size) * float64(b.N) / 1e6
	b.ReportMetric(mb/dumping.Seconds(), "dumped-MB/s")
	b.ReportMetric(mb/loading.Seconds(), "loaded-MB/s")
}
