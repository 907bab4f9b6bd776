package law_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tillid/tillid/internal/law"
)

func copenhagen(t interface{ Fatal(...any) }) *time.Location {
	loc, err := time.LoadLocation("Europe/Copenhagen")
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

// The golden table of reference/erasure.md, property 10.
//
// Rows: E12.
func TestAnswer(t *testing.T) {
	l, loc := load(t), copenhagen(t)
	at := func(s string) time.Time {
		if s == "" {
			return time.Time{}
		}
		d, err := time.ParseInLocation("2006-01-02 15:04", s, loc)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	for _, c := range []struct {
		why, received, asked, satisfied, told, now string
		due                                        string
		extended, paused                           bool
	}{
		{why: "31 January, a plain year; 28 February 2027 is a Sunday", received: "2027-01-31 10:00", due: "2027-03-01"},
		{why: "31 January, a leap year", received: "2028-01-31 10:00", due: "2028-02-29"},
		{why: "31 August", received: "2026-08-31 10:00", due: "2026-09-30"},
		{why: "a Saturday", received: "2026-07-15 10:00", due: "2026-08-17"},
		{why: "a Sunday", received: "2026-09-11 10:00", due: "2026-10-12"}, // 11 October
		{why: "Maundy Thursday to Easter Monday", received: "2026-03-02 10:00", due: "2026-04-07"},
		{why: "Ascension Day, a Thursday", received: "2026-04-14 10:00", due: "2026-05-15"},
		{why: "25 and 26 December, and the Sunday after", received: "2026-11-25 10:00", due: "2026-12-28"},
		{why: "received in summer time, due in winter time: still the end of the day", received: "2026-10-05 00:30", due: "2026-11-05"},
		{why: "the hour that comes twice", received: "2026-10-25 02:30", due: "2026-11-25"},
		{why: "the day when an hour is missing", received: "2026-02-28 23:59", due: "2026-03-30"}, // 28 March is a Saturday
		{why: "extended: three months from the receipt", received: "2026-08-31 10:00", told: "2026-09-15 10:00", due: "2026-11-30", extended: true},
		{why: "extended in the last second", received: "2026-08-31 10:00", told: "2026-09-30 23:59", due: "2026-11-30", extended: true},
		{why: "told too late: not extended", received: "2026-08-31 10:00", told: "2026-10-01 00:00", due: "2026-09-30"},
		{why: "told before it came: not extended", received: "2026-08-31 10:00", told: "2026-08-30 10:00", due: "2026-09-30"},
		{why: "five days' pause", received: "2026-09-01 10:00", asked: "2026-09-03 10:00", satisfied: "2026-09-08 09:00", due: "2026-10-06"},
		{why: "a pause within one day gives nothing", received: "2026-09-01 10:00", asked: "2026-09-03 08:00", satisfied: "2026-09-03 23:00", due: "2026-10-01"},
		{why: "a pause that lasts", received: "2026-09-01 10:00", asked: "2026-09-03 10:00", now: "2026-09-10 10:00", due: "2026-10-08", paused: true},
		{why: "a pause over the end of summer time", received: "2026-10-20 10:00", asked: "2026-10-24 10:00", satisfied: "2026-10-26 10:00", due: "2026-11-23"}, // 22 November is a Sunday
		{why: "a pause, then extended in time because of it", received: "2026-08-31 10:00", asked: "2026-09-01 10:00", satisfied: "2026-09-11 10:00", told: "2026-10-09 10:00", due: "2026-12-10", extended: true},
	} {
		clock := law.Clock{Received: at(c.received), Told: at(c.told)}
		if c.asked != "" {
			clock.Pauses = []law.Pause{{Asked: at(c.asked), Satisfied: at(c.satisfied)}}
		}
		now := at(c.now)
		if c.now == "" {
			now = at(c.received).AddDate(0, 2, 0)
		}
		d := l.Answer(clock, now, loc)
		if d.Due.Format("2006-01-02 15:04:05") != c.due+" 23:59:59" || d.Extended != c.extended || d.Paused != c.paused {
			t.Errorf("%s: %s (extended %v, paused %v), want %s", c.why, d.Due, d.Extended, d.Paused, c.due)
		}
		if d.Target.After(d.Due) || d.Due.Sub(d.Target) < 6*24*time.Hour {
			t.Errorf("%s: target %s", c.why, d.Target)
		}
	}
}

// Whatever happens: due is a working day; received later is never due earlier; a
// pause never makes it earlier; an extension never gives more than three months
// (and the days off that follow) of the controller's own time.
func TestAnswerProperties(t *testing.T) {
	l, err := law.Load([]string{"eu-gdpr@2026.2", "dk@2026.2"})
	if err != nil {
		t.Fatal(err)
	}
	loc := copenhagen(t)
	rapid.Check(t, func(t *rapid.T) {
		received := time.Unix(rapid.Int64Range(1_700_000_000, 2_300_000_000).Draw(t, "received"), 0)
		hours := func(max int, name string) time.Duration {
			return time.Duration(rapid.IntRange(0, max).Draw(t, name)) * time.Hour
		}
		c, at, longest := law.Clock{Received: received}, received, 0
		for range rapid.IntRange(0, 3).Draw(t, "pauses") {
			p := law.Pause{Asked: at.Add(hours(300, "after"))}
			p.Satisfied = p.Asked.Add(hours(800, "for"))
			at, longest = p.Satisfied, longest+int(p.Satisfied.Sub(p.Asked)/(24*time.Hour))+1
			c.Pauses = append(c.Pauses, p)
		}
		now := at.Add(hours(3000, "now"))
		plain := l.Answer(law.Clock{Received: received}, now, loc)
		if rapid.Bool().Draw(t, "extend") {
			c.Told = received.Add(hours(1500, "told"))
		}
		d := l.Answer(c, now, loc)
		if !l.WorkingDay(d.Due) || d.Due.Before(plain.Due) {
			t.Fatalf("due %s, without pauses %s", d.Due, plain.Due)
		}
		if d.Extended == (c.Told.IsZero() || c.Told.After(d.First)) {
			t.Fatalf("extended %v, told %s, first %s", d.Extended, c.Told, d.First)
		}
		if last := l.Extended(received, loc).AddDate(0, 0, longest+6); d.Due.After(last) {
			t.Fatalf("due %s, three months and the pauses end %s", d.Due, last)
		}
		later := law.Clock{Received: received.Add(hours(100, "later"))}
		if l.Answer(later, now, loc).Due.Before(plain.Due) {
			t.Fatal("received later, due earlier")
		}
		if slices.Contains([]bool{d.Paused, plain.Paused}, true) {
			t.Fatal("every pause has ended")
		}
	})
}
