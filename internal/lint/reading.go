package lint

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/text"
)

// placed is a text of the declaration with its path.
type placed struct {
	path string
	text text.Text
}

// texts returns every text that the declaration would publish: all but the
// claims, which are quotations, and the suppressions.
func (c *Context) texts() []placed {
	if c.placed == nil {
		gather(reflect.ValueOf(c.Declaration), "", &c.placed)
	}
	return c.placed
}

func gather(v reflect.Value, path string, out *[]placed) {
	if t, ok := v.Interface().(text.Text); ok {
		if len(t) > 0 {
			*out = append(*out, placed{path, t})
		}
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			gather(v.Elem(), path, out)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			key := strings.Split(v.Type().Field(i).Tag.Get("yaml"), ",")[0]
			if key != "" && key != "claims" && key != "suppress" {
				gather(v.Field(i), join(path, key), out)
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			gather(v.Index(i), entry(v.Index(i), path, i), out)
		}
	default: // no text in it
	}
}

// entry is the path of a slice's entry: by its own key where it has one.
func entry(v reflect.Value, path string, i int) string {
	if v.Kind() == reflect.Struct {
		for j := range v.NumField() {
			if v.Type().Field(j).Tag.Get("yaml") == ",key" {
				return join(path, v.Field(j).String())
			}
		}
	}
	return item(path, i)
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func translationMissing(c *Context, f *found) {
	for _, p := range c.texts() {
		for _, l := range c.Languages {
			if strings.TrimSpace(p.text[l]) == "" {
				f.at(p.path, "language", string(l))
			}
		}
	}
}

// languageUnreviewed finds a language whose texts nobody who speaks it has read.
func languageUnreviewed(c *Context, f *found) {
	for _, l := range c.Languages {
		if !text.Reviewed(l) {
			f.at("languages", "language", text.Name(l), "missing", strconv.Itoa(text.Missing(l)))
		}
	}
}

// languagesDiffer compares what can be compared: the numbers and the companies
// that each language names.
func languagesDiffer(c *Context, f *found) {
	for _, p := range c.texts() {
		first := c.Languages[0]
		for _, l := range c.Languages[1:] {
			if p.text[first] == "" || p.text[l] == "" {
				continue
			}
			a, b := c.facts(first, p.text[first]), c.facts(l, p.text[l])
			if !slices.Equal(a, b) {
				f.at(p.path, "language", string(first), "other", string(l), "facts", orNothing(a), "others", orNothing(b))
			}
		}
	}
}

func orNothing(facts []string) any {
	if len(facts) == 0 {
		return both("ingenting", "nothing")
	}
	return facts
}

// facts returns the numbers in s, also those in letters from two to twelve, and
// the parties it names, sorted.
func (c *Context) facts(l text.Lang, s string) []string {
	var out []string
	for _, w := range strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		if i := slices.Index(c.words.Number[l], w); i >= 0 {
			out = append(out, fmt.Sprint(i+2))
		} else if strings.ContainsFunc(w, unicode.IsDigit) {
			out = append(out, strings.TrimFunc(w, unicode.IsLetter))
		}
	}
	small := strings.ToLower(s)
	for i, name := range c.partyNames {
		if name != "" && mentions(small, name) {
			out = append(out, shortName(c.Parties[i].LegalName))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Readability of Danish: LIX above lixLimit is hard for most readers. It says
// something only about texts of some length.
const (
	lixLimit = 45
	lixWords = 25
)

func hardToRead(c *Context, f *found) {
	for _, p := range c.texts() {
		if score, n := lix(p.text[text.DA]); n >= lixWords && score > lixLimit {
			f.at(p.path, "lix", fmt.Sprint(score), "limit", fmt.Sprint(lixLimit))
		}
	}
}

// lix returns the readability index of Björnsson (words per sentence plus the
// share of words longer than six letters, in per cent) and the number of words.
func lix(s string) (score, n int) {
	sentences, long := 0, 0
	for _, w := range strings.Fields(s) {
		letters := strings.TrimFunc(w, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
		if letters != "" {
			n++
			if utf8.RuneCountInString(letters) > 6 {
				long++
			}
		}
		if strings.ContainsAny(w[len(w)-1:], ".!?:") {
			sentences++
		}
	}
	if n == 0 {
		return 0, 0
	}
	return n/max(sentences, 1) + 100*long/n, n
}

// staleNames looks in the published texts and in the names of parties and services.
func staleNames(c *Context, f *found) {
	look := func(path, s string) {
		if old := c.words.stale(s); old != nil {
			f.at(path, "name", old.Name, "instead", old.Instead)
		}
	}
	for _, p := range c.texts() {
		var all []string // one finding, in however many languages it stands
		for _, l := range c.Languages {
			all = append(all, p.text[l])
		}
		look(p.path, strings.Join(all, "\n"))
	}
	for _, p := range c.Parties {
		look("parties."+p.ID, strings.Join(append([]string{p.LegalName}, p.TradingNames...), "\n"))
	}
	c.eachClaim("stale_name", func(path string, claim *policy.Claim) {
		for _, s := range claim.Says {
			if old := c.words.stale(s); old != nil {
				f.at(path, "name", old.Name, "instead", old.Instead)
				return
			}
		}
	})
}

// stale returns the dead name that s uses, or nil.
func (w *wordList) stale(s string) *staleName {
	s = strings.ToLower(s)
	for i := range w.Stale {
		n := &w.Stale[i]
		if mentions(s, strings.ToLower(n.Name)) && (n.Near == "" || strings.Contains(s, n.Near)) {
			return n
		}
	}
	return nil
}

func letterBefore(s string) bool {
	r, _ := utf8.DecodeLastRuneInString(s)
	return unicode.IsLetter(r) || unicode.IsDigit(r)
}

func letterAfter(s string) bool {
	r, _ := utf8.DecodeRuneInString(s)
	return unicode.IsLetter(r) || unicode.IsDigit(r)
}
