package policy

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/tillid/tillid/internal/text"
)

// Change classes: what a change of the declaration owes to people.
const (
	Editorial = "A" // nothing that people must be told before it takes effect
	Notice    = "B" // new purpose, recipient, transfer, data or longer retention: told before it takes effect (Art. 13(3))
	Reconsent = "C" // what a consent covers was altered: old consents do not cover it
)

// Kinds of change.
const (
	Added   = "added"
	Removed = "removed"
	Changed = "changed"
)

// Change is one difference between two declarations.
type Change struct {
	Path  string    `json:"path"`
	Kind  string    `json:"kind"`
	Class string    `json:"class"`
	Text  text.Text `json:"text"` // in words
}

// Diff says what changed from one declaration to another, in words, in the order of the
// new file, what is gone last. An entry that was added or removed is one change,
// whatever it holds. It is empty when only comments, layout or files beside the
// declaration changed.
func Diff(from, to *Plan) []Change {
	before, after := flatten(&from.Declaration), flatten(&to.Declaration)
	var list []Change
	told := map[string]bool{}
	one := func(l leaf, kind string, other *flat, old, new string) {
		if whole := l.missing(other); whole != "" {
			if !told[whole] {
				told[whole] = true
				list = append(list, describe(from, to, whole, kind, "", ""))
			}
			return
		}
		list = append(list, describe(from, to, l.path, kind, old, new))
	}
	for _, l := range after.leaves {
		old, was := before.value(l.path)
		switch {
		case !was:
			one(l, Added, before, "", l.value)
		case old != l.value:
			one(l, Changed, before, old, l.value)
		}
	}
	for _, l := range before.leaves {
		if _, is := after.value(l.path); !is {
			one(l, Removed, after, l.value, "")
		}
	}
	return list
}

// leaf is one plain value of a declaration.
type leaf struct {
	path    string
	entries []string // paths of the named or numbered entries that it belongs to, the outermost first
	value   string
}

// missing returns the outermost entry of l that other has not, or "".
func (l leaf) missing(other *flat) string {
	for _, e := range l.entries {
		if _, has := other.index[e]; !has {
			return e
		}
	}
	return ""
}

// flat is a declaration as a list of plain values; an entry itself is one too.
type flat struct {
	leaves []leaf
	index  map[string]int
}

func flatten(d *Declaration) *flat {
	f := &flat{index: map[string]int{}}
	f.walk(reflect.ValueOf(d).Elem(), "", nil)
	return f
}

func (f *flat) value(path string) (string, bool) {
	i, ok := f.index[path]
	if !ok {
		return "", false
	}
	return f.leaves[i].value, true
}

func (f *flat) add(path string, entries []string, value string) {
	if value == "" {
		return
	}
	f.index[path] = len(f.leaves)
	f.leaves = append(f.leaves, leaf{path, entries, value})
}

func (f *flat) walk(v reflect.Value, path string, entries []string) {
	if m, ok := v.Interface().(encoding.TextMarshaler); ok && v.Kind() == reflect.Struct {
		b, _ := m.MarshalText() // dates and periods always have a form
		f.add(path, entries, string(b))
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		switch {
		case v.IsNil():
		case v.Elem().Kind() == reflect.Bool:
			f.add(path, entries, strconv.FormatBool(v.Elem().Bool())) // no is something else than unsaid
		default:
			f.walk(v.Elem(), path, entries)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if name := v.Type().Field(i).Tag.Get("yaml"); name != "" && name != ",key" {
				f.walk(v.Field(i), join(path, name), entries)
			}
		}
	case reflect.Map:
		t, _ := v.Interface().(text.Text)
		for _, l := range text.Langs() {
			f.add(join(path, string(l)), entries, t[l])
		}
	case reflect.Slice:
		f.list(v, path, entries)
	case reflect.Bool:
		if v.Bool() {
			f.add(path, entries, "true")
		}
	case reflect.Int:
		if v.Int() != 0 {
			f.add(path, entries, fmt.Sprint(v.Int()))
		}
	default:
		f.add(path, entries, v.String())
	}
}

func (f *flat) list(v reflect.Value, path string, entries []string) {
	elem := v.Type().Elem()
	if elem.Kind() == reflect.String {
		words := make([]string, v.Len())
		for i := range words {
			words[i] = v.Index(i).String()
		}
		f.add(path, entries, strings.Join(words, ", "))
		return
	}
	key := keyField(elem)
	for i := range v.Len() {
		at := fmt.Sprintf("%s[%d]", path, i)
		if key >= 0 {
			at = join(path, v.Index(i).Field(key).String())
		}
		in := append(slices.Clip(entries), at)
		f.add(at, in, "there")
		f.walk(v.Index(i), at, in)
	}
}

// describe words a change and gives it its class. Without old and new, all that
// is at path came or went.
func describe(from, to *Plan, path, kind, old, new string) Change {
	plan := to
	if kind == Removed {
		plan = from
	}
	at, entry := plan.placeOf(path)
	c := Change{Path: path, Kind: kind, Class: class(from, to, at, kind, old, new), Text: text.Text{}}
	part := old == "" && new == "" && at.field != ""
	for _, l := range text.Langs() {
		noun, field := text.T(l, "policy.noun."+at.section), fieldWord(l, at.field)
		switch {
		case at.entry == "":
			c.Text[l] = text.T(l, "policy.section", "Noun", noun, "Field", field, "Old", valueWord(l, old), "New", valueWord(l, new))
		case part:
			c.Text[l] = text.T(l, "policy.part_"+kind, "Noun", noun, "Name", plan.called(at, entry).In(l), "Field", field)
		case at.field == "":
			c.Text[l] = text.T(l, "policy."+kind, "Noun", noun, "Name", plan.called(at, entry).In(l))
		default:
			c.Text[l] = text.T(l, "policy.changed", "Noun", noun, "Name", plan.called(at, entry).In(l),
				"Field", field, "Old", valueWord(l, old), "New", valueWord(l, new))
		}
	}
	return c
}

// fieldWord names what changed of an entry: the words of its last key that has some,
// else the path as it stands in the file.
func fieldWord(l text.Lang, field string) string {
	keys := strings.FieldsFunc(field, func(r rune) bool { return r == '.' || r == '[' || r == ']' })
	for _, k := range slices.Backward(keys) {
		if id := "policy.field." + k; text.Has(id) {
			return text.T(l, id)
		}
	}
	return field
}

// valueWord says a value: a period in words, nothing as a dash.
func valueWord(l text.Lang, v string) string {
	if v == "" {
		return "–"
	}
	if d, err := ParseDuration(v); err == nil {
		return text.Period(l, d.Years, d.Months, d.Weeks, d.Days, d.Hours, d.Minutes)
	}
	return v
}
