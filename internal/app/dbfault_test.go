package app

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tillid/tillid/internal/db"
)

// trouble is something that befalls a database under a running server, and its end.
type trouble struct {
	name       string
	harm, heal func()
}

// A database that is full, read-only or gone while the house is served: who sends
// something is told so and keeps what was typed, the house says that it is not
// ready, the site, the policy and the choice pages go on, nothing acknowledged is
// lost; and when the trouble ends, the house goes on by itself.
//
// Rows: E7.
func TestDatabaseTroubleUnderAServer(t *testing.T) {
	onEngines(t, "alfa", func(t *testing.T, dir string) {
		var troubles []trouble
		settings, _ := os.ReadFile(filepath.Join(dir, "settings.env"))
		if strings.Contains(string(settings), "postgres://") {
			troubles = postgresTroubles(t, dir, string(settings))
		}
		s := stand(t, dir, Limits{})
		if s.folder.db.Lite() {
			troubles = s.liteTroubles()
		}
		if len(troubles) == 0 {
			t.Fatal("nothing befalls this database")
		}
		for _, trouble := range troubles {
			t.Run(trouble.name, func(t *testing.T) {
				one := *s
				one.t = t
				one.survive(trouble)
			})
		}
	})
}

// write sends an enquiry that no other is like, and returns it with the answer.
func (s *standing) write(n int, headers ...string) (url.Values, reply) {
	form := url.Values{
		"name": {"Karla Kanarie"}, "email": {fmt.Sprintf("karla%d@example.dk", n)},
		"message": {fmt.Sprintf("Nr. %d. %s", n, strings.Repeat("Kassen piber. ", 200))},
	}
	return form, s.do(www, "/_tillid/forms/contact", form, headers...)
}

func (s *standing) survive(trouble trouble) {
	t := s.t
	acknowledged := map[string]bool{}
	n := s.count(`select count(*) from enquiry`) * 1000
	send := func() (url.Values, reply) {
		n++
		form, a := s.write(n)
		switch a.StatusCode {
		case http.StatusSeeOther:
			acknowledged[a.Header.Get("Location")] = true
		case http.StatusServiceUnavailable:
		default:
			t.Fatalf("a form is answered %d\n%.500s\n%s", a.StatusCode, a.body, s.log)
		}
		return form, a
	}
	if _, a := send(); a.StatusCode != http.StatusSeeOther {
		t.Fatalf("before: %d", a.StatusCode)
	}
	trouble.harm()
	healed := sync.OnceFunc(trouble.heal)
	defer healed()
	form, a := send()
	for tries := 0; a.StatusCode != http.StatusServiceUnavailable; tries++ {
		if tries == 2000 {
			t.Fatal("everything is saved as if nothing had happened")
		}
		form, a = send()
	}
	s.told(form, a)
	for _, host := range []string{www, office, "127.0.0.1"} {
		soon(t, "health of "+host+" says that the house is not ready", func() bool {
			send()
			h := s.do(host, "/_tillid/health", nil)
			return h.StatusCode == http.StatusServiceUnavailable && h.Header.Get("Retry-After") != "" &&
				strings.Contains(h.body, "database cannot be written")
		})
	}
	s.goesOn()
	healed()
	soon(t, "forms are taken again", func() bool { _, a := send(); return a.StatusCode == http.StatusSeeOther })
	soon(t, "the house is ready again", func() bool { return s.do(www, "/_tillid/health", nil).StatusCode == http.StatusOK })
	soon(t, "the log catches up", func() bool { return s.count(`select count(*) from leaf where idx is null`) == 0 })
	for to := range acknowledged {
		if a := s.do(www, to, nil); a.StatusCode != http.StatusOK {
			t.Errorf("an acknowledged enquiry is answered %d now", a.StatusCode)
		}
	}
	s.whole()
	if n := strings.Count(s.log.String(), "look for jobs"); n > 300 {
		t.Errorf("the background work fills the log while nothing can be saved: %d lines", n)
	}
	if strings.Contains(s.log.String(), "karla") || strings.Contains(s.log.String(), "piber") {
		t.Error("the log holds what was typed")
	}
	t.Logf("%d acknowledged", len(acknowledged))
}

// told looks at what somebody sees whose form could not be saved.
func (s *standing) told(form url.Values, a reply) {
	t := s.t
	t.Helper()
	for _, want := range []string{"has not been sent", "just now", "What you wrote is still here", form.Get("email"), form.Get("message"), form.Get("name")} {
		if !strings.Contains(a.body, want) {
			t.Errorf("the page does not say %.80q:\n%.3000s", want, a.body)
		}
	}
	if a.Header.Get("Retry-After") == "" || !strings.Contains(a.Header.Get("Cache-Control"), "no-store") {
		t.Errorf("headers of the answer: %v", a.Header)
	}
	if traces.MatchString(a.body) {
		t.Errorf("the page shows the program's inside:\n%s", a.body)
	}
	program := s.send(http.MethodPost, www, "/_tillid/forms/contact", `{"name":"Karla","email":"karla-json@example.dk","message":"`+strings.Repeat("Hej. ", 900)+`"}`,
		"Content-Type", "application/json")
	if program.StatusCode == http.StatusServiceUnavailable && (!strings.Contains(program.body, `"hint"`) || !strings.HasPrefix(program.Header.Get("Content-Type"), "application/problem+json")) {
		t.Errorf("a program is told %v %s", program.Header, program.body)
	}
}

