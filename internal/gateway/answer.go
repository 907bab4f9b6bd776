package gateway

import (
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"strings"
)

// incoming makes the site's answer fit for the visitor.
func (s *Service) incoming(resp *http.Response) error {
	v := visitOf(resp.Request)
	h := resp.Header
	relocate(v, h)
	if v.bypass {
		return nil
	}
	s.filterDoors(v, h)
	s.filterCookies(v, h)
	if resp.StatusCode == http.StatusSwitchingProtocols {
		return nil
	}
	kind, charset := contentType(h.Get("Content-Type"))
	document := v.navigates && isDocument(kind)
	if document && isHTML(kind) {
		s.admit(v, h)
	}
	s.police(v, h, document || v.worker)
	if document {
		return s.rewrite(v, resp, kind, charset)
	}
	switch {
	case kind == "application/speculationrules+json" && resp.StatusCode == http.StatusOK && resp.Request.Method == http.MethodGet:
		return s.filterRules(v, resp)
	case isHTML(kind):
		fetched(h)
	}
	return nil
}

func contentType(header string) (kind, charset string) {
	kind, parameters, err := mime.ParseMediaType(header)
	if err != nil {
		return "", ""
	}
	return kind, parameters["charset"]
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

func isHTML(kind string) bool { return kind == "text/html" || kind == "application/xhtml+xml" }

// police adds the policies beside the site's own; browsers apply both. What a
// visitor chose shows only in answers that no cache shares: all others carry the
// strictest policy, the same for everybody.
func (s *Service) police(v *visit, h http.Header, own bool) {
	granted := []string(nil)
	if own {
		granted = v.services
		private(h, len(granted) > 0)
	}
	with := v.headersFor(granted)
	if !v.enforce() {
		h["Content-Security-Policy-Report-Only"] = append(h["Content-Security-Policy-Report-Only"], with.csp)
		return
	}
	h["Content-Security-Policy"] = append(h["Content-Security-Policy"], with.csp)
	if own {
		permit(h, with.permissions)
	}
}

// private keeps an answer out of shared caches. One whose policy was widened is
// not kept at all: a browser that goes back would show it again after a withdrawal.
func private(h http.Header, widened bool) {
	for _, name := range [...]string{"Etag", "Last-Modified", "Expires", "Age", "Surrogate-Control", "Cdn-Cache-Control", "Accept-Ranges"} {
		delete(h, name)
	}
	cache := "private, no-cache"
	if widened || strings.Contains(strings.ToLower(h.Get("Cache-Control")), "no-store") {
		cache = "private, no-store"
	}
	h["Cache-Control"] = []string{cache}
	h["Vary"] = append(h["Vary"], "Cookie, Sec-GPC")
}

// fetched marks a page that a script asked for: it is as the site sent it, so a
// cache must not show it to somebody who goes there.
func fetched(h http.Header) {
	h["Vary"] = append(h["Vary"], "Sec-Fetch-Dest, Accept")
	for _, name := range [...]string{"Surrogate-Control", "Cdn-Cache-Control"} {
		delete(h, name)
	}
	if !strings.Contains(strings.ToLower(h.Get("Cache-Control")), "no-store") {
		h["Cache-Control"] = []string{"private, no-cache"}
	}
}

// rewrite puts the banner's script and the placeholders into a page as it streams
// by, and makes inert what must not load. What cannot be read passes as it is: the
// policy holds all the same.
func (s *Service) rewrite(v *visit, resp *http.Response, kind, charset string) error {
	if !isHTML(kind) || resp.StatusCode == http.StatusPartialContent || !readable(charset) {
		return nil
	}
	h := resp.Header
	empty := resp.Request.Method == http.MethodHead || resp.StatusCode == http.StatusNoContent || resp.StatusCode == http.StatusNotModified
	encoding := h.Get("Content-Encoding")
	if len(h["Content-Encoding"]) > 1 {
		return nil
	}
	body, err := resp.Body, error(nil)
	if !empty {
		body, err = s.decoded(resp.Request.Context(), encoding, resp.Body)
	} else if !decodable(encoding) {
		return nil
	}
	switch {
	case errors.Is(err, errEncoding):
		return nil
	case err != nil:
		return fmt.Errorf("read page: %w", err)
	}
	for _, name := range [...]string{"Content-Encoding", "Content-Length", "Content-Md5", "Digest", "Repr-Digest", "Content-Digest"} {
		delete(h, name)
	}
	resp.ContentLength = -1
	if !empty {
		m := s.markup(v)
		m.utf8 = strings.EqualFold(charset, "utf-8")
		resp.Body = newRewriter(body, m)
	}
	return nil
}

// markup returns what goes into the pages of a visit, and out of them.
func (s *Service) markup(v *visit) markup {
	m := markup{
		nonce:  func() string { return v.nonce },
		policy: func(p string) string { return s.admitTo(v, p) },
		rules:  func(content []byte) bool { return s.rules(v, content) },
		stop:   func(directive int, raw string) bool { return s.stops(v, directive, raw) },
	}
	guard := func(f func() []byte) []byte { return s.guarded(v, f) }
	if s.First != nil {
		m.first = func(lang string) []byte { return guard(func() []byte { return s.First(v.request, lang) }) }
	}
	if s.Head != nil {
		m.head = func(lang string) []byte { return guard(func() []byte { return s.Head(v.request, lang) }) }
	}
	if s.Foot != nil {
		m.foot = func(lang string, embeds bool) []byte {
			return guard(func() []byte { return s.Foot(v.request, lang, embeds) })
		}
	}
	if s.Share != nil {
		m.share = func(lang, to string) []byte { return guard(func() []byte { return s.Share(v.request, lang, to) }) }
	}
	if s.Placeholder != nil && v.enforce() { // in observe mode browsers report frames themselves
		m.embed = func(lang string, directive int, e Embed) (string, []byte, bool) {
			a, leads := addressOf(e.Src)
			if !leads {
				return "", nil, false
			}
			service, ok := v.allowed(directive, a)
			if ok {
				return "", nil, false
			}
			e.Service, e.Host = service, a.host
			s.note(v, finding{Kind: "request", Subject: limited(a.host, 253), Detail: directives[directive].name, Service: service}, v.request.URL.Path)
			return service, guard(func() []byte { return s.Placeholder(v.request, lang, e) }), true
		}
	}
	return m
}

// stops reports whether an address in a page must not be loaded. Browsers
// themselves report in observe mode what the policy governs; the rest is listed here.
func (s *Service) stops(v *visit, directive int, raw string) bool {
	a, leads := addressOf(raw)
	if !leads {
		return false
	}
	service, ok := v.allowed(directive, a)
	if ok {
		return false
	}
	if v.enforce() || directive == anyDirective {
		detail := directives[directive].name
		if directive == anyDirective {
			detail = "link"
		}
		s.note(v, finding{Kind: "request", Subject: limited(a.host, 253), Detail: detail, Service: service}, v.request.URL.Path)
	}
	return v.enforce()
}

// guarded returns what f does, and nothing when f breaks: the page goes on without.
func (s *Service) guarded(v *visit, f func() []byte) (b []byte) {
	defer func() {
		if r := recover(); r != nil {
			s.Log.ErrorContext(v.request.Context(), "markup for a page failed", "panic", fmt.Sprint(r))
			b = nil
		}
	}()
	return f()
}

// relocate makes redirects to the upstream's own address relative.
func relocate(v *visit, h http.Header) {
	at := h.Get("Location")
	if at == "" {
		return
	}
	u, err := url.Parse(at)
	if err != nil || u.Host != v.site.upstream.Host || v.siteOf(u.Host) != nil {
		return
	}
	u.Scheme, u.Host, u.User = "", "", nil
	if u.Path == "" {
		u.Path = "/"
	}
	h.Set("Location", u.String())
}
