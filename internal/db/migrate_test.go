package db_test

import (
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/tillid/tillid/internal/db/dbtest"
	"github.com/tillid/tillid/internal/fault"
)

func TestMigrate(t *testing.T) {
	dbtest.EachDSN(t, func(t *testing.T, dsn func(string) string) {
		d := open(t, dsn("data"))
		file := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte("-- +goose Up\n" + s)} }
		fsys := fstest.MapFS{"m/0001_a.sql": file("create table a (id text);"), "m/0003_c.sql": file("create table c (id text);")}
		run := func() error { return d.MigrateFS(t.Context(), fsys) }
		for range 2 {
			if err := run(); err != nil {
				t.Fatal(err)
			}
		}
		fsys["m/0002_b.sql"] = file("create table b (id text); insert into b (id) values ('x; y');")
		if err := run(); err != nil {
			t.Fatal(err)
		}
		var id string
		if err := d.QueryRow(t.Context(), `select id from b`).Scan(&id); err != nil || id != "x; y" {
			t.Errorf("got %q, %v", id, err)
		}
		kept := fsys["m/0003_c.sql"]
		fsys["m/0003_c.sql"] = file("create table c (id text, more text);")
		if err := run(); fault.Of(err).Kind != fault.Conflict || !strings.Contains(fault.Of(err).Msg, "0003_c.sql") {
			t.Errorf("an edited migration: got %v", err)
		}
		delete(fsys, "m/0003_c.sql")
		if err := run(); fault.Of(err).Kind != fault.Conflict {
			t.Errorf("a database newer than the program: got %v", err)
		}
		fsys["m/0003_c.sql"] = kept
		fsys["m/0004_d.sql"] = file("create table d (id text); create table a (id text);")
		if err := run(); err == nil {
			t.Error("a broken migration: no error")
		}
		delete(fsys, "m/0004_d.sql")
		if err := run(); err != nil {
			t.Errorf("a migration that failed left something: %v", err)
		}
	})
}

// Replicas that start together each find a migrated database.
func TestMigrateTogether(t *testing.T) {
	dsn := dbtest.Postgres(t)("data")
	var wg sync.WaitGroup
	for range 3 {
		d := open(t, dsn)
		wg.Go(func() {
			if err := d.Migrate(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}
