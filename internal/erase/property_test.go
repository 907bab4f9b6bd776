package erase_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tillid/tillid/internal/connect"
	"github.com/tillid/tillid/internal/db/dbtest"
	"github.com/tillid/tillid/internal/erase"
	"github.com/tillid/tillid/internal/subject"
)

// Random persons and records, of whom some are erased: every row of the others
// stays as it is, byte by byte; nothing of the erased is found. Rows: E3.
func TestErasureIsCompleteAndIsolated(t *testing.T) {
	dbtest.EachDSN(t, func(t *testing.T, dsn func(string) string) {
		h := newHouse(t, dsn)
		rounds := 0
		rapid.Check(t, func(rt *rapid.T) {
			if rounds++; rounds > 12 { // the house grows; a dozen rounds say enough
				return
			}
			persons := rapid.IntRange(2, 4).Draw(rt, "persons")
			var all []subject.Record
			for p := range persons {
				for range rapid.IntRange(1, 3).Draw(rt, "records") {
					var to []string
					if rapid.Bool().Draw(rt, "handed over") {
						to = []string{"desk"}
					}
					all = append(all, h.add(fmt.Sprintf("p%d-%d@example.dk", rounds, p), "body", "answer", to...))
				}
			}
			if rapid.Bool().Draw(rt, "sent before") {
				h.drain()
			}
			victim := rapid.SampledFrom(all).Draw(rt, "who").Person
			before := h.rowsOfOthers(victim)
			id := h.erase(victim)
			if got := h.rowsOfOthers(victim); !reflect.DeepEqual(got, before) {
				rt.Fatalf("rows of others changed:\n%v\n%v", before, got)
			}
			h.drain()
			if c := h.state(id); c.Result != erase.Granted {
				rt.Fatalf("case %s, tasks %v", c.State, h.states(id))
			}
			h.nothingOf(rt, victim, all)
		})
	})
}

// rowsOfOthers reads every row of every person but one, as it lies there.
func (h *house) rowsOfOthers(p subject.PersonID) []string {
	h.t.Helper()
	var out []string
	for _, q := range []string{
		`select id, '', '' from person where id <> $1`,
		`select id, lookup, value from identifier where person <> $1`,
		`select id, purpose || rule || version, '' from record where person <> $1`,
		`select n.id, n.body, '' from note n join record r on r.id = n.id where r.person <> $1`,
	} {
		rows, err := h.DB.Query(h.t.Context(), q+` order by 1`, string(p))
		if err != nil {
			h.t.Fatal(err)
		}
		for rows.Next() {
			var id string
			var a, b []byte
			if err := rows.Scan(&id, &a, &b); err != nil {
				h.t.Fatal(err)
			}
			out = append(out, fmt.Sprintf("%s %x %x", id, a, b))
		}
		rows.Close()
	}
	return out
}

func (h *house) nothingOf(rt *rapid.T, p subject.PersonID, all []subject.Record) {
	ctx := h.t.Context()
	left, err := h.Subject.Of(ctx, h.DB, p)
	if err != nil || len(left) > 0 {
		rt.Fatalf("records left: %v, %v", left, err)
	}
	for _, r := range all {
		keys, err := h.Keys.Left(ctx, r.ID)
		if err != nil || (len(keys) == 1) != (r.Person != p) {
			rt.Fatalf("keys of %s: %v, %v", r.ID, keys, err)
		}
		refs, err := h.desk.Resolve(ctx, []connect.Identifier{{Kind: connect.Reference, Value: subject.Secret(r.ID)}})
		if err != nil || (r.Person == p && len(refs) > 0) {
			rt.Fatalf("the desk still holds %v, %v", refs, err)
		}
	}
}

