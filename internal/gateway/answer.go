package gateway

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/tillid/tillid/internal/policy"
)

// incoming makes the site's answer fit for the visitor.
func (s *Service) incoming(resp *http.Response) error {
	v := visitOf(resp.Request)
	h := resp.Header
	s.filterDoors(v, h)
	s.filterCookies(v, h)
	relocate(v, h)
	if resp.StatusCode == http.StatusSwitchingProtocols {
		return nil
	}
	kind, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil {
		kind = ""
	}
	document := v.navigates && isDocument(kind)
	s.police(v, h, document || v.worker)
	if document {
		return s.rewrite(v, resp, kind)
	}
	return nil
}

// isDocument reports whether a browser runs code of an answer of that type when
// it is navigated to. An answer without a type is sniffed, and may become a page.
func isDocument(kind string) bool {
	switch kind {
	case "", "text/html", "application/xhtml+xml", "image/svg+xml", "text/xml", "application/xml", "application/pdf":
		return true
	}
	return strings.HasSuffix(kind, "+xml")
}

// police adds the policy beside the site's own; browsers apply both. What a
// visitor chose shows only in answers that no cache shares: all others carry the
// strictest policy, the same for everybody.
func (s *Service) police(v *visit, h http.Header, own bool) {
	granted := []string(nil)
	if own {
		granted = v.services
		private(h, len(granted) > 0)
	}
	name := "Content-Security-Policy-Report-Only"
	if v.enforce() {
		name = "Content-Security-Policy"
	}
	h.Add(name, v.header(granted))
}

// private keeps an answer out of shared caches. One whose policy was widened is
// not kept at all: a browser that goes back would show it again after a withdrawal.
func private(h http.Header, widened bool) {
	for _, name := range [...]string{"Etag", "Last-Modified", "Expires", "Age", "Surrogate-Control", "Cdn-Cache-Control", "Accept-Ranges"} {
		h.Del(name)
	}
	cache := "private, no-cache"
	if widened || strings.Contains(strings.ToLower(h.Get("Cache-Control")), "no-store") {
		cache = "private, no-store"
	}
	h.Set("Cache-Control", cache)
	h.Add("Vary", "Cookie, Sec-GPC")
}

// rewrite puts the banner's script and the placeholders into a page as it streams by.
func (s *Service) rewrite(v *visit, resp *http.Response, kind string) error {
	if kind != "text/html" && kind != "application/xhtml+xml" || resp.StatusCode == http.StatusPartialContent {
		return nil
	}
	h := resp.Header
	body := resp.Body
	switch strings.ToLower(h.Get("Content-Encoding")) {
	case "", "identity":
	case "gzip", "x-gzip":
		if resp.Request.Method != http.MethodHead {
			z, err := gzip.NewReader(body)
			if errors.Is(err, io.EOF) { // an empty answer
				return nil
			}
			if err != nil {
				return fmt.Errorf("read compressed page: %w", err)
			}
			body = struct {
				io.Reader
				io.Closer
			}{z, body}
		}
		h.Del("Content-Encoding")
	default:
		return nil // unreadable for us; the policy holds all the same
	}
	for _, name := range [...]string{"Content-Length", "Content-Md5", "Digest", "Repr-Digest", "Content-Digest"} {
		h.Del(name)
	}
	if resp.Request.Method == http.MethodHead || resp.StatusCode == http.StatusNoContent || resp.StatusCode == http.StatusNotModified {
		return nil
	}
	resp.Body = newRewriter(body, s.markup(v))
	return nil
}

// markup returns what goes into the pages of a visit.
func (s *Service) markup(v *visit) markup {
	m := markup{}
	if s.Head != nil {
		m.head = func(lang string) []byte { return s.Head(v.request, lang) }
	}
	if s.Foot != nil {
		m.foot = func(lang string, embeds bool) []byte { return s.Foot(v.request, lang, embeds) }
	}
	m.link = func(rel, href string) bool {
		host, leads := v.hint(rel, href)
		if leads {
			s.note(v, finding{Kind: "request", Subject: host, Detail: "link", Service: v.declares(&url.URL{Host: host})}, v.request.URL.Path)
		}
		return leads && v.enforce()
	}
	if s.Placeholder != nil && v.enforce() { // in observe mode browsers report frames themselves
		m.embed = func(lang, src, title, width, height string) (string, []byte, bool) {
			u, err := url.Parse(strings.TrimSpace(src))
			if err != nil {
				return "", nil, false // browsers load nothing from it either, or the policy stops it
			}
			service, stop := v.embed(u)
			if !stop {
				return "", nil, false
			}
			host := strings.ToLower(u.Hostname())
			s.note(v, finding{Kind: "request", Subject: limited(host, 253), Detail: "frame-src", Service: service}, v.request.URL.Path)
			return service, s.Placeholder(v.request, lang, Embed{service, host, title, width, height}), true
		}
	}
	return m
}

