package policy

import "strings"

// class returns what a change of the value at path owes to people. In doubt it
// is the stricter one.
func class(from, to *Plan, path, kind, old, new string) string {
	parts := strings.Split(path, ".")
	id, field := "", ""
	if len(parts) > 1 {
		id = parts[1]
	}
	// Ids may hold dots (data categories): the field is behind the whole entry.
	if len(parts) > 2 {
		field = strings.Join(parts[2:], ".")
	}
	switch parts[0] {
	case "purposes":
		return classOfPurpose(from, to, id, field, kind)
	case "engagements":
		return either(field == "" && kind != "removed" || within(field, "party", "role", "parent", "purposes", "data", "transfers"), Notice)
	case "data", "people":
		return either(kind == "added" || strings.HasSuffix(path, ".special") || strings.HasSuffix(path, ".source.da") || strings.HasSuffix(path, ".source.en"), Notice)
	case "services":
		return either(kind == "added" || within(field, "hosts", "purpose", "engagement", "category", "gate", "kind"), Reconsent)
	case "device_access":
		return classOfDevice(from, to, path, id, kind, old, new)
	case "forms":
		if within(field, "consents") {
			return Reconsent
		}
		return either(kind == "added" || within(field, "fields", "purpose", "send_to", "source"), Notice)
	case "retention":
		return classOfRule(field, kind, old, new)
	case "controller":
		return either(within(id, "legal_name", "country", "cvr"), Notice)
	case "parties":
		return either(within(field, "legal_name", "country"), Notice)
	case "backups":
		return either(field == "horizon" && longer(old, new) || kind == "added" && field == "", Notice)
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
	for _, f := range fields {
		if path == f || strings.HasPrefix(path, f+".") || strings.HasPrefix(path, f+"[") {
			return true
		}
	}
	return false
}

func classOfPurpose(from, to *Plan, id, field, kind string) string {
	if field == "" {
		return either(kind == "added", Notice)
	}
	consent := false
	for _, p := range []*Plan{from, to} {
		if pu := p.Purpose(id); pu != nil && pu.Basis.Consent() {
			consent = true
		}
	}
	asked := within(field, "label", "description", "legal_basis", "data", "advertising", "profiling", "automated_decision", "joins", "marketing", "conditional")
	if consent && asked {
		return Reconsent
	}
	return either(within(field, "legal_basis", "data", "people", "advertising", "profiling", "automated_decision", "logic", "joins", "marketing", "provision", "art9_condition"), Notice)
}

func classOfDevice(from, to *Plan, path, id, kind, old, new string) string {
	necessary := true
	for _, p := range []*Plan{from, to} {
		for _, a := range p.Device {
			if a.ID == id && a.Category != "necessary" {
				necessary = false
			}
		}
	}
	touches := kind == "added" && strings.Count(path, ".") == 1 ||
		strings.HasSuffix(path, ".duration") && longer(old, new) ||
		strings.HasSuffix(path, ".purpose") || strings.HasSuffix(path, ".party") || strings.HasSuffix(path, ".service") ||
		strings.HasSuffix(path, ".category") || strings.HasSuffix(path, ".third_party_access") || strings.HasSuffix(path, ".rolling")
	if !touches {
		return Editorial
	}
	if necessary {
		return Notice
	}
	return Reconsent
}

func classOfRule(field, kind, old, new string) string {
	switch {
	case field == "":
		return Notice // a rule that comes or goes changes when something is deleted
	case within(field, "duration", "at_latest", "if_consent.duration"):
		return either(longer(old, new), Notice)
	case within(field, "trigger", "action", "purpose", "data", "stages", "leaves", "floor"):
		return Notice
	}
	return Editorial
}

// longer reports whether a period became longer, or may have.
func longer(old, new string) bool {
	a, errA := ParseDuration(old)
	b, errB := ParseDuration(new)
	return errA != nil || errB != nil || b.Approx() > a.Approx()
}
