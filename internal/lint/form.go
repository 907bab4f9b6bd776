package lint

import (
	"slices"

	"github.com/tillid/tillid/internal/policy"
)

func noticeMissing(c *Context, f *found) {
	for _, form := range c.Forms {
		if len(form.Notice) == 0 {
			f.at("forms."+form.ID, "form", form.Label)
		}
	}
}

// consequenceMissing asks every purpose whether the data must be given, and every
// required field or duty what happens if they are not.
func consequenceMissing(c *Context, f *found) {
	for _, p := range c.Purposes {
		path := "purposes." + p.ID
		if p.Provision == "" {
			f.at(path, "what", p.Label, "problem", provisionUnsaid)
		} else if p.Provision != "voluntary" && len(p.Consequence) == 0 {
			f.at(path, "what", p.Label, "problem", consequenceUnsaid)
		}
	}
	for _, form := range c.Forms {
		for i, field := range form.Fields {
			if field.Required && len(field.Consequence) == 0 {
				f.at(item("forms."+form.ID+".fields", i), "what", field.Label, "problem", consequenceUnsaid)
			}
		}
	}
}

func freeTextUnguarded(c *Context, f *found) {
	for _, form := range c.Forms {
		for i, field := range form.Fields {
			path := item("forms."+form.ID+".fields", i)
			switch {
			case field.Type == "long_text" && len(field.Hint) == 0:
				f.at(path, "field", field.Label, "problem", hintMissing)
			case field.Type == "file" && (field.MaxSize == 0 || len(field.Accept) == 0):
				f.at(path, "field", field.Label, "problem", fileUnlimited)
			}
		}
	}
}

func indirectNoticeMissing(c *Context, f *found) {
	for _, form := range c.Forms {
		if form.Source != "third_party" && form.Source != "import" {
			continue
		}
		path := "forms." + form.ID
		if !form.Art14.Set {
			f.at(path, "form", form.Label, "problem", timeUnsaid)
		} else if v, long := c.longer(form.Art14, "indirect_notice"); long {
			f.at(path+".art14_notice", "form", form.Label, "problem", fill(longerThan, []any{"has", form.Art14, "limit", v}), "rests", v)
		}
	}
}

// applications calls do for every form that takes applications, with its purpose.
func (c *Context) applications(do func(form *policy.Form, path string)) {
	for i := range c.Forms {
		if kindOf(&c.Forms[i]) == "application" {
			do(&c.Forms[i], "forms."+c.Forms[i].ID)
		}
	}
}

func applicantNotTold(c *Context, f *found) {
	c.applications(func(form *policy.Form, path string) {
		if !is(form.AutoReply) || len(form.Notice) == 0 {
			f.at(path, "form", form.Label)
		}
	})
}

// keptForLater finds applications kept on after asking, without an end.
func keptForLater(c *Context, f *found) {
	for _, r := range c.Retention {
		if r.Action == "ask_consent" && (r.IfConsent == nil || r.IfSilent != "delete") {
			f.at("retention."+r.ID, "rule", r.ID)
		}
	}
}

func processOnConsent(c *Context, f *found) {
	var told []string
	c.applications(func(form *policy.Form, path string) {
		if p := c.Purpose(form.Purpose); p != nil && p.Basis.Consent() && !slices.Contains(told, p.ID) {
			told = append(told, p.ID)
			f.at("purposes."+p.ID+".legal_basis", "purpose", p.Label)
		}
	})
}

// depictedNotTold asks what people in pictures are told and where they object.
func depictedNotTold(c *Context, f *found) {
	route := c.Rights.Email != "" || c.Rights.Phone != "" || c.Rights.Post != ""
	for _, p := range c.Purposes {
		if slices.Contains(p.People, "depicted_person") && (len(p.Description) == 0 || !route) {
			f.at("purposes."+p.ID, "purpose", p.Label)
		}
	}
}
