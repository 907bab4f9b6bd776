package db

import (
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5/pgconn"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/tillid/tillid/internal/fault"
)

var (
	errClosed = errors.New("the database is closed")
	errLocked = errors.New("locked by another process")
)

// liteError is *sqlite.Error, or one that a test makes.
type liteError interface {
	error
	Code() int
}

// state remembers what is wrong with the database.
type state struct {
	mu    sync.Mutex
	last  error // of the newest write; nil when it succeeded
	ended error // set for good
	count int64 // of failures
}

func (s *state) err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended != nil {
		return s.ended
	}
	return s.last
}

func (s *state) failures() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count
}

func (s *state) fatal() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ended
}

// note remembers the outcome of a step of a write. After a failed sync nobody
// knows what reached the disk and a second try may wrongly say yes: that state
// is for good, until a restart reads the truth from the disk.
func (s *state) note(err error, commit bool) {
	f := known(err)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err == nil && commit:
		s.last = nil
	case f != nil:
		s.last = f
		s.count++
		if diskFailed(err, commit) {
			s.ended = fault.New(fault.Unavailable, "The disk failed while saving: nothing more is saved.").
				WithHint("Check the disk, then restart Tillid; what was acknowledged is on the disk.").
				In("db.broken").Because(err)
		}
	}
}

// diskFailed reports whether err leaves it unknown what is on the disk.
func diskFailed(err error, commit bool) bool {
	var e liteError
	if !errors.As(err, &e) {
		return false
	}
	switch e.Code() {
	case sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_DIR_FSYNC, sqlite3.SQLITE_IOERR_WRITE:
		return true
	case sqlite3.SQLITE_IOERR_SHMOPEN, sqlite3.SQLITE_IOERR_SHMSIZE, sqlite3.SQLITE_IOERR_SHMMAP:
		return false // no room for the shared index: as if the disk were full
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return true
	case sqlite3.SQLITE_IOERR:
		return commit
	}
	return false
}

// endsTransaction reports whether SQLite may have rolled back the whole
// transaction because of err.
func endsTransaction(err error) bool {
	var e liteError
	if !errors.As(err, &e) {
		return false
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_BUSY,
		sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_READONLY:
		return true
	}
	return false
}

// IsUnavailable reports whether err says that the database cannot write or
// answer now (full, read-only, locked, gone). Callers answer 503.
func IsUnavailable(err error) bool { return known(err) != nil }

// AsFault makes an error that says the database cannot serve now fit for
// people; other errors it leaves alone. Do and Exec return such errors already,
// the rows of Query and QueryRow do not.
func AsFault(err error) error {
	if f := known(err); f != nil {
		return f
	}
	return err
}

// known returns the fault that err stands for, or nil.
func known(err error) *fault.Error {
	if err == nil {
		return nil
	}
	var f *fault.Error
	if errors.As(err, &f) {
		if f.Kind == fault.Unavailable && strings.HasPrefix(f.ID, "db.") {
			return f
		}
		return nil
	}
	var lite liteError
	if errors.As(err, &lite) {
		return knownLite(lite.Code(), err)
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return knownPostgres(pg.Code, err)
	}
	var connect *pgconn.ConnectError
	var network net.Error
	if errors.As(err, &connect) || errors.As(err, &network) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) || errors.Is(err, pgconn.ErrConnClosed) || errors.Is(err, errClosed) ||
		strings.Contains(err.Error(), "sql: database is closed") {
		return faultAway(err)
	}
	return nil
}

func knownLite(code int, err error) *fault.Error {
	switch code {
	case sqlite3.SQLITE_IOERR_SHMOPEN, sqlite3.SQLITE_IOERR_SHMSIZE, sqlite3.SQLITE_IOERR_SHMMAP:
		return faultFull(err)
	}
	switch code & 0xff {
	case sqlite3.SQLITE_FULL:
		return faultFull(err)
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM:
		return faultReadOnly(err)
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return faultDamaged(err)
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN,
		sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_PROTOCOL:
		return faultAway(err)
	}
	return nil
}

func knownPostgres(code string, err error) *fault.Error {
	switch {
	case code == "53100": // disk_full
		return faultFull(err)
	case code == "25006": // read_only_sql_transaction
		return faultReadOnly(err)
	case strings.HasPrefix(code, "08"), strings.HasPrefix(code, "53"), strings.HasPrefix(code, "57P"),
		strings.HasPrefix(code, "58"), code == "40001", code == "40P01", code == "3D000", strings.HasPrefix(code, "28"):
		return faultAway(err)
	}
	return nil
}

func faultDamaged(err error) *fault.Error {
	return fault.New(fault.Unavailable, "The database file is damaged.").
		WithHint("Stop Tillid and restore the newest backup; keep the damaged file.").In("db.damaged").Because(err)
}

func faultFull(err error) *fault.Error {
	return fault.New(fault.Unavailable, "The disk is full: nothing can be saved just now.").
		WithHint("Free some space; Tillid goes on by itself.").In("db.full").Because(err)
}

func faultReadOnly(err error) *fault.Error {
	return fault.New(fault.Unavailable, "The database is read-only: nothing can be saved just now.").
		WithHint("Make the folder and the database writable for Tillid again.").In("db.readonly").Because(err)
}

func faultAway(err error) *fault.Error {
	return fault.New(fault.Unavailable, "The database does not answer just now.").
		WithHint("Try again in a moment.").In("db.away").Because(err)
}
