package gateway

import (
	_ "embed" // the guard
	"encoding/json"
	"net/http"
	"strings"

	"github.com/tillid/tillid/internal/fault"
)

// guardPath is the script for pages that no server in front protects: it puts the
// visitor's policy into the page.
const guardPath = "/_tillid/guard.js"

//go:embed guard.js
var guardSource string

// told is what the guard learns about its visitor.
type told struct {
	Enforce bool   `json:"enforce"`
	Granted bool   `json:"granted"` // something is
	Policy  string `json:"policy"`
	// What the banner's script learns, so that it need not ask.
	Settings json.RawMessage `json:"settings,omitempty"`
}

// guard answers with the script and, in it, the policy of the visitor's choice.
// It is made for each visitor: no cache keeps it.
func (s *Service) guard(w http.ResponseWriter, r *http.Request) error {
	v := s.visit(r)
	if v.site == nil {
		return fault.New(fault.NotFound, "No site of this name is declared.").
			WithHint("The server in front must pass the Host header on unchanged, and the host must stand under sites in tillid.yaml.").In("gateway.forward")
	}
	say := told{Enforce: v.enforce(), Granted: len(v.services) > 0, Policy: inPage(v.headersFor(v.services).csp)}
	if s.Told != nil {
		say.Settings = s.Told(r)
	}
	b, err := json.Marshal(say)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "text/javascript; charset=utf-8")
	h.Set("Cache-Control", "private, no-store")
	h.Set("Vary", "Cookie, Sec-GPC")
	h.Set("Cross-Origin-Resource-Policy", "cross-origin") // read only by whom CORS allows
	_, err = w.Write([]byte("var tillid_guard = " + string(b) + ";\n" + guardSource))
	return err
}

// inPage returns a policy as a page may hold it: without the address for reports,
// which browsers heed in headers only.
func inPage(policy string) string {
	policy, _, _ = strings.Cut(policy, "; report-uri ")
	return policy
}

// Strictest returns the policy that a page gets when Tillid cannot be asked:
// nothing but the house's own hosts.
func (s *Service) Strictest() string {
	own := s.compiled().own
	return "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:" + own + "; form-action 'self'" + own + "; webrtc 'block'"
}
