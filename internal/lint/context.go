package lint

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tillid/tillid/internal/law"
	"github.com/tillid/tillid/internal/policy"
)

// Context is what checks read: the plan, the law of the day, and what follows
// from the plan and is asked for again and again.
type Context struct {
	*policy.Plan
	law   *law.Law
	day   time.Time
	words *wordList

	used map[string][]law.Fact // by pack: the law values consulted so far, for the rules of family LAW

	formsOf   map[string][]*policy.Form // by purpose
	deviceOf  map[string]bool           // purposes served by device access or a service
	collected map[string]bool           // data categories that some form, service or source brings in
	rulesOf   map[string][]*policy.Rule // by purpose
	data      map[string]*policy.DataCategory

	placed     []placed // what texts returns, once asked for
	partyNames []string // of Parties: without legal form, in small letters
}

func newContext(plan *policy.Plan, l *law.Law, asOf policy.Date) *Context {
	c := &Context{
		Plan: plan, law: l, day: midnight(asOf), words: words(), used: map[string][]law.Fact{},
		formsOf: map[string][]*policy.Form{}, deviceOf: map[string]bool{}, collected: map[string]bool{},
		rulesOf: map[string][]*policy.Rule{}, data: map[string]*policy.DataCategory{},
	}
	for i := range plan.Data {
		d := &plan.Data[i]
		c.data[d.ID] = d
		if len(d.Source) > 0 {
			c.collected[d.ID] = true
		}
	}
	for i := range plan.Forms {
		f := &plan.Forms[i]
		for _, p := range formPurposes(f) {
			c.formsOf[p] = append(c.formsOf[p], f)
		}
		for _, field := range f.Fields {
			c.collected[field.Data] = true
		}
	}
	for i := range plan.Retention {
		r := &plan.Retention[i]
		c.rulesOf[r.Purpose] = append(c.rulesOf[r.Purpose], r)
	}
	for _, p := range plan.Parties {
		c.partyNames = append(c.partyNames, strings.ToLower(shortName(p.LegalName)))
	}
	c.noteDevices()
	return c
}

// noteDevices notes what scripts, pixels and cookies serve and thereby collect.
func (c *Context) noteDevices() {
	for _, s := range c.Services {
		c.deviceOf[s.Purpose] = true
	}
	for _, d := range c.Device {
		c.deviceOf[d.Purpose] = true
	}
	for _, p := range c.Purposes {
		if c.deviceOf[p.ID] {
			for _, id := range p.Data {
				c.collected[id] = true
			}
		}
	}
}

// formPurposes returns the purposes that a form collects for: its own and those of its ticks.
func formPurposes(f *policy.Form) []string {
	ids := []string{f.Purpose}
	for _, t := range f.Consents {
		for _, id := range t.Purposes {
			if !slices.Contains(ids, id) {
				ids = append(ids, id)
			}
		}
	}
	return ids
}

// value returns a law value by its short id ("max.cookie") on the day, and notes its use.
func (c *Context) value(id string) (law.Value, bool) {
	v, ok := c.law.Value(id, c.day)
	if ok {
		c.use(v.Fact)
	}
	return v, ok
}

// longer reports whether d is longer than the law value id, and returns the value.
// Without such a value nothing is too long.
func (c *Context) longer(d policy.Duration, id string) (law.Value, bool) {
	v, ok := c.value(id)
	if !ok || !d.Set {
		return v, false
	}
	limit, err := policy.ParseDuration(v.Value)
	return v, err == nil && compare(d, limit) > 0
}

// older reports whether date lies further back than the law value id, and returns the value.
func (c *Context) older(date policy.Date, id string) (law.Value, bool) {
	v, ok := c.value(id)
	if !ok {
		return v, false
	}
	limit, err := policy.ParseDuration(v.Value)
	return v, err == nil && limit.After(midnight(date), time.UTC).Before(c.day)
}

// past reports whether date is given and lies before the day.
func (c *Context) past(date policy.Date) bool {
	return date != (policy.Date{}) && midnight(date).Before(c.day)
}

func (c *Context) use(f law.Fact) {
	pack, _, _ := strings.Cut(f.ID, ".")
	if !slices.ContainsFunc(c.used[pack], func(x law.Fact) bool { return x.ID == f.ID }) {
		c.used[pack] = append(c.used[pack], f)
	}
}

// outside reports whether country is a third country, and notes the use of the list.
func (c *Context) outside(country string) bool {
	m, ok := c.law.EEA(country, c.day)
	if ok {
		c.use(m.Fact)
	}
	return !ok
}

func (c *Context) adequacy(country string) (law.Adequacy, bool) {
	a, ok := c.law.Adequacy(country, c.day)
	if ok {
		c.use(a.Fact)
	}
	return a, ok
}

// covers reports whether one of have is the category want or an ancestor of it.
func (c *Context) covers(have []string, want string) bool {
	for range len(c.data) + 1 { // bounded: parents may form a ring
		if slices.Contains(have, want) {
			return true
		}
		d := c.data[want]
		if d == nil || d.Parent == "" {
			return false
		}
		want = d.Parent
	}
	return false
}

// direct returns the categories among ids that name the person or reach them.
func (c *Context) direct(ids []string) []string {
	var out []string
	for _, id := range ids {
		if d := c.data[id]; d != nil && d.Identifiability == "direct" {
			out = append(out, id)
		}
	}
	return out
}

// servesKind reports whether a form of that kind collects for the purpose.
func (c *Context) servesKind(purpose, kind string) bool {
	for _, f := range c.formsOf[purpose] {
		if f.Purpose == purpose && kindOf(f) == kind {
			return true
		}
	}
	return false
}

// kindOf returns the form's kind; a form without one is an enquiry.
func kindOf(f *policy.Form) string {
	if f.Kind == "" {
		return "enquiry"
	}
	return f.Kind
}

// is reports whether b is given and true.
func is(b *bool) bool { return b != nil && *b }

// compare compares two calendar periods by what they span from one 1 January:
// P12M equals P1Y, and a month counts as 31 days.
func compare(a, b policy.Duration) int {
	from := time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)
	return a.After(from, time.UTC).Compare(b.After(from, time.UTC))
}

// item is the path of the i-th entry of a list.
func item(path string, i int) string { return fmt.Sprintf("%s[%d]", path, i) }
