package publish

import (
	"strconv"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	gmtext "github.com/yuin/goldmark/text"
)

// supplied adds a text that somebody else wrote (Markdown or plain) to the
// document: its headings, paragraphs and lists, word for word. The whole of it
// is traced to path.
func (b *builder) supplied(path string, source []byte) {
	root := goldmark.DefaultParser().Parse(gmtext.NewReader(source))
	var s *Section
	n := 0
	for node := root.FirstChild(); node != nil; node = node.NextSibling() {
		if h, ok := node.(*ast.Heading); ok {
			n++
			s = b.section("text-"+strconv.Itoa(n), min(max(h.Level, 2), 3), b.sentence(path, "text", plain(node, source)))
			continue
		}
		if s == nil {
			s = b.section("text", 2, b.t(path, "agreement.supplied"))
		}
		if l, ok := node.(*ast.List); ok {
			list := List{Ordered: l.IsOrdered()}
			for item := l.FirstChild(); item != nil; item = item.NextSibling() {
				list.Items = append(list.Items, line(b.sentence(path, "text", plain(item, source))))
			}
			s.Blocks = append(s.Blocks, Block{List: &list})
			continue
		}
		if words := plain(node, source); words != "" {
			s.para(b.sentence(path, "text", words))
		}
	}
}

// plain is the text of a node without marks.
func plain(n ast.Node, source []byte) string {
	var words strings.Builder
	_ = ast.Walk(n, func(c ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			if c != n && c.Type() == ast.TypeBlock {
				words.WriteByte(' ')
			}
			return ast.WalkContinue, nil
		}
		switch c := c.(type) {
		case *ast.Text:
			words.Write(c.Segment.Value(source))
			if c.SoftLineBreak() || c.HardLineBreak() {
				words.WriteByte(' ')
			}
		case *ast.String:
			words.Write(c.Value)
		case *ast.AutoLink:
			words.Write(c.URL(source))
		case *ast.CodeBlock, *ast.FencedCodeBlock:
			words.Write(c.Lines().Value(source))
		}
		return ast.WalkContinue, nil
	})
	return strings.Join(strings.Fields(words.String()), " ")
}
