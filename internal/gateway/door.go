package gateway

import (
	"encoding/json"
	"net/http"
	"strings"
)

// doors are headers by which a page reaches other hosts outside its policy, each
// with the addresses that one of its parts names.
var doors = [...]struct {
	name   string
	split  func(string) []string
	within func(part string) []string
}{
	{"Link", members, linkAddresses},
	{"Report-To", jsonMembers, reportAddresses},
	{"Reporting-Endpoints", members, endpointAddresses},
	{"Speculation-Rules", members, endpointAddresses},
	{"Refresh", whole, refreshAddresses},
}

func whole(value string) []string { return []string{value} }

// filterDoors lists, in observe mode, what leads to a host that the visitor has
// not said yes to, and takes it out in enforce mode.
func (s *Service) filterDoors(v *visit, h http.Header) {
	for i := range doors {
		d := &doors[i]
		if values := h[d.name]; len(values) > 0 {
			s.filterDoor(v, h, i, values)
		}
	}
	if v.enforce() && h["X-Dns-Prefetch-Control"] != nil {
		h.Set("X-Dns-Prefetch-Control", "off")
	}
}

func (s *Service) filterDoor(v *visit, h http.Header, door int, values []string) {
	d, kept, stopped := &doors[door], []string(nil), false
	for _, value := range values {
		for _, part := range d.split(value) {
			host, service, leads := v.firstOutside(d.within(part))
			if leads {
				s.note(v, finding{Kind: "header", Subject: d.name, Detail: limited(host, 253), Service: service}, v.request.URL.Path)
				stopped = true
				continue
			}
			kept = append(kept, part)
		}
	}
	if !stopped || !v.enforce() {
		return // as the site wrote it
	}
	if h.Del(d.name); len(kept) > 0 {
		h.Set(d.name, strings.Join(kept, ", "))
	}
}

// firstOutside returns the first of some addresses that the visitor's choice does not allow.
func (v *visit) firstOutside(addresses []string) (host, service string, leads bool) {
	for _, raw := range addresses {
		a, ok := addressOf(raw)
		if !ok {
			continue
		}
		if service, ok := v.allowed(anyDirective, a); !ok {
			return a.host, service, true
		}
	}
	return "", "", false
}

// linkAddresses returns what a browser fetches or connects to for one value of a
// Link header; a relation that only tells (canonical, alternate, …) fetches nothing.
func linkAddresses(part string) []string {
	rest, ok := strings.CutPrefix(part, "<")
	target, parameters, closed := strings.Cut(rest, ">")
	if !ok || !closed {
		return []string{"//" + part} // unreadable: no host is called this
	}
	rel, set := "", ""
	for p := range strings.SplitSeq(parameters, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(p), "=")
		switch value = strings.Trim(strings.TrimSpace(value), `"`); strings.ToLower(strings.TrimSpace(name)) {
		case "rel":
			rel += " " + value
		case "imagesrcset":
			set = value
		}
	}
	if _, fetches := linkDirective(rel, ""); !fetches {
		return nil
	}
	return append(srcset(set), target)
}

// jsonMembers splits a header that is a JSON list without its brackets.
func jsonMembers(value string) []string {
	var groups []json.RawMessage
	if json.Unmarshal([]byte("["+value+"]"), &groups) != nil {
		return nil // browsers cannot read it either
	}
	all := make([]string, len(groups))
	for i, g := range groups {
		all[i] = string(g)
	}
	return all
}

func reportAddresses(part string) []string {
	var group struct {
		Endpoints []struct{ URL string }
	}
	if json.Unmarshal([]byte(part), &group) != nil {
		return nil
	}
	var all []string
	for _, e := range group.Endpoints {
		all = append(all, e.URL)
	}
	return all
}

// endpointAddresses returns the strings of a member of a structured header.
func endpointAddresses(part string) []string {
	var all []string
	for {
		_, rest, ok := strings.Cut(part, `"`)
		if !ok {
			return all
		}
		var b strings.Builder
		for i := 0; ; i++ {
			if i == len(rest) {
				return append(all, b.String())
			}
			if rest[i] == '"' {
				part = rest[i+1:]
				break
			}
			if rest[i] == '\\' && i+1 < len(rest) {
				i++
			}
			b.WriteByte(rest[i])
		}
		all = append(all, b.String())
	}
}

// refreshAddresses returns the address of "5; url=…", after the HTML standard's
// rules for a declarative refresh.
func refreshAddresses(value string) []string {
	rest := strings.TrimLeft(value, "0123456789. \t\n\f\r")
	rest = strings.TrimLeft(rest, ";, \t\n\f\r")
	if len(rest) >= 3 && strings.EqualFold(rest[:3], "url") {
		if after, ok := strings.CutPrefix(strings.TrimLeft(rest[3:], " \t\n\f\r"), "="); ok {
			rest = strings.TrimLeft(after, " \t\n\f\r")
		}
	}
	if rest != "" && (rest[0] == '"' || rest[0] == '\'') {
		rest, _, _ = strings.Cut(rest[1:], rest[:1])
	}
	if rest == "" {
		return nil
	}
	return []string{rest}
}
