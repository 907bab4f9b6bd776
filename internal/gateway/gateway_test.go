package gateway

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"
	"github.com/andybalholm/brotli"
	"github.com/google/go-cmp/cmp"
	"github.com/jba/templatecheck"
	"github.com/klauspost/compress/zstd"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/db/dbtest"
	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/text"
	"github.com/tillid/tillid/internal/web"
)

const siteHost = "www.eksempel.test"

// rig is a gateway in front of a site that a test writes.
type rig struct {
	*Service
	t        testing.TB
	plan     *policy.Plan
	now      time.Time
	services []string
	purposes []string
	asked    atomic.Pointer[http.Request] // the last request that reached the site
}

func newRig(t testing.TB, mode string, site http.HandlerFunc) *rig {
	t.Helper()
	g := &rig{t: t, now: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)}
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.asked.Store(r)
		site(w, r)
	}))
	t.Cleanup(upstream.Close)
	g.plan = testPlan(mode, upstream.URL)
	g.Service = &Service{
		Plan: func() *policy.Plan { return g.plan }, Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return g.now },
		Granted: func(*http.Request) ([]string, []string) { return g.services, g.purposes },
		Head:    func(_ *http.Request, lang string) []byte { return []byte("<!--head " + lang + "-->") },
		Foot:    func(_ *http.Request, _ string, embeds bool) []byte { return fmt.Appendf(nil, "<!--foot %v-->", embeds) },
		Placeholder: func(_ *http.Request, _ string, e Embed) []byte {
			return []byte("<!--box " + e.Service + " " + e.Host + "-->")
		},
	}
	g.House = &web.House{Plan: g.Plan}
	return g
}

func testPlan(mode, upstream string) *policy.Plan {
	return &policy.Plan{Hash: mode, Loc: time.UTC, Declaration: policy.Declaration{
		Languages: []text.Lang{text.DA, text.EN},
		Sites:     []policy.Site{{ID: "main", Hosts: []string{siteHost, "static.eksempel.test"}, Upstream: upstream, Mode: mode}},
		Purposes: []policy.Purpose{
			{ID: "count", Basis: &policy.LegalBasis{Art: "6.1.a"}}, {ID: "film", Basis: &policy.LegalBasis{Art: "6.1.a"}},
			{ID: "pay", Basis: &policy.LegalBasis{Art: "6.1.b"}},
		},
		Services: []policy.Service{
			{ID: "counter", Purpose: "count", Gate: "consent", Hosts: policy.Hosts{Script: []string{"tag.test"}, Connect: []string{"https://*.beacon.test"}}},
			{ID: "video", Label: text.Text{text.EN: "Video"}, Purpose: "film", Gate: "consent", Hosts: policy.Hosts{Frame: []string{"video.test/embed/"}, Image: []string{"thumb.test"}}},
			{ID: "till", Purpose: "pay", Gate: "none", Hosts: policy.Hosts{Form: []string{"pay.test"}, Script: []string{"evil;script-src *", "'unsafe-hashes'", "*", "https:"}}},
		},
		Device: []policy.DeviceAccess{
			{ID: "session", Category: "necessary"}, {ID: "_count", Category: "statistics", Service: "counter", Purpose: "count"},
			{ID: "own_*", Category: "statistics", Purpose: "count"}, {ID: "basket", Category: "preferences", Purpose: "pay"},
		},
	}}
}

// get asks for a page as a browser that goes there.
func (g *rig) get(path string, header ...string) *http.Response {
	g.t.Helper()
	r := httptest.NewRequest("GET", "http://"+siteHost+path, nil)
	r.Header.Set("Sec-Fetch-Dest", "document")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return g.do(r)
}

func (g *rig) do(r *http.Request) *http.Response {
	g.t.Helper()
	w := httptest.NewRecorder()
	g.Handler().ServeHTTP(w, r)
	return w.Result()
}

