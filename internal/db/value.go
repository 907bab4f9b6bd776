package db

import (
	"database/sql/driver"
	"time"
)

// Time is a moment in UTC, kept to the millisecond. The zero Time is NULL.
// SQLite stores it as sortable text.
type Time struct{ time.Time }

func (t Time) Value() (driver.Value, error) { panic("helper CORE writes this") }
func (t *Time) Scan(v any) error            { panic("helper CORE writes this") }

// NewID returns a random id that is safe in a URL (crypto/rand, ≥ 128 bits).
func NewID() string { panic("helper CORE writes this") }

// IsUnique reports whether err says that a unique constraint was broken.
func IsUnique(err error) bool { panic("helper CORE writes this") }

// IsUnavailable reports whether err says that the database cannot write or
// answer now (full, read-only, locked, gone). Callers answer 503.
func IsUnavailable(err error) bool { panic("helper CORE writes this") }

// List returns "($n,$n+1,…)" for len(values) placeholders that start at n,
// and the values as arguments.
func List(n int, values []string) (string, []any) { panic("helper CORE writes this") }
