package consent

import (
	"slices"
	"time"

	"github.com/tillid/tillid/internal/policy"
)

// answer is what a visitor has said to one item.
type answer struct {
	said bool // a yes or a no is in force
	yes  bool
	at   time.Time

	// When nothing is in force: whether the item was not there at the last choice,
	// or in what it has grown since.
	fresh bool
	grew  []growth
}

// life is how long a yes and a no last, the same for both: as long as the cookie
// is declared to, half a year when it is not.
func (o *offer) life() policy.Duration {
	if o.plan != nil {
		for i := range o.plan.Device {
			if d := &o.plan.Device[i]; d.ID == policy.ChoiceCookie && d.Duration.Set && d.Duration.Approx() > 0 {
				return d.Duration
			}
		}
	}
	return policy.Duration{Set: true, Months: 6}
}

// until returns when a choice ends.
func (o *offer) until(at time.Time) time.Time { return o.life().After(at, o.zone()) }

// ends returns when an answer to an item ends: with the cookie, or earlier when
// its purpose says so.
func (o *offer) ends(i int, at time.Time) time.Time {
	end := o.until(at)
	if p := o.plan.Purpose(o.asked[i].Purpose); p != nil && p.Refresh.Set {
		if refresh := p.Refresh.After(at, o.zone()); refresh.Before(end) {
			return refresh
		}
	}
	return end
}

// quiet returns until when nobody is asked again after a no.
func (o *offer) quiet(i int, at time.Time) time.Time {
	end := o.ends(i, at)
	if q := o.plan.Consent.QuietPeriod; q.Set {
		if quiet := q.After(at, o.zone()); quiet.Before(end) {
			return quiet
		}
	}
	return end
}

func (o *offer) zone() *time.Location {
	if o.plan != nil && o.plan.Loc != nil {
		return o.plan.Loc
	}
	return time.UTC
}

// answers holds what the cookie says against today's offer. A yes covers what was
// asked then and no more: of an item that has grown it is none. A no covers the
// item also when it has grown, and a purpose that was refused whole also when it
// is served by more: nobody is asked twice within the quiet period.
func (o *offer) answers(k kept, was []asked, now time.Time) []answer {
	all := make([]answer, len(o.items))
	for i, a := range o.asked {
		j := slices.IndexFunc(was, func(w asked) bool { return w.Item == a.Item })
		if j < 0 {
			all[i] = o.unasked(i, k, was, now)
			continue
		}
		said, yes, at := k.answer(j)
		switch grew := a.grew(was[j]); {
		case !said || at.After(now.Add(tolerance)):
		case yes && len(grew) > 0:
			all[i] = answer{grew: grew}
		case yes:
			all[i] = answer{said: now.Before(o.ends(i, at)), yes: true, at: at}
		default:
			all[i] = answer{said: now.Before(o.quiet(i, at)), at: at}
		}
		if !all[i].said {
			all[i] = answer{grew: all[i].grew}
		}
	}
	return all
}

// tolerance is by how much clocks of a house's servers may differ.
const tolerance = 24 * time.Hour

// unasked is the answer to an item that was not there: a no when everything of its
// purpose was refused, and that is not long ago.
func (o *offer) unasked(i int, k kept, was []asked, now time.Time) answer {
	var latest time.Time
	found := false
	for j, w := range was {
		if w.Purpose != o.asked[i].Purpose {
			continue
		}
		said, yes, at := k.answer(j)
		if !said || yes || at.After(now.Add(tolerance)) || !now.Before(o.quiet(i, at)) {
			return answer{fresh: true}
		}
		if found = true; latest.IsZero() || at.Before(latest) {
			latest = at
		}
	}
	if !found {
		return answer{fresh: true}
	}
	return answer{said: true, at: latest}
}

// read fills in a state from answers.
func (s *State) read(o *offer, answers []answer) {
	s.answers, s.Decided, s.At = answers, len(answers) > 0, time.Time{}
	s.granted, s.Services, s.Purposes = nil, nil, nil
	i := 0
	for _, g := range o.Groups {
		all := true
		for _, it := range g.Items {
			a := answers[i]
			i++
			if !a.said {
				s.Decided = false
			} else if a.at.After(s.At) {
				s.At = a.at
			}
			if !a.said || !a.yes {
				all = false
				continue
			}
			s.granted = append(s.granted, it.ID)
			if it.Service != nil {
				s.Services = append(s.Services, it.ID)
			}
		}
		if all {
			s.Purposes = append(s.Purposes, g.Purpose.ID)
		}
	}
}

// asks returns what the banner asks about: what has no answer, but under Global
// Privacy Control nothing that serves advertising.
func (o *offer) asks(state State) []group {
	var all []group
	i := 0
	for _, g := range o.Groups {
		open := group{Purpose: g.Purpose}
		for _, it := range g.Items {
			if len(state.answers) == 0 || !state.answers[i].said {
				open.Items = append(open.Items, it)
			}
			i++
		}
		if len(open.Items) > 0 && (!state.GPC || !g.Purpose.Ads) {
			all = append(all, open)
		}
	}
	return all
}

// some reports whether a visitor has answered some of what is asked: then only
// the rest is asked about.
func (s State) some() bool {
	return slices.ContainsFunc(s.answers, func(a answer) bool { return a.said })
}
