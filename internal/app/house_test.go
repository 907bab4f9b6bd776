package app

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tillid/tillid/examples/eksempel"
	"github.com/tillid/tillid/internal/breach"
	"github.com/tillid/tillid/internal/connect"
	"github.com/tillid/tillid/internal/connect/desk"
	"github.com/tillid/tillid/internal/db/dbtest"
	"github.com/tillid/tillid/internal/erase"
	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/mail"
	"github.com/tillid/tillid/internal/retain"
	"github.com/tillid/tillid/internal/staff"
	"github.com/tillid/tillid/internal/subject"
	"github.com/tillid/tillid/internal/text"
)

// folderOf writes the example into a new folder, for the host www.<name>.test.
// Its help desk is a simulator of the test's own.
func folderOf(t *testing.T, name string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	helpdesk := httptest.NewServer(&desk.Server{})
	t.Cleanup(helpdesk.Close)
	err := fs.WalkDir(eksempel.Files, ".", func(file string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := eksempel.Files.ReadFile(file)
		if err != nil {
			return err
		}
		if file == "tillid.yaml" {
			b = []byte(strings.NewReplacer("www.eksempel.example", "www."+name+".test", "backoffice.eksempel.example", "backoffice."+name+".test",
				"http://processors.eksempel.example", helpdesk.URL).Replace(string(b)))
		}
		to := filepath.Join(dir, file)
		return errors.Join(os.MkdirAll(filepath.Dir(to), 0o700), os.WriteFile(to, b, 0o600))
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// testOptions have a quick hasher, a real mail room, and a log that tests can read.
func testOptions(t *testing.T, log io.Writer) (Options, *mail.Room) {
	t.Helper()
	room := &mail.Room{Now: time.Now}
	if err := room.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { room.Close() })
	return Options{
		Log: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})), Now: time.Now,
		Getenv: func(string) string { return "" }, Mail: room.Relay(), Hasher: staff.NewHasherWith(64, 1, 1, 4),
	}, room
}

func openHouse(t *testing.T, dir string, o Options) *House {
	t.Helper()
	h, err := Open(t.Context(), dir, o)
	if err != nil {
		t.Fatal(err, fault.Of(err).Hint)
	}
	t.Cleanup(h.Close)
	return h
}

