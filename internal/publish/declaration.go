package publish

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/web"
)

type declarationPage struct {
	web.Frame
	Number   int
	File     string
	Doc      *Document
	Choices  []tie
	Lines    []sourceLine
	Findings bool
}

// sourceLine is a line of the declaration with what it becomes and what lint says.
type sourceLine struct {
	N        int
	Text     string
	To       string // id of the first sentence made from it
	Findings []Finding
}

// declaration shows a document beside its source: every sentence leads to its
// line, every line to its first sentence, without a script.
func (s *Service) declaration(w http.ResponseWriter, r *http.Request) error {
	p := declarationPage{Frame: s.House.Backoffice(r), Number: s.Versions.InForce().Number}
	if n, err := strconv.Atoi(r.URL.Query().Get("version")); err == nil {
		p.Number = n
	}
	v, plan, err := s.Versions.Get(r.Context(), p.Number)
	if err != nil {
		return err
	}
	docs, err := Documents(plan, *v, p.Lang)
	if err != nil {
		return err
	}
	p.Doc = docs[0]
	for _, d := range docs {
		if d.Name == r.URL.Query().Get("document") {
			p.Doc = d
		}
	}
	for _, d := range docs {
		p.Choices = append(p.Choices, tie{Name: documentName(plan, p.Lang, d.Name), Href: d.Name, Here: d == p.Doc})
	}
	p.Lines = sourceLines(plan, p.Doc, s.findings(plan, p.Lang))
	p.File = plan.At("controller").File
	trace(p.Doc, plan)
	return web.Render(w, http.StatusOK, pages(), "declaration", web.Backoffice, p)
}

// trace makes every sentence lead to its line.
func trace(d *Document, plan *policy.Plan) {
	d.each(func(s *Sentence) { s.Href = "#L" + strconv.Itoa(plan.At(s.Path).Line) })
}

// each runs f on every sentence in place.
func (d *Document) each(f func(*Sentence)) {
	all := func(list []Sentence) {
		for i := range list {
			f(&list[i])
		}
	}
	f(&d.Title)
	if d.Label != nil {
		f(d.Label)
	}
	all(d.Lead)
	for i := range d.Sections {
		f(&d.Sections[i].Heading)
		for _, b := range d.Sections[i].Blocks {
			all(b.Para)
			if b.List != nil {
				for _, item := range b.List.Items {
					all(item)
				}
			}
			for j := range b.Facts {
				f(&b.Facts[j].Term)
				for _, l := range b.Facts[j].Lines {
					all(l)
				}
			}
			if b.Table != nil {
				b.Table.each(f, all)
			}
		}
	}
}

func (t *Table) each(f func(*Sentence), all func([]Sentence)) {
	all(t.Head)
	for _, g := range t.Groups {
		if g.Label != nil {
			f(g.Label)
		}
		for _, row := range g.Rows {
			for _, c := range row {
				all(c)
			}
		}
	}
}

func sourceLines(plan *policy.Plan, d *Document, findings []Finding) []sourceLine {
	first := map[int]string{}
	for _, s := range d.Sentences() {
		if n := plan.At(s.Path).Line; first[n] == "" {
			first[n] = s.ID
		}
	}
	var lines []sourceLine
	for i, words := range strings.Split(strings.TrimRight(string(plan.Source), "\n"), "\n") {
		l := sourceLine{N: i + 1, Text: strings.TrimRight(words, "\r"), To: first[i+1]}
		for _, f := range findings {
			if f.Line == l.N {
				l.Findings = append(l.Findings, f)
			}
		}
		lines = append(lines, l)
	}
	return lines
}
