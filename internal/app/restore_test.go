package app

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"filippo.io/age"
	"pgregory.net/rapid"

	"github.com/tillid/tillid/internal/backup"
	"github.com/tillid/tillid/internal/db/dbtest"
	"github.com/tillid/tillid/internal/erase"
	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/ledger"
	"github.com/tillid/tillid/internal/subject"
)

// estate is a house with a backup key and a clock, that tests take down and restore.
type estate struct {
	t    testing.TB
	dir  string
	o    Options
	at   time.Time
	ids  []age.Identity
	dsn  func(string) string
	n    int // databases made so far, on PostgreSQL
	lite bool
	h    *House
}

func newEstate(t *testing.T, dsn func(string) string) *estate {
	t.Helper()
	e := &estate{t: t, dir: folderOf(t, "alfa"), at: time.Now(), dsn: dsn, lite: !strings.HasPrefix(dsn("data"), "postgres://")}
	file, recipient, err := backup.Keygen(e.at)
	if err != nil {
		t.Fatal(err)
	}
	if e.ids, err = age.ParseIdentities(strings.NewReader(file)); err != nil {
		t.Fatal(err)
	}
	e.o, _ = testOptions(t, io.Discard)
	e.o.Now = func() time.Time { return e.at }
	e.settings("TILLID_BACKUP_RECIPIENTS=" + recipient)
	e.open()
	t.Cleanup(e.close)
	return e
}

// settings writes the house's settings; on PostgreSQL with two new, empty databases.
func (e *estate) settings(lines ...string) {
	e.t.Helper()
	if !e.lite {
		lines = append(lines, "TILLID_DATABASE_URL="+e.dsn(fmt.Sprint("data", e.n)), "TILLID_KEYS_URL="+e.dsn(fmt.Sprint("keys", e.n)))
		e.n++
	}
	if err := os.WriteFile(filepath.Join(e.dir, "settings.env"), []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		e.t.Fatal(err)
	}
}

func (e *estate) open() {
	e.t.Helper()
	var err error
	if e.h, err = Open(e.t.Context(), e.dir, e.o); err != nil {
		e.h = nil
		e.t.Fatal(err, fault.Of(err).Hint)
	}
}

func (e *estate) close() {
	if e.h != nil {
		e.h.Close()
		e.h = nil
	}
}

// refused opens the house, which must not work, and returns why.
func (e *estate) refused() *fault.Error {
	e.t.Helper()
	h, err := Open(e.t.Context(), e.dir, e.o)
	if err == nil {
		h.Close()
		e.t.Fatal("the house opened")
	}
	return fault.Of(err)
}

func (e *estate) write(email string) subject.PersonID {
	e.t.Helper()
	ctx := e.t.Context()
	site, _ := e.h.Handlers()
	t, ok := e.t.(*testing.T)
	if !ok {
		e.t.Fatal("a test writes")
	}
	w := send(t, site, "POST", "www.alfa.test", "/_tillid/forms/contact", url.Values{"name": {"Ea"}, "email": {email}, "message": {"Hej"}})
	if w.Code != http.StatusSeeOther {
		e.t.Fatalf("form: %d\n%s", w.Code, w.Body)
	}
	p, ok, err := e.h.subjects.Find(ctx, e.h.folder.db, subject.Email, subject.Secret(email))
	if err != nil || !ok {
		e.t.Fatal(ok, err)
	}
	return p
}

// records returns how many records of a person open.
func (e *estate) records(p subject.PersonID) int {
	e.t.Helper()
	records, err := e.h.subjects.Of(e.t.Context(), e.h.folder.db, p)
	if err != nil {
		e.t.Fatal(err)
	}
	for _, r := range records {
		if _, err := e.h.intake.Show(e.t.Context(), e.h.folder.db, r, "en"); err != nil {
			e.t.Errorf("a record does not open: %v", err)
		}
	}
	return len(records)
}

func (e *estate) erase(p subject.PersonID) {
	e.t.Helper()
	if _, err := e.h.erase.Person(e.t.Context(), p, erase.Reason{Kind: erase.Request}); err != nil {
		e.t.Fatal(err)
	}
	e.number()
}

func (e *estate) number() {
	e.t.Helper()
	if _, err := e.h.ledger.Sequence(e.t.Context()); err != nil {
		e.t.Fatal(err)
	}
}

