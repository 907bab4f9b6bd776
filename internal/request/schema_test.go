package request

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite docs/access-pack.schema.json")

const schemaFile = "../../docs/access-pack.schema.json"

// The published schema is the one of the types.
func TestSchemaFresh(t *testing.T) {
	want, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
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
