package policy

import (
	"slices"
	"strings"
)

// class returns what a change of the value at a place owes to people. In doubt
// it is the stricter one.
func class(from, to *Plan, at place, kind, old, new string) string {
	whole := at.field == ""
	switch at.section {
	case "purposes":
		return classOfPurpose(from, to, at, kind)
	case "engagements":
		return classOfEngagement(from, to, at, kind)
	case "services":
		return either(whole && kind == Added || within(at.field, "hosts", "purpose", "engagement", "category", "gate", "kind"), Reconsent)
	case "interests":
		return either(whole && kind == Added || within(at.field, "paths", "purpose", "stored"), Reconsent)
	case "device_access":
		return classOfDevice(from, to, at, kind, old, new)
	case "forms":
		if within(at.field, "consents") {
			return Reconsent
		}
		return either(whole && kind == Added || within(at.field, "fields", "purpose", "person", "kind", "send_to", "source"), Notice)
	case "retention":
		return classOfRule(at.field, old, new)
	case "customer_agreement":
		return either(whole && kind == Added || within(at.field, "purpose", "people", "data", "sub_processors", "authorisation", "end_of_contract") ||
			within(at.field, "end_duration", "notice", "breach") && longer(old, new), Notice)
	case "data", "people":
		return either(whole && kind == Added || within(at.field, "special", "source", "parent", "identifies", "contract"), Notice)
	case "controller":
		return either(within(at.field, "legal_name", "country", "cvr"), Notice)
	case "parties":
		return either(within(at.field, "legal_name", "country"), Notice)
	case "backups":
		return either(whole && kind == Added || at.field == "horizon" && longer(old, new), Notice)
	}
	return Editorial
}

func either(yes bool, class string) string {
	if yes {
		return class
	}
	return Editorial
}

// within reports whether a path begins with one of the fields.
func within(path string, fields ...string) bool {
	return slices.ContainsFunc(fields, func(f string) bool {
		rest, ok := strings.CutPrefix(path, f)
		return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
	})
}

func classOfPurpose(from, to *Plan, at place, kind string) string {
	if at.field == "" {
		return either(kind == Added, Notice)
	}
	if (onConsent(from, at.entry) || onConsent(to, at.entry)) &&
		within(at.field, "label", "description", "legal_basis", "data", "advertising", "profiling", "automated_decision", "joins", "marketing", "conditional") {
		return Reconsent
	}
	return either(within(at.field, "legal_basis", "data", "people", "advertising", "profiling", "automated_decision", "logic",
		"joins", "compatible_with", "marketing", "provision", "art9_condition"), Notice)
}

func onConsent(p *Plan, purpose string) bool {
	pu := p.Purpose(purpose)
	return pu != nil && pu.Basis.Consent()
}

// classOfEngagement: a recipient that comes, or gets more, is told beforehand;
// a consent does not cover one that then decides itself what happens with the data.
func classOfEngagement(from, to *Plan, at place, kind string) string {
	if at.field == "" && kind == Removed ||
		at.field != "" && !within(at.field, "party", "role", "parent", "purposes", "data", "transfers", "consent_only", "marketing") {
		return Editorial
	}
	for _, p := range []*Plan{from, to} {
		e := p.Engagement(at.entry)
		if e == nil || e.Role == "processor" || e.Role == "sub_processor" {
			continue
		}
		if slices.ContainsFunc(e.Purposes, func(id string) bool { return onConsent(from, id) || onConsent(to, id) }) {
			return Reconsent
		}
	}
	return Notice
}

func classOfDevice(from, to *Plan, at place, kind, old, new string) string {
	touches := at.field == "" && kind == Added || at.field == "duration" && longer(old, new) ||
		within(at.field, "purpose", "party", "service", "category", "technology", "third_party_access", "rolling")
	if !touches {
		return Editorial
	}
	for _, p := range []*Plan{from, to} {
		for i := range p.Device {
			if a := &p.Device[i]; a.ID == at.entry && a.Category != "necessary" {
				return Reconsent
			}
		}
	}
	return Notice
}

func classOfRule(field, old, new string) string {
	switch {
	case field == "":
		return Notice // a rule that comes or goes changes when something is deleted
	case within(field, "duration", "at_latest", "if_consent.duration"):
		return either(longer(old, new), Notice)
	case within(field, "trigger", "action", "purpose", "data", "if_consent", "if_silent", "stages", "leaves", "floor"):
		return Notice
	}
	return Editorial
}

// longer reports whether a period became longer, or may have: one that is
// taken away may now be without end.
func longer(old, new string) bool {
	a, errA := ParseDuration(old)
	b, errB := ParseDuration(new)
	return errA != nil || errB != nil || b.Approx() > a.Approx()
}
