package scan

import (
	"net/url"
	"slices"
	"strings"

	"github.com/tillid/tillid/internal/known"
)

// observe writes down what a loaded page did, and follows its links in the first pass.
func (c *crawl) observe(t *tab, pass Pass, p Page, path, what string) string {
	var frames []facts
	if what != crashed {
		var err error
		if frames, err = t.ask(); err != nil && what != heavy {
			what = unhelpful
		}
	}
	if len(frames) > 0 {
		if u, err := url.Parse(frames[0].Href); err != nil || !c.arrived(u, p) {
			return away
		}
		if pass == Untouched {
			c.follow(frames[0].Links, p)
		}
	}
	c.hosts(t, pass, path)
	for _, f := range frames {
		c.stored(f, pass, path)
	}
	if list, err := t.cookies(); err == nil {
		c.cookies(list, pass, path)
	} else if what == "" {
		what = unhelpful
	}
	if t.watch.rtc {
		c.state.add(Item{Kind: WebRTC, Name: "RTCPeerConnection"}, pass, path)
	}
	return what
}

// arrived reports whether a page is one of the site. Where the very first page
// leads to another host of the same registered domain (example.dk to
// www.example.dk), that host is the site.
func (c *crawl) arrived(u *url.URL, p Page) bool {
	if c.own(u.Host) {
		return true
	}
	first := c.state.Pages[0].URL == p.URL
	if !first || domain(u.Host) != domain(c.start.Host) || u.Scheme != "http" && u.Scheme != "https" {
		return false
	}
	moved := canonical(u)
	c.state.Pages[0].URL = moved.String()
	c.start = moved
	return true
}

// follow takes the links of a page that were not met before, in the order of
// their addresses, as far as the limits go.
func (c *crawl) follow(links []string, from Page) {
	if from.Depth >= c.Limits.Depth {
		return
	}
	have := map[string]bool{}
	for _, p := range c.state.Pages {
		have[p.URL] = true
	}
	slices.Sort(links)
	for _, href := range links {
		u := c.page(href)
		if u == nil || have[u.String()] || !c.robots.allows(u.Path) {
			continue
		}
		if len(c.state.Pages) >= c.Limits.Pages {
			c.state.trouble("", Untouched, "pages")
			return
		}
		have[u.String()] = true
		c.state.Pages = append(c.state.Pages, Page{URL: u.String(), Depth: from.Depth + 1})
	}
}

// ours reports whether a host is the site's own: to itself it is no third party.
func (c *crawl) ours(host string) bool {
	if c.own(host) || strings.EqualFold(host, c.start.Hostname()) {
		return true
	}
	return !loopback(host) && domain(host) == domain(c.start.Hostname())
}

func (c *crawl) hosts(t *tab, pass Pass, path string) {
	told := map[string]bool{}
	for _, r := range t.watch.all() {
		host := strings.ToLower(r.url.Hostname())
		told[host] = true
		if r.use == "" || c.ours(r.url.Host) {
			continue
		}
		it := Item{Kind: Host, Name: r.url.Host, Uses: []string{r.use}, Initiator: r.initiator, ThirdParty: true}
		if strings.EqualFold(it.Initiator, c.start.Hostname()) {
			it.Initiator = ""
		}
		if s := known.Load().ByURL(r.url); s != nil {
			it.Service, it.KnownBy = s.ID, "host"
		}
		c.state.add(it, pass, path)
	}
	asked, refused := t.s.guard.seen()
	for _, host := range asked { // what no event told: workers, preconnects, pop-ups
		if told[host] || c.ours(host) || chromiumsOwn(host) {
			continue
		}
		it := Item{Kind: Host, Name: host, Uses: []string{"connect"}, ThirdParty: true, Initiator: "?"}
		if s := known.Load().ByURL(&url.URL{Scheme: "https", Host: host}); s != nil {
			it.Service, it.KnownBy = s.ID, "host"
		}
		c.state.add(it, pass, path)
	}
	if len(refused) > 0 {
		c.state.trouble(path, pass, internal)
	}
}

// chromiumsOwn reports whether Chromium itself asks a host, whatever the page.
func chromiumsOwn(host string) bool {
	return host == "accounts.google.com" || host == "www.google.com" || strings.HasPrefix(host, "clients") && strings.HasSuffix(host, ".google.com") ||
		host == "update.googleapis.com" || host == "optimizationguide-pa.googleapis.com" || host == "content-autofill.googleapis.com" ||
		host == "safebrowsing.googleapis.com" || host == "safebrowsingohttpgateway.googleapis.com" || host == "redirector.gvt1.com"
}

func (c *crawl) stored(f facts, pass Pass, path string) {
	host := f.host()
	for _, one := range []struct {
		kind  string
		names []string
	}{{LocalStorage, f.Local}, {Session, f.Session}, {Database, f.Databases}, {Cache, f.Caches}, {ServiceWorker, f.Workers}} {
		for _, name := range one.names {
			it := Item{Kind: one.kind, Domain: host, ThirdParty: !c.ours(host)}
			if c.name(&it, name, host); it.Kind == ServiceWorker {
				it.Name = masked(name) // the path that it is for
			}
			if it.Kind == Session {
				it.Lifetime = "PT0S"
			}
			c.state.add(it, pass, path)
		}
	}
}

// name gives storage its name and says what knows it.
func (c *crawl) name(it *Item, name, host string) {
	it.Name = named(it.Kind, name, host, c.Plan)
	if s, _ := known.Load().ByName(it.Kind, name, host); s != nil {
		it.Service, it.KnownBy = s.ID, "name"
	}
	if !it.ThirdParty {
		it.Domain = strings.TrimPrefix(it.Domain, ".")
	}
}

// cookies writes down the browser's cookies: the site's own, and those of hosts that its pages asked.
func (c *crawl) cookies(list []cookie, pass Pass, path string) {
	for _, k := range list {
		host := strings.ToLower(strings.TrimPrefix(k.domain, "."))
		third := !c.ours(host)
		if third && !c.asked(host) {
			continue // left by a page that led elsewhere
		}
		it := Item{Kind: Cookie, Domain: host, Lifetime: k.life, HTTPOnly: k.httpOnly, Partitioned: k.partitioned, ThirdParty: third}
		c.name(&it, k.name, host)
		c.state.add(it, pass, path)
	}
}

func (c *crawl) asked(domainName string) bool {
	for _, it := range c.state.Items {
		if it.Kind == Host && (it.Name == domainName || domain(it.Name) == domain(domainName)) {
			return true
		}
	}
	return false
}
