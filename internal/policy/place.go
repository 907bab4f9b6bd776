package policy

import (
	"reflect"
	"strconv"
	"strings"

	"github.com/tillid/tillid/internal/text"
)

// place is a path taken apart: purposes.answer.legal_basis.art is the field
// legal_basis.art of the entry answer in the section purposes. The entry is ""
// in a section that has none (controller, rights), and a number in a plain list.
type place struct{ section, entry, field string }

// placeOf takes a path apart along the entries that the plan has, and returns the
// entry too. Names may hold dots, so the longest that fits counts.
func (p *Plan) placeOf(path string) (at place, entry reflect.Value) {
	section, tail, _ := strings.Cut(path, ".")
	name, index, numbered := strings.Cut(section, "[")
	list := sectionOf(&p.Declaration, name)
	if !list.IsValid() || list.Kind() != reflect.Slice || list.Type().Elem().Kind() != reflect.Struct {
		return place{section: name, field: tail}, entry
	}
	if numbered {
		at = place{name, strings.TrimSuffix(index, "]"), tail}
		if i, err := strconv.Atoi(at.entry); err == nil && i >= 0 && i < list.Len() {
			entry = list.Index(i)
		}
		return at, entry
	}
	key := keyField(list.Type().Elem())
	if key < 0 || tail == "" {
		return place{section: name, field: tail}, entry
	}
	id, field, _ := strings.Cut(tail, ".")
	at = place{name, id, field}
	longest := 0
	for i := range list.Len() {
		id := list.Index(i).Field(key).String()
		rest, fits := strings.CutPrefix(tail, id)
		if fits && len(id) > longest && (rest == "" || rest[0] == '.') {
			at, entry, longest = place{name, id, strings.TrimPrefix(rest, ".")}, list.Index(i), len(id)
		}
	}
	return at, entry
}

// sectionOf returns the section's value, or none.
func sectionOf(d *Declaration, name string) reflect.Value {
	v := reflect.ValueOf(d).Elem()
	for i := range v.NumField() {
		if v.Type().Field(i).Tag.Get("yaml") == name {
			return v.Field(i)
		}
	}
	return reflect.Value{}
}

// called returns what people call an entry: the company of a recipient, the
// label or name of anything else, and its id when it has neither.
func (p *Plan) called(at place, entry reflect.Value) text.Text {
	same := func(s string) text.Text { return text.Text{text.DA: s, text.EN: s} }
	if !entry.IsValid() {
		return same(at.entry)
	}
	if e, ok := entry.Interface().(Engagement); ok {
		if party := p.Party(e.Party); party != nil {
			return same(party.LegalName)
		}
	}
	for _, name := range []string{"Label", "LegalName", "Statement", "About", "Rule"} {
		switch f := entry.FieldByName(name); {
		case !f.IsValid():
		case f.Kind() == reflect.Map && f.Len() > 0:
			return f.Interface().(text.Text)
		case f.Kind() == reflect.String && f.String() != "":
			return same(f.String())
		}
	}
	return same(at.entry)
}
