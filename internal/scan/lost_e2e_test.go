//go:build e2e

package scan_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/tillid/tillid/internal/scan"
)

// chromiums returns the processes of Chromium that use a folder: the program
// itself, or its parts for pages.
func chromiums(t *testing.T, folder string, renderers bool) (pids []int) {
	t.Helper()
	names, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil || !strings.Contains(string(b), folder) {
			continue // it has ended since, or is somebody else's
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(name)))
		if err == nil && strings.Contains(string(b), "--type=renderer") == renderers && strings.Contains(string(b), "--type=") == renderers {
			pids = append(pids, pid)
		}
	}
	return pids
}

// A page that breaks the browser down, and a browser that is killed in the
// middle, cost the pages concerned at most: the rest is looked at, and what was
// left out is said.
func TestChromiumEnds(t *testing.T) {
	var o scan.Options
	killed := 0
	mux := http.NewServeMux()
	for _, name := range []string{"a", "b", "c"} {
		mux.HandleFunc("GET /"+name, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprintf(w, `<!doctype html><title>%[1]s</title><script>document.cookie = "at_%[1]s=1; max-age=86400"</script>`, name)
		})
	}
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, `<!doctype html><title>start</title><a href="/a">a</a> <a href="/b">b</a> <a href="/c">c</a> <a href="/b-kill">k</a> <a href="/b-once">o</a> <a href="/b-snap">s</a>`)
	})
	kill := func(pids []int) {
		for _, pid := range pids {
			syscall.Kill(pid, syscall.SIGKILL)
		}
	}
	mux.HandleFunc("GET /b-kill", func(http.ResponseWriter, *http.Request) { killed++; kill(chromiums(t, o.Work, false)) })
	once := false
	mux.HandleFunc("GET /b-once", func(w http.ResponseWriter, _ *http.Request) {
		if !once {
			once = true
			kill(chromiums(t, o.Work, false))
			return
		}
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, `<!doctype html><title>once</title><script>document.cookie = "at_once=1; max-age=86400"</script>`)
	})
	mux.HandleFunc("GET /b-snap", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, `<!doctype html><title>snap</title><script>document.cookie = "at_snap=1; max-age=86400"; fetch("/now")</script>`)
	})
	mux.HandleFunc("GET /now", func(http.ResponseWriter, *http.Request) { kill(chromiums(t, o.Work, true)) })
	w := newWorld(t, "www.broken.test", mux, outside())
	o = w.options(nil)
	r := run(t, o)
	for _, name := range []string{"at_a", "at_b", "at_c", "at_once", "at_snap"} {
		if item(r, scan.Cookie, name) == nil {
			t.Errorf("%s was not seen", name)
		}
	}
	want := []scan.Trouble{{Page: "/b-kill", Pass: scan.Untouched, What: "crashed"}, {Page: "/b-snap", Pass: scan.Untouched, What: "crashed"}}
	if !slices.Equal(r.Trouble, want) {
		t.Errorf("troubles: %v, want %v", r.Trouble, want)
	}
	if killed != 2 || !r.Whole {
		t.Errorf("the page that kills was tried %d times; whole: %t", killed, r.Whole)
	}
	if left := chromiums(t, o.Work, false); len(left) > 0 {
		t.Errorf("Chromium is left behind: %v", left)
	}
}

// A site that does not answer is an error, and is asked anew the next time.
func TestSiteIsBack(t *testing.T) {
	up := false
	site := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if !up {
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, `<!doctype html><title>back</title><script>document.cookie = "back=1"</script>`)
	})
	w := newWorld(t, "www.down.test", site, outside())
	o := w.options(nil)
	if _, err := scan.Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), "does not answer") {
		t.Fatalf("a site that does not answer: %v", err)
	}
	up = true
	if r := run(t, o); item(r, scan.Cookie, "back") == nil {
		t.Error("the site is back, and nothing is seen of it")
	}
}
