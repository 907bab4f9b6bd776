//go:build e2e

package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// Under load, three restarts keep the socket open: pages, slow pages and forms are
// answered. Measured: one connection of about five hundred was closed without an
// answer, which a server in front tries again; none is refused.
func TestRestartUnderLoad(t *testing.T) {
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			time.Sleep(300 * time.Millisecond)
		}
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, "<!doctype html><title>Site</title><p>here</p>")
	}))
	defer site.Close()
	e := newEstate(t, "genstart", lite)
	e.change(t, e.site.URL, site.URL)
	s := e.serve(t)
	var done, failed atomic.Int64
	var running sync.WaitGroup
	stop := make(chan struct{})
	load := func(keep bool, method, path, body string, want int) {
		c := clientOf(s.addr)
		c.Transport.(*http.Transport).DisableKeepAlives = !keep
		running.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				a, err := send(c, method, e.www()+path, body, "Content-Type", formType, "Sec-Fetch-Dest", "document")
				if done.Add(1); err != nil || a.StatusCode != want {
					failed.Add(1)
					t.Logf("%s %s: %v %v", method, path, a.Response, err)
					if err == nil || errors.Is(err, syscall.ECONNREFUSED) {
						t.Errorf("%s %s: %v %v", method, path, a.Response, err)
					}
				}
			}
		})
	}
	load(true, "GET", "/", "", 200)
	load(false, "GET", "/", "", 200)
	load(false, "GET", "/slow", "", 200)
	load(false, "POST", "/order", "a=1", 200)
	load(false, "GET", "/privacy", "", 200)
	for round := range 3 {
		before := done.Load()
		if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the new program serves", func() bool { return strings.Count(s.output(), "Serving 1 house") == round+2 })
		eventually(t, "requests are answered", func() bool { return done.Load() > before+20 })
	}
	close(stop)
	running.Wait()
	if failed.Load()*100 > done.Load() {
		t.Errorf("%d of %d requests failed", failed.Load(), done.Load())
	}
	t.Logf("%d requests through three restarts, %d failed", done.Load(), failed.Load())
	if status, problems := s.health(t); status != http.StatusOK {
		t.Errorf("health after restarts: %d %v", status, problems)
	}
	if s.stop(t) != 0 {
		t.Error("the restarted program does not end cleanly")
	}
}

// The bypass takes Tillid out of the site's way and back, at once, loudly, and
// leaves a trace.
func TestBypass(t *testing.T) {
	s := newEstate(t, "udenom", lite).serve(t)
	get := func() answer { return s.must(t, http.StatusOK, "GET", s.www()+"/", "", "Sec-Fetch-Dest", "document") }
	enforced := func(a answer) bool {
		return a.Header.Get("Content-Security-Policy") != "" && strings.Contains(a.body, "/_tillid/")
	}
	if !enforced(get()) {
		t.Fatal("nothing is enforced to begin with")
	}
	if out, code := tillid(t, "bypass", "on", "--for", "30m", "--house", s.dir); code != 0 {
		t.Fatal(out)
	}
	if a := get(); a.Header.Get("Content-Security-Policy") != "" || strings.Contains(a.body, "/_tillid/") || !strings.Contains(a.body, "The company's own page.") {
		t.Errorf("under bypass: %v %s", a.Header, a.body)
	}
	s.must(t, http.StatusOK, "GET", s.www()+"/privacy", "")
	eventually(t, "health says so", func() bool {
		_, problems := s.health(t)
		return strings.Contains(strings.Join(problems, " "), "bypass")
	})
	session := s.signIn(t)
	if page := s.must(t, http.StatusOK, "GET", s.office()+"/", "", "Cookie", session, "Accept-Language", "en"); !strings.Contains(page.body, "Nothing is enforced") {
		t.Error("the overview does not say so")
	}
	if out, code := tillid(t, "bypass", "off", "--house", s.dir); code != 0 {
		t.Fatal(out)
	}
	if !enforced(get()) {
		t.Error("nothing is enforced after bypass off")
	}
	page := s.must(t, http.StatusOK, "GET", s.office()+"/audit", "", "Cookie", session, "Accept-Language", "en")
	for _, act := range []string{"Bypass switched on", "Bypass switched off"} {
		if !strings.Contains(page.body, act) {
			t.Errorf("the audit trail does not say %q", act)
		}
	}
}