func body(t testing.TB, resp *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// directive returns a directive of the policy that Tillid added.
func directive(resp *http.Response, name string) string {
	lines := resp.Header.Values("Content-Security-Policy")
	if len(lines) == 0 {
		return "no policy"
	}
	for part := range strings.SplitSeq(lines[len(lines)-1], ";") {
		if n, value, _ := strings.Cut(strings.TrimSpace(part), " "); n == name {
			return value
		}
	}
	return ""
}

func page(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Etag", `"1"`)
	w.Header().Set("Cache-Control", "public, max-age=600")
	io.WriteString(w, "<!doctype html><html lang=da><head></head><body>hej</body></html>")
}

// Rows: A1, A4, A5.
func TestPolicyFollowsConsent(t *testing.T) {
	g := newRig(t, "enforce", page)
	for _, test := range []struct {
		granted []string
		want    map[string]string
	}{
		{nil, map[string]string{
			"script-src": "'self' 'unsafe-inline' 'unsafe-eval' data: blob: " + siteHost + " static.eksempel.test", "frame-src": "'self' data: blob: " + siteHost + " static.eksempel.test",
			"form-action": "'self' " + siteHost + " static.eksempel.test pay.test", "webrtc": "'block'", "report-uri": "/_tillid/csp",
		}},
		{[]string{"counter"}, map[string]string{
			"script-src":  "'self' 'unsafe-inline' 'unsafe-eval' data: blob: " + siteHost + " static.eksempel.test tag.test",
			"connect-src": "'self' data: blob: " + siteHost + " static.eksempel.test wss://" + siteHost + " wss://static.eksempel.test https://*.beacon.test", "webrtc": "",
			"frame-src": "'self' data: blob: " + siteHost + " static.eksempel.test",
		}},
		{[]string{"counter", "video"}, map[string]string{"frame-src": "'self' data: blob: " + siteHost + " static.eksempel.test video.test/embed/", "img-src": "'self' data: blob: " + siteHost + " static.eksempel.test thumb.test"}},
		{[]string{"nonsense"}, map[string]string{"frame-src": "'self' data: blob: " + siteHost + " static.eksempel.test"}},
	} {
		g.services = test.granted
		resp := g.get("/")
		for name, want := range test.want {
			if got := directive(resp, name); got != want {
				t.Errorf("%v: %s is %q, want %q", test.granted, name, got, want)
			}
		}
	}
}

// The site's own policy stays, and ours stands beside it.
func TestPolicyBesideTheSites(t *testing.T) {
	g := newRig(t, "enforce", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "img-src 'self'")
		page(w, r)
	})
	lines := g.get("/").Header.Values("Content-Security-Policy")
	if len(lines) != 2 || lines[0] != "img-src 'self'" {
		t.Errorf("policies %q", lines)
	}
}

// What one visitor chose never reaches another, nor the same one later.
func TestCaches(t *testing.T) {
	g := newRig(t, "enforce", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("If-None-Match") != "" {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		if strings.HasSuffix(r.URL.Path, ".js") {
			w.Header().Set("Content-Type", "text/javascript")
			w.Header().Set("Cache-Control", "public, max-age=600")
			w.Header().Set("Etag", `"1"`)
			return
		}
		page(w, r)
	})
	resp := g.get("/", "If-None-Match", `"1"`, "Range", "bytes=0-1")
	if resp.StatusCode != 200 || resp.Header.Get("Etag") != "" || resp.Header.Get("Cache-Control") != "private, no-cache" || !strings.Contains(resp.Header.Get("Vary"), "Cookie") {
		t.Errorf("a page without consent: %d %v", resp.StatusCode, resp.Header)
	}
	g.services = []string{"counter"}
	if got := g.get("/").Header.Get("Cache-Control"); got != "private, no-store" {
		t.Errorf("a page whose policy is widened: %q", got)
	}
	resp = g.get("/a.js", "Sec-Fetch-Dest", "script")
	if resp.Header.Get("Etag") == "" || resp.Header.Get("Cache-Control") != "public, max-age=600" || strings.Contains(directive(resp, "script-src"), "tag.test") {
		t.Errorf("a shared file: %v", resp.Header)
	}
	if resp := g.get("/a.js", "Sec-Fetch-Dest", "script", "If-None-Match", `"1"`); resp.StatusCode != http.StatusNotModified {
		t.Errorf("a shared file is asked for again: %d", resp.StatusCode)
	}
	resp = g.get("/a.js", "Sec-Fetch-Dest", "worker")
	if !strings.Contains(directive(resp, "script-src"), "tag.test") || !strings.HasPrefix(resp.Header.Get("Cache-Control"), "private") {
		t.Errorf("a worker: %v", resp.Header)
	}
}