// hint reports whether a <link> makes the browser connect, ahead of any use, to a
// host that the visitor has not said yes to. No policy governs all of these.
func (v *visit) hint(rel, href string) (host string, leads bool) {
	for kind := range strings.FieldsSeq(strings.ToLower(rel)) {
		switch kind {
		case "preconnect", "dns-prefetch", "prefetch", "prerender", "preload", "modulepreload":
			host, own := v.leadsTo(strings.TrimSpace(href))
			return limited(host, 253), !own
		}
	}
	return "", false
}

// filterDoors handles headers by which a page reaches other hosts outside its
// policy: in observe mode they are listed, in enforce mode taken out.
func (s *Service) filterDoors(v *visit, h http.Header) {
	for _, name := range [...]string{"Link", "Nel", "Report-To", "Reporting-Endpoints", "Speculation-Rules", "Refresh"} {
		values := h[name]
		if len(values) == 0 {
			continue
		}
		var kept []string
		for _, value := range values {
			for _, part := range parts(name, value) {
				host, own := v.leadsTo(part)
				if own {
					kept = append(kept, part)
					continue
				}
				s.note(v, finding{Kind: "header", Subject: name, Detail: host, Service: v.declares(&url.URL{Host: host})}, v.request.URL.Path)
				if !v.enforce() {
					kept = append(kept, part)
				}
			}
		}
		if h.Del(name); len(kept) > 0 {
			h.Set(name, strings.Join(kept, ", "))
		}
	}
}

// parts splits a header into the values that are judged one by one.
func parts(name, value string) []string {
	if name != "Link" {
		return []string{value}
	}
	var all []string
	for value != "" {
		end := strings.IndexByte(value, '>')
		if end < 0 {
			return append(all, strings.TrimSpace(value))
		}
		next := strings.Index(value[end:], ",")
		if next < 0 {
			return append(all, strings.TrimSpace(value))
		}
		all = append(all, strings.TrimSpace(value[:end+next]))
		value = strings.TrimSpace(value[end+next+1:])
	}
	return all
}

// leadsTo reports whether every address in a header's value stays on the house's
// sites or with a granted service, and else the first host that does not.
func (v *visit) leadsTo(value string) (host string, own bool) {
	for rest := value; ; {
		i := strings.Index(rest, "//")
		if i < 0 {
			return "", true
		}
		rest = rest[i+2:]
		end := strings.IndexFunc(rest, func(r rune) bool { return strings.ContainsRune(`/?#">;,' )}`, r) })
		if end < 0 {
			end = len(rest)
		}
		u := &url.URL{Scheme: "https", Host: rest[:end]}
		if rest = rest[end:]; v.ownHost(u) {
			continue
		}
		allowed := false
		for j := range v.compiled.services {
			t := &v.compiled.services[j]
			for _, src := range t.sources {
				allowed = allowed || v.may(t) && src.matchesHost(u)
			}
		}
		if !allowed {
			return strings.ToLower(u.Hostname()), false
		}
	}
}

// filterCookies holds the site's cookies against declaration and choice: in
// observe mode what is not declared or not allowed is listed, in enforce mode
// it is taken out. The site never sets Tillid's own.
func (s *Service) filterCookies(v *visit, h http.Header) {
	lines := h["Set-Cookie"]
	if len(lines) == 0 {
		return
	}
	kept := lines[:0]
	for _, line := range lines {
		name, _, _ := strings.Cut(line, "=")
		if name = strings.TrimSpace(name); strings.HasPrefix(name, ownCookie) {
			continue
		}
		d := v.deviceOf(name)
		if d != nil && v.allows(d) || deletes(line) {
			kept = append(kept, line)
			continue
		}
		f := finding{Kind: "cookie", Subject: limited(name, 100)}
		if d != nil {
			f.Service, f.Subject = d.Service, d.ID
			if f.Service == "" {
				f.Service = d.Purpose
			}
		}
		s.note(v, f, v.request.URL.Path)
		if !v.enforce() {
			kept = append(kept, line)
		}
	}
	if h["Set-Cookie"] = kept; len(kept) == 0 {
		h.Del("Set-Cookie")
	}
}

// deletes reports whether a Set-Cookie line only deletes.
func deletes(line string) bool {
	c, err := http.ParseSetCookie(line)
	return err == nil && c.MaxAge < 0
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

// relocate makes redirects to the upstream's own address relative.
func relocate(v *visit, h http.Header) {
	at := h.Get("Location")
	if at == "" {
		return
	}
	u, err := url.Parse(at)
	if err != nil || u.Host != v.site.upstream.Host || v.ownHost(u) {
		return
	}
	u.Scheme, u.Host, u.User = "", "", nil
	if u.Path == "" {
		u.Path = "/"
	}
	h.Set("Location", u.String())
}
