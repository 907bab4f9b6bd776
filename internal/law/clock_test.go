package law_test

import (
	"testing"
	"time"
	_ "time/tzdata"

	"pgregory.net/rapid"

	"github.com/tillid/tillid/internal/law"
)

// The days off of two years, as printed in Danish calendars.
func TestHolidays(t *testing.T) {
	l := load(t)
	want := map[int][]string{
		2023: {"2023-01-01", "2023-04-06", "2023-04-07", "2023-04-09", "2023-04-10", "2023-05-05", "2023-05-18", "2023-05-28", "2023-05-29", "2023-12-25", "2023-12-26"},
		2026: {"2026-01-01", "2026-04-02", "2026-04-03", "2026-04-05", "2026-04-06", "2026-05-14", "2026-05-24", "2026-05-25", "2026-12-25", "2026-12-26"},
	}
	for year, days := range want {
		var got []string
		for d := time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC); d.Year() == year; d = d.AddDate(0, 0, 1) {
			if _, ok := l.Holiday(d); ok {
				got = append(got, d.Format(time.DateOnly))
			}
		}
		if len(got) != len(days) {
			t.Fatalf("%d: %v", year, got)
		}
		for i := range got {
			if got[i] != days[i] {
				t.Errorf("%d: %s, want %s", year, got[i], days[i])
			}
		}
	}
}

// The table of the law sheet and its edges.
func TestDue(t *testing.T) {
	l := load(t)
	cph, err := time.LoadLocation("Europe/Copenhagen")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ received, due, why string }{
		{"2026-08-31T10:00:00Z", "2026-09-30", "end of month"},
		{"2026-07-15T10:00:00Z", "2026-08-17", "weekend"},
		{"2026-03-02T10:00:00Z", "2026-04-07", "Easter"},
		{"2026-01-31T10:00:00Z", "2026-03-02", "28 February is a Saturday"},
		{"2028-01-31T10:00:00Z", "2028-02-29", "leap year"},
		{"2026-11-23T10:00:00Z", "2026-12-23", "plain"},
		{"2026-11-24T10:00:00Z", "2026-12-24", "Christmas Eve counts as a working day: earlier, never later"},
		{"2026-11-25T10:00:00Z", "2026-12-28", "Christmas and a weekend"},
		{"2026-12-01T10:00:00Z", "2027-01-04", "new year and a weekend"},
		{"2023-04-05T10:00:00Z", "2023-05-08", "Store bededag, while it lasted"},
		{"2026-06-30T22:30:00Z", "2026-08-03", "already 1 July in Copenhagen; 1 August is a Saturday"},
	} {
		at, err := time.Parse(time.RFC3339, c.received)
		if err != nil {
			t.Fatal(err)
		}
		got := l.Due(at, cph)
		if got.Format("2006-01-02 15:04:05") != c.due+" 23:59:59" || got.Location() != cph {
			t.Errorf("%s: received %s, due %s, want %s", c.why, c.received, got, c.due)
		}
	}
	at := time.Date(2026, 8, 31, 10, 0, 0, 0, cph)
	if got := l.Extended(at, cph).Format(time.DateOnly); got != "2026-11-30" {
		t.Errorf("extended to %s", got)
	}
}

// However a request falls, its day is a working day, no earlier than four weeks and
// no later than a month and the longest row of days off, and later never means earlier.
func TestDueProperties(t *testing.T) {
	l, err := law.Load([]string{"dk@2026.2"})
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		at := time.Unix(rapid.Int64Range(1_500_000_000, 2_500_000_000).Draw(t, "received"), 0)
		due := l.Due(at, time.UTC)
		if !l.WorkingDay(due) {
			t.Fatalf("%s is a day off", due)
		}
		if days := due.Sub(at).Hours() / 24; days < 28 || days > 38 {
			t.Fatalf("%s is %v days after %s", due, days, at)
		}
		if l.Due(at.Add(time.Hour), time.UTC).Before(due) {
			t.Fatalf("received later, due earlier")
		}
	})
}
