package gateway

import (
	"net"
	"net/url"
	"strings"

	"golang.org/x/net/idna"
)

// address is where an address of a page leads, as far as it matters here.
type address struct {
	host string // lower case, ASCII
	port string // "" when none is written
	path string
}

// addressOf reads an address as browsers do (the URL standard) far enough to
// tell to which host it leads. ok is false when it names none: it is relative, or
// of a scheme that reaches no host (data:, blob:, mailto:, …). What is odd counts
// as leading elsewhere.
func addressOf(raw string) (a address, ok bool) {
	s := strings.TrimFunc(raw, func(r rune) bool { return r <= ' ' })
	if strings.ContainsAny(s, "\t\n\r") {
		s = strings.NewReplacer("\t", "", "\n", "", "\r", "").Replace(s)
	}
	rest, scheme := s, schemeOf(s)
	switch {
	case scheme == "":
		if len(s) < 2 || !isSlash(s[0]) || !isSlash(s[1]) {
			return a, false
		}
	case reaches(lowered(scheme)):
		rest = s[len(scheme)+1:]
	default:
		return a, false
	}
	rest = strings.TrimLeft(rest, `/\`)
	end := strings.IndexAny(rest, `/\?#`)
	if end < 0 {
		end = len(rest)
	}
	a.host, a.port = hostPort(rest[:end])
	a.path, _, _ = strings.Cut(rest[end:], "#")
	a.path, _, _ = strings.Cut(a.path, "?")
	a.path = strings.ReplaceAll(a.path, `\`, "/")
	return a, a.host != ""
}

func isSlash(c byte) bool { return c == '/' || c == '\\' }

// schemeOf returns the scheme that an address begins with, or "".
func schemeOf(s string) string {
	for i := range len(s) {
		switch c := s[i]; {
		case isLetter(c), i > 0 && ('0' <= c && c <= '9' || c == '+' || c == '-' || c == '.'):
		case c == ':' && i > 0:
			return s[:i]
		default:
			return ""
		}
	}
	return ""
}

// hostPort takes an authority apart; what stands before the last @ is no host.
func hostPort(authority string) (host, port string) {
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		authority = authority[i+1:]
	}
	host = authority
	if h, p, err := net.SplitHostPort(authority); err == nil {
		host, port = h, p
	}
	if strings.IndexByte(host, '%') >= 0 {
		if h, err := url.PathUnescape(host); err == nil {
			host = h
		}
	}
	host = strings.TrimSuffix(lowered(strings.Trim(host, "[]")), ".")
	for i := range len(host) {
		if host[i] >= 0x80 {
			if h, err := idna.Lookup.ToASCII(host); err == nil {
				host = h
			}
			break
		}
	}
	return host, port
}

// reaches reports whether a scheme is one by which pages reach other hosts; those
// of browsers' extensions are not.
func reaches(scheme string) bool {
	return scheme == "http" || scheme == "https" || scheme == "ws" || scheme == "wss"
}
