package lint

import (
	"strconv"
	"strings"

	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/text"
)

func withdrawalMissing(c *Context, f *found) {
	c.onBasis("6.1.a", func(p *policy.Purpose, path string) {
		if len(p.Withdrawal) == 0 {
			f.at(path, "purpose", p.Label)
		}
	})
}

// eachTick calls do for every consent tick of every form.
func (c *Context) eachTick(do func(form *policy.Form, t *policy.Consent, path string)) {
	for i := range c.Forms {
		form := &c.Forms[i]
		for j := range form.Consents {
			do(form, &form.Consents[j], item("forms."+form.ID+".consents", j))
		}
	}
}

func tickForSeveral(c *Context, f *found) {
	c.eachTick(func(form *policy.Form, t *policy.Consent, path string) {
		if len(t.Purposes) > 1 {
			f.at(path+".purposes", "tick", t.Name, "form", form.Label, "purposes", t.Purposes)
		}
	})
}

// consentDemanded finds a service refused to whoever says no to something else.
func consentDemanded(c *Context, f *found) {
	for _, p := range c.Purposes {
		if p.Conditional && p.Basis.Consent() {
			f.at("purposes."+p.ID+".conditional", "purpose", p.Label)
		}
	}
	c.eachTick(func(form *policy.Form, t *policy.Consent, path string) {
		for _, id := range t.Purposes {
			if p := c.Purpose(id); t.Required && id != form.Purpose && p != nil {
				f.at(path+".required", "purpose", p.Label)
			}
		}
	})
}

func proofTooLong(c *Context, f *found) {
	c.onBasis("6.1.a", func(p *policy.Purpose, path string) {
		if v, long := c.longer(p.ProofWindow, "consent_proof.max"); long {
			f.at(path+".proof_window", "purpose", p.Label, "has", p.ProofWindow, "limit", v)
		}
	})
}

// childrenConsent finds consent asked on a site for children of people too
// young to give it.
func childrenConsent(c *Context, f *found) {
	children := map[string]bool{}
	for _, s := range c.Sites {
		children[s.ID] = s.Children
	}
	for i := range c.Forms {
		form := &c.Forms[i]
		if !children[form.Site] || !c.asksConsent(form) {
			continue
		}
		v, ok := c.value("age_of_consent")
		age, err := strconv.Atoi(v.Value)
		switch path := "forms." + form.ID; {
		case form.MinAge == 0:
			f.at(path, "form", form.Label, "problem", ageUnasked)
		case ok && err == nil && form.MinAge < age:
			f.at(path+".min_age", "form", form.Label, "problem", fill(tooYoung, []any{"age", v}), "rests", v)
		}
	}
}

func (c *Context) asksConsent(form *policy.Form) bool {
	return len(form.Consents) > 0 || c.onConsent(form.Purpose)
}

func refreshMissing(c *Context, f *found) {
	c.onBasis("6.1.a", func(p *policy.Purpose, path string) {
		if !p.Refresh.Set {
			f.at(path, "purpose", p.Label)
		}
	})
}

// nagging finds that people are asked again sooner after a no than after a yes, or
// that the no cannot be remembered for as long as is promised.
func nagging(c *Context, f *found) {
	quiet := c.Consent.QuietPeriod
	if !quiet.Set {
		return
	}
	for _, d := range c.Device {
		switch path := "consent.refusal_quiet_period"; {
		case d.ID != policy.ChoiceCookie || !d.Duration.Set:
		case quiet.Approx() < d.Duration.Approx():
			f.at(path, "problem", fill(askedSooner, []any{"quiet", quiet, "life", d.Duration}))
		case quiet.Approx() > d.Duration.Approx():
			f.at(path, "problem", fill(forgotBefore, []any{"quiet", quiet, "life", d.Duration}))
		}
	}
}

// interestUnasked finds interests that are taken without consent, or kept where the
// declaration does not say so.
func interestUnasked(c *Context, f *found) {
	for _, in := range c.Interests {
		path := "interests." + in.ID
		if !c.onConsent(in.Purpose) {
			f.at(path+".purpose", "interest", in.Label, "problem", interestBasis)
		}
		for _, d := range c.Device {
			switch {
			case d.ID != in.Stored:
			case d.Technology != "local_storage" || d.Service != "":
				f.at(path+".stored", "interest", in.Label, "problem", interestPlace)
			case d.Purpose != in.Purpose || d.Category == "necessary":
				f.at(path+".stored", "interest", in.Label, "problem", interestOther)
			}
		}
	}
}

