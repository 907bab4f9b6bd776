package law

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/tillid/tillid/internal/text"
)

// Print writes everything that holds on the day of at, pack by pack, with
// source and status, between two lines that say what it is not.
func (l *Law) Print(w io.Writer, lang text.Lang, at time.Time) error {
	fmt.Fprintln(w, Disclaimer.In(lang))
	for _, p := range l.packs {
		fmt.Fprintf(w, "\n%s (law of %s), values on %s\n\n", p.Ref(), p.AsOf.Format(time.DateOnly), at.Format(time.DateOnly))
		tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		for _, row := range p.rows(lang) {
			if row.fact.Holds(at) {
				fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\n", row.fact.ID, row.says, row.fact.Law, row.fact.state(), row.fact.Source)
			}
		}
		if err := tw.Flush(); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(w, "\n%s\n", Disclaimer.In(lang))
	return err
}

type row struct {
	fact Fact
	says string
}

func (p *Pack) rows(lang text.Lang) []row {
	var rs []row
	for _, v := range p.Values {
		rs = append(rs, row{v.Fact, v.Value + " " + v.Label.In(lang)})
	}
	for _, c := range p.EEA {
		rs = append(rs, row{c.Fact, c.Name.In(lang)})
	}
	for _, a := range p.Adequacy {
		rs = append(rs, row{a.Fact, a.Name.In(lang) + ": " + a.Decision + ", scope " + string(a.Scope)})
	}
	for _, h := range p.Holidays {
		rs = append(rs, row{h.Fact, h.Name.In(lang)})
	}
	for _, a := range p.Authorities {
		rs = append(rs, row{a.Fact, a.Name.In(lang) + " (" + string(a.Subject) + ")"})
	}
	for _, w := range p.Wordings {
		rs = append(rs, row{w.Fact, w.Text.In(lang)})
	}
	return rs
}

// state is the fact's status in a few words: "unchecked, contested, until 2031-12-27".
func (f Fact) state() string {
	s := string(f.Status)
	if f.Status == Checked {
		s += " by " + f.Checker + " " + f.Date.Format(time.DateOnly)
	}
	if f.Contested {
		s += ", contested"
	}
	if !f.Until.IsZero() {
		s += ", until " + f.Until.Format(time.DateOnly)
	}
	return s
}
