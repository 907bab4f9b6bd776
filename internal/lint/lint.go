// Package lint argues with a declaration. Its rules look for what contradicts
// the law or the declaration itself; each finding names the article, says what
// is wrong in Danish and English, and what to do.
//
// The catalogue is the table in rules.go, the texts are rule/*.toml, and
// example/*.yaml holds for every rule a change to a clean declaration that
// triggers it and one that just does not: the tests run them, and Explain
// shows them. A new rule is a line, a text, an example and a check.
//
// What the law sets comes from package law. A finding that rests on a value
// which nobody has signed for is at most a warning and says so.
package lint

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/tillid/tillid/internal/law"
	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/text"
)

// Severity says what a finding stops.
type Severity string

const (
	Error   Severity = "E" // blocks publishing
	Warning Severity = "W" // must be suppressed with a reason, or mended
	Info    Severity = "I"
)

// Needs says what a rule must be given to be decided.
type Needs string

const (
	Declared Needs = "D" // the declaration and the law packs
	Observed Needs = "O" // the running system: pages, mail, database
	History  Needs = "H" // runs, deliveries, earlier versions
)

// Rule is one row of the catalogue.
type Rule struct {
	ID       string
	Severity Severity
	Needs    Needs
	Article  string // of the GDPR where no other law is named
	Words

	// check looks for what the rule forbids. A rule that needs more than the
	// declaration may still check what is declared; without a check it is never decided here.
	check func(*Context, *found)
}

// Words are the texts of a rule. In Message and Fix, {name} stands for a value.
type Words struct {
	Title   text.Text `toml:"title"`
	Message text.Text `toml:"message"`
	Fix     text.Text `toml:"fix"`
	Why     text.Text `toml:"why"`
}

// Finding is one place where a rule bites.
type Finding struct {
	Rule       string
	Severity   Severity
	Article    string
	Path       string // for example purposes.answer_enquiry.legal_basis
	Pos        policy.Pos
	Message    text.Text
	Fix        text.Text
	Unchecked  bool                // rests on a law value that nobody has signed for
	Suppressed *policy.Suppression // accepted, by whom and until when; nil if not
}

// Report is what a run found, ordered by place and then by rule.
type Report struct {
	File        string
	AsOf        policy.Date
	Findings    []Finding
	NotObserved []string // rules that this run could not decide, or not wholly: never "passed"

	lines []string
}

// Errors returns the errors that nobody has suppressed. One of them blocks publishing.
func (r Report) Errors() []Finding { return r.standing(Error) }

// Warnings returns the warnings that nobody has suppressed.
func (r Report) Warnings() []Finding { return r.standing(Warning) }

// Infos returns the notes that nobody has suppressed.
func (r Report) Infos() []Finding { return r.standing(Info) }

// Suppressed returns what somebody has accepted for a while; it is published with the report.
func (r Report) Suppressed() []Finding {
	return r.where(func(f Finding) bool { return f.Suppressed != nil })
}

func (r Report) standing(s Severity) []Finding {
	return r.where(func(f Finding) bool { return f.Suppressed == nil && f.Severity == s })
}

func (r Report) where(keep func(Finding) bool) []Finding {
	var fs []Finding
	for _, f := range r.Findings {
		if keep(f) {
			fs = append(fs, f)
		}
	}
	return fs
}

// Run lints plan with the law as it stands on the day asOf. The same plan, law
// and day give the same report.
func Run(plan *policy.Plan, l *law.Law, asOf policy.Date) Report {
	c := newContext(plan, l, asOf)
	report := Report{AsOf: asOf, lines: strings.Split(string(plan.Source), "\n")}
	report.File = plan.At("").File
	for _, rule := range Rules() {
		if rule.check != nil {
			f := &found{context: c, rule: rule}
			rule.check(c, f)
			report.Findings = append(report.Findings, f.findings...)
		}
		if rule.check == nil || rule.Needs != Declared {
			report.NotObserved = append(report.NotObserved, rule.ID)
		}
	}
	report.Findings = append(report.Findings, c.suppress(report.Findings)...)
	slices.SortStableFunc(report.Findings, func(a, b Finding) int {
		return cmp.Or(
			cmp.Compare(a.Pos.Line, b.Pos.Line), cmp.Compare(a.Pos.Col, b.Pos.Col),
			cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Path, b.Path), cmp.Compare(a.Message[text.EN], b.Message[text.EN]))
	})
	return report
}

// found collects the findings of one rule.
type found struct {
	context  *Context
	rule     Rule
	findings []Finding
}

// at reports the rule at path, with named values for its texts. A value that is
// a law.Value or a law.Adequacy also makes the finding rest on it.
func (f *found) at(path string, kv ...any) { f.add(f.rule.Severity, path, kv) }

// warn is at, for the milder half of a rule.
func (f *found) warn(path string, kv ...any) { f.add(Warning, path, kv) }

func (f *found) add(s Severity, path string, kv []any) {
	finding := Finding{
		Rule: f.rule.ID, Severity: s, Article: f.rule.Article, Path: path, Pos: f.context.At(path),
		Message: fill(f.rule.Message, kv), Fix: fill(f.rule.Fix, kv),
	}
	for i := 1; i < len(kv); i += 2 {
		if restsOnUnchecked(kv[i]) {
			finding.Unchecked = true
		}
	}
	if finding.Unchecked {
		if s == Error {
			finding.Severity = Warning
		}
		for l, s := range finding.Message {
			finding.Message[l] = s + " " + uncheckedNote[l]
		}
	}
	f.findings = append(f.findings, finding)
}

var uncheckedNote = text.Text{
	text.DA: "(Bygger på en lovværdi, som ingen har kontrolleret endnu.)",
	text.EN: "(Rests on a law value that nobody has checked yet.)",
}

func restsOnUnchecked(v any) bool {
	switch v := v.(type) {
	case law.Value:
		return v.Status == law.Unchecked
	case law.Adequacy:
		return v.Status == law.Unchecked
	}
	return false
}

// fill puts values into a text: {name} becomes the value in that language.
func fill(t text.Text, kv []any) text.Text {
	out := text.Text{}
	for l, s := range t {
		for i := 0; i+1 < len(kv); i += 2 {
			s = strings.ReplaceAll(s, "{"+kv[i].(string)+"}", say(kv[i+1], l))
		}
		out[l] = s
	}
	return out
}

func say(v any, l text.Lang) string {
	switch v := v.(type) {
	case string:
		return v
	case text.Text:
		return v.In(l)
	case []string:
		return text.List(l, v)
	case policy.Duration:
		return period(l, v)
	case policy.Date:
		return text.Date(l, midnight(v))
	case law.Value:
		if d, err := policy.ParseDuration(v.Value); err == nil && v.Kind == law.Period {
			return period(l, d)
		}
		return v.Value
	case law.Adequacy:
		return v.Decision
	}
	panic("lint: no way to say a value")
}

func period(l text.Lang, d policy.Duration) string {
	return text.Period(l, d.Years, d.Months, d.Weeks, d.Days, d.Hours, d.Minutes)
}

func midnight(d policy.Date) time.Time {
	return time.Date(d.Year, time.Month(d.Month), d.Day, 0, 0, 0, 0, time.UTC)
}
