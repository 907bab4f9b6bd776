// Package text holds the languages of everything that people read: the
// catalogues (one pair of files per feature under locale/), dates, periods.
package text

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/language"
	"golang.org/x/text/language/display"
)

// Lang is a language by its BCP 47 primary tag.
type Lang string

// The languages that every text of the program is written in.
const (
	DA Lang = "da"
	EN Lang = "en"
)

// Langs returns the program's languages: Danish, English, and those of further catalogues.
func Langs() []Lang { return slices.Clone(current().langs) }

// Written returns the languages in which the program itself says everything, in its
// rules and law packs too.
func Written() []Lang { return []Lang{DA, EN} }

// Dir returns the direction in which a language is written, as HTML names it: ltr
// or rtl.
func Dir(l Lang) string {
	script, _ := language.Make(string(l)).Script()
	switch script.String() {
	case "Adlm", "Arab", "Hebr", "Mand", "Nkoo", "Rohg", "Samr", "Syrc", "Thaa":
		return "rtl"
	}
	return "ltr"
}

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
// The value of "Count" selects the plural form. A language that the program
// does not speak gets English. An unknown id is a mistake of the program: the
// text is then "⟦id⟧", and a test looks for ids that no catalogue has.
func T(l Lang, id string, kv ...any) string {
	s, ok := find(l, id, pairs(kv))
	if !ok {
		return "⟦" + id + "⟧"
	}
	return s
}

// Has reports whether the catalogues have a text id.
func Has(id string) bool {
	_, ok := find(EN, id, nil)
	return ok
}

// maxHeader bounds what Match reads of a header.
const maxHeader = 512

// Match picks the best of offered for an Accept-Language header; the first when none fits.
func Match(acceptLanguage string, offered []Lang) Lang {
	if len(offered) == 0 {
		return Langs()[0]
	}
	if len(acceptLanguage) > maxHeader {
		acceptLanguage = acceptLanguage[:maxHeader]
	}
	first, _, _ := strings.Cut(acceptLanguage, ",")
	if primary, _, _ := strings.Cut(first, "-"); slices.Contains(offered, Lang(primary)) && !strings.Contains(first, ";") {
		return Lang(primary) // most browsers; the general way below costs 20 times as much
	}
	wanted, _, err := language.ParseAcceptLanguage(acceptLanguage)
	if err != nil || len(wanted) == 0 || len(offered) == 1 {
		return offered[0]
	}
	tags := make([]language.Tag, len(offered))
	for i, l := range offered {
		tags[i] = language.Make(string(l))
	}
	_, i, how := language.NewMatcher(tags).Match(wanted...)
	if how == language.No {
		return offered[0]
	}
	return offered[i]
}

// Date returns a day as people read it: "22. nov. 2026", "22 Nov 2026". It is
// the day in t's own location.
func Date(l Lang, t time.Time) string {
	month := T(l, "base.month."+strconv.Itoa(int(t.Month())))
	return T(l, "base.date", "Day", t.Day(), "Month", month, "Year", t.Year())
}

// Moment returns day and time in t's own location: "22. nov. 2026 kl. 14.05",
// "22 Nov 2026, 14:05".
func Moment(l Lang, t time.Time) string {
	return T(l, "base.moment", "Date", Date(l, t), "Hour", t.Format("15"), "Minute", t.Format("04"))
}

// Period returns a calendar period in words: "3 måneder", "3 months"; all zero is "straks", "at once".
func Period(l Lang, years, months, weeks, days, hours, minutes int) string {
	var parts []string
	for _, p := range []struct {
		unit string
		n    int
	}{{"year", years}, {"month", months}, {"week", weeks}, {"day", days}, {"hour", hours}, {"minute", minutes}} {
		if p.n != 0 {
			parts = append(parts, T(l, "base.period."+p.unit, "Count", p.n))
		}
	}
	if len(parts) == 0 {
		return T(l, "base.period.none")
	}
	return List(l, parts)
}

// List joins words: "a, b og c", "a, b and c".
func List(l Lang, words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return T(l, "base.list", "First", strings.Join(words[:last], ", "), "Last", words[last])
}

// Country returns the name of a country by its ISO 3166-1 code; the code itself
// when it names none.
func Country(l Lang, code string) string {
	region, err := language.ParseRegion(code)
	if err != nil {
		return code
	}
	if name := display.Regions(language.Make(string(l))).Name(region); name != "" {
		return name
	}
	return code
}

// Language returns the name of a language in l: "dansk" or "Danish".
func Language(l, of Lang) string {
	if name := display.Languages(language.Make(string(l))).Name(language.Make(string(of))); name != "" {
		return name
	}
	return string(of)
}

// Bytes returns a size as people read it: "340 KB", "1,2 MB" in Danish.
func Bytes(l Lang, n int64) string {
	if n < 1<<20 {
		return strconv.FormatInt(max(1, (n+1<<9)>>10), 10) + " KB"
	}
	s := strconv.FormatFloat(float64(n)/(1<<20), 'f', 1, 64)
	s = strings.TrimSuffix(s, ".0")
	if l == DA {
		s = strings.Replace(s, ".", ",", 1)
	}
	return s + " MB"
}
