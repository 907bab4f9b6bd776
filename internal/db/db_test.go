package db_test

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/db/dbtest"
	"github.com/tillid/tillid/internal/fault"
)

// each gives f a database with one small table.
func each(t *testing.T, f func(t *testing.T, d *db.DB)) {
	t.Helper()
	dbtest.EachDSN(t, func(t *testing.T, dsn func(string) string) {
		d := open(t, dsn("data"))
		_, err := d.Exec(t.Context(), `create table thing (id text primary key, n bigint, at timestamptz, ok boolean, raw bytea)`)
		if err != nil {
			t.Fatal(err)
		}
		f(t, d)
	})
}

func open(t testing.TB, dsn string) *db.DB {
	t.Helper()
	d, err := db.Open(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func insert(ctx context.Context, q db.Queryer, id string) error {
	_, err := q.Exec(ctx, `insert into thing (id) values ($1)`, id)
	return err
}

func ids(t *testing.T, q db.Queryer) string {
	t.Helper()
	rows, err := q.Query(t.Context(), `select id from thing order by id`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var list []string
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			t.Fatal(err)
		}
		list = append(list, id)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return strings.Join(list, " ")
}

func TestValues(t *testing.T) {
	each(t, func(t *testing.T, d *db.DB) {
		at := time.Date(2026, 11, 22, 14, 5, 6, 789_999_999, time.FixedZone("", 3600))
		_, err := d.Exec(t.Context(), `insert into thing (id, n, at, ok, raw) values ($1, $2, $3, $4, $5), ('costs $1', null, $6, $7, $8)`,
			"a", 7, db.Time{Time: at}, true, []byte{0, 1}, db.Time{}, false, []byte(nil))
		if err != nil {
			t.Fatal(err)
		}
		var n int64
		var when db.Time
		var ok bool
		var raw []byte
		row := d.QueryRow(t.Context(), `select n, at, ok, raw from thing where id = $1 and at = $2`, "a", db.Time{Time: at})
		if err := row.Scan(&n, &when, &ok, &raw); err != nil {
			t.Fatal(err)
		}
		if n != 7 || !when.Equal(at.Truncate(time.Millisecond)) || when.Location() != time.UTC || !ok || string(raw) != "\x00\x01" {
			t.Errorf("got %v %v %v %q", n, when, ok, raw)
		}
		row = d.QueryRow(t.Context(), `select at, ok, raw from thing where id = 'costs $1' and at is null and raw is null`)
		if err := row.Scan(&when, &ok, &raw); err != nil {
			t.Fatal(err)
		}
		if !when.IsZero() || ok || raw != nil {
			t.Errorf("got %v %v %q, want zero values", when, ok, raw)
		}
	})
}

func TestList(t *testing.T) {
	each(t, func(t *testing.T, d *db.DB) {
		for _, id := range []string{"a", "b", "c"} {
			if err := insert(t.Context(), d, id); err != nil {
				t.Fatal(err)
			}
		}
		for _, test := range []struct {
			values []string
			want   int
		}{{nil, 0}, {[]string{"a"}, 1}, {[]string{"a", "c", "x"}, 2}} {
			in, args := db.List(2, test.values)
			var n int
			err := d.QueryRow(t.Context(), `select count(*) from thing where id <> $1 and id in `+in, append([]any{""}, args...)...).Scan(&n)
			if err != nil || n != test.want {
				t.Errorf("%v: got %d, %v; want %d", test.values, n, err, test.want)
			}
		}
	})
}

func TestDo(t *testing.T) {
	each(t, func(t *testing.T, d *db.DB) {
		ctx, failure := t.Context(), errors.New("no")
		after := ""
		err := d.Do(ctx, func(ctx context.Context, tx *db.Tx) error {
			tx.AfterCommit(func() { after += ids(t, d) })
			if err := insert(ctx, tx, "a"); err != nil {
				return err
			}
			if ids(t, d) != "" {
				t.Error("an open transaction's work is visible")
			}
			return nil
		})
		if err != nil || after != "a" {
			t.Errorf("got %v; after commit %q", err, after)
		}
		err = d.Do(ctx, func(ctx context.Context, tx *db.Tx) error {
			tx.AfterCommit(func() { t.Error("after commit without a commit") })
			if err := insert(ctx, tx, "b"); err != nil {
				return err
			}
			return failure
		})
		if !errors.Is(err, failure) {
			t.Errorf("got %v", err)
		}
		if err := insert(ctx, d, "a"); !db.IsUnique(err) || db.IsUnavailable(err) {
			t.Errorf("got %v, want a unique violation", err)
		}
		if got := ids(t, d); got != "a" {
			t.Errorf("got %q", got)
		}
	})
}

func TestPanicAndGoexit(t *testing.T) {
	each(t, func(t *testing.T, d *db.DB) {
		func() {
			defer func() {
				if recover() != "broken" {
					t.Error("the panic did not reach the caller")
				}
			}()
			d.Do(t.Context(), func(ctx context.Context, tx *db.Tx) error {
				if err := insert(ctx, tx, "a"); err != nil {
					return err
				}
				panic("broken")
			})
		}()
		var wg sync.WaitGroup
		wg.Add(1)
		go func() {
			defer wg.Done()
			d.Do(t.Context(), func(ctx context.Context, tx *db.Tx) error {
				insert(ctx, tx, "b")
				runtime.Goexit() // as t.Fatal does
				return nil
			})
		}()
		wg.Wait()
		if err := insert(t.Context(), d, "c"); err != nil {
			t.Fatal(err)
		}
		if got := ids(t, d); got != "c" {
			t.Errorf("got %q", got)
		}
	})
}

func TestDBInsideDoPanics(t *testing.T) {
	each(t, func(t *testing.T, d *db.DB) {
		for name, use := range map[string]func(context.Context){
			"Do":       func(ctx context.Context) { d.Do(ctx, nil) },
			"Exec":     func(ctx context.Context) { d.Exec(ctx, "select 1") },
			"Query":    func(ctx context.Context) { d.Query(ctx, "select 1") },
			"QueryRow": func(ctx context.Context) { d.QueryRow(ctx, "select 1") },
		} {
			func() {
				defer func() {
					if recover() == nil {
						t.Errorf("%s inside Do does not panic", name)
					}
				}()
				d.Do(t.Context(), func(ctx context.Context, tx *db.Tx) error { use(ctx); return nil })
			}()
		}
		var kept *db.Tx
		d.Do(t.Context(), func(ctx context.Context, tx *db.Tx) error { kept = tx; return nil })
		defer func() {
			if recover() == nil {
				t.Error("a Tx that has ended does not panic")
			}
		}()
		kept.Exec(t.Context(), "select 1")
	})
}

func TestCancel(t *testing.T) {
	each(t, func(t *testing.T, d *db.DB) {
		ctx, cancel := context.WithCancel(t.Context())
		err := d.Do(ctx, func(ctx context.Context, tx *db.Tx) error {
			if err := insert(ctx, tx, "a"); err != nil {
				return err
			}
			cancel()
			return insert(ctx, tx, "b")
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		if err := insert(ctx, d, "c"); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		if got := ids(t, d); got != "" {
			t.Errorf("got %q", got)
		}
	})
}

// A statement may run again while its own rows are open.
func TestNestedRows(t *testing.T) {
	each(t, func(t *testing.T, d *db.DB) {
		if !d.Lite() {
			t.Skip("a PostgreSQL connection has one open result")
		}
		for _, id := range []string{"a", "b", "c"} {
			if err := insert(t.Context(), d, id); err != nil {
				t.Fatal(err)
			}
		}
		pairs := 0
		err := d.Do(t.Context(), func(ctx context.Context, tx *db.Tx) error {
			outer, err := tx.Query(ctx, `select id from thing`)
			if err != nil {
				return err
			}
			defer outer.Close()
			for outer.Next() {
				inner, err := tx.Query(ctx, `select id from thing`)
				if err != nil {
					return err
				}
				for inner.Next() {
					pairs++
				}
				inner.Close()
				var id string
				if err := tx.QueryRow(ctx, `select id from thing`).Scan(&id); err != nil {
					return err
				}
			}
			return outer.Err()
		})
		if err != nil || pairs != 9 {
			t.Errorf("got %d pairs, %v; want 9", pairs, err)
		}
	})
}

// Closures that count see each other's work as if one ran after the other.
func TestConcurrentDo(t *testing.T) {
	each(t, func(t *testing.T, d *db.DB) {
		if _, err := d.Exec(t.Context(), `insert into thing (id, n) values ('count', 0)`); err != nil {
			t.Fatal(err)
		}
		const workers, rounds = 8, 5
		var wg sync.WaitGroup
		for w := range workers {
			wg.Go(func() {
				for r := range rounds {
					err := d.Do(t.Context(), func(ctx context.Context, tx *db.Tx) error {
						var n int
						if err := tx.QueryRow(ctx, `select n from thing where id = 'count'`).Scan(&n); err != nil {
							return err
						}
						if _, err := tx.Exec(ctx, `update thing set n = $1 where id = 'count'`, n+1); err != nil {
							return err
						}
						if w == 0 && r%2 == 0 {
							return sql.ErrNoRows // rolled back alone
						}
						return nil
					})
					if err != nil && !errors.Is(err, sql.ErrNoRows) {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		var n int
		if err := d.QueryRow(t.Context(), `select n from thing where id = 'count'`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		if want := workers*rounds - 3; n != want {
			t.Errorf("got %d, want %d", n, want)
		}
	})
}

func TestSecondProcessIsRefused(t *testing.T) {
	file := dbtest.Lite(t)("house")
	d := open(t, file)
	_, err := db.Open(t.Context(), file)
	f := fault.Of(err)
	if f.Kind != fault.Unavailable || !db.IsUnavailable(err) || !strings.Contains(f.Msg, file) || f.Hint == "" {
		t.Errorf("got %v", err)
	}
	link := file + "-link"
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Open(t.Context(), link); !db.IsUnavailable(err) {
		t.Errorf("through a link: got %v", err)
	}
	d.Close()
	open(t, file).Close()
}

func TestFilesArePrivate(t *testing.T) {
	file := dbtest.Lite(t)("house ?#%20é")
	d := open(t, file)
	if err := d.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Exec(t.Context(), `insert into sequencer (id, holder, until) values (1, '', '')`); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{file, file + "-wal", file + "-shm", file + ".lock"} {
		info, err := os.Stat(name)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
}

func TestClosed(t *testing.T) {
	each(t, func(t *testing.T, d *db.DB) {
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		if err := insert(t.Context(), d, "a"); !db.IsUnavailable(err) {
			t.Errorf("got %v", err)
		}
		if _, err := d.Query(t.Context(), `select 1`); !db.IsUnavailable(err) {
			t.Errorf("got %v", err)
		}
	})
}

// A read-only database is said, and is over when it can be written again.
//
// Rows: E7.
func TestReadOnlyPostgres(t *testing.T) {
	d := dbtest.Open(t, dbtest.Postgres(t)("house"))
	if _, err := d.Exec(t.Context(), `create table thing (id text primary key)`); err != nil {
		t.Fatal(err)
	}
	err := d.Do(t.Context(), func(ctx context.Context, tx *db.Tx) error {
		if _, err := tx.Exec(ctx, `set transaction read only`); err != nil {
			return err
		}
		return insert(ctx, tx, "a")
	})
	if fault.Of(err).ID != "db.readonly" || !db.IsUnavailable(d.Err()) {
		t.Errorf("got %v; health %v", err, d.Err())
	}
	if err := insert(t.Context(), d, "b"); err != nil || d.Err() != nil {
		t.Errorf("got %v; health %v", err, d.Err())
	}
}
