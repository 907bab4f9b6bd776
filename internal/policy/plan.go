package policy

import (
	"net"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/publicsuffix"
)

// Plan is a compiled declaration: immutable, references resolved, hashed. Every
// feature reads it; none changes it or has settings of its own beside it.
type Plan struct {
	Declaration        // read only; no field of it may be written after Compile
	Hash        string // sha256 (hex) over the canonical form, the files referred to and the law packs
	Source      []byte // the file as read
	Loc         *time.Location
	name        string
	positions   map[string]Pos
}

// Pos is a place in the declaration file. Line and column count from 1.
type Pos struct {
	File      string
	Line, Col int
}

// Problem is one fault of a declaration file.
type Problem struct {
	Pos  Pos
	Path string // for example purposes.answer_enquiry.legal_basis.art
	Msg  string // one sentence (English)
	Hint string // what to do, often "did you mean …?"
	Text string // the line of the file
}

// Files reads the files that a declaration refers to (agreements, logo); the
// name is relative to the declaration. It is nil where none can be read.
type Files interface {
	ReadFile(name string) ([]byte, error)
}

// At returns the place of path (for example "purposes.answer_enquiry") in the file.
// For a path that is not in the file it returns the nearest parent's place.
func (p *Plan) At(path string) Pos {
	for path != "" {
		if pos, ok := p.positions[path]; ok {
			return pos
		}
		path = path[:max(0, strings.LastIndexAny(path, ".["))]
	}
	return Pos{File: p.name, Line: 1, Col: 1}
}

// Lookups return the entry with that id, or nil.
func (p *Plan) Purpose(id string) *Purpose {
	return find(p.Purposes, id, func(e *Purpose) string { return e.ID })
}
func (p *Plan) Party(id string) *Party {
	return find(p.Parties, id, func(e *Party) string { return e.ID })
}
func (p *Plan) Engagement(id string) *Engagement {
	return find(p.Engagements, id, func(e *Engagement) string { return e.ID })
}
func (p *Plan) DataCategory(id string) *DataCategory {
	return find(p.Data, id, func(e *DataCategory) string { return e.ID })
}
func (p *Plan) SubjectCategory(id string) *SubjectCategory {
	return find(p.People, id, func(e *SubjectCategory) string { return e.ID })
}
func (p *Plan) Service(id string) *Service {
	return find(p.Services, id, func(e *Service) string { return e.ID })
}
func (p *Plan) Form(id string) *Form { return find(p.Forms, id, func(e *Form) string { return e.ID }) }
func (p *Plan) Rule(id string) *Rule {
	return find(p.Retention, id, func(e *Rule) string { return e.ID })
}

// Origin is where people reach a site: scheme and first host, "" when it has
// none. Names of this machine itself are reached without TLS.
func (s Site) Origin() string {
	if len(s.Hosts) == 0 {
		return ""
	}
	name, _, _ := strings.Cut(s.Hosts[0], ":")
	if s.TLS != nil && !*s.TLS || name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return "http://" + s.Hosts[0]
	}
	return "https://" + s.Hosts[0]
}

// SiteByHost returns the site of a request's host, with or without its port, or nil.
func (p *Plan) SiteByHost(host string) *Site {
	return p.siteOf(host, func(s *Site) []string { return s.Hosts })
}

// SiteByConsentHost returns the site for which Tillid answers at a host beside the
// site's own, or nil.
func (p *Plan) SiteByConsentHost(host string) *Site {
	return p.siteOf(host, func(s *Site) []string { return []string{s.Consent} })
}

func (p *Plan) siteOf(host string, names func(*Site) []string) *Site {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	for i := range p.Sites {
		for _, h := range names(&p.Sites[i]) {
			if h != "" && (strings.EqualFold(h, host) || strings.EqualFold(h, name)) {
				return &p.Sites[i]
			}
		}
	}
	return nil
}

// Domain returns the registrable domain of a host name, with or without a port:
// example.dk of www.example.dk. Cookies reach no higher. It is "" for an address
// and for a name that is itself a public suffix.
func Domain(host string) string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	domain, err := publicsuffix.EffectiveTLDPlusOne(strings.ToLower(strings.TrimSuffix(host, ".")))
	if err != nil || net.ParseIP(strings.Trim(host, "[]")) != nil {
		return ""
	}
	return domain
}

// find returns the entry with that id; the lists are short enough to walk.
func find[T any](list []T, id string, of func(*T) string) *T {
	for i := range list {
		if of(&list[i]) == id {
			return &list[i]
		}
	}
	return nil
}

// RulesFor returns the retention rules of a purpose, in the file's order.
func (p *Plan) RulesFor(purpose string) []*Rule {
	var rules []*Rule
	for i := range p.Retention {
		if p.Retention[i].Purpose == purpose {
			rules = append(rules, &p.Retention[i])
		}
	}
	return rules
}

