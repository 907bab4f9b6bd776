package gateway

import (
	"net/http"
	"regexp"
	"strings"

	"github.com/tillid/tillid/internal/policy"
)

// ownCookie begins the names of Tillid's cookies, which are none of the site's business.
const ownCookie = "tillid_"

// hideCookies takes Tillid's own out of what the site is sent.
func hideCookies(h http.Header) {
	lines := h["Cookie"]
	for i, line := range lines {
		if !strings.Contains(line, ownCookie) {
			continue
		}
		var kept []string
		for part := range strings.SplitSeq(line, ";") {
			if part = strings.TrimSpace(part); part != "" && !isOwn(part) {
				kept = append(kept, part)
			}
		}
		lines[i] = strings.Join(kept, "; ")
	}
	if len(lines) == 1 && lines[0] == "" {
		delete(h, "Cookie")
	}
}

// isOwn reports whether a cookie is Tillid's, also with a prefix that browsers check.
func isOwn(name string) bool {
	name = strings.TrimPrefix(strings.TrimPrefix(name, "__Host-"), "__Secure-")
	return strings.HasPrefix(name, ownCookie)
}

// filterCookies holds the site's cookies against declaration and choice: in
// observe mode what is not declared or not allowed is listed, in enforce mode it
// is taken out. One that is not declared still passes until it was listed for the
// site's days of grace: a log-in or a cart must not break before anybody could
// know. The site never sets Tillid's own.
func (s *Service) filterCookies(v *visit, h http.Header) {
	lines := h["Set-Cookie"]
	if len(lines) == 0 {
		return
	}
	kept := lines[:0]
	for _, line := range lines {
		name, _, _ := strings.Cut(line, "=")
		if name, _, _ = strings.Cut(name, ";"); isOwn(strings.TrimSpace(name)) {
			continue
		}
		if s.passes(v, strings.TrimSpace(name), line) {
			kept = append(kept, line)
		}
	}
	if h["Set-Cookie"] = kept; len(kept) == 0 {
		h.Del("Set-Cookie")
	}
}

func (s *Service) passes(v *visit, name, line string) bool {
	d := v.deviceOf(name)
	if d != nil && v.allows(d) || deletes(line) {
		return true
	}
	f := finding{Kind: "cookie", Subject: cookieName(name)}
	stopped := v.enforce()
	if d != nil {
		f.Service, f.Subject = d.Service, d.ID
		if f.Service == "" {
			f.Service = d.Purpose
		}
	} else if stopped {
		listed, ok := s.listedSince(v.site.id, f.Subject)
		stopped = ok && !s.Now().Before(v.graceEnds(listed))
	}
	s.noteAs(v, f, v.request.URL.Path, stopped)
	return !stopped
}

var random = regexp.MustCompile(`[0-9]{4,}|[0-9A-Fa-f]{8,}`)

// cookieName makes a cookie's name fit to be kept, and the same for names that
// differ by what looks like an id only.
func cookieName(name string) string {
	if strings.Contains(name, "@") {
		return "*"
	}
	return limited(random.ReplaceAllStringFunc(name, func(s string) string {
		if strings.ContainsAny(s, "0123456789") {
			return "*"
		}
		return s
	}), 100)
}

// deletes reports whether a Set-Cookie line only deletes.
func deletes(line string) bool {
	c, err := http.ParseSetCookie(line)
	return err == nil && (c.MaxAge < 0 || c.Value == "" && !c.Expires.IsZero() && c.Expires.Year() < 2000)
}

// deviceOf returns the declaration of a cookie, or nil.
func (c *compiled) deviceOf(name string) *policy.DeviceAccess {
	if d := c.device[name]; d != nil {
		return d
	}
	for _, d := range c.patterns {
		if strings.HasPrefix(name, strings.TrimSuffix(d.ID, "*")) {
			return d
		}
	}
	return nil
}

// allows reports whether a visitor's choice allows a declared cookie.
func (v *visit) allows(d *policy.DeviceAccess) bool {
	if d.Category == "necessary" {
		return true
	}
	if d.Service != "" {
		for i := range v.compiled.services {
			if t := &v.compiled.services[i]; t.id == d.Service {
				return v.may(t)
			}
		}
	}
	for _, p := range v.purposes {
		if p == d.Purpose {
			return true
		}
	}
	p := v.plan.Purpose(d.Purpose)
	return d.Service == "" && p != nil && p.Basis != nil && !p.Basis.Consent()
}
