package gateway

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
)

// Speculation rules make a browser load pages ahead of any click, and no policy
// governs where from. Rules that stay on the house's own sites are left alone.

const maxRules = 64 << 10

// stays reports whether rules load nothing that the visitor's choice does not
// allow. What cannot be read does not stay.
func (v *visit) stays(rules []byte) (host, service string, ok bool) {
	var all map[string]json.RawMessage
	if json.Unmarshal(rules, &all) != nil {
		return "", "", false
	}
	for kind, list := range all {
		if kind != "prefetch" && kind != "prerender" && kind != "prefetch_with_subresources" && kind != "prerender_until_script" {
			continue
		}
		var rules []struct {
			URLs  []string        `json:"urls"`
			Where json.RawMessage `json:"where"`
		}
		if json.Unmarshal(list, &rules) != nil {
			return "", "", false
		}
		for _, r := range rules {
			if host, service, leads := v.firstOutside(r.URLs); leads {
				return host, service, false
			}
			if len(r.URLs) == 0 && !v.matchesOwn(r.Where) {
				return "", "", false
			}
		}
	}
	return "", "", true
}

// matchesOwn reports whether a condition on links holds only for links to the
// house's own sites.
func (v *visit) matchesOwn(where json.RawMessage) bool {
	var c struct {
		And  []json.RawMessage `json:"and"`
		Or   []json.RawMessage `json:"or"`
		Href json.RawMessage   `json:"href_matches"`
	}
	if json.Unmarshal(where, &c) != nil {
		return false
	}
	for _, part := range c.And {
		if v.matchesOwn(part) {
			return true
		}
	}
	own := len(c.Or) > 0
	for _, part := range c.Or {
		own = own && v.matchesOwn(part)
	}
	return own || len(c.Href) > 0 && v.patternsOwn(c.Href)
}

func (v *visit) patternsOwn(raw json.RawMessage) bool {
	var list []string
	if json.Unmarshal(raw, &list) != nil {
		list = make([]string, 1)
		if json.Unmarshal(raw, &list[0]) != nil {
			return false
		}
	}
	for _, p := range list {
		a, leads := addressOf(p)
		if leads && !v.house(a) || !leads && !strings.HasPrefix(p, "/") {
			return false
		}
	}
	return len(list) > 0
}

// speculation decides about rules in a page: a script element of their type,
// which begins b with a tag of n bytes. It returns false when more of it is needed.
func (w *rewriter) speculation(b []byte, n int, last bool) (ready bool) {
	if w.m.rules == nil || !strings.EqualFold(strings.TrimSpace(value(b[:n], "type")), "speculationrules") {
		return true
	}
	end := bytes.Index(b[n:], []byte("</"))
	if end < 0 && len(b) < maxTag && !last {
		return false
	}
	w.silent = end < 0 || !w.m.rules(b[n:n+end])
	return true
}

// rules reports whether speculation rules may stand.
func (s *Service) rules(v *visit, content []byte) bool {
	host, service, ok := v.stays(content)
	if ok {
		return true
	}
	s.note(v, finding{Kind: "header", Subject: "Speculation-Rules", Detail: limited(host, 253), Service: service}, v.request.URL.Path)
	return !v.enforce()
}

// filterRules empties a file of speculation rules that leads elsewhere.
func (s *Service) filterRules(v *visit, resp *http.Response) error {
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxRules+1))
	if err != nil {
		return err
	}
	readable := len(b) <= maxRules && resp.Header.Get("Content-Encoding") == ""
	stop := v.enforce() && (!readable || !s.rules(v, b))
	rest := io.Reader(resp.Body)
	if stop {
		b, rest = []byte("{}"), http.NoBody
		for _, name := range [...]string{"Content-Encoding", "Etag", "Digest", "Repr-Digest", "Content-Digest"} {
			resp.Header.Del(name)
		}
		resp.Header.Del("Content-Length")
		resp.ContentLength = -1
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(b), rest), resp.Body}
	return nil
}
