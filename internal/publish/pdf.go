package publish

import (
	"bytes"
	_ "embed"
	"fmt"
	"math"
	"strings"

	"codeberg.org/go-pdf/fpdf"

	"github.com/tillid/tillid/internal/text"
)

// Open Sans, Apache-2.0; see font/LICENSE.
var (
	//go:embed font/OpenSans-Regular.ttf
	regular []byte
	//go:embed font/OpenSans-Semibold.ttf
	semibold []byte
	//go:embed font/OpenSans-Italic.ttf
	italic []byte
)

// Measures of the page, in millimetres, and of type, in points.
const (
	margin     = 23.0
	bottom     = 24.0
	bodySize   = 9.5
	lineHeight = 5.0
	cellGap    = 4.0
)

// paper draws one document on A4.
type paper struct {
	*fpdf.Fpdf
	e     *edition
	doc   *Document
	width float64 // of the text
}

// pdf renders a document. The same document under the same version gives the
// same bytes: dates come from the version, and objects are written in order.
func (e *edition) pdf(d *Document) ([]byte, error) {
	p := &paper{Fpdf: fpdf.New("P", "mm", "A4", ""), e: e, doc: d}
	p.SetCatalogSort(true)
	p.SetCreationDate(e.version.PublishedAt.UTC())
	p.SetModificationDate(e.version.PublishedAt.UTC())
	p.SetProducer("Tillid", true)
	p.SetTitle(d.Title.Text, true)
	p.SetAuthor(e.plan.Controller.LegalName, true)
	p.SetLang(string(d.Lang))
	p.AddUTF8FontFromBytes("open", "", regular)
	p.AddUTF8FontFromBytes("open", "B", semibold)
	p.AddUTF8FontFromBytes("open", "I", italic)
	p.SetMargins(margin, margin, margin)
	p.SetAutoPageBreak(true, bottom)
	p.SetCellMargin(0)
	p.AliasNbPages("{nb}")
	w, _ := p.GetPageSize()
	p.width = w - 2*margin
	p.SetFooterFunc(func() { p.footer(e) })
	p.AddPage()
	p.cover(e)
	for _, s := range d.Sections {
		p.section(s)
	}
	var b bytes.Buffer
	if err := p.Output(&b); err != nil {
		return nil, fmt.Errorf("write PDF of %s in %s: %w", d.Name, d.Lang, err)
	}
	return b.Bytes(), nil
}

func (p *paper) ink()  { p.SetTextColor(27, 36, 38) }
func (p *paper) soft() { p.SetTextColor(86, 99, 102) }
func (p *paper) link() { p.SetTextColor(11, 85, 99) }

func (p *paper) body() { p.SetFont("open", "", bodySize); p.ink() }

// footer carries the label, so that no page can be taken for what it is not.
func (p *paper) footer(e *edition) {
	p.SetY(-bottom + 6)
	p.SetDrawColor(217, 224, 225)
	p.SetLineWidth(0.2)
	p.Line(margin, p.GetY(), margin+p.width, p.GetY())
	p.Ln(1.5)
	p.SetFont("open", "", 7.5)
	p.soft()
	if p.doc.Label != nil {
		p.SetFont("open", "I", 7.5)
		p.MultiCell(p.width, 3.6, p.doc.Label.Text, "", "L", false)
		p.SetFont("open", "", 7.5)
	}
	words := text.T(p.doc.Lang, "publish.page.footer", "Name", e.plan.Controller.LegalName, "Title", p.doc.Title.Text,
		"Number", e.version.Number, "Hash", e.plan.Hash[:min(12, len(e.plan.Hash))])
	p.CellFormat(14, 3.6, fmt.Sprintf("%d / {nb}", p.PageNo()), "", 0, "L", false, 0, "")
	p.CellFormat(p.width-14, 3.6, words, "", 0, "R", false, 0, "")
}

func (p *paper) cover(e *edition) {
	p.SetFont("open", "", bodySize)
	p.soft()
	p.MultiCell(p.width, lineHeight, e.plan.Controller.LegalName, "", "L", false)
	p.Ln(1)
	p.SetFont("open", "B", 21)
	p.ink()
	p.MultiCell(p.width, 9.5, p.doc.Title.Text, "", "L", false)
	p.Ln(2)
	p.SetFont("open", "", 11.5)
	p.soft()
	p.flow(p.doc.Lead, 6, p.soft)
	p.Ln(8)
	p.SetFont("open", "", bodySize)
	p.MultiCell(p.width, lineHeight, text.T(p.doc.Lang, "publish.page.in_force", "Number", e.version.Number,
		"Date", text.Date(p.doc.Lang, e.version.EffectiveAt.In(e.zone()))), "", "L", false)
	p.Ln(2)
	if p.doc.Label != nil {
		p.notice(*p.doc.Label)
	}
}

// notice is a framed sentence.
func (p *paper) notice(s Sentence) {
	p.SetFont("open", "B", bodySize)
	p.ink()
	p.SetFillColor(252, 241, 220)
	p.SetCellMargin(3)
	p.MultiCell(p.width, lineHeight+1.5, s.Text, "", "L", true)
	p.SetCellMargin(0)
	p.Ln(2)
}

