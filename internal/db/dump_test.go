package db_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/db/dbtest"
	"github.com/tillid/tillid/internal/fault"
)

func quiet(string, int64) {}

func dump(t *testing.T, d *db.DB) []byte {
	t.Helper()
	var b bytes.Buffer
	err := d.Snapshot(t.Context(), func(ctx context.Context, s *db.Snapshot) error {
		_, err := s.Dump(ctx, &b, quiet)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// body is a dump without the line that names the engine.
func body(b []byte) string {
	return strings.NewReplacer(`"engine":"sqlite"`, "", `"engine":"postgresql"`, "").Replace(string(b[18:]))
}

func fill(t *testing.T, d *db.DB) {
	t.Helper()
	now := db.Time{Time: time.Date(2026, 11, 25, 14, 0, 0, 123e6, time.UTC)}
	for i := range 100 {
		id := fmt.Sprintf("id%03d", i)
		for _, q := range []struct {
			text string
			args []any
		}{
			{`insert into job (id, kind, payload, run_at) values ($1, 'k', '{}', $2)`, []any{id, now}},
			{`insert into leaf (id, idx, kind, at, version, body, hash) values ($1, $2, 'k', $3, '', $4, $5)`, []any{id, int64(i), now, "body é\x01", []byte{0, 1, byte(i)}}},
			{`insert into person (id, created_at) values ($1, $2)`, []any{id, now}},
			{`insert into identifier (id, person, kind, lookup, value, created_at) values ($1, $1, 'email', $2, $3, $4)`, []any{id, []byte(id), []byte(strings.Repeat("x", 3000)), now}},
			{`insert into drift (site, kind, subject, detail, page, service, enforced, first_at, last_at, count) values ($1, 'cookie', 's', '', '', '', $2, $3, $3, 1)`, []any{id, i%2 == 0, now}},
		} {
			if _, err := d.Exec(t.Context(), q.text, q.args...); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// What one engine dumps, both load, value by value. Rows: E7.
func TestDumpAndLoad(t *testing.T) {
	dbtest.EachDSN(t, func(t *testing.T, dsn func(string) string) {
		d := dbtest.Open(t, dsn("house"))
		fill(t, d)
		want := dump(t, d)
		dbtest.EachDSN(t, func(t *testing.T, to func(string) string) {
			counts, err := db.Load(t.Context(), to("house"), bytes.NewReader(want), nil, quiet)
			if err != nil {
				t.Fatal(err)
			}
			if counts["identifier"] != 100 || counts["hold"] != 0 {
				t.Errorf("counts %v", counts)
			}
			loaded := dbtest.Open(t, to("house"))
			if got := dump(t, loaded); body(got) != body(want) {
				t.Error("the loaded database dumps otherwise")
			}
			if _, err := db.Load(t.Context(), to("house"), bytes.NewReader(want), nil, quiet); fault.Of(err).Kind != fault.Conflict {
				t.Errorf("a second load: %v", err)
			}
		})
	})
}

// A dump that was cut anywhere, or altered in its frames, does not load.
func TestCutDump(t *testing.T) {
	d := dbtest.Open(t, dbtest.Lite(t)("house"))
	fill(t, d)
	whole := dump(t, d)
	for n := 0; n < len(whole); n += 1 + len(whole)/40 {
		if _, err := db.Load(t.Context(), dbtest.Lite(t)("new"), bytes.NewReader(whole[:n]), nil, quiet); err == nil {
			t.Errorf("a dump of %d of %d bytes loaded", n, len(whole))
		}
	}
	newer := bytes.Replace(whole, []byte("0001_job_ledger.sql"), []byte("0001_job_ledgeR.sql"), 1)
	if _, err := db.Load(t.Context(), dbtest.Lite(t)("new"), bytes.NewReader(newer), nil, quiet); fault.Of(err).Kind != fault.Conflict {
		t.Errorf("a dump of another Tillid: %v", err)
	}
}

// A snapshot does not see what is written while it lasts, and refuses to write.
func TestSnapshot(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		count := func(q db.Queryer) (n int) {
			if err := q.QueryRow(t.Context(), `select count(*) from person where id <> $1`, "").Scan(&n); err != nil {
				t.Fatal(err)
			}
			return n
		}
		err := d.Snapshot(t.Context(), func(ctx context.Context, s *db.Snapshot) error {
			fill(t, d)
			if n := count(s); n != 0 {
				t.Errorf("the snapshot sees %d persons", n)
			}
			if _, err := s.Exec(ctx, `delete from person`); err == nil {
				t.Error("a snapshot was written")
			}
			_, err := s.Dump(ctx, io.Discard, quiet)
			return err
		})
		if err != nil || count(d) != 100 {
			t.Error(err, count(d))
		}
	})
}
