package request

import (
	"bytes"
	"context"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tillid/tillid/internal/connect"
	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/db/dbtest"
	"github.com/tillid/tillid/internal/erase"
	"github.com/tillid/tillid/internal/file"
	"github.com/tillid/tillid/internal/intake"
	"github.com/tillid/tillid/internal/job"
	"github.com/tillid/tillid/internal/ledger"
	"github.com/tillid/tillid/internal/mail"
	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/subject"
	"github.com/tillid/tillid/internal/web"
)

// house is a whole house as far as the portal sees it: real forms fill it, a
// real mail server gets its letters, erase really erases.
type house struct {
	*Service
	Intake *intake.Service
	Room   *mail.Room
	Runner *job.Runner
	Public http.Handler
	Office http.Handler
	acts   []string // of staff, in the order of the audit trail
	Output *buffer

	mu      sync.Mutex
	clock   time.Time
	visitor subject.PersonID
}

// buffer is a bytes.Buffer for several goroutines.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func (h *house) now() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.clock
}

func (h *house) pass(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.clock = h.clock.Add(d)
}

func testPlan(tb testing.TB) *policy.Plan {
	tb.Helper()
	src, err := os.ReadFile("testdata/house.yaml")
	if err != nil {
		tb.Fatal(err)
	}
	plan, problems := policy.Parse("house.yaml", src, nil)
	if plan == nil {
		tb.Fatal(problems)
	}
	return plan
}

func newHouse(tb testing.TB, dsn func(string) string) *house {
	tb.Helper()
	data := dbtest.Open(tb, dsn("house"))
	keysDB, err := db.Open(tb.Context(), dsn("keys"))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { keysDB.Close() })
	h := &house{clock: time.Date(2026, 11, 22, 13, 5, 0, 0, time.UTC), Output: &buffer{}}
	keys := &subject.Keys{DB: keysDB, House: "test", KEK: bytes.Repeat([]byte{7}, 32), Now: h.now}
	if err := keys.Migrate(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	h.Room = &mail.Room{Now: h.now}
	if err := h.Room.Start("127.0.0.1:0"); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { h.Room.Close() })
	h.wire(tb, data, keys, testPlan(tb))
	return h
}

// wire does what app does with the packages that the portal needs.
func (h *house) wire(tb testing.TB, data *db.DB, keys *subject.Keys, plan *policy.Plan) {
	tb.Helper()
	log := slog.New(slog.NewTextHandler(h.Output, &slog.HandlerOptions{Level: slog.LevelDebug}))
	current, secret := func() *policy.Plan { return plan }, bytes.Repeat([]byte{5}, 32)
	skey, _, err := ledger.GenerateKey("test")
	if err != nil {
		tb.Fatal(err)
	}
	signer, err := ledger.NewSigner(skey)
	if err != nil {
		tb.Fatal(err)
	}
	site := &web.House{Plan: current}
	subjects := &subject.Service{DB: data, Keys: keys, Plan: current, Now: h.now, Index: bytes.Repeat([]byte{9}, 32)}
	l := &ledger.Log{DB: data, Origin: "test", Signer: signer, Now: h.now}
	keys.Paused = func(ctx context.Context, record string) (bool, error) { return subjects.IsPaused(ctx, data, record) }
	letters := &mail.Service{Paused: subjects.IsPaused, DB: data, Keys: keys, From: "Prøve A/S <kontakt@proeve.example>", Relay: h.Room.Relay(), Now: h.now, Log: log}
	conn := &connect.Service{DB: data, Keys: keys, Plan: current, Now: h.now, Log: log, Record: subjects.Get, Paused: subjects.IsPaused}
	er := &erase.Service{DB: data, Subject: subjects, Keys: keys, Connect: conn, Ledger: l, Plan: current, Now: h.now, Log: log, Controller: "test", House: site}
	h.Intake = &intake.Service{
		DB: data, Plan: current, Subjects: subjects, Ledger: l, Mail: letters, House: site, Log: log, Now: h.now, Secret: secret, Hand: conn.Hand,
		Files: &file.Service{DB: data, Log: log, Now: h.now},
	}
	conn.Fields, conn.Consented = h.Intake.Fields, h.Intake.Consented
	h.Service = &Service{
		DB: data, Plan: current, Subjects: subjects, Connect: conn, Erase: er, Ledger: l, Mail: letters, House: site, Log: log, Now: h.now, Secret: secret,
		Audit:         func(_ context.Context, _ *db.Tx, act, _ string) error { h.acts = append(h.acts, act); return nil },
		VisitorPerson: func(*http.Request) (subject.PersonID, bool) { return h.visitor, h.visitor != "" },
	}
	h.Holders = []subject.Holder{h.Intake, h.Service}
	er.Holders = h.Holders
	h.Runner = &job.Runner{DB: data, Log: log, Now: h.now, Kinds: map[string]func(context.Context, []byte) error{}}
	for _, jobs := range []map[string]func(context.Context, []byte) error{h.Jobs(), letters.Jobs(), h.Intake.Jobs(), er.Jobs(), conn.Jobs()} {
		maps.Copy(h.Runner.Kinds, jobs)
	}
	mux := http.NewServeMux()
	h.PublicRoutes(mux)
	h.Intake.PublicRoutes(mux)
	h.Public = mux
	office := http.NewServeMux()
	for _, r := range append(h.StaffRoutes(), h.Intake.StaffRoutes()...) {
		office.Handle(r.Pattern, web.Wrap(log, r.Handler))
	}
	h.Office = office
}

