package policy

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
)

// Parse reads a declaration. It returns every problem of shape and reference;
// the Plan is nil when there is one. name is used in places only. It takes
// bounded time and memory whatever src is. Without files, what the declaration
// refers to is neither read nor checked.
func Parse(name string, src []byte, files Files) (*Plan, []Problem) {
	d := newDecoder(name, src)
	if !d.readable(src) {
		return nil, d.sorted()
	}
	root := d.parse(src)
	if root == nil {
		return nil, d.sorted()
	}
	p := &Plan{Source: slices.Clone(src), name: name, Loc: time.UTC}
	d.structure(root, reflect.ValueOf(&p.Declaration).Elem(), "")
	d.references(&p.Declaration)
	d.whole(p)
	digests := d.digests(files)
	if len(d.problems) > 0 {
		return nil, d.sorted()
	}
	p.positions = d.positions
	p.Hash = hash(&p.Declaration, digests)
	return p, nil
}

// sorted returns the problems in the order of the file, and how many more there are.
func (d *decoder) sorted() []Problem {
	slices.SortStableFunc(d.problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Pos.Line, b.Pos.Line), cmp.Compare(a.Pos.Col, b.Pos.Col))
	})
	if d.unshown > 0 {
		d.problems = append(d.problems, Problem{Pos: d.problems[len(d.problems)-1].Pos, Msg: fmt.Sprintf("There are %d more problems.", d.unshown), Hint: "Mend these first."})
	}
	return d.problems
}

// String returns the problem as compilers do: place, sentence, the line with a
// mark under the column, and what to do.
func (p Problem) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s:%d:%d: %s\n", p.Pos.File, p.Pos.Line, p.Pos.Col, p.Msg)
	if strings.TrimSpace(p.Text) != "" {
		line, col := excerpt(p.Text, p.Pos.Col)
		fmt.Fprintf(&b, "    %s\n    %s^\n", line, strings.Repeat(" ", col))
	}
	if p.Hint != "" {
		fmt.Fprintf(&b, "  %s\n", p.Hint)
	}
	return b.String()
}

// excerpt returns the part of a line around a column that counts from 1, and
// where in it the column is, from 0.
func excerpt(line string, col int) (string, int) {
	const before, width = 60, 120
	var shown []rune
	n, start := 0, max(0, col-1-before)
	for _, r := range line {
		if n >= start+width {
			break
		}
		if r == '\t' {
			r = ' '
		} else if unwanted(r, "\uFFFD") != "" {
			r = '\uFFFD' // it would act on the terminal
		}
		if n >= start {
			shown = append(shown, r)
		}
		n++
	}
	return string(shown), max(0, min(col-1-start, len(shown)))
}
