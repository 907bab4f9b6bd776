package policy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
	"go.yaml.in/yaml/v4/plugin/loaderlimits"
)

// Limits of a declaration file. Two thousand cookies and five hundred
// processors are about one mebibyte and 60,000 values.
const (
	maxSize  = 4 << 20
	maxDepth = 30
	maxMarks = 400_000 // characters that can begin a value; they bound what the parser makes of the file
)

// readable refuses what no declaration needs, before the parser sees it.
func (d *decoder) readable(src []byte) bool {
	if len(src) > maxSize {
		d.problem(1, 1, "", "Split the declaration, or take out what is not one.", "The file is larger than %d MiB.", maxSize>>20)
		return false
	}
	if bytes.HasPrefix(src, []byte("\xef\xbb\xbf")) {
		d.problem(1, 1, "", "Save it as UTF-8 without a byte order mark.", "The file begins with a byte order mark.")
		return false
	}
	if bytes.IndexByte(src[:min(len(src), sniff)], 0) >= 0 {
		d.problem(1, 1, "", "Name the declaration, usually tillid.yaml.", "The file is not a text.")
		return false
	}
	marks := 0
	for i, line := range d.lines {
		if marks += countMarks(line); marks > maxMarks {
			d.problem(i+1, 1, "", "Split the declaration.", "The file has more than about %d values.", maxMarks)
			return false
		}
		for col, r := range strings.TrimSuffix(line, "\r") {
			if what := unwanted(r, line[col:]); what != "" {
				d.problem(i+1, utf8.RuneCountInString(line[:col])+1, "", "Take the character out, and save the file as UTF-8.", "The line holds %s.", what)
				break
			}
		}
	}
	return len(d.problems) == 0
}

// sniff is how far into a file a byte zero says that it is no text at all.
const sniff = 512

// countMarks returns how many values can begin on a line at most: one, and one
// behind each character that separates values.
func countMarks(line string) int {
	n := 1
	for i := range len(line) {
		switch line[i] {
		case ',', '[', '{', ':', '-', '?', '&', '*', '!':
			n++
		}
	}
	return n
}

// unwanted says what is wrong with a character: not UTF-8, a control
// character, a line break that editors do not show as one, or a mark that
// reverses the direction of text and so hides what it says.
func unwanted(r rune, rest string) string {
	switch {
	case r == utf8.RuneError && !strings.HasPrefix(rest, "\uFFFD"):
		return "bytes that are not UTF-8"
	case r == '\t':
		return ""
	case unicode.IsControl(r):
		return fmt.Sprintf("the control character U+%04X", r)
	case r == 0x2028, r == 0x2029, r == 0xFEFF:
		return fmt.Sprintf("the invisible character U+%04X", r)
	case r >= 0x202A && r <= 0x202E, r >= 0x2066 && r <= 0x2069, r == 0x200E, r == 0x200F, r == 0x061C:
		return fmt.Sprintf("the direction mark U+%04X, which hides what a line says", r)
	}
	return ""
}

// parse reads the one document of src as nodes; nil when there is a problem.
func (d *decoder) parse(src []byte) *yaml.Node {
	loader, err := yaml.NewLoader(bytes.NewReader(src), yaml.WithV4Defaults(),
		yaml.WithPlugin(loaderlimits.New(loaderlimits.DepthValue(2*maxDepth))))
	if err != nil {
		panic("policy: yaml options: " + err.Error()) // they are constants
	}
	var doc, second yaml.Node
	if err := loader.Load(&doc); err != nil && !errors.Is(err, io.EOF) {
		d.syntax(err)
		return nil
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 {
		d.problem(1, 1, "", "tillid init writes a first declaration.", "The file is empty.")
		return nil
	}
	switch err := loader.Load(&second); {
	case err == nil:
		d.problem(max(second.Line, 1), 1, "", "Keep one document; take out the line with ---.", "The file holds more than one document.")
	case !errors.Is(err, io.EOF):
		d.syntax(err)
	}
	d.plain(doc.Content[0], 1)
	if len(d.problems) > 0 {
		return nil
	}
	return doc.Content[0]
}

// syntax reports what the parser says of a file that is not YAML.
func (d *decoder) syntax(err error) {
	line, col, msg, opened := 1, 1, strings.TrimPrefix(err.Error(), "yaml: "), 0
	var e *yaml.LoadError
	if errors.As(err, &e) {
		line, col, msg, opened = max(e.Mark.Line, 1), max(e.Mark.Column, 1), e.Message, e.ContextMark.Line
		if strings.Contains(msg, "end of stream") && opened > 0 {
			line, col = opened, max(e.ContextMark.Column, 1) // the end of the file says nothing
		}
	}
	for line > 1 && strings.TrimSpace(d.line(line)) == "" {
		line, col = line-1, 1 // noticed only behind the line that is wrong
	}
	if strings.Contains(msg, "max depth") {
		d.problem(line, col, "", "Nest less.", "The file is nested more than %d levels deep.", maxDepth)
		return
	}
	d.problem(line, col, "", mend(msg, d.line(line), opened), "This is not YAML: %s.", strings.ToValidUTF8(strings.TrimSuffix(msg[:min(len(msg), 200)], "."), ""))
}

// mend says what is most often behind a message of the parser about a line.
func mend(msg, line string, opened int) string {
	indent := line[:len(line)-len(strings.TrimLeft(line, " \t"))]
	switch {
	case strings.Contains(indent, "\t"):
		return "Indent with spaces; YAML does not take tabs."
	case strings.Contains(msg, "unknown anchor"):
		return "Text that begins with * needs quotes. Anchors and aliases (& and *) are not used in declarations."
	case strings.Contains(msg, "mapping values are not allowed"):
		return "Text with a colon and a space in it needs quotes; or the line is indented too far."
	case strings.Contains(msg, "cannot start any token"):
		return "Text that begins with @, ` or % needs quotes."
	case strings.Contains(msg, "end of stream"):
		return "The quote is opened here and not closed."
	case strings.Contains(msg, "',' or"):
		return fmt.Sprintf("The bracket that opens on line %d is not closed, or a comma is missing.", opened)
	}
	return "Look at the indentation, the quotes and the colons of this line and the one before."
}

// plain refuses YAML that makes a file mean something else than it shows:
// anchors, aliases, merge keys, tags of one's own, characters hidden behind
// escapes; and files that nest too deeply.
func (d *decoder) plain(n *yaml.Node, level int) {
	switch {
	case d.full():
		return
	case level > maxDepth:
		d.at(n, "", "Nest less.", "The file is nested more than %d levels deep.", maxDepth)
		return
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		d.at(n, "", "Write the value out in each place.", "Anchors and aliases (& and *) are not used in declarations.")
		return
	case n.Tag == "!!merge":
		d.at(n, "", "Write the values out in each place.", "Merge keys (<<) are not used in declarations.")
		return
	case n.Style&yaml.TaggedStyle != 0:
		d.at(n, "", "Take the tag out.", "Tags (!) are not used in declarations.")
		return
	case n.Style&yaml.DoubleQuotedStyle != 0:
		for i, r := range n.Value {
			if what := unwanted(r, n.Value[i:]); what != "" && r != '\n' {
				d.at(n, "", "Take the escape out.", "An escape in the text stands for %s.", what)
				return
			}
		}
	}
	for _, c := range n.Content {
		d.plain(c, level+1)
	}
}
