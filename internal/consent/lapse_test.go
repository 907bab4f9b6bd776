package consent

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tillid/tillid/internal/ledger"
	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/subject"
)

func (h *house) recordsOf(visitor subject.Secret) []subject.Record {
	h.t.Helper()
	person, ok, err := h.Subjects.Find(h.t.Context(), h.DB, subject.Visitor, visitor)
	if err != nil {
		h.t.Fatal(err)
	}
	if !ok {
		return nil
	}
	records, err := h.Subjects.Of(h.t.Context(), h.DB, person)
	if err != nil {
		h.t.Fatal(err)
	}
	return records
}

func (h *house) lapse() {
	h.t.Helper()
	if err := h.Lapse(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) leavesOf(kind string) []ledger.Entry {
	return slices.DeleteFunc(h.leaves(), func(e ledger.Entry) bool { return e.Kind != "consent."+kind })
}

// A yes that nobody takes back ends with a leaf of its own, once, and its dispute
// window begins. A no ends without one. Rows: A1, E10.
func TestLapse(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		v := h.visitor()
		v.send(`{"do":"all","layer":"banner","lang":"da"}`)
		h.visitor().send(`{"do":"none","layer":"banner","lang":"da"}`)
		visitor, given := v.state().Visitor, h.leavesOf(given)[0]
		end := h.offer().until(given.At)
		if until := given.Facts["until.show_video"]; until != end.UTC().Format(time.RFC3339) {
			t.Errorf("the leaf says until %q, want %s", until, end)
		}

		h.later(end.Sub(h.Now()) - time.Second)
		h.lapse()
		if len(h.leavesOf(lapses)) != 0 {
			t.Fatal("a choice ended too early")
		}
		h.later(time.Second)
		for range 2 { // twice is as good as once
			h.lapse()
		}
		lapsed := h.leavesOf(lapses)
		if len(lapsed) != 1 || lapsed[0].Facts["choice"] != given.ID || lapsed[0].Facts["lapsed"] != "measure_use,show_video,aim_marketing" || lapsed[0].Version != h.plan.Hash {
			t.Errorf("leaves %+v", lapsed)
		}
		records := h.recordsOf(visitor)
		if want := (policy.Duration{Set: true, Months: 6}).After(h.Now(), h.plan.Loc); len(records) != 1 || !records[0].Triggered.Equal(h.Now()) || !records[0].Due.Equal(want) {
			t.Errorf("records %+v, want one due %s", records, want)
		}
	})
}

// The record of a yes goes when the declared dispute window after its end has
// passed, also where the retention rule alone would keep it longer.
func TestDisputeWindow(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		quarter := parse(map[string]string{
			"refresh: P12M\n    proof_window: P6M\n  show_video":    "refresh: P12M\n    proof_window: P3M\n  show_video",
			"refresh: P12M\n    proof_window: P6M\n  aim_marketing": "refresh: P12M\n    proof_window: P1M\n  aim_marketing",
			"refresh: P12M\n    proof_window: P6M\n  manage_access": "refresh: P12M\n    proof_window: P1M\n  manage_access",
		})
		for _, c := range []struct {
			plan *policy.Plan
			keep policy.Duration
		}{{h.plan, policy.Duration{Months: 6}}, {quarter, policy.Duration{Months: 3}}} {
			h.publish(c.plan)
			v := h.visitor()
			v.send(`{"do":"all"}`)
			visitor := v.state().Visitor
			h.later(24 * time.Hour)
			v.send(`{"do":"some","services":["youtube"]}`)
			changedAt := h.Now()
			h.later(24 * time.Hour)
			v.send(`{"do":"none"}`)
			records := h.recordsOf(visitor)
			if len(records) != 3 {
				t.Fatalf("%d records", len(records))
			}
			for i, since := range []time.Time{changedAt, h.Now(), h.Now()} {
				if want := c.keep.After(since, h.plan.Loc); !records[i].Due.Equal(want) {
					t.Errorf("record %d goes %s, want %s", i, records[i].Due, want)
				}
			}
			leaf := h.leaves()[0]
			if leaf.Kind != "consent.withdrawn" || leaf.Facts["withdrawn"] != "show_video" {
				t.Errorf("leaf %+v", leaf)
			}
		}
	})
}

// Where one purpose asks again earlier, its yes ends with a leaf of its own, and the
// rest of the choice stays in force.
func TestPartialLapse(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.publish(parse(map[string]string{"refresh: P12M\n    proof_window: P6M\n  aim_marketing": "refresh: P1M\n    proof_window: P6M\n  aim_marketing"}))
		v := h.visitor()
		v.send(`{"do":"all","lang":"en"}`)
		visitor := v.state().Visitor
		h.later(32 * 24 * time.Hour)
		h.lapse()
		if l := h.leavesOf(lapses); len(l) != 1 || l[0].Facts["services"] != "youtube" || l[0].Facts["lapsed"] != "show_video" {
			t.Fatalf("leaves %+v", l)
		}
		if r := h.recordsOf(visitor); len(r) != 1 || !r[0].Triggered.IsZero() {
			t.Errorf("the clock of what is still in force has started: %+v", r)
		}
		if text := v.get(partiesPath + "?lang=en").Find("main").Text(); strings.Count(text, "Let in until") != 1 || !strings.Contains(text, "it ended by itself") {
			t.Error(text)
		}
		h.later(340 * 24 * time.Hour)
		h.lapse()
		h.lapse()
		if l := h.leavesOf(lapses); len(l) != 2 || l[0].Facts["services"] != "google_analytics,google_ads,meta_pixel,linkedin_insight" {
			t.Fatalf("leaves %+v", l)
		}
		if r := h.recordsOf(visitor); len(r) != 1 || r[0].Triggered.IsZero() {
			t.Errorf("the clock has not started: %+v", r)
		}
	})
}