// promiseIncomplete looks in the newsletter's promise for the sender's name, the
// channel and the word that it can be withdrawn. The product kinds it cannot judge.
func promiseIncomplete(c *Context, f *found) {
	for i := range c.Forms {
		form := &c.Forms[i]
		if kindOf(form) != "newsletter" {
			continue
		}
		if len(form.Promise) == 0 {
			f.at("forms."+form.ID, "form", form.Label, "missing", promiseItself)
			continue
		}
		for _, l := range c.Languages {
			said := strings.ToLower(form.Promise[l])
			switch {
			case said == "": // TX-01
			case !strings.Contains(said, strings.ToLower(shortName(c.Controller.LegalName))):
				f.at("forms."+form.ID+".promise", "form", form.Label, "missing", promiseSender)
			case !c.words.has(c.words.Channel, l, said):
				f.at("forms."+form.ID+".promise", "form", form.Label, "missing", promiseChannel)
			case !c.words.has(c.words.Withdraw, l, said):
				f.at("forms."+form.ID+".promise", "form", form.Label, "missing", promiseWithdrawal)
			}
		}
	}
}

// shortName is a company's name without its legal form.
func shortName(s string) string {
	for _, form := range []string{" A/S", " ApS", " I/S", " K/S", " P/S", ", Inc.", " Inc.", " Ltd.", " GmbH", " AB", " AS", " AG"} {
		s = strings.TrimSuffix(s, form)
	}
	return strings.TrimSpace(s)
}

func marketingUnasked(c *Context, f *found) {
	for i := range c.Purposes {
		p := &c.Purposes[i]
		path := "purposes." + p.ID
		switch {
		case p.Marketing == "newsletter" && !p.Basis.Consent():
			f.at(path+".marketing", "purpose", p.Label, "problem", newsletterUnasked)
		case p.Marketing == "similar_products" && !c.customersOnly(p):
			f.at(path+".marketing", "purpose", p.Label, "problem", notCustomers)
		}
	}
	for i := range c.Forms {
		form := &c.Forms[i]
		if p := c.Purpose(form.Purpose); kindOf(form) == "newsletter" && p != nil && p.Marketing == "" {
			f.at("forms."+form.ID, "purpose", p.Label, "problem", newsletterUnmarked)
		}
	}
}

// customersOnly reports whether the purpose concerns only people who are party to a contract.
func (c *Context) customersOnly(p *policy.Purpose) bool {
	for _, id := range p.People {
		if s := c.SubjectCategory(id); s == nil || !s.Contract {
			return false
		}
	}
	return len(p.People) > 0
}

// senderUnknown finds marketing whose messages could not say who sends them or how to stop them.
func senderUnknown(c *Context, f *found) {
	for _, p := range c.Purposes {
		if p.Marketing == "" {
			continue
		}
		var missing []text.Text
		if c.Controller.Email == "" {
			missing = append(missing, senderAddress)
		}
		if len(p.Withdrawal) == 0 {
			missing = append(missing, senderStop)
		}
		for _, m := range missing {
			f.at("purposes."+p.ID, "purpose", p.Label, "missing", m)
		}
	}
}

// eachClaim calls do for every claim of a kind.
func (c *Context) eachClaim(kind string, do func(path string, claim *policy.Claim)) {
	for i := range c.Claims {
		if c.Claims[i].Kind == kind {
			do(item("claims", i), &c.Claims[i])
		}
	}
}

// claimOf returns the check that no published text claims that kind of thing.
func claimOf(kind string) func(*Context, *found) {
	return func(c *Context, f *found) {
		c.eachClaim(kind, func(path string, claim *policy.Claim) {
			f.at(path, "says", quote(claim.Says), "about", claim.About)
		})
	}
}

// quote puts what a claim says into the marks of each language.
func quote(t text.Text) text.Text {
	return text.Text{text.DA: "»" + t.In(text.DA) + "«", text.EN: "“" + t.In(text.EN) + "”"}
}