func (e *estate) backup() *backup.Taken {
	e.t.Helper()
	e.number()
	e.at = e.at.Add(time.Second) // two backups of one moment would have one name
	taken, err := e.h.backup.Take(e.t.Context())
	if err != nil {
		e.t.Fatal(err, fault.Of(err).Err)
	}
	return taken
}

// lose takes the house's databases away.
func (e *estate) lose() {
	e.t.Helper()
	e.close()
	if !e.lite {
		b, err := os.ReadFile(filepath.Join(e.dir, "settings.env"))
		if err != nil {
			e.t.Fatal(err)
		}
		first, _, _ := strings.Cut(string(b), "\n")
		e.settings(first)
		return
	}
	for _, name := range []string{"tillid.db", "keys.db"} {
		if err := os.Remove(filepath.Join(e.dir, name)); err != nil {
			e.t.Fatal(err)
		}
	}
}

func (e *estate) restore(name string) *backup.Replayed {
	e.t.Helper()
	r, err := RestoreHouse(e.t.Context(), e.dir, Restore{Identities: e.ids, Backup: name}, e.o)
	if err != nil {
		e.t.Fatal(err, fault.Of(err).Hint)
	}
	return r
}

func onEstates(t *testing.T, f func(t *testing.T, e *estate)) {
	dbtest.EachDSN(t, func(t *testing.T, dsn func(string) string) { f(t, newEstate(t, dsn)) })
}

// The whole way: a backup, an erasure, the house lost, the backup restored.
// Nobody came back; the log goes on under a new name that names the old one and
// the gap; letters wait for a person's word. Rows: E3, E7.
func TestRestoredHouse(t *testing.T) {
	onEstates(t, func(t *testing.T, e *estate) {
		ctx := t.Context()
		gone, stays := e.write("gone@example.dk"), e.write("stays@example.dk")
		taken := e.backup()
		if taken.Data.Rows["enquiry"] != 2 || taken.Data.Size() == 0 || taken.Keys.Rows["record_key"] == 0 {
			t.Errorf("manifest %+v", taken.Data)
		}
		e.erase(gone)
		later := e.write("later@example.dk")
		e.number()
		size, old := e.size(), e.h.ledger.Origin
		e.lose()
		r := e.restore("")
		if r == nil || r.Erased != 1 || r.Old != old || r.Size != size || r.Have != taken.Data.Size() || r.Origin == old {
			t.Fatalf("replayed %+v, the old log had %d", r, size)
		}
		e.open()
		if n := e.records(gone); n != 0 {
			t.Errorf("%d records of the erased person", n)
		}
		if n := e.records(stays); n != 1 {
			t.Errorf("%d records of the one who stays", n)
		}
		if n := e.records(later); n != 0 {
			t.Errorf("%d records from after the backup", n)
		}
		note, err := e.h.ledger.Checkpoint(ctx)
		if err != nil || !strings.HasPrefix(string(note), r.Origin+"\n") {
			t.Errorf("checkpoint %q, %v", note, err)
		}
		recent, err := e.h.ledger.Recent(ctx, 10, 0)
		if err != nil || !slices.ContainsFunc(recent, func(l ledger.Entry) bool {
			return l.Kind == "log.restored" && l.Facts["old_origin"] == old && l.Facts["old_size"] == fmt.Sprint(size)
		}) {
			t.Errorf("log %+v, %v", recent, err)
		}
		if faults, err := e.h.ledger.Verify(ctx, []byte(taken.Data.Checkpoint)); err != nil || len(faults) > 0 {
			t.Errorf("verify: %v, %v", faults, err)
		}
		e.held()
		e.close()
		e.open() // and again, without more ado
	})
}

func (e *estate) size() int64 {
	e.t.Helper()
	n, err := e.h.ledger.Size(e.t.Context())
	if err != nil {
		e.t.Fatal(err)
	}
	return n
}

// held looks that no letter leaves until somebody says so.
func (e *estate) held() {
	e.t.Helper()
	ctx := e.t.Context()
	if err := e.h.runner.Drain(ctx); err != nil {
		e.t.Log(err) // the help desk may be told again
	}
	waits, err := e.h.mail.Waiting(ctx)
	if err != nil || waits == 0 {
		e.t.Fatalf("%d letters wait, %v", waits, err)
	}
	e.at = e.at.Add(2 * time.Minute)
	if err := e.h.runner.Drain(ctx); err != nil {
		e.t.Log(err)
	}
	if still, err := e.h.mail.Waiting(ctx); err != nil || still != waits {
		e.t.Errorf("%d letters of %d wait, %v", still, waits, err)
	}
	says, err := e.h.backup.Health(ctx)
	if err != nil || !slices.ContainsFunc(says, func(f *fault.Error) bool { return f.ID == "backup.mail_held" }) {
		e.t.Errorf("health %v, %v", says, err)
	}
	if n, err := e.h.backup.ReleaseMail(ctx, true); err != nil || n != waits {
		e.t.Errorf("%d letters thrown away, %v", n, err)
	}
	if at, err := e.h.backup.MailHeld(ctx); err != nil || !at.IsZero() {
		e.t.Errorf("held since %v, %v", at, err)
	}
}

