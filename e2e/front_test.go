//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// front is a real server in front of a site, with the configuration that the
// documentation gives to copy, in which only the addresses are changed. It asks
// Tillid for headers, and Tillid stands beside the site.
type front struct {
	*served
	certificate *certificate
	outside     *outsider
	tag         string // port of the outside hosts
	port        string // of the server
	site        *httptest.Server
}

// newFront starts outside world, site, house and server.
func newFront(t *testing.T, server, mode string) *front {
	t.Helper()
	f := &front{certificate: newCertificate(t), outside: &outsider{}, port: freePort(t)}
	f.tag = f.certificate.serve(t, f.outside)
	f.site = httptest.NewServer(http.HandlerFunc(f.answer))
	t.Cleanup(f.site.Close)
	e := newEstate(t, "front", lite)
	e.change(t, "mode: enforce", "mode: "+mode, "www.googletagmanager.com", "tag.outside.test:"+f.tag)
	f.served = e.serve(t)
	f.start(t, server)
	return f
}

// answer is the site: it keeps its pages in caches, has a policy of its own, and
// calls one declared host and one that nobody declared.
func (f *front) answer(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "public, max-age=600")
	if r.URL.Path != "/" {
		h.Set("Content-Type", "text/javascript")
		fmt.Fprint(w, "window.own = true")
		return
	}
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Etag", `"1"`)
	h.Set("Content-Security-Policy", "object-src 'none'")
	h.Set("Nel", `{"report_to":"out","max_age":600}`)
	h.Set("Report-To", `{"group":"out","max_age":600,"endpoints":[{"url":"https://report.outside.test/"}]}`)
	h.Set("Link", `<https://link.outside.test:`+f.tag+`/a.js>; rel=preload; as=script`)
	if r.Header.Get("If-None-Match") == `"1"` {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	fmt.Fprintf(w, `<!doctype html><html lang="en"><head><title>Site</title><script src="/_tillid/t.js" defer></script>
<link rel="stylesheet" href="/_tillid/t.css"></head><body><h1>The company's own page</h1><script src="/own.js"></script>
<script src="https://tag.outside.test:%s/tag.js"></script><script src="https://stray.outside.test:%[1]s/stray.js"></script></body></html>`, f.tag)
}

// start runs the server on the example's configuration.
func (f *front) start(t *testing.T, server string) {
	t.Helper()
	dir := t.TempDir()
	name := map[string]string{"caddy": "Caddyfile", "nginx": "nginx.conf"}[server]
	b, err := os.ReadFile(filepath.Join("../docs/examples", name))
	if err != nil {
		t.Fatal(err)
	}
	config := f.local(string(b))
	file := filepath.Join(dir, name)
	cmd := exec.Command("caddy", "run", "--adapter", "caddyfile", "--config", file)
	if server == "nginx" {
		config = nginxMain(dir, config)
		cmd = exec.Command("nginx", "-p", dir, "-c", file, "-e", filepath.Join(dir, "error.log"))
	}
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_CONFIG_HOME="+dir, "XDG_DATA_HOME="+dir)
	runServer(t, cmd, "127.0.0.1:"+f.port)
}

// local changes the addresses of an example's configuration to the test's.
func (f *front) local(config string) string {
	return strings.NewReplacer(
		"127.0.0.1:8080", f.addr, "127.0.0.1:8081", f.site.Listener.Addr().String(),
		"\nwww.example.dk {", "\n{\n\tadmin off\n\tauto_https disable_redirects\n\tdefault_bind 127.0.0.1\n}\nhttps://www.front.test:"+f.port+" {\n\ttls "+f.certificate.cert+" "+f.certificate.key,
		"/etc/ssl/www.example.dk.pem", f.certificate.cert, "/etc/ssl/www.example.dk.key", f.certificate.key,
		"listen 443 ssl", "listen 127.0.0.1:"+f.port+" ssl", "www.example.dk", "www.front.test",
	).Replace(config)
}

// nginxMain is what stands around a file of conf.d, in a folder of its own.
func nginxMain(dir, config string) string {
	user := ""
	if os.Getuid() == 0 {
		user = "user root;\n" // its files are in a folder that nobody else may read
	}
	paths := ""
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		paths += "\t" + kind + "_temp_path " + filepath.Join(dir, kind) + ";\n"
	}
	return user + "daemon off;\nworker_processes 1;\npid " + filepath.Join(dir, "pid") + ";\nevents {}\nhttp {\n\taccess_log off;\n" + paths + config + "}\n"
}

