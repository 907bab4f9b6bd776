//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// startNginx runs nginx on what stands inside http {} and returns the command that
// makes it read that anew.
func startNginx(t *testing.T, dir, port, config string) (reload func(config string)) {
	t.Helper()
	file := filepath.Join(dir, "nginx.conf")
	write := func(config string) {
		if err := os.WriteFile(file, []byte(nginxMain(dir, config)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	args := []string{"-p", dir, "-c", file, "-e", filepath.Join(dir, "error.log")}
	write(config)
	runServer(t, exec.Command("nginx", args...), "127.0.0.1:"+port)
	return func(config string) {
		write(config)
		if out, err := exec.Command("nginx", append(args, "-s", "reload")...).CombinedOutput(); err != nil {
			t.Fatal(err, string(out))
		}
	}
}

// A shared cache in front, nginx, never shows one visitor what another chose, and
// keeps what may be kept.
func TestSharedCache(t *testing.T) {
	asked := 0
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		w.Header().Set("Cache-Control", "public, max-age=600")
		w.Header().Set("ETag", `"e1"`)
		if r.URL.Path == "/own.css" {
			w.Header().Set("Content-Type", "text/css")
			http.ServeContent(w, r, "", time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), strings.NewReader("body { color: black }"))
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, "<!doctype html><html lang=en><head><title>Site</title></head><body>here</body></html>")
	}))
	defer site.Close()
	e := newEstate(t, "lager", lite)
	e.change(t, e.site.URL, site.URL)
	s := e.serve(t)
	dir, port := t.TempDir(), freePort(t)
	startNginx(t, dir, port, fmt.Sprintf("  proxy_cache_path %s/cache keys_zone=c:1m;\n  server { listen 127.0.0.1:%s; location / { proxy_pass http://%s; proxy_set_header Host $host; proxy_set_header X-Forwarded-For $remote_addr; proxy_cache c; add_header X-Cache $upstream_cache_status; } }\n", dir, port, s.addr))
	c := clientOf("127.0.0.1:" + port)
	get := func(path string, headers ...string) answer {
		t.Helper()
		a, err := send(c, "GET", s.www()+path, "", headers...)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	yes, err := send(c, "POST", s.www()+"/_tillid/consent", `{"do":"all","lang":"en","layer":"banner"}`, "Content-Type", jsonType)
	if err != nil || yes.StatusCode != http.StatusOK {
		t.Fatal(yes.Response, err)
	}
	cookie := yes.cookies()
	open := func(a answer) bool {
		return strings.Contains(a.Header.Get("Content-Security-Policy"), "www.googletagmanager.com")
	}
	get("/", "Sec-Fetch-Dest", "empty") // a script fetched the page: a cache may not show that as the page
	for round := range 2 {
		if a := get("/", "Sec-Fetch-Dest", "document"); open(a) || !strings.Contains(a.body, "/_tillid/") {
			t.Errorf("round %d: without a choice: %v %s", round, a.Header, a.body)
		}
		if a := get("/", "Sec-Fetch-Dest", "document", "Cookie", cookie); !open(a) {
			t.Errorf("round %d: with a yes: %v", round, a.Header)
		}
	}
	get("/own.css", "Sec-Fetch-Dest", "style", "Cookie", cookie)
	before := asked
	a := get("/own.css", "Sec-Fetch-Dest", "style")
	if a.Header.Get("X-Cache") != "HIT" || asked != before || open(a) || a.body != "body { color: black }" {
		t.Errorf("a shared file: %v %s", a.Header, a.body)
	}
	if a := get("/own.css", "If-None-Match", a.Header.Get("ETag")); a.StatusCode != http.StatusNotModified {
		t.Errorf("asked again: %d", a.StatusCode)
	}
	if a := get("/own.css", "Range", "bytes=0-3"); a.StatusCode != http.StatusPartialContent || a.body != "body" {
		t.Errorf("a part: %d %q", a.StatusCode, a.body)
	}
}

// The one line in the server in front that takes Tillid out of the way, as
// docs/operate.md gives it, with the real servers.
func TestLineInFront(t *testing.T) {
	s := newEstate(t, "linje", lite).serve(t)
	site := strings.TrimPrefix(s.site.URL, "http://")
	ours := func(port string) bool {
		a, err := send(clientOf("127.0.0.1:"+port), "GET", s.www()+"/", "", "Sec-Fetch-Dest", "document")
		if err != nil || !strings.Contains(a.body, "The company's own page.") {
			t.Fatal(a.Response, err, a.body)
		}
		return a.Header.Get("Content-Security-Policy") != ""
	}
	t.Run("nginx", func(t *testing.T) {
		dir, port := t.TempDir(), freePort(t)
		conf := func(to string) string {
			return fmt.Sprintf("  server { listen 127.0.0.1:%s;\n    location / {\n      proxy_pass http://%s;\n      proxy_set_header Host $host;\n    }\n  }\n", port, to)
		}
		reload := startNginx(t, dir, port, conf(s.addr))
		if !ours(port) {
			t.Fatal("Tillid is not in the way to begin with")
		}
		reload(conf(site))
		eventually(t, "Tillid is out of the way", func() bool { return !ours(port) })
	})
	t.Run("caddy", func(t *testing.T) {
		dir, port, admin := t.TempDir(), freePort(t), freePort(t)
		conf := func(to string) string {
			name := filepath.Join(dir, "Caddyfile")
			text := fmt.Sprintf("{\n\tadmin 127.0.0.1:%s\n}\nhttp://:%s {\n\treverse_proxy %s\n}\n", admin, port, to)
			if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			return name
		}
		cmd := exec.Command("caddy", "run", "--adapter", "caddyfile", "--config", conf(s.addr))
		cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_CONFIG_HOME="+dir, "XDG_DATA_HOME="+dir)
		runServer(t, cmd, "127.0.0.1:"+port)
		if !ours(port) {
			t.Fatal("Tillid is not in the way to begin with")
		}
		if out, err := exec.Command("caddy", "reload", "--address", "127.0.0.1:"+admin, "--adapter", "caddyfile", "--config", conf(site)).CombinedOutput(); err != nil {
			t.Fatal(err, string(out))
		}
		eventually(t, "Tillid is out of the way", func() bool { return !ours(port) })
	})
}