// Rows: A2, A3.
func TestCookiesOfTheSite(t *testing.T) {
	site := func(w http.ResponseWriter, r *http.Request) {
		for _, line := range []string{"session=1; HttpOnly", "_count=1", "own_visits=1", "basket=1", "undeclared=1", "gone=; Max-Age=0", "tillid_choice=forged"} {
			w.Header().Add("Set-Cookie", line)
		}
		page(w, r)
	}
	names := func(resp *http.Response) (names []string) {
		for _, c := range resp.Cookies() {
			names = append(names, c.Name)
		}
		return names
	}
	for _, test := range []struct {
		mode               string
		services, purposes []string
		want               []string
	}{
		{"enforce", nil, nil, []string{"session", "basket", "gone"}},
		{"enforce", []string{"counter"}, nil, []string{"session", "_count", "basket", "gone"}},
		{"enforce", []string{"counter"}, []string{"count"}, []string{"session", "_count", "own_visits", "basket", "gone"}},
		{"observe", nil, nil, []string{"session", "_count", "own_visits", "basket", "undeclared", "gone"}},
	} {
		g := newRig(t, test.mode, site)
		g.services, g.purposes = test.services, test.purposes
		g.listed.since = map[[2]string]time.Time{{"main", "undeclared"}: g.now.AddDate(0, 0, -7)}
		if got := names(g.get("/")); !slices.Equal(got, test.want) {
			t.Errorf("%s %v: %v, want %v", test.mode, test.services, got, test.want)
		}
		if !noted(g, "cookie", "undeclared") || noted(g, "cookie", "session") {
			t.Errorf("%s: drift %v", test.mode, g.drift.found)
		}
	}
}

func noted(g *rig, kind, subject string) bool {
	for f := range g.drift.found {
		if f.Kind == kind && f.Subject == subject {
			return true
		}
	}
	return false
}

func TestSideDoors(t *testing.T) {
	site := func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Link", `</own.css>; rel=preload, <https://spy.test/a,b.js>; rel=preload; as=script, <https://static.eksempel.test/x>; rel=preload`)
		h.Set("NEL", `{"report_to":"g"}`)
		h.Set("Report-To", `{"group":"g","endpoints":[{"url":"https://spy.test/r"}]}`)
		h.Set("Reporting-Endpoints", `own="/reports"`)
		h.Set("Speculation-Rules", `"https://spy.test/rules.json"`)
		page(w, r)
	}
	g := newRig(t, "enforce", site)
	h := g.get("/").Header
	want := http.Header{"Link": {"</own.css>; rel=preload, <https://static.eksempel.test/x>; rel=preload"}, "Nel": {`{"report_to":"g"}`}, "Reporting-Endpoints": {`own="/reports"`}}
	for _, name := range []string{"Link", "Nel", "Report-To", "Reporting-Endpoints", "Speculation-Rules"} {
		if d := cmp.Diff(want[name], h[name]); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
	if !noted(g, "header", "Report-To") || !noted(g, "header", "Link") {
		t.Errorf("drift %v", g.drift.found)
	}
	g = newRig(t, "observe", site)
	if h := g.get("/").Header; !strings.Contains(h.Get("Link"), "spy.test") || h.Get("Report-To") == "" {
		t.Errorf("observe mode changed %v", h)
	}
}

