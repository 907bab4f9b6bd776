package app

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tillid/tillid/internal/staff"
	"github.com/tillid/tillid/internal/text"
)

// What people asked for and was not answered in time is a broken promise, as is a
// breach that nobody notified; what is to be answered within a week is due.
func TestOverviewCountsDeadlines(t *testing.T) {
	onEngines(t, "alfa", func(t *testing.T, dir string) {
		now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
		s := stand(t, dir, Limits{}, func(o *Options) { o.Now = func() time.Time { return now } })
		session := s.signIn()
		enters := func(path string, form url.Values) {
			t.Helper()
			if a := s.do(office, path, form, "Cookie", session); a.StatusCode != http.StatusSeeOther {
				t.Fatalf("%s: %d\n%s", path, a.StatusCode, a.body)
			}
		}
		asks := func(day string) {
			t.Helper()
			enters("/requests/new", url.Values{
				"kind": {"access"}, "channel": {"letter"}, "at": {day + "T08:00"}, "lang": {"da"}, "subject": {"personal_data"},
				"name": {"Gerda Prøvegaard"}, "contact": {"gerda@example.com"}, "words": {"Hvad har I om mig?"},
			})
		}
		asks("2026-01-29") // a month later is a Saturday and not on the 29th: until Monday 2 March
		asks("2026-02-27")
		enters("/breaches", url.Values{"aware": {"2026-03-01T09:00"}, "what": {"En bærbar blev glemt."}})
		sees := func(what string, f func(staff.Overview) staff.Figure, want ...string) {
			t.Helper()
			seen, err := s.overview(t.Context(), text.EN)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, line := range f(seen).Lines {
				got = append(got, line.Label)
			}
			for _, w := range want {
				if !slices.Contains(got, w) {
					t.Errorf("%s on %s: %q, want %q", what, now, got, w)
				}
			}
			if len(want) == 0 && len(got) > 0 {
				t.Errorf("%s on %s: %q", what, now, got)
			}
		}
		due := func(o staff.Overview) staff.Figure { return o.Due }
		broken := func(o staff.Overview) staff.Figure { return o.Broken }
		sees("due", due, "request is to be answered within a week")
		sees("broken", broken)
		if seen, err := s.overview(t.Context(), text.EN); err != nil || !slices.ContainsFunc(seen.Alarms, func(a staff.Alarm) bool {
			return strings.Contains(a.What, "notify by 4 Mar 2026, 09:00") && strings.HasPrefix(a.Path, "/breaches/")
		}) {
			t.Errorf("the breach is no alarm: %+v %v", seen.Alarms, err)
		}
		now = now.AddDate(0, 0, 3)
		sees("broken", broken, "request was not answered in time", "breach was not notified within 72 hours")
		now = now.AddDate(0, 2, 0)
		sees("broken", broken, "requests were not answered in time")
	})
}
