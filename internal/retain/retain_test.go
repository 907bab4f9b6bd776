package retain

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"
	"github.com/jba/templatecheck"
	"pgregory.net/rapid"

	"github.com/tillid/tillid/internal/connect"
	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/db/dbtest"
	"github.com/tillid/tillid/internal/erase"
	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/ledger"
	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/subject"
	"github.com/tillid/tillid/internal/text"
	"github.com/tillid/tillid/internal/web"
)

const declaration = `
tillid: 1
law: [eu-gdpr@2026.2, dk@2026.2]
reviewed: 2026-11-01
languages: [da, en]
controller: { legal_name: Eksempel A/S, country: DK }
data:
  message: { label: { da: Besked, en: Message } }
people:
  enquirer: { label: { da: Spørger, en: Enquirer } }
purposes:
  answer: { label: { da: Svare, en: Answer }, legal_basis: { art: 6.1.b }, people: [enquirer], data: [message] }
  months: { label: { da: Måneder, en: Months }, legal_basis: { art: 6.1.a }, people: [enquirer], data: [message] }
  paper: { label: { da: Papir, en: Paper }, legal_basis: { art: 6.1.b }, people: [enquirer], data: [message] }
retention:
  answer_closed: { purpose: answer, trigger: case.closed, duration: PT0S, at_latest: P6M, action: delete }
  three_months: { purpose: months, trigger: received, duration: P3M, action: delete }
  paper_shred: { purpose: paper, trigger: received, duration: P1M, action: delete, executor: manual, owner: Reception }
`

// house is a house with a feature that keeps nothing beside the register.
type house struct {
	*Service
	t    testing.TB
	at   time.Time
	plan *policy.Plan // in force
}

func (h *house) now() time.Time { return h.at }

