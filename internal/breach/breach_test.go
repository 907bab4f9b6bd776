package breach

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"github.com/jba/templatecheck"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/db/dbtest"
	"github.com/tillid/tillid/internal/job"
	"github.com/tillid/tillid/internal/ledger"
	"github.com/tillid/tillid/internal/mail"
	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/subject"
	"github.com/tillid/tillid/internal/web"
)

// house is the register with a real mail server and real records.
type house struct {
	*Service
	Room   *mail.Room
	Runner *job.Runner
	Office http.Handler
	clock  time.Time
	acts   []string
}

func (h *house) now() time.Time { return h.clock }

func newHouse(t *testing.T, dsn func(string) string) *house {
	t.Helper()
	src, err := os.ReadFile("testdata/house.yaml")
	if err != nil {
		t.Fatal(err)
	}
	plan, problems := policy.Parse("house.yaml", src, nil)
	if plan == nil {
		t.Fatal(problems)
	}
	current := func() *policy.Plan { return plan }
	data := dbtest.Open(t, dsn("house"))
	keysDB, err := db.Open(t.Context(), dsn("keys"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { keysDB.Close() })
	h := &house{clock: time.Date(2026, 11, 20, 15, 0, 0, 0, time.UTC)} // a Friday
	log := slog.New(slog.DiscardHandler)
	keys := &subject.Keys{DB: keysDB, House: "test", KEK: bytes.Repeat([]byte{7}, 32), Now: h.now}
	if err := keys.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.Room = &mail.Room{Now: h.now}
	if err := h.Room.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Room.Close() })
	skey, _, err := ledger.GenerateKey("test")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ledger.NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	letters := &mail.Service{DB: data, Keys: keys, From: "Prøve A/S <kontakt@proeve.example>", Relay: h.Room.Relay(), Now: h.now, Log: log}
	h.Service = &Service{
		DB: data, Plan: current, Subjects: &subject.Service{DB: data, Keys: keys, Plan: current, Now: h.now, Index: bytes.Repeat([]byte{9}, 32)},
		Ledger: &ledger.Log{DB: data, Origin: "test", Signer: signer, Now: h.now}, Mail: letters, House: &web.House{Plan: current}, Log: log, Now: h.now,
		Audit: func(_ context.Context, _ *db.Tx, act, _ string) error { h.acts = append(h.acts, act); return nil },
	}
	h.Runner = &job.Runner{DB: data, Log: log, Now: h.now, Kinds: h.Jobs()}
	maps.Copy(h.Runner.Kinds, letters.Jobs())
	mux := http.NewServeMux()
	for _, r := range h.StaffRoutes() {
		mux.Handle(r.Pattern, web.Wrap(log, r.Handler))
	}
	h.Office = mux
	return h
}

