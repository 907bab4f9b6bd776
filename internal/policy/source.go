package policy

import (
	"net"
	"net/url"
	"strings"
)

// Source is a host source of Content Security Policy level 3, as the hosts of
// services are written: example.com, *.example.com, https://example.com/path.
type Source struct {
	Scheme, Host, Port, Path string
	Below                    bool // *.host: only hosts below it
}

// ParseSource reads a host source. Text that is none gives a Source that no address matches.
func ParseSource(s string) Source {
	var src Source
	if scheme, rest, ok := strings.Cut(s, "://"); ok {
		src.Scheme, s = strings.ToLower(scheme), rest
	}
	if i := strings.IndexByte(s, '/'); i >= 0 {
		s, src.Path = s[:i], s[i:]
	}
	if host, port, err := net.SplitHostPort(s); err == nil {
		s, src.Port = host, port
	}
	src.Host, src.Below = strings.CutPrefix(strings.ToLower(s), "*.")
	return src
}

// Matches reports whether a browser would let a page reach u by this source.
func (s Source) Matches(u *url.URL) bool {
	if !s.MatchesHost(u) {
		return false
	}
	if s.Path == "" || s.Path == "/" || s.Path == u.Path {
		return true
	}
	return strings.HasSuffix(s.Path, "/") && strings.HasPrefix(u.Path, s.Path)
}

// MatchesHost is Matches without looking at the path.
func (s Source) MatchesHost(u *url.URL) bool {
	host := strings.ToLower(u.Hostname())
	if host == "" || s.Below && !strings.HasSuffix(host, "."+s.Host) || !s.Below && host != s.Host {
		return false
	}
	return s.Port == "" || s.Port == "*" || s.Port == u.Port()
}
