// Package db opens a house's database and hides the few places where SQLite
// and PostgreSQL differ. Queries are written once, in the SQL both understand.
//
// House rules for that common SQL (dbtest runs every store test on both):
//   - placeholders are $1, $2, …
//   - column types: text, bigint, boolean, timestamptz, bytea
//   - JSON is stored as text and passed as a string; ids are made in Go (NewID);
//     no serial columns
//   - dates are computed in Go and passed in as Time; no date functions
//   - an empty []byte is NULL (SQLite's driver makes it so)
//   - lists go through List; ordering a nullable column says nulls first/last
//   - a statement that fails ends the transaction: return its error
package db

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"strings"
)

// Queryer is what a store function needs: a DB or a Tx.
type Queryer interface {
	Exec(ctx context.Context, query string, args ...any) (sql.Result, error)
	Query(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRow(ctx context.Context, query string, args ...any) *sql.Row
}

// DB is an open database. On SQLite every write goes through one writer and
// reads through a small pool; on PostgreSQL both use the pool.
type DB struct {
	pool   *sql.DB  // SQLite: readers only
	writer *writer  // nil on PostgreSQL
	lock   *os.File // held while a SQLite file is open
	dsn    string
	state  state
	bells  bells
	close  func() error
}

// Open opens the database at dsn: "postgres://…" or a SQLite file path. A
// SQLite file belongs to one process: a second one gets a fault.Unavailable.
func Open(ctx context.Context, dsn string) (*DB, error) {
	open := openLite
	if strings.HasPrefix(dsn, "postgres://") || strings.HasPrefix(dsn, "postgresql://") {
		open = openPostgres
	}
	d, err := open(ctx, dsn)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", AsFault(err))
	}
	return d, nil
}

// Close closes the database; running transactions end first. A second Close
// does nothing.
func (d *DB) Close() error { return d.close() }

// Lite reports whether the engine is SQLite.
func (d *DB) Lite() bool { return d.writer != nil }

// Err returns what is wrong with the database, for health checks: the reason
// why it takes no more writes, or the last write's failure as long as none
// has succeeded since. It is nil while all is well.
func (d *DB) Err() error { return d.state.err() }

// Failures counts the writes that the database could not take: full, read-only,
// away. A small write may still succeed where larger ones fail, so a health check
// that only tries one looks at this too.
func (d *DB) Failures() int64 { return d.state.failures() }

// Do runs f in a transaction and returns when it is durable. On SQLite, many
// callers' closures run as savepoints of one transaction with one fsync (group
// commit), so f must not wait for anything but the database. On PostgreSQL the
// transaction is serializable and f runs again when it collided with another,
// so f must set, not add to, the variables it fills in. If f returns an error
// or panics, only its own work is rolled back. f gets a context that is good
// for the Tx only; using the DB inside f panics.
func (d *DB) Do(ctx context.Context, f func(context.Context, *Tx) error) error {
	mustBeOutside(ctx)
	do := d.doPostgres
	if d.Lite() {
		do = d.writer.do
	}
	after, err := do(ctx, f)
	if err != nil {
		return AsFault(err)
	}
	for _, f := range after {
		f()
	}
	return nil
}

// Exec runs one statement in a transaction of its own.
func (d *DB) Exec(ctx context.Context, q string, a ...any) (res sql.Result, err error) {
	err = d.Do(ctx, func(ctx context.Context, tx *Tx) (err error) {
		res, err = tx.Exec(ctx, q, a...)
		return err
	})
	return res, err
}

// Query reads what is committed.
func (d *DB) Query(ctx context.Context, q string, a ...any) (*sql.Rows, error) {
	mustBeOutside(ctx)
	return d.pool.QueryContext(ctx, d.text(q), a...)
}

// QueryRow reads one row of what is committed.
func (d *DB) QueryRow(ctx context.Context, q string, a ...any) *sql.Row {
	mustBeOutside(ctx)
	return d.pool.QueryRowContext(ctx, d.text(q), a...)
}

// SkipLocked is the end of a select that lets several workers claim rows at
// once. SQLite needs none: it has one writer.
func (d *DB) SkipLocked() string {
	if d.Lite() {
		return ""
	}
	return " for update skip locked"
}

// text adapts a query to the engine.
func (d *DB) text(q string) string {
	if d.Lite() {
		return numbered(q)
	}
	return q
}

// numbered writes the placeholders outside quotes as ?1, which SQLite reads
// as a number; $1 it would read as a name.
func numbered(q string) string {
	b, quoted := []byte(q), false
	for i := range b[:max(len(b)-1, 0)] {
		switch {
		case b[i] == '\'':
			quoted = !quoted
		case b[i] == '$' && !quoted && '0' <= b[i+1] && b[i+1] <= '9':
			b[i] = '?'
		}
	}
	return string(b)
}

type inTx struct{}

// mustBeOutside panics if ctx belongs to a transaction: on SQLite the call
// would wait for ever for the one writer, and on PostgreSQL it would quietly
// run outside the transaction.
func mustBeOutside(ctx context.Context) {
	if ctx.Value(inTx{}) != nil {
		panic("db: the DB is used inside Do; use the Tx")
	}
}
