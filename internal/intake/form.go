package intake

import (
	"slices"
	"strings"

	"github.com/tillid/tillid/internal/file"
	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/text"
	"github.com/tillid/tillid/internal/web"
)

// formPage is a declared form as a page.
type formPage struct {
	web.Frame
	ID       string
	Action   string
	Label    string
	Purpose  string
	Intro    string
	Token    string
	Trap     string
	Fields   []fieldView
	Consents []fieldView
	Foreign  []string // what was sent and is not declared, in words
	Wrong    []fieldView
	Later    string // why it could not be saved just now
	Notice   []section
	Files    string // names the record whose files have arrived
	Takes    bool   // files
}

// fieldView is one input with what stands around it.
type fieldView struct {
	Name, Label, Type, Hint, Consequence string
	Required                             bool
	MaxLength                            int
	Auto                                 string // autocomplete token (WCAG 1.3.5)
	Choices                              []choiceView
	Value                                string // what was typed
	Ticked                               bool
	Wrong                                string
	Describedby                          string
	Accept                               string      // endings of the files that are taken
	Kept                                 []file.File // files that have arrived
	Multiple                             bool
}

type choiceView struct {
	ID, Label string
	Chosen    bool
}

func (s *Service) formPage(f web.Frame, form *policy.Form, values map[string]string, mistakes []mistake) formPage {
	plan := s.Plan()
	f.Path = "/privacy/form/" + form.ID // also after a POST that failed
	p := formPage{
		Frame: f, ID: form.ID, Action: "/_tillid/forms/" + form.ID, Label: form.Label.In(f.Lang), Intro: form.Notice.In(f.Lang),
		Token: s.formToken(form.ID), Trap: s.trap(form.ID, s.Now()), Notice: s.notice(form, f.Lang),
		Fields: s.fields(form, f.Lang, values, mistakes), Consents: consents(form, f.Lang, values, mistakes), Takes: takesFiles(form),
	}
	if values[tokenField] != "" {
		p.Token = values[tokenField] // the same rendering: a repeated post stays one case
	}
	if purpose := plan.Purpose(form.Purpose); purpose != nil {
		p.Purpose = purposeText(purpose, f.Lang)
	}
	for _, v := range slices.Concat(p.Fields, p.Consents) {
		if v.Wrong != "" {
			p.Wrong = append(p.Wrong, v)
		}
	}
	for _, m := range mistakes {
		if m.ID == "undeclared" {
			p.Foreign = append(p.Foreign, m.Text(f.Lang))
		}
	}
	return p
}

func (s *Service) fields(form *policy.Form, l text.Lang, values map[string]string, mistakes []mistake) []fieldView {
	var out []fieldView
	for _, f := range form.Fields {
		v := fieldView{
			Name: f.Name, Label: f.Label.In(l), Type: f.Type, Hint: f.Hint.In(l), Consequence: f.Consequence.In(l),
			Required: f.Required, MaxLength: maxLength(f), Auto: autocomplete(f), Value: values[f.Name],
		}
		if v.Type == "" {
			v.Type = "text"
		}
		if f.Type == "file" {
			v.files(f, l)
		}
		for _, c := range f.Choices {
			v.Choices = append(v.Choices, choiceView{c.ID, c.Label.In(l), c.ID == v.Value})
		}
		out = append(out, v.judged(mistakes, l))
	}
	return out
}

// files says which files a field takes.
func (v *fieldView) files(f policy.Field, l text.Lang) {
	accept := f.Accept
	if len(accept) == 0 {
		accept = file.Kinds()
	}
	size := int64(f.MaxSize)
	if size <= 0 || size > file.MaxSize {
		size = file.MaxSize
	}
	v.Value, v.MaxLength, v.Multiple = "", 0, maxFiles(f) > 1
	v.Accept = "." + strings.Join(accept, ",.")
	rules := text.T(l, "intake.form.files", "Kinds", strings.ToUpper(strings.Join(accept, ", ")), "Size", text.Bytes(l, size), "Count", maxFiles(f))
	v.Hint = strings.TrimSpace(v.Hint + " " + rules)
}

// keep shows the files that have arrived with a form that is shown again.
func (p *formPage) keep(in submission) {
	p.Files = in.filesToken
	for i := range p.Fields {
		for _, f := range in.files {
			if f.Field == p.Fields[i].Name {
				p.Fields[i].Kept = append(p.Fields[i].Kept, f)
			}
		}
	}
}

func consents(form *policy.Form, l text.Lang, values map[string]string, mistakes []mistake) []fieldView {
	var out []fieldView
	for _, c := range form.Consents {
		v := fieldView{Name: c.Name, Label: c.Text.In(l), Type: "consent", Required: c.Required, Value: values[c.Name]}
		out = append(out, v.judged(mistakes, l))
	}
	return out
}

// judged adds what is wrong with a field and what describes it.
func (v fieldView) judged(mistakes []mistake, l text.Lang) fieldView {
	for _, m := range mistakes {
		if m.Field == v.Name && m.ID != "undeclared" {
			v.Wrong = m.Text(l)
		}
	}
	v.Ticked = v.Type == "consent" && v.Value != ""
	if v.Hint != "" || v.Consequence != "" {
		v.Describedby = "h-" + v.Name
	}
	if v.Wrong != "" {
		v.Describedby = "e-" + v.Name + " " + v.Describedby
	}
	return v
}

// autocomplete returns the standard's word for a field that asks for the
// person's own details.
func autocomplete(f policy.Field) string {
	switch {
	case f.Type == "email":
		return "email"
	case f.Type == "phone":
		return "tel"
	case f.Data == "name" || f.Name == "name":
		return "name"
	case f.Name == "company":
		return "organization"
	default:
		return ""
	}
}
