package publish

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/tillid/tillid/internal/text"
)

// markdown renders a document as CommonMark with pipe tables.
func (e *edition) markdown(d *Document) []byte {
	var b bytes.Buffer
	if d.Label != nil {
		fmt.Fprintf(&b, "> %s\n\n", e.md(*d.Label))
	}
	fmt.Fprintf(&b, "# %s\n\n%s\n\n", escape(d.Title.Text), e.mdLine(d.Lead, "  \n"))
	fmt.Fprintf(&b, "*%s. %s*\n", escape(e.plan.Controller.LegalName),
		text.T(d.Lang, "publish.page.in_force", "Number", e.version.Number, "Date", text.Date(d.Lang, e.version.EffectiveAt.In(e.zone()))))
	for _, s := range d.Sections {
		fmt.Fprintf(&b, "\n%s %s\n", strings.Repeat("#", s.Level), escape(s.Heading.Text))
		for _, block := range s.Blocks {
			b.WriteByte('\n')
			e.mdBlock(&b, block, s.Apart)
		}
	}
	return b.Bytes()
}

func (e *edition) mdBlock(b *bytes.Buffer, block Block, apart bool) {
	quote := ""
	if apart {
		quote = "> "
	}
	switch {
	case block.Para != nil:
		fmt.Fprintf(b, "%s%s\n", quote, e.mdLine(block.Para, "  \n"+quote))
	case block.List != nil:
		for i, item := range block.List.Items {
			mark := "-"
			if block.List.Ordered {
				mark = fmt.Sprintf("%d.", i+1)
			}
			fmt.Fprintf(b, "%s%s %s\n", quote, mark, e.mdLine(item, " "))
		}
	case block.Facts != nil:
		for _, f := range block.Facts {
			e.mdFact(b, f)
		}
	case block.Table != nil:
		e.mdTable(b, block.Table)
	}
}

func (e *edition) mdFact(b *bytes.Buffer, f Fact) {
	if len(f.Lines) == 1 {
		fmt.Fprintf(b, "- **%s:** %s\n", escape(f.Term.Text), e.mdLine(f.Lines[0], " "))
		return
	}
	fmt.Fprintf(b, "- **%s:**\n", escape(f.Term.Text))
	for _, l := range f.Lines {
		fmt.Fprintf(b, "  - %s\n", e.mdLine(l, " "))
	}
}

func (e *edition) mdTable(b *bytes.Buffer, t *Table) {
	for _, h := range t.Head {
		fmt.Fprintf(b, "| %s ", cell(h.Text))
	}
	fmt.Fprintf(b, "|\n%s|\n", strings.Repeat("| --- ", len(t.Head)))
	for _, g := range t.Groups {
		if g.Label != nil {
			fmt.Fprintf(b, "| **%s** %s|\n", cell(g.Label.Text), strings.Repeat("| ", len(t.Head)-1))
		}
		for _, row := range g.Rows {
			for _, c := range row {
				fmt.Fprintf(b, "| %s ", strings.ReplaceAll(e.mdLine(c, " · "), "|", `\|`))
			}
			b.WriteString("|\n")
		}
	}
}

func cell(s string) string { return strings.ReplaceAll(escape(s), "|", `\|`) }

// mdLine joins sentences; between two that no mark parts stands part.
func (e *edition) mdLine(sentences []Sentence, part string) string {
	var b strings.Builder
	for i, s := range sentences {
		if i > 0 && sentences[i-1].Ends() {
			b.WriteByte(' ')
		} else if i > 0 {
			b.WriteString(part)
		}
		b.WriteString(e.md(s))
	}
	return b.String()
}

func (e *edition) md(s Sentence) string {
	href := e.address(s)
	if href == "" {
		return escape(s.Text)
	}
	return fmt.Sprintf("[%s](<%s>)", escape(s.Text), strings.NewReplacer("<", "%3C", ">", "%3E", "\n", "").Replace(href))
}

var mdEscaper = strings.NewReplacer(`\`, `\\`, "`", "\\`", "*", `\*`, "_", `\_`, "[", `\[`, "]", `\]`, "<", `\<`, ">", `\>`, "\n", " ")

func escape(s string) string { return mdEscaper.Replace(s) }
