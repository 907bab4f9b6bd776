package gateway

import (
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tillid/tillid/internal/policy"
)

// The directives, by their place in the table below.
const (
	anyDirective = iota // default-src: what has no directive of its own, such as prefetching
	scriptDirective
	styleDirective
	imageDirective
	connectDirective
	frameDirective
	fontDirective
	mediaDirective
	formDirective
	workerDirective
	manifestDirective
	objectDirective
	baseDirective
)

// directives are the parts of the policy, each with what the site itself may
// always do. The site's own inline code, workers, blobs and data addresses keep
// working: what is stopped is other hosts. script-src and style-src stand for
// their -elem and -attr forms, frame-src and worker-src for child-src.
var directives = [...]struct {
	name, own string
	hosts     func(policy.Hosts) []string
}{
	anyDirective:      {"default-src", "'self' data: blob:", nil},
	scriptDirective:   {"script-src", "'self' 'unsafe-inline' 'unsafe-eval' data: blob:", func(h policy.Hosts) []string { return h.Script }},
	styleDirective:    {"style-src", "'self' 'unsafe-inline' data: blob:", func(h policy.Hosts) []string { return h.Style }},
	imageDirective:    {"img-src", "'self' data: blob:", func(h policy.Hosts) []string { return h.Image }},
	connectDirective:  {"connect-src", "'self' data: blob:", func(h policy.Hosts) []string { return h.Connect }},
	frameDirective:    {"frame-src", "'self' data: blob:", func(h policy.Hosts) []string { return h.Frame }},
	fontDirective:     {"font-src", "'self' data: blob:", func(h policy.Hosts) []string { return h.Font }},
	mediaDirective:    {"media-src", "'self' data: blob: mediastream:", func(h policy.Hosts) []string { return h.Media }},
	formDirective:     {"form-action", "'self'", func(h policy.Hosts) []string { return h.Form }},
	workerDirective:   {"worker-src", "'self' data: blob:", func(h policy.Hosts) []string { return h.Worker }},
	manifestDirective: {"manifest-src", "'self' data:", func(h policy.Hosts) []string { return h.Manifest }},
	objectDirective:   {"object-src", "'self' data: blob:", func(h policy.Hosts) []string { return h.Object }},
	baseDirective:     {"base-uri", "'self'", nil},
}

const reportPath = "/_tillid/csp"

// compiled is what the gateway needs of one Plan.
type compiled struct {
	plan        *policy.Plan
	sites       map[string]*siteTable // by host, in lower case, as the declaration writes it
	list        []*siteTable
	own         string         // the site's own hosts, as sources
	services    []serviceTable // in the declaration's order
	device      map[string]*policy.DeviceAccess
	patterns    []*policy.DeviceAccess // those whose name ends in *
	strictest   string                 // the policy of somebody who said yes to nothing
	permissions string                 // likewise

	mu      sync.Mutex
	headers map[string]headers // by the granted services
}

// headers are what a page of one choice is answered with.
type headers struct{ csp, permissions string }

type siteTable struct {
	id       string
	upstream *url.URL
	enforce  bool
	grace    policy.Duration
}

// serviceTable is a service's part of the policy.
type serviceTable struct {
	id       string
	gated    bool
	ads      bool
	fragment [len(directives)]string           // each begins with a space, or is empty
	sources  [len(directives)][]*policy.Source // what the fragments say
}

// compiled returns the tables of the plan in force, made when it changed.
func (s *Service) compiled() *compiled {
	var plan *policy.Plan
	if s.Plan != nil {
		plan = s.Plan()
	}
	c := s.current.Load()
	if c == nil || c.plan != plan {
		c = compile(plan)
		s.current.Store(c)
	}
	return c
}

func compile(plan *policy.Plan) *compiled {
	c := &compiled{plan: plan, sites: map[string]*siteTable{}, device: map[string]*policy.DeviceAccess{}, headers: map[string]headers{}}
	if plan == nil {
		return c
	}
	for i := range plan.Sites {
		c.addSite(&plan.Sites[i])
	}
	for i := range plan.Services {
		c.services = append(c.services, compileService(plan, &plan.Services[i]))
	}
	for i := range plan.Device {
		d := &plan.Device[i]
		switch {
		case d.Technology != "" && d.Technology != "cookie":
		case strings.HasSuffix(d.ID, "*"):
			c.patterns = append(c.patterns, d)
		default:
			c.device[d.ID] = d
		}
	}
	none := c.join(nil)
	c.strictest, c.permissions = none.csp, none.permissions
	return c
}

// usualGrace is how long an undeclared cookie passes after it was first listed.
var usualGrace = policy.Duration{Set: true, Days: 7}

func (c *compiled) addSite(site *policy.Site) {
	table := &siteTable{id: site.ID, enforce: site.Mode == "enforce", grace: site.Grace}
	if !table.grace.Set {
		table.grace = usualGrace
	}
	if u, err := url.Parse(site.Upstream); err == nil && u.Host != "" {
		table.upstream = u
	}
	c.list = append(c.list, table)
	hosts := site.Hosts
	if site.Consent != "" {
		hosts = append(slices.Clone(hosts), site.Consent)
	}
	for _, host := range hosts {
		if c.sites[strings.ToLower(host)] == nil {
			c.sites[strings.ToLower(host)] = table
		}
		if usable(host) {
			c.own += " " + host
		}
	}
}

