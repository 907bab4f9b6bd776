package lint

import (
	"slices"
	"strings"
	"time"

	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/text"
)

// suppress marks the findings that the declaration accepts, and returns what is
// wrong with the suppressions themselves. One that has run out, that runs for
// more than twelve months from the review, or that lacks a reason or a name,
// counts as not there.
func (c *Context) suppress(findings []Finding) []Finding {
	invalid := &found{context: c, rule: *rule("SUP-01")}
	unused := &found{context: c, rule: *rule("SUP-02")}
	for i := range c.Suppress {
		s := &c.Suppress[i]
		path := item("suppress", i)
		if why := c.invalid(s); why != nil {
			invalid.at(path, "rule", s.Rule, "why", why)
			continue
		}
		hit := false
		for j := range findings {
			if f := &findings[j]; f.Rule == s.Rule && under(f.Path, s.Path) {
				hit = true
				if f.Suppressed == nil {
					f.Suppressed = s
				}
			}
		}
		if !hit {
			unused.at(path, "rule", s.Rule)
		}
	}
	return slices.Concat(invalid.findings, unused.findings)
}

// invalid returns why the suppression does not count, or nil.
func (c *Context) invalid(s *policy.Suppression) text.Text {
	switch {
	case rule(s.Rule) == nil:
		return text.Text{text.DA: "en sådan regel findes ikke", text.EN: "there is no such rule"}
	case strings.TrimSpace(s.Reason) == "":
		return text.Text{text.DA: "den har ingen begrundelse", text.EN: "it gives no reason"}
	case strings.TrimSpace(s.By) == "":
		return text.Text{text.DA: "den siger ikke, hvem der står for den", text.EN: "it does not say who answers for it"}
	case s.Until == (policy.Date{}):
		return text.Text{text.DA: "den har ingen slutdato", text.EN: "it has no end"}
	case c.past(s.Until):
		return text.Text{text.DA: "den er udløbet", text.EN: "it has run out"}
	case midnight(s.Until).After(midnight(c.Reviewed).AddDate(1, 0, 0)):
		return text.Text{text.DA: "den gælder mere end 12 måneder fra gennemgangen", text.EN: "it runs for more than 12 months from the review"}
	}
	return nil
}

// under reports whether path is at or below root; everything is below "".
func under(path, root string) bool {
	rest, ok := strings.CutPrefix(path, root)
	return ok && (root == "" || rest == "" || rest[0] == '.' || rest[0] == '[')
}

// within reports whether t lies in the next days from the day.
func (c *Context) within(t time.Time, days int) bool {
	return !t.IsZero() && !t.Before(c.day) && !t.After(c.day.AddDate(0, 0, days))
}
