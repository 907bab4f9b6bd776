// Package dbtest gives tests fresh databases on every engine.
package dbtest

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/tillid/tillid/internal/db"
)

// Env names the variable that holds the URL of a PostgreSQL database for
// tests. Each test gets schemas of its own in it.
const Env = "TILLID_TEST_POSTGRES"

// Each runs f with a fresh, migrated house database on SQLite and on
// PostgreSQL. Without a PostgreSQL that half is skipped, or fails when CI=true.
func Each(t *testing.T, f func(t *testing.T, d *db.DB)) {
	t.Helper()
	EachDSN(t, func(t *testing.T, dsn func(name string) string) { f(t, Open(t, dsn("house"))) })
}

// EachDSN is Each for tests that open databases themselves: dsn makes a fresh,
// empty one for each name, and returns the same one for the same name.
func EachDSN(t *testing.T, f func(t *testing.T, dsn func(name string) string)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { f(t, Lite(t)) })
	t.Run("postgres", func(t *testing.T) { f(t, Postgres(t)) })
}

// Open opens and migrates a house database, and closes it when the test ends.
func Open(tb testing.TB, dsn string) *db.DB {
	tb.Helper()
	seeded := seed(tb, dsn)
	d, err := db.Open(tb.Context(), dsn)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { d.Close() })
	if seeded {
		return d
	}
	if err := d.Migrate(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	return d
}

// seed writes a migrated SQLite file to dsn if there is none: migrating anew
// for each of thousands of tests takes minutes. On PostgreSQL it does nothing.
func seed(tb testing.TB, dsn string) bool {
	tb.Helper()
	if strings.Contains(dsn, "://") {
		return false
	}
	if _, err := os.Stat(dsn); err == nil {
		return false
	}
	b, err := migrated()
	if err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(dsn, b, 0o600); err != nil {
		tb.Fatal(err)
	}
	return true
}

// migrated returns the bytes of a migrated, empty SQLite database.
var migrated = sync.OnceValues(func() (_ []byte, err error) {
	dir, err := os.MkdirTemp("", "dbtest")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "house.db")
	d, err := db.Open(context.Background(), file)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(d.Migrate(context.Background()), d.Close()); err != nil {
		return nil, err
	}
	return os.ReadFile(file)
})

// Lite returns the dsn function of EachDSN for SQLite.
func Lite(tb testing.TB) func(name string) string {
	dir := tb.TempDir()
	return func(name string) string { return filepath.Join(dir, name+".db") }
}

// Postgres returns the dsn function of EachDSN for PostgreSQL.
func Postgres(tb testing.TB) func(name string) string {
	tb.Helper()
	url := os.Getenv(Env)
	if url == "" {
		if os.Getenv("CI") == "true" {
			tb.Fatal(Env + " is not set: in CI the tests must run on PostgreSQL too")
		}
		tb.Skip(Env + " is not set")
	}
	made := map[string]string{}
	return func(name string) string {
		tb.Helper()
		if made[name] == "" {
			made[name] = newSchema(tb, url)
		}
		return made[name]
	}
}

func newSchema(tb testing.TB, url string) string {
	tb.Helper()
	admin, err := sql.Open("pgx", url)
	if err != nil {
		tb.Fatal(err)
	}
	schema := "test_" + strings.ToLower(db.NewID())
	if _, err := admin.Exec("create schema " + schema); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if _, err := admin.Exec("drop schema " + schema + " cascade"); err != nil {
			tb.Error(err)
		}
		admin.Close()
	})
	sep := "?"
	if strings.Contains(url, "?") {
		sep = "&"
	}
	return url + sep + "search_path=" + schema
}
