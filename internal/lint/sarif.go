package lint

import (
	"io"
	"path/filepath"

	"github.com/tillid/tillid/internal/text"
)

// The part of SARIF 2.1.0 (OASIS) that editors and code hosts read.
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool       sarifTool     `json:"tool"`
		ColumnKind string        `json:"columnKind"`
		Results    []sarifResult `json:"results"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name    string      `json:"name"`
		Version string      `json:"semanticVersion,omitempty"`
		URI     string      `json:"informationUri"`
		Rules   []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID         string          `json:"id"`
		Short      sarifMessage    `json:"shortDescription"`
		Full       sarifMessage    `json:"fullDescription"`
		Help       sarifMessage    `json:"help"`
		Default    sarifConfig     `json:"defaultConfiguration"`
		Properties sarifProperties `json:"properties"`
	}
	sarifConfig struct {
		Level string `json:"level"`
	}
	sarifProperties struct {
		Article string `json:"article"`
		Needs   Needs  `json:"needs"`
	}
	sarifMessage struct {
		Text string `json:"text"`
	}
	sarifResult struct {
		RuleID       string             `json:"ruleId"`
		RuleIndex    int                `json:"ruleIndex"`
		Level        string             `json:"level"`
		Message      sarifMessage       `json:"message"`
		Locations    []sarifLocation    `json:"locations"`
		Suppressions []sarifSuppression `json:"suppressions,omitempty"`
	}
	sarifLocation struct {
		Physical sarifPhysical  `json:"physicalLocation"`
		Logical  []sarifLogical `json:"logicalLocations"`
	}
	sarifPhysical struct {
		Artifact sarifArtifact `json:"artifactLocation"`
		Region   *sarifRegion  `json:"region,omitempty"`
	}
	sarifArtifact struct {
		URI string `json:"uri"`
	}
	sarifRegion struct {
		Line   int `json:"startLine"`
		Column int `json:"startColumn"`
	}
	sarifLogical struct {
		Name string `json:"fullyQualifiedName"`
	}
	sarifSuppression struct {
		Kind          string `json:"kind"`
		Justification string `json:"justification"`
	}
)

var sarifLevel = map[Severity]string{Error: "error", Warning: "warning", Info: "note"}

// WriteSARIF writes the report as SARIF 2.1.0, in one language, with every rule
// of the catalogue. version is the program's; it may be empty.
func (r Report) WriteSARIF(w io.Writer, version string, l text.Lang) error {
	driver := sarifDriver{Name: "tillid", Version: version, URI: "https://github.com/tillid/tillid"}
	index := map[string]int{}
	for i, rule := range Rules() {
		index[rule.ID] = i
		driver.Rules = append(driver.Rules, sarifRule{
			ID: rule.ID, Short: sarifMessage{rule.Title.In(l)}, Full: sarifMessage{rule.Why.In(l)}, Help: sarifMessage{rule.Fix.In(l)},
			Default: sarifConfig{sarifLevel[rule.Severity]}, Properties: sarifProperties{rule.Article, rule.Needs},
		})
	}
	results := []sarifResult{}
	for _, f := range r.Findings {
		res := sarifResult{
			RuleID: f.Rule, RuleIndex: index[f.Rule], Level: sarifLevel[f.Severity],
			Message: sarifMessage{f.Message.In(l) + " " + f.Fix.In(l)}, Locations: []sarifLocation{place(f)},
		}
		if s := f.Suppressed; s != nil {
			res.Suppressions = []sarifSuppression{{"inSource", s.Reason + " (" + s.By + ", " + dateString(s.Until) + ")"}}
		}
		results = append(results, res)
	}
	return writeIndented(w, sarifLog{
		Schema: "https://json.schemastore.org/sarif-2.1.0.json", Version: "2.1.0",
		Runs: []sarifRun{{Tool: sarifTool{driver}, ColumnKind: "unicodeCodePoints", Results: results}},
	})
}

func place(f Finding) sarifLocation {
	loc := sarifLocation{Physical: sarifPhysical{Artifact: sarifArtifact{filepath.ToSlash(f.Pos.File)}}, Logical: []sarifLogical{{f.Path}}}
	if f.Pos.Line > 0 {
		loc.Physical.Region = &sarifRegion{f.Pos.Line, max(f.Pos.Col, 1)}
	}
	return loc
}