// runServer runs cmd until the test ends, and waits until it listens.
func runServer(t *testing.T, cmd *exec.Cmd, addr string) {
	t.Helper()
	var said bytes.Buffer
	var mu sync.Mutex
	cmd.Stdout, cmd.Stderr = locked{&mu, &said}, locked{&mu, &said}
	if err := cmd.Start(); err != nil {
		t.Fatalf("%v: scripts/test e2e installs it", err)
	}
	ended := make(chan struct{})
	go func() { cmd.Wait(); close(ended) }()
	t.Cleanup(func() { cmd.Process.Signal(syscall.SIGTERM); <-ended })
	eventually(t, cmd.Path+" listens", func() bool {
		select {
		case <-ended:
			mu.Lock()
			defer mu.Unlock()
			t.Fatalf("%s ended:\n%s", cmd.Path, said.String())
		default:
		}
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
}

func (f *front) at(path string) string { return "https://www.front.test:" + f.port + path }

// client reaches the server under every name.
func (f *front) client() *http.Client {
	c := clientOf("127.0.0.1:" + f.port)
	c.Transport.(*http.Transport).TLSClientConfig = f.certificate.client()
	return c
}

func (f *front) get(t *testing.T, path string, headers ...string) answer {
	t.Helper()
	a, err := send(f.client(), http.MethodGet, "https://www.front.test"+path, "", headers...)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// policies returns the policies of an answer, in force and only reported.
func (a answer) policies() (enforced, reported string) {
	return strings.Join(a.Header.Values("Content-Security-Policy"), ", "), strings.Join(a.Header.Values("Content-Security-Policy-Report-Only"), ", ")
}

var page = []string{"Sec-Fetch-Dest", "document", "Accept", "text/html"}

// Real Caddy and real nginx, each with the configuration of the documentation,
// make a real browser load what the visitor allowed and nothing else: before a
// choice, after a yes, after its withdrawal.
//
// Rows: A1, A4, A5, E10.
func TestServersInFront(t *testing.T) {
	for _, server := range []string{"caddy", "nginx"} {
		t.Run(server, func(t *testing.T) {
			f := newFront(t, server, "enforce")
			t.Run("headers", f.headers)
			t.Run("browser", f.choices)
			t.Run("silent", f.silent)
		})
	}
}

func (f *front) headers(t *testing.T) {
	a := f.get(t, "/", page...)
	enforced, reported := a.policies()
	if !strings.Contains(enforced, "object-src 'none'") || !strings.Contains(enforced, "report-uri /_tillid/csp") || reported != "" {
		t.Errorf("the page's policies: %q, only reported: %q", enforced, reported)
	}
	if strings.Contains(enforced, "outside.test") {
		t.Error("without a choice an outside host is allowed")
	}
	if cache := a.Header.Values("Cache-Control"); !slices.Equal(cache, []string{"private, no-cache"}) {
		t.Errorf("the page may be cached: %q", cache)
	}
	for _, name := range []string{"Nel", "Report-To", "Link"} {
		if a.Header.Get(name) != "" {
			t.Errorf("the header %s passes", name)
		}
	}
	own := f.get(t, "/own.js", "Sec-Fetch-Dest", "script")
	if cache := own.Header.Values("Cache-Control"); !slices.Equal(cache, []string{"public, max-age=600"}) {
		t.Errorf("the site's own files are cached differently: %q", cache)
	}
	forged := f.get(t, "/", append(page, "Tillid-Content-Security-Policy", "script-src *", "Tillid-Cache-Control", "public")...)
	if enforced, _ := forged.policies(); strings.Contains(enforced, "script-src *") || forged.Header.Get("Cache-Control") == "public" {
		t.Errorf("a visitor's own header was taken for Tillid's: %q", enforced)
	}
	if a := f.get(t, "/privacy/choices", page...); a.StatusCode != http.StatusOK {
		t.Errorf("Tillid's own page: %d", a.StatusCode)
	}
}

// choices is a visitor who says yes and takes it back.
func (f *front) choices(t *testing.T) {
	b := newBrowser(t, look{width: 1280, height: 900, lang: "en", pin: f.certificate.pin})
	b.open(f.at("/"))
	b.do(chromedp.WaitVisible(".tillid-banner"))
	b.quiet()
	if got := f.outside.take(); len(got) > 0 {
		t.Errorf("before a choice the outside world was asked %v", got)
	}
	if !eval[bool](b, "window.own === true") {
		t.Error("the site's own script did not run")
	}
	b.press(".tillid-banner .tillid-button:last-child")
	b.quiet()
	if got, want := f.outside.take(), []string{"tag.outside.test/tag.js"}; !slices.Equal(got, want) {
		t.Errorf("after a yes to everything declared the outside world was asked %v, want %v", got, want)
	}
	b.press(".tillid-entry .tillid-link")
	b.quiet()
	b.open(f.at("/"))
	b.quiet()
	if got := f.outside.take(); len(got) > 0 {
		t.Errorf("after withdrawal the outside world was asked %v", got)
	}
	b.do(chromedp.NavigateBack())
	b.quiet()
	if got := f.outside.take(); len(got) > 0 {
		t.Errorf("going back after withdrawal, the outside world was asked %v", got)
	}
	b.noErrors()
}

// silent is what happens when Tillid is slow, answers with errors, or is gone: the
// site works, and nothing outside is loaded.
func (f *front) silent(t *testing.T) {
	f.kill()
	check := func(what string) {
		t.Helper()
		began := time.Now()
		a := f.get(t, "/", page...)
		enforced, _ := a.policies()
		if a.StatusCode != http.StatusOK || !strings.Contains(a.body, "own page") {
			t.Errorf("%s: the site answers %d: %.200s", what, a.StatusCode, a.body)
		}
		if !strings.Contains(enforced, "default-src 'self' 'unsafe-inline'") || !strings.Contains(enforced, "object-src 'none'") {
			t.Errorf("%s: the policy is %q", what, enforced)
		}
		if cache := a.Header.Values("Cache-Control"); !slices.Equal(cache, []string{"private, no-cache"}) {
			t.Errorf("%s: the page may be cached: %q", what, cache)
		}
		if took := time.Since(began); took > 8*time.Second {
			t.Errorf("%s: the page took %s: the limit of half a second does not hold", what, took)
		}
	}
	check("gone")
	for what, behave := range map[string]http.HandlerFunc{
		"slow":   func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"broken": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
		"not this house": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Tillid-Content-Security-Policy", "script-src *")
			w.WriteHeader(http.StatusMisdirectedRequest)
		},
	} {
		func() {
			var lc net.ListenConfig
			l, err := lc.Listen(context.Background(), "tcp", f.addr)
			if err != nil {
				t.Fatal(err)
			}
			s := &http.Server{Handler: behave}
			defer s.Close()
			go s.Serve(l)
			check(what)
		}()
	}
	b := newBrowser(t, look{width: 1280, height: 900, lang: "en", pin: f.certificate.pin})
	b.open(f.at("/"))
	b.quiet()
	if got := f.outside.take(); len(got) > 0 {
		t.Errorf("while Tillid is away the outside world was asked %v", got)
	}
	if !eval[bool](b, "window.own === true") {
		t.Error("the site's own script did not run")
	}
}

// In observe mode the same configurations break nothing and report everything.
func TestServersInFrontObserve(t *testing.T) {
	for _, server := range []string{"caddy", "nginx"} {
		t.Run(server, func(t *testing.T) {
			f := newFront(t, server, "observe")
			enforced, reported := f.get(t, "/", page...).policies()
			if enforced != "object-src 'none'" || !strings.Contains(reported, "report-uri /_tillid/csp") {
				t.Errorf("the page's policies: %q, only reported: %q", enforced, reported)
			}
			b := newBrowser(t, look{width: 1280, height: 900, lang: "en", pin: f.certificate.pin})
			b.open(f.at("/"))
			b.quiet()
			if got := f.outside.take(); !slices.Contains(got, "stray.outside.test/stray.js") || !slices.Contains(got, "tag.outside.test/tag.js") || !slices.Contains(got, "custom.outside.test/c.js") {
				t.Errorf("observing stopped something: the outside world was asked %v", got)
			}
			session := f.signIn(t)
			eventually(t, "what would be stopped is listed", func() bool {
				drift := f.must(t, http.StatusOK, "GET", f.office()+"/drift", "", "Cookie", session).body
				return strings.Contains(drift, "stray.outside.test") && strings.Contains(drift, "tag.outside.test")
			})
		})
	}
}
