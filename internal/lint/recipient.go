package lint

import (
	"slices"
	"strings"

	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/text"
)

// name returns what people call the party of an engagement.
func (c *Context) name(e *policy.Engagement) string {
	if p := c.Party(e.Party); p != nil {
		return p.LegalName
	}
	return e.Party
}

// label returns what people call a data category.
func (c *Context) label(id string) text.Text {
	if d := c.data[id]; d != nil {
		return d.Label
	}
	return text.Text{text.DA: id, text.EN: id}
}

// serviceWithoutParty is the declared half of RC-01: a service that nobody answers for.
func serviceWithoutParty(c *Context, f *found) {
	for _, s := range c.Services {
		if s.Engagement == "" {
			f.at("services."+s.ID, "service", s.Label)
		}
	}
}

// notOnlyWithConsent finds the claim "only with your consent" beside recipients who get data without it.
func notOnlyWithConsent(c *Context, f *found) {
	var without []string
	for i := range c.Engagements {
		e := &c.Engagements[i]
		onConsent := !slices.ContainsFunc(e.Purposes, func(id string) bool {
			p := c.Purpose(id)
			return p == nil || !p.Basis.Consent()
		})
		if name := c.name(e); !e.ConsentOnly && !onConsent && !slices.Contains(without, name) {
			without = append(without, name)
		}
	}
	if len(without) == 0 {
		return
	}
	c.eachClaim("consent_only", func(path string, claim *policy.Claim) {
		f.at(path, "says", quote(claim.Says), "recipients", without)
	})
}

func roleMissing(c *Context, f *found) {
	for i := range c.Engagements {
		if e := &c.Engagements[i]; e.Role == "" {
			f.at("engagements."+e.ID, "party", c.name(e))
		}
	}
}

func embedAsProcessor(c *Context, f *found) {
	for i := range c.Services {
		s := &c.Services[i]
		known := c.words.service(hostsOf(s))
		e := c.Engagement(s.Engagement)
		if known != nil && known.Social && e != nil && isProcessor(e) {
			f.at("engagements."+e.ID+".role", "party", c.name(e), "service", known.Name)
		}
	}
}

// pageNotJoint finds a page on a network whose owner is said to be something else
// than a joint controller of it.
func pageNotJoint(c *Context, f *found) {
	for i := range c.Engagements {
		if e := &c.Engagements[i]; e.Page != "" && e.Role != "joint_controller" {
			f.at("engagements."+e.ID+".page", "party", c.name(e))
		}
	}
}

// pageUnexplained finds a page of which people are not told how the two share the
// duties, or how to stop following it.
func pageUnexplained(c *Context, f *found) {
	for i := range c.Engagements {
		e := &c.Engagements[i]
		if e.Page == "" {
			continue
		}
		var missing []string
		if e.Joint == "" {
			missing = append(missing, "arrangement")
		}
		if len(e.Unfollow) == 0 {
			missing = append(missing, "unfollow")
		}
		if len(missing) > 0 {
			f.at("engagements."+e.ID, "party", c.name(e), "missing", missing)
		}
	}
}

// hostsOf returns every host that a service may reach.
func hostsOf(s *policy.Service) []string {
	return s.Hosts.All()
}

func isProcessor(e *policy.Engagement) bool {
	return e.Role == "processor" || e.Role == "sub_processor"
}

func cprUnchecked(c *Context, f *found) {
	for i := range c.Engagements {
		if e := &c.Engagements[i]; e.Marketing != nil && !e.Marketing.CPRCheck {
			f.at("engagements."+e.ID+".marketing", "party", c.name(e))
		}
	}
}

// eachProcessor calls do for every processor that the company itself has an agreement with.
func (c *Context) eachProcessor(do func(e *policy.Engagement, path string)) {
	for i := range c.Engagements {
		if e := &c.Engagements[i]; e.Role == "processor" {
			do(e, "engagements."+e.ID)
		}
	}
}

// eachAgreement is eachProcessor for those that have one.
func (c *Context) eachAgreement(do func(e *policy.Engagement, path string)) {
	c.eachProcessor(func(e *policy.Engagement, path string) {
		if e.DPA != nil {
			do(e, path+".dpa")
		}
	})
}

func agreementMissing(c *Context, f *found) {
	c.eachProcessor(func(e *policy.Engagement, path string) {
		if e.DPA == nil {
			f.at(path, "party", c.name(e))
		}
	})
}

func clausesMissing(c *Context, f *found) {
	c.eachAgreement(func(e *policy.Engagement, path string) {
		var missing []string
		for _, letter := range strings.Split("abcdefgh", "") {
			if !slices.Contains(e.DPA.Clauses, letter) {
				missing = append(missing, letter)
			}
		}
		if len(missing) > 0 {
			f.at(path, "party", c.name(e), "letters", missing)
		}
	})
}

func agreementNotProvable(c *Context, f *found) {
	c.eachAgreement(func(e *policy.Engagement, path string) {
		switch d := e.DPA; {
		case c.past(d.ValidUntil):
			f.at(path+".valid_until", "party", c.name(e), "problem", fill(agreementExpired, []any{"date", d.ValidUntil}))
		case d.File == "" || d.SHA256 == "":
			f.at(path, "party", c.name(e), "problem", agreementNoHash)
		case d.SignedOn == (policy.Date{}):
			f.at(path, "party", c.name(e), "problem", agreementUnsigned)
		}
	})
}

func authorisationMissing(c *Context, f *found) {
	c.eachAgreement(func(e *policy.Engagement, path string) {
		if e.DPA.SubProcessors == "" || e.DPA.SubProcessors == "general" && !e.DPA.Notice.Set {
			f.at(path, "party", c.name(e))
		}
	})
}

func neverSupervised(c *Context, f *found) {
	c.eachProcessor(func(e *policy.Engagement, path string) {
		if e.Supervised == (policy.Date{}) {
			f.at(path, "party", c.name(e), "problem", neverLooked)
		} else if v, old := c.older(e.Supervised, "supervision"); old {
			f.at(path+".supervised", "party", c.name(e), "problem", fill(olderThan, []any{"limit", v}), "rests", v)
		}
	})
}

func cannotEraseThere(c *Context, f *found) {
	c.eachProcessor(func(e *policy.Engagement, path string) {
		if len(e.Deletion) == 0 {
			f.at(path, "party", c.name(e), "problem", deletionUnsaid)
		}
		for _, d := range e.Deletion {
			if d.Mode == "none" {
				f.at(path+".deletion."+d.ID, "party", c.name(e), "problem", fill(deletionImpossible, []any{"class", d.ID}))
			}
		}
		if e.Assistance.Contact == "" {
			f.at(path, "party", c.name(e), "problem", contactUnsaid)
		}
	})
}

func breachToldLate(c *Context, f *found) {
	c.eachAgreement(func(e *policy.Engagement, path string) {
		if !e.DPA.Breach.Set {
			f.at(path, "party", c.name(e), "problem", timeUnsaid)
		} else if v, long := c.longer(e.DPA.Breach, "processor_breach"); long {
			f.at(path+".breach", "party", c.name(e), "problem", fill(longerThan, []any{"has", e.DPA.Breach, "limit", v}), "rests", v)
		}
	})
}