func newHouse(t testing.TB, dsn func(string) string) *house {
	t.Helper()
	plan, problems := policy.Parse("tillid.yaml", []byte(declaration), nil)
	if plan == nil {
		t.Fatalf("declaration: %+v", problems)
	}
	h := &house{t: t, at: time.Date(2026, 11, 30, 11, 0, 0, 0, time.UTC), plan: plan}
	store, err := db.Open(t.Context(), dsn("keys"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	keys := &subject.Keys{DB: store, House: "house", KEK: make([]byte, 32), Now: h.now}
	if err := keys.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	skey, _, err := ledger.GenerateKey("eksempel.example/tillid")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ledger.NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	d := dbtest.Open(t, dsn("house"))
	inForce := func() *policy.Plan { return h.plan }
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	subjects := &subject.Service{DB: d, Keys: keys, Plan: inForce, Now: h.now, Index: []byte("index")}
	frames := &web.House{Plan: inForce, May: func(web.Viewer, web.Permission) bool { return true }}
	h.Service = &Service{
		DB: d, Subject: subjects, Plan: inForce, Now: h.now, Log: log, House: frames,
		Erase: &erase.Service{
			DB: d, Subject: subjects, Keys: keys, Holders: []subject.Holder{bare{}}, Plan: inForce, Now: h.now, Log: log, Controller: "Eksempel A/S", House: frames,
			Connect: &connect.Service{DB: d, Keys: keys, Plan: inForce, Now: h.now, Log: log, Record: subjects.Get},
			Ledger:  &ledger.Log{DB: d, Origin: "eksempel.example/tillid", Signer: signer, Now: h.now},
		},
	}
	return h
}

// bare is a feature whose records are rows of the register alone.
type bare struct{}

func (bare) Name() string { return "bare" }

func (bare) Tables() []subject.Table { return nil }

func (bare) Show(context.Context, db.Queryer, subject.Record, text.Lang) (subject.View, error) {
	return subject.View{}, nil
}

func (bare) Apply(context.Context, *db.Tx, subject.Record, subject.Act) (subject.Receipt, error) {
	return subject.Receipt{}, nil
}

func each(t *testing.T, f func(t *testing.T, h *house)) {
	dbtest.EachDSN(t, func(t *testing.T, dsn func(string) string) { f(t, newHouse(t, dsn)) })
}

func (h *house) add(email, purpose string) subject.Record {
	h.t.Helper()
	r := subject.Record{ID: db.NewID(), Holder: "bare", Kind: "thing", Purpose: purpose}
	p, _, err := h.Subject.Prepare(h.t.Context(), []subject.Identifier{{Kind: subject.Email, Value: subject.Secret(email)}}, r.ID)
	if err != nil {
		h.t.Fatal(err)
	}
	err = h.DB.Do(h.t.Context(), func(ctx context.Context, tx *db.Tx) (err error) {
		if r.Person, err = h.Subject.Identify(ctx, tx, p[0]); err != nil {
			return err
		}
		r, err = h.Subject.Add(ctx, tx, r)
		return err
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return r
}

func (h *house) sweep() Run {
	h.t.Helper()
	run, err := h.Sweep(h.t.Context())
	if err != nil {
		h.t.Fatal(err)
	}
	return run
}

func (h *house) there(r subject.Record) bool {
	h.t.Helper()
	keys, err := h.Subject.Keys.Left(h.t.Context(), r.ID)
	if err != nil {
		h.t.Fatal(err)
	}
	return len(keys) == 1
}

// What is due goes with the next sweep, not before, and nothing else goes.
// Rows: C5, E2.
func TestSweep(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ctx := t.Context()
		closed, open := h.add("a@example.dk", "answer"), h.add("b@example.dk", "answer")
		months := h.add("a@example.dk", "months") // from 30 November: three months end on 28 February
		if run := h.sweep(); run.Due != 0 || run.Deleted != 0 {
			t.Errorf("nothing is due: %+v", run)
		}
		err := h.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error {
			_, err := h.Subject.Trigger(ctx, tx, closed.ID, "case.closed")
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if run := h.sweep(); run.Due != 1 || run.Deleted != 1 || h.there(closed) || !h.there(open) || !h.there(months) {
			t.Errorf("closed: %+v", run)
		}
		cases, err := h.Erase.Cases(ctx, 10)
		if err != nil || len(cases) != 1 || cases[0].Reason.Kind != erase.Closed || cases[0].Result != erase.Granted {
			t.Errorf("cases %+v, %v", cases, err)
		}

		h.at = time.Date(2027, 2, 28, 10, 59, 59, 0, time.UTC)
		if run := h.sweep(); run.Deleted != 0 || len(run.Forecast) != 1 || run.Forecast[0] != (Forecast{"three_months", 1}) {
			t.Errorf("a second too early: %+v", run)
		}
		h.at = h.at.Add(time.Second)
		if run := h.sweep(); run.Deleted != 1 || h.there(months) {
			t.Errorf("in time: %+v", run)
		}
		h.at = time.Date(2027, 5, 30, 12, 0, 0, 0, time.UTC)
		if run := h.sweep(); run.Deleted != 1 || h.there(open) {
			t.Errorf("never closed: goes at the latest: %+v", run)
		}
		if says, err := h.Health(ctx); err != nil || len(says) != 0 {
			t.Errorf("health %v, %v", says, err)
		}
		h.at = h.at.Add(time.Hour)
		if says, err := h.Health(ctx); err != nil || len(says) != 1 {
			t.Errorf("health of a sweeper that stands still: %v, %v", says, err)
		}
	})
}

func TestManualAndHeld(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ctx := t.Context()
		paper, months := h.add("a@example.dk", "paper"), h.add("a@example.dk", "months")
		hold, err := h.Erase.Hold(ctx, erase.Hold{Scope: erase.OfPurpose, Target: "months", Reason: "dispute", Owner: "u1", Review: h.at.AddDate(1, 0, 0)})
		if err != nil {
			t.Fatal(err)
		}
		h.at = h.at.AddDate(0, 4, 0)
		for range 2 {
			if run := h.sweep(); run.Due != 2 || run.Manual != 1 || run.Held != 1 || run.Deleted != 0 {
				t.Errorf("run %+v", run)
			}
		}
		tasks, err := h.Tasks(ctx, 10)
		if err != nil || len(tasks) != 1 || tasks[0].Owner != "Reception" || tasks[0].Record != paper.ID {
			t.Errorf("tasks %+v, %v", tasks, err)
		}
		if runs, err := h.Runs(ctx, 10); err != nil || len(runs) != 1 {
			t.Errorf("idle runs are kept: %d, %v", len(runs), err)
		}
		if says, err := h.Health(ctx); err != nil || len(says) != 0 {
			t.Errorf("health %v, %v: what is held is not overdue", says, err)
		}
		lines, err := h.Forecast(ctx, h.at)
		if err != nil || len(lines) != 2 || !lines[0].Manual || lines[1].Held != 1 || lines[1].Records[0].Kept != "held" {
			t.Errorf("forecast %+v, %v", lines, err)
		}
		if err := h.Erase.Release(ctx, hold); err != nil {
			t.Fatal(err)
		}
		if run := h.sweep(); run.Deleted != 1 || h.there(months) || !h.there(paper) {
			t.Errorf("released: %+v", run)
		}
	})
}

// One rule that cannot be carried out does not stop the others, and is said.
func TestOneRuleFails(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ctx := t.Context()
		odd, months := h.add("a@example.dk", "answer"), h.add("b@example.dk", "months")
		if _, err := h.DB.Exec(ctx, `update record set holder = 'nobody' where id = $1`, odd.ID); err != nil {
			t.Fatal(err)
		}
		h.at = h.at.AddDate(1, 0, 0)
		run, err := h.Sweep(ctx)
		if err == nil || run.Failed != 1 || run.Deleted != 1 || h.there(months) || !h.there(odd) {
			t.Errorf("run %+v, %v", run, err)
		}
	})
}

