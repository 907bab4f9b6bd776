package lint

import (
	"slices"

	"github.com/tillid/tillid/internal/law"
	"github.com/tillid/tillid/internal/policy"
)

// eachTransfer calls do for every declared transfer out of the EEA.
func (c *Context) eachTransfer(do func(e *policy.Engagement, t *policy.Transfer, path string)) {
	for i := range c.Engagements {
		e := &c.Engagements[i]
		for j := range e.Transfers {
			if t := &e.Transfers[j]; c.outside(t.To) {
				do(e, t, item("engagements."+e.ID+".transfers", j))
			}
		}
	}
}

// transferUndeclared is an error although the list of the EEA may be unchecked:
// it rests on a country's absence from the list, and only a value that stands
// there can be unchecked. It also finds the claim that all data stays in the EU or in
// adequate countries: a blanket names no transfer.
func transferUndeclared(c *Context, f *found) {
	for i := range c.Engagements {
		e := &c.Engagements[i]
		p := c.Party(e.Party)
		if p == nil || !c.outside(p.Country) {
			continue
		}
		if !slices.ContainsFunc(e.Transfers, func(t policy.Transfer) bool { return t.To == p.Country }) {
			f.at("engagements."+e.ID, "problem", fill(goesUndeclared, []any{"party", c.name(e), "country", p.Country}))
		}
	}
	c.eachClaim("adequacy_only", func(path string, claim *policy.Claim) {
		f.at(path, "problem", fill(blanketTransfer, []any{"says", quote(claim.Says)}))
	})
}

func notAdequate(c *Context, f *found) {
	c.eachTransfer(func(e *policy.Engagement, t *policy.Transfer, path string) {
		a, ok := c.adequacy(t.To)
		switch {
		case t.Mechanism == "adequacy" && !ok:
			f.at(path, "party", c.name(e), "problem", fill(noDecision, []any{"country", t.To}))
		case t.Mechanism == "dpf" && (!ok || a.Scope != law.ScopeSelfCertified):
			f.at(path, "party", c.name(e), "problem", fill(noFramework, []any{"country", t.To}))
		case t.Mechanism == "adequacy" && a.Status == law.Unchecked:
			f.warn(path, "party", c.name(e), "problem", fill(decisionUnchecked, []any{"country", t.To, "decision", a}), "rests", a)
		}
	})
}

func outOfScope(c *Context, f *found) {
	c.eachTransfer(func(e *policy.Engagement, t *policy.Transfer, path string) {
		a, ok := c.adequacy(t.To)
		if !ok || t.Mechanism != "adequacy" {
			return
		}
		r := law.Recipient{Authority: e.Role == "authority", Commercial: is(t.Commercial), HRData: t.HR, HRCovered: t.HRCovered}
		if !a.Covers(r) {
			f.at(path, "party", c.name(e), "decision", a, "scope", scopeWords(a.Scope))
		}
	})
}

func certificationUnverified(c *Context, f *found) {
	c.eachTransfer(func(e *policy.Engagement, t *policy.Transfer, path string) {
		if t.Mechanism != "dpf" {
			return
		}
		if t.VerifiedOn == (policy.Date{}) {
			f.at(path, "party", c.name(e), "problem", neverVerified)
		} else if v, old := c.older(t.VerifiedOn, "certification_check"); old {
			f.at(path+".verified_on", "party", c.name(e), "problem", fill(olderThan, []any{"limit", v}), "rests", v)
		}
		if t.HR && !t.HRCovered {
			f.at(path, "party", c.name(e), "problem", hrNotCovered)
		}
	})
}

// adequacyShaky finds transfers that stand and fall with a decision before a
// court or near its end, with nothing to fall back on.
func adequacyShaky(c *Context, f *found) {
	c.eachTransfer(func(e *policy.Engagement, t *policy.Transfer, path string) {
		a, ok := c.adequacy(t.To)
		if !ok || t.Mechanism != "adequacy" && t.Mechanism != "dpf" || hasFallback(e, t.To) {
			return
		}
		if a.Contested {
			f.at(path, "party", c.name(e), "decision", a, "problem", isContested)
		} else if v, ok := c.value("adequacy_warning"); ok && endsWithin(c, a, v) {
			f.at(path, "party", c.name(e), "decision", a, "problem", fill(endsSoon, []any{"limit", v}))
		}
	})
}

func hasFallback(e *policy.Engagement, country string) bool {
	return slices.ContainsFunc(e.Transfers, func(t policy.Transfer) bool {
		return t.To == country && (t.Mechanism == "scc" || t.Mechanism == "bcr")
	})
}

func endsWithin(c *Context, a law.Adequacy, v law.Value) bool {
	d, err := policy.ParseDuration(v.Value)
	return err == nil && !a.Until.IsZero() && a.Until.Before(d.After(c.day, c.day.Location()))
}

func clausesUndocumented(c *Context, f *found) {
	c.eachTransfer(func(e *policy.Engagement, t *policy.Transfer, path string) {
		if t.Mechanism != "scc" {
			return
		}
		var missing []string
		for _, x := range []struct{ key, value string }{{"module", t.Module}, {"evidence", t.Evidence}, {"tia", t.TIA}} {
			if x.value == "" {
				missing = append(missing, x.key)
			}
		}
		if len(missing) > 0 {
			f.at(path, "party", c.name(e), "missing", missing)
		}
	})
}

// noCopyOfSafeguards asks for a copy only where Art. 13(1)(f) does: for
// safeguards under Art. 46, 47 and 49, not under an adequacy decision.
func noCopyOfSafeguards(c *Context, f *found) {
	c.eachTransfer(func(e *policy.Engagement, t *policy.Transfer, path string) {
		if t.Mechanism != "adequacy" && t.Mechanism != "dpf" && t.CopyURL == "" {
			f.at(path, "party", c.name(e), "country", t.To)
		}
	})
}

func derogationAsHabit(c *Context, f *found) {
	c.eachTransfer(func(e *policy.Engagement, t *policy.Transfer, path string) {
		if t.Mechanism == "art49" {
			f.at(path+".mechanism", "party", c.name(e))
		}
	})
}
