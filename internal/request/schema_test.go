package request

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite docs/access-pack.schema.json")

const schemaFile = "../../docs/access-pack.schema.json"

// schemaOf writes the JSON Schema of a type of this package from its tags.
func schemaOf(t reflect.Type) map[string]any {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return map[string]any{"type": "string", "format": "date-time"}
	case t.Kind() == reflect.String:
		return map[string]any{"type": "string"}
	case t.Kind() == reflect.Slice:
		return map[string]any{"type": "array", "items": schemaOf(t.Elem())}
	case t.Kind() == reflect.Struct:
		properties, required := map[string]any{}, []string{}
		for i := range t.NumField() {
			f := t.Field(i)
			name, option, _ := strings.Cut(f.Tag.Get("json"), ",")
			p := schemaOf(f.Type)
			p["description"] = f.Tag.Get("doc")
			properties[name] = p
			if option != "omitempty" {
				required = append(required, name)
			}
		}
		return map[string]any{"type": "object", "properties": properties, "required": required, "additionalProperties": false}
	}
	panic(t)
}

// The published schema is the one of the types.
func TestSchemaFresh(t *testing.T) {
	schema := schemaOf(reflect.TypeFor[Pack]())
	schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	schema["title"] = "Access pack"
	schema["description"] = "What /privacy/me/data.json answers: everything that is held about a person (GDPR Art. 15 and 20)."
	want, err := json.MarshalIndent(schema, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	want = append(want, '\n')
	if *update {
		if err := os.WriteFile(schemaFile, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(schemaFile)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s is not fresh (%v): run go test ./internal/request -update", schemaFile, err)
	}
}

// fits checks v against the part of JSON Schema that schemaOf writes.
func fits(schema map[string]any, v any, at string) error {
	switch schema["type"] {
	case "string":
		s, ok := v.(string)
		if !ok {
			return fmt.Errorf("%s: %T instead of a string", at, v)
		}
		if schema["format"] == "date-time" {
			if _, err := time.Parse(time.RFC3339Nano, s); err != nil {
				return fmt.Errorf("%s: %w", at, err)
			}
		}
	case "array":
		list, ok := v.([]any)
		if !ok {
			return fmt.Errorf("%s: %T instead of a list", at, v)
		}
		for i, e := range list {
			if err := fits(schema["items"].(map[string]any), e, fmt.Sprintf("%s[%d]", at, i)); err != nil {
				return err
			}
		}
	case "object":
		object, ok := v.(map[string]any)
		if !ok {
			return fmt.Errorf("%s: %T instead of an object", at, v)
		}
		properties := schema["properties"].(map[string]any)
		for name, e := range object {
			p, known := properties[name].(map[string]any)
			if !known {
				return fmt.Errorf("%s.%s is not in the schema", at, name)
			}
			if err := fits(p, e, at+"."+name); err != nil {
				return err
			}
		}
		for _, name := range schema["required"].([]any) {
			if _, there := object[name.(string)]; !there {
				return fmt.Errorf("%s.%s is missing", at, name)
			}
		}
	}
	return nil
}

// What people download fits the published schema.
//
// Rows: E9.
func TestPackFitsSchema(t *testing.T) {
	raw, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	var schema map[string]any
	if err := json.Unmarshal(raw, &schema); err != nil {
		t.Fatal(err)
	}
	h := lite(t)
	h.write(t, address, "hej")
	var pack any
	if err := json.Unmarshal(h.in(t, address).get("/privacy/me/data.json").Body.Bytes(), &pack); err != nil {
		t.Fatal(err)
	}
	if err := fits(schema, pack, "pack"); err != nil {
		t.Error(err)
	}
	broken := pack.(map[string]any)
	broken["more"] = "x"
	if fits(schema, broken, "pack") == nil {
		t.Error("the check lets anything through")
	}
	if !slices.Contains(schema["required"].([]any), any("records")) {
		t.Error("records are not required")
	}
}
