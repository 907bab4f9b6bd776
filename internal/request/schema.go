package request

import (
	"encoding/json"
	"net/http"
	"reflect"
	"strings"
	"time"
)

// schemaOf writes the JSON Schema of a type of this package from its tags.
func schemaOf(t reflect.Type) map[string]any {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return map[string]any{"type": "string", "format": "date-time"}
	case t.Kind() == reflect.String:
		return map[string]any{"type": "string"}
	case t.Kind() == reflect.Int64:
		return map[string]any{"type": "integer"}
	case t.Kind() == reflect.Slice:
		return map[string]any{"type": "array", "items": schemaOf(t.Elem())}
	case t.Kind() == reflect.Struct:
		properties, required := map[string]any{}, []string{}
		for i := range t.NumField() {
			f := t.Field(i)
			name, option, _ := strings.Cut(f.Tag.Get("json"), ",")
			if !f.IsExported() {
				continue
			}
			p := schemaOf(f.Type)
			p["description"] = f.Tag.Get("doc")
			properties[name] = p
			if option != "omitempty" {
				required = append(required, name)
			}
		}
		return map[string]any{"type": "object", "properties": properties, "required": required, "additionalProperties": false}
	}
	panic("request: no schema for " + t.String())
}

// Schema is the published JSON Schema of the access pack and of the portable file.
func Schema() ([]byte, error) {
	schema := schemaOf(reflect.TypeFor[Pack]())
	schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	schema["title"] = "Access pack"
	schema["description"] = "What /privacy/me/data.json answers: everything that is held about a person (GDPR Art. 15). " +
		"/privacy/me/portable.json has the same shape and only what the person gave, on consent or contract (Art. 20)."
	b, err := json.MarshalIndent(schema, "", "  ")
	return append(b, '\n'), err
}

func serveSchema(w http.ResponseWriter, _ *http.Request) error {
	b, err := Schema()
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/schema+json")
	w.Header().Set("Cache-Control", "public, max-age=3600")
	w.Write(b)
	return nil
}
