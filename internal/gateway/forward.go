package gateway

import (
	"net/http"
	"strings"

	"github.com/tillid/tillid/internal/fault"
)

// forwardPath is where a server in front, which passes the site's answers on by
// itself, asks what to add to one: Caddy's forward_auth, nginx's auth_request.
const forwardPath = "/_tillid/header"

// headerPrefix stands before each header's name, so that the server in front never
// takes a header of some other answer for one of these.
const headerPrefix = "Tillid-"

// forwardHeaders are always sent, empty when there is nothing to add: Caddy copies
// what it is told to copy, whether it is there or not.
var forwardHeaders = [...]string{
	"Content-Security-Policy", "Content-Security-Policy-Report-Only", "Permissions-Policy", "Referrer-Policy", "Cache-Control",
}

// forward answers with the headers that the answer to a visitor's request needs.
// The request is the visitor's own, without its body: host, cookies, Sec-Fetch-Dest
// and Accept count, the address does not.
func (s *Service) forward(w http.ResponseWriter, r *http.Request) error {
	v := s.visit(r)
	if v.site == nil {
		return fault.New(fault.NotFound, "No site of this name is declared.").
			WithHint("The server in front must pass the Host header on unchanged, and the host must stand under sites in tillid.yaml.").In("gateway.forward")
	}
	add := http.Header{}
	s.police(v, add, v.navigates || v.worker)
	h := w.Header()
	for _, name := range forwardHeaders {
		h.Set(headerPrefix+name, strings.Join(add.Values(name), ", "))
	}
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusNoContent)
	return nil
}
