// Package db opens a house's database and hides the few places where SQLite
// and PostgreSQL differ. Queries are written once, in the SQL both understand.
//
// House rules for that common SQL (dbtest runs every store test on both):
//   - placeholders are $1, $2, …
//   - column types: text, bigint, boolean, timestamptz, bytea
//   - JSON is stored as text; ids are made in Go (NewID); no serial columns
//   - dates are computed in Go and passed in as Time; no date functions
//   - lists go through List; ordering a nullable column says nulls first/last
package db

import (
	"context"
	"database/sql"
	"io/fs"
)

// Queryer is what a store function needs: a DB or a Tx.
type Queryer interface {
	Exec(ctx context.Context, query string, args ...any) (sql.Result, error)
	Query(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRow(ctx context.Context, query string, args ...any) *sql.Row
}

// DB is an open database.
type DB struct{ core }

type core struct{} // helper CORE replaces this

// Open opens the database at dsn: "postgres://…" or a SQLite file path.
func Open(ctx context.Context, dsn string) (*DB, error) { panic("helper CORE writes this") }

// Close closes the database; running transactions end first.
func (d *DB) Close() error { panic("helper CORE writes this") }

// Lite reports whether the engine is SQLite.
func (d *DB) Lite() bool { panic("helper CORE writes this") }

// Do runs f in a transaction and returns when it is durable. On SQLite, many
// callers' closures run as savepoints of one transaction with one fsync (group
// commit), so f must not wait for anything but the database. If f returns an
// error, only its own work is rolled back. f gets a context that is good for
// the Tx only; using the DB inside f panics.
func (d *DB) Do(ctx context.Context, f func(context.Context, *Tx) error) error {
	panic("helper CORE writes this")
}

func (d *DB) Exec(ctx context.Context, q string, a ...any) (sql.Result, error) {
	panic("helper CORE writes this")
}
func (d *DB) Query(ctx context.Context, q string, a ...any) (*sql.Rows, error) {
	panic("helper CORE writes this")
}
func (d *DB) QueryRow(ctx context.Context, q string, a ...any) *sql.Row {
	panic("helper CORE writes this")
}

// Tx is a transaction with the same methods as DB.
type Tx struct{ core }

func (t *Tx) Exec(ctx context.Context, q string, a ...any) (sql.Result, error) {
	panic("helper CORE writes this")
}
func (t *Tx) Query(ctx context.Context, q string, a ...any) (*sql.Rows, error) {
	panic("helper CORE writes this")
}
func (t *Tx) QueryRow(ctx context.Context, q string, a ...any) *sql.Row {
	panic("helper CORE writes this")
}

// AfterCommit registers f to run once the transaction is durable; it does not
// run if the work is rolled back.
func (t *Tx) AfterCommit(f func()) { panic("helper CORE writes this") }

// Migrate applies the embedded migrations of a house's database (goose, forward only).
func (d *DB) Migrate(ctx context.Context) error { panic("helper CORE writes this") }

// MigrateFS applies another set of migrations, for example the key store's.
func (d *DB) MigrateFS(ctx context.Context, files fs.FS) error { panic("helper CORE writes this") }

// Checkpoint makes SQLite copy its write-ahead log into the file and truncate
// it, so that no deleted byte stays; on PostgreSQL it does nothing.
func (d *DB) Checkpoint(ctx context.Context) error { panic("helper CORE writes this") }
