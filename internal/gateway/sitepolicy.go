package gateway

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// The site's own Content-Security-Policy stays as it is. Where it would stop the
// banner it gets what the banner needs and nothing more: a nonce for our script
// and style, and our own path on the page's own host.

// ownNeeds are what the banner needs: whether it is code, the chain of directives
// of which the first that is there counts, and the one to write when that is only
// a fallback for others too.
var ownNeeds = [...]struct {
	code  bool
	chain []string
	write string
}{
	{true, []string{"script-src-elem", "script-src", "default-src"}, "script-src"},
	{true, []string{"style-src-elem", "style-src", "default-src"}, "style-src"},
	{false, []string{"connect-src", "default-src"}, "connect-src"},
	{false, []string{"img-src", "default-src"}, "img-src"},
	{false, []string{"frame-src", "child-src", "default-src"}, "frame-src"},
	{false, []string{"form-action"}, "form-action"},
}

// admit makes room for the banner in the site's own policies, those of headers.
func (s *Service) admit(v *visit, h http.Header) {
	for _, name := range [...]string{"Content-Security-Policy", "Content-Security-Policy-Report-Only"} {
		for i, line := range h[name] {
			policies := strings.Split(line, ",")
			for j := range policies {
				policies[j] = s.admitTo(v, policies[j])
			}
			h[name][i] = strings.Join(policies, ",")
		}
	}
}

// directiveOf is one directive of a policy: its name and its sources.
type directiveOf struct {
	name    string
	sources []string
}

// admitTo returns a policy with room for the banner, and byte for byte as it was
// when the banner needs none.
func (s *Service) admitTo(v *visit, policy string) string {
	var list []directiveOf
	for part := range strings.SplitSeq(policy, ";") {
		if f := strings.Fields(part); len(f) > 0 && find(list, strings.ToLower(f[0])) < 0 {
			list = append(list, directiveOf{strings.ToLower(f[0]), f[1:]})
		}
	}
	if len(list) == 0 {
		return policy
	}
	changed := s.silence(v, list)
	for _, need := range ownNeeds {
		at := -1
		for i := 0; i < len(need.chain) && at < 0; i++ {
			at = find(list, need.chain[i])
		}
		if at < 0 {
			continue
		}
		more := v.missing(need.code, list[at].sources)
		if more == "" {
			continue
		}
		changed = true
		sources := slices.DeleteFunc(slices.Clone(list[at].sources), func(src string) bool { return strings.EqualFold(src, "'none'") })
		sources = append(sources, more)
		if name := list[at].name; name == "default-src" || name == "child-src" { // others fall back to it: they keep what they had
			list = append(list, directiveOf{need.write, sources})
		} else {
			list[at].sources = sources
		}
	}
	if !changed {
		return policy
	}
	var parts []string
	for _, d := range list {
		if d.name != "report-uri" || len(d.sources) > 0 {
			parts = append(parts, strings.Join(append([]string{d.name}, d.sources...), " "))
		}
	}
	return strings.Join(parts, "; ")
}

func find(list []directiveOf, name string) int {
	return slices.IndexFunc(list, func(d directiveOf) bool { return d.name == name })
}

// missing returns what a list of sources lacks for the banner, or "". A nonce is
// never added where it would switch off 'unsafe-inline', which the site relies on.
func (v *visit) missing(code bool, sources []string) string {
	inline, coded, here, nonce := false, false, false, ""
	for _, src := range sources {
		l := strings.ToLower(src)
		inline = inline || l == "'unsafe-inline'"
		here = here || l == "'self'" || l == "*"
		coded = coded || l == "'strict-dynamic'" || strings.HasPrefix(l, "'nonce-") || strings.HasPrefix(l, "'sha")
		if m := nonceSource.FindStringSubmatch(src); m != nil && (nonce == "" || m[1] == v.nonce) {
			nonce = m[1]
		}
	}
	if !code || inline && !coded {
		if here {
			return ""
		}
		return lowered(v.request.Host) + ownPath
	}
	if v.nonce == "" {
		v.nonce = nonce
	}
	if v.nonce == "" {
		v.nonce = newNonce()
	}
	if v.nonce == nonce {
		return ""
	}
	return "'nonce-" + v.nonce + "'"
}

var nonceSource = regexp.MustCompile(`^(?i:'nonce)-([A-Za-z0-9+/_-]{1,200}={0,2})'$`)

// ownPath is where everything is that the banner loads and sends to.
const ownPath = "/_tillid/"

func newNonce() string {
	var b [16]byte
	rand.Read(b[:])
	return base64.StdEncoding.EncodeToString(b[:])
}

// silence takes report addresses of others out of a policy in enforce mode: the
// browser would send them what a page does, outside every policy.
func (s *Service) silence(v *visit, list []directiveOf) (changed bool) {
	at := find(list, "report-uri")
	if at < 0 {
		return false
	}
	var kept []string
	for _, raw := range list[at].sources {
		host, service, leads := v.firstOutside([]string{raw})
		if leads {
			s.note(v, finding{Kind: "header", Subject: "Content-Security-Policy", Detail: limited(host, 253), Service: service}, v.request.URL.Path)
		}
		if !leads || !v.enforce() {
			kept = append(kept, raw)
		}
	}
	changed = len(kept) != len(list[at].sources)
	list[at].sources = kept
	return changed
}

// withNonce gives the nonce to our own elements.
func withNonce(markup []byte, nonce string) []byte {
	if nonce == "" {
		return markup
	}
	attribute := ` nonce="` + nonce + `" `
	for _, name := range [...]string{"<script ", "<style ", "<link "} {
		markup = bytes.ReplaceAll(markup, []byte(name), []byte(name[:len(name)-1]+attribute))
	}
	for _, name := range [...]string{"<script>", "<style>"} {
		markup = bytes.ReplaceAll(markup, []byte(name), []byte(name[:len(name)-1]+attribute+">"))
	}
	return markup
}