// goesOn looks at what needs no write. Doors that write may say 503, and nothing worse.
func (s *standing) goesOn() {
	t := s.t
	t.Helper()
	for _, path := range []string{"/", "/kontakt", "/privacy/form/contact", "/privacy/choices"} {
		if a := s.do(www, path, nil); a.StatusCode != http.StatusOK {
			t.Errorf("%s: %d", path, a.StatusCode)
		}
	}
	for path, form := range map[string]url.Values{
		www + " /privacy/me": {"email": {"karla@example.dk"}}, www + " /_tillid/consent": {"do": {"all"}},
		office + " /signin":          {"number": {"1000"}, "user_name": {"nobody"}, "password": {"wrong-password-1"}},
		www + " /privacy/policy.pdf": nil, www + " /privacy/me?lang=da": nil, office + " /": nil,
	} {
		host, path, _ := strings.Cut(path, " ")
		if a := s.do(host, path, form); a.StatusCode >= 500 && a.StatusCode != http.StatusServiceUnavailable || traces.MatchString(a.body) {
			t.Errorf("%s%s: %d\n%.300s", host, path, a.StatusCode, a.body)
		}
	}
}

func soon(t *testing.T, what string, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !f(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("did not happen: %s", what)
		}
	}
}

// liteTroubles uses SQLite's own limits: the errors are the engine's.
func (s *standing) liteTroubles() []trouble {
	t, data, keys := s.t, s.folder.db, s.folder.keys.DB
	pragma := func(d *db.DB, text string) func() {
		return func() {
			t.Helper()
			err := d.Do(context.Background(), func(ctx context.Context, tx *db.Tx) error {
				rows, err := tx.Query(ctx, text)
				if err != nil {
					return err
				}
				for rows.Next() {
				}
				return rows.Close()
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	readOnly := func(d *db.DB, on bool) func() {
		return func() {
			t.Helper()
			if err := d.SetReadOnly(context.Background(), on); err != nil {
				t.Fatal(err)
			}
		}
	}
	full, room := "pragma max_page_count = 1", "pragma max_page_count = 1000000"
	return []trouble{
		{"data full", pragma(data, full), pragma(data, room)},
		{"keys full", pragma(keys, full), pragma(keys, room)},
		{"data read-only", readOnly(data, true), readOnly(data, false)},
		{"keys read-only", readOnly(keys, true), readOnly(keys, false)},
	}
}

// postgresTroubles puts a wire that can be cut, and a role of its own that can be
// made read-only, between the house and the test's PostgreSQL.
func postgresTroubles(t *testing.T, dir, settings string) []trouble {
	_, dsn, _ := strings.Cut(strings.SplitN(settings, "\n", 2)[0], "=")
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	admin, err := sql.Open("pgx", dsn)
	if err != nil {
		t.Fatal(err)
	}
	run := func(statement string) {
		t.Helper()
		if _, err := admin.Exec(statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	role := "alfa_" + strings.ToLower(db.NewID())
	run("create role " + role + " login")
	t.Cleanup(func() {
		run("drop owned by " + role + " cascade")
		run("drop role " + role)
		admin.Close()
	})
	w := &wire{t: t, to: u.Host}
	w.join()
	t.Cleanup(w.cut)
	for _, word := range strings.Fields(strings.ReplaceAll(settings, "search_path=", " ")) {
		if strings.HasPrefix(word, "test_") {
			run("grant all on schema " + word + " to " + role)
		}
	}
	settings = strings.ReplaceAll(strings.ReplaceAll(settings, u.Host, w.addr), u.User.String()+"@", role+"@")
	if err := os.WriteFile(filepath.Join(dir, "settings.env"), []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	readOnly := func(yes string) func() {
		return func() {
			run("alter role " + role + " set default_transaction_read_only = " + yes)
			run("select pg_terminate_backend(pid) from pg_stat_activity where usename = '" + role + "'")
		}
	}
	return []trouble{{"gone", w.cut, w.join}, {"read-only", readOnly("on"), readOnly("off")}}
}

// wire passes connections on to a server until it is cut; it is joined again at
// the same address.
type wire struct {
	t        *testing.T
	to, addr string

	mu    sync.Mutex
	l     net.Listener
	conns []net.Conn
}

func (w *wire) join() {
	w.mu.Lock()
	defer w.mu.Unlock()
	at := w.addr
	if at == "" {
		at = "127.0.0.1:0"
	}
	var err error
	if w.l, err = net.Listen("tcp", at); err != nil {
		w.t.Fatal(err)
	}
	w.addr = w.l.Addr().String()
	go w.accept(w.l)
}

func (w *wire) accept(l net.Listener) {
	for {
		in, err := l.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", w.to)
		if err != nil {
			in.Close()
			continue
		}
		w.mu.Lock()
		w.conns = append(w.conns, in, out)
		w.mu.Unlock()
		for _, pair := range [][2]net.Conn{{in, out}, {out, in}} {
			go func() {
				io.Copy(pair[0], pair[1])
				pair[0].Close()
				pair[1].Close()
			}()
		}
	}
}

func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.l.Close()
	for _, c := range w.conns {
		c.Close()
	}
	w.conns = nil
}
