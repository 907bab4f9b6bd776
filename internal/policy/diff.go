package policy

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/tillid/tillid/internal/text"
)

// Change classes: what a change of the declaration owes to people.
const (
	Editorial = "A" // nothing that people must be told before it takes effect
	Notice    = "B" // new purpose, recipient, transfer, data or longer retention: told before it takes effect (Art. 13(3))
	Reconsent = "C" // what a consent covers was altered: old consents do not cover it
)

// Change is one difference between two declarations.
type Change struct {
	Path  string    `json:"path"`
	Kind  string    `json:"kind"` // added, removed, changed
	Class string    `json:"class"`
	Text  text.Text `json:"text"` // in words
}

// Diff says what changed from one declaration to another, in words, in the order of the
// new file. An entry that was added or removed is one change, whatever it holds.
func Diff(from, to *Plan) []Change {
	before, after := flatten(&from.Declaration), flatten(&to.Declaration)
	var list []Change
	covered := func(path string) bool {
		return slices.ContainsFunc(list, func(c Change) bool {
			return c.Kind != "changed" && (strings.HasPrefix(path, c.Path+".") || strings.HasPrefix(path, c.Path+"["))
		})
	}
	for _, leaf := range after.leaves {
		old, was := before.value(leaf.path)
		switch {
		case covered(leaf.path), was && old.value == leaf.value:
		case !was:
			list = append(list, entryOr(from, to, leaf, "added", "", leaf.value, before))
		default:
			list = append(list, describe(from, to, leaf, "changed", old.value, leaf.value))
		}
	}
	for _, leaf := range before.leaves {
		if _, is := after.value(leaf.path); !is && !covered(leaf.path) {
			list = append(list, entryOr(from, to, leaf, "removed", leaf.value, "", after))
		}
	}
	return list
}

// entryOr describes the whole entry when the other side has none of it, else the leaf.
func entryOr(from, to *Plan, leaf leaf, kind, old, new string, other *flat) Change {
	if leaf.entry != "" && !other.entries[leaf.entry] {
		leaf.path = leaf.entry
		old, new = "", ""
	}
	return describe(from, to, leaf, kind, old, new)
}

type leaf struct {
	path  string
	entry string // path of the named or numbered entry that it belongs to
	value string
}

type flat struct {
	leaves  []leaf
	index   map[string]int
	entries map[string]bool
}

func (f *flat) value(path string) (leaf, bool) {
	i, ok := f.index[path]
	if !ok {
		return leaf{}, false
	}
	return f.leaves[i], true
}

func flatten(d *Declaration) *flat {
	f := &flat{index: map[string]int{}, entries: map[string]bool{}}
	f.walk(reflect.ValueOf(d).Elem(), "", "")
	return f
}

func (f *flat) add(path, entry, value string) {
	if value == "" {
		return
	}
	f.index[path] = len(f.leaves)
	f.leaves = append(f.leaves, leaf{path, entry, value})
}

func (f *flat) walk(v reflect.Value, path, entry string) {
	if m, ok := v.Interface().(encoding.TextMarshaler); ok && v.Kind() == reflect.Struct {
		b, _ := m.MarshalText() // dates and periods always have a form
		f.add(path, entry, string(b))
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			f.walk(v.Elem(), path, entry)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if name := v.Type().Field(i).Tag.Get("yaml"); name != "" && name != ",key" {
				f.walk(v.Field(i), join(path, name), entry)
			}
		}
	case reflect.Map:
		t, _ := v.Interface().(text.Text)
		for _, l := range text.Langs() {
			f.add(join(path, string(l)), entry, t[l])
		}
	case reflect.Slice:
		f.list(v, path, entry)
	case reflect.Bool:
		if v.Bool() {
			f.add(path, entry, "true")
		} else if strings.HasSuffix(path, "automated_decision") || strings.HasSuffix(path, "profiling") || strings.HasSuffix(path, "appointed") {
			f.add(path, entry, "false")
		}
	case reflect.Int:
		if v.Int() != 0 {
			f.add(path, entry, fmt.Sprint(v.Int()))
		}
	default:
		f.add(path, entry, v.String())
	}
}

func (f *flat) list(v reflect.Value, path, entry string) {
	elem := v.Type().Elem()
	if elem.Kind() == reflect.String {
		words := make([]string, v.Len())
		for i := range words {
			words[i] = v.Index(i).String()
		}
		f.add(path, entry, strings.Join(words, ", "))
		return
	}
	key := keyField(elem)
	for i := range v.Len() {
		at := fmt.Sprintf("%s[%d]", path, i)
		if key >= 0 {
			at = join(path, v.Index(i).Field(key).String())
		}
		f.entries[at] = true
		f.walk(v.Index(i), at, at)
	}
}

