package policy

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

// The schema that editors use is the one that the table makes.
func TestSchemaIsFresh(t *testing.T) {
	golden(t, "../../docs/tillid.schema.json", JSONSchema())
}

// The schema takes what the checker takes, and refuses an unknown key and a wrong word.
func TestSchemaAgrees(t *testing.T) {
	var schema map[string]any
	if err := json.Unmarshal(JSONSchema(), &schema); err != nil {
		t.Fatal(err)
	}
	// Every key of the table is a property, and what the table needs is required.
	var walk func(path string, typ reflect.Type, s map[string]any)
	walk = func(path string, typ reflect.Type, s map[string]any) {
		for typ.Kind() == reflect.Pointer {
			typ = typ.Elem()
		}
		switch {
		case typ.Kind() == reflect.Slice && typ.Elem().Kind() == reflect.Struct && keyField(typ.Elem()) >= 0:
			walk(path+".*", typ.Elem(), s["additionalProperties"].(map[string]any))
		case typ.Kind() == reflect.Slice:
			walk(path+"[]", typ.Elem(), s["items"].(map[string]any))
		case typ.Kind() == reflect.Struct && s["type"] == "object":
			if s["additionalProperties"] != false {
				t.Errorf("%s takes unknown keys", path)
			}
			fields, names := fieldsOf(typ)
			for _, n := range names {
				f := typ.Field(fields[n])
				p, ok := s["properties"].(map[string]any)[n].(map[string]any)
				if !ok {
					t.Errorf("%s.%s is not in the schema", path, n)
					continue
				}
				if required, _ := json.Marshal(s["required"]); f.Tag.Get("need") == "yes" != strings.Contains(string(required), `"`+n+`"`) {
					t.Errorf("%s.%s: needed and required differ", path, n)
				}
				walk(path+"."+n, f.Type, p)
			}
		}
	}
	walk("", reflect.TypeFor[Declaration](), schema)
}

// Every field of the table that is not plain has a format that the checker knows,
// a section that exists, and every key says what it is for or is plain.
func TestTable(t *testing.T) {
	_, sections := fieldsOf(reflect.TypeFor[Declaration]())
	seen := map[reflect.Type]bool{}
	var walk func(reflect.Type)
	walk = func(typ reflect.Type) {
		for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice {
			typ = typ.Elem()
		}
		if typ.Kind() != reflect.Struct || seen[typ] {
			return
		}
		seen[typ] = true
		for i := range typ.NumField() {
			f := typ.Field(i)
			if f.Tag.Get("yaml") == "" && typ != reflect.TypeFor[Date]() && typ != reflect.TypeFor[Duration]() {
				t.Errorf("%s.%s has no key", typ.Name(), f.Name)
			}
			if format := f.Tag.Get("format"); format != "" && formats[format].ok == nil {
				t.Errorf("%s.%s has the unknown format %s", typ.Name(), f.Name, format)
			}
			if ref := f.Tag.Get("ref"); ref != "" && !strings.Contains(strings.Join(sections, " ")+" ", ref+" ") {
				t.Errorf("%s.%s refers to the unknown section %s", typ.Name(), f.Name, ref)
			}
			walk(f.Type)
		}
	}
	walk(reflect.TypeFor[Declaration]())
}
