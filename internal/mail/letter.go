package mail

import (
	"bytes"
	_ "embed"
	"html/template"
	"strings"
	"unicode/utf8"

	"github.com/tillid/tillid/internal/text"
)

// Letter is what a message says, in blocks, from which both its plain text and
// its simple HTML are made. No image, no remote content, no rewritten link.
type Letter struct {
	Lang   text.Lang
	Brand  string // who writes
	Blocks []Block
	Footer string
}

// Block is one part of a letter: exactly one of its fields is set, except that
// a Link may have Text as its words.
type Block struct {
	Heading string
	Text    string // one paragraph; line breaks are kept
	Points  []string
	Link    string // an address on a line of its own
}

// Text returns the plain-text part, wrapped at 72 columns.
func (l Letter) Text() string {
	var b strings.Builder
	for i, k := range l.Blocks {
		if i > 0 {
			b.WriteString("\n")
		}
		switch {
		case k.Heading != "":
			b.WriteString(wrap(strings.ToUpper(k.Heading), "", ""))
		case len(k.Points) > 0:
			for _, p := range k.Points {
				b.WriteString(wrap(p, "- ", "  "))
			}
		case k.Link != "":
			if k.Text != "" {
				b.WriteString(wrap(k.Text+":", "", ""))
			}
			b.WriteString(k.Link + "\n")
		default:
			for line := range strings.SplitSeq(k.Text, "\n") {
				b.WriteString(wrap(line, "", ""))
			}
		}
	}
	if l.Footer != "" {
		b.WriteString("\n-- \n" + wrap(l.Footer, "", ""))
	}
	return b.String()
}

// wrap breaks s at 72 columns; a word longer than that (an address) stays whole.
func wrap(s, first, rest string) string {
	var b strings.Builder
	b.WriteString(first)
	width := utf8.RuneCountInString(first)
	for i, word := range strings.Fields(s) {
		n := utf8.RuneCountInString(word)
		switch {
		case i > 0 && width+1+n > 72:
			b.WriteString("\n" + rest)
			width = utf8.RuneCountInString(rest)
		case i > 0:
			b.WriteString(" ")
			width++
		}
		b.WriteString(word)
		width += n
	}
	return b.String() + "\n"
}

//go:embed letter.html
var letterHTML string

// HTML returns the HTML part.
func (l Letter) HTML() string {
	var b bytes.Buffer
	page := template.Must(template.New("letter").Funcs(template.FuncMap{
		"lines": func(s string) []string { return strings.Split(s, "\n") },
	}).Parse(letterHTML))
	if err := page.Execute(&b, l); err != nil {
		return "" // the plain text says the same
	}
	return b.String()
}