// Age below the period: not touched; at or above it: gone with the next sweep,
// whatever the times of the sweeps in between. Rows: E2.
func TestRetentionIsExact(t *testing.T) {
	h := newHouse(t, dbtest.Lite(t))
	rapid.Check(t, func(rt *rapid.T) {
		purpose := rapid.SampledFrom([]string{"answer", "months"}).Draw(rt, "purpose")
		r := h.add("a@example.dk", purpose)
		due := r.Due
		if purpose == "answer" && rapid.Bool().Draw(rt, "closed") {
			h.at = h.at.Add(time.Duration(rapid.IntRange(0, 100*24).Draw(rt, "open for, hours")) * time.Hour)
			err := h.DB.Do(h.t.Context(), func(ctx context.Context, tx *db.Tx) error {
				c, err := h.Subject.Trigger(ctx, tx, r.ID, "case.closed")
				due = c.Due
				return err
			})
			if err != nil {
				rt.Fatal(err)
			}
		}
		for range rapid.IntRange(1, 5).Draw(rt, "sweeps") {
			h.at = h.at.Add(time.Duration(rapid.IntRange(0, 60*24).Draw(rt, "hours")) * time.Hour)
			h.sweep()
			if h.there(r) != h.at.Before(due) {
				rt.Fatalf("due %v, at %v it is there: %v", due, h.at, h.there(r))
			}
		}
		h.at = h.at.AddDate(1, 0, 0)
		h.sweep()
	})
}

func TestPage(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		mux := http.NewServeMux()
		for _, r := range h.StaffRoutes() {
			mux.Handle(r.Pattern, web.Wrap(h.Log, r.Handler))
		}
		do := func(method, path string, form url.Values) *httptest.ResponseRecorder {
			ctx := web.WithViewer(t.Context(), web.Viewer{User: "u1", Staff: true})
			req := httptest.NewRequestWithContext(ctx, method, path, strings.NewReader(form.Encode()))
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			w := httptest.NewRecorder()
			mux.ServeHTTP(w, req)
			return w
		}
		paper, months := h.add("a@example.dk", "paper"), h.add("b@example.dk", "months")
		hold := url.Values{"scope": {"record"}, "target": {months.ID}, "reason": {"dispute"}, "review": {"2027-12-01"}}
		if w := do("POST", "/retention/holds", hold); w.Code != http.StatusSeeOther {
			t.Fatalf("hold: %d %s", w.Code, w.Body)
		}
		for name, value := range map[string]string{"scope": "everything", "review": "soon", "reason": ""} {
			bad := url.Values{"scope": hold["scope"], "target": hold["target"], "reason": hold["reason"], "review": hold["review"]}
			bad.Set(name, value)
			if w := do("POST", "/retention/holds", bad); w.Code/100 != 4 {
				t.Errorf("hold with %s %q: %d", name, value, w.Code)
			}
		}
		if w := do("POST", "/retention/tasks/"+paper.ID+"/done", nil); w.Code != http.StatusConflict {
			t.Errorf("not due: %d", w.Code)
		}
		h.at = h.at.AddDate(0, 3, 0)
		h.sweep()
		for _, lang := range []string{"da", "en"} {
			w := do("GET", "/retention?lang="+lang, nil)
			doc, err := goquery.NewDocumentFromReader(w.Body)
			if err != nil || w.Code != http.StatusOK || strings.Contains(doc.Text(), "⟦") {
				t.Fatalf("%s: %d, %v", lang, w.Code, err)
			}
			if doc.Find("form[action$='/release']").Length() != 1 || doc.Find("form[action$='/done']").Length() != 1 {
				t.Errorf("%s: hold or task is not shown", lang)
			}
		}
		if w := do("POST", "/retention/tasks/"+paper.ID+"/done", nil); w.Code != http.StatusSeeOther || h.there(paper) {
			t.Errorf("done: %d", w.Code)
		}
	})
}

