package web

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

const contentSecurity = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; " +
	"connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// secure sets the headers of every answer of ours; what a handler has set already stays.
func secure(h http.Header, layout string) {
	csp := contentSecurity
	if layout != Public {
		csp += "; require-trusted-types-for 'script'"
	}
	for _, kv := range [...][2]string{
		{"Content-Security-Policy", csp},
		{"X-Content-Type-Options", "nosniff"},
		{"Referrer-Policy", "no-referrer"},
		{"Cross-Origin-Opener-Policy", "same-origin"},
		{"Cross-Origin-Resource-Policy", "same-origin"},
		{"Permissions-Policy", "camera=(), microphone=(), geolocation=(), payment=(), browsing-topics=()"},
		{"Cache-Control", "no-store"},
	} {
		if h.Get(kv[0]) == "" {
			h.Set(kv[0], kv[1])
		}
	}
}

// strictTransport tells browsers to come by https only from now on.
func strictTransport(w http.ResponseWriter, r *http.Request) {
	if HTTPS(r) {
		w.Header().Set("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
	}
}

// HTTPS reports whether the visitor came by https. Everything but this machine
// itself (localhost, *.localhost, loopback addresses) counts as https: behind a server
// that ends TLS the request does not say, and cookies must never be less secure for it.
func HTTPS(r *http.Request) bool {
	if r.TLS != nil {
		return true
	}
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return false
	}
	a, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err != nil || !a.IsLoopback()
}
