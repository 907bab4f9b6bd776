package connect

import (
	"fmt"
	"time"

	"github.com/tillid/tillid/internal/law"
	"github.com/tillid/tillid/internal/policy"
)

// forbidden says why nothing may go to an engagement on a day, in English; ""
// when it may. A party outside the EEA needs a declared transfer whose ground
// holds that day (GDPR Art. 44–46): an adequacy decision that covers it, a
// verified certification, or safeguards. What the law packs know but nobody has
// checked counts as known: unchecked values warn in lint, and refuse nothing.
func forbidden(plan *policy.Plan, packs *law.Law, engagement string, at time.Time) string {
	e := plan.Engagement(engagement)
	if e == nil {
		return "the engagement is not declared any more"
	}
	countries := map[string]bool{}
	if p := plan.Party(e.Party); p != nil {
		countries[p.Country] = true
	}
	for _, t := range e.Transfers {
		countries[t.To] = true
	}
	for country := range countries {
		if _, inside := packs.EEA(country, at); !inside && country != "" && !grounded(packs, e, country, at) {
			return fmt.Sprintf("no ground for a transfer to %s holds today", country)
		}
	}
	return ""
}

// grounded reports whether one of the transfers that are declared to a country may be made.
func grounded(packs *law.Law, e *policy.Engagement, country string, at time.Time) bool {
	for i := range e.Transfers {
		t := &e.Transfers[i]
		if t.To != country {
			continue
		}
		decision, known := packs.Adequacy(country, at)
		switch t.Mechanism {
		case "adequacy":
			r := law.Recipient{Authority: e.Role == "authority", Commercial: t.Commercial != nil && *t.Commercial, HRData: t.HR, HRCovered: t.HRCovered}
			if known && decision.Covers(r) {
				return true
			}
		case "dpf":
			certified := t.VerifiedOn != (policy.Date{})
			if known && decision.Scope == law.ScopeSelfCertified && decision.Covers(law.Recipient{SelfCertified: certified, HRData: t.HR, HRCovered: t.HRCovered}) {
				return true
			}
		default:
			return true // safeguards of the parties' own (Art. 46), or an exception (Art. 49)
		}
	}
	return false
}

// allowed looks at the law packs that the declaration names; packs that cannot be
// read allow nothing.
func (s *Service) allowed(engagement string) (why string) {
	plan := s.Plan()
	packs, err := law.Load(plan.Law)
	if err != nil {
		return err.Error()
	}
	return forbidden(plan, packs, engagement, s.Now())
}