// onEngines runs f with a house folder set up for each engine.
func onEngines(t *testing.T, name string, f func(t *testing.T, dir string)) {
	t.Helper()
	dbtest.EachDSN(t, func(t *testing.T, dsn func(string) string) {
		dir := folderOf(t, name)
		if data := dsn("data"); strings.HasPrefix(data, "postgres://") {
			env := "TILLID_DATABASE_URL=" + data + "\nTILLID_KEYS_URL=" + dsn("keys") + "\n"
			if err := os.WriteFile(filepath.Join(dir, "settings.env"), []byte(env), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		f(t, dir)
	})
}

// impersonal are the tables that hold nothing about people, each with the reason.
var impersonal = map[string]string{
	"job": "ids of rows only", "periodic": "names of periodic work", "leaf": "commitments and counts",
	"tree_hash": "hashes of leaves", "checkpoint": "signed tree heads", "sequencer": "a lease",
	"declaration_version": "the declaration", "shown": "published documents", "house": "which house this is",
	"banner_view": "daily totals", "cosignature": "signatures of witnesses",
	"drift":    "hosts and kinds of what the site loads; no visitor, no address of a page with a query",
	"scan_run": "the last look at each site: names of cookies and hosts, paths of pages; no visitor was there", "scan_finding": "what it found, in the same terms",
	"restore": "names and lengths of logs", "drill": "reports with counts",
	"rights_digest": "days on which staff were reminded", "rights_calendar": "hash of a secret address",
	"bypass": "sites and times", "goose_db_version": "migrations", "migration": "digests of migrations",
}

// Every table is claimed by exactly one holder, or stands in the list above.
//
// Rows: E1.
func TestTablesClaimed(t *testing.T) {
	o, _ := testOptions(t, io.Discard)
	h := openHouse(t, folderOf(t, "tables"), o)
	claimed := map[string]string{}
	claim := func(owner string, tables []subject.Table) {
		for _, table := range tables {
			if other := claimed[table.Name]; other != "" {
				t.Errorf("table %s is claimed by %s and by %s", table.Name, other, owner)
			}
			claimed[table.Name] = owner
			for _, purpose := range table.Purposes {
				if h.Plan().Purpose(purpose) == nil {
					t.Errorf("table %s of %s names the purpose %q, which the Plan does not know", table.Name, owner, purpose)
				}
			}
		}
	}
	for _, holder := range h.erase.Holders {
		claim(holder.Name(), holder.Tables())
	}
	claim("mail", h.mail.Tables())
	claim("file", h.files.Tables())
	for _, table := range append(slices.Collect(maps.Keys(claimed)), "person", "identifier", "record", "handover") {
		if !text.Has("erase.place." + table) {
			t.Errorf("certificates have no words for the table %s: add erase.place.%s", table, table)
		}
	}
	for _, holder := range h.erase.Holders {
		if !text.Has("erase.place." + holder.Name()) {
			t.Errorf("certificates have no words for %s: add erase.place.%s", holder.Name(), holder.Name())
		}
	}
	claim("subject", subject.Tables())
	claim("connect", connect.Tables())
	claim("erase", erase.Tables())
	claim("retain", retain.Tables())
	claim("breach", breach.Tables())
	claim("staff", staff.Tables())
	rows, err := h.folder.db.Query(t.Context(), `select name from sqlite_master where type = 'table' and name not like 'sqlite_%' order by name`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	have := []string{}
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		have = append(have, name)
		if (claimed[name] == "") == (impersonal[name] == "") {
			t.Errorf("table %s: claimed by %q, impersonal because %q; exactly one must hold", name, claimed[name], impersonal[name])
		}
	}
	for name, owner := range claimed {
		if !slices.Contains(have, name) {
			t.Errorf("%s claims the table %s, which is not there", owner, name)
		}
	}
}

func digest(t *testing.T, dir string) [32]byte {
	t.Helper()
	h := sha256.New()
	err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || strings.HasSuffix(name, "-shm") || strings.HasSuffix(name, ".sock") {
			return err
		}
		b, err := os.ReadFile(name)
		h.Write([]byte(name))
		h.Write(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return [32]byte(h.Sum(nil))
}

func send(t *testing.T, h http.Handler, method, host, path string, form url.Values, cookies ...*http.Cookie) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, "http://"+host+path, strings.NewReader(form.Encode()))
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	r.Header.Set("Accept-Language", "en")
	for _, c := range cookies {
		r.AddCookie(c)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

var enquiry = url.Values{"name": {"Karla Kanarie"}, "email": {"karla.kanarie@example.dk"}, "message": {"Er I der i mon morgen? Kanariefugl."}}

// Two houses in one process: what is done in one leaves no byte in the other's
// files, and no page of one shows anything of the other.
func TestTwoHouses(t *testing.T) {
	var log bytes.Buffer
	o, _ := testOptions(t, &log)
	a, b := openHouse(t, folderOf(t, "alfa"), o), openHouse(t, folderOf(t, "beta"), o)
	server := &Server{Houses: []*House{a, b}, Log: o.Log, Metrics: NewMetrics()}
	if err := server.Build(); err != nil {
		t.Fatal(err)
	}
	before := digest(t, b.Dir)
	if w := send(t, server, "POST", "www.alfa.test", "/_tillid/forms/contact", enquiry); w.Code != http.StatusSeeOther {
		t.Fatalf("form in alfa: %d\n%s", w.Code, w.Body)
	}
	if err := a.runner.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/privacy", "/privacy/choices", "/privacy/me", "/_tillid/checkpoint", "/_tillid/log.vkey"} {
		if w := send(t, server, "GET", "www.beta.test", path, nil); w.Code != http.StatusOK || strings.Contains(w.Body.String(), "alfa") {
			t.Errorf("%s of beta: %d, or it speaks of alfa", path, w.Code)
		}
	}
	if digest(t, b.Dir) != before {
		t.Error("beta's files changed while only alfa was used")
	}
	if w := send(t, server, "GET", "www.gamma.test", "/privacy", nil); w.Code != http.StatusMisdirectedRequest || strings.Contains(w.Body.String(), "alfa") {
		t.Errorf("a host of no house: %d %s", w.Code, w.Body)
	}
	if strings.Contains(log.String(), "anarie") {
		t.Errorf("the log holds personal data:\n%s", &log)
	}
	c := folderOf(t, "alfa")
	other := openHouse(t, c, o)
	if err := (&Server{Houses: []*House{a, other}, Log: o.Log}).Build(); fault.Of(err).Kind != fault.Conflict {
		t.Errorf("two houses of one host: %v", err)
	}
}

func TestHealthOnEveryHost(t *testing.T) {
	onEngines(t, "alfa", func(t *testing.T, dir string) {
		o, _ := testOptions(t, io.Discard)
		server := &Server{Houses: []*House{openHouse(t, dir, o)}, Log: o.Log, Metrics: NewMetrics()}
		if err := server.Build(); err != nil {
			t.Fatal(err)
		}
		for _, host := range []string{"www.alfa.test", "backoffice.alfa.test", "nobody.test", "127.0.0.1"} {
			w := send(t, server, "GET", host, "/_tillid/health", nil)
			if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `"ready":true`) || strings.Contains(w.Body.String(), "alfa") {
				t.Errorf("%s: %d %s", host, w.Code, w.Body)
			}
		}
	})
}

// What happens to a house's files is said at start, with what to do.
func TestFilesThatDoNotBelong(t *testing.T) {
	o, _ := testOptions(t, io.Discard)
	made := func(t *testing.T, name string) string {
		dir := folderOf(t, name)
		h, err := Open(t.Context(), dir, o)
		if err != nil {
			t.Fatal(err)
		}
		h.Close()
		return dir
	}
	replace := func(t *testing.T, dir, from, name string) {
		b, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, test := range map[string]struct {
		harm func(t *testing.T, dir string)
		want string
	}{
		"copied": {func(t *testing.T, dir string) {
			file := filepath.Join(dir, "tillid.db")
			b, err := os.ReadFile(file)
			if err == nil {
				err = errors.Join(os.Rename(file, file+".kept"), os.WriteFile(file, b, 0o600))
			}
			if err != nil {
				t.Fatal(err)
			}
		}, "copied or restored"},
		"keys of another house":   {func(t *testing.T, dir string) { replace(t, dir, made(t, "other"), "keys.db") }, "does not belong"},
		"another kek":             {func(t *testing.T, dir string) { replace(t, dir, made(t, "other"), "kek") }, "does not belong"},
		"another log key":         {func(t *testing.T, dir string) { replace(t, dir, made(t, "other"), "log.key") }, "another house"},
		"kek lost":                {func(t *testing.T, dir string) { os.Remove(filepath.Join(dir, "kek")) }, "is missing"},
		"log key lost":            {func(t *testing.T, dir string) { os.Remove(filepath.Join(dir, "log.key")) }, "is missing"},
		"log key cut":             {func(t *testing.T, dir string) { os.Truncate(filepath.Join(dir, "log.key"), 20) }, "is not a log key"},
		"kek that everybody read": {func(t *testing.T, dir string) { os.Chmod(filepath.Join(dir, "kek"), 0o644) }, "other users"},
		"database cut":            {func(t *testing.T, dir string) { os.Truncate(filepath.Join(dir, "tillid.db"), 20000) }, ""},
		"no declaration, no house": {func(t *testing.T, dir string) {
			for _, f := range []string{"tillid.yaml", "tillid.db"} {
				os.Remove(filepath.Join(dir, f))
			}
		}, "no tillid.yaml"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := made(t, "house")
			test.harm(t, dir)
			h, err := Open(t.Context(), dir, o)
			if err == nil {
				h.Close()
				t.Fatal("the house opened")
			}
			f := fault.Of(err)
			if f.Kind == fault.Internal || f.Hint == "" || !strings.Contains(f.Msg, test.want) {
				t.Errorf("got %v %q (hint %q), want a fault with %q and a remedy", f.Kind, f.Msg, f.Hint, test.want)
			}
		})
	}
}

func TestAcceptCopiedHouse(t *testing.T) {
	o, _ := testOptions(t, io.Discard)
	dir := folderOf(t, "copied")
	h, err := Open(t.Context(), dir, o)
	if err != nil {
		t.Fatal(err)
	}
	h.Close()
	to := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	for _, f := range []string{"kek", "log.key"} {
		os.Chmod(filepath.Join(to, f), 0o600)
	}
	if _, err := Open(t.Context(), to, o); fault.Of(err).Kind != fault.Conflict {
		t.Fatalf("a copy opened: %v", err)
	}
	if err := Accept(t.Context(), to, o.Getenv, time.Now); err != nil {
		t.Fatal(err)
	}
	openHouse(t, to, o)
}

// A house that is served refuses a second process, and says so.
func TestSecondProcess(t *testing.T) {
	o, _ := testOptions(t, io.Discard)
	h := openHouse(t, folderOf(t, "alfa"), o)
	if _, err := Open(context.Background(), h.Dir, o); fault.Of(err).Kind == fault.Internal {
		t.Errorf("a second opening: %v", err)
	}
}