// RuleOf returns the one rule that governs data of category data collected for
// purpose: a rule that names the category, or the nearest category above it,
// else the purpose's rule without data.
func (p *Plan) RuleOf(purpose, data string) *Rule {
	rules := p.RulesFor(purpose)
	for id := data; id != ""; {
		for _, r := range rules {
			if slices.Contains(r.Data, id) {
				return r
			}
		}
		c := p.DataCategory(id)
		if c == nil {
			break
		}
		id = c.Parent
	}
	for _, r := range rules {
		if len(r.Data) == 0 {
			return r
		}
	}
	return nil
}

// Due returns when a record under r goes: the earlier of triggered + duration
// and received + at_latest. A zero triggered means that the event has not
// happened; then only at_latest counts (for trigger received, triggered is received).
func (p *Plan) Due(r *Rule, received, triggered time.Time) time.Time {
	if r.Trigger == "received" {
		triggered = received
	}
	var due time.Time
	if !triggered.IsZero() {
		due = r.Duration.After(triggered, p.Loc)
	}
	if r.AtLatest.Set {
		if latest := r.AtLatest.After(received, p.Loc); due.IsZero() || latest.Before(due) {
			due = latest
		}
	}
	return due
}

// RecipientsOf returns the engagements that get data of purpose.
func (p *Plan) RecipientsOf(purpose string) []*Engagement {
	var list []*Engagement
	for i := range p.Engagements {
		if slices.Contains(p.Engagements[i].Purposes, purpose) {
			list = append(list, &p.Engagements[i])
		}
	}
	return list
}

// Gated returns the services that need consent, grouped nowhere, in the file's order.
func (p *Plan) Gated() []*Service {
	var list []*Service
	for i := range p.Services {
		if p.Services[i].Gate != "none" {
			list = append(list, &p.Services[i])
		}
	}
	return list
}

// DeviceOf returns the device access rows that service sets.
func (p *Plan) DeviceOf(service string) []*DeviceAccess {
	var list []*DeviceAccess
	for i := range p.Device {
		if p.Device[i].Service == service {
			list = append(list, &p.Device[i])
		}
	}
	return list
}

// ConsentPurposes returns the purposes that website visitors are asked about:
// those on consent that a gated service or device access uses, in the file's order.
func (p *Plan) ConsentPurposes() []*Purpose {
	used := map[string]bool{}
	for _, s := range p.Gated() {
		used[s.Purpose] = true
	}
	for i := range p.Device {
		if p.Device[i].Category != "necessary" {
			used[p.Device[i].Purpose] = true
		}
	}
	var list []*Purpose
	for i := range p.Purposes {
		if used[p.Purposes[i].ID] && p.Purposes[i].Basis.Consent() {
			list = append(list, &p.Purposes[i])
		}
	}
	return list
}

// Rights of the GDPR as computed from legal bases.
type Right string

const (
	Access          Right = "access"           // Art. 15
	Rectification   Right = "rectification"    // Art. 16
	Erasure         Right = "erasure"          // Art. 17
	Restriction     Right = "restriction"      // Art. 18
	Portability     Right = "portability"      // Art. 20: consent and contract only
	Objection       Right = "objection"        // Art. 21: 6(1)(e), (f)
	ObjectMarketing Right = "object_marketing" // Art. 21(2)
	Withdraw        Right = "withdraw"         // Art. 7(3)
	Complaint       Right = "complaint"        // Art. 77
	NoAutomated     Right = "no_automated"     // Art. 22
)

// RightsOf returns the rights that hold for a purpose, computed from its legal basis.
func (p *Plan) RightsOf(purpose string) []Right {
	pu := p.Purpose(purpose)
	if pu == nil || pu.Basis == nil {
		return nil
	}
	rights := []Right{Access, Rectification, Erasure, Restriction}
	switch pu.Basis.Art {
	case "6.1.a":
		rights = append(rights, Portability, Withdraw)
	case "6.1.b":
		rights = append(rights, Portability)
	case "6.1.c": // Art. 17(3)(b): no erasure while the law demands the data
		rights = []Right{Access, Rectification, Restriction}
	case "6.1.e", "6.1.f":
		rights = append(rights, Objection)
	}
	if pu.Marketing != "" || pu.Ads {
		rights = append(rights, ObjectMarketing)
	}
	if pu.Automated != nil && *pu.Automated {
		rights = append(rights, NoAutomated)
	}
	return append(rights, Complaint)
}

// Has reports whether a section of named entries has one of that id.
func (d *Declaration) Has(section, id string) bool {
	return registers(d)[section].known[id]
}