// On SQLite no byte of what was erased is left in any file: not the text, which
// never lay there unsealed, nor the sealed bytes, nor the keyed hash, nor the
// wrapped key. Rows: E3.
func TestNoByteLeft(t *testing.T) {
	dsn := dbtest.Lite(t)
	h := newHouse(t, dsn)
	ctx := t.Context()
	for i := range 30 {
		h.add(fmt.Sprintf("other%d@example.dk", i), "other", "answer", "desk")
	}
	a := h.add("canary-astrid@example.dk", "canary-body-of-the-note", "answer", "desk")
	h.drain()
	canaries := map[string][]byte{"address": []byte("canary-astrid"), "text": []byte("canary-body-of-the-note"), "ticket": []byte(`"t31"`)}
	for name, q := range map[string]string{
		"sealed text": `select body from note where id = $1`, "keyed hash": `select lookup from identifier where person = $1`,
		"sealed address": `select value from identifier where person = $1`, "sealed reference": `select ref from handover where record = $1`,
	} {
		arg := a.ID
		if strings.Contains(q, "person") {
			arg = string(a.Person)
		}
		var b []byte
		if err := h.DB.QueryRow(ctx, q, arg).Scan(&b); err != nil {
			t.Fatal(name, err)
		}
		canaries[name] = b
	}
	var wrapped []byte
	if err := h.Keys.DB.QueryRow(ctx, `select wrapped from record_key where record = $1`, a.ID).Scan(&wrapped); err != nil {
		t.Fatal(err)
	}
	canaries["wrapped key"] = wrapped
	if found := scan(t, dsn, canaries); len(found) < 5 {
		t.Fatalf("before the erasure only %v is found: the scan sees nothing", found)
	}
	id := h.erase(a.Person)
	if found := scan(t, dsn, canaries); len(found) > 0 {
		t.Errorf("after the local deletion: %v", found)
	}
	h.drain()
	if c := h.state(id); c.Result != erase.Granted {
		t.Fatalf("tasks %v", h.states(id))
	}
	if found := scan(t, dsn, canaries); len(found) > 0 {
		t.Errorf("after the case: %v", found)
	}
}

// What a rule makes anonymous leaves what its feature counts, and no identifier,
// index or key; a person who asks gets it deleted, not anonymised. Rows: E2, E3.
func TestAnonymise(t *testing.T) {
	dbtest.EachDSN(t, func(t *testing.T, dsn func(string) string) {
		h := newHouse(t, dsn)
		ctx := t.Context()
		counted := func() (n int) {
			t.Helper()
			if err := h.DB.QueryRow(ctx, `select count(*) from note_count`).Scan(&n); err != nil {
				t.Fatal(err)
			}
			return n
		}
		others := h.add("other@example.dk", "other", "visit")
		before := h.rowsOfOthers(others.Person)
		a := h.add("canary-astrid@example.dk", "canary-body-of-the-note", "visit")
		marks := map[string][]byte{"address": []byte("canary-astrid"), "text": []byte("canary-body-of-the-note")}
		for name, q := range map[string]string{
			"sealed text": `select body from note where id = $1`, "index": `select lookup from identifier where person = $1`,
			"sealed address": `select value from identifier where person = $1`,
		} {
			arg := a.ID
			if strings.Contains(q, "person") {
				arg = string(a.Person)
			}
			var b []byte
			if err := h.DB.QueryRow(ctx, q, arg).Scan(&b); err != nil {
				t.Fatal(name, err)
			}
			marks[name] = b
		}
		if h.DB.Lite() {
			if found := scan(t, dsn, marks); len(found) < 3 {
				t.Fatalf("before, only %v is found: the scan sees nothing", found)
			}
		}
		if _, err := h.Records(ctx, []subject.Record{a}, erase.Reason{Kind: erase.Retention, Rule: a.Rule}); err != nil {
			t.Fatal(err)
		}
		h.drain()
		if n := counted(); n != 1 {
			t.Errorf("%d notes are counted", n)
		}
		if got := h.rowsOfOthers(others.Person); !reflect.DeepEqual(got, before) {
			t.Errorf("of the person is left: %v", got)
		}
		for _, key := range []string{a.ID, string(a.Person)} {
			if keys, err := h.Keys.Left(ctx, key); err != nil || len(keys) > 0 {
				t.Errorf("keys left: %v, %v", keys, err)
			}
		}
		if h.DB.Lite() {
			if found := scan(t, dsn, marks); len(found) > 0 {
				t.Errorf("left in the files: %v", found)
			}
		}
		h.erase(others.Person)
		if n := counted(); n != 1 {
			t.Errorf("a person asks, and is counted: %d", n)
		}
	})
}

// scan returns which canaries lie in any file of the house.
func scan(t *testing.T, dsn func(string) string, canaries map[string][]byte) (found []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(filepath.Dir(dsn("house")), "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for name, canary := range canaries {
			if bytes.Contains(b, canary) {
				found = append(found, name+" in "+filepath.Base(f))
			}
		}
	}
	return found
}
