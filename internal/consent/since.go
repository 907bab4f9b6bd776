package consent

import (
	"strings"

	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/text"
)

// since says in words what has changed since a visitor's last choice, one
// sentence for each thing that is asked about again or anew.
func (o *offer) since(l text.Lang, state State) []string {
	if !state.some() && !grown(state.answers) {
		return nil
	}
	var all []string
	for i, a := range state.answers {
		it := o.items[i]
		if state.GPC && o.asked[i].Ads {
			continue
		}
		if a.fresh {
			all = append(all, text.T(l, "consent.since.new", "What", it.Label.In(l)))
		}
		for _, g := range a.grew {
			all = append(all, o.growthText(l, it.Label.In(l), g))
		}
	}
	return all
}

func grown(answers []answer) bool {
	for _, a := range answers {
		if len(a.grew) > 0 {
			return true
		}
	}
	return false
}

func (o *offer) growthText(l text.Lang, item string, g growth) string {
	more := g.what
	switch g.kind {
	case "purpose":
		if p := o.plan.Purpose(g.what); p != nil {
			more = lowerFirst(p.Label.In(l))
		}
	case "data":
		if d := o.plan.DataCategory(g.what); d != nil {
			more = lowerFirst(d.Label.In(l))
		}
	case "host":
		_, more, _ = strings.Cut(g.what, " ")
	case "longer":
		if g.now.Set {
			return text.T(l, "consent.since.longer", "What", item, "More", more, "Now", inWords(l, g.now), "Was", inWords(l, g.was))
		}
		return text.T(l, "consent.since.endless", "What", item, "More", more)
	}
	return text.T(l, "consent.since."+g.kind, "What", item, "More", more)
}

func inWords(l text.Lang, d policy.Duration) string {
	if d.Set && d.Approx() == 0 {
		return text.T(l, "consent.device.session")
	}
	return text.Period(l, d.Years, d.Months, d.Weeks, d.Days, d.Hours, d.Minutes)
}
