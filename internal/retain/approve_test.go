package retain

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"
	"pgregory.net/rapid"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/db/dbtest"
	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/ledger"
	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/subject"
	"github.com/tillid/tillid/internal/web"
)

// publish puts another declaration in force: the test's own with some words replaced.
func (h *house) publish(old, changed string) {
	h.t.Helper()
	src := strings.Replace(declaration, old, changed, 1)
	if src == declaration && old != changed {
		h.t.Fatalf("%q is not in the declaration", old)
	}
	plan, problems := policy.Parse("tillid.yaml", []byte(src), nil)
	if plan == nil {
		h.t.Fatalf("declaration: %+v", problems)
	}
	h.plan = plan
}

func (h *house) asked(want int) []Approval {
	h.t.Helper()
	list, err := h.Approvals(h.t.Context())
	if err != nil || len(list) != want {
		h.t.Fatalf("asked %+v, %v; want %d", list, err, want)
	}
	return list
}

func (h *house) decide(a Approval, yes bool) {
	h.t.Helper()
	if err := h.Decide(h.t.Context(), a.ID, yes, "u1"); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) says(id string) bool {
	h.t.Helper()
	says, err := h.Health(h.t.Context())
	if err != nil {
		h.t.Fatal(err)
	}
	for _, f := range says {
		if f.ID == id {
			return true
		}
	}
	return false
}

const months = "duration: P3M, action"

// A rule that was shortened takes nothing before a person has seen what it would
// take; a no leaves the records their dates, a yes lets them go with the next run.
// Rows: E2.
func TestShortenedRule(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.sweep() // the periods as they are
		old := h.add("a@example.dk", "months")
		h.at = h.at.AddDate(0, 2, 0)
		young := h.add("b@example.dk", "months")
		h.publish(months, "duration: P1M, action")
		h.sweep()
		a := h.asked(1)[0]
		if a.Kind != Shortened || a.Old != "received P3M" || a.New != "received P1M" || a.Records != 1 || a.Later != 1 {
			t.Errorf("asked %+v", a)
		}
		if !h.there(old) || !h.says("retain.waits") || h.says("retain.late") {
			t.Error("it went unasked, or health is wrong")
		}
		h.decide(a, false)
		h.sweep()
		if h.asked(0); !h.there(old) {
			t.Error("it went after a no")
		}
		h.publish(months, "duration: P2M, action") // asked, and taken back
		h.sweep()
		h.publish("", "")
		h.sweep()
		h.asked(0)
		h.publish(months, "duration: P1M, action") // a no is not for ever
		h.sweep()
		h.decide(h.asked(1)[0], false)
		h.publish(months, "duration: P2W, action")
		h.sweep()
		h.decide(h.asked(1)[0], true)
		if run := h.sweep(); run.Deleted != 1 || h.there(old) || !h.there(young) {
			t.Errorf("approved: %+v", run)
		}
		if err := h.Decide(t.Context(), a.ID, true, "u1"); fault.Of(err).Kind != fault.NotFound {
			t.Errorf("decided twice: %v", err)
		}
		h.at = h.at.AddDate(0, 0, 14)
		if h.sweep(); h.there(young) {
			t.Error("the young one did not get its earlier date")
		}
	})
}

