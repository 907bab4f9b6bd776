package scan

import (
	"bytes"
	"fmt"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/diff"

	"github.com/tillid/tillid/internal/known"
	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/text"
)

// Patch is what a declaration lacks, ready to be put in.
type Patch struct {
	File   []byte         // the declaration with everything put in
	Diff   []byte         // as a unified diff; empty when nothing is missing
	ByHand []string       // what could not be put in, as lines of a declaration
	Added  known.Fragment // what was put in
}

// NewPatch proposes entries for everything undeclared: known services with
// their vendor and purpose, and what nobody knows as marketing, the strictest,
// marked with CHANGE. Nothing that is declared is changed, but for hosts of a
// service that uses more of them than it says.
func NewPatch(plan *policy.Plan, r *Result) Patch {
	p := &patcher{plan: plan, lines: strings.SplitAfter(string(plan.Source), "\n")}
	for _, it := range r.Items {
		switch {
		case it.Kind == Host:
			p.host(it)
		case it.Kind != WebRTC && deviceOf(plan, it.Kind, it.Name, it.Domain) == nil:
			p.stored(it)
		}
	}
	for _, s := range p.services {
		p.fragment.AddService(s)
	}
	added := p.missing()
	file, left := known.Merge([]byte(strings.Join(p.lines, "")), added)
	out := Patch{File: file, Added: added, ByHand: p.byHand}
	if !left.Empty() {
		out.ByHand = append(out.ByHand, left.String())
	}
	if name := filepath.Base(plan.At("").File); !bytes.Equal(file, plan.Source) {
		out.Diff = diff.Diff("a/"+name, plan.Source, "b/"+name, file)
		if _, rest, ok := bytes.Cut(out.Diff, []byte("\n")); ok && bytes.HasPrefix(out.Diff, []byte("diff ")) {
			out.Diff = rest
		}
	}
	return out
}

type patcher struct {
	plan     *policy.Plan
	lines    []string
	fragment known.Fragment
	services []*known.Service // to be added, with the hosts that were seen besides
	byHand   []string
}

// service returns a service to be added. It is the patch's own: it may get more hosts.
func (p *patcher) service(s *known.Service) *known.Service {
	i := slices.IndexFunc(p.services, func(have *known.Service) bool { return have.ID == s.ID })
	if i < 0 {
		own := *s
		i, p.services = len(p.services), append(p.services, &own)
	}
	return p.services[i]
}

// missing returns what the fragment has and the declaration has not. A purpose
// that it has keeps its own data, people and retention.
func (p *patcher) missing() known.Fragment {
	var purposes []string
	rest := p.fragment.Without(func(section, id string) bool {
		switch section {
		case "purposes":
			purposes = append(purposes, id)
			return true
		case "data", "people", "retention":
			return true
		}
		return p.plan.Has(section, id)
	})
	for _, id := range purposes {
		if !p.plan.Has("purposes", id) {
			rest.AddPurpose(id)
		}
	}
	return rest.Without(p.plan.Has)
}

// declared returns the declaration's own service for one of the catalogue, or nil.
func (p *patcher) declared(s *known.Service) *policy.Service {
	if have := p.plan.Service(s.ID); have != nil {
		return have
	}
	for i := range p.plan.Services {
		for _, sources := range byUse(p.plan.Services[i].Hosts) {
			for _, source := range sources {
				if k := known.Load().ByURL(&url.URL{Scheme: "https", Host: policy.ParseSource(source).Host, Path: policy.ParseSource(source).Path}); k == s {
					return &p.plan.Services[i]
				}
			}
		}
	}
	return nil
}

func (p *patcher) host(it *Item) {
	u := &url.URL{Scheme: "https", Host: it.Name}
	s := known.Load().Service(it.Service)
	id, _ := serviceOf(p.plan, u, "")
	if id == "" && s != nil {
		if have := p.declared(s); have != nil {
			id = have.ID
		}
	}
	switch {
	case id != "":
		for _, use := range it.Uses {
			if _, allowed := serviceOf(p.plan, u, use); !allowed {
				p.allow(id, use, it.Name)
			}
		}
	case s != nil:
		s = p.service(s)
		for _, use := range it.Uses {
			s.Hosts = s.Hosts.With(use, it.Name)
		}
	default:
		p.fragment.Add("services", unknownService(it))
		p.fragment.AddPurpose("aim_marketing")
	}
}

