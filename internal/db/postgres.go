package db

import (
	"context"
	"database/sql"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
)

// maxTries is how often a closure runs when it collides with others.
const maxTries = 12

func openPostgres(ctx context.Context, dsn string) (*DB, error) {
	pool, err := sql.Open("pgx", dsn)
	if err != nil {
		return nil, err
	}
	pool.SetMaxOpenConns(16)
	pool.SetMaxIdleConns(4)
	pool.SetConnMaxIdleTime(idleTime)
	if err := pool.PingContext(ctx); err != nil {
		pool.Close()
		return nil, err
	}
	return &DB{dsn: dsn, pool: pool, close: pool.Close}, nil
}

// doPostgres runs f in a serializable transaction, which gives closures the
// same guarantee as SQLite's one writer: each works as if it were alone.
func (d *DB) doPostgres(ctx context.Context, f func(context.Context, *Tx) error) ([]func(), error) {
	for n := 1; ; n++ {
		after, err := d.try(ctx, f)
		if err == nil || n == maxTries || !collided(err) {
			d.state.note(err, true)
			return after, err
		}
		pause := rand.N(time.Millisecond << min(n, 7)) //nolint:gosec // spreads retries, guards nothing
		if err := wait(ctx, pause); err != nil {
			return nil, err
		}
	}
}

func (d *DB) try(ctx context.Context, f func(context.Context, *Tx) error) ([]func(), error) {
	inner, err := d.pool.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelSerializable})
	if err != nil {
		return nil, err
	}
	defer inner.Rollback()
	tx := &Tx{db: d, via: inner}
	defer func() { tx.ended = true }()
	if err := f(context.WithValue(ctx, inTx{}, true), tx); err != nil {
		return nil, err
	}
	if err := inner.Commit(); err != nil {
		return nil, err
	}
	return tx.after, nil
}

// collided reports whether the transaction was undone because of another one
// and may simply run again.
func collided(err error) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && (e.Code == "40001" || e.Code == "40P01")
}
