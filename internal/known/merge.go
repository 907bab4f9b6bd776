package known

import (
	"bytes"
	"slices"
	"strings"
)

// Merge puts a fragment's entries into the text of a declaration, each at the
// end of its section, and touches no other line. A section that is missing
// comes at the end of the file. What cannot be put in, because the section is
// written on one line, is returned.
func Merge(src []byte, f Fragment) (merged []byte, left Fragment) {
	lines := strings.SplitAfter(string(bytes.TrimRight(src, "\n"))+"\n", "\n")
	lines = lines[:len(lines)-1] // what SplitAfter leaves behind the last newline
	for _, s := range f.Sections {
		at, how := place(lines, s.Name)
		var text []string
		for _, e := range s.Entries {
			text = append(text, strings.SplitAfter(strings.TrimSuffix(e.Text, "\n"), "\n")...)
			text[len(text)-1] += "\n"
		}
		switch how {
		case missing:
			lines = append(lines, append([]string{"\n", s.Name + ":\n"}, text...)...)
		case empty:
			lines = slices.Replace(lines, at, at+1, append([]string{s.Name + ":\n"}, text...)...)
		case block:
			lines = slices.Insert(lines, at, text...)
		case flow:
			left.Sections = append(left.Sections, s)
		}
	}
	return []byte(strings.Join(lines, "")), left
}

type form int

const (
	missing form = iota
	empty        // the key without a value, or with {}
	flow         // all on one line
	block
)

// place finds where a section's next entry goes.
func place(lines []string, section string) (at int, how form) {
	key := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, section+":") })
	if key < 0 {
		return 0, missing
	}
	value, _, _ := strings.Cut(strings.TrimPrefix(lines[key], section+":"), " #")
	end := key + 1
	for i := key + 1; i < len(lines); i++ {
		if l := lines[i]; strings.TrimSpace(l) != "" && l[0] != ' ' {
			if l[0] == '#' {
				continue // a comment belongs to what follows, unless the section goes on behind it
			}
			break
		} else if strings.TrimSpace(l) != "" {
			end = i + 1
		}
	}
	switch v := strings.TrimSpace(value); {
	case v == "{}" || v == "" && end == key+1:
		return key, empty
	case v != "":
		return key, flow
	}
	return end, block
}