func (h *house) ask(t *testing.T, method, path string, kv ...string) *httptest.ResponseRecorder {
	t.Helper()
	v := url.Values{}
	for i := 0; i < len(kv); i += 2 {
		v.Set(kv[i], kv[i+1])
	}
	r := httptest.NewRequestWithContext(t.Context(), method, "http://backoffice.localhost"+path, strings.NewReader(v.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Accept-Language", "da")
	r = r.WithContext(web.WithViewer(r.Context(), web.Viewer{User: "u1", UserName: "astrid", Staff: true}))
	w := httptest.NewRecorder()
	h.Office.ServeHTTP(w, r)
	if strings.Contains(w.Body.String(), "⟦") {
		t.Errorf("%s: a text is missing:\n%s", path, w.Body)
	}
	return w
}

// hold registers a record about somebody who is known by an address.
func (h *house) hold(t *testing.T, address, purpose string) {
	t.Helper()
	id := db.NewID()
	who, _, err := h.Subjects.Prepare(t.Context(), []subject.Identifier{{Kind: subject.Email, Value: subject.Secret(address)}}, id)
	if err != nil {
		t.Fatal(err)
	}
	err = h.DB.Do(t.Context(), func(ctx context.Context, tx *db.Tx) error {
		person, err := h.Subjects.Identify(ctx, tx, who[0])
		if err != nil {
			return err
		}
		_, err = h.Subjects.Add(ctx, tx, subject.Record{ID: id, Person: person, Holder: "intake", Kind: "enquiry", Purpose: purpose})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (h *house) drain(t *testing.T) {
	t.Helper()
	if err := h.Runner.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// A breach from the first hour to its end: the clock is 72 hours, weekend or not; the
// authority's form must be full, and say why when it is late; the people concerned are chosen
// from what is held and written to once.
//
// Rows: E7.
func TestBreach(t *testing.T) {
	dbtest.EachDSN(t, func(t *testing.T, dsn func(string) string) {
		h := newHouse(t, dsn)
		for _, a := range []string{"ea@example.dk", "bo@example.dk"} {
			h.hold(t, a, "answer_enquiry")
		}
		h.hold(t, "ea@example.dk", "answer_enquiry") // twice, and one letter all the same
		h.hold(t, "ib@example.dk", "keep_contact")
		if w := h.ask(t, http.MethodPost, "/breaches", "aware", "2026-11-21T10:00", "what", "x"); w.Code != http.StatusUnprocessableEntity {
			t.Error("aware in the future", w.Code)
		}
		path, _, _ := strings.Cut(h.ask(t, http.MethodPost, "/breaches", "aware", "2026-11-20T10:00", "what", "En hemmelig bærbar blev stjålet").Header().Get("Location"), "?")
		page := h.ask(t, http.MethodGet, path).Body.String()
		for _, want := range []string{"66 timer tilbage", "23. nov. 2026 kl. 10.00", "stjålet", "Mangler endnu"} {
			if !strings.Contains(page, want) {
				t.Errorf("no %q in:\n%s", want, page)
			}
		}
		running, err := h.Running(t.Context())
		if err != nil || len(running) != 1 {
			t.Fatal(running, err)
		}
		if w := h.ask(t, http.MethodPost, path+"/step", "do", "notified"); w.Code != http.StatusUnprocessableEntity {
			t.Error("notified with an empty form", w.Code)
		}
		full := []string{"risk", "high", "what", "Stjålet", "when", "I nat", "people", "2 kunder", "records", "Navne", "contact", "privatliv@proeve.example", "effects", "Svindel", "measures", "Låst"}
		if w := h.ask(t, http.MethodPost, path, full...); w.Code != http.StatusSeeOther {
			t.Fatal(w.Code, w.Body)
		}
		h.clock = h.clock.Add(4 * 24 * time.Hour)
		if body := h.ask(t, http.MethodGet, "/breaches").Body.String(); !strings.Contains(body, "over fristen") {
			t.Error("not marked as late:\n" + body)
		}
		if w := h.ask(t, http.MethodPost, path+"/step", "do", "notified"); w.Code != http.StatusUnprocessableEntity {
			t.Error("late, and without the reasons", w.Code)
		}
		if w := h.ask(t, http.MethodPost, path+"/step", "do", "closed"); w.Code != http.StatusUnprocessableEntity {
			t.Error("closed without having been notified", w.Code)
		}
		h.ask(t, http.MethodPost, path, append(full, "delay", "Weekend")...)
		for _, do := range []string{"contained", "notified"} {
			if w := h.ask(t, http.MethodPost, path+"/step", "do", do); w.Code != http.StatusSeeOther {
				t.Fatal(do, w.Code, w.Body)
			}
		}
		letter := []string{"purpose", "answer_enquiry", "from", "2026-11-01", "until", "2026-11-30", "text", "Skift din adgangskode."}
		if body := h.ask(t, http.MethodPost, path+"/letter", append(letter, "do", "look")...).Body.String(); !strings.Contains(body, "2 personer") {
			t.Error("not 2 people:\n" + body)
		}
		for range 2 {
			if w := h.ask(t, http.MethodPost, path+"/letter", append(letter, "do", "send")...); w.Code != http.StatusSeeOther {
				t.Fatal(w.Code, w.Body)
			}
			h.drain(t)
		}
		for address, want := range map[string]int{"ea@example.dk": 1, "bo@example.dk": 1, "ib@example.dk": 0} {
			mails := h.Room.Find(address)
			if len(mails) != want || want == 1 && (!strings.Contains(mails[0].Text, "Skift din adgangskode.") || !strings.Contains(mails[0].Text, "Svindel")) {
				t.Errorf("%s got %d letters", address, len(mails))
			}
		}
		var e Export
		if err := json.Unmarshal(h.ask(t, http.MethodGet, path+"/report.json").Body.Bytes(), &e); err != nil || !e.Late || e.Told != 2 || e.Content.Effects != "Svindel" {
			t.Error(e, err)
		}
		if body := h.ask(t, http.MethodGet, path+"/report").Body.String(); strings.Index(body, "Hvad er der sket") > strings.Index(body, "Hvad kan det få af følger") {
			t.Error("not in the order of the form")
		}
		if w := h.ask(t, http.MethodPost, path+"/step", "do", "closed"); w.Code != http.StatusSeeOther {
			t.Error(w.Code, w.Body)
		}
		if running, err := h.Running(t.Context()); err != nil || len(running) != 0 {
			t.Error("the clock still runs", err)
		}
		if h.acts[0] != "breach.opened" || len(h.acts) < 7 {
			t.Error(h.acts)
		}
		var sealed []byte
		if err := h.DB.QueryRow(t.Context(), `select sealed from breach_event order by at limit 1`).Scan(&sealed); err != nil || bytes.Contains(sealed, []byte("hemmelig")) {
			t.Error("what was written is not sealed", err)
		}
		h.clock = h.clock.Add(48 * time.Hour)
		if _, err := h.Subjects.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		if w := h.ask(t, http.MethodGet, path); w.Code != http.StatusOK {
			t.Error("its key was swept", w.Code)
		}
	})
}

func TestTemplates(t *testing.T) {
	for name, data := range map[string]any{"breaches": listPage{}, "breach": breachPage{}, "report": reportPage{}} {
		if err := templatecheck.CheckHTML(pages().Template(name, web.Backoffice), data); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := len(pages().Names()); n != 3 {
		t.Errorf("%d pages, 3 are checked", n)
	}
}