// Pages are rewritten however they come; everything else passes as it is.
func TestWhatIsRewritten(t *testing.T) {
	html := `<!doctype html><html lang="da"><head></head><body><iframe src="https://video.test/embed/1"></iframe><iframe src="//other.test/"></iframe></body></html>`
	want := `<!doctype html><html lang="da"><head><!--head da--></head><body><!--box video video.test--><iframe hidden data-tillid="video" data-tillid-src="https://video.test/embed/1"></iframe>` +
		`<!--box  other.test--><iframe hidden data-tillid="" data-tillid-src="//other.test/"></iframe><!--foot true--></body></html>`
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	io.WriteString(z, html)
	z.Close()
	g := newRig(t, "enforce", func(w http.ResponseWriter, r *http.Request) {
		if encoded := encodings(t, html)[r.URL.Path[1:]]; encoded != nil {
			w.Header().Set("Content-Type", "text/html")
			w.Header().Set("Content-Encoding", strings.TrimPrefix(r.URL.Path[1:], "raw-"))
			w.Write(encoded)
			return
		}
		switch r.URL.Path {
		case "/gzip":
			w.Header().Set("Content-Type", "text/html")
			w.Header().Set("Content-Encoding", "gzip")
			w.Write(zipped.Bytes())
		case "/odd":
			w.Header().Set("Content-Type", "text/html")
			w.Header().Set("Content-Encoding", "sdch")
			io.WriteString(w, html)
		case "/broken-br", "/broken-zstd", "/broken-deflate":
			w.Header().Set("Content-Type", "text/html")
			w.Header().Set("Content-Encoding", strings.TrimPrefix(r.URL.Path, "/broken-"))
			io.WriteString(w, html)
		case "/wide":
			w.Header().Set("Content-Type", "text/html; charset=UTF-16LE")
			io.WriteString(w, html)
		case "/text":
			w.Header().Set("Content-Type", "text/plain")
			io.WriteString(w, html)
		case "/broken":
			w.Header().Set("Content-Type", "text/html")
			w.Header().Set("Content-Encoding", "gzip")
			io.WriteString(w, html)
		case "/missing":
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(http.StatusNotFound)
			io.WriteString(w, html)
		default:
			w.Header().Set("Content-Type", "text/html")
			w.Header().Set("Content-Length", fmt.Sprint(len(html)))
			io.WriteString(w, html)
		}
	})
	for _, test := range []struct {
		path, dest string
		status     int
		want       string
	}{
		{"/", "document", 200, want}, {"/", "iframe", 200, want}, {"/gzip", "document", 200, want}, {"/missing", "document", 404, want},
		{"/br", "document", 200, want}, {"/zstd", "document", 200, want}, {"/deflate", "document", 200, want}, {"/raw-deflate", "document", 200, want},
		{"/odd", "document", 200, html}, {"/wide", "document", 200, html}, {"/broken-br", "document", 503, ""}, {"/broken-zstd", "document", 503, ""}, {"/text", "document", 200, html}, {"/", "empty", 200, html}, {"/gzip", "empty", 200, zipped.String()},
		{"/broken", "document", 503, ""},
	} {
		resp := g.get(test.path, "Sec-Fetch-Dest", test.dest)
		got := body(t, resp)
		if resp.StatusCode != test.status || test.want != "" && got != test.want {
			t.Errorf("%s as %s: %d %q", test.path, test.dest, resp.StatusCode, got)
		}
		if n := resp.Header.Get("Content-Length"); n != "" && n != fmt.Sprint(len(got)) {
			t.Errorf("%s as %s: %s bytes announced, %d sent", test.path, test.dest, n, len(got))
		}
	}
	r := httptest.NewRequest("HEAD", "http://"+siteHost+"/gzip", nil)
	r.Header.Set("Sec-Fetch-Dest", "document")
	if resp := g.do(r); resp.StatusCode != 200 || resp.Header.Get("Content-Encoding") != "" {
		t.Errorf("HEAD: %v", resp.Header)
	}
	g.services = []string{"video"}
	if got := body(t, g.get("/")); strings.Contains(got, "box video") || !strings.Contains(got, `<iframe src="https://video.test/embed/1">`) {
		t.Errorf("with consent: %s", got)
	}
	g = newRig(t, "observe", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, html)
	})
	resp := g.get("/")
	if got := body(t, resp); strings.Contains(got, "box") || !strings.Contains(got, "head da") || resp.Header.Get("Content-Security-Policy") != "" || resp.Header.Get("Content-Security-Policy-Report-Only") == "" {
		t.Errorf("observe: %s %v", got, resp.Header)
	}
}

