package policy

import (
	"encoding"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/tillid/tillid/internal/text"
)

// decoder walks the nodes of a file along the table (the struct tags of
// Declaration), and notes every problem and the place of every path.
type decoder struct {
	name      string
	lines     []string
	problems  []Problem
	unshown   int // problems beyond maxProblems
	positions map[string]Pos
	refs      []reference
	files     []fileRef
}

// maxProblems is how many problems are reported at once; nobody would read more.
const maxProblems = 200

func newDecoder(name string, src []byte) *decoder {
	if len(src) > maxSize {
		src = nil // refused anyway
	}
	return &decoder{name: name, lines: strings.Split(string(src), "\n"), positions: map[string]Pos{}}
}

// full reports whether there are as many problems as are shown.
func (d *decoder) full() bool { return len(d.problems) >= maxProblems }

// counted is full, and counts a problem that is then not worth wording: finding
// out what was meant takes time, and a file may have very many problems.
func (d *decoder) counted() bool {
	if d.full() {
		d.unshown++
		return true
	}
	return false
}

func (d *decoder) line(n int) string {
	if n < 1 || n > len(d.lines) {
		return ""
	}
	return strings.TrimRight(d.lines[n-1], "\r")
}

func (d *decoder) problem(line, col int, path, hint, format string, args ...any) {
	if d.counted() {
		return
	}
	d.problems = append(d.problems, Problem{
		Pos: Pos{d.name, line, col}, Path: path, Msg: fmt.Sprintf(format, args...), Hint: hint, Text: d.line(line),
	})
}

func (d *decoder) at(n *yaml.Node, path, hint, format string, args ...any) {
	d.problem(n.Line, n.Column, path, hint, format, args...)
}

// placed reports a problem of the value at path, which has been read.
func (d *decoder) placed(path, hint, format string, args ...any) {
	pos := d.positions[path]
	d.problem(max(pos.Line, 1), max(pos.Col, 1), path, hint, format, args...)
}

// value decodes n into v, whose field carries tag.
func (d *decoder) value(n *yaml.Node, v reflect.Value, path string, tag reflect.StructTag) {
	if _, ok := d.positions[path]; !ok {
		d.positions[path] = Pos{d.name, n.Line, n.Column}
	}
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
	hint := ""
	if n.Kind == yaml.MappingNode && n.Style&yaml.FlowStyle == 0 && len(n.Content) == 2 {
		hint = "Text with a colon and a space in it needs quotes."
	}
	d.at(n, path, hint, "%s must be %s, and is %s.", last(path), want, what)
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
			d.at(n, path, knownLanguages(), "%s is not a language of this program.", quote(n.Value))
		}
		return
	}
	if enum := tag.Get("enum"); enum != "" {
		if words := strings.Split(enum, "|"); !slices.Contains(words, n.Value) && !d.counted() {
			d.at(n, path, meant(n.Value, words, "One of: "+strings.Join(words, ", ")+"."), "%s cannot be %s.", last(path), quote(n.Value))
		}
	}
	if format := tag.Get("format"); format != "" {
		if hint := wrongFormat(format, n.Value); hint != "" {
			d.at(n, path, hint, "%s cannot be %s.", last(path), quote(n.Value))
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
		d.at(n, path, "", "%s must be true or false, and is %s.", last(path), quote(n.Value))
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
		d.at(n, path, "", "%s must be a whole number, and is %s.", last(path), quote(n.Value))
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
			hint := knownLanguages()
			if strings.Contains(key.Value, " ") {
				hint = "A text with a comma inside {…} needs quotes: {da: \"a, b\", en: \"a, b\"}."
			}
			d.at(key, at, hint, "%s is not a language of this program.", quote(key.Value))
			return
		}
		d.positions[at] = Pos{d.name, value.Line, value.Column}
		if d.scalar(value, at, "text") {
			t[l] = value.Value
		}
	})
	v.Set(reflect.ValueOf(t))
}

func knownLanguages() string {
	var words []string
	for _, l := range text.Langs() {
		words = append(words, string(l))
	}
	return "Known: " + strings.Join(words, ", ") + "."
}

