package db

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"github.com/tillid/tillid/internal/fault"
)

// Load fills the empty database at dsn with a dump, from whichever engine it
// came; files are the migrations of such a database, nil for a house's. It makes
// the tables as they were when the dump was made: a later Migrate goes on from
// there. On PostgreSQL the rows come in one transaction; a SQLite file is only
// good when Load has returned nil, and is on the disk then.
func Load(ctx context.Context, dsn string, from io.Reader, files fs.FS, tell Progress) (map[string]int64, error) {
	if files == nil {
		files = migrations
	}
	r := dumpReader{bufio.NewReaderSize(from, 1<<18)}
	header, only, err := readHeader(r, files)
	if err != nil {
		return nil, err
	}
	load := loadLite
	if strings.HasPrefix(dsn, "postgres://") || strings.HasPrefix(dsn, "postgresql://") {
		load = loadPostgres
	}
	counts, err := load(ctx, dsn, r, only, header.Migrations, tell)
	if err != nil {
		return nil, fmt.Errorf("load: %w", AsFault(err))
	}
	return counts, nil
}

// readHeader returns the header and those of the migrations that had run.
func readHeader(r dumpReader, files fs.FS) (h dumpHeader, only fs.FS, err error) {
	magic := make([]byte, len(dumpMagic))
	if _, err := io.ReadFull(r, magic); err != nil || string(magic) != dumpMagic {
		return h, nil, errDump
	}
	if frame, err := r.frame(); err != nil || frame != frameHeader {
		return h, nil, errDump
	}
	if err := r.object(&h); err != nil {
		return h, nil, errDump
	}
	sums, folder, err := sumFiles(files)
	if err != nil {
		return h, nil, err
	}
	for name, sum := range h.Migrations {
		if sums[name] != sum {
			return h, nil, fault.New(fault.Conflict, "The backup was made by another Tillid: its migration %s is unknown here.", name).
				WithHint("Restore it with the version that made it, or with a newer one.")
		}
	}
	return h, some{folder, h.Migrations}, nil
}

// some shows only those files of a folder that are named.
type some struct {
	fs.FS
	names map[string]string
}

func (s some) ReadDir(name string) ([]fs.DirEntry, error) {
	all, err := fs.ReadDir(s.FS, name)
	var kept []fs.DirEntry
	for _, e := range all {
		if _, ok := s.names[e.Name()]; ok {
			kept = append(kept, e)
		}
	}
	return kept, err
}

func loadLite(ctx context.Context, file string, r dumpReader, files fs.FS, sums map[string]string, tell Progress) (map[string]int64, error) {
	if info, err := os.Stat(file); err == nil && info.Size() > 0 {
		return nil, notEmpty(file)
	}
	made, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	defer made.Close()
	abs, err := filepath.Abs(file)
	if err != nil {
		return nil, err
	}
	// No journal and no sync: a file whose loading stopped is thrown away.
	v := url.Values{"_pragma": {"journal_mode(OFF)", "synchronous(OFF)", "locking_mode(EXCLUSIVE)", "cache_size(-131072)", "foreign_keys(OFF)", tempStore}}
	handle, err := sql.Open("sqlite", "file:"+(&url.URL{Path: abs}).EscapedPath()+"?"+v.Encode())
	if err != nil {
		return nil, err
	}
	defer handle.Close()
	handle.SetMaxOpenConns(1)
	if err := migrate(ctx, goose.DialectSQLite3, handle, files, sums); err != nil {
		return nil, err
	}
	counts, err := insertAll(ctx, handle, r, tell)
	if err != nil {
		return nil, err
	}
	return counts, errors.Join(handle.Close(), made.Sync())
}

// insertAll reads the tables and inserts their rows, in one transaction.
func insertAll(ctx context.Context, handle *sql.DB, r dumpReader, tell Progress) (map[string]int64, error) {
	tx, err := handle.BeginTx(ctx, nil)
	if err != nil {
		return nil, err
	}
	defer tx.Rollback()
	counts, err := eachTable(r, func(t dumpTable, rows *rowSource) error { return insertTable(ctx, tx, t, rows) }, tell)
	if err != nil {
		return nil, err
	}
	var broken int
	if err := tx.QueryRowContext(ctx, `select count(*) from pragma_foreign_key_check`).Scan(&broken); err != nil {
		return nil, err
	}
	if broken > 0 {
		return nil, fmt.Errorf("%d rows refer to rows that are not there", broken)
	}
	return counts, tx.Commit()
}

// perInsert is how many rows one statement inserts.
const perInsert = 40

func insertTable(ctx context.Context, tx *sql.Tx, t dumpTable, rows *rowSource) error {
	many, err := tx.PrepareContext(ctx, insertText(t, perInsert))
	if err != nil {
		return err
	}
	defer many.Close()
	batch := make([]any, 0, perInsert*len(t.Columns))
	for rows.Next() {
		batch = append(batch, rows.values...)
		if len(batch) < cap(batch) {
			continue
		}
		if _, err := many.ExecContext(ctx, batch...); err != nil {
			return err
		}
		batch = batch[:0]
	}
	if rows.err != nil || len(batch) == 0 {
		return rows.err
	}
	_, err = tx.ExecContext(ctx, insertText(t, len(batch)/len(t.Columns)), batch...)
	return err
}

func insertText(t dumpTable, rows int) string {
	one := ",(?" + strings.Repeat(",?", len(t.Columns)-1) + ")"
	return `insert into ` + quoted([]string{t.Name}) + ` (` + quoted(t.Columns) + `) values ` + strings.Repeat(one, rows)[1:]
}

