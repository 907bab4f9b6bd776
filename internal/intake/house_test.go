package intake

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/db/dbtest"
	"github.com/tillid/tillid/internal/file"
	"github.com/tillid/tillid/internal/job"
	"github.com/tillid/tillid/internal/ledger"
	"github.com/tillid/tillid/internal/mail"
	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/subject"
	"github.com/tillid/tillid/internal/web"
)

// house is a whole house as far as intake sees it, with a real mail server.
type house struct {
	*Service
	Room   *mail.Room
	Runner *job.Runner
	Public http.Handler
	Output *buffer // everything that was logged

	mu     sync.Mutex
	clock  time.Time
	handed []string // engagements that got something
	erased []string // records
	vkey   string
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
	for _, p := range problems {
		tb.Errorf("%v: %s: %s %s", p.Pos, p.Path, p.Msg, p.Hint)
	}
	if plan == nil {
		tb.FailNow()
	}
	return plan
}

func newHouse(tb testing.TB, dsn func(string) string) *house {
	tb.Helper()
	ctx := tb.Context()
	data := dbtest.Open(tb, dsn("house"))
	keysDB, err := db.Open(ctx, dsn("keys"))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { keysDB.Close() })
	if err := (&subject.Keys{DB: keysDB}).Migrate(ctx); err != nil {
		tb.Fatal(err)
	}
	h := &house{clock: time.Date(2026, 11, 22, 13, 5, 0, 0, time.UTC), Output: &buffer{}}
	log := slog.New(slog.NewTextHandler(h.Output, &slog.HandlerOptions{Level: slog.LevelDebug}))
	plan := testPlan(tb)
	current := func() *policy.Plan { return plan }
	keys := &subject.Keys{DB: keysDB, House: "test", KEK: bytes.Repeat([]byte{7}, 32), Now: h.now}
	skey, vkey, err := ledger.GenerateKey("test")
	if err != nil {
		tb.Fatal(err)
	}
	signer, err := ledger.NewSigner(skey)
	if err != nil {
		tb.Fatal(err)
	}
	h.vkey = vkey
	h.Room = &mail.Room{Now: h.now}
	if err := h.Room.Start("127.0.0.1:0"); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { h.Room.Close() })
	subjects := &subject.Service{DB: data, Keys: keys, Plan: current, Now: h.now, Index: bytes.Repeat([]byte{9}, 32)}
	h.Service = &Service{
		DB: data, Plan: current, Subjects: subjects, Log: log, Now: h.now, Secret: bytes.Repeat([]byte{5}, 32),
		Ledger: &ledger.Log{DB: data, Origin: "test", Signer: signer, Now: h.now},
		Mail:   &mail.Service{DB: data, Keys: keys, From: "Prøve A/S <kontakt@proeve.example>", Relay: h.Room.Relay(), Now: h.now, Log: log},
		Files:  &file.Service{DB: data, Keys: keys, Now: h.now, Log: log},
		House:  &web.House{Plan: current},
	}
	h.Hand = func(_ context.Context, _ *db.Tx, _ subject.Record, engagement string) error {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.handed = append(h.handed, engagement)
		return nil
	}
	h.Erase = h.eraseNow
	h.Runner = &job.Runner{DB: data, Log: log, Now: h.now, Kinds: map[string]func(context.Context, []byte) error{}}
	for kind, f := range h.Jobs() {
		h.Runner.Kinds[kind] = f
	}
	for kind, f := range h.Mail.Jobs() {
		h.Runner.Kinds[kind] = f
	}
	mux := http.NewServeMux()
	h.PublicRoutes(mux)
	h.Public = mux
	return h
}

// eraseNow does what package erase does with the rows and the key.
func (h *house) eraseNow(ctx context.Context, records []subject.Record, _ string) error {
	for _, r := range records {
		err := h.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error {
			if _, err := h.Apply(ctx, tx, r, subject.Delete); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, `delete from record where id = $1`, r.ID)
			return err
		})
		if err != nil {
			return err
		}
		if err := h.Subjects.Keys.Destroy(ctx, r.ID); err != nil {
			return err
		}
		h.erased = append(h.erased, r.ID)
	}
	return nil
}

// each runs f with a house on every engine.
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

// ok is a submission with nothing wrong. The values are canaries: they must
// stand in no log.
func ok() url.Values {
	return url.Values{"name": {"Kanarie Prøvesen"}, "email": {"kanarie@example.dk"}, "message": {"Kanariefuglens hemmelighed"}}
}

func with(v url.Values, kv ...string) url.Values {
	for i := 0; i < len(kv); i += 2 {
		v.Set(kv[i], kv[i+1])
	}
	return v
}

func (h *house) post(path, contentType, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "http://site.localhost"+path, strings.NewReader(body))
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.Public.ServeHTTP(w, r)
	return w
}

func (h *house) submitForm(v url.Values) *httptest.ResponseRecorder {
	return h.post("/_tillid/forms/contact", "application/x-www-form-urlencoded", v.Encode())
}

func (h *house) get(path string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, "http://site.localhost"+path, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.Public.ServeHTTP(w, r)
	return w
}

// staff calls a route of the Backoffice as Berta.
func (h *house) staff(tb testing.TB, method, path string, v url.Values) *httptest.ResponseRecorder {
	tb.Helper()
	mux := http.NewServeMux()
	for _, route := range h.StaffRoutes() {
		mux.Handle(route.Pattern, web.Wrap(h.Log, route.Handler))
	}
	var r *http.Request
	if method == http.MethodPost {
		r = httptest.NewRequest(method, "http://backoffice.localhost"+path, strings.NewReader(v.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	} else {
		r = httptest.NewRequest(method, "http://backoffice.localhost"+path, nil)
	}
	r = r.WithContext(web.WithViewer(r.Context(), web.Viewer{User: "u1", UserName: "Berta", Staff: true}))
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	return w
}

// only returns the id of the one enquiry.
func (h *house) only(tb testing.TB) string {
	tb.Helper()
	var id string
	if err := h.DB.QueryRow(tb.Context(), `select id from enquiry`).Scan(&id); err != nil {
		tb.Fatal(err)
	}
	return id
}

// noCanary fails when something of ok's values stands in the output.
func (h *house) noCanary(tb testing.TB) {
	tb.Helper()
	for _, word := range []string{"anarie", "Prøvesen", "kanarie%40", "example.dk"} {
		if strings.Contains(h.Output.String(), word) {
			tb.Errorf("log has %q:\n%s", word, h.Output)
		}
	}
}

func contains(tb testing.TB, body string, words ...string) {
	tb.Helper()
	i := slices.IndexFunc(words, func(w string) bool { return !strings.Contains(body, w) })
	if i >= 0 {
		tb.Errorf("no %q in:\n%s", words[i], body)
	}
}

type subjectRecord = subject.Record

func lite(tb testing.TB) func(string) string { return dbtest.Lite(tb) }