func each(t *testing.T, f func(t *testing.T, h *house)) {
	t.Helper()
	dbtest.EachDSN(t, func(t *testing.T, dsn func(string) string) { f(t, newHouse(t, dsn)) })
}

func (h *house) drain(tb testing.TB) {
	tb.Helper()
	if err := h.Runner.Drain(tb.Context()); err != nil {
		tb.Fatal(err)
	}
}

func (h *house) count(tb testing.TB, table string) int {
	tb.Helper()
	var n int
	if err := h.DB.QueryRow(tb.Context(), "select count(*) from "+table).Scan(&n); err != nil {
		tb.Fatal(err)
	}
	return n
}

// browser keeps cookies, as people's browsers do.
type browser struct {
	h       *house
	cookies map[string]string
}

func (h *house) browser() *browser { return &browser{h, map[string]string{}} }

func (b *browser) do(method, path string, v url.Values) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://site.localhost"+path, strings.NewReader(v.Encode()))
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	r.Header.Set("Accept-Language", "da")
	for name, value := range b.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	w := httptest.NewRecorder()
	b.h.Public.ServeHTTP(w, r)
	for _, c := range w.Result().Cookies() {
		if c.MaxAge < 0 {
			delete(b.cookies, c.Name)
		} else {
			b.cookies[c.Name] = c.Value
		}
	}
	return w
}

func (b *browser) get(path string) *httptest.ResponseRecorder {
	return b.do(http.MethodGet, path, nil)
}

func (b *browser) post(path string, kv ...string) *httptest.ResponseRecorder {
	v := url.Values{}
	for i := 0; i < len(kv); i += 2 {
		v.Set(kv[i], kv[i+1])
	}
	return b.do(http.MethodPost, path, v)
}

// write sends the contact form.
func (h *house) write(tb testing.TB, address, message string) {
	tb.Helper()
	w := h.browser().post("/_tillid/forms/contact", "name", "Kanarie Prøvesen", "email", address, "message", message)
	if w.Code != http.StatusSeeOther {
		tb.Fatal(w.Code, w.Body)
	}
	h.drain(tb)
	h.pass(time.Minute)
}

var linkInMail = regexp.MustCompile(`http://site\.localhost(/privacy/me/open/[^\s?]+)`)

// link asks for a link and returns its path from the mail.
func (h *house) link(tb testing.TB, address string) string {
	tb.Helper()
	if w := h.browser().post("/privacy/me", "email", address); w.Code != http.StatusSeeOther {
		tb.Fatal(w.Code, w.Body)
	}
	h.drain(tb)
	for _, m := range h.Room.Find(address) {
		if found := linkInMail.FindStringSubmatch(m.Text); found != nil {
			return found[1]
		}
	}
	tb.Fatal("no link was mailed")
	return ""
}

// in returns a browser with an open session for the owner of address.
func (h *house) in(tb testing.TB, address string) *browser {
	tb.Helper()
	b := h.browser()
	if w := b.post(h.link(tb, address)); w.Code != http.StatusSeeOther {
		tb.Fatal(w.Code, w.Body)
	}
	return b
}

func contains(tb testing.TB, body string, words ...string) {
	tb.Helper()
	for _, w := range words {
		if !strings.Contains(body, w) {
			tb.Errorf("no %q in:\n%s", w, body)
			return
		}
	}
}

func (h *house) noCanary(tb testing.TB) {
	tb.Helper()
	for _, word := range []string{"anarie", "Prøvesen", "hemmelighed"} {
		if strings.Contains(h.Output.String(), word) {
			tb.Errorf("log has %q:\n%s", word, h.Output)
		}
	}
}

type policyPlan = policy.Plan

func lite(tb testing.TB) *house { return newHouse(tb, dbtest.Lite(tb)) }

// staff does something in the Backoffice as a member of staff.
func (h *house) staff(method, path string, v url.Values) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://backoffice.localhost"+path, strings.NewReader(v.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Accept-Language", "da")
	r = r.WithContext(web.WithViewer(r.Context(), web.Viewer{User: "u1", UserName: "astrid", Staff: true, Roles: []string{"staff"}}))
	w := httptest.NewRecorder()
	h.Office.ServeHTTP(w, r)
	return w
}

// does posts as a member of staff and wants it to be done.
func (h *house) does(tb testing.TB, path string, kv ...string) string {
	tb.Helper()
	v := url.Values{}
	for i := 0; i < len(kv); i += 2 {
		v.Add(kv[i], kv[i+1])
	}
	w := h.staff(http.MethodPost, path, v)
	if w.Code != http.StatusSeeOther {
		tb.Fatalf("POST %s: %d %s", path, w.Code, w.Body)
	}
	to, _, _ := strings.Cut(w.Header().Get("Location"), "?")
	return to
}

// sees returns a page of the Backoffice.
func (h *house) sees(tb testing.TB, path string) string {
	tb.Helper()
	w := h.staff(http.MethodGet, path, nil)
	if w.Code != http.StatusOK || strings.Contains(w.Body.String(), "⟦") {
		tb.Fatalf("GET %s: %d %s", path, w.Code, w.Body)
	}
	return w.Body.String()
}
