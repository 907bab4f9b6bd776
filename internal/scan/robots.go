package scan

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// robots is what a site's robots.txt says to us (RFC 9309).
type robots struct{ rules []rule }

type rule struct {
	pattern *regexp.Regexp
	length  int
	allow   bool
}

// allows reports whether a path may be visited: the longest rule that fits
// decides, and allow wins where two are as long.
func (r robots) allows(path string) bool {
	best := rule{allow: true}
	for _, one := range r.rules {
		if one.pattern.MatchString(path) && (one.length > best.length || one.length == best.length && one.allow) {
			best = one
		}
	}
	return best.allow
}

const maxRobots = 512 << 10

// fetchRobots reads a site's robots.txt through the guard. What cannot be read forbids nothing.
func fetchRobots(ctx context.Context, g *guard, o Options) robots {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	g.allow(maxRobots)
	client := &http.Client{Transport: &http.Transport{
		DialContext: g.connect, DisableKeepAlives: true,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: o.TrustAnyCertificate}, //nolint:gosec // as the browser does, when it is told to
	}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, (&url.URL{Scheme: o.Start.Scheme, Host: o.Start.Host, Path: "/robots.txt"}).String(), nil)
	if err != nil {
		return robots{}
	}
	resp, err := client.Do(req)
	if err != nil {
		return robots{}
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return robots{}
	}
	return parseRobots(io.LimitReader(resp.Body, maxRobots))
}

// parseRobots reads the rules of the groups for "tillid", else those for "*".
func parseRobots(r io.Reader) robots {
	ours, all := []rule{}, []rule{}
	var named, star, grouped, mine bool
	lines := bufio.NewScanner(r)
	for lines.Scan() && len(ours)+len(all) < 1000 {
		line, _, _ := strings.Cut(lines.Text(), "#")
		key, value, ok := strings.Cut(line, ":")
		key, value = strings.ToLower(strings.TrimSpace(key)), strings.TrimSpace(value)
		if !ok {
			continue
		}
		switch key {
		case "user-agent":
			if grouped { // a rule came before: a new group begins
				named, star, grouped = false, false, false
			}
			named = named || strings.EqualFold(value, "tillid")
			star = star || value == "*"
			mine = mine || named
		case "allow", "disallow":
			grouped = true
			if value == "" {
				continue
			}
			one := rule{pathPattern(value), len(value), key == "allow"}
			if named {
				ours = append(ours, one)
			} else if star {
				all = append(all, one)
			}
		}
	}
	if mine {
		return robots{ours}
	}
	return robots{all}
}

func pathPattern(s string) *regexp.Regexp {
	if len(s) > 500 {
		s = s[:500]
	}
	body, end := strings.CutSuffix(s, "$")
	parts := strings.Split(body, "*")
	for i := range parts {
		parts[i] = regexp.QuoteMeta(parts[i])
	}
	p := "^" + strings.Join(parts, ".*")
	if end {
		p += "$"
	}
	return regexp.MustCompile(p)
}
