package publish

import (
	"math"

	"github.com/tillid/tillid/internal/text"
)

// Document is one published text in one language, before it is given a form:
// HTML, Markdown and PDF are three renderings of the same Document.
type Document struct {
	Name     string // policy, cookies, browsers, agreement, …
	Lang     text.Lang
	Title    Sentence
	Label    *Sentence // stands on every page, for example what a text is not
	Lead     []Sentence
	Sections []Section
}

// Sentence is the smallest thing that is traced: it has an id, the same in
// every language, and the place in the declaration that it comes from.
type Sentence struct {
	ID   string // for example s-basis-purposes-answer_enquiry
	Path string // for example purposes.answer_enquiry.legal_basis
	Text string
	Href string // where it leads, for links
	Line bool   // the next sentence begins on a line of its own
}

// Section is a heading with what stands below it.
type Section struct {
	ID      string
	Level   int // 2 or 3
	Heading Sentence
	Apart   bool // set apart from everything else (Art. 21(4))
	Blocks  []Block
}

// Block is a paragraph, a list, facts or a table: exactly one is set.
type Block struct {
	Para  []Sentence
	List  *List
	Facts []Fact
	Table *Table
}

// List is a list of lines, each of one or more sentences.
type List struct {
	Ordered bool
	Items   [][]Sentence
}

// Fact is a term with one or more lines that answer it.
type Fact struct {
	Term  Sentence
	Lines [][]Sentence
}

// Table has a header and rows, which may stand in named groups.
type Table struct {
	Head   []Sentence
	Widths []float64 // shares of the width, for paper
	Groups []Group
}

// Share is how much of the width column i takes: a percentage in steps of five.
func (t *Table) Share(i int) int {
	var sum float64
	for _, w := range t.Widths {
		sum += w
	}
	if sum == 0 || i >= len(t.Widths) {
		return 0
	}
	return int(math.Round(t.Widths[i]/sum*20)) * 5
}

// Group is a part of a table. Without a label its rows just follow.
type Group struct {
	Label *Sentence
	Rows  []Row
}

// Row has one cell per column; a cell holds lines.
type Row [][]Sentence

// Sentences returns every sentence of the document in reading order.
func (d *Document) Sentences() []Sentence {
	all := []Sentence{d.Title}
	if d.Label != nil {
		all = append(all, *d.Label)
	}
	all = append(all, d.Lead...)
	for _, s := range d.Sections {
		all = append(all, s.Heading)
		for _, b := range s.Blocks {
			all = append(all, b.sentences()...)
		}
	}
	return all
}

func (b Block) sentences() []Sentence {
	all := append([]Sentence(nil), b.Para...)
	if b.List != nil {
		for _, item := range b.List.Items {
			all = append(all, item...)
		}
	}
	for _, f := range b.Facts {
		all = append(all, f.Term)
		for _, line := range f.Lines {
			all = append(all, line...)
		}
	}
	if b.Table == nil {
		return all
	}
	all = append(all, b.Table.Head...)
	for _, g := range b.Table.Groups {
		if g.Label != nil {
			all = append(all, *g.Label)
		}
		for _, row := range g.Rows {
			for _, cell := range row {
				all = append(all, cell...)
			}
		}
	}
	return all
}
