package gateway

import (
	"net"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/tillid/tillid/internal/policy"
)

// directives are the parts of the policy, each with what the site itself may
// always do. The site's own inline code, workers, blobs and data addresses keep
// working: what is stopped is other hosts.
var directives = [...]struct {
	name, own string
	hosts     func(policy.Hosts) []string
}{
	{"default-src", "'self' data: blob:", nil},
	{"script-src", "'self' 'unsafe-inline' 'unsafe-eval' data: blob:", func(h policy.Hosts) []string { return h.Script }},
	{"style-src", "'self' 'unsafe-inline' data: blob:", func(h policy.Hosts) []string { return h.Style }},
	{"img-src", "'self' data: blob:", func(h policy.Hosts) []string { return h.Image }},
	{"connect-src", "'self' data: blob:", func(h policy.Hosts) []string { return h.Connect }},
	{"frame-src", "'self' data: blob:", func(h policy.Hosts) []string { return h.Frame }},
	{"font-src", "'self' data: blob:", func(h policy.Hosts) []string { return h.Font }},
	{"media-src", "'self' data: blob: mediastream:", func(h policy.Hosts) []string { return h.Media }},
	{"form-action", "'self'", func(h policy.Hosts) []string { return h.Form }},
	{"worker-src", "'self' data: blob:", nil},
	{"manifest-src", "'self' data:", nil},
	{"object-src", "'self' data: blob:", nil},
}

const reportPath = "/_tillid/csp"

// compiled is what the gateway needs of one Plan.
type compiled struct {
	plan     *policy.Plan
	sites    map[string]*siteTable // by site id
	own      string                // the site's own hosts, as sources
	services []serviceTable        // in the declaration's order
	device   map[string]*policy.DeviceAccess
	patterns []*policy.DeviceAccess // those whose name ends in *

	mu      sync.Mutex
	headers map[string]string // by the granted services
}

type siteTable struct {
	id       string
	upstream *url.URL
	enforce  bool
}

// serviceTable is a service's part of the policy.
type serviceTable struct {
	id       string
	gated    bool
	fragment [len(directives)]string // each begins with a space, or is empty
	sources  []source
	frames   []source
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
	c := &compiled{plan: plan, sites: map[string]*siteTable{}, device: map[string]*policy.DeviceAccess{}, headers: map[string]string{}}
	if plan == nil {
		return c
	}
	for i := range plan.Sites {
		site := &plan.Sites[i]
		table := &siteTable{id: site.ID, enforce: site.Mode == "enforce"}
		if u, err := url.Parse(site.Upstream); err == nil && u.Host != "" {
			table.upstream = u
		}
		c.sites[site.ID] = table
		for _, host := range site.Hosts {
			if usable(host) {
				c.own += " " + host
			}
		}
	}
	for i := range plan.Services {
		c.services = append(c.services, compileService(&plan.Services[i]))
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
	return c
}

func compileService(svc *policy.Service) serviceTable {
	t := serviceTable{id: svc.ID, gated: svc.Gate != "none"}
	for i, d := range directives {
		if d.hosts == nil {
			continue
		}
		for _, host := range d.hosts(svc.Hosts) {
			if !usable(host) {
				continue
			}
			t.fragment[i] += " " + host
			t.sources = append(t.sources, parseSource(host))
			if d.name == "frame-src" {
				t.frames = append(t.frames, parseSource(host))
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

// siteOf returns the site of a Host header, or nil.
func (c *compiled) siteOf(host string) *siteTable {
	if c.plan == nil {
		return nil
	}
	if site := c.plan.SiteByHost(host); site != nil {
		return c.sites[site.ID]
	}
	return nil
}

// maxHeaders bounds how many different sets of choices are remembered.
const maxHeaders = 1024

// header returns the policy of a visitor who said yes to the services.
func (c *compiled) header(granted []string) string {
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

func (c *compiled) join(granted []string) string {
	var b strings.Builder
	for i, d := range directives {
		b.WriteString(d.name + " " + d.own + c.own)
		for j := range c.services {
			if s := &c.services[j]; !s.gated || slices.Contains(granted, s.id) {
				b.WriteString(s.fragment[i])
			}
		}
		b.WriteString("; ")
	}
	if len(granted) == 0 {
		b.WriteString("webrtc 'block'; ")
	}
	b.WriteString("report-uri " + reportPath)
	return b.String()
}

// may reports whether a visitor's choice allows a service.
func (v *visit) may(s *serviceTable) bool { return !s.gated || slices.Contains(v.services, s.id) }

// embed reports whether an iframe's address must not be loaded: another host that
// is not declared (then service is ""), or one that the visitor has not said yes to.
func (v *visit) embed(u *url.URL) (service string, stop bool) {
	if u.Host == "" || v.ownHost(u) || u.Scheme != "" && !reaches(u.Scheme) {
		return "", false
	}
	for i := range v.compiled.services {
		s := &v.compiled.services[i]
		if slices.ContainsFunc(s.frames, func(f source) bool { return f.matches(u) }) {
			if v.may(s) {
				return "", false
			}
			service = s.id
		}
	}
	return service, true
}

// declares returns the service that a host is declared for, or "".
func (c *compiled) declares(u *url.URL) string {
	for i := range c.services {
		if slices.ContainsFunc(c.services[i].sources, func(s source) bool { return s.host != "" && s.matchesHost(u) }) {
			return c.services[i].id
		}
	}
	return ""
}

// ownHost reports whether an address is on one of the house's sites.
func (c *compiled) ownHost(u *url.URL) bool {
	return c.siteOf(u.Host) != nil
}

// source is a host source of Content Security Policy level 3.
type source struct {
	scheme, host, port, path string
	below                    bool // *.host
}

func parseSource(s string) source {
	var src source
	if scheme, rest, ok := strings.Cut(s, "://"); ok {
		src.scheme, s = strings.ToLower(scheme), rest
	}
	if i := strings.IndexByte(s, '/'); i >= 0 {
		s, src.path = s[:i], s[i:]
	}
	if host, port, err := net.SplitHostPort(s); err == nil {
		s, src.port = host, port
	}
	src.host, src.below = strings.CutPrefix(strings.ToLower(s), "*.")
	return src
}

func (s source) matches(u *url.URL) bool {
	if !s.matchesHost(u) {
		return false
	}
	if s.path == "" || s.path == "/" || s.path == u.Path {
		return true
	}
	return strings.HasSuffix(s.path, "/") && strings.HasPrefix(u.Path, s.path)
}

func (s source) matchesHost(u *url.URL) bool {
	host := strings.ToLower(u.Hostname())
	if s.below && !strings.HasSuffix(host, "."+s.host) || !s.below && host != s.host {
		return false
	}
	return s.port == "" || s.port == "*" || s.port == u.Port()
}
