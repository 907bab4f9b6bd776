package policy

import (
	"bytes"
	"encoding"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
	"go.yaml.in/yaml/v4/plugin/loaderlimits"

	"github.com/tillid/tillid/internal/text"
)

// Limits of a declaration file. Two thousand cookies and five hundred
// processors fit into about one mebibyte.
const (
	maxSize    = 4 << 20
	maxDepth   = 30
	maxNodes   = 400_000
	maxProblem = 200 // problems reported at once; more would not be read
)

// decoder walks the nodes of a file along the table (the struct tags of
// Declaration), and notes every problem and the place of every path.
type decoder struct {
	name      string
	lines     []string
	problems  []Problem
	positions map[string]Pos
	refs      []reference
}

// reference is a name that must be an entry of a section.
type reference struct {
	section, id, path string
	node              *yaml.Node
}

func newDecoder(name string, src []byte) *decoder {
	return &decoder{name: name, lines: strings.Split(string(src), "\n"), positions: map[string]Pos{}}
}

func (d *decoder) problem(line, col int, path, hint, format string, args ...any) {
	if len(d.problems) >= maxProblem {
		return
	}
	p := Problem{Pos: Pos{d.name, line, col}, Path: path, Msg: fmt.Sprintf(format, args...), Hint: hint}
	if line >= 1 && line <= len(d.lines) {
		p.Text = strings.TrimRight(d.lines[line-1], "\r")
	}
	d.problems = append(d.problems, p)
}

func (d *decoder) at(n *yaml.Node, path, hint, format string, args ...any) {
	d.problem(n.Line, n.Column, path, hint, format, args...)
}

// readable refuses what no declaration needs before the parser sees it.
func (d *decoder) readable(src []byte) bool {
	if len(src) > maxSize {
		d.problem(1, 1, "", "Split the declaration, or take out what is not one.", "The file is larger than %d MiB.", maxSize>>20)
		return false
	}
	if bytes.HasPrefix(src, []byte("\xef\xbb\xbf")) {
		d.problem(1, 1, "", "Save it as UTF-8 without a byte order mark.", "The file begins with a byte order mark.")
		return false
	}
	for i, line := range d.lines {
		for col, r := range line {
			if hint := unwanted(r, line[col:]); hint != "" {
				d.problem(i+1, utf8.RuneCountInString(line[:col])+1, "", "Take the character out, or save the file as UTF-8.", "The line holds %s.", hint)
				return false
			}
		}
	}
	return true
}

// unwanted says what is wrong with a character: not UTF-8, a control
// character, or one that reverses the direction of text and so hides what it says.
func unwanted(r rune, rest string) string {
	switch {
	case r == utf8.RuneError && !strings.HasPrefix(rest, "\uFFFD"):
		return "bytes that are not UTF-8"
	case r == '\t' || r == '\r':
		return ""
	case unicode.IsControl(r):
		return fmt.Sprintf("the control character U+%04X", r)
	case r >= 0x202A && r <= 0x202E, r >= 0x2066 && r <= 0x2069:
		return fmt.Sprintf("the direction mark U+%04X, which hides what a line says", r)
	}
	return ""
}

// parse reads the one document of src as nodes.
func (d *decoder) parse(src []byte) *yaml.Node {
	dec, err := yaml.NewLoader(bytes.NewReader(src), yaml.WithV4Defaults(), yaml.WithPlugin(loaderlimits.New(loaderlimits.DepthValue(2*maxDepth))))
	if err != nil {
		panic("policy: yaml options: " + err.Error()) // they are constants
	}
	var doc yaml.Node
	if err := dec.Load(&doc); err != nil {
		if errors.Is(err, io.EOF) {
			d.problem(1, 1, "", "tillid init writes a first declaration.", "The file is empty.")
			return nil
		}
		d.syntax(err)
		return nil
	}
	var second yaml.Node
	if err := dec.Load(&second); !errors.Is(err, io.EOF) {
		d.problem(max(second.Line, 1), 1, "", "Keep one document; take out the line with ---.", "The file holds more than one document.")
		return nil
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 {
		d.problem(1, 1, "", "tillid init writes a first declaration.", "The file is empty.")
		return nil
	}
	nodes := 0
	d.plain(doc.Content[0], 0, &nodes)
	if len(d.problems) > 0 {
		return nil
	}
	return doc.Content[0]
}

var lineOf = regexp.MustCompile(`line (\d+)`)

func (d *decoder) syntax(err error) {
	line := 1
	if m := lineOf.FindStringSubmatch(err.Error()); m != nil {
		line, _ = strconv.Atoi(m[1])
	}
	msg := strings.TrimPrefix(err.Error(), "yaml: ")
	d.problem(line, 1, "", "Look at the indentation, the quotes and the colons of this line and the one before.", "This is not YAML: %s.", strings.TrimSuffix(msg, "."))
}

// plain refuses YAML that makes a file mean something else than it shows:
// anchors, aliases, merge keys, tags of one's own; and files too deep or large.
func (d *decoder) plain(n *yaml.Node, level int, nodes *int) {
	*nodes++
	switch {
	case *nodes == maxNodes:
		d.at(n, "", "Split the declaration.", "The file has more than %d values.", maxNodes)
		return
	case *nodes > maxNodes:
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
	}
	for _, c := range n.Content {
		d.plain(c, level+1, nodes)
	}
}

// value decodes n into v, whose field carries tag.
func (d *decoder) value(n *yaml.Node, v reflect.Value, path string, tag reflect.StructTag) {
	d.positions[path] = Pos{d.name, n.Line, n.Column}
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		d.scalarText(n, u, path)
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		d.value(n, v.Elem(), path, tag)
	case reflect.Struct:
		d.structure(n, v, path)
	case reflect.Map:
		d.textMap(n, v, path)
	case reflect.Slice:
		d.slice(n, v, path, tag)
	case reflect.String:
		d.text(n, v, path, tag)
	case reflect.Bool:
		d.boolean(n, v, path)
	case reflect.Int:
		d.integer(n, v, path)
	default:
		panic("policy: the table has a field of kind " + v.Kind().String())
	}
}