// pairs calls f for each pair of a mapping; a key that stands twice is a problem.
func (d *decoder) pairs(n *yaml.Node, path string, f func(key, value *yaml.Node, at string)) {
	first := make(map[string]int, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Kind != yaml.ScalarNode || key.Value == "" {
			d.at(key, path, "", "A key must be a single word.")
			continue
		}
		at := join(path, key.Value)
		if line, twice := first[key.Value]; twice {
			d.at(key, at, "Keep one of them.", "%s stands here a second time; the first is on line %d.", quote(key.Value), line)
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
	seen := make(map[string]bool, len(n.Content))
	for i, c := range n.Content {
		at := fmt.Sprintf("%s[%d]", path, i)
		d.value(c, list.Index(i), at, tag)
		if elem.Kind() == reflect.String && c.Kind == yaml.ScalarNode {
			if seen[c.Value] {
				d.at(c, at, "Take one of them out.", "%s stands twice in %s.", quote(c.Value), last(path))
			}
			seen[c.Value] = true
		}
	}
	v.Set(list)
}

var (
	entryKey = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.*-]{0,99}$`)
	// storageKey is wider: names of cookies and of local storage are what others made them.
	storageKey = regexp.MustCompile(`^[A-Za-z0-9_./:!$%+@|~-][A-Za-z0-9_./:!$%+@|~*-]{0,99}$`)
)

// keyOf returns what the names of a section's entries look like, and says so in words.
func keyOf(elem reflect.Type) (*regexp.Regexp, string) {
	if elem == reflect.TypeFor[DeviceAccess]() {
		return storageKey, "Letters, digits and _ . / : ! $ % + @ | ~ -, and * at the end."
	}
	return entryKey, "Letters, digits, _ and -, beginning with a letter."
}

func (d *decoder) keyed(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.MappingNode {
		d.at(n, path, "Give each entry a name: name: {…}.", "%s must be a mapping of named entries.", last(path))
		return
	}
	elem := v.Type().Elem()
	key := keyField(elem)
	shape, hint := keyOf(elem)
	list := reflect.MakeSlice(v.Type(), 0, len(n.Content)/2)
	d.pairs(n, path, func(name, value *yaml.Node, at string) {
		if !shape.MatchString(name.Value) {
			d.at(name, at, hint, "%s cannot be a name.", quote(name.Value))
			return
		}
		d.positions[at] = Pos{d.name, name.Line, name.Column}
		one := reflect.New(elem).Elem()
		one.Field(key).SetString(name.Value)
		d.structure(value, one, at)
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

// structure decodes a mapping into a struct along its tags.
func (d *decoder) structure(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.MappingNode {
		d.at(n, path, "", "%s must be a mapping, with a key and a colon on each line.", last(path))
		return
	}
	fields, names := fieldsOf(v.Type())
	seen := map[string]bool{}
	d.pairs(n, path, func(key, value *yaml.Node, at string) {
		i, ok := fields[key.Value]
		if !ok {
			if !d.counted() {
				d.at(key, at, meant(key.Value, names, "Known here: "+strings.Join(names, ", ")+"."), "%s is not known%s.", quote(key.Value), inside(path))
			}
			return
		}
		seen[key.Value] = true
		if value.Kind == yaml.ScalarNode && value.Tag == "!!null" {
			d.at(key, at, "Give it a value, or take the line out.", "%s is empty.", key.Value)
			return
		}
		if value.Kind != yaml.ScalarNode && value.Style&yaml.FlowStyle == 0 {
			d.positions[at] = Pos{d.name, key.Line, key.Column} // where a person looks for a block
		}
		before := len(d.problems)
		f := v.Type().Field(i)
		d.value(value, v.Field(i), at, f.Tag)
		if f.Tag.Get("need") == "yes" && nothing(v.Field(i)) && len(d.problems) == before {
			d.at(value, at, f.Tag.Get("doc"), "%s is empty.", key.Value)
		}
		if kind := f.Tag.Get("format"); kind == "path" || kind == "document" {
			d.files = append(d.files, fileRef{at, v, i})
		}
	})
	for _, name := range names {
		if f := v.Type().Field(fields[name]); f.Tag.Get("need") == "yes" && !seen[name] {
			d.missing(n, path, name, f.Tag.Get("doc"))
		}
	}
}

// missing reports a key that is not there, at the name of the entry that lacks it.
func (d *decoder) missing(n *yaml.Node, path, name, doc string) {
	pos, ok := d.positions[path]
	if !ok {
		pos = Pos{Line: n.Line, Col: n.Column}
	}
	d.problem(pos.Line, pos.Col, join(path, name), doc, "%q is missing%s.", name, inside(path))
}

// fieldsOf returns the fields of a struct by their key, and the keys in order.
func fieldsOf(t reflect.Type) (fields map[string]int, names []string) {
	fields = make(map[string]int, t.NumField())
	for i := range t.NumField() {
		if name := t.Field(i).Tag.Get("yaml"); name != "" && name != ",key" {
			fields[name] = i
			names = append(names, name)
		}
	}
	return fields, names
}

// nothing reports whether a value that was given says nothing: "", [] or {}.
func nothing(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Slice, reflect.Map:
		return v.Len() == 0
	}
	return v.IsZero() && v.Kind() != reflect.Bool && v.Kind() != reflect.Int
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

// quote returns a value of the file for a sentence, cut when it is long.
func quote(s string) string {
	if r := []rune(s[:min(len(s), 400)]); len(r) > 80 {
		s = string(r[:80]) + "…"
	}
	return strconv.Quote(s)
}
