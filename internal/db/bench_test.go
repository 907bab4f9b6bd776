package db_test

import (
	"context"
	"testing"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/db/dbtest"
)

// BenchmarkDo measures durable inserts of 256 goroutines at once, each in a
// transaction of its own, grouped into common commits.
func BenchmarkDo(b *testing.B) {
	d := open(b, dbtest.Lite(b)("data"))
	if _, err := d.Exec(b.Context(), `create table thing (id text primary key, n bigint)`); err != nil {
		b.Fatal(err)
	}
	b.SetParallelism(128) // times two cores
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			err := d.Do(b.Context(), func(ctx context.Context, tx *db.Tx) error {
				_, err := tx.Exec(ctx, `insert into thing (id, n) values ($1, $2)`, db.NewID(), 1)
				return err
			})
			if err != nil {
				b.Error(err)
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "tx/s")
}

// BenchmarkDoAlone measures one caller, who waits for each sync.
func BenchmarkDoAlone(b *testing.B) {
	d := open(b, dbtest.Lite(b)("data"))
	if _, err := d.Exec(b.Context(), `create table thing (id text primary key)`); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := insert(b.Context(), d, db.NewID()); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkQueryRow measures a read by key.
func BenchmarkQueryRow(b *testing.B) {
	d := open(b, dbtest.Lite(b)("data"))
	if _, err := d.Exec(b.Context(), `create table thing (id text primary key)`); err != nil {
		b.Fatal(err)
	}
	if err := insert(b.Context(), d, "a"); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		var id string
		if err := d.QueryRow(b.Context(), `select id from thing where id = $1`, "a").Scan(&id); err != nil {
			b.Fatal(err)
		}
	}
}