func (d *decoder) scalar(n *yaml.Node, path, want string) bool {
	if n.Kind == yaml.ScalarNode && n.Tag != "!!null" {
		return true
	}
	what := map[yaml.Kind]string{yaml.MappingNode: "a mapping", yaml.SequenceNode: "a list", yaml.ScalarNode: "nothing"}[n.Kind]
	d.at(n, path, "", "%s must be %s, and is %s.", last(path), want, what)
	return false
}

func (d *decoder) scalarText(n *yaml.Node, u encoding.TextUnmarshaler, path string) {
	if !d.scalar(n, path, "a single value") {
		return
	}
	if err := u.UnmarshalText([]byte(n.Value)); err != nil {
		d.at(n, path, "", "%s: %v.", last(path), err)
	}
}

func (d *decoder) text(n *yaml.Node, v reflect.Value, path string, tag reflect.StructTag) {
	if !d.scalar(n, path, "text") {
		return
	}
	v.SetString(n.Value)
	if v.Type() == reflect.TypeFor[text.Lang]() {
		if !slices.Contains(text.Langs(), text.Lang(n.Value)) {
			d.at(n, path, "Known: da, en.", "%q is not a language of this program.", n.Value)
		}
		return
	}
	if enum := tag.Get("enum"); enum != "" {
		if words := strings.Split(enum, "|"); !slices.Contains(words, n.Value) {
			d.at(n, path, meant(n.Value, words, "One of: "+strings.Join(words, ", ")+"."), "%s cannot be %q.", last(path), n.Value)
		}
	}
	if format := tag.Get("format"); format != "" {
		if hint := wrongFormat(format, n.Value); hint != "" {
			d.at(n, path, hint, "%s cannot be %q.", last(path), n.Value)
		}
	}
	if section := tag.Get("ref"); section != "" {
		d.refs = append(d.refs, reference{section, n.Value, path, n})
	}
}

func (d *decoder) boolean(n *yaml.Node, v reflect.Value, path string) {
	if !d.scalar(n, path, "true or false") {
		return
	}
	if n.Value != "true" && n.Value != "false" {
		d.at(n, path, "", "%s must be true or false, and is %q.", last(path), n.Value)
		return
	}
	v.SetBool(n.Value == "true")
}

func (d *decoder) integer(n *yaml.Node, v reflect.Value, path string) {
	if !d.scalar(n, path, "a whole number") {
		return
	}
	i, err := strconv.ParseInt(n.Value, 10, 32)
	if err != nil || i < 0 {
		d.at(n, path, "", "%s must be a whole number, and is %q.", last(path), n.Value)
		return
	}
	v.SetInt(i)
}

// textMap decodes a text in several languages. A bare string is refused: in which
// language would it be?
func (d *decoder) textMap(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.MappingNode {
		d.at(n, path, "Write {da: …, en: …}.", "%s must be a text in each language.", last(path))
		return
	}
	t := text.Text{}
	d.pairs(n, path, func(key, value *yaml.Node, at string) {
		l := text.Lang(key.Value)
		if !slices.Contains(text.Langs(), l) {
			hint := "Known: da, en."
			if strings.Contains(key.Value, " ") {
				hint = "A text with a comma inside {…} needs quotes: {da: \"a, b\", en: \"a, b\"}."
			}
			d.at(key, at, hint, "%q is not a language of this program.", key.Value)
			return
		}
		d.positions[at] = Pos{d.name, value.Line, value.Column}
		if d.scalar(value, at, "text") {
			t[l] = value.Value
		}
	})
	v.Set(reflect.ValueOf(t))
}