func (p *paper) section(s Section) {
	size, before := 14.0, 7.0
	if s.Level == 3 {
		size, before = 11, 4.5
	}
	p.room(before + size/2 + 3*lineHeight)
	p.Ln(before)
	p.Bookmark(s.Heading.Text, s.Level-2, -1)
	top, page := p.GetY(), p.PageNo()
	if s.Apart {
		p.SetLeftMargin(margin + 5)
		p.SetX(margin + 5)
	}
	p.SetFont("open", "B", size)
	p.ink()
	left, _, _, _ := p.GetMargins()
	p.MultiCell(p.width-(left-margin), size*0.52, s.Heading.Text, "", "L", false)
	p.Ln(1.5)
	for _, b := range s.Blocks {
		p.block(b)
	}
	if s.Apart {
		p.SetLeftMargin(margin)
		p.SetX(margin)
		p.bar(top, page)
	}
}

// bar is the rule beside a section that stands apart; one that runs over the
// page has it on the last page only.
func (p *paper) bar(top float64, page int) {
	if p.PageNo() != page {
		top = margin
	}
	p.SetDrawColor(11, 85, 99)
	p.SetLineWidth(1)
	p.Line(margin+1, top, margin+1, p.GetY()-1.5)
}

// room starts a new page when less than h is left on this one.
func (p *paper) room(h float64) {
	_, page := p.GetPageSize()
	if p.GetY()+h > page-bottom {
		p.AddPage()
	}
}

func (p *paper) block(b Block) {
	p.body()
	switch {
	case b.Para != nil:
		p.flow(b.Para, lineHeight, p.ink)
		p.Ln(lineHeight + 2)
	case b.List != nil:
		p.list(b.List)
	case b.Facts != nil:
		p.facts(b.Facts)
	case b.Table != nil:
		p.table(b.Table)
	}
}

// flow writes sentences from the left margin on, links in their colour.
func (p *paper) flow(sentences []Sentence, h float64, colour func()) {
	for i, s := range sentences {
		if i > 0 {
			if sentences[i-1].Ends() {
				p.Write(h, " ")
			} else {
				p.Ln(h)
			}
		}
		if href := p.e.address(s); href != "" {
			p.link()
			p.WriteLinkString(h, p.words(s), href)
			colour()
			continue
		}
		colour()
		p.Write(h, s.Text)
	}
}

// words are what paper shows of a sentence: a link to a page of ours says where it leads.
func (p *paper) words(s Sentence) string {
	if !strings.HasPrefix(s.Href, "/") {
		return s.Text
	}
	_, host, ok := strings.Cut(p.e.address(s), "://")
	if !ok {
		return s.Text
	}
	return s.Text + " (" + host + ")"
}

// indented runs f with the text narrowed to a column.
func (p *paper) indented(left, width float64, f func()) {
	oldLeft, _, oldRight, _ := p.GetMargins()
	page, _ := p.GetPageSize()
	p.SetLeftMargin(left)
	p.SetRightMargin(page - left - width)
	p.SetX(left)
	f()
	p.SetLeftMargin(oldLeft)
	p.SetRightMargin(oldRight)
}

func (p *paper) list(l *List) {
	left, _, _, _ := p.GetMargins()
	for i, item := range l.Items {
		p.room(p.height(item, p.width-6))
		mark := "–"
		if l.Ordered {
			mark = fmt.Sprintf("%d.", i+1)
		}
		p.SetX(left)
		p.soft()
		p.CellFormat(6, lineHeight, mark, "", 0, "L", false, 0, "")
		p.indented(left+6, margin+p.width-left-6, func() { p.flow(item, lineHeight, p.ink) })
		p.Ln(lineHeight + 1)
	}
	p.Ln(1.5)
}

// height is how much room sentences take in a column.
func (p *paper) height(sentences []Sentence, width float64) float64 {
	lines, run := 0, ""
	count := func() {
		if run != "" {
			lines += len(p.SplitText(run, width-0.5))
		}
		run = ""
	}
	for i, s := range sentences {
		if i > 0 && !sentences[i-1].Ends() {
			count()
		} else if i > 0 {
			run += " "
		}
		run += p.words(s)
	}
	count()
	return float64(max(lines, 1)) * lineHeight
}

func (p *paper) facts(facts []Fact) {
	const term = 47.0
	for _, f := range facts {
		var need float64
		for _, l := range f.Lines {
			need += p.height(l, p.width-term)
		}
		p.room(math.Min(need, 60))
		y, page := p.GetY(), p.PageNo()
		p.soft()
		p.indented(margin, term-cellGap, func() { p.MultiCell(term-cellGap, lineHeight, f.Term.Text, "", "L", false) })
		after := p.GetY()
		p.SetY(y)
		for i, l := range f.Lines {
			if i > 0 {
				p.room(p.height(l, p.width-term))
			}
			p.indented(margin+term, p.width-term, func() { p.flow(l, lineHeight, p.ink) })
			p.Ln(lineHeight)
		}
		if p.PageNo() == page && p.GetY() < after {
			p.SetY(after)
		}
		p.Ln(1.2)
	}
	p.Ln(1.5)
}
