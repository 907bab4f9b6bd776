package lint

import (
	"slices"

	"github.com/tillid/tillid/internal/policy"
)

func basisMissing(c *Context, f *found) {
	for _, p := range c.Purposes {
		if p.Basis == nil {
			f.at("purposes."+p.ID, "purpose", p.Label)
		}
	}
}

// onBasis calls do for each purpose that rests on the article.
func (c *Context) onBasis(art string, do func(p *policy.Purpose, path string)) {
	for i := range c.Purposes {
		if p := &c.Purposes[i]; p.Basis != nil && p.Basis.Art == art {
			do(p, "purposes."+p.ID)
		}
	}
}

func interestMissing(c *Context, f *found) {
	c.onBasis("6.1.f", func(p *policy.Purpose, path string) {
		if len(p.Basis.Interest) == 0 {
			f.at(path+".legal_basis", "purpose", p.Label)
		}
	})
}

func balancingStale(c *Context, f *found) {
	c.onBasis("6.1.f", func(p *policy.Purpose, path string) {
		if p.Basis.Balancing == "" || p.Basis.Reviewed == (policy.Date{}) {
			f.at(path+".legal_basis", "purpose", p.Label, "problem", missingDocument)
		} else if v, old := c.older(p.Basis.Reviewed, "balancing_review"); old {
			f.at(path+".legal_basis.reviewed", "purpose", p.Label, "problem", fill(olderThan, []any{"limit", v}), "rests", v)
		}
	})
}

func lawMissing(c *Context, f *found) {
	c.onBasis("6.1.c", func(p *policy.Purpose, path string) {
		if p.Basis.Law == "" {
			f.at(path+".legal_basis", "purpose", p.Label)
		}
	})
}

// consentToBeAnswered finds purposes that rest on consent although a form demands
// the data in order to answer. A newsletter's address is no such case.
func consentToBeAnswered(c *Context, f *found) {
	c.onBasis("6.1.a", func(p *policy.Purpose, path string) {
		for _, form := range c.formsOf[p.ID] {
			if form.Purpose != p.ID || kindOf(form) == "newsletter" {
				continue
			}
			if slices.ContainsFunc(form.Fields, func(x policy.Field) bool { return x.Required && x.Type != "consent" }) {
				f.at(path+".legal_basis", "purpose", p.Label, "form", form.Label)
			}
		}
	})
}

func specialWithoutCondition(c *Context, f *found) {
	for _, p := range c.Purposes {
		for _, id := range p.Data {
			if d := c.data[id]; d != nil && d.Special == "art9" && p.Art9 == "" {
				f.at("purposes."+p.ID, "purpose", p.Label, "data", d.Label)
			}
		}
	}
}

// groundMissing returns the check that categories of that special kind name what allows them.
func groundMissing(special string) func(*Context, *found) {
	return func(c *Context, f *found) {
		for _, d := range c.Data {
			if d.Special == special && d.CprGround == "" {
				f.at("data."+d.ID, "data", d.Label)
			}
		}
	}
}

func contractWithStranger(c *Context, f *found) {
	c.onBasis("6.1.b", func(p *policy.Purpose, path string) {
		for _, id := range p.People {
			if s := c.SubjectCategory(id); s != nil && !s.Contract {
				f.at(path+".legal_basis", "purpose", p.Label, "people", s.Label)
			}
		}
	})
}

func purposeVague(c *Context, f *found) {
	for _, p := range c.Purposes {
		if phrase := c.vaguePhrase(&p); phrase != "" {
			f.at("purposes."+p.ID, "purpose", p.Label, "phrase", phrase)
		}
	}
}

// vaguePhrase returns the first phrase of the purpose that says no purpose, or "".
func (c *Context) vaguePhrase(p *policy.Purpose) string {
	for _, l := range c.Languages {
		for _, t := range []string{p.Label[l], p.Description[l]} {
			if phrase := c.words.generic(l, t); phrase != "" {
				return phrase
			}
		}
	}
	return ""
}

func collectedUnused(c *Context, f *found) {
	for i := range c.Forms {
		form := &c.Forms[i]
		var used []string
		for _, id := range formPurposes(form) {
			if p := c.Purpose(id); p != nil {
				used = append(used, p.Data...)
			}
		}
		for j, field := range form.Fields {
			if !c.covers(used, field.Data) {
				f.at(item("forms."+form.ID+".fields", j), "field", field.Label, "form", form.Label, "data", field.Data)
			}
		}
	}
}

// usedNeverCollected finds categories that a purpose uses and nothing brings in.
// A purpose whose data people keep by hand (every rule manual) is left alone:
// telephone and paper have no place in the declaration yet.
func usedNeverCollected(c *Context, f *found) {
	for _, p := range c.Purposes {
		if c.byHand(p.ID) {
			continue
		}
		for _, id := range p.Data {
			if !c.comesIn(id) {
				f.at("purposes."+p.ID+".data", "purpose", p.Label, "data", c.label(id))
			}
		}
	}
}

// comesIn reports whether the category, one of its parts or one of its ancestors is collected.
func (c *Context) comesIn(id string) bool {
	for got := range c.collected {
		if c.covers([]string{got}, id) || c.covers([]string{id}, got) {
			return true
		}
	}
	return false
}

// byHand reports whether everything kept for the purpose is deleted by people.
func (c *Context) byHand(purpose string) bool {
	rules := c.rulesOf[purpose]
	return len(rules) > 0 && !slices.ContainsFunc(rules, func(r *policy.Rule) bool { return r.Executor != "manual" })
}

// joinedWithIdentity finds what would name a visitor: data that only singles out,
// joined with data that names, without asking.
func joinedWithIdentity(c *Context, f *found) {
	for i := range c.Purposes {
		p := &c.Purposes[i]
		for _, id := range p.Joins {
			other := c.Purpose(id)
			if other == nil || p.Basis.Consent() {
				continue
			}
			if (len(c.direct(p.Data)) > 0) != (len(c.direct(other.Data)) > 0) {
				f.at("purposes."+p.ID+".joins", "purpose", p.Label, "other", other.Label)
			}
		}
	}
}

// automatedUndeclared is an error for decisions, which Art. 13(2)(f) makes every
// notice tell, and a warning for profiling short of a decision.
func automatedUndeclared(c *Context, f *found) {
	for _, p := range c.Purposes {
		path := "purposes." + p.ID
		switch {
		case p.Automated == nil:
			f.at(path, "purpose", p.Label, "what", automatedUnsaid)
		case *p.Automated && len(p.Logic) == 0:
			f.at(path+".automated_decision", "purpose", p.Label, "what", logicUnsaid)
		case p.Profiling == nil:
			f.warn(path, "purpose", p.Label, "what", profilingUnsaid)
		}
	}
}