// rowSource reads the rows of one table; it is a pgx.CopyFromSource.
type rowSource struct {
	r      dumpReader
	name   string
	values []any
	fit    func(i int, v any) (any, error) // to the column's type; may be nil
	n      int64
	tell   Progress
	err    error
}

// Next reads the next row, and leaves what is no row for others.
func (s *rowSource) Next() bool {
	if s.err != nil {
		return false
	}
	next, err := s.r.Peek(1)
	if err != nil {
		s.err = errDump
		return false
	}
	if next[0] != frameRow {
		return false
	}
	s.r.Discard(1) //nolint:errcheck // it was peeked
	if s.err = s.r.row(s.values); s.err != nil {
		return false
	}
	for i := range s.values {
		if s.fit == nil {
			break
		}
		if s.values[i], s.err = s.fit(i, s.values[i]); s.err != nil {
			return false
		}
	}
	if s.n++; s.n%progressEvery == 0 {
		s.tell(s.name, s.n)
	}
	return true
}

// Values returns the row that Next read.
func (s *rowSource) Values() ([]any, error) { return s.values, nil }

// Err returns what went wrong.
func (s *rowSource) Err() error { return s.err }

// eachTable reads the dump to its end, and compares the counts that stand there.
func eachTable(r dumpReader, take func(dumpTable, *rowSource) error, tell Progress) (map[string]int64, error) {
	counts := map[string]int64{}
	for {
		frame, err := r.frame()
		if err != nil {
			return nil, err
		}
		switch frame {
		case frameTable:
			var t dumpTable
			if err := r.object(&t); err != nil || len(t.Columns) == 0 {
				return nil, errDump
			}
			tell(t.Name, 0)
			rows := &rowSource{r: r, name: t.Name, values: make([]any, len(t.Columns)), tell: tell}
			if err := take(t, rows); err != nil {
				return nil, fmt.Errorf("%s: %w", t.Name, err)
			}
			counts[t.Name] = rows.n
			tell(t.Name, rows.n)
		case frameEnd:
			return counts, compareCounts(r, counts)
		default:
			return nil, errDump
		}
	}
}

func compareCounts(r dumpReader, counts map[string]int64) error {
	var want map[string]int64
	if err := r.object(&want); err != nil || len(want) != len(counts) {
		return errDump
	}
	for name, n := range want {
		if counts[name] != n {
			return errDump
		}
	}
	return nil
}

func loadPostgres(ctx context.Context, dsn string, r dumpReader, files fs.FS, sums map[string]string, tell Progress) (map[string]int64, error) {
	d, err := openPostgres(ctx, dsn)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	if err := migratePostgres(ctx, dsn, files, sums); err != nil {
		if fault.Of(err).Kind == fault.Conflict { // a newer program made tables there
			return nil, notEmpty(where(dsn))
		}
		return nil, err
	}
	if err := mustBeEmpty(ctx, d, where(dsn)); err != nil {
		return nil, err
	}
	conn, err := d.pool.Conn(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	var counts map[string]int64
	err = conn.Raw(func(driver any) error {
		c, ok := driver.(*stdlib.Conn)
		if !ok {
			return fmt.Errorf("the driver is %T", driver)
		}
		counts, err = copyAll(ctx, d, c.Conn(), r, tell)
		return err
	})
	return counts, err
}

// mustBeEmpty refuses a database that holds a row.
func mustBeEmpty(ctx context.Context, d *DB, name string) error {
	tables, err := tablesInOrder(ctx, d, false)
	if err != nil {
		return err
	}
	for _, t := range tables {
		var n int
		if err := d.QueryRow(ctx, `select count(*) from (select 1 from `+quoted([]string{t})+` limit 1) as some_row`).Scan(&n); err != nil {
			return err
		}
		if n > 0 {
			return notEmpty(name)
		}
	}
	return nil
}

func copyAll(ctx context.Context, d *DB, conn *pgx.Conn, r dumpReader, tell Progress) (map[string]int64, error) {
	tx, err := conn.Begin(ctx)
	if err != nil {
		return nil, err
	}
	defer tx.Rollback(ctx) //nolint:errcheck // after Commit it does nothing
	counts, err := eachTable(r, func(t dumpTable, rows *rowSource) error {
		names, types, err := columnsOf(ctx, d, false, t.Name)
		if err != nil {
			return err
		}
		kind := map[string]string{}
		for i, n := range names {
			kind[n] = types[i]
		}
		rows.fit = func(i int, v any) (any, error) { return fitted(kind[t.Columns[i]], v) }
		_, err = tx.CopyFrom(ctx, pgx.Identifier{t.Name}, t.Columns, rows)
		return err
	}, tell)
	if err != nil {
		return nil, err
	}
	return counts, tx.Commit(ctx)
}

// fitted makes a value what PostgreSQL's column of that type takes.
func fitted(kind string, v any) (any, error) {
	switch kind {
	case "timestamp with time zone":
		if s, ok := v.(string); ok {
			return time.Parse(timeLayout, s)
		}
	case "bytea":
		if s, ok := v.(string); ok {
			return []byte(s), nil
		}
	}
	return v, nil
}

func notEmpty(name string) error {
	return fault.New(fault.Conflict, "%s is not empty: a backup is restored into an empty place only.", name).
		WithHint("Move what is there away first; keep it until the restored house runs.").In("db.not_empty")
}

// where names a PostgreSQL database without its password.
func where(dsn string) string {
	u, err := url.Parse(dsn)
	if err != nil {
		return "the database"
	}
	return u.Redacted()
}