// encodings are a page in every encoding that the gateway reads, by name.
func encodings(t testing.TB, page string) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	write := func(name string, make func(io.Writer) (io.WriteCloser, error)) {
		var b bytes.Buffer
		w, err := make(&b)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, page); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		all[name] = b.Bytes()
	}
	write("br", func(w io.Writer) (io.WriteCloser, error) { return brotli.NewWriter(w), nil })
	write("zstd", func(w io.Writer) (io.WriteCloser, error) { return zstd.NewWriter(w) })
	write("deflate", func(w io.Writer) (io.WriteCloser, error) { return zlib.NewWriter(w), nil })
	write("raw-deflate", func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, flate.BestSpeed) })
	return all
}

func TestWhatTheSiteIsTold(t *testing.T) {
	g := newRig(t, "enforce", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://"+r.Context().Value(http.LocalAddrContextKey).(net.Addr).String()+"/next?a=b", http.StatusFound)
	})
	g.Trusted = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")} // httptest's visitor is 192.0.2.1
	resp := g.get("/x?q=1", "Cookie", "a=1; tillid_choice=secret; b=2", "X-Forwarded-For", "6.6.6.6, 203.0.113.7", "X-Forwarded-Host", "evil.test", "Connection", "close, X-Secret", "X-Secret", "1")
	want := map[string]string{
		"Cookie": "a=1; b=2", "X-Forwarded-For": "203.0.113.7", "X-Forwarded-Host": siteHost, "X-Forwarded-Proto": "https", "X-Secret": "",
	}
	for name, v := range want {
		if got := g.asked.Load().Header.Get(name); got != v {
			t.Errorf("%s is %q, want %q", name, got, v)
		}
	}
	if g.asked.Load().Host != siteHost || g.asked.Load().URL.String() != "/x?q=1" {
		t.Errorf("asked for %s %s", g.asked.Load().Host, g.asked.Load().URL)
	}
	if at := resp.Header.Get("Location"); at != "/next?a=b" {
		t.Errorf("redirects to %s", at)
	}
	g.get("/", "Cookie", "tillid_choice=secret")
	if _, there := g.asked.Load().Header["Cookie"]; there {
		t.Error("an empty Cookie header is sent")
	}
}

func TestOurs(t *testing.T) {
	g := newRig(t, "enforce", page)
	for path, ours := range map[string]bool{
		"/privacy": true, "/privacy/choices": true, "/_tillid/x": true, "//privacy": true, "/a/../privacy/me": true, "/%70rivacy": true, "/./_tillid/": true,
		"/.well-known/gpc.json": true, "/.well-known/other": false, "/privacypolicy": false, "/about/privacy": false, "/": false, "/_tillidx": false,
	} {
		g.asked.Store(nil)
		r := httptest.NewRequest("GET", "http://"+siteHost+"/", nil)
		u, err := url.Parse("http://" + siteHost + path)
		if err != nil {
			t.Fatal(err)
		}
		if r.URL = u; strings.HasPrefix(path, "//") {
			r.URL = &url.URL{Path: path}
		}
		resp := g.do(r)
		if reached := g.asked.Load() != nil; reached == ours || ours && resp.StatusCode != 404 {
			t.Errorf("%s: reached the site %v, %d", path, reached, resp.StatusCode)
		}
	}
}

// The site is down: people are told so, in their language, and nothing else is said.
func TestSiteDown(t *testing.T) {
	g := newRig(t, "enforce", page)
	g.plan = testPlan("enforce", "http://127.0.0.1:1")
	for _, test := range []struct {
		lang, want string
		host       string
	}{{"da", "Hjemmesiden svarer ikke lige nu", siteHost}, {"en", "The website does not answer just now", siteHost}, {"en", "does not answer", "unknown.test"}} {
		r := httptest.NewRequest("GET", "http://"+test.host+"/secret-path", nil)
		r.Header.Set("Accept-Language", test.lang)
		resp := g.do(r)
		if got := body(t, resp); resp.StatusCode != 503 || !strings.Contains(got, test.want) || strings.Contains(got, "127.0.0.1") || resp.Header.Get("Retry-After") == "" {
			t.Errorf("%d %v %s", resp.StatusCode, resp.Header, got)
		}
	}
	g.plan = nil
	if resp := g.get("/"); resp.StatusCode != 503 {
		t.Errorf("without a declaration: %d", resp.StatusCode)
	}
}

