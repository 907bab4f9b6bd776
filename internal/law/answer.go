package law

import "time"

// Clock is what the time for answering one request depends on (GDPR Art. 12(3)
// and (6)): when it came, by whatever channel, and what happened since. Moments
// only; the calendar is that of the controller.
type Clock struct {
	Received time.Time
	Pauses   []Pause   // in order; they do not overlap
	Told     time.Time // when the person was told of an extension, with its reason; zero: never
}

// Pause is the time in which the person was asked to prove who they are, after a
// doubt about it had been written down.
type Pause struct {
	Asked     time.Time
	Satisfied time.Time // zero while the answer has not come
}

// Deadline is what a Clock says at a moment.
type Deadline struct {
	Due      time.Time // last second in which the answer is in time
	Target   time.Time // last second of the day a week before: what the house aims at
	First    time.Time // Due without the extension: until then it can be told, and a refusal must be
	Extended bool
	Paused   bool
}

// target is how many days before the last day a house aims to answer.
const target = 7

// Answer returns the deadline that a clock gives at now. An extension counts only if
// it was told before the first deadline; it gives two months more, counted from
// the receipt (three in all). Whole days in which proof of identity was
// awaited are added to both, for what counts is the time that the controller had.
func (l *Law) Answer(c Clock, now time.Time, loc *time.Location) Deadline {
	days, paused := c.paused(now, loc)
	d := Deadline{First: l.period(1, c.Received, days, loc), Paused: paused}
	d.Due = d.First
	if !c.Told.IsZero() && !c.Told.After(d.First) && !c.Told.Before(c.Received) {
		d.Extended, d.Due = true, l.period(3, c.Received, days, loc)
	}
	d.Target = d.Due.AddDate(0, 0, -target)
	return d
}

// paused returns the whole days of the calendar that the pauses took until now.
func (c Clock) paused(now time.Time, loc *time.Location) (days int, open bool) {
	for _, p := range c.Pauses {
		until := p.Satisfied
		if until.IsZero() {
			until, open = now, true
		}
		from := day(p.Asked.In(loc))
		if p.Asked.Before(c.Received) {
			from = day(c.Received.In(loc))
		}
		if n := int(day(until.In(loc)).Sub(from) / (24 * time.Hour)); n > 0 {
			days += n
		}
	}
	return days, open
}
