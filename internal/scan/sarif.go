package scan

import (
	"encoding/json"
	"io"
	"path/filepath"
	"slices"

	"github.com/tillid/tillid/internal/text"
)

// object is a piece of JSON whose shape another standard fixes.
type object = map[string]any

var sarifLevel = map[Severity]string{Error: "error", Warning: "warning", Info: "note"}

// WriteSARIF writes the findings as SARIF 2.1.0 (OASIS), for code hosts. A
// finding about something undeclared stands at the section where it is missing.
func (r *Report) WriteSARIF(w io.Writer, version string, l text.Lang) error {
	rules := []object{}
	for _, id := range Rules() {
		rules = append(rules, object{
			"id": id, "shortDescription": object{"text": text.T(l, "scan."+id+".title")},
			"defaultConfiguration": object{"level": sarifLevel[severities[id]]}, "properties": object{"article": articles[id]},
		})
	}
	results := []object{}
	for _, f := range r.Findings {
		results = append(results, object{
			"ruleId": f.Rule, "ruleIndex": slices.Index(Rules(), f.Rule), "level": sarifLevel[f.Severity],
			"message":   object{"text": f.Message.In(l) + " " + f.Fix.In(l)},
			"locations": []object{r.location(f)},
			// What it is, not how it is said: hosts of code recognise it again.
			"partialFingerprints": object{"tillid/1": f.Rule + " " + f.Kind + " " + f.Name + " " + f.Domain + " " + f.Path},
		})
	}
	driver := object{"name": "tillid scan", "informationUri": "https://github.com/tillid/tillid", "rules": rules}
	if version != "" {
		driver["semanticVersion"] = version
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(object{
		"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0",
		"runs": []object{{"tool": object{"driver": driver}, "results": results}},
	})
}

func (r *Report) location(f Finding) object {
	file := filepath.ToSlash(r.Declaration)
	if file == "" {
		file = "tillid.yaml"
	}
	physical := object{"artifactLocation": object{"uri": file}}
	if f.Line > 0 {
		physical["region"] = object{"startLine": f.Line}
	}
	place := object{"physicalLocation": physical}
	if f.Path != "" {
		place["logicalLocations"] = []object{{"fullyQualifiedName": f.Path}}
	}
	return place
}
