package db

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	sqlite3 "modernc.org/sqlite/lib"

	"github.com/tillid/tillid/internal/fault"
)

// diskError is what SQLite says when fsync fails.
type diskError struct{}

func (diskError) Error() string { return "disk I/O error (1034)" }
func (diskError) Code() int     { return sqlite3.SQLITE_IOERR_FSYNC }

func openThing(t testing.TB) *DB {
	t.Helper()
	d, err := Open(t.Context(), filepath.Join(t.TempDir(), "house.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	if _, err := d.Exec(t.Context(), `create table thing (id text primary key, raw bytea)`); err != nil {
		t.Fatal(err)
	}
	return d
}

func add(ctx context.Context, q Queryer, id string) error {
	_, err := q.Exec(ctx, `insert into thing (id) values ($1)`, id)
	return err
}

func things(t *testing.T, d *DB) (n int) {
	t.Helper()
	if err := d.QueryRow(t.Context(), `select count(*) from thing`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// sqliteError returns the driver's error of a statement that fails.
func sqliteError(t *testing.T, d *DB, q string) error {
	t.Helper()
	_, err := d.pool.ExecContext(t.Context(), q)
	if err == nil {
		t.Fatalf("%s: no error", q)
	}
	return err
}

// together runs n closures of which all share one transaction.
func together(t *testing.T, d *DB, n int, f func(ctx context.Context, tx *Tx, i int) error) []error {
	t.Helper()
	errs := make([]error, n)
	var first, others sync.WaitGroup
	first.Add(1)
	var wg sync.WaitGroup
	wg.Go(func() {
		errs[0] = d.Do(t.Context(), func(ctx context.Context, tx *Tx) error {
			err := f(ctx, tx, 0)
			first.Done()
			others.Wait() // the others stand in the queue by then, or join the next batch
			return err
		})
	})
	first.Wait()
	others.Add(n - 1)
	for i := 1; i < n; i++ {
		wg.Go(func() {
			others.Done()
			errs[i] = d.Do(t.Context(), func(ctx context.Context, tx *Tx) error { return f(ctx, tx, i) })
		})
	}
	wg.Wait()
	return errs
}

// When the commit's sync fails, everyone in the batch is told, and nothing is
// accepted any more: a second sync could say yes without having written.
//
// Rows: E7.
func TestFailedSyncIsForGood(t *testing.T) {
	d := openThing(t)
	readOnly := sqliteError(t, d, `insert into thing (id) values ('r')`)
	if !IsUnavailable(readOnly) {
		t.Fatalf("got %v", readOnly)
	}
	d.writer.commit = func() error { return diskError{} }
	errs := together(t, d, 5, func(ctx context.Context, tx *Tx, i int) error {
		tx.AfterCommit(func() { t.Error("after a failed commit") })
		return add(ctx, tx, NewID())
	})
	for _, err := range errs {
		if !IsUnavailable(err) {
			t.Errorf("got %v", err)
		}
	}
	d.writer.commit = func() error { return d.writer.exec("commit") }
	if err := add(t.Context(), d, "late"); fault.Of(err).ID != "db.broken" {
		t.Errorf("got %v", err)
	}
	if err := d.Err(); fault.Of(err).ID != "db.broken" {
		t.Errorf("health: %v", err)
	}
	if n := things(t, d); n != 0 {
		t.Errorf("%d rows", n)
	}
}

// A failed commit that says nothing about the disk fails its batch only.
func TestFailedCommitFailsItsBatch(t *testing.T) {
	d := openThing(t)
	real, failure := d.writer.commit, errors.New("no")
	d.writer.commit = func() error { return failure }
	if err := add(t.Context(), d, "a"); !errors.Is(err, failure) {
		t.Errorf("got %v", err)
	}
	d.writer.commit = real
	if err := add(t.Context(), d, "b"); err != nil {
		t.Error(err)
	}
	if n := things(t, d); n != 1 {
		t.Errorf("%d rows", n)
	}
}

// A full disk is said, loses nothing that was acknowledged, and is over when
// there is room again.
//
// Rows: E7.
func TestFull(t *testing.T) {
	d := openThing(t)
	if err := add(t.Context(), d, "before"); err != nil {
		t.Fatal(err)
	}
	pragma(t, d, "max_page_count = 8")
	swallowed := false
	err := d.Do(t.Context(), func(ctx context.Context, tx *Tx) error {
		_, err := tx.Exec(ctx, `insert into thing (id, raw) values ('big', zeroblob(1000000))`)
		swallowed = err != nil
		if err := add(ctx, tx, "after the failure"); err == nil {
			t.Error("a statement runs after the transaction was lost")
		}
		return nil // a closure that forgets its errors
	})
	if !swallowed || fault.Of(err).ID != "db.full" || d.Err() == nil {
		t.Errorf("got %v; health %v", err, d.Err())
	}
	pragma(t, d, "max_page_count = 1000000")
	if err := add(t.Context(), d, "room again"); err != nil || d.Err() != nil {
		t.Errorf("got %v; health %v", err, d.Err())
	}
	if n := things(t, d); n != 2 {
		t.Errorf("%d rows, want 2", n)
	}
}

// A read-only database is said, and is over when it can be written again.
//
// Rows: E7.
func TestReadOnly(t *testing.T) {
	d := openThing(t)
	pragma(t, d, "query_only = on")
	if err := add(t.Context(), d, "a"); fault.Of(err).ID != "db.readonly" || !IsUnavailable(d.Err()) {
		t.Errorf("got %v; health %v", err, d.Err())
	}
	if n := things(t, d); n != 0 {
		t.Errorf("%d rows", n)
	}
	pragma(t, d, "query_only = off")
	if err := add(t.Context(), d, "b"); err != nil || d.Err() != nil {
		t.Errorf("got %v; health %v", err, d.Err())
	}
}

// pragma sets something on the writing connection.
func pragma(t *testing.T, d *DB, setting string) {
	t.Helper()
	err := d.writer.apart(t.Context(), func() error {
		_, err := d.writer.conn.ExecContext(t.Context(), "pragma "+setting)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Statements of a batch that was lost reach nobody's data, and its members
// are all told.
func TestLostBatch(t *testing.T) {
	d := openThing(t)
	lost := errors.New("lost")
	err := d.Do(t.Context(), func(ctx context.Context, tx *Tx) error {
		if err := add(ctx, tx, "a"); err != nil {
			return err
		}
		sp, ok := tx.via.(*savepoint)
		if !ok {
			t.Fatal("not a savepoint")
		}
		sp.turn.lost = lost
		if err := add(ctx, tx, "b"); !errors.Is(err, lost) {
			t.Errorf("got %v", err)
		}
		if err := tx.QueryRow(ctx, `select 1`).Err(); err == nil {
			t.Error("a query runs after the transaction was lost")
		}
		return nil
	})
	if !errors.Is(err, lost) || things(t, d) != 0 {
		t.Errorf("got %v and %d rows", err, things(t, d))
	}
	if err := add(t.Context(), d, "c"); err != nil {
		t.Error(err)
	}
}

// A file that is no database, or is damaged, is said so when it is opened.
func TestDamagedFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "house.db")
	if err := os.WriteFile(file, []byte("this is not a database, but a long enough letter to somebody else, really, it is quite long"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Open(t.Context(), file)
	if f := fault.Of(err); f.ID != "db.damaged" || f.Hint == "" {
		t.Errorf("got %v", err)
	}
	if _, err := Open(t.Context(), filepath.Join(t.TempDir(), "none", "house.db")); err == nil {
		t.Error("a folder that is not there: no error")
	}
}

// No deleted byte stays in any file after a checkpoint.
//
// Rows: E3.
func TestCheckpointLeavesNoByte(t *testing.T) {
	d := openThing(t)
	const secret = "xyzzy-plugh-a-person's-words"
	for _, q := range []string{`insert into thing (id, raw) values ('a', $1)`, `update thing set raw = $1`} {
		if _, err := d.Exec(t.Context(), q, secret); err != nil {
			t.Fatal(err)
		}
	}
	if !inFiles(t, d.dsn, secret) {
		t.Fatal("the test looks in the wrong place")
	}
	if _, err := d.Exec(t.Context(), `delete from thing`); err != nil {
		t.Fatal(err)
	}
	if err := d.Checkpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	if inFiles(t, d.dsn, secret) {
		t.Error("a deleted byte is still there")
	}
}

// A checkpoint waits for a reader of an older state, and gives up with its caller.
func TestCheckpointWaitsForReaders(t *testing.T) {
	d := openThing(t)
	if err := add(t.Context(), d, "a"); err != nil {
		t.Fatal(err)
	}
	rows, err := d.Query(t.Context(), `select id from thing`)
	if err != nil || !rows.Next() {
		t.Fatal(err)
	}
	if err := add(t.Context(), d, "b"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- d.Checkpoint(ctx) }()
	if err := add(t.Context(), d, "c"); err != nil { // writers go on
		t.Error(err)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	rows.Close()
	if err := d.Checkpoint(t.Context()); err != nil {
		t.Error(err)
	}
}

func inFiles(t *testing.T, file, s string) bool {
	t.Helper()
	for _, name := range []string{file, file + "-wal"} {
		b, err := os.ReadFile(name)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		if bytes.Contains(b, []byte(s)) {
			return true
		}
	}
	return false
}
