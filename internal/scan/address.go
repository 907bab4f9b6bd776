package scan

import (
	"net"
	"net/netip"
	"net/url"
	"path"
	"regexp"
	"strings"

	"golang.org/x/net/publicsuffix"

	"github.com/tillid/tillid/internal/fault"
)

// Address reads the address to scan: http or https, without user, query and
// fragment. A host without a scheme is taken as https.
func Address(s string) (*url.URL, error) {
	wrong := fault.New(fault.Invalid, "The address cannot be scanned.").WithHint("Give the address of a website: https://www.example.dk")
	if !strings.Contains(s, "://") {
		s = "https://" + s
	}
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" || len(s) > 2000 {
		return nil, wrong
	}
	u.Scheme = strings.ToLower(u.Scheme)
	if u.Scheme != "http" && u.Scheme != "https" {
		return nil, fault.New(fault.Invalid, "Only websites can be scanned, not %s addresses.", u.Scheme).WithHint("The address begins with https:// or http://.")
	}
	if u.User != nil {
		return nil, fault.New(fault.Invalid, "The address holds a user name or password.").WithHint("Leave it out: the scanner looks at what everybody sees.")
	}
	return canonical(u), nil
}

// canonical drops what may hold personal data or has no end: query and fragment.
func canonical(u *url.URL) *url.URL {
	c := &url.URL{Scheme: u.Scheme, Host: strings.ToLower(u.Host), Path: u.Path}
	if c.Path == "" {
		c.Path = "/"
	}
	return c
}

// loopback reports whether a host name is this machine by its name alone.
func loopback(host string) bool {
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.Unmap().IsLoopback()
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

var shared = netip.MustParsePrefix("100.64.0.0/10") // RFC 6598, behind carriers' NAT

// public reports whether an address is one of the internet, not of this machine or its network.
func public(a netip.Addr) bool {
	a = a.Unmap()
	return a.IsValid() && a.IsGlobalUnicast() && !a.IsPrivate() && !a.IsLoopback() && !a.IsLinkLocalUnicast() && !shared.Contains(a)
}

// domain returns the registered domain of a host, example.dk of www.example.dk;
// the host itself where there is none.
func domain(host string) string {
	host = strings.ToLower(strings.TrimPrefix(strings.TrimSuffix(host, "."), "."))
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if d, err := publicsuffix.EffectiveTLDPlusOne(host); err == nil {
		return d
	}
	return host
}

// noPage are the ends of paths that are no pages.
var noPage = map[string]bool{
	".pdf": true, ".zip": true, ".gz": true, ".jpg": true, ".jpeg": true, ".png": true, ".gif": true, ".svg": true, ".webp": true,
	".mp4": true, ".mp3": true, ".doc": true, ".docx": true, ".xls": true, ".xlsx": true, ".ppt": true, ".pptx": true, ".css": true,
	".js": true, ".xml": true, ".json": true, ".ics": true, ".exe": true, ".dmg": true, ".woff2": true, ".csv": true,
}

// acts are words of paths that do something: a scanner only reads.
var acts = regexp.MustCompile(`(?i)(log-?out|log-?ud|sign-?out|afmeld|unsubscribe|delete|slet|add-to-cart|wp-admin|/admin)`)

// page returns the address to visit for a link on a page, or nil when it is
// none of the site's pages.
func (c *crawl) page(href string) *url.URL {
	u, err := url.Parse(href)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || len(href) > 2000 {
		return nil
	}
	u = canonical(u)
	if !c.own(u.Host) || noPage[strings.ToLower(path.Ext(u.Path))] || acts.MatchString(u.Path) {
		return nil
	}
	return u
}

// own reports whether a host is scanned: the start's, or with SameSite every
// one of its registered domain.
func (c *crawl) own(host string) bool {
	return strings.EqualFold(host, c.start.Host) || c.SameSite && !loopback(c.start.Hostname()) && domain(host) == domain(c.start.Hostname())
}

var idLike = regexp.MustCompile(`[0-9a-fA-F-]{16,}|\d{6,}|[A-Za-z0-9_-]{32,}`)

// masked makes a path fit to be written down: what looks like an id or an
// address of a person becomes *, and it has a bounded length.
func masked(p string) string {
	segments := strings.Split(p, "/")
	for i, s := range segments {
		if strings.ContainsAny(s, "@=;,") || idLike.MatchString(s) || len(s) > 80 {
			segments[i] = "*"
		}
	}
	if len(segments) > 8 {
		segments = append(segments[:8], "*")
	}
	return strings.ToValidUTF8(strings.Join(segments, "/"), "*")
}
