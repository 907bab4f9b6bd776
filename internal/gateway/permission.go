package gateway

import (
	"net/http"
	"regexp"
	"strings"

	"github.com/tillid/tillid/internal/policy"
)

// Features of browsers by which advertising follows people without cookies. A
// page may use none of them before a service that serves advertising was granted.
var adFeatures = [...]string{
	"attribution-reporting", "browsing-topics", "interest-cohort", "join-ad-interest-group", "private-aggregation", "run-ad-auction", "shared-storage",
}

// Features that reach into people's rooms and devices. The site itself may use
// them, and hand them on to granted services; nobody else's frame gets them.
var deviceFeatures = [...]string{
	"bluetooth", "camera", "display-capture", "geolocation", "hid", "idle-detection", "local-fonts", "microphone", "midi", "serial", "usb",
}

// permissionsOf returns the Permissions-Policy of a choice: the part that always
// counts, and behind "|" the part for features that the site does not name itself.
func (c *compiled) permissionsOf(granted []string) string {
	ads, frames := false, ""
	for host := range strings.FieldsSeq(c.own) {
		frames += ` "https://` + host + `"`
	}
	for i := range c.services {
		if t := &c.services[i]; t.granted(granted) {
			ads = ads || t.ads
			for _, src := range t.sources[frameDirective] {
				frames += " " + permissionOrigin(src)
			}
		}
	}
	var always []string
	if !ads {
		for _, f := range adFeatures {
			always = append(always, f+"=()")
		}
	}
	return strings.Join(always, ", ") + "|" + frames
}

// permissionOrigin returns a source in the form of Permissions-Policy.
func permissionOrigin(s *policy.Source) string {
	host := s.Host
	if s.Below {
		host = "*." + host
	}
	if s.Port != "" && s.Port != "*" {
		host += ":" + s.Port
	}
	return `"https://` + host + `"`
}

// permit adds the Permissions-Policy and the Referrer-Policy of a choice to the
// site's own, and never loosens those: a feature that the site names stays as the
// site says, unless ours is "nobody".
func permit(h http.Header, permissions string) {
	always, frames, _ := strings.Cut(permissions, "|")
	site := strings.Join(h.Values("Permissions-Policy"), ", ")
	if !wellFormed(site) {
		site = "" // browsers drop it whole, and would drop ours with it
	}
	parts := []string{}
	if site != "" {
		parts = append(parts, site)
	}
	for _, f := range deviceFeatures {
		if !mentions(site, f) {
			parts = append(parts, f+"=(self"+frames+")")
		}
	}
	if always != "" {
		parts = append(parts, always) // of two of the same name the last counts
	}
	h["Permissions-Policy"] = []string{strings.Join(parts, ", ")}
	h["Referrer-Policy"] = []string{referrer(h.Values("Referrer-Policy"))}
}

var permission = regexp.MustCompile(`^[a-z*][a-z0-9_.*-]*(?:=(?:\*|self|\?[01]|\((?: *(?:self|src|\*|"[^"\\]*"))* *\)))?(?:;[a-z-]+=[a-z0-9_-]+)*$`)

// wellFormed reports whether a Permissions-Policy can be parsed; an empty one can.
func wellFormed(site string) bool {
	for _, part := range members(site) {
		if !permission.MatchString(part) {
			return false
		}
	}
	return true
}

// mentions reports whether a Permissions-Policy says something about a feature.
func mentions(site, feature string) bool {
	for _, part := range members(site) {
		if name, _, _ := strings.Cut(part, "="); name == feature {
			return true
		}
	}
	return false
}

// members splits a structured header at its commas outside quotes.
func members(value string) []string {
	var all []string
	quoted, from := false, 0
	add := func(to int) {
		if part := strings.TrimSpace(value[from:to]); part != "" {
			all = append(all, part)
		}
	}
	for i := 0; i < len(value); i++ {
		switch c := value[i]; {
		case c == '\\' && quoted:
			i++
		case c == '"':
			quoted = !quoted
		case c == ',' && !quoted:
			add(i)
			from = i + 1
		}
	}
	if from < len(value) {
		add(len(value))
	}
	return all
}

// careful is what the site may say; a page's address beyond its host reaches
// nobody else.
var careful = map[string]bool{"no-referrer": true, "same-origin": true, "strict-origin": true, "origin": true, "strict-origin-when-cross-origin": true}

const usualReferrer = "strict-origin-when-cross-origin"

// referrer returns the Referrer-Policy: the site's own when it is careful, else
// that of browsers since 2020. Of several tokens the last that is known counts.
func referrer(lines []string) string {
	site := strings.Join(lines, ", ")
	last := ""
	for part := range strings.SplitSeq(site, ",") {
		if part = strings.ToLower(strings.TrimSpace(part)); careful[part] || part == "unsafe-url" || part == "no-referrer-when-downgrade" || part == "origin-when-cross-origin" {
			last = part
		}
	}
	switch {
	case careful[last]:
		return site
	case last == "origin-when-cross-origin":
		return site + ", " + usualReferrer
	default:
		return usualReferrer
	}
}
