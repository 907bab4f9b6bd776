package db

import (
	"context"
	"database/sql"
	"errors"
)

// maxBatch bounds how many closures share one transaction, and so how long
// the first of them waits for its commit.
const maxBatch = 512

// writer owns SQLite's one writing connection. Closures wait in a queue for
// their turn; the writer opens a transaction, gives one closure after another
// its turn within a savepoint, and commits once for all of them. A closure
// runs in the goroutine of its caller while the writer waits, so a panic (or a
// test that ends) there is the caller's own.
type writer struct {
	db      *DB
	handle  *sql.DB
	conn    *sql.Conn
	stmts   map[string]*sql.Stmt // by the caller's text of the query
	queue   chan *turn           // unbuffered: who waits is a blocked sender, who gives up is gone
	aside   chan func()          // work between transactions
	closing chan struct{}
	ended   chan struct{}
	commit  func() error // a field, so that a test can make the disk fail
}

// turn is one closure's place in a batch.
type turn struct {
	start chan error // nil when the closure may run
	ended chan bool  // whether to keep its work
	done  chan error // the fate of the whole transaction
	lost  error      // a failure that may have ended the transaction
}

func newWriter(ctx context.Context, d *DB, handle *sql.DB) (*writer, error) {
	conn, err := handle.Conn(ctx)
	if err != nil {
		return nil, err
	}
	w := &writer{
		db: d, handle: handle, conn: conn,
		stmts: map[string]*sql.Stmt{},
		queue: make(chan *turn), aside: make(chan func()),
		closing: make(chan struct{}), ended: make(chan struct{}),
	}
	w.commit = func() error { return w.exec("commit") }
	go w.run()
	return w, nil
}

func (w *writer) close() error {
	close(w.closing)
	<-w.ended
	w.forget()
	w.conn.Close()
	return w.handle.Close()
}

func (w *writer) run() {
	defer close(w.ended)
	for {
		select {
		case t := <-w.queue:
			w.batch(t)
		case f := <-w.aside:
			f()
		case <-w.closing:
			return
		}
	}
}

// batch runs a transaction of t and of all who are waiting.
func (w *writer) batch(t *turn) {
	if err := w.begin(); err != nil {
		t.start <- err
		return
	}
	var kept []*turn
	var err error
	for n := 1; t != nil && err == nil; n++ {
		var keep bool
		if keep, err = w.give(t); keep {
			kept = append(kept, t)
		}
		if t = nil; n < maxBatch {
			select {
			case t = <-w.queue:
			default:
			}
		}
	}
	if t != nil { // taken from the queue when the transaction was already lost
		t.start <- err
	}
	err = w.end(err, len(kept) > 0)
	for _, t := range kept {
		t.done <- err
	}
}

func (w *writer) begin() error {
	if err := w.db.state.fatal(); err != nil {
		return err
	}
	err := w.exec("begin immediate")
	w.db.state.note(err, false)
	return err
}

// give lets t's closure run. An error says that the transaction is lost.
func (w *writer) give(t *turn) (keep bool, err error) {
	if err := w.exec("savepoint closure"); err != nil {
		t.start <- err
		return false, err
	}
	t.start <- nil
	keep = <-t.ended
	switch {
	case t.lost != nil:
		return keep, t.lost
	case keep:
		return keep, w.exec("release closure")
	}
	if err := w.exec("rollback to closure"); err != nil {
		return keep, err
	}
	return keep, w.exec("release closure")
}

// end commits, or rolls back when the transaction is lost or nothing is kept.
func (w *writer) end(lost error, kept bool) error {
	err := lost
	if err == nil && kept {
		err = w.commit()
		w.db.state.note(err, true)
	} else {
		w.db.state.note(err, false)
	}
	if err != nil || !kept {
		if e := w.exec("rollback"); e != nil && err == nil {
			err = e
		} // after some failures SQLite has rolled back by itself
	}
	return err
}

// do waits for a turn, runs f and returns once the batch is durable.
func (w *writer) do(ctx context.Context, f func(context.Context, *Tx) error) ([]func(), error) {
	if err := w.db.state.fatal(); err != nil {
		return nil, err
	}
	t := &turn{start: make(chan error, 1), ended: make(chan bool), done: make(chan error, 1)}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case w.queue <- t:
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-w.closing:
		return nil, errClosed
	}
	if err := <-t.start; err != nil {
		return nil, err
	}
	tx := &Tx{db: w.db, via: &savepoint{w: w, turn: t}}
	if err := t.run(ctx, tx, f); err != nil {
		return nil, err
	}
	return tx.after, <-t.done
}

