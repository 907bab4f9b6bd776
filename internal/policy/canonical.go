package policy

import (
	"crypto/sha256"
	"encoding"
	"encoding/hex"
	"encoding/json"
	"reflect"
)

// hash is the sha256, in hex, of the canonical form of a declaration and the
// digests of the files it refers to, by their path in the declaration. The law
// packs are values of the declaration.
func hash(decl *Declaration, digests map[string]string) string {
	b, err := json.Marshal(map[string]any{"declaration": canonical(reflect.ValueOf(decl).Elem()), "files": digests})
	if err != nil {
		panic("policy: a declaration has no canonical form: " + err.Error()) // maps, lists and plain values only
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// canonical returns v as plain values whose JSON is the same for every file that
// says the same: comments, layout and the order of keys do not matter, and what
// is not said is left out, so that a key that a later version of the program adds
// changes no hash. The order of entries matters, because it is shown; named
// entries are a list, each with its name under "".
func canonical(v reflect.Value) any {
	if v.IsZero() {
		return nil
	}
	if m, ok := v.Interface().(encoding.TextMarshaler); ok && v.Kind() == reflect.Struct {
		b, _ := m.MarshalText() // dates and periods always have a form
		return string(b)
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.Elem().Kind() == reflect.Bool {
			return v.Elem().Bool() // false is something else than unsaid
		}
		if c := canonical(v.Elem()); c != nil {
			return c
		}
		return map[string]any{}
	case reflect.Struct:
		said := map[string]any{}
		for i := range v.NumField() {
			name := v.Type().Field(i).Tag.Get("yaml")
			if name == ",key" {
				name = ""
			}
			if c := canonical(v.Field(i)); c != nil {
				said[name] = c
			}
		}
		return said
	case reflect.Slice:
		if v.Len() == 0 {
			return nil
		}
		list := make([]any, v.Len())
		for i := range list {
			list[i] = canonical(v.Index(i))
		}
		return list
	case reflect.Map:
		if v.Len() == 0 {
			return nil
		}
	}
	return v.Interface()
}