// nouns are the words for a section's entries.
var nouns = map[string]text.Text{
	"sites":              {text.DA: "hjemmeside", text.EN: "website"},
	"parties":            {text.DA: "part", text.EN: "party"},
	"engagements":        {text.DA: "modtager", text.EN: "recipient"},
	"data":               {text.DA: "type af oplysning", text.EN: "category of data"},
	"people":             {text.DA: "gruppe af personer", text.EN: "category of people"},
	"purposes":           {text.DA: "formål", text.EN: "purpose"},
	"services":           {text.DA: "tjeneste", text.EN: "service"},
	"device_access":      {text.DA: "cookie", text.EN: "cookie"},
	"forms":              {text.DA: "formular", text.EN: "form"},
	"retention":          {text.DA: "slettefrist", text.EN: "retention rule"},
	"backups":            {text.DA: "sikkerhedskopi", text.EN: "backup"},
	"measures":           {text.DA: "sikkerhedsforanstaltning", text.EN: "measure"},
	"customer_agreement": {text.DA: "databehandleraftale", text.EN: "customer agreement"},
	"claims":             {text.DA: "påstand", text.EN: "claim"},
	"suppress":           {text.DA: "accepteret fund", text.EN: "accepted finding"},
}

// describe words a change and gives it its class.
func describe(from, to *Plan, l leaf, kind, old, new string) Change {
	c := Change{Path: l.path, Kind: kind, Class: class(from, to, l.path, kind, old, new)}
	section, _, _ := strings.Cut(l.path, ".")
	section, _, _ = strings.Cut(section, "[")
	noun := nouns[section]
	if noun == nil {
		noun = text.Text{text.DA: section, text.EN: section}
	}
	plan := to
	if kind == "removed" {
		plan = from
	}
	name := plan.nameOf(l.path)
	whole := old == "" && new == ""
	c.Text = text.Text{}
	for lang, verb := range map[text.Lang]map[string]string{
		text.DA: {"added": "Ny", "removed": "Udgået", "changed": "Ændret"},
		text.EN: {"added": "New", "removed": "Removed", "changed": "Changed"},
	} {
		detail := ""
		if !whole {
			detail = fmt.Sprintf(" (%s): %s", rest(l.path), arrow(old, new))
		}
		c.Text[lang] = fmt.Sprintf("%s %s: %s%s", verb[kind], noun.In(lang), name.In(lang), detail)
	}
	return c
}

func arrow(old, new string) string {
	switch {
	case old == "":
		return new
	case new == "":
		return old + " → –"
	}
	return old + " → " + new
}

// rest is the part of a path behind its section and entry.
func rest(path string) string {
	parts := strings.Split(path, ".")
	if len(parts) <= 2 {
		return path
	}
	return strings.Join(parts[2:], ".")
}

// nameOf returns what people call the entry of a path.
func (p *Plan) nameOf(path string) text.Text {
	section, tail, _ := strings.Cut(path, ".")
	v := reflect.ValueOf(&p.Declaration).Elem()
	for i := range v.NumField() {
		if v.Type().Field(i).Tag.Get("yaml") != section || v.Field(i).Kind() != reflect.Slice {
			continue
		}
		for j := range v.Field(i).Len() {
			if e := v.Field(i).Index(j); e.Kind() == reflect.Struct && keyField(e.Type()) >= 0 {
				id := e.Field(keyField(e.Type())).String()
				if tail == id || strings.HasPrefix(tail, id+".") || strings.HasPrefix(tail, id+"[") {
					return p.label(e, id)
				}
			}
		}
	}
	return text.Text{text.DA: path, text.EN: path}
}

func (p *Plan) label(e reflect.Value, id string) text.Text {
	if eng, ok := e.Interface().(Engagement); ok {
		if party := p.Party(eng.Party); party != nil {
			return text.Text{text.DA: party.LegalName, text.EN: party.LegalName}
		}
	}
	for _, name := range []string{"Label", "LegalName"} {
		switch f := e.FieldByName(name); {
		case !f.IsValid():
		case f.Kind() == reflect.Map && f.Len() > 0:
			return f.Interface().(text.Text)
		case f.Kind() == reflect.String && f.String() != "":
			return text.Text{text.DA: f.String(), text.EN: f.String()}
		}
	}
	return text.Text{text.DA: id, text.EN: id}
}