// run runs f; the deferred end also serves when f panics.
func (t *turn) run(ctx context.Context, tx *Tx, f func(context.Context, *Tx) error) error {
	keep := false
	defer func() {
		tx.ended = true
		t.ended <- keep
	}()
	err := f(context.WithValue(ctx, inTx{}, true), tx)
	keep = err == nil
	return err
}

// apart runs f in the writer while no transaction is open.
func (w *writer) apart(ctx context.Context, f func() error) error {
	done := make(chan error, 1)
	select {
	case w.aside <- func() { done <- f() }:
		return <-done
	case <-ctx.Done():
		return ctx.Err()
	case <-w.closing:
		return errClosed
	}
}

// exec runs a statement of the writer's own.
func (w *writer) exec(q string) error {
	s, err := w.prepared(q) //nolint:sqlclosecheck // kept for the next time; closed with the writer
	if err == nil {
		_, err = s.ExecContext(context.Background())
	}
	return err
}

// maxStmts bounds the memory of prepared statements; a house has fewer.
const maxStmts = 256

// prepared returns q as a statement of the writing connection.
func (w *writer) prepared(q string) (*sql.Stmt, error) {
	if s := w.stmts[q]; s != nil {
		return s, nil
	}
	if len(w.stmts) >= maxStmts {
		w.forget()
	}
	s, err := w.conn.PrepareContext(context.Background(), numbered(q))
	if err != nil {
		return nil, err
	}
	w.stmts[q] = s
	return s, nil
}

func (w *writer) forget() {
	for _, s := range w.stmts {
		s.Close()
	}
	clear(w.stmts)
}

// savepoint runs the statements of one closure. They are never interrupted:
// SQLite would roll back the work of everyone in the batch.
type savepoint struct {
	w    *writer
	turn *turn
	rows map[string]bool // queries whose rows may still be open
}

func (s *savepoint) ExecContext(ctx context.Context, q string, a ...any) (sql.Result, error) {
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	if s.rows[q] {
		res, err := s.w.conn.ExecContext(context.Background(), numbered(q), a...)
		return res, s.noted(err)
	}
	stmt, err := s.w.prepared(q) //nolint:sqlclosecheck // kept for the next time; closed with the writer
	if err != nil {
		return nil, s.noted(err)
	}
	res, err := stmt.ExecContext(context.Background(), a...)
	return res, s.noted(err)
}

func (s *savepoint) QueryContext(ctx context.Context, q string, a ...any) (*sql.Rows, error) {
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	if s.rows[q] { // the prepared statement would be rewound under the open rows
		rows, err := s.w.conn.QueryContext(context.Background(), numbered(q), a...)
		return rows, s.noted(err)
	}
	stmt, err := s.w.prepared(q) //nolint:sqlclosecheck // kept for the next time; closed with the writer
	if err != nil {
		return nil, s.noted(err)
	}
	if s.rows == nil {
		s.rows = map[string]bool{}
	}
	s.rows[q] = true
	rows, err := stmt.QueryContext(context.Background(), a...)
	return rows, s.noted(err)
}

func (s *savepoint) QueryRowContext(ctx context.Context, q string, a ...any) *sql.Row {
	if s.ready(ctx) != nil {
		gone, cancel := context.WithCancel(ctx)
		cancel()
		return s.w.conn.QueryRowContext(gone, "select 1")
	}
	stmt, err := s.w.prepared(q) //nolint:sqlclosecheck // kept for the next time; closed with the writer
	if err != nil || s.rows[q] {
		row := s.w.conn.QueryRowContext(context.Background(), numbered(q), a...)
		s.noted(row.Err()) //nolint:errcheck // noted for health
		return row
	}
	row := stmt.QueryRowContext(context.Background(), a...)
	s.noted(row.Err()) //nolint:errcheck // noted for health
	return row
}

// ready says whether another statement may run: not after the caller has
// given up, nor after a failure that may have ended the transaction, for
// SQLite would then make each statement durable by itself.
func (s *savepoint) ready(ctx context.Context) error {
	return errors.Join(s.turn.lost, ctx.Err())
}

func (s *savepoint) noted(err error) error {
	if err != nil && endsTransaction(err) {
		s.turn.lost = err
		s.w.db.state.note(err, false)
	}
	return err
}