var flowList = regexp.MustCompile(`^(\s*[a-z]+:\s*\[)([^\]#]*)(\].*\n?)$`)

// allow adds a host to a use of a declared service, where the file has that use on a line of its own.
func (p *patcher) allow(service, use, host string) {
	path := "services." + service + ".hosts"
	if at := p.plan.At(path + "." + use); at.Line != p.plan.At(path).Line && at.Line <= len(p.lines) {
		if m := flowList.FindStringSubmatch(p.lines[at.Line-1]); m != nil {
			list := strings.TrimRight(m[2], " ")
			if strings.TrimSpace(list) != "" {
				list += ", "
			}
			p.lines[at.Line-1] = m[1] + list + host + m[3]
			return
		}
	}
	p.byHand = append(p.byHand, fmt.Sprintf("# under %s:\n#   %s: [%s]", path, use, host))
}

var notInID = regexp.MustCompile(`[^a-z0-9]+`)

func unknownService(it *Item) known.Entry {
	id := strings.Trim(notInID.ReplaceAllString(strings.ToLower(it.Name), "_"), "_")
	if id == "" || id[0] >= '0' && id[0] <= '9' {
		id = "host_" + id
	}
	kind := "pixel"
	switch {
	case slices.Contains(it.Uses, "frame"):
		kind = "embed"
	case slices.Contains(it.Uses, "script"):
		kind = "script"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "  %s:   # CHANGE: who runs it (party and engagement), and what for? marketing is the strictest guess\n", id)
	fmt.Fprintf(&b, "    label: {da: %q, en: %q}\n    purpose: aim_marketing\n    category: marketing\n    kind: %s\n    gate: consent\n    hosts:\n", it.Name, it.Name, kind)
	for _, use := range it.Uses {
		fmt.Fprintf(&b, "      %s: [%s]\n", use, it.Name)
	}
	return known.Entry{ID: id, Text: b.String()}
}

func (p *patcher) stored(it *Item) {
	if it.Name == "*" || strings.ContainsAny(it.Name, "\"'\\{}[],<>` ") {
		p.byHand = append(p.byHand, fmt.Sprintf("# %s of %s: its name cannot be written as a key; give it a fixed beginning", it.Kind, it.Domain))
		return
	}
	s, st := known.Load().ByName(it.Kind, it.Name, it.Domain)
	if s == nil {
		p.fragment.Add("device_access", unknownStorage(it))
		p.fragment.AddPurpose("aim_marketing")
		return
	}
	seen := *st
	seen.Name = it.Name
	if d, err := policy.ParseDuration(it.Lifetime); err == nil && it.Lifetime != "" && (!seen.Life.Set || lastsLonger(it.Lifetime, seen.Life)) {
		seen.Life = d // what was seen is true; the catalogue may be old
	}
	if s.Vendor == nil {
		p.fragment.Add("device_access", seen.Entry(known.Row{Party: "self"}))
		return
	}
	row := known.Row{Service: s.ID, Party: s.Vendor.ID, Purpose: s.Purpose}
	if have := p.declared(s); have != nil {
		row = known.Row{Service: have.ID, Purpose: have.Purpose, Party: s.Vendor.ID}
		if e := p.plan.Engagement(have.Engagement); e != nil {
			row.Party = e.Party
		} else if p.plan.Party(row.Party) == nil {
			row.Party = ""
		}
	} else {
		p.service(s)
	}
	if st.Own {
		row.Party = "self"
	}
	p.fragment.Add("device_access", seen.Entry(row))
}

// unknownStorage proposes a row for what nobody knows.
func unknownStorage(it *Item) known.Entry {
	st := known.Storage{Name: it.Name, Technology: it.Kind, Category: "marketing", Says: text.Text{text.DA: "?", text.EN: "?"}}
	if d, err := policy.ParseDuration(it.Lifetime); err == nil && it.Lifetime != "" {
		st.Life = d
	}
	row := known.Row{Party: "self", Purpose: "aim_marketing", Mark: "what is it for, and who can read it? marketing is the strictest guess"}
	if it.ThirdParty {
		st.Domain, row.Party = it.Domain, ""
	}
	return st.Entry(row)
}
