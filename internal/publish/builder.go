package publish

import (
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/tillid/tillid/internal/law"
	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/text"
	"github.com/tillid/tillid/internal/version"
)

// builder writes one document. Every method that adds a sentence takes the path
// of the declaration that the sentence comes from.
type builder struct {
	plan    *policy.Plan
	version version.Version
	law     *law.Law
	lang    text.Lang
	doc     *Document
	ids     map[string]int
}

func newBuilder(plan *policy.Plan, v version.Version, l text.Lang, name string) *builder {
	packs, err := law.Load(plan.Law)
	if err != nil {
		packs = &law.Law{} // a Plan names only packs that exist; without one its facts are left out
	}
	return &builder{plan: plan, version: v, law: packs, lang: l, ids: map[string]int{}, doc: &Document{Name: name, Lang: l}}
}

// t is a sentence of the catalogue, "publish.<key>".
func (b *builder) t(path, key string, kv ...any) Sentence {
	return b.sentence(path, key, text.T(b.lang, "publish."+key, kv...))
}

// own is a text of the declaration.
func (b *builder) own(path, key string, t text.Text) Sentence {
	return b.sentence(path, key, t.In(b.lang))
}

func (b *builder) sentence(path, key, words string) Sentence {
	id := "s-" + slug(key) + "-" + slug(path)
	b.ids[id]++
	if n := b.ids[id]; n > 1 {
		id += "-" + strconv.Itoa(n)
	}
	return Sentence{ID: id, Path: path, Text: words}
}

// alone makes the next sentence begin on a new line.
func (s Sentence) alone() Sentence {
	s.Line = true
	return s
}

// end makes a sentence of a label or a clause: a capital first, a mark last.
func (s Sentence) end() Sentence {
	s.Text = end(s.Text)
	return s
}

func (s Sentence) to(href string) Sentence {
	s.Href = href
	return s
}

// slug makes a key or path fit for an id, a file name and an address.
func slug(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '_' || r == '-', '0' <= r && r <= '9', 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z':
			return r
		}
		return '-'
	}, s)
}

func (b *builder) section(id string, level int, heading Sentence) *Section {
	b.doc.Sections = append(b.doc.Sections, Section{ID: id, Level: level, Heading: heading})
	return &b.doc.Sections[len(b.doc.Sections)-1]
}

func (s *Section) para(sentences ...Sentence) { s.Blocks = append(s.Blocks, Block{Para: sentences}) }
func (s *Section) table(t Table)              { s.Blocks = append(s.Blocks, Block{Table: &t}) }

// facts adds the facts that have something to say.
func (s *Section) facts(facts ...Fact) {
	var said []Fact
	for _, f := range facts {
		if len(f.Lines) > 0 {
			said = append(said, f)
		}
	}
	if len(said) > 0 {
		s.Blocks = append(s.Blocks, Block{Facts: said})
	}
}

func (s *Section) list(items ...[]Sentence) {
	if len(items) > 0 {
		s.Blocks = append(s.Blocks, Block{List: &List{Items: items}})
	}
}

func (s *Section) steps(items ...[]Sentence) {
	s.Blocks = append(s.Blocks, Block{List: &List{Ordered: true, Items: items}})
}

// fact is a term of the catalogue with its lines.
func (b *builder) fact(path, term string, lines ...[]Sentence) Fact {
	return Fact{Term: b.t(path, "term."+term), Lines: lines}
}

// value is a fact whose one line is a value of the declaration; none if it is empty.
func (b *builder) value(path, term, value, href string) Fact {
	f := b.fact(path, term)
	if value != "" {
		f.Lines = [][]Sentence{{b.sentence(path, "value", value).to(href)}}
	}
	return f
}

func line(s ...Sentence) []Sentence { return s }

// period is a duration in words.
func (b *builder) period(d policy.Duration) string {
	return text.Period(b.lang, d.Years, d.Months, d.Weeks, d.Days, d.Hours, d.Minutes)
}

func (b *builder) day(d policy.Date) string {
	return text.Date(b.lang, time.Date(d.Year, time.Month(d.Month), d.Day, 12, 0, 0, 0, time.UTC))
}

func zero(d policy.Duration) bool { d.Set = false; return d == policy.Duration{} }

// inline joins labels as they stand in running text: "Navn, e-mail og
// IP-adresse"; labels that hold commas or "og" themselves are parted by semicolons.
func (b *builder) inline(labels []string) string {
	and := " " + text.T(b.lang, "publish.and") + " "
	words := make([]string, len(labels))
	for i, w := range labels {
		if i > 0 {
			w = lower(w)
		}
		words[i] = w
	}
	if slices.ContainsFunc(labels, func(w string) bool { return strings.Contains(w, ",") || strings.Contains(w, and) }) {
		return strings.Join(words, "; ")
	}
	return text.List(b.lang, words)
}

// lower makes the first letter small unless the word is an abbreviation.
func lower(s string) string {
	first, n := utf8.DecodeRuneInString(s)
	second, _ := utf8.DecodeRuneInString(s[n:])
	if unicode.IsUpper(second) || unicode.IsDigit(second) {
		return s
	}
	return string(unicode.ToLower(first)) + s[n:]
}

func (b *builder) dataLabels(ids []string) []string {
	var labels []string
	for _, id := range ids {
		if d := b.plan.DataCategory(id); d != nil {
			labels = append(labels, d.Label.In(b.lang))
		}
	}
	return labels
}

func (b *builder) peopleLabels(ids []string) []string {
	var labels []string
	for _, id := range ids {
		if p := b.plan.SubjectCategory(id); p != nil {
			labels = append(labels, p.Label.In(b.lang))
		}
	}
	return labels
}

// purposeLabels joins the names of purposes, in quotation marks of the language.
func (b *builder) purposeLabels(ids []string) string {
	var labels []string
	for _, id := range ids {
		if p := b.plan.Purpose(id); p != nil {
			labels = append(labels, quote(b.lang, p.Label.In(b.lang)))
		}
	}
	return text.List(b.lang, labels)
}

func quote(l text.Lang, s string) string {
	if l == text.DA {
		return "»" + s + "«"
	}
	return "“" + s + "”"
}
