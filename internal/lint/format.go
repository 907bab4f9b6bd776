package lint

import (
	"fmt"
	"io"
	"strings"

	"github.com/tillid/tillid/internal/law"
	"github.com/tillid/tillid/internal/text"
)

// headings of the text report.
var (
	severityWord = map[Severity]text.Text{
		Error:   both("fejl", "error"),
		Warning: both("advarsel", "warning"),
		Info:    both("bemærkning", "note"),
	}
	acceptedUntil = both("Accepteret af %s til %s: %s", "Accepted by %s until %s: %s")
	fixWord       = both("Gør sådan", "Fix")
	summary       = both("%d fejl, %d advarsler, %d bemærkninger, %d accepteret. %d regler kunne ikke afgøres herfra.\n", "%d errors, %d warnings, %d notes, %d accepted. %d rules could not be decided from here.\n")
)

// WriteText writes the report for people, in one language: for each finding its
// place, what is wrong, the line, the article and what to do; accepted findings
// after the others; then the count.
func (r Report) WriteText(w io.Writer, l text.Lang) error {
	var b strings.Builder
	for _, f := range r.Findings {
		if f.Suppressed == nil {
			r.writeFinding(&b, f, l)
		}
	}
	for _, f := range r.Suppressed() {
		r.writeFinding(&b, f, l)
	}
	fmt.Fprintf(&b, summary.In(l), len(r.Errors()), len(r.Warnings()), len(r.Infos()), len(r.Suppressed()), len(r.NotObserved))
	fmt.Fprintf(&b, "%s\n", law.Disclaimer.In(l))
	_, err := io.WriteString(w, b.String())
	return err
}

func (r Report) writeFinding(b *strings.Builder, f Finding, l text.Lang) {
	fmt.Fprintf(b, "%s:%d:%d: %s %s: %s\n", f.Pos.File, f.Pos.Line, f.Pos.Col, severityWord[f.Severity].In(l), f.Rule, f.Message.In(l))
	if line, mark := r.line(f); line != "" {
		fmt.Fprintf(b, "    %s\n    %s^\n", line, strings.Repeat(" ", mark))
	}
	fmt.Fprintf(b, "    %s · %s\n", f.Path, f.Article)
	if s := f.Suppressed; s != nil {
		fmt.Fprintf(b, "    "+acceptedUntil.In(l)+"\n", s.By, text.Date(l, midnight(s.Until)), s.Reason)
	} else {
		fmt.Fprintf(b, "    %s: %s\n", fixWord.In(l), f.Fix.In(l))
	}
	b.WriteString("\n")
}

// line returns the part of the file's line that the finding points at, at most
// 120 characters of it, and how far into that part.
func (r Report) line(f Finding) (shown string, mark int) {
	if f.Pos.Line < 1 || f.Pos.Line > len(r.lines) {
		return "", 0
	}
	runes := []rune(strings.TrimRight(strings.ReplaceAll(r.lines[f.Pos.Line-1], "\t", " "), " \r"))
	col := min(max(f.Pos.Col-1, 0), len(runes))
	from := max(0, col-60)
	return string(runes[from:min(len(runes), from+120)]), col - from
}