// A hold whose day has come is an alarm until somebody looked at it again, and says why it
// is still needed and until when, or releases it. It keeps what it keeps all the while.
//
// Rows: E2.
func TestHoldIsReviewed(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		months := h.add("a@example.dk", "months")
		id, err := h.Erase.Hold(t.Context(), erase.Hold{Scope: erase.OfRecord, Target: months.ID, Reason: "dispute", Owner: "u1", Review: h.at.AddDate(0, 6, 0)})
		if err != nil {
			t.Fatal(err)
		}
		alarmed := func() bool {
			t.Helper()
			h.sweep()
			says, err := h.Health(t.Context())
			if err != nil || !h.there(months) {
				t.Fatal("the hold kept nothing", err)
			}
			return slices.ContainsFunc(says, func(f *fault.Error) bool { return f.ID == "retain.review" })
		}
		if alarmed() {
			t.Error("an alarm before the day")
		}
		h.at = h.at.AddDate(0, 6, 1)
		if !alarmed() {
			t.Error("no alarm when the day has passed")
		}
		mux := http.NewServeMux()
		for _, r := range h.StaffRoutes() {
			mux.Handle(r.Pattern, web.Wrap(h.Log, r.Handler))
		}
		review := func(id, reason, day string) int {
			form := url.Values{"reason": {reason}, "review": {day}}
			req := httptest.NewRequestWithContext(web.WithViewer(t.Context(), web.Viewer{User: "u2", Staff: true}), "POST", "/retention/holds/"+id+"/review", strings.NewReader(form.Encode()))
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			w := httptest.NewRecorder()
			mux.ServeHTTP(w, req)
			return w.Code
		}
		for _, bad := range [][2]string{{id, "2020-01-01"}, {id, ""}, {"nothing", "2099-01-01"}} {
			if code := review(bad[0], "still", bad[1]); code/100 != 4 {
				t.Errorf("%q: %d", bad, code)
			}
		}
		if !alarmed() {
			t.Error("what was refused ended the alarm")
		}
		if code := review(id, "the court has not decided", h.at.AddDate(0, 3, 0).Format(time.DateOnly)); code != http.StatusSeeOther {
			t.Fatalf("review: %d", code)
		}
		if holds, err := h.Erase.Holds(t.Context(), h.DB); err != nil || len(holds) != 1 || holds[0].Owner != "u2" || holds[0].Reason != "the court has not decided" {
			t.Errorf("%+v %v", holds, err)
		}
		if alarmed() {
			t.Error("an alarm after somebody looked")
		}
		if err := h.Erase.Release(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		if code := review(id, "again", "2099-01-01"); code != http.StatusNotFound {
			t.Errorf("a hold that was released: %d", code)
		}
		h.sweep()
		if h.there(months) {
			t.Error("what waited for the hold is still there")
		}
	})
}

func TestTemplates(t *testing.T) {
	if err := templatecheck.CheckHTML(pages.Template("retention", web.Backoffice), retentionPage{}); err != nil {
		t.Error(err)
	}
}
