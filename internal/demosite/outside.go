package demosite

import (
	"fmt"
	"html/template"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// World stands in for the outside hosts. It does what such hosts do, as little as
// possible: scripts that set a cookie and send beacons, a video player that sets
// one. It counts who was asked for what, and keeps nothing about who asked.
type World struct {
	mu     sync.Mutex
	counts map[string]map[string]int // host → path → requests
}

// Outside returns the stand-ins. Serve it under every host of Hosts; its page "/"
// shows what was asked of which host.
func Outside() *World { return &World{counts: map[string]map[string]int{}} }

// Counts returns how many requests reached each host.
func (o *World) Counts() map[string]int {
	o.mu.Lock()
	defer o.mu.Unlock()
	sums := map[string]int{}
	for host, paths := range o.counts {
		for _, n := range paths {
			sums[host] += n
		}
	}
	return sums
}

const maxPaths = 200 // per host

func (o *World) count(host, path string) {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	paths := o.counts[host]
	if paths == nil {
		if len(o.counts) >= maxPaths {
			return
		}
		paths = map[string]int{}
		o.counts[host] = paths
	}
	if len(paths) < maxPaths || paths[path] > 0 {
		paths[path]++
	}
}

// tag is what a measuring script does: a cookie in the site's name, and a beacon
// to its own host now and every few seconds while the page is open.
const tag = `(function () {
  var home = new URL(document.currentScript.src).origin;
  document.cookie = %q + "=demo." + Date.now() + "; path=/; max-age=" + %d * 86400;
  function beat() { navigator.sendBeacon(home + %q); }
  beat();
  setInterval(beat, 5000);
})();
`

// readsConsent is what Google's tag does first: it reads what the page has said of
// consent before it, and keeps that where its own tools look.
const readsConsent = `(function () {
  var said = {};
  (window.dataLayer || []).forEach(function (c) { if (c[0] === "consent") Object.assign(said, c[2]); });
  window.google_tag_data = { ics: said };
})();
`

var player = template.Must(template.New("player").Parse(`<!doctype html><html lang="en"><meta charset="utf-8"><title>Video</title>
<meta name="viewport" content="width=device-width"><style>
html,body{height:100%;margin:0}body{display:grid;place-items:center;background:#10181a;color:#e3eaeb;font:16px/1.5 system-ui,sans-serif;text-align:center}
b{display:block;font-size:56px;line-height:1;color:#7cc5d1}p{margin:8px 16px}</style>
<main><b aria-hidden="true">&#9654;</b><p>A simulated video, from {{.}}</p></main>`))

var seen = template.Must(template.New("seen").Parse(`<!doctype html><html lang="en"><meta charset="utf-8"><title>Simulated outside world</title>
<meta name="viewport" content="width=device-width"><style>
:root{color-scheme:light dark}body{max-width:44rem;margin:2rem auto;padding:0 1rem;font:16px/1.6 system-ui,sans-serif}
table{width:100%;border-collapse:collapse}th,td{text-align:left;padding:.4rem .5rem;border-bottom:1px solid #8886;overflow-wrap:anywhere}.n{text-align:right}</style>
<h1>Simulated outside world</h1><p>Stand-ins for the hosts of advertising, measuring and video. They count what they are asked for. Before a yes, nothing new appears here.</p>
{{if .}}<table><thead><tr><th>Host<th>Path<th class="n">Requests</thead><tbody>{{range .}}<tr><td>{{.Host}}<td>{{.Path}}<td class="n">{{.N}}{{end}}</tbody></table>
{{else}}<p><strong>No browser has asked for anything yet.</strong></p>{{end}}`))

type line struct {
	Host, Path string
	N          int
}

func (o *World) lines() []line {
	o.mu.Lock()
	defer o.mu.Unlock()
	var all []line
	for _, host := range slices.Sorted(maps.Keys(o.counts)) {
		for _, path := range slices.Sorted(maps.Keys(o.counts[host])) {
			all = append(all, line{host, path, o.counts[host][path]})
		}
	}
	return all
}

// ServeHTTP answers as the host that was asked for would.
func (o *World) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	p := r.URL.Path
	if p == "/" {
		h.Set("Content-Type", "text/html; charset=utf-8")
		seen.Execute(w, o.lines()) //nolint:errcheck // the visitor has gone
		return
	}
	if p == "/favicon.ico" {
		http.NotFound(w, r)
		return
	}
	o.count(r.Host, known(p))
	switch known(p) {
	case "/gtag/js":
		script(w, "_ga", 395, "/g/collect")
		fmt.Fprint(w, readsConsent)
	case "/en_US/fbevents.js":
		script(w, "_fbp", 90, "/tr")
	case "/li.lms-analytics/insight.min.js":
		script(w, "li_fat_id", 30, "/collect")
	case "/embed/…":
		http.SetCookie(w, &http.Cookie{Name: "VISITOR_INFO1_LIVE", Value: "demo", Path: "/", MaxAge: 180 * 86400})
		h.Set("Content-Type", "text/html; charset=utf-8")
		player.Execute(w, r.Host) //nolint:errcheck // the visitor has gone
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}

// known returns the path as it is counted.
func known(p string) string {
	if strings.HasPrefix(p, "/embed/") {
		return "/embed/…"
	}
	if len(p) > 60 {
		return p[:60] + "…"
	}
	return p
}

func script(w http.ResponseWriter, cookie string, days int, beacon string) {
	w.Header().Set("Content-Type", "text/javascript; charset=utf-8")
	fmt.Fprintf(w, tag, cookie, days, beacon)
}
