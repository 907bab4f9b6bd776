package law

import (
	"time"

	"github.com/tillid/tillid/internal/text"
)

// Holiday is a public holiday: a fixed day of the year, or a number of days
// from Easter Sunday.
type Holiday struct {
	Fact
	Name    text.Text
	movable bool
	easter  int // days after Easter Sunday, negative before
	month   time.Month
	day     int
}

// In returns the holiday's day of year, and whether it was kept in that year.
func (h Holiday) In(year int) (time.Time, bool) {
	d := time.Date(year, h.month, h.day, 0, 0, 0, 0, time.UTC)
	if h.movable {
		d = easter(year).AddDate(0, 0, h.easter)
	}
	return d, h.Holds(d)
}

// Holiday returns the public holiday that the calendar day of t is.
func (l *Law) Holiday(t time.Time) (Holiday, bool) {
	want := day(t)
	for _, p := range l.packs {
		for _, h := range p.Holidays {
			if d, ok := h.In(want.Year()); ok && d.Equal(want) {
				return h, true
			}
		}
	}
	return Holiday{}, false
}

// WorkingDay reports whether the calendar day of t is neither Saturday, Sunday nor a public holiday.
func (l *Law) WorkingDay(t time.Time) bool {
	if w := t.Weekday(); w == time.Saturday || w == time.Sunday {
		return false
	}
	_, off := l.Holiday(t)
	return !off
}

// Due returns the last second in which a request received then may be answered
// (GDPR Art. 12(3); Regulation 1182/71 Art. 3): one calendar month later in the
// calendar of loc, the last day of the month where that day does not exist, and
// the next working day where it falls on a day off.
func (l *Law) Due(received time.Time, loc *time.Location) time.Time {
	return l.DueIn(1, received, loc)
}

// Extended is Due with the two further months of Art. 12(3), counted from the
// original receipt. It holds only if the person was told, with reasons, before Due.
func (l *Law) Extended(received time.Time, loc *time.Location) time.Time {
	return l.DueIn(3, received, loc)
}

// DueIn returns the last second of a period of whole months from received, as Due counts it.
func (l *Law) DueIn(months int, received time.Time, loc *time.Location) time.Time {
	return l.period(months, received, 0, loc)
}

// period is DueIn with days in which the period did not run.
func (l *Law) period(months int, received time.Time, days int, loc *time.Location) time.Time {
	y, m, d := received.In(loc).Date()
	first := time.Date(y, m+time.Month(months), 1, 0, 0, 0, 0, time.UTC)
	last := first.AddDate(0, 1, -1).Day()
	due := first.AddDate(0, 0, min(d, last)-1+days)
	for !l.WorkingDay(due) {
		due = due.AddDate(0, 0, 1)
	}
	return time.Date(due.Year(), due.Month(), due.Day(), 23, 59, 59, 0, loc)
}

// easter returns Easter Sunday of a year in the Gregorian calendar (the anonymous
// algorithm of Meeus, Jones and Butcher).
func easter(year int) time.Time {
	a, b, c := year%19, year/100, year%100
	d, e := b/4, b%4
	f := (b + 8) / 25
	g := (b - f + 1) / 3
	h := (19*a + b - d - g + 15) % 30
	i, k := c/4, c%4
	l := (32 + 2*e + 2*i - h - k) % 7
	m := (a + 11*h + 22*l) / 451
	n := h + l - 7*m + 114
	return time.Date(year, time.Month(n/31), n%31+1, 0, 0, 0, 0, time.UTC)
}
