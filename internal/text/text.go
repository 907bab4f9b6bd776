// Package text holds the languages of everything that people read: the
// catalogues (one pair of files per feature under locale/), dates, periods.
package text

import (
	"maps"
	"slices"
	"time"
)

// Lang is a language by its BCP 47 primary tag.
type Lang string

// The languages that every text of the program exists in.
const (
	DA Lang = "da"
	EN Lang = "en"
)

// Langs returns the program's languages, Danish first.
func Langs() []Lang { return []Lang{DA, EN} }

// Text is the same sentence in several languages, as declarations carry it.
type Text map[Lang]string

// In returns the text in l, else in English, else in Danish, else in the first language it has, else "".
func (t Text) In(l Lang) string {
	for _, c := range []Lang{l, EN, DA} {
		if s := t[c]; s != "" {
			return s
		}
	}
	for _, l := range slices.Sorted(maps.Keys(t)) {
		if t[l] != "" {
			return t[l]
		}
	}
	return ""
}

// T returns the catalogue's text id in l, with named values: T(l, "intake.received", "Number", n).
// The value of "Count" selects the plural form. An unknown id is a mistake of the
// program: the text is then "⟦id⟧", and a test looks for ids that no catalogue has.
func T(l Lang, id string, kv ...any) string { panic("helper CORE writes this") }

// Match picks the best of offered for an Accept-Language header; the first when none fits.
func Match(acceptLanguage string, offered []Lang) Lang { panic("helper CORE writes this") }

// Date returns a day as people read it: "22. nov. 2026", "22 Nov 2026".
func Date(l Lang, t time.Time) string { panic("helper CORE writes this") }

// Moment returns day and time: "22. nov. 2026 kl. 14.05", "22 Nov 2026, 14:05".
func Moment(l Lang, t time.Time) string { panic("helper CORE writes this") }

// Period returns a calendar period in words: "3 måneder", "3 months"; all zero is "straks", "at once".
func Period(l Lang, years, months, weeks, days, hours, minutes int) string {
	panic("helper CORE writes this")
}

// List joins words: "a, b og c", "a, b and c".
func List(l Lang, words []string) string { panic("helper CORE writes this") }