// WebSockets, streams and uploads pass.
func TestStreams(t *testing.T) {
	more := make(chan string)
	g := newRig(t, "enforce", func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/socket":
			conn, rw, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
			rw.Flush()
			line, _ := rw.ReadString('\n')
			rw.WriteString("echo " + line)
			rw.Flush()
		case "/events":
			w.Header().Set("Content-Type", "text/event-stream")
			for s := range more {
				io.WriteString(w, s)
				http.NewResponseController(w).Flush()
			}
		case "/slow":
			w.Header().Set("Content-Type", "text/html")
			for s := range more {
				io.WriteString(w, s)
				http.NewResponseController(w).Flush()
			}
		default:
			n, _ := io.Copy(io.Discard, r.Body)
			fmt.Fprint(w, n)
		}
	})
	front := httptest.NewServer(g.Handler())
	defer front.Close()
	ask := func(method, path string, in io.Reader) *http.Response {
		r, err := http.NewRequestWithContext(t.Context(), method, front.URL+path, in)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = siteHost
		r.Header.Set("Accept", "text/html")
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		return resp
	}

	conn, err := net.Dial("tcp", front.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET /socket HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n", siteHost)
	in := bufio.NewReader(conn)
	resp, err := http.ReadResponse(in, nil)
	if err != nil || resp.StatusCode != 101 {
		t.Fatal(resp, err)
	}
	fmt.Fprint(conn, "hello\n")
	if line, _ := in.ReadString('\n'); line != "echo hello\n" {
		t.Errorf("socket: %q", line)
	}

	for _, path := range []string{"/events", "/slow"} { // each piece arrives before the next is written
		go func() { more <- "<p>one</p>" }()
		resp := ask("GET", path, nil)
		read := func(want string) {
			t.Helper()
			b := make([]byte, len(want))
			if _, err := io.ReadFull(resp.Body, b); err != nil || string(b) != want {
				t.Errorf("%s: %q %v, want %q", path, b, err, want)
			}
		}
		if path == "/slow" {
			read("<!--head -->")
		}
		read("<p>one</p>")
		more <- "<p>two</p>"
		read("<p>two</p>")
		resp.Body.Close()
		if path == "/events" {
			close(more)
			more = make(chan string)
		}
	}
	close(more)
	if got := body(t, ask("POST", "/upload", strings.NewReader(strings.Repeat("x", 3<<20)))); got != fmt.Sprint(3<<20) {
		t.Errorf("upload: %s", got)
	}
}

