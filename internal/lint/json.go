package lint

import (
	_ "embed"
	"encoding/json"
	"io"

	"github.com/tillid/tillid/internal/law"
	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/text"
)

// Schema is the JSON Schema of what WriteJSON writes.
//
//go:embed report.schema.json
var Schema []byte

type jsonReport struct {
	Version     int           `json:"version"`
	File        string        `json:"file"`
	AsOf        string        `json:"as_of"`
	Disclaimer  text.Text     `json:"disclaimer"`
	Errors      int           `json:"errors"`
	Warnings    int           `json:"warnings"`
	Infos       int           `json:"infos"`
	Suppressed  int           `json:"suppressed"`
	Findings    []jsonFinding `json:"findings"`
	NotObserved []string      `json:"not_observed"`
}

type jsonFinding struct {
	Rule       string           `json:"rule"`
	Severity   Severity         `json:"severity"`
	Article    string           `json:"article"`
	Path       string           `json:"path"`
	Line       int              `json:"line"`
	Column     int              `json:"column"`
	Message    text.Text        `json:"message"`
	Fix        text.Text        `json:"fix"`
	Unchecked  bool             `json:"rests_on_unchecked_law"`
	Suppressed *jsonSuppression `json:"suppressed,omitempty"`
}

type jsonSuppression struct {
	Reason string `json:"reason"`
	By     string `json:"by"`
	Until  string `json:"until"`
}

// WriteJSON writes the report for programs, as Schema describes it.
func (r Report) WriteJSON(w io.Writer) error {
	out := jsonReport{
		Version: 1, File: r.File, AsOf: dateString(r.AsOf), Disclaimer: law.Disclaimer,
		Errors: len(r.Errors()), Warnings: len(r.Warnings()), Infos: len(r.Infos()), Suppressed: len(r.Suppressed()),
		Findings: []jsonFinding{}, NotObserved: r.NotObserved,
	}
	for _, f := range r.Findings {
		j := jsonFinding{
			Rule: f.Rule, Severity: f.Severity, Article: f.Article, Path: f.Path, Line: f.Pos.Line, Column: f.Pos.Col,
			Message: f.Message, Fix: f.Fix, Unchecked: f.Unchecked,
		}
		if s := f.Suppressed; s != nil {
			j.Suppressed = &jsonSuppression{s.Reason, s.By, dateString(s.Until)}
		}
		out.Findings = append(out.Findings, j)
	}
	return writeIndented(w, out)
}

func writeIndented(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

func dateString(d policy.Date) string { return midnight(d).Format("2006-01-02") }