// pairs calls f for each pair of a mapping; a key that stands twice is a problem.
func (d *decoder) pairs(n *yaml.Node, path string, f func(key, value *yaml.Node, at string)) {
	first := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Kind != yaml.ScalarNode {
			d.at(key, path, "", "A key must be a single word.")
			continue
		}
		at := join(path, key.Value)
		if line, twice := first[key.Value]; twice {
			d.at(key, at, "Keep one of them.", "%q stands here a second time; the first is on line %d.", key.Value, line)
			continue
		}
		first[key.Value] = key.Line
		f(key, value, at)
	}
}

// slice decodes a list, or, where the entries carry their own key, a mapping.
func (d *decoder) slice(n *yaml.Node, v reflect.Value, path string, tag reflect.StructTag) {
	elem := v.Type().Elem()
	if elem.Kind() == reflect.Struct && keyField(elem) >= 0 {
		d.keyed(n, v, path)
		return
	}
	if n.Kind != yaml.SequenceNode {
		d.at(n, path, "Write [a, b], or one entry per line after a dash.", "%s must be a list.", last(path))
		return
	}
	list := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, c := range n.Content {
		d.value(c, list.Index(i), fmt.Sprintf("%s[%d]", path, i), tag)
	}
	v.Set(list)
}

var entryKey = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.*-]{0,99}$`)

func (d *decoder) keyed(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.MappingNode {
		d.at(n, path, "Give each entry a name: name: {…}.", "%s must be a mapping of named entries.", last(path))
		return
	}
	elem := v.Type().Elem()
	list := reflect.MakeSlice(v.Type(), 0, len(n.Content)/2)
	d.pairs(n, path, func(key, value *yaml.Node, at string) {
		if !entryKey.MatchString(key.Value) {
			d.at(key, at, "Letters, digits, _ and -, beginning with a letter.", "%q cannot be a name.", key.Value)
			return
		}
		one := reflect.New(elem).Elem()
		d.structure(value, one, at)
		one.Field(keyField(elem)).SetString(key.Value)
		d.positions[at] = Pos{d.name, key.Line, key.Column}
		list = reflect.Append(list, one)
	})
	v.Set(list)
}

// keyField returns the index of the field tagged ",key", or -1.
func keyField(t reflect.Type) int {
	for i := range t.NumField() {
		if t.Field(i).Tag.Get("yaml") == ",key" {
			return i
		}
	}
	return -1
}

func (d *decoder) structure(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.MappingNode {
		d.at(n, path, "", "%s must be a mapping, with a key and a colon on each line.", last(path))
		return
	}
	fields := map[string]int{}
	var names []string
	for i := range v.NumField() {
		if name := v.Type().Field(i).Tag.Get("yaml"); name != "" && name != ",key" {
			fields[name] = i
			names = append(names, name)
		}
	}
	seen := map[string]bool{}
	d.pairs(n, path, func(key, value *yaml.Node, at string) {
		i, ok := fields[key.Value]
		if !ok {
			d.at(key, at, meant(key.Value, names, "Known here: "+strings.Join(names, ", ")+"."), "%q is not known%s.", key.Value, inside(path))
			return
		}
		seen[key.Value] = true
		if value.Kind == yaml.ScalarNode && value.Tag == "!!null" {
			d.at(key, at, "Give it a value, or take the line out.", "%s is empty.", key.Value)
			return
		}
		d.value(value, v.Field(i), at, v.Type().Field(i).Tag)
	})
	for _, name := range names {
		if v.Type().Field(fields[name]).Tag.Get("need") == "yes" && !seen[name] {
			d.at(n, join(path, name), v.Type().Field(fields[name]).Tag.Get("doc"), "%q is missing%s.", name, inside(path))
		}
	}
}

func inside(path string) string {
	if path == "" {
		return ""
	}
	return " in " + path
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func last(path string) string {
	if path == "" {
		return "The declaration"
	}
	return path[strings.LastIndex(path, ".")+1:]
}

// meant returns "Did you mean …?" when a word is close to one of words, else other.
func meant(have string, words []string, other string) string {
	best, at := "", 3
	for _, w := range words {
		if n := distance(strings.ToLower(have), strings.ToLower(w)); n < at && n < max(2, len(w)/2+1) {
			best, at = w, n
		}
	}
	if best == "" {
		return other
	}
	return "Did you mean " + best + "?"
}

// distance is the Levenshtein distance, bounded by the length of its input.
func distance(a, b string) int {
	if len(a) > 60 || len(b) > 60 {
		return 60
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := before
			if a[i] != b[j] {
				cost++
			}
			before = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
