package policy

import (
	"encoding"
	"encoding/json"
	"reflect"
	"regexp"
	"strings"

	"github.com/tillid/tillid/internal/text"
)

// JSONSchema returns the JSON Schema (draft 2020-12) of tillid.yaml, made from
// the same table as the checker, for editors.
func JSONSchema() []byte {
	root := structSchema(reflect.TypeFor[Declaration]())
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["title"] = "Tillid declaration"
	b, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		panic("policy: schema: " + err.Error()) // maps, strings and lists only
	}
	return append(b, '\n')
}

type object = map[string]any

func structSchema(t reflect.Type) object {
	properties, required := object{}, []string{}
	for i := range t.NumField() {
		f := t.Field(i)
		name := f.Tag.Get("yaml")
		if name == "" || name == ",key" {
			continue
		}
		s := typeSchema(f.Type, f.Tag)
		if doc := f.Tag.Get("doc"); doc != "" {
			s["description"] = doc
		}
		properties[name] = s
		if f.Tag.Get("need") == "yes" {
			required = append(required, name)
			if s["type"] == "array" {
				s["minItems"] = 1
			}
		}
	}
	s := object{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		s["required"] = required
	}
	return s
}

func typeSchema(t reflect.Type, tag reflect.StructTag) object {
	switch {
	case t == reflect.TypeFor[Date]():
		return object{"type": "string", "format": "date"}
	case t == reflect.TypeFor[Duration]():
		return object{"type": "string", "pattern": isoDuration.String()}
	case t == reflect.TypeFor[text.Lang]():
		return object{"enum": text.Langs()}
	case t == reflect.TypeFor[text.Text]():
		languages := object{}
		for _, l := range text.Langs() {
			languages[string(l)] = object{"type": "string"}
		}
		return object{"type": "object", "properties": languages, "additionalProperties": false}
	case t.Implements(reflect.TypeFor[encoding.TextMarshaler]()):
		return object{"type": "string"}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return typeSchema(t.Elem(), tag)
	case reflect.Struct:
		return structSchema(t)
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Struct && keyField(t.Elem()) >= 0 {
			shape, _ := keyOf(t.Elem())
			return object{"type": "object", "additionalProperties": structSchema(t.Elem()), "propertyNames": object{"pattern": shape.String()}}
		}
		return object{"type": "array", "items": typeSchema(t.Elem(), tag)}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Int:
		return object{"type": "integer", "minimum": 0}
	}
	if enum := tag.Get("enum"); enum != "" {
		return object{"enum": strings.Split(enum, "|")}
	}
	return stringSchema(tag.Get("format"))
}

// stringSchema returns what a plain value of that format may be. The checker
// takes every value as it is written, so that a number needs no quotes.
func stringSchema(format string) object {
	s := object{"type": []string{"string", "number"}}
	switch format {
	case "email":
		s["format"] = "email"
	case "url":
		s["format"] = "uri"
	}
	for name, re := range map[string]*regexp.Regexp{
		"source": sourceHost, "sha256": hexDigest, "cvr": eightDigit, "phone": phoneShape,
		"name": fieldName, "colour": hexColour, "law": lawPack, "event": eventName,
	} {
		if name == format {
			s["pattern"] = re.String()
		}
	}
	return s
}
