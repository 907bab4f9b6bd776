package publish

// columns are the places and widths of a table's columns.
func (p *paper) columns(t *Table) (at, width []float64) {
	var sum float64
	for _, w := range t.Widths {
		sum += w
	}
	x := margin
	for i := range t.Head {
		share := 1 / float64(len(t.Head))
		if len(t.Widths) == len(t.Head) {
			share = t.Widths[i] / sum
		}
		at, width = append(at, x), append(width, share*p.width-cellGap)
		x += share * p.width
	}
	width[len(width)-1] += cellGap
	return at, width
}

func (p *paper) table(t *Table) {
	at, width := p.columns(t)
	p.room(4 * lineHeight)
	p.head(t, at, width)
	for _, g := range t.Groups {
		if g.Label != nil {
			p.room(4 * lineHeight)
			p.Ln(2)
			p.SetFont("open", "B", bodySize+0.5)
			p.link()
			p.SetX(margin)
			p.MultiCell(p.width, lineHeight, g.Label.Text, "", "L", false)
			p.Ln(1)
			p.rule(0.3)
		}
		for _, row := range g.Rows {
			p.row(t, row, at, width)
		}
	}
	p.Ln(3)
}

func (p *paper) head(t *Table, at, width []float64) {
	p.SetFont("open", "", bodySize-1.5)
	p.soft()
	y, low := p.GetY(), p.GetY()
	for i, h := range t.Head {
		p.SetXY(at[i], y)
		p.indented(at[i], width[i], func() { p.MultiCell(width[i], lineHeight-0.5, h.Text, "", "L", false) })
		low = max(low, p.GetY())
	}
	p.SetY(low + 0.5)
	p.rule(0.3)
}

func (p *paper) rule(weight float64) {
	p.SetDrawColor(190, 200, 202)
	p.SetLineWidth(weight)
	p.Line(margin, p.GetY(), margin+p.width, p.GetY())
	p.Ln(1.2)
}

// row draws the cells side by side; a row that does not fit goes to the next
// page, under the table's head.
func (p *paper) row(t *Table, row Row, at, width []float64) {
	p.body()
	tall := lineHeight
	for i, c := range row {
		tall = max(tall, p.height(c, width[i]))
	}
	_, page := p.GetPageSize()
	if p.GetY()+tall > page-bottom {
		p.AddPage()
		p.head(t, at, width)
		p.body()
	}
	y := p.GetY()
	for i, c := range row {
		p.SetXY(at[i], y)
		p.indented(at[i], width[i], func() { p.flow(c, lineHeight, p.ink) })
	}
	p.SetXY(margin, y+tall+1)
	p.rule(0.1)
}
