package scan

import (
	"bytes"
	_ "embed" // the report's page
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/tillid/tillid/internal/known"
	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/text"
)

// Report is a scan held against a declaration: what is written as HTML, JSON and SARIF.
type Report struct {
	Version     int             `json:"version"` // of this shape
	Start       string          `json:"start"`
	Began       time.Time       `json:"began"`
	Ended       time.Time       `json:"ended"`
	Declaration string          `json:"declaration"` // file name; "" when there was none
	Errors      int             `json:"errors"`
	Warnings    int             `json:"warnings"`
	Infos       int             `json:"infos"`
	Whole       bool            `json:"whole"`
	Sandbox     bool            `json:"sandbox"`
	Banner      map[Pass]Answer `json:"banner"`
	Pages       []string        `json:"pages"`
	Findings    []Finding       `json:"findings"`
	Items       []*Item         `json:"items"`
	Trouble     []Trouble       `json:"trouble"`

	pictures map[Pass][]byte
}

// NewReport compares and makes the report. plan may be nil.
func NewReport(plan *policy.Plan, r *Result) *Report {
	findings := Compare(plan, r)
	rep := &Report{
		Version: 1, Start: r.Start, Began: r.Began, Ended: r.Ended, Whole: r.Whole, Sandbox: r.Sandbox, Banner: r.Banner,
		Pages: r.Pages, Findings: findings, Items: r.Items, Trouble: r.Trouble, pictures: r.Pictures,
		Errors: Count(findings, Error), Warnings: Count(findings, Warning), Infos: Count(findings, Info),
	}
	if plan != nil {
		rep.Declaration = plan.At("").File
	}
	if rep.Findings == nil {
		rep.Findings = []Finding{}
	}
	if rep.Trouble == nil {
		rep.Trouble = []Trouble{}
	}
	return rep
}

// Drift reports whether the site does what its declaration does not say.
func (r *Report) Drift() bool { return r.Errors > 0 }

// WriteJSON writes the report in the shape of docs/scan-report.schema.json.
func (r *Report) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(r)
}

// WriteText writes the findings for a terminal.
func (r *Report) WriteText(w io.Writer, l text.Lang) error {
	var b strings.Builder
	for _, f := range r.Findings {
		fmt.Fprintf(&b, "%s %s: %s\n", f.Rule, f.Severity, f.Message.In(l))
		if c := f.Classified.In(l); c != "" {
			fmt.Fprintf(&b, "    %s\n", c)
		}
		if len(f.Pages) > 0 && f.Severity != Info {
			fmt.Fprintf(&b, "    %s: %s\n", text.T(l, "scan.report.where"), strings.Join(f.Pages, ", "))
		}
		if f.Severity != Info {
			fmt.Fprintf(&b, "    %s\n", f.Fix.In(l))
		}
	}
	fmt.Fprintln(&b, r.verdict(l))
	_, err := io.WriteString(w, b.String())
	return err
}

func (r *Report) verdict(l text.Lang) string {
	switch {
	case r.Declaration == "":
		return text.T(l, "scan.report.nothing")
	case r.Errors == 0:
		return text.T(l, "scan.report.clean")
	}
	return text.T(l, "scan.report.drift", "Count", r.Errors)
}

//go:embed report/report.html
var reportPage string

// reportView is what the report's page gets.
type reportView struct {
	*Report
	Lang     text.Lang
	Host     string
	Verdict  string
	When     string
	Groups   []reportGroup
	Storage  []reportItem
	Hosts    []reportItem
	Pictures []reportPicture
}

type reportGroup struct {
	Title    string
	Severity Severity
	Findings []reportFinding
}

type reportFinding struct {
	Finding
	Title, Text, Todo, Class string
}

type reportItem struct {
	*Item
	KindName, Life, ServiceName, Whose, UsedFor string
	At                                          []bool // by pass
}

type reportPicture struct {
	Name, File, Banner string
	There              bool
}

// WriteHTML writes the report as one page, to be read, printed, and kept. The
// pictures stand beside it, by the names that Pictures returns.
func (r *Report) WriteHTML(w io.Writer, l text.Lang, zone *time.Location) error {
	t, err := reportTemplate(l)
	if err != nil {
		return err
	}
	return t.Execute(w, r.view(l, zone))
}

