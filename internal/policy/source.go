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
func ParseSource(s string) *Source {
	src := &Source{}
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
func (s *Source) Matches(u *url.URL) bool { return s.MatchesHost(u) && s.HasPath(u.Path) }

// MatchesHost is Matches without looking at the path.
func (s *Source) MatchesHost(u *url.URL) bool {
	return s.HasHost(strings.ToLower(u.Hostname()), u.Port())
}

// HasHost reports whether the source covers a host, in lower case, and a port, "" for the usual one.
func (s *Source) HasHost(host, port string) bool {
	if host == "" {
		return false
	}
	if s.Below {
		if !strings.HasSuffix(host, s.Host) || len(host) <= len(s.Host) || host[len(host)-len(s.Host)-1] != '.' {
			return false
		}
	} else if host != s.Host {
		return false
	}
	return s.Port == "" || s.Port == "*" || s.Port == port
}

// HasPath reports whether the source covers a path: its own, or one below it when it ends in a slash.
func (s *Source) HasPath(path string) bool {
	if s.Path == "" || s.Path == "/" || s.Path == path {
		return true
	}
	return strings.HasSuffix(s.Path, "/") && strings.HasPrefix(path, s.Path)
}
