package gateway

import (
	"html"
	"strings"
)

// What elements make a browser load: the table of attributes by element. Styles
// (<style>, style="", @import) and background="" are left to the policy: the
// browser asks it before it loads anything that a style names.

// loading is an attribute that names something to load.
type loading struct {
	attribute string
	directive int
	set       bool // of the form of srcset
}

var loads = map[string][]loading{
	"script":  {{"src", scriptDirective, false}, {"href", scriptDirective, false}, {"xlink:href", scriptDirective, false}},
	"iframe":  {{"src", frameDirective, false}},
	"frame":   {{"src", frameDirective, false}},
	"object":  {{"data", objectDirective, false}},
	"embed":   {{"src", objectDirective, false}},
	"img":     {{"src", imageDirective, false}, {"srcset", imageDirective, true}},
	"source":  {{"src", mediaDirective, false}, {"srcset", imageDirective, true}},
	"video":   {{"src", mediaDirective, false}, {"poster", imageDirective, false}},
	"audio":   {{"src", mediaDirective, false}},
	"track":   {{"src", mediaDirective, false}},
	"input":   {{"src", imageDirective, false}},
	"image":   {{"href", imageDirective, false}, {"xlink:href", imageDirective, false}, {"src", imageDirective, false}, {"srcset", imageDirective, true}},
	"feimage": {{"href", imageDirective, false}, {"xlink:href", imageDirective, false}},
	"use":     {{"href", imageDirective, false}, {"xlink:href", imageDirective, false}},
	"base":    {{"href", baseDirective, false}},
	"link":    {{"href", anyDirective, false}, {"imagesrcset", imageDirective, true}},
}

// looksAt reports whether an element has to be seen whole.
func looksAt(name []byte) bool {
	switch string(name) {
	case "script", "iframe", "frame", "object", "embed", "img", "source", "video", "audio", "track", "input", "image", "feimage", "use", "base", "link", "meta", "html", "tillid-share":
		return true
	}
	return false
}

// linkDirective returns under which directive a <link> or Link header of some
// relations and a destination (as) is fetched; fetches is false when it is not.
func linkDirective(rel, as string) (directive int, fetches bool) {
	for kind := range strings.FieldsSeq(strings.ToLower(rel)) {
		switch kind {
		case "stylesheet":
			return styleDirective, true
		case "modulepreload":
			return scriptDirective, true
		case "manifest":
			return manifestDirective, true
		case "icon", "apple-touch-icon", "apple-touch-icon-precomposed", "apple-touch-startup-image", "mask-icon", "fluid-icon", "image_src":
			return imageDirective, true
		case "preload":
			return preloadDirective(as), true
		case "preconnect", "dns-prefetch", "prefetch", "prerender", "search", "compression-dictionary":
			return anyDirective, true
		}
	}
	return 0, false
}

func preloadDirective(as string) int {
	switch strings.ToLower(strings.TrimSpace(as)) {
	case "script", "worker", "sharedworker", "serviceworker", "audioworklet", "paintworklet":
		return scriptDirective
	case "style":
		return styleDirective
	case "image":
		return imageDirective
	case "font":
		return fontDirective
	case "video", "audio", "track":
		return mediaDirective
	case "fetch":
		return connectDirective
	case "object", "embed":
		return objectDirective
	case "document", "iframe", "frame":
		return frameDirective
	}
	return anyDirective
}

// srcset returns the addresses of a srcset attribute, after the HTML standard.
func srcset(s string) []string {
	var all []string
	for {
		s = strings.TrimLeft(s, " \t\n\f\r,")
		if s == "" {
			return all
		}
		end := strings.IndexAny(s, " \t\n\f\r")
		if end < 0 {
			end = len(s)
		}
		one := strings.TrimRight(s[:end], ",")
		all = append(all, one)
		if len(one) < end { // a comma at its end: no descriptor
			s = s[end:]
			continue
		}
		s = afterDescriptor(s[end:])
	}
}

// afterDescriptor returns what follows the comma behind a descriptor; one in
// parentheses ends none.
func afterDescriptor(s string) string {
	inside := false
	for i := range len(s) {
		switch s[i] {
		case '(':
			inside = true
		case ')':
			inside = false
		case ',':
			if !inside {
				return s[i+1:]
			}
		}
	}
	return ""
}

// isCode reports whether a script of that type runs or is fetched; data blocks,
// and scripts that a consent tool holds back by their type, are inert already.
func isCode(kind string, given bool) bool {
	if !given || kind == "" {
		return true
	}
	switch kind = strings.ToLower(strings.TrimSpace(kind)); kind {
	case "module", "importmap", "speculationrules":
		return true
	}
	return strings.Contains(kind, "javascript") || strings.Contains(kind, "ecmascript") || strings.Contains(kind, "jscript") || strings.Contains(kind, "livescript")
}

// stopped returns the attributes of a tag that must not load.
func (w *rewriter) stopped(tag []byte, name string) (names []string) {
	if w.m.stop == nil {
		return nil
	}
	table := loads[name]
	for a := range attributes(tag) {
		l := loadingOf(table, a.name)
		if l == nil || !mayLead(a.value) {
			continue
		}
		directive := l.directive
		switch {
		case name == "link" && !l.set:
			d, fetches := linkDirective(value(tag, "rel"), value(tag, "as"))
			if !fetches {
				continue
			}
			directive = d
		case name == "input" && !strings.EqualFold(strings.TrimSpace(value(tag, "type")), "image"):
			continue
		}
		if w.mustNot(directive, unescaped(a.value), l.set) {
			names = append(names, l.attribute)
		}
	}
	return names
}

func (w *rewriter) mustNot(directive int, raw string, set bool) bool {
	if !set {
		return w.m.stop(directive, raw)
	}
	for _, one := range srcset(raw) {
		if w.m.stop(directive, one) {
			return true
		}
	}
	return false
}

func loadingOf(table []loading, name []byte) *loading {
	for i := range table {
		if equalFold(name, table[i].attribute) {
			return &table[i]
		}
	}
	return nil
}

// mayLead reports whether a value can hold an address of another host at all:
// most do not, and are not looked at closer.
func mayLead(value []byte) bool {
	slashes := 0
	for _, c := range value {
		switch {
		case c == ':' || c == '&':
			return true
		case c == '/' || c == '\\':
			if slashes++; slashes == 2 {
				return true
			}
		case c > ' ':
			slashes = 0
		}
	}
	return false
}

func unescaped(value []byte) string {
	s := string(value)
	if strings.IndexByte(s, '&') < 0 {
		return s
	}
	return html.UnescapeString(s)
}

// equalFold compares a name in a page with one of ours, which is in lower case.
func equalFold(name []byte, lower string) bool {
	if len(name) != len(lower) {
		return false
	}
	for i, c := range name {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}
