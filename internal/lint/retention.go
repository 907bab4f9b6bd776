package lint

import (
	"slices"

	"github.com/tillid/tillid/internal/policy"
)

func retentionMissing(c *Context, f *found) {
	for _, p := range c.Purposes {
		path := "purposes." + p.ID
		if len(c.rulesOf[p.ID]) == 0 {
			f.at(path, "purpose", p.Label, "data", everything)
			continue
		}
		for _, id := range p.Data {
			if c.governing(p.ID, id) == nil {
				f.at(path, "purpose", p.Label, "data", c.label(id))
			}
		}
	}
}

// governing returns the rule for a category of a purpose: one that names it or
// an ancestor, else one that names nothing.
func (c *Context) governing(purpose, data string) *policy.Rule {
	var general *policy.Rule
	for _, r := range c.rulesOf[purpose] {
		if len(r.Data) == 0 && general == nil {
			general = r
		}
		if c.covers(r.Data, data) {
			return r
		}
	}
	return general
}

func triggerNeverComes(c *Context, f *found) {
	for _, r := range c.Retention {
		e, known := policy.EventNamed(r.Trigger)
		switch {
		case !known:
			f.at("retention."+r.ID+".trigger", "rule", r.ID, "event", r.Trigger, "problem", eventUnknown)
		case e.EmittedBy == "" && r.Executor != "manual":
			f.at("retention."+r.ID+".trigger", "rule", r.ID, "event", r.Trigger, "problem", eventByHand)
		}
	}
}

// nobodyExecutes finds rules that no code carries out and nobody answers for.
func nobodyExecutes(c *Context, f *found) {
	for _, r := range c.Retention {
		path := "retention." + r.ID
		switch {
		case r.Executor == "manual" && r.Owner == "":
			f.at(path+".executor", "rule", r.ID, "problem", ownerMissing)
		case r.Executor != "manual" && !c.executed(&r):
			f.at(path, "rule", r.ID, "problem", noExecutor)
		}
	}
}

// executed reports whether the program keeps the purpose's data and does to
// them what the rule says.
func (c *Context) executed(r *policy.Rule) bool {
	_, kept := c.ExecutorOf(r.Purpose)
	return kept && (r.Action == "delete" || r.Action == "anonymise")
}

func belowFloor(c *Context, f *found) {
	for _, r := range c.Retention {
		if r.Floor == nil {
			continue
		}
		path := "retention." + r.ID + ".floor"
		v, ok := c.value(r.Floor.Law)
		if !ok {
			f.at(path, "rule", r.ID, "problem", fill(floorUnknown, []any{"law", r.Floor.Law, "near", didYouMean(c.law.NearestValue(r.Floor.Law))}))
			continue
		}
		limit, err := policy.ParseDuration(v.Value)
		if err == nil && r.Floor.Duration.Set && compare(r.Floor.Duration, limit) < 0 {
			f.at(path, "rule", r.ID, "problem", fill(floorShort, []any{"law", r.Floor.Law, "limit", v, "has", r.Floor.Duration}), "rests", v)
		}
	}
}

func applicantsTooLong(c *Context, f *found) {
	for _, r := range c.Retention {
		if !c.servesKind(r.Purpose, "application") {
			continue
		}
		path := "retention." + r.ID
		span := longest(&r)
		if v, long := c.longer(span, "applicant.max"); long {
			f.at(path, "rule", r.ID, "has", span, "limit", v)
		} else if v, long := c.longer(span, "applicant.reason"); long && len(r.Reason) == 0 {
			f.warn(path, "rule", r.ID, "has", span, "limit", v)
		}
	}
}

// longest returns the longest time for which a rule keeps something, as far as
// it is counted from receipt.
func longest(r *policy.Rule) policy.Duration {
	if r.AtLatest.Set {
		return r.AtLatest
	}
	return r.Duration
}

func unusuallyLong(c *Context, f *found) {
	for _, r := range c.Retention {
		if len(r.Reason) > 0 || r.Floor != nil {
			continue
		}
		if !c.servesKind(r.Purpose, "enquiry") && !c.servesKind(r.Purpose, "callback") {
			continue
		}
		span := longest(&r)
		if v, long := c.longer(span, "max.enquiry"); long {
			f.at("retention."+r.ID, "rule", r.ID, "has", span, "limit", v)
		}
	}
}

func notAnonymous(c *Context, f *found) {
	for _, r := range c.Retention {
		if r.Action != "anonymise" {
			continue
		}
		for _, id := range r.Leaves {
			if d := c.data[id]; d != nil && d.Identifiability != "none" {
				f.at("retention."+r.ID+".leaves", "rule", r.ID, "data", d.Label)
			}
		}
	}
}

func backupsRemember(c *Context, f *found) {
	if len(c.Backups) == 0 {
		f.at("backups", "problem", backupsUnsaid)
	}
	for _, b := range c.Backups {
		if !b.Horizon.Set {
			f.at("backups."+b.ID, "problem", fill(horizonUnsaid, []any{"backup", b.ID}))
		} else if v, long := c.longer(b.Horizon, "backup_horizon"); long {
			f.at("backups."+b.ID+".horizon", "problem", fill(horizonLong, []any{"backup", b.ID, "has", b.Horizon, "limit", v}), "rests", v)
		}
	}
}

// rulesConflict finds two rules for the same data of one purpose that end
// differently. A rule that others leave for is not in conflict: the stage decides.
func rulesConflict(c *Context, f *found) {
	target := map[string]bool{}
	for _, r := range c.Retention {
		for _, s := range r.Stages {
			target[s.LeavesFor] = true
		}
	}
	for _, rules := range c.rulesOf {
		for i, b := range rules {
			for _, a := range rules[:i] {
				if !target[a.ID] && !target[b.ID] && overlap(a, b) && !sameEnd(a, b) {
					f.at("retention."+b.ID, "rule", b.ID, "other", a.ID)
				}
			}
		}
	}
}

// overlap reports whether two rules of one purpose govern the same data. A rule
// that names its data goes before one that does not, so those two do not.
func overlap(a, b *policy.Rule) bool {
	if len(a.Data) == 0 || len(b.Data) == 0 {
		return len(a.Data) == len(b.Data)
	}
	return slices.ContainsFunc(a.Data, func(id string) bool { return slices.Contains(b.Data, id) })
}

func sameEnd(a, b *policy.Rule) bool {
	return a.Trigger == b.Trigger && a.Duration == b.Duration && a.AtLatest == b.AtLatest && a.Action == b.Action
}

func neverAtLatest(c *Context, f *found) {
	for _, r := range c.Retention {
		if r.Trigger != "received" && !r.AtLatest.Set {
			f.at("retention."+r.ID, "rule", r.ID, "event", r.Trigger)
		}
	}
}