func TestReports(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		g := newRig(t, "observe", page)
		g.DB = d
		mux := http.NewServeMux()
		g.PublicRoutes(mux)
		send := func(kind, content string) int {
			r := httptest.NewRequest("POST", "https://"+siteHost+"/_tillid/csp", strings.NewReader(content))
			r.Header.Set("Content-Type", kind)
			w := httptest.NewRecorder()
			mux.ServeHTTP(w, r)
			return w.Code
		}
		report := func(page, blocked string) string {
			return `{"csp-report":{"document-uri":"https://` + siteHost + page + `","blocked-uri":"` + blocked + `","violated-directive":"script-src-elem"}}`
		}
		for _, test := range []struct {
			kind, content string
			want          int
		}{
			{"application/csp-report", report("/kunde/12345/ordre?email=anna@example.dk", "https://spy.test/x?uid=7"), 204},
			{"application/csp-report", report("/kunde/67890/ordre", "https://spy.test/y"), 204},
			{"application/csp-report", report("/", "https://tag.test/t.js"), 204},
			{"application/csp-report", report("/", "inline"), 204},
			{"application/csp-report", report("/", "chrome-extension://abc/x.js"), 204},
			{"application/csp-report", report("/", "https://"+siteHost+"/a.js"), 204},
			{"application/csp-report", `{"csp-report":{"document-uri":"https://elsewhere.test/","blocked-uri":"https://spy.test/"}}`, 204},
			{"application/reports+json", `[{"type":"csp-violation","body":{"documentURL":"https://` + siteHost + `/","blockedURL":"https://api.test/","effectiveDirective":"connect-src"}},{"type":"deprecation","body":{}}]`, 204},
			{"application/csp-report", `{`, 400}, {"text/plain", `{}`, 400}, {"", `{}`, 400},
			{"application/csp-report", report("/", strings.Repeat("x", 70<<10)), 413},
		} {
			if got := send(test.kind, test.content); got != test.want {
				t.Errorf("%s %.80s: %d, want %d", test.kind, test.content, got, test.want)
			}
		}
		g.now = g.now.Add(time.Minute)
		send("application/csp-report", report("/kunde/1/ordre", "https://spy.test/z"))
		if err := g.flush(t.Context(), true); err != nil {
			t.Fatal(err)
		}
		list, err := g.Drifts(t.Context(), d)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]int{}
		for _, f := range list {
			got[strings.Join([]string{f.Kind, f.Subject, f.Detail, f.Page, f.Service}, "|")] = f.Count
		}
		want := map[string]int{
			"request|spy.test|script-src|/kunde/*/ordre|": 2, "request|spy.test|script-src|/kunde/1/ordre|": 1,
			"request|tag.test|script-src|/|counter": 1, "request|api.test|connect-src|/|": 1,
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
		if n, err := g.Undeclared(t.Context(), d); n != 2 || err != nil {
			t.Errorf("%d undeclared: %v", n, err)
		}
		w := httptest.NewRecorder()
		web.Wrap(g.Log, g.driftPage).ServeHTTP(w, httptest.NewRequest("GET", "/drift?lang=en", nil))
		doc, err := goquery.NewDocumentFromReader(w.Body)
		if err != nil || w.Code != 200 || doc.Find("table").Length() != 2 || !strings.Contains(doc.Find("table").First().Text(), "spy.test") {
			t.Errorf("page %d: %v %s", w.Code, err, doc.Text())
		}
		g.now = g.now.Add(forgetIn + time.Hour)
		if err := g.forget(t.Context()); err != nil {
			t.Fatal(err)
		}
		if list, err := g.Drifts(t.Context(), d); err != nil || len(list) != 0 {
			t.Errorf("%d findings are kept for ever: %v", len(list), err)
		}
	})
}

func TestTemplates(t *testing.T) {
	if err := templatecheck.CheckHTML(pages.Template("drift", web.Backoffice), driftPage{}); err != nil {
		t.Error(err)
	}
}

// A visitor who leaves in the middle is nobody's error, and gets no answer that
// could be taken for the page.
func TestVisitorLeaves(t *testing.T) {
	g := newRig(t, "enforce", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	ctx, cancel := context.WithCancel(t.Context())
	r := httptest.NewRequestWithContext(ctx, "GET", "http://"+siteHost+"/", nil)
	time.AfterFunc(20*time.Millisecond, cancel)
	defer func() {
		if p := recover(); p != any(http.ErrAbortHandler) {
			t.Errorf("recovered %v", p)
		}
	}()
	g.do(r)
}

func FuzzReports(f *testing.F) {
	f.Add("application/csp-report", `{"csp-report":{"document-uri":"https://www.eksempel.test/a","blocked-uri":"https://x.test"}}`)
	f.Add("application/reports+json", `[{"type":"csp-violation","body":{"blockedURL":"https://x.test"}}]`)
	g := newRig(f, "observe", page)
	f.Fuzz(func(t *testing.T, kind, content string) {
		r := httptest.NewRequest("POST", "https://"+siteHost+"/_tillid/csp", strings.NewReader(content))
		r.Header.Set("Content-Type", kind)
		reports, err := readReports(httptest.NewRecorder(), r)
		if err != nil {
			return
		}
		v := g.visit(r)
		for _, rep := range reports {
			g.heed(v, rep)
		}
		for f := range g.drift.found {
			if len(f.Page) > 210 || len(f.Subject) > 253 || strings.ContainsAny(f.Page, "@?") {
				t.Errorf("kept %+v", f)
			}
		}
		g.drift.found = nil
	})
}
