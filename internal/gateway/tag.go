package gateway

import (
	"bytes"
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
		if quote := a.quote(); quote != 0 {
			j := bytes.IndexByte(b[i:], quote)
			if j < 0 {
				return 0
			}
			i, a = i+j, beforeName
			continue
		}
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
	name, value []byte // as written
	at, end     int    // where it begins in the tag, and what follows it
}

// attributes yields the attributes of a whole start tag.
func attributes(tag []byte) iter.Seq[attribute] {
	return func(yield func(attribute) bool) {
		var a attrState
		var cur attribute
		from := -1
		done := func(to, end int) bool {
			if cur.name == nil {
				return true
			}
			cur.end = cur.at + len(cur.name)
			if from >= 0 {
				cur.value, cur.end = tag[from:to], end
			}
			ok := yield(cur)
			cur, from = attribute{}, -1
			return ok
		}
		for i := nameEnd(tag); i < len(tag); i++ {
			was := a
			end := a.step(tag[i])
			switch {
			case a == inName && was != inName: // a new attribute begins
				if !done(i, i) {
					return
				}
				cur.at, cur.name = i, tag[i:i+1]
			case a == inName && !end:
				cur.name = tag[cur.at : i+1]
			case was == beforeValue && (a == inDouble || a == inSingle):
				from = i + 1
			case was == beforeValue && a == inUnquoted:
				from = i
			case was == inDouble && a == beforeName, was == inSingle && a == beforeName:
				if !done(i, i+1) {
					return
				}
			case was == inUnquoted && a == beforeName:
				if !done(i, i) {
					return
				}
			}
			if end {
				done(i, i)
				return
			}
		}
	}
}

// value returns the value of the first attribute of that name, or "".
func value(tag []byte, name string) string {
	v, _ := lookup(tag, name)
	return v
}

// lookup is value that tells an empty attribute from none.
func lookup(tag []byte, name string) (v string, ok bool) {
	for a := range attributes(tag) {
		if equalFold(a.name, name) {
			return unescaped(a.value), true
		}
	}
	return "", false
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
