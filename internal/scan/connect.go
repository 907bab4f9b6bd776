package scan

import (
	"net"
	"slices"
	"strings"

	"github.com/tillid/tillid/internal/fault"
)

// Redirect sends the browser's connections elsewhere than to what a name means:
// a site under test answers under the name that it will have. What a person
// redirects is reached wherever it is; everything else is checked as always.
type Redirect struct {
	Host, Port string // empty: any
	To         string // host:port
}

// ParseRedirects reads redirects as curl's --connect-to has them:
// HOST1:PORT1:HOST2:PORT2, where an empty HOST1 or PORT1 means any. The first
// that fits counts.
func ParseRedirects(list []string) ([]Redirect, error) {
	var all []Redirect
	for _, s := range list {
		wrong := fault.New(fault.Invalid, "%q does not say what leads where.", s).WithHint("Write --connect-to HOST1:PORT1:HOST2:PORT2, as for curl: www.example.dk:443:127.0.0.1:8443. An empty HOST1 or PORT1 means any.")
		host, rest, ok := cutHost(s)
		port, to, more := strings.Cut(rest, ":")
		if !ok || !more {
			return nil, wrong
		}
		if h, p, err := net.SplitHostPort(to); err != nil || h == "" || p == "" {
			return nil, wrong
		}
		all = append(all, Redirect{Host: host, Port: port, To: to})
	}
	return all, nil
}

// cutHost cuts the host off the front: a name, an address, or an IPv6 address in brackets.
func cutHost(s string) (host, rest string, ok bool) {
	if inner, isSix := strings.CutPrefix(s, "["); isSix {
		host, rest, ok = strings.Cut(inner, "]:")
		return host, rest, ok
	}
	return strings.Cut(s, ":")
}

// redirected returns where a connection to host:port is to be made instead, or "".
func (o Options) redirected(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return ""
	}
	i := slices.IndexFunc(o.Redirects, func(r Redirect) bool {
		return (r.Host == "" || strings.EqualFold(r.Host, host)) && (r.Port == "" || r.Port == port)
	})
	if i < 0 {
		return ""
	}
	return o.Redirects[i].To
}

// hostPort is an address's host with the port that it means.
func hostPort(scheme, host string) string {
	if _, _, err := net.SplitHostPort(host); err == nil {
		return host
	}
	port := "443"
	if scheme == "http" {
		port = "80"
	}
	return net.JoinHostPort(strings.Trim(host, "[]"), port)
}
