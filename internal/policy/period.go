package policy

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Date is a calendar day. The zero Date means that none was given.
type Date struct{ Year, Month, Day int }

// ParseDate reads YYYY-MM-DD.
func ParseDate(s string) (Date, error) {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return Date{}, fmt.Errorf("%q is not a date; write YYYY-MM-DD", s)
	}
	return DateOf(t), nil
}

// DateOf returns the calendar day of t in t's own location.
func DateOf(t time.Time) Date { return Date{t.Year(), int(t.Month()), t.Day()} }

// IsZero reports whether no date was given.
func (d Date) IsZero() bool { return d == Date{} }

// String returns YYYY-MM-DD, or "" when no date was given.
func (d Date) String() string {
	if d.IsZero() {
		return ""
	}
	return fmt.Sprintf("%04d-%02d-%02d", d.Year, d.Month, d.Day)
}

// In returns the first moment of the day in loc.
func (d Date) In(loc *time.Location) time.Time {
	return time.Date(d.Year, time.Month(d.Month), d.Day, 0, 0, 0, 0, loc)
}

// Before reports whether d is an earlier day than o.
func (d Date) Before(o Date) bool { return d.In(time.UTC).Before(o.In(time.UTC)) }

// MarshalText and UnmarshalText are the form of the file.
func (d Date) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

func (d *Date) UnmarshalText(b []byte) (err error) {
	if len(b) == 0 {
		*d = Date{}
		return nil
	}
	*d, err = ParseDate(string(b))
	return err
}

// Duration is an ISO 8601 period in calendar terms. Years and months are kept
// apart from days, because a month has no fixed length.
type Duration struct {
	Set                                                 bool // false: none was given
	Years, Months, Weeks, Days, Hours, Minutes, Seconds int
}

var isoDuration = regexp.MustCompile(`^P(?:(\d{1,4})Y)?(?:(\d{1,4})M)?(?:(\d{1,4})W)?(?:(\d{1,5})D)?(?:T(?:(\d{1,5})H)?(?:(\d{1,5})M)?(?:(\d{1,6})S)?)?$`)

// longest bounds a period, in days, so that every due date can be stored.
const longest = 36525

// ParseDuration reads an ISO 8601 duration such as P3M, P1Y6M or PT24H.
func ParseDuration(s string) (Duration, error) {
	m := isoDuration.FindStringSubmatch(s)
	if m == nil || strings.HasSuffix(s, "T") || s == "P" {
		return Duration{}, fmt.Errorf("%q is not an ISO 8601 period; write for example P3M (three months), P14D or PT24H", s)
	}
	d := Duration{Set: true}
	for i, into := range []*int{&d.Years, &d.Months, &d.Weeks, &d.Days, &d.Hours, &d.Minutes, &d.Seconds} {
		if m[i+1] != "" {
			*into, _ = strconv.Atoi(m[i+1]) // digits only, and few: cannot fail
		}
	}
	if days := (d.Years*12+d.Months)*36525/1200 + 7*d.Weeks + d.Days + d.Hours/24 + d.Minutes/1440 + d.Seconds/86400; days > longest {
		return Duration{}, fmt.Errorf("%q is more than a hundred years", s)
	}
	return d, nil
}

// After returns the moment d after t, counted in the calendar of loc and
// clamped to the last day of the month (31 Jan + P1M = 28 or 29 Feb).
func (d Duration) After(t time.Time, loc *time.Location) time.Time {
	l := t.In(loc)
	months := int(l.Month()) - 1 + d.Months + 12*d.Years
	year, month := l.Year()+months/12, time.Month(months%12+1)
	day := min(l.Day(), lastDay(year, month))
	moved := time.Date(year, month, day+d.Days+7*d.Weeks, l.Hour(), l.Minute(), l.Second(), l.Nanosecond(), loc)
	return moved.Add(time.Duration(d.Hours)*time.Hour + time.Duration(d.Minutes)*time.Minute + time.Duration(d.Seconds)*time.Second)
}

func lastDay(year int, month time.Month) int {
	return time.Date(year, month+1, 0, 0, 0, 0, 0, time.UTC).Day()
}

// IsZero reports whether d was given and is nothing: at once.
func (d Duration) IsZero() bool { return d.Set && d == Duration{Set: true} }

// String returns the ISO 8601 form, or "" when none was given.
func (d Duration) String() string {
	if !d.Set {
		return ""
	}
	part := func(n int, unit string) string {
		if n == 0 {
			return ""
		}
		return strconv.Itoa(n) + unit
	}
	date := part(d.Years, "Y") + part(d.Months, "M") + part(d.Weeks, "W") + part(d.Days, "D")
	clock := part(d.Hours, "H") + part(d.Minutes, "M") + part(d.Seconds, "S")
	switch {
	case clock != "":
		return "P" + date + "T" + clock
	case date == "":
		return "P0D"
	}
	return "P" + date
}

// MarshalText and UnmarshalText are the form of the file.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

func (d *Duration) UnmarshalText(b []byte) (err error) {
	if len(b) == 0 {
		*d = Duration{}
		return nil
	}
	*d, err = ParseDuration(string(b))
	return err
}

// Approx returns about how long d is, for comparing periods with each other:
// a month counts as 365.25/12 days.
func (d Duration) Approx() time.Duration {
	const day = 24 * time.Hour
	months := time.Duration(d.Years*12 + d.Months)
	return months*(36525*day/1200) + time.Duration(d.Weeks*7+d.Days)*day +
		time.Duration(d.Hours)*time.Hour + time.Duration(d.Minutes)*time.Minute + time.Duration(d.Seconds)*time.Second
}
