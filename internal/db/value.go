package db

import (
	"context"
	"crypto/rand"
	"database/sql/driver"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// Time is a moment in UTC, kept to the millisecond. The zero Time is NULL.
// SQLite stores it as sortable text.
type Time struct{ time.Time }

const timeLayout = "2006-01-02T15:04:05.000Z"

// Value implements driver.Valuer.
func (t Time) Value() (driver.Value, error) {
	if t.IsZero() {
		return nil, nil
	}
	return t.UTC().Format(timeLayout), nil
}

// Scan implements sql.Scanner.
func (t *Time) Scan(v any) (err error) {
	switch v := v.(type) {
	case nil:
		t.Time = time.Time{}
	case time.Time:
		t.Time = v.UTC()
	case string:
		t.Time, err = time.Parse(timeLayout, v)
	case []byte:
		t.Time, err = time.Parse(timeLayout, string(v))
	default:
		err = fmt.Errorf("db.Time: cannot scan %T", v)
	}
	return err
}

// NewID returns a random id that is safe in a URL (crypto/rand, ≥ 128 bits).
func NewID() string { return rand.Text() }

// IsUnique reports whether err says that a unique constraint was broken.
func IsUnique(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code == "23505"
	}
	var lite *sqlite.Error
	if errors.As(err, &lite) {
		return lite.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE || lite.Code() == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY
	}
	return false
}

// List returns "($n,$n+1,…)" for len(values) placeholders that start at n,
// and the values as arguments. For no values it returns "(null)", in which
// nothing is.
func List(n int, values []string) (string, []any) {
	if len(values) == 0 {
		return "(null)", nil
	}
	var b strings.Builder
	args := make([]any, len(values))
	for i, v := range values {
		b.WriteString(",$")
		b.WriteString(strconv.Itoa(n + i))
		args[i] = v
	}
	return "(" + b.String()[1:] + ")", args
}

// Texts returns the values of a query with one column of text.
func Texts(ctx context.Context, q Queryer, query string, args ...any) ([]string, error) {
	rows, err := q.Query(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("select: %w", err)
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		var v string
		if err := rows.Scan(&v); err != nil {
			return nil, fmt.Errorf("scan: %w", err)
		}
		all = append(all, v)
	}
	return all, rows.Err()
}
