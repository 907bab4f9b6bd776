package scan

import (
	"net/url"
	"slices"
	"strings"

	"github.com/tillid/tillid/internal/known"
	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/text"
)

// Compare holds what a scan found against a declaration, errors first, and
// writes into each item where it is declared. Without a declaration nothing is
// missing from it, and only what kept the scan from looking is said.
func Compare(plan *policy.Plan, r *Result) []Finding {
	c := &comparison{plan: plan, r: r, used: map[string]bool{}}
	if plan != nil {
		for _, it := range r.Items {
			c.item(it)
		}
		c.never()
	}
	c.conditions()
	sortFindings(c.list)
	return c.list
}

type comparison struct {
	plan *policy.Plan
	r    *Result
	used map[string]bool // paths of the declaration that the site uses
	list []Finding
}

func (c *comparison) add(f Finding, path string) {
	f.Path = path
	if path != "" && c.plan != nil {
		f.Line = c.plan.At(path).Line
	}
	c.list = append(c.list, f)
}

func (c *comparison) item(it *Item) {
	switch it.Kind {
	case Host:
		c.host(it)
	case WebRTC:
		c.add(finding(peerConnection, it, nil), "")
	default:
		c.stored(it)
	}
}

// stored: declaration first, then the host that set it, then known names, then nobody knows.
func (c *comparison) stored(it *Item) {
	d := deviceOf(c.plan, it.Kind, it.Name, it.Domain)
	if d == nil {
		rule := undeclaredStorage
		if it.Kind == Cookie {
			rule = undeclaredCookie
		}
		f := finding(rule, it, nil)
		f.Classified = classified(it)
		c.add(f, "device_access")
		return
	}
	path := "device_access." + d.ID
	it.Declared = path
	c.used[path] = true
	if d.Category != "necessary" && early(it) {
		c.add(finding(tooEarly, it, categoryValues(d.Category)), path)
	}
	if it.Kind == Cookie && d.Duration.Set && lastsLonger(it.Lifetime, d.Duration) {
		c.add(finding(tooLong, it, func(l text.Lang) []any {
			return []any{"Lives", inWords(it.Lifetime, l), "Declared", inWords(d.Duration.String(), l)}
		}), path+".duration")
	}
}

func categoryValues(category string) func(text.Lang) []any {
	return func(l text.Lang) []any { return []any{"Category", text.T(l, "scan.category."+category)} }
}

// early reports whether something was there without a yes.
func early(it *Item) bool {
	return slices.Contains(it.Passes, Untouched) || slices.Contains(it.Passes, Refused)
}

// lastsLonger reports whether a seen lifetime is longer than the declared one,
// by more than what a month may be longer than another.
func lastsLonger(seen string, declared policy.Duration) bool {
	d, err := policy.ParseDuration(seen)
	if err != nil {
		return false
	}
	slack := declared.Approx() / 30
	if declared.Months == 0 && declared.Years == 0 {
		slack = declared.Approx() / 100
	}
	return d.Approx() > declared.Approx()+slack
}

// inWords writes a period for people.
func inWords(iso string, l text.Lang) string {
	d, err := policy.ParseDuration(iso)
	if err != nil {
		return iso
	}
	if d.IsZero() {
		return text.T(l, "scan.session")
	}
	if d.Seconds > 0 {
		d.Minutes++
	}
	return text.Period(l, d.Years, d.Months, d.Weeks, d.Days, d.Hours, d.Minutes)
}

func (c *comparison) host(it *Item) {
	u := &url.URL{Scheme: "https", Host: it.Name}
	id, _ := serviceOf(c.plan, u, "")
	if id == "" {
		f := finding(undeclaredHost, it, nil)
		f.Classified = classified(it)
		c.add(f, "services")
		return
	}
	path := "services." + id
	it.Declared = path
	c.used[path] = true
	s := c.plan.Service(id)
	if s.Gate != "none" && early(it) {
		c.add(finding(tooEarly, it, categoryValues(s.Category)), path)
	}
	for _, use := range it.Uses {
		if _, allowed := serviceOf(c.plan, u, use); !allowed {
			c.add(finding(otherUse, it, func(text.Lang) []any { return []any{"Use", use, "Service", id} }), path+".hosts")
		}
	}
}

// classified says what an undeclared item was taken for, and why.
func classified(it *Item) text.Text {
	s := known.Load().Service(it.Service)
	if s == nil {
		return says("scan.classified.nothing", nil)
	}
	return says("scan.classified."+it.KnownBy, func(l text.Lang) []any { return []any{"Service", s.Label.In(l)} })
}

// never names what is declared and was not seen, when there was a chance to see it.
func (c *comparison) never() {
	if !c.r.Whole || !c.r.Banner[Accepted].Done && len(c.plan.ConsentPurposes()) > 0 {
		return
	}
	for _, d := range c.plan.Device {
		if path := "device_access." + d.ID; !c.used[path] && !c.office(d.Domain) {
			c.add(finding(neverSeen, nil, func(text.Lang) []any { return []any{"Name", d.ID} }), path)
		}
	}
	for _, s := range c.plan.Services {
		if path := "services." + s.ID; !c.used[path] {
			c.add(finding(neverSeen, nil, func(l text.Lang) []any { return []any{"Name", s.Label.In(l)} }), path)
		}
	}
}

// office reports whether a domain is the Backoffice's, which is not scanned.
func (c *comparison) office(domain string) bool {
	return domain != "" && slices.Contains(c.plan.Backoffice.Hosts, domain)
}

// conditions names what kept the scan from seeing everything.
func (c *comparison) conditions() {
	if !c.r.Whole {
		c.add(finding(notWhole, nil, nil), "")
	}
	needed := c.plan == nil || len(c.plan.ConsentPurposes()) > 0
	if !c.r.Banner[Accepted].Done && c.r.Whole {
		f := finding(noBanner, nil, nil)
		if !needed {
			f.Severity = Info
		}
		c.add(f, "")
	}
	what := map[string][]string{}
	for _, t := range c.r.Trouble {
		if !slices.Contains(what[t.What], t.Page) {
			what[t.What] = append(what[t.What], t.Page)
		}
	}
	for _, id := range []string{failed, crashed, slow, heavy, unhelpful, internal, away, download, "pages"} {
		if pages := what[id]; len(pages) > 0 {
			f := finding(unseenPage, nil, func(l text.Lang) []any {
				return []any{"Count", len(pages), "Pages", strings.Join(pages[:min(3, len(pages))], ", "), "What", text.T(l, "scan.trouble."+id)}
			})
			f.Pages = pages[:min(maxPages, len(pages))]
			if id == "pages" { // of the whole site
				f.Message, f.Pages = says("scan.trouble."+id, nil), nil
			}
			if id == away || id == download || id == "pages" || id == slow {
				f.Severity = Info
			}
			c.add(f, "")
		}
	}
}
