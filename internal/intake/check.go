package intake

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/mail"
	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/subject"
	"github.com/tillid/tillid/internal/text"
	"github.com/tillid/tillid/internal/web"
)

// answer is one field as it was filled in and accepted.
type answer struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// mistake is what is wrong with one field. It never holds what was typed.
type mistake struct {
	Field string
	ID    string // intake.wrong.<id>
	Args  []any
	Fault *fault.Error // instead: why a file was refused
}

// Text returns the mistake in words.
func (m mistake) Text(l text.Lang) string {
	if m.Fault != nil {
		says, hint := web.Say(l, m.Fault)
		return strings.TrimSpace(says + " " + hint)
	}
	return text.T(l, "intake.wrong."+m.ID, m.Args...)
}

// check holds what was sent against the declaration of the form. Every mistake
// is returned, in the order of the form; undeclared fields come last.
func (s *Service) check(form *policy.Form, values map[string]string, in *uploads) ([]answer, []mistake) {
	var answers []answer
	var mistakes []mistake
	known := map[string]bool{}
	for _, f := range form.Fields {
		if f.Type == "file" && values[f.Name] == "" {
			mistakes = append(mistakes, in.check(f)...)
			continue
		}
		known[f.Name] = true
		value, m := s.field(f, values[f.Name])
		if m != nil {
			m.Field = f.Name
			mistakes = append(mistakes, *m)
		} else if value != "" {
			answers = append(answers, answer{f.Name, value})
		}
	}
	for _, c := range form.Consents {
		known[c.Name] = true
		value, m := tick(values[c.Name], c.Required)
		if m != nil {
			m.Field = c.Name
			mistakes = append(mistakes, *m)
		} else if value != "" {
			answers = append(answers, answer{c.Name, value})
		}
	}
	var foreign []string
	for name := range values {
		if !known[name] {
			foreign = append(foreign, name)
		}
	}
	slices.Sort(foreign)
	for _, name := range foreign {
		mistakes = append(mistakes, mistake{Field: name, ID: "undeclared", Args: []any{"Field", shortName(name)}})
	}
	return answers, mistakes
}

// field returns the accepted value of one field, or what is wrong with it.
func (s *Service) field(f policy.Field, v string) (string, *mistake) {
	if f.Type == "consent" {
		return tick(v, f.Required)
	}
	v = strings.ReplaceAll(v, "\r\n", "\n")
	v = strings.TrimFunc(v, func(r rune) bool { return r == ' ' || r == '\t' || r == '\u00a0' })
	if f.Type == "long_text" {
		v = strings.TrimSpace(v)
	}
	if v == "" {
		if f.Required {
			return "", &mistake{ID: "missing"}
		}
		return "", nil
	}
	if n := maxLength(f); utf8.RuneCountInString(v) > n {
		return "", &mistake{ID: "long", Args: []any{"Max", n}}
	}
	if strings.ContainsFunc(v, func(r rune) bool { return unicode.IsControl(r) && (f.Type != "long_text" || r != '\n' && r != '\t') }) {
		return "", &mistake{ID: "control"}
	}
	v, m := typed(f, v)
	if m == nil && f.Pattern != "" && !s.matches(f.Pattern, v) {
		m = &mistake{ID: "pattern"}
	}
	return v, m
}

// tick reads a box. Nothing but a yes is a yes.
func tick(v string, required bool) (string, *mistake) {
	switch v {
	case "yes", "on", "true", "1":
		return "yes", nil
	case "":
		if required {
			return "", &mistake{ID: "tick"}
		}
		return "", nil
	}
	return "", &mistake{ID: "choice"}
}

// typed checks the syntax of a field's type.
func typed(f policy.Field, v string) (string, *mistake) {
	switch f.Type {
	case "email":
		if !validEmail(v) {
			return "", &mistake{ID: "email"}
		}
	case "phone":
		if !validPhone(v) {
			return "", &mistake{ID: "phone"}
		}
	case "choice":
		if !slices.ContainsFunc(f.Choices, func(c policy.Choice) bool { return c.ID == v }) {
			return "", &mistake{ID: "choice"}
		}
	case "date":
		if _, err := time.Parse(time.DateOnly, v); err != nil {
			return "", &mistake{ID: "date"}
		}
	case "number":
		v = strings.Replace(v, ",", ".", 1)
		if _, err := strconv.ParseFloat(v, 64); err != nil || strings.ContainsAny(v, "xXpPnN_iI") {
			return "", &mistake{ID: "number"}
		}
	case "file":
		return "", &mistake{ID: "file"}
	}
	return v, nil
}

// validEmail accepts one bare address that a letter can be sent to: no display
// name, no quoted local part, a domain with a dot.
func validEmail(v string) bool {
	at := strings.LastIndexByte(v, '@')
	if len(v) > 254 || at < 1 || at > 64 || strings.ContainsAny(v, " \"(),:;<>[]\\") || !strings.Contains(v[at:], ".") {
		return false
	}
	if !mail.ValidAddress(v) {
		return false
	}
	_, err := subject.Normalise(subject.Email, subject.Secret(v))
	return err == nil
}

func validPhone(v string) bool {
	digits := 0
	for _, r := range v {
		if unicode.IsDigit(r) {
			digits++
		}
	}
	_, err := subject.Normalise(subject.Phone, subject.Secret(v))
	return err == nil && digits >= 6
}

// matches reports whether all of v fits the declared pattern (RE2: linear time).
func (s *Service) matches(pattern, v string) bool {
	if re, ok := s.patterns.Load(pattern); ok {
		return re.(*regexp.Regexp).MatchString(v)
	}
	re, err := regexp.Compile(`^(?:` + pattern + `)$`)
	if err != nil {
		return false // the declaration was checked; what cannot be checked is refused
	}
	s.patterns.Store(pattern, re)
	return re.MatchString(v)
}