func compileService(plan *policy.Plan, svc *policy.Service) serviceTable {
	t := serviceTable{id: svc.ID, gated: svc.Gate != "none"}
	if p := plan.Purpose(svc.Purpose); p != nil {
		t.ads = p.Ads
	}
	for i, d := range directives {
		if d.hosts == nil {
			continue
		}
		for _, host := range d.hosts(svc.Hosts) {
			if usable(host) {
				t.fragment[i] += " " + host
				if i == connectDirective && !strings.Contains(host, "://") {
					t.fragment[i] += " wss://" + host // a source without scheme means https alone
				}
				t.sources[i] = append(t.sources[i], policy.ParseSource(host))
				if !slices.Contains(strings.Fields(t.fragment[anyDirective]), host) {
					t.fragment[anyDirective] += " " + host
				}
			}
		}
	}
	return t
}

// usable reports whether a source can stand in the header without changing its
// meaning: no keyword, no wildcard for everything, no separator.
func usable(s string) bool {
	if s == "" || s == "*" || strings.HasSuffix(s, ":") || strings.HasSuffix(s, "://*") {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune(`;,'"`, r) })
}

// siteOf returns the site of a host, with or without its port, or nil.
func (c *compiled) siteOf(host string) *siteTable {
	host = lowered(host)
	if t := c.sites[host]; t != nil {
		return t
	}
	if i := strings.LastIndexByte(host, ':'); i > strings.LastIndexByte(host, ']') {
		return c.sites[host[:i]]
	}
	return nil
}

// lowered is strings.ToLower for the host that nearly always is so already.
func lowered(s string) string {
	for i := range len(s) {
		if 'A' <= s[i] && s[i] <= 'Z' || s[i] >= 0x80 {
			return strings.ToLower(s)
		}
	}
	return s
}

// maxHeaders bounds how many different sets of choices are remembered.
const maxHeaders = 1024

// headersFor returns the headers of a visitor who said yes to the services.
func (c *compiled) headersFor(granted []string) headers {
	if len(granted) == 0 {
		return headers{c.strictest, c.permissions}
	}
	key := strings.Join(granted, " ")
	c.mu.Lock()
	defer c.mu.Unlock()
	h, ok := c.headers[key]
	if !ok {
		h = c.join(granted)
		if len(c.headers) < maxHeaders {
			c.headers[key] = h
		}
	}
	return h
}

func (c *compiled) join(granted []string) headers {
	var b strings.Builder
	for i, d := range directives {
		b.WriteString(d.name + " " + d.own + c.own)
		if i == connectDirective {
			b.WriteString(strings.ReplaceAll(c.own, " ", " wss://"))
		}
		for j := range c.services {
			if s := &c.services[j]; s.granted(granted) {
				b.WriteString(s.fragment[i])
			}
		}
		b.WriteString("; ")
	}
	if len(granted) == 0 {
		b.WriteString("webrtc 'block'; ")
	}
	b.WriteString("report-uri " + reportPath)
	return headers{b.String(), c.permissionsOf(granted)}
}

func (t *serviceTable) granted(services []string) bool {
	return !t.gated || slices.Contains(services, t.id)
}

// may reports whether a visitor's choice allows a service.
func (v *visit) may(t *serviceTable) bool { return t.granted(v.services) }

// allowed reports whether a visit may load an address under a directive: it is on
// the house's own sites, or of a service that needs no consent or has it. Else
// service is the one that declares the address, or "" when none does.
func (v *visit) allowed(directive int, a address) (service string, ok bool) {
	if v.house(a) {
		return "", true
	}
	for i := range v.compiled.services {
		t := &v.compiled.services[i]
		for d := range directives {
			if directive != anyDirective && directive != d || !anyMatches(t.sources[d], a, directive == anyDirective) {
				continue
			}
			if v.may(t) {
				return "", true
			}
			service = t.id
		}
	}
	if service == "" {
		service = v.declares(a)
	}
	return service, false
}

func anyMatches(list []*policy.Source, a address, hostOnly bool) bool {
	for i := range list {
		if list[i].HasHost(a.host, a.port) && (hostOnly || list[i].HasPath(a.path)) {
			return true
		}
	}
	return false
}

// declares returns the service that a host is declared for, or "".
func (c *compiled) declares(a address) string {
	for i := range c.services {
		for _, list := range c.services[i].sources {
			if anyMatches(list, a, true) {
				return c.services[i].id
			}
		}
	}
	return ""
}

// house reports whether an address is on one of the house's sites.
func (c *compiled) house(a address) bool {
	return c.sites[a.host] != nil || a.port != "" && c.sites[a.host+":"+a.port] != nil
}

// graceEnds returns when a cookie that was first listed at a moment no longer passes.
func (v *visit) graceEnds(listed time.Time) time.Time {
	return v.site.grace.After(listed, time.UTC)
}
