package db

import (
	"context"
	"database/sql"
)

// Tx is a transaction with the same methods as DB. It is good until the
// closure that got it returns, and for that closure's goroutine only.
type Tx struct {
	db    *DB
	via   runner
	after []func()
	ended bool
}

// runner runs statements: a *sql.Tx on PostgreSQL, a *savepoint on SQLite.
type runner interface {
	ExecContext(ctx context.Context, q string, a ...any) (sql.Result, error)
	QueryContext(ctx context.Context, q string, a ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, q string, a ...any) *sql.Row
}

// Exec runs a statement that returns no rows.
func (t *Tx) Exec(ctx context.Context, q string, a ...any) (sql.Result, error) {
	t.mustBeOpen()
	return t.via.ExecContext(ctx, q, a...)
}

// Query runs a statement that returns rows. Close them before the closure ends.
func (t *Tx) Query(ctx context.Context, q string, a ...any) (*sql.Rows, error) {
	t.mustBeOpen()
	return t.via.QueryContext(ctx, q, a...)
}

// QueryRow runs a statement that returns one row.
func (t *Tx) QueryRow(ctx context.Context, q string, a ...any) *sql.Row {
	t.mustBeOpen()
	return t.via.QueryRowContext(ctx, q, a...)
}

// AfterCommit registers f to run once the transaction is durable; it does not
// run if the work is rolled back. It runs in the goroutine that called Do,
// before Do returns, and may use the DB.
func (t *Tx) AfterCommit(f func()) {
	t.mustBeOpen()
	t.after = append(t.after, f)
}

// SkipLocked is DB.SkipLocked for a transaction.
func (t *Tx) SkipLocked() string { return t.db.SkipLocked() }

// Lite reports whether the engine is SQLite.
func (t *Tx) Lite() bool { return t.db.Lite() }

func (t *Tx) mustBeOpen() {
	if t.ended {
		panic("db: a Tx is used after its closure ended")
	}
}
