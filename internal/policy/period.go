package policy

import "time"

// Date is a calendar day. The zero Date means that none was given.
type Date struct{ Year, Month, Day int }

// Duration is an ISO 8601 period in calendar terms. Years and months are kept
// apart from days, because a month has no fixed length.
type Duration struct {
	Set                                                 bool // false: none was given
	Years, Months, Weeks, Days, Hours, Minutes, Seconds int
}

// ParseDate reads YYYY-MM-DD.
func ParseDate(s string) (Date, error) { panic("helper POLICY writes this") }

// ParseDuration reads an ISO 8601 duration such as P3M, P1Y6M or PT24H.
func ParseDuration(s string) (Duration, error) { panic("helper POLICY writes this") }

// After returns the moment d after t, counted in the calendar of loc and
// clamped to the last day of the month (31 Jan + P1M = 28 or 29 Feb).
func (d Duration) After(t time.Time, loc *time.Location) time.Time {
	panic("helper POLICY writes this")
}

// String returns the ISO 8601 form.
func (d Duration) String() string { panic("helper POLICY writes this") }

// Approx returns about how long d is, for comparing periods with each other.
func (d Duration) Approx() time.Duration { panic("helper POLICY writes this") }
