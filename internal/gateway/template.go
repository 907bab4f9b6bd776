package gateway

import (
	"path"
	"strings"
	"unicode"
)

// What is kept of a page's address and of names: nothing that may belong to one person.

const (
	maxPath     = 200 // bytes of a path
	maxSegments = 6
	maxSegment  = 40
)

// template makes the path of a page fit to be kept, whoever names it: what follows
// the path is cut off, segments that may name a person or a thing of one become "*",
// and it has a bounded length. Of Tillid's own pages only which it is remains.
func template(p string) string {
	if i := strings.IndexAny(p, "?#"); i >= 0 {
		p = p[:i]
	}
	if !strings.HasPrefix(p, "/") || strings.HasPrefix(p, "//") {
		return "*" // no path: whoever sent this is no page
	}
	segments, own := strings.Split(limited(p, maxPath), "/"), Ours(p)
	for i, s := range segments {
		if !isWord(s) || own && i > 2 {
			segments[i] = "*"
		}
	}
	if len(segments) > maxSegments {
		segments = append(segments[:maxSegments], "*")
	}
	return strings.Join(segments, "/")
}

// isWord reports whether a segment of a path looks like one that people chose for
// a page: neither an id, nor a token, nor an address, nor a value.
func isWord(s string) bool {
	if len(s) > maxSegment {
		return false
	}
	if ext := path.Ext(s); len(ext) <= len(".xhtml") {
		s = strings.TrimSuffix(s, ext)
	}
	digits, before := 0, '-'
	for _, r := range s {
		switch {
		case unicode.IsDigit(r):
			digits++
		case unicode.IsUpper(r) && unicode.IsLower(before): // aTokenLooksLikeThis
			return false
		case !unicode.IsLetter(r) && !strings.ContainsRune("-_.~", r):
			return false
		}
		before = r
	}
	return digits == 0 || digits <= 2 && len(s) <= 2
}

// isHost reports whether a name can be a host's: whatever else a report calls so
// is not kept.
func isHost(s string) bool {
	return s != "" && len(s) <= 253 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-._:") == ""
}
