package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/tillid/tillid/internal/fault"
)

// A house that nobody visits keeps little in memory: few readers, closed when
// idle, and small page caches (SQLite counts a negative size in KiB).
const (
	maxReaders  = 8
	idleReaders = 2
	idleTime    = time.Minute
	readerCache = "cache_size(-512)"
	writerCache = "cache_size(-4096)"
	// Savepoints keep a journal of their own; on disk it costs more than the
	// transaction itself, and what it holds should not lie in a temporary folder.
	tempStore    = "temp_store(MEMORY)"
	busyTimeout  = "busy_timeout(5000)"
	checkpointAt = "wal_autocheckpoint(2000)" // pages
)

func openLite(ctx context.Context, file string) (_ *DB, err error) {
	lock, err := lockFile(file)
	if err != nil {
		return nil, err
	}
	d := &DB{dsn: file, lock: lock}
	defer func() {
		if err != nil {
			d.abandon()
		}
	}()
	handle, err := sql.Open("sqlite", liteDSN(file, "journal_mode(WAL)", writerCache, checkpointAt))
	if err != nil {
		return nil, err
	}
	handle.SetMaxOpenConns(1)
	if d.writer, err = newWriter(ctx, d, handle); err != nil { // sets WAL before readers come
		handle.Close()
		return nil, err
	}
	if err := d.look(ctx); err != nil {
		return nil, err
	}
	d.pool, err = sql.Open("sqlite", liteDSN(file, readerCache, "query_only(ON)"))
	if err != nil {
		return nil, err
	}
	d.pool.SetMaxOpenConns(maxReaders)
	d.pool.SetMaxIdleConns(idleReaders)
	d.pool.SetConnMaxIdleTime(idleTime)
	d.close = sync.OnceValue(d.closeLite)
	return d, nil
}

// lookTime bounds the look at a file when it is opened: some 100 MB of it.
const lookTime = 200 * time.Millisecond

// look checks that the file's pages fit together, as far as time allows: damage is
// better said at start than found by a visitor.
func (d *DB) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	var found string
	err := d.writer.conn.QueryRowContext(ctx, "pragma quick_check(1)").Scan(&found)
	switch {
	case ctx.Err() != nil:
		return nil // large, or the machine is busy
	case err != nil:
		return err
	case found != "ok":
		return faultDamaged(errors.New(found))
	}
	return nil
}

// closeLite closes the readers first: the last connection to close, the
// writer's, then copies the write-ahead log into the file and removes it.
func (d *DB) closeLite() error {
	err := d.pool.Close()
	err = errors.Join(err, d.writer.close())
	return errors.Join(err, d.lock.Close()) // releases the lock
}

// abandon closes what a failed openLite had opened.
func (d *DB) abandon() {
	if d.writer != nil {
		d.writer.close() //nolint:errcheck // the error that matters is returned
	}
	d.lock.Close()
}

// liteDSN returns file as a URI with the settings of every connection.
func liteDSN(file string, pragma ...string) string {
	abs, err := filepath.Abs(file)
	if err != nil {
		abs = file
	}
	v := url.Values{"_txlock": {"immediate"}, "_pragma": append(pragma,
		busyTimeout, tempStore, "synchronous(FULL)", "foreign_keys(ON)", "secure_delete(ON)")}
	return "file:" + (&url.URL{Path: abs}).EscapedPath() + "?" + v.Encode()
}

// lockFile takes the lock that keeps a second process out, and makes the
// database file, readable for its owner only, when there is none.
func lockFile(file string) (*os.File, error) {
	if real, err := filepath.EvalSymlinks(file); err == nil {
		file = real
	}
	lock, err := os.OpenFile(file+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		lock.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fault.New(fault.Unavailable, "The database %s is in use by another process.", file).
				WithHint("Is “tillid serve” running for this house? Stop it, or use the command line beside it, which talks to it.").
				In("db.locked").Because(errLocked)
		}
		return nil, fmt.Errorf("lock %s: %w", file, err)
	}
	f, err := os.OpenFile(file, os.O_CREATE, 0o600)
	if err != nil {
		lock.Close()
		return nil, err
	}
	f.Close()
	return lock, nil
}

// SetReadOnly makes SQLite refuse every write, as it does for a file that it may not
// write, or take them again. It is how tests show what a house does then: file modes
// do not stop root, and PostgreSQL has settings of its own.
func (d *DB) SetReadOnly(ctx context.Context, on bool) error {
	if !d.Lite() {
		return errors.New("only SQLite is set read-only here")
	}
	return d.writer.apart(ctx, func() error {
		return d.writer.exec("pragma query_only = " + strconv.FormatBool(on))
	})
}

// Checkpoint makes SQLite copy its write-ahead log into the file and truncate
// it, so that no deleted byte stays; on PostgreSQL it does nothing. It waits
// for readers of older states; writers go on between its attempts.
func (d *DB) Checkpoint(ctx context.Context) error {
	mustBeOutside(ctx)
	if !d.Lite() {
		return nil
	}
	for range 200 {
		var busy, pages, copied int
		err := d.writer.apart(ctx, func() error {
			defer d.writer.exec("pragma " + "busy_timeout = 5000") //nolint:errcheck // only how long a reader is waited for
			if err := d.writer.exec("pragma busy_timeout = 20"); err != nil {
				return err
			}
			return d.writer.conn.QueryRowContext(ctx, "pragma wal_checkpoint(truncate)").Scan(&busy, &pages, &copied)
		})
		if err != nil {
			return fmt.Errorf("checkpoint: %w", AsFault(err))
		}
		if busy == 0 {
			return nil
		}
		if err := wait(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
	return fmt.Errorf("checkpoint: %w", faultAway(errors.New("a reader holds an old state")))
}

func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