func reportTemplate(l text.Lang) (*template.Template, error) {
	return template.New("report").Funcs(template.FuncMap{
		"t":    func(id string, kv ...any) string { return text.T(l, id, kv...) },
		"join": strings.Join,
	}).Parse(reportPage)
}

func (r *Report) view(l text.Lang, zone *time.Location) reportView {
	v := reportView{Report: r, Lang: l, Verdict: r.verdict(l), When: text.Moment(l, r.Ended.In(zone))}
	if u, err := url.Parse(r.Start); err == nil {
		v.Host = u.Host
	}
	for _, g := range []struct {
		id string
		s  Severity
	}{{"errors", Error}, {"warnings", Warning}, {"infos", Info}} {
		group := reportGroup{Title: text.T(l, "scan.report."+g.id), Severity: g.s}
		for _, f := range r.Findings {
			if f.Severity == g.s {
				group.Findings = append(group.Findings, reportFinding{f, text.T(l, "scan."+f.Rule+".title"), f.Message.In(l), f.Fix.In(l), f.Classified.In(l)})
			}
		}
		v.Groups = append(v.Groups, group)
	}
	for _, it := range r.Items {
		row := r.row(it, l)
		if it.Kind == Host {
			v.Hosts = append(v.Hosts, row)
		} else {
			v.Storage = append(v.Storage, row)
		}
	}
	for _, p := range passes {
		picture := reportPicture{Name: text.T(l, "scan.report.pass."+string(p)), File: string(p) + ".jpg", There: len(r.pictures[p]) > 0, Banner: text.T(l, "scan.report.no_banner")}
		if b := r.Banner[p].Banner; b != "" {
			picture.Banner = text.T(l, "scan.report.banner", "Name", b)
		}
		if p == Untouched {
			picture.Banner = ""
		}
		v.Pictures = append(v.Pictures, picture)
	}
	return v
}

func (r *Report) row(it *Item, l text.Lang) reportItem {
	row := reportItem{Item: it, KindName: text.T(l, "scan.kind."+it.Kind), Whose: it.Domain, UsedFor: strings.Join(it.Uses, ", ")}
	if it.Lifetime != "" {
		row.Life = inWords(it.Lifetime, l)
	}
	if s := known.Load().Service(it.Service); s != nil {
		row.ServiceName = s.Label.In(l)
	}
	for _, p := range passes {
		row.At = append(row.At, slices.Contains(it.Passes, p))
	}
	return row
}

// Pictures returns the screenshots by their file names beside the report.
func (r *Report) Pictures() map[string][]byte {
	files := map[string][]byte{}
	for p, b := range r.pictures {
		files[string(p)+".jpg"] = b
	}
	return files
}

// Files returns everything that a scan writes, by name: the report in three
// forms, the screenshots, and tillid.patch when something is missing.
func (r *Report) Files(plan *policy.Plan, result *Result, l text.Lang, version string) (map[string][]byte, error) {
	files := r.Pictures()
	zone := time.UTC
	if plan != nil {
		zone = plan.Loc
	}
	for name, write := range map[string]func(io.Writer) error{
		"report.html":  func(w io.Writer) error { return r.WriteHTML(w, l, zone) },
		"report.json":  r.WriteJSON,
		"report.sarif": func(w io.Writer) error { return r.WriteSARIF(w, version, l) },
	} {
		var b bytes.Buffer
		if err := write(&b); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		files[name] = b.Bytes()
	}
	if plan != nil {
		if p := NewPatch(plan, result); len(p.Diff) > 0 || len(p.ByHand) > 0 {
			files["tillid.patch"] = p.Bytes()
		}
	}
	return files, nil
}

// Bytes returns the patch as a file: what must be done by hand stands before
// the diff, where programs that apply it read over it.
func (p Patch) Bytes() []byte {
	var b bytes.Buffer
	for _, by := range p.ByHand {
		b.WriteString("# By hand:\n" + strings.TrimRight(by, "\n") + "\n")
	}
	b.Write(p.Diff)
	return b.Bytes()
}