// Files that were put back by hand are noticed: the server does not start until
// the erasures since are done again. The same old file put back twice gives two
// logs, never one name for two. Rows: E3.
func TestOldFilesPutBack(t *testing.T) {
	e := newEstate(t, dbtest.Lite(t))
	gone := e.write("gone@example.dk")
	e.number()
	e.close()
	old := map[string][]byte{}
	for _, name := range []string{"tillid.db", "keys.db"} {
		b, err := os.ReadFile(filepath.Join(e.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		old[name] = b
	}
	e.open()
	e.erase(gone)
	origins := map[string]bool{e.h.ledger.Origin: true}
	for range 2 {
		e.close()
		for name, b := range old {
			if err := os.WriteFile(filepath.Join(e.dir, name), b, 0o600); err != nil { // the same file, so that nothing but the log tells
				t.Fatal(err)
			}
		}
		if f := e.refused(); f.ID != "backup.restored" {
			t.Fatalf("refused with %v", f)
		}
		r, err := ReplayHouse(t.Context(), e.dir, Restore{}, e.o)
		if err != nil || r.Erased != 1 || origins[r.Origin] {
			t.Fatalf("replayed %+v, %v", r, err)
		}
		origins[r.Origin] = true
		if again, err := ReplayHouse(t.Context(), e.dir, Restore{}, e.o); err != nil || again != nil {
			t.Errorf("a second replay: %+v, %v", again, err)
		}
		e.open()
		if n := e.records(gone); n != 0 {
			t.Errorf("%d records of the erased person", n)
		}
	}
}

// An erasure whose line in the log had no number yet is not forgotten either: the
// list says more than the log's size.
func TestRestoredBeforeTheLogGrew(t *testing.T) {
	e := newEstate(t, dbtest.Lite(t))
	gone := e.write("gone@example.dk")
	taken := e.backup()
	if _, err := e.h.erase.Person(t.Context(), gone, erase.Reason{Kind: erase.Request}); err != nil {
		t.Fatal(err)
	}
	if e.size() != taken.Data.Size() {
		t.Fatal("the log has grown")
	}
	e.lose()
	if r := e.restore(""); r == nil || r.Erased != 1 {
		t.Fatalf("replayed %+v", r)
	}
}

// Without the list, or with one that was cut, altered or is another house's, the
// house does not start; a person may decide, and that stands in the log.
func TestErasureListLost(t *testing.T) {
	for name, harm := range map[string]func(list, mark string) error{
		"missing":      func(list, mark string) error { return errors.Join(os.Remove(list), os.Remove(mark)) },
		"list missing": func(list, _ string) error { return os.Remove(list) },
		"mark missing": func(_, mark string) error { return os.Remove(mark) },
		"cut":          func(list, _ string) error { return os.Truncate(list, 10) },
		"altered": func(list, _ string) error {
			b, err := os.ReadFile(list)
			return errors.Join(err, os.WriteFile(list, bytes.Replace(b, []byte(`"record"`), []byte(`"recorD"`), 1), 0o600))
		},
		"forged": func(_, mark string) error {
			b, err := os.ReadFile(mark)
			return errors.Join(err, os.WriteFile(mark, bytes.Replace(b, []byte(`"list_bytes":`), []byte(`"list_bytes":1`), 1), 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEstate(t, dbtest.Lite(t))
			e.erase(e.write("gone@example.dk"))
			e.close()
			folder := filepath.Join(e.dir, "backup")
			if err := harm(filepath.Join(folder, "erased.jsonl"), filepath.Join(folder, "erased.mark")); err != nil {
				t.Fatal(err)
			}
			if f := e.refused(); f.ID != "backup.no_list" || f.Hint == "" {
				t.Fatalf("refused with %v", f)
			}
			if _, err := ReplayHouse(t.Context(), e.dir, Restore{}, e.o); fault.Of(err).ID != "backup.no_list" {
				t.Fatalf("replayed: %v", err)
			}
			r, err := ReplayHouse(t.Context(), e.dir, Restore{Without: "the disk with it burnt"}, e.o)
			if err != nil || r.Size != -1 || r.Reason == "" {
				t.Fatalf("replayed %+v, %v", r, err)
			}
			e.open()
			if f, err := e.h.backup.Gap(t.Context(), folder); err != nil || f != nil {
				t.Errorf("gap %+v, %v", f, err)
			}
			list, err := os.ReadFile(filepath.Join(folder, "erased.jsonl"))
			if err != nil || bytes.Count(list, []byte("\n")) < 2 {
				t.Errorf("the new list holds %d lines, %v", bytes.Count(list, []byte("\n")), err)
			}
		})
	}
}

// A drill says what a restore would do, and touches nothing. Rows: E7.
func TestDrill(t *testing.T) {
	onEstates(t, func(t *testing.T, e *estate) {
		gone := e.write("gone@example.dk")
		e.write("stays@example.dk")
		taken := e.backup()
		e.erase(gone)
		d, err := DrillHouse(t.Context(), e.dir, Restore{Identities: e.ids}, e.o)
		if err != nil || !d.Passed() || d.Replayed == 0 || d.Erased != 1 || d.Opened == 0 || d.Leaves == 0 || d.Rows != taken.Data.All()+taken.Keys.All() {
			t.Fatalf("drill %+v, %v", d, err)
		}
		if left, _ := filepath.Glob(filepath.Join(e.dir, ".drill-*")); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
		if at, err := e.h.backup.MailHeld(t.Context()); err != nil || !at.IsZero() {
			t.Errorf("the drill holds the house's mail: %v, %v", at, err)
		}
		if err := e.h.backup.Drilled(t.Context(), d); err != nil {
			t.Fatal(err)
		}
		if drills, err := e.h.backup.Drills(t.Context(), 5); err != nil || len(drills) != 1 || !drills[0].Passed() {
			t.Errorf("drills %+v, %v", drills, err)
		}
		if err := os.Remove(filepath.Join(e.h.backup.Dir, "erased.mark")); err != nil {
			t.Fatal(err)
		}
		d, err = DrillHouse(t.Context(), e.dir, Restore{Identities: e.ids}, e.o)
		if err != nil || d.Passed() {
			t.Errorf("a drill without the list: %+v, %v", d, err)
		}
	})
}

// What is not a whole backup of this house, opened by the right identity, is
// refused, and nothing is left in its place.
func TestRestoreRefused(t *testing.T) {
	e := newEstate(t, dbtest.Lite(t))
	e.write("stays@example.dk")
	taken := e.backup()
	other := newEstate(t, dbtest.Lite(t))
	file := filepath.Join(e.dir, "backup", taken.Data.Name+".age")
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	try := func(r Restore) *fault.Error {
		_, err := RestoreHouse(t.Context(), e.dir, r, e.o)
		return fault.Of(err)
	}
	right := Restore{Identities: e.ids}
	if f := try(right); f.ID != "db.not_empty" {
		t.Errorf("over a house: %v", f)
	}
	e.lose()
	if f := try(Restore{Identities: other.ids}); f.ID != "backup.identity" {
		t.Errorf("another identity: %v", f)
	}
	if f := try(Restore{Identities: e.ids, Backup: "data-nothing"}); f.ID != "backup.none" {
		t.Errorf("another name: %v", f)
	}
	bad := bytes.Clone(whole)
	bad[len(bad)-1] ^= 1
	for what, b := range map[string][]byte{"altered": bad, "cut": whole[:len(whole)-1]} {
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if f := try(right); f.ID != "backup.altered" && f.ID != "backup.none" {
			t.Errorf("%s: %v", what, f)
		}
	}
	if exists(filepath.Join(e.dir, "tillid.db")) || exists(filepath.Join(e.dir, "keys.db")) {
		t.Error("something was put in place")
	}
	if err := os.WriteFile(file, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	e.restore("")
	e.open()
}

// Backups go when their time is over, those of the keys after seven days at most,
// and health says so when they do not. Rows: E3.
func TestBackupsAge(t *testing.T) {
	e := newEstate(t, dbtest.Lite(t))
	ctx := t.Context()
	first := e.backup()
	count := func(kind string) int {
		all, err := e.h.backup.All()
		if err != nil {
			t.Fatal(err)
		}
		return len(slices.DeleteFunc(all, func(l backup.Line) bool { return l.Kind != kind }))
	}
	e.at = first.Keys.Taken.Add(7*24*time.Hour - time.Minute)
	if err := e.h.backup.Prune(ctx); err != nil {
		t.Fatal(err)
	}
	if count(backup.Keys) != 0 || count(backup.Data) != 1 {
		t.Errorf("after seven days: %d of the keys, %d of the data", count(backup.Keys), count(backup.Data))
	}
	e.at = first.Data.Taken.AddDate(0, 0, 36)
	if err := e.h.backup.Prune(ctx); err != nil {
		t.Fatal(err)
	}
	if n := count(backup.Data); n != 0 {
		t.Errorf("beyond the horizon: %d of the data", n)
	}
	e.backup()
	e.at = e.at.AddDate(0, 4, 0)
	says, err := e.h.backup.Health(ctx)
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	for _, f := range says {
		ids[f.ID] = true
	}
	for _, want := range []string{"backup.old_keys", "backup.stale", "backup.drill_old"} {
		if !ids[want] {
			t.Errorf("health says %v, not %s", slices.Sorted(maps.Keys(ids)), want)
		}
	}
}

// In every order of {write, backup, erase, lose and restore}: nobody who was
// erased is there once the house serves, every log has a name of its own, and
// those who were in the backup and not erased are there and open (erasure.md,
// property 6). Keys that were destroyed are in no key store (24). Rows: E3.
func TestRestoreInAnyOrder(t *testing.T) {
	e := newEstate(t, dbtest.Lite(t))
	erased := map[subject.PersonID]bool{}
	origins := map[string]bool{e.h.ledger.Origin: true}
	alive := map[subject.PersonID]bool{}
	backups := map[string]map[subject.PersonID]bool{}
	n, rounds := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		if rounds++; rounds > 6 {
			return
		}
		for range rapid.IntRange(2, 6).Draw(rt, "acts") {
			switch act := rapid.SampledFrom([]string{"write", "write", "erase", "backup", "restore"}).Draw(rt, "act"); {
			case act == "write":
				n++
				alive[e.write(fmt.Sprintf("p%d@example.dk", n))] = true
			case act == "erase" && len(alive) > 0:
				p := rapid.SampledFrom(slices.Sorted(maps.Keys(alive))).Draw(rt, "who")
				e.erase(p)
				delete(alive, p)
				erased[p] = true
			case act == "backup":
				backups[e.backup().Data.Name] = maps.Clone(alive)
			case act == "restore" && len(backups) > 0:
				name := rapid.SampledFrom(slices.Sorted(maps.Keys(backups))).Draw(rt, "which")
				before, had := e.h.ledger.Origin, e.size()
				e.lose()
				r := e.restore(name)
				if r != nil {
					if origins[r.Origin] || r.Old != before || r.Size != had {
						rt.Fatalf("the log %+v after %s of %d", r, before, had)
					}
					origins[r.Origin] = true
				}
				e.open()
				alive = maps.Clone(backups[name])
				maps.DeleteFunc(alive, func(p subject.PersonID, _ bool) bool { return erased[p] })
			}
		}
		for p := range erased {
			if e.records(p) != 0 {
				rt.Fatalf("%s is there again", p)
			}
		}
		for p := range alive {
			if e.records(p) != 1 {
				rt.Fatalf("%s is not there", p)
			}
		}
		list, err := e.h.erase.List(t.Context(), time.Time{})
		if err != nil {
			rt.Fatal(err)
		}
		if back, err := e.h.erase.Back(t.Context(), list); err != nil || back != 0 {
			rt.Fatalf("%d keys or rows are back, %v", back, err)
		}
	})
}

// A backup and a restore are killed (kill -9) at each of their steps in turn. What
// a killed backup leaves is never taken for a whole one; a killed restore goes on
// or begins anew, and in between the house does not serve. Rows: E7.
func TestKilledAtEveryStep(t *testing.T) {
	if dir := os.Getenv("RESTORE_TEST_DIR"); dir != "" {
		untilKilled(t, dir)
		return
	}
	e := newEstate(t, dbtest.Lite(t))
	gone := e.write("gone@example.dk")
	stays := e.write("stays@example.dk")
	e.backup()
	e.close()
	for n := 0; ; n++ {
		died := e.killedAt("backup", n)
		e.open()
		for kind, dir := range map[string]string{backup.Data: e.h.backup.Dir, backup.Keys: e.h.backup.KeysDir} {
			all, err := backup.Find(dir, kind, e.h.ledger.Signer.Verifier())
			if err != nil || len(all) == 0 {
				t.Fatalf("step %d: %d backups, %v", n, len(all), err)
			}
			for _, m := range all {
				if f, err := backup.Open(dir, m, e.ids); err != nil {
					t.Errorf("step %d: %s looks whole and is not: %v", n, m.Name, err)
				} else {
					f.Close()
				}
			}
		}
		e.close()
		if !died {
			break
		}
	}
	e.open()
	e.erase(gone)
	for n := 0; ; n++ {
		e.lose()
		died := e.killedAt("restore", n)
		if died {
			if h, err := Open(t.Context(), e.dir, e.o); err == nil {
				if records, err := h.subjects.Of(t.Context(), h.folder.db, gone); err != nil || len(records) > 0 {
					t.Errorf("step %d: it serves with somebody who was erased: %v", n, err)
				}
				h.Close()
			} else if f := fault.Of(err); f.Kind == fault.Internal || f.Hint == "" {
				t.Errorf("step %d: refused with %v", n, err)
			}
			if err := e.again(); err != nil {
				t.Fatalf("step %d: %v", n, err)
			}
		}
		e.open()
		if e.records(gone) != 0 || e.records(stays) != 1 {
			t.Fatalf("step %d: %d and %d records", n, e.records(gone), e.records(stays))
		}
		if !died {
			return
		}
	}
}

// again runs the restore once more, or the replay when the files are in place.
func (e *estate) again() error {
	if exists(filepath.Join(e.dir, "tillid.db")) && !exists(filepath.Join(e.dir, restoreFolder)) {
		_, err := ReplayHouse(e.t.Context(), e.dir, Restore{}, e.o)
		return err
	}
	_, err := RestoreHouse(e.t.Context(), e.dir, Restore{Identities: e.ids}, e.o)
	return err
}

// killedAt runs a process that does something and dies at its n-th step; false
// when it came to its end before.
func (e *estate) killedAt(what string, n int) bool {
	e.t.Helper()
	id, ok := e.ids[0].(*age.X25519Identity)
	if !ok {
		e.t.Fatalf("the identity is %T", e.ids[0])
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestKilledAtEveryStep$")
	cmd.Env = append(os.Environ(), "RESTORE_TEST_DIR="+e.dir, "RESTORE_TEST_DO="+what, fmt.Sprint("RESTORE_TEST_STEP=", n),
		"RESTORE_TEST_ID="+id.String(), "RESTORE_TEST_NOW="+e.at.Format(time.RFC3339Nano))
	e.at = e.at.Add(time.Second)
	out, err := cmd.CombinedOutput()
	if err == nil {
		return false
	}
	if state, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || state.Signal() != syscall.SIGKILL {
		e.t.Fatalf("%s: %v\n%s", what, err, out)
	}
	return true
}

// deadly are the steps at which the process dies in turn.
var deadly = []string{"record", "record_key", "sync", "rename", "manifest", "ready", "place keys.db", "place tillid.db", "placed", "replay", "origin", "mark"}

func untilKilled(t *testing.T, dir string) {
	var at int
	if _, err := fmt.Sscan(os.Getenv("RESTORE_TEST_STEP"), &at); err != nil {
		t.Fatal(err)
	}
	now, err := time.Parse(time.RFC3339Nano, os.Getenv("RESTORE_TEST_NOW"))
	if err != nil {
		t.Fatal(err)
	}
	id, err := age.ParseX25519Identity(os.Getenv("RESTORE_TEST_ID"))
	if err != nil {
		t.Fatal(err)
	}
	o, _ := testOptions(t, io.Discard)
	o.Now = func() time.Time { return now }
	n := 0
	o.Tell = func(p backup.Progress) {
		if !slices.Contains(deadly, p.Step) || p.Rows > 0 && p.Step != "replay" {
			return // one table stands for all, its end is no step of its own
		}
		if n++; n > at {
			syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}
	if os.Getenv("RESTORE_TEST_DO") == "restore" {
		_, err = RestoreHouse(t.Context(), dir, Restore{Identities: []age.Identity{id}}, o)
	} else {
		h := openHouse(t, dir, o)
		_, err = h.backup.Take(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
}
