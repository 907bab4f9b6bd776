package gateway

import (
	"bytes"
	"html"
	"iter"
)

// attrState is where in a tag the rewriter is, after the tokenizer of the HTML
// standard: a quote means something only where a value begins.
type attrState uint8

const (
	beforeName attrState = iota
	inName
	afterName
	beforeValue
	inDouble
	inSingle
	inUnquoted
)

// step takes the next byte of a tag; it reports whether that ends the tag.
func (a *attrState) step(c byte) (end bool) {
	switch *a {
	case inDouble, inSingle:
		if c == '"' && *a == inDouble || c == '\'' && *a == inSingle {
			*a = beforeName
		}
		return false
	case beforeValue:
		switch {
		case isSpace(c):
			return false
		case c == '"':
			*a = inDouble
			return false
		case c == '\'':
			*a = inSingle
			return false
		}
		*a = inUnquoted
		return c == '>'
	case inUnquoted:
		if isSpace(c) {
			*a = beforeName
		}
		return c == '>'
	default: // outside values
	}
	switch {
	case c == '>':
		return true
	case c == '/':
		*a = beforeName
	case isSpace(c):
		if *a == inName {
			*a = afterName
		}
	case c == '=' && *a != beforeName:
		*a = beforeValue
	default:
		*a = inName
	}
	return false
}

// tag handles what is left of a tag, whatever is long in one go.
func (w *rewriter) tag(b []byte) int {
	for i := 0; i < len(b); i++ {
		if quote := w.attr.quote(); quote != 0 {
			j := bytes.IndexByte(b[i:], quote)
			if j < 0 {
				return len(b)
			}
			i, w.attr = i+j, beforeName
			continue
		}
		if w.attr == inName && isLetter(b[i]) {
			continue
		}
		if w.attr.step(b[i]) {
			w.mode = w.next
			return i + 1
		}
	}
	return len(b)
}

func (a attrState) quote() byte {
	switch a {
	case inDouble:
		return '"'
	case inSingle:
		return '\''
	default:
		return 0
	}
}

// tagLength returns the length of the start tag at the beginning of b, or 0 when
// its end is not there.
func tagLength(b []byte) int {
	i := nameEnd(b)
	var a attrState
	for ; i < len(b); i++ {
		if a.step(b[i]) {
			return i + 1
		}
	}
	return 0
}

func nameEnd(tag []byte) int {
	i := 1
	for i < len(tag) && !isSpace(tag[i]) && tag[i] != '/' && tag[i] != '>' {
		i++
	}
	return i
}

type attribute struct {
	name  []byte // in lower case
	value []byte // as written
	at    int    // where the name begins in the tag
}

// attributes yields the attributes of a whole start tag.
func attributes(tag []byte) iter.Seq[attribute] {
	return func(yield func(attribute) bool) {
		var a attrState
		var cur attribute
		nameTo, from := 0, -1
		done := func(to int) bool {
			if nameTo == 0 {
				return true
			}
			cur.name = lower(nil, tag[cur.at:nameTo])
			if from >= 0 {
				cur.value = tag[from:to]
			}
			ok := yield(cur)
			cur, nameTo, from = attribute{}, 0, -1
			return ok
		}
		for i := nameEnd(tag); i < len(tag); i++ {
			was := a
			end := a.step(tag[i])
			switch {
			case a == inName && was != inName: // a new attribute begins
				if !done(i) {
					return
				}
				cur.at, nameTo = i, i+1
			case a == inName && !end:
				nameTo = i + 1
			case was == beforeValue && (a == inDouble || a == inSingle):
				from = i + 1
			case was == beforeValue && a == inUnquoted:
				from = i
			case (was == inDouble || was == inSingle || was == inUnquoted) && a == beforeName:
				if !done(i) {
					return
				}
			}
			if end {
				done(i)
				return
			}
		}
	}
}

// value returns the value of the first attribute of that name, or "".
func value(tag []byte, name string) string {
	for a := range attributes(tag) {
		if string(a.name) == name {
			return html.UnescapeString(string(a.value))
		}
	}
	return ""
}

// raw handles the content of an element in which < begins no tag but its own end.
func (w *rewriter) raw(b []byte, last bool) int {
	at := bytes.IndexByte(b, '<')
	if w.mode != inRaw {
		if i := bytes.Index(b, []byte("-->")); i >= 0 && (at < 0 || i < at) {
			w.mode = inRaw
			return i + 3
		}
	}
	switch {
	case at < 0 && w.mode != inRaw:
		return keep(b, 2, last)
	case at < 0:
		return len(b)
	case at > 0:
		return at
	case len(b) < len(w.element)+3 && !last:
		return 0
	case names(b, "</", w.element):
		if w.mode == inDoubleEscaped {
			w.mode = inEscaped
			return 2
		}
		w.mode, w.next, w.attr = inTag, inText, beforeName
		return 2 + len(w.element)
	case string(w.element) != "script":
		return 1
	case w.mode == inRaw && bytes.HasPrefix(b, []byte("<!--")):
		w.mode = inEscaped
		return 2
	case w.mode == inEscaped && names(b, "<", w.element):
		w.mode = inDoubleEscaped
		return 1 + len(w.element)
	}
	return 1
}

// names reports whether b begins with a tag of that name.
func names(b []byte, prefix string, name []byte) bool {
	n := len(prefix) + len(name)
	return len(b) > n && bytes.HasPrefix(b, []byte(prefix)) && bytes.EqualFold(b[len(prefix):n], name) &&
		(isSpace(b[n]) || b[n] == '/' || b[n] == '>')
}

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\t' || c == '\f' || c == '\r' }

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

func lower(to, b []byte) []byte {
	for _, c := range b {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		to = append(to, c)
	}
	return to
}