// Records that yesterday's forecast did not contain go unasked below the cap, and
// wait above it; those that it contained go at once, however many. Rows: E2.
func TestUnforeseen(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ctx := t.Context()
		var all []subject.Record
		for i := range 30 {
			all = append(all, h.add(fmt.Sprintf("p%d@example.dk", i), "answer"))
		}
		h.sweep()
		closeAll := func(records []subject.Record) {
			err := h.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error {
				for _, r := range records {
					if _, err := h.Subject.Trigger(ctx, tx, r.ID, "case.closed"); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		closeAll(all[:5])
		if run := h.sweep(); run.Deleted != 5 {
			t.Fatalf("closed today: %+v", run)
		}
		closeAll(all[5:])
		if run := h.sweep(); run.Deleted != 0 || run.Held != 25 {
			t.Fatalf("25 of 25 at once: %+v", run)
		}
		a := h.asked(1)[0]
		if a.Kind != Unforeseen || a.Records != 25 || a.Rule != "answer_closed" {
			t.Errorf("asked %+v", a)
		}
		h.at = h.at.Add(10 * time.Minute)
		if h.sweep(); h.says("retain.late") || !h.says("retain.waits") {
			t.Error("health is wrong")
		}
		h.decide(h.asked(1)[0], false)
		h.at = h.at.Add(time.Hour)
		if h.sweep(); len(h.asked(0)) != 0 {
			t.Error("asked again at once")
		}
		h.at = h.at.Add(24 * time.Hour)
		if run := h.sweep(); run.Deleted != 25 {
			t.Errorf("a day later the forecast held them: %+v", run)
		}
	})
}

// Whatever the forecast held goes without a word, however many there are.
func TestForeseen(t *testing.T) {
	h := newHouse(t, dbtest.Lite(t))
	for i := range 40 {
		h.add(fmt.Sprintf("p%d@example.dk", i), "months")
	}
	h.at = time.Date(2027, 2, 27, 9, 0, 0, 0, time.UTC)
	h.sweep()
	h.at = time.Date(2027, 2, 28, 23, 0, 0, 0, time.UTC)
	if run := h.sweep(); run.Deleted != 40 {
		t.Errorf("run %+v", run)
	}
	h.asked(0)
}

// A clock that jumps is not believed when very much would go by it; few records go.
func TestClockJump(t *testing.T) {
	h := newHouse(t, dbtest.Lite(t))
	ctx := t.Context()
	for i := range 40 {
		h.add(fmt.Sprintf("p%d@example.dk", i), "months")
	}
	err := h.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error {
		_, err := h.Erase.Ledger.Append(ctx, tx, ledger.Leaf{Kind: "test"})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	h.sweep()
	before := h.at
	h.at = h.at.AddDate(10, 0, 0)
	if run := h.sweep(); run.Deleted != 0 {
		t.Fatalf("run %+v", run)
	}
	a := h.asked(1)[0]
	if a.Kind != Clock || a.Records != 40 {
		t.Errorf("asked %+v", a)
	}
	h.at = before.Add(time.Hour) // the clock is right again
	h.decide(a, false)
	if run := h.sweep(); run.Due != 0 {
		t.Errorf("run %+v", run)
	}
}

// Whatever declarations come and go, a record never stays longer than was promised
// when it was collected, nor than the one in force says, also when its event comes
// later; leap days and the hours of summer time too (erasure.md, properties 9, 25).
// Rows: E2.
func TestPromiseIsNeverLengthened(t *testing.T) {
	h := newHouse(t, dbtest.Lite(t))
	const closed = "duration: PT0S, at_latest: P6M"
	rapid.Check(t, func(rt *rapid.T) {
		draw := func(what string) (policy.Duration, string, policy.Duration) {
			after := rapid.SampledFrom([]string{"PT0S", "P1D", "P14D", "P1M"}).Draw(rt, what+" after")
			latest := rapid.SampledFrom([]string{"P1M", "P3M", "P6M", "P1Y"}).Draw(rt, what+" latest")
			d, err := policy.ParseDuration(after)
			if err != nil {
				rt.Fatal(err)
			}
			l, err := policy.ParseDuration(latest)
			if err != nil {
				rt.Fatal(err)
			}
			return d, "duration: " + after + ", at_latest: " + latest, l
		}
		day := rapid.SampledFrom([]string{"2027-01-31", "2028-02-29", "2027-03-28", "2027-10-31", "2026-12-31", "2027-06-15"}).Draw(rt, "day")
		at, err := time.ParseInLocation("2006-01-02 15:04", day+rapid.SampledFrom([]string{" 00:00", " 02:30", " 23:59"}).Draw(rt, "hour"), h.plan.Loc)
		if err != nil {
			rt.Fatal(err)
		}
		h.at = at.UTC()
		after, text, latest := draw("promised")
		h.publish(closed, text)
		r := h.add("a@example.dk", "answer")
		if want := latest.After(h.at, h.plan.Loc); !r.Due.Equal(want) {
			rt.Fatalf("due %v, want %v", r.Due, want)
		}
		bound := latest.After(h.at, h.plan.Loc)
		h.at = h.at.Add(time.Duration(rapid.IntRange(0, 20*24).Draw(rt, "open, hours")) * time.Hour)
		now, text, _ := draw("in force")
		h.publish(closed, text)
		err = h.DB.Do(t.Context(), func(ctx context.Context, tx *db.Tx) error {
			r, err = h.Subject.Trigger(ctx, tx, r.ID, "case.closed")
			return err
		})
		if err != nil {
			rt.Fatal(err)
		}
		for _, end := range []time.Time{bound, after.After(h.at, h.plan.Loc), now.After(h.at, h.plan.Loc)} {
			if r.Due.After(end) {
				rt.Fatalf("due %v, later than %v", r.Due, end)
			}
		}
		h.at = r.Due
		h.sweep()
		if h.there(r) {
			rt.Fatalf("still there at %v", h.at)
		}
	})
}

func TestApprovalPage(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.sweep()
		r := h.add("a@example.dk", "months")
		h.at = h.at.AddDate(0, 2, 0)
		h.publish(months, "duration: P1M, action")
		h.sweep()
		mux := http.NewServeMux()
		for _, route := range h.StaffRoutes() {
			mux.Handle(route.Pattern, web.Wrap(h.Log, route.Handler))
		}
		do := func(method, path string, form url.Values) *httptest.ResponseRecorder {
			req := httptest.NewRequestWithContext(web.WithViewer(t.Context(), web.Viewer{User: "u1", Staff: true}), method, path, strings.NewReader(form.Encode()))
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			w := httptest.NewRecorder()
			mux.ServeHTTP(w, req)
			return w
		}
		for _, lang := range []string{"da", "en"} {
			w := do("GET", "/retention?lang="+lang, nil)
			doc, err := goquery.NewDocumentFromReader(w.Body)
			if err != nil || w.Code != http.StatusOK || strings.Contains(doc.Text(), "⟦") || !strings.Contains(doc.Text(), "received P3M") {
				t.Fatalf("%s: %d, %v", lang, w.Code, err)
			}
			if n := doc.Find("form[action^='/retention/approvals/'] button").Length(); n != 2 {
				t.Errorf("%s: %d buttons", lang, n)
			}
		}
		path := "/retention/approvals/" + h.asked(1)[0].ID
		if w := do("POST", path, url.Values{"do": {"perhaps"}}); w.Code != http.StatusUnprocessableEntity && w.Code != http.StatusBadRequest {
			t.Errorf("perhaps: %d", w.Code)
		}
		if w := do("POST", path, url.Values{"do": {"approve"}}); w.Code != http.StatusSeeOther {
			t.Errorf("approve: %d %s", w.Code, w.Body)
		}
		if h.sweep(); h.there(r) {
			t.Error("it did not go")
		}
		if w := do("POST", path, url.Values{"do": {"approve"}}); w.Code != http.StatusNotFound {
			t.Errorf("twice: %d", w.Code)
		}
	})
}
