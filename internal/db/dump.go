package db

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Snapshot is one unchanging state of a database, while writers go on. It can
// only be read, and is good until the function that got it returns.
type Snapshot struct {
	db *DB
	tx runner
}

// Snapshot runs f on the state of the database at this moment: on SQLite a read
// transaction beside the writer, on PostgreSQL a repeatable-read one. While it
// lasts, SQLite cannot clear its write-ahead log: a Checkpoint waits for it.
func (d *DB) Snapshot(ctx context.Context, f func(ctx context.Context, s *Snapshot) error) error {
	mustBeOutside(ctx)
	conn, err := d.pool.Conn(ctx)
	if err != nil {
		return AsFault(err)
	}
	defer conn.Close()
	begin := "begin isolation level repeatable read read only"
	if d.Lite() {
		begin = "begin deferred"
	}
	if _, err := conn.ExecContext(ctx, begin); err != nil {
		return AsFault(err)
	}
	defer conn.ExecContext(context.WithoutCancel(ctx), "rollback") //nolint:errcheck // only read
	s := &Snapshot{db: d, tx: conn}
	var n int // on both engines the state is that of the first read
	if err := conn.QueryRowContext(ctx, `select count(*) from migration`).Scan(&n); err != nil {
		return AsFault(err)
	}
	return AsFault(f(ctx, s))
}

// Exec refuses: a snapshot can only be read.
func (s *Snapshot) Exec(context.Context, string, ...any) (sql.Result, error) {
	return nil, errors.New("db: a snapshot can only be read")
}

// Query reads the snapshot.
func (s *Snapshot) Query(ctx context.Context, q string, a ...any) (*sql.Rows, error) {
	return s.tx.QueryContext(ctx, s.db.text(q), a...)
}

// QueryRow reads one row of the snapshot.
func (s *Snapshot) QueryRow(ctx context.Context, q string, a ...any) *sql.Row {
	return s.tx.QueryRowContext(ctx, s.db.text(q), a...)
}

// Progress is told how many rows of a table have been written or read.
type Progress func(table string, rows int64)

// progressEvery is how many rows pass between two words about progress.
const progressEvery = 10000

// bookkeeping are the tables that Load makes anew.
func bookkeeping(table string) bool { return table == "goose_db_version" || table == "migration" }

// Dump writes every row in a form that Load reads on either engine, and returns
// how many rows each table has. Tables come after those that they refer to.
func (s *Snapshot) Dump(ctx context.Context, to io.Writer, tell Progress) (map[string]int64, error) {
	w := dumpWriter{bufio.NewWriterSize(to, 1<<18)}
	w.WriteString(dumpMagic) //nolint:errcheck // Flush says so
	header := dumpHeader{Engine: "postgresql"}
	if s.db.Lite() {
		header.Engine = "sqlite"
	}
	var err error
	if header.Migrations, err = migrationsOf(ctx, s); err != nil {
		return nil, fmt.Errorf("dump: %w", err)
	}
	if err := w.object(frameHeader, header); err != nil {
		return nil, err
	}
	tables, err := tablesInOrder(ctx, s, s.db.Lite())
	if err != nil {
		return nil, fmt.Errorf("dump: %w", err)
	}
	counts := map[string]int64{}
	for _, table := range tables {
		if counts[table], err = s.dumpTable(ctx, w, table, tell); err != nil {
			return nil, fmt.Errorf("dump %s: %w", table, err)
		}
	}
	if err := w.object(frameEnd, counts); err != nil {
		return nil, err
	}
	return counts, w.Flush()
}

func (s *Snapshot) dumpTable(ctx context.Context, w dumpWriter, table string, tell Progress) (n int64, err error) {
	columns, types, err := columnsOf(ctx, s, s.db.Lite(), table)
	if err != nil {
		return 0, err
	}
	tell(table, 0)
	if err := w.object(frameTable, dumpTable{table, columns}); err != nil {
		return 0, err
	}
	rows, err := s.Query(ctx, `select `+quoted(columns)+` from `+quoted([]string{table}))
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	values, into := make([]any, len(columns)), make([]any, len(columns))
	for i := range values {
		into[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return n, err
		}
		for i := range values {
			values[i] = common(types[i], values[i])
		}
		if err := w.row(values); err != nil {
			return n, err
		}
		if n++; n%progressEvery == 0 {
			tell(table, n)
		}
	}
	tell(table, n)
	return n, rows.Err()
}

// common is a value as both engines would give it: SQLite has no type for yes and
// no, and keeps bytes in a column of text as bytes.
func common(kind string, v any) any {
	switch v := v.(type) {
	case int64:
		if kind == "boolean" {
			return v != 0
		}
	case []byte:
		if kind == "text" {
			return string(v)
		}
	}
	return v
}

func quoted(names []string) string {
	q := make([]string, len(names))
	for i, n := range names {
		q[i] = `"` + strings.ReplaceAll(n, `"`, `""`) + `"`
	}
	return strings.Join(q, ", ")
}

func migrationsOf(ctx context.Context, q Queryer) (map[string]string, error) {
	rows, err := q.Query(ctx, `select name, sum from migration`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	all := map[string]string{}
	for rows.Next() {
		var name, sum string
		if err := rows.Scan(&name, &sum); err != nil {
			return nil, err
		}
		all[name] = sum
	}
	return all, rows.Err()
}

// tablesInOrder lists the tables of a house, each after those it refers to.
func tablesInOrder(ctx context.Context, q Queryer, lite bool) ([]string, error) {
	list, refers := `select table_name from information_schema.tables where table_schema = current_schema() and table_type = 'BASE TABLE' order by 1`,
		`select f.relname from pg_constraint c join pg_class t on t.oid = c.conrelid join pg_class f on f.oid = c.confrelid
			join pg_namespace n on n.oid = t.relnamespace where c.contype = 'f' and n.nspname = current_schema() and t.relname = $1`
	if lite {
		list, refers = `select name from sqlite_master where type = 'table' and name not like 'sqlite_%' order by 1`,
			`select "table" from pragma_foreign_key_list($1)`
	}
	names, err := Texts(ctx, q, list)
	if err != nil {
		return nil, err
	}
	var ordered []string
	var visit func(name string, path []string) error
	visit = func(name string, path []string) error {
		if slices.Contains(ordered, name) || slices.Contains(path, name) {
			return nil
		}
		before, err := Texts(ctx, q, refers, name)
		if err != nil {
			return err
		}
		for _, other := range before {
			if err := visit(other, append(path, name)); err != nil {
				return err
			}
		}
		ordered = append(ordered, name)
		return nil
	}
	for _, name := range names {
		if err := visit(name, nil); err != nil {
			return nil, err
		}
	}
	return slices.DeleteFunc(ordered, bookkeeping), nil
}

// columnsOf returns a table's columns and their types, in its order.
func columnsOf(ctx context.Context, q Queryer, lite bool, table string) (names, types []string, err error) {
	query := `select column_name, data_type from information_schema.columns where table_schema = current_schema() and table_name = $1 order by ordinal_position`
	if lite {
		query = `select name, type from pragma_table_info($1) order by cid`
	}
	rows, err := q.Query(ctx, query, table)
	if err != nil {
		return nil, nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var name, kind string
		if err := rows.Scan(&name, &kind); err != nil {
			return nil, nil, err
		}
		names, types = append(names, name), append(types, kind)
	}
	return names, types, rows.Err()
}
