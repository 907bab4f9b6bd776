//go:build e2e

package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// scanned is a website that tillid scan looks at, in a world without an
// internet: the site answers under its name, and every other name leads to a sink.
type scanned struct {
	host  string
	sink  *sink
	flags []string

	mu     sync.Mutex
	visits map[string]int // of pages, by path
}

func newScanned(t testing.TB, host string, site http.Handler) *scanned {
	t.Helper()
	s := &scanned{host: host, sink: newSink(t), visits: map[string]int{}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.visits[r.URL.Path]++
		s.mu.Unlock()
		site.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	s.flags = s.connect(t, server.Listener.Addr().String())
	return s
}

// connect makes the flags by which a scan finds the site at an address and
// everybody else in the sink.
func (s *scanned) connect(t testing.TB, address string) []string {
	t.Helper()
	flags := []string{"--connect-to", s.host + "::" + address, "--connect-to", "::" + net.JoinHostPort("127.0.0.1", s.sink.port), "--any-certificate"}
	if path := os.Getenv("TILLID_TEST_CHROMIUM"); path != "" {
		flags = append(flags, "--chromium", path)
	}
	return flags
}

func (s *scanned) address() string { return "http://" + s.host + "/" }

// killAt runs tillid and kills it, as by kill -9, when a line of its progress matches.
func (s *scanned) killAt(t testing.TB, line string, args ...string) (output string) {
	t.Helper()
	cmd := exec.Command(binary(t), append(args, s.flags...)...)
	errs, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	at := regexp.MustCompile(line)
	for lines := bufio.NewScanner(errs); lines.Scan(); {
		output += lines.Text() + "\n"
		if at.MatchString(lines.Text()) {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			cmd.Wait()
			return output
		}
	}
	cmd.Wait()
	t.Fatalf("the scan was not at %s:\n%s", line, output)
	return ""
}

// scanReport is what the tests read of report.json.
type scanReport struct {
	Errors int
	Whole  bool
	Pages  []string
	Banner map[string]struct {
		Banner string
		Done   bool
	}
	Items []struct {
		Kind, Name, Service, Lifetime, Declared string
		Passes                                  []string
	}
	Findings []struct{ Rule, Kind, Name, Severity, Path string }
	Trouble  []struct{ Page, What string }
}

func readReport(t testing.TB, dir string) (r scanReport) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "report.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// passesOf returns in which passes something was seen.
func (r scanReport) passesOf(kind, name string) string {
	for _, it := range r.Items {
		if it.Kind == kind && it.Name == name {
			return strings.Join(it.Passes, " ")
		}
	}
	return ""
}

const allPasses = "untouched refused accepted"

// pagesSite has pages that each leave a cookie of their own and ask a host of
// their own, and a banner of a kind that the scanner knows.
func pagesSite(n int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, `<!doctype html><html lang="en"><title>Pages</title>
<script>window.Cookiebot = { submitCustomConsent(p, s, m) { document.cookie = "cb=" + (m ? "yes" : "no") + "; path=/; max-age=31536000" } }</script>`)
		if r.URL.Path == "/" {
			for i := range n {
				fmt.Fprintf(w, `<a href="/page/%c">page</a> `, 'a'+i)
			}
			return
		}
		name := filepath.Base(r.URL.Path)
		fmt.Fprintf(w, `<script>document.cookie = "left_by_%[1]s=1; path=/; max-age=864000"</script><img src="https://of-%[1]s.invalid/p.gif" alt="">`, name)
	})
}

// A scan that is killed twice, in different passes, and given again ends with
// what an undisturbed scan ends with: no page is lost or looked at twice, the
// lock file is whole at every moment, and no browser is left behind.
//
// Rows: A1, A2.
func TestScanGoesOnAfterKill(t *testing.T) {
	const n = 4
	s := newScanned(t, "www.sider.test", pagesSite(n))
	dir := t.TempDir()
	lock := filepath.Join(dir, "site.lock")
	args := func(out string) []string {
		return []string{"scan", s.address(), "--declaration", "none", "--out", filepath.Join(dir, out), "--lock", lock}
	}
	if out, code := tillid(t, append(args("calm"), s.flags...)...); code != 0 {
		t.Fatalf("status %d:\n%s", code, out)
	}
	whole, err := os.ReadFile(lock)
	if err != nil {
		t.Fatal(err)
	}
	clear(s.visits)
	s.killAt(t, `^untouched +3/`, args("killed")...)
	lockIs(t, lock, whole)
	noChromium(t, filepath.Join(dir, "killed"))
	on := s.killAt(t, `^accepted +2/`, args("killed")...)
	if strings.Count(on, "Going on where the last scan ended (untouched, page ") != 1 || strings.Count(on, "Going on") != 1 {
		t.Errorf("it does not say once that it goes on:\n%s", on)
	}
	lockIs(t, lock, whole)
	out, code := tillid(t, append(args("killed"), s.flags...)...)
	if code != 0 || strings.Contains(out, "site.lock changed") {
		t.Errorf("status %d:\n%s", code, out)
	}
	lockIs(t, lock, whole)
	calm, killed := readReport(t, filepath.Join(dir, "calm")), readReport(t, filepath.Join(dir, "killed"))
	if len(calm.Pages) != n+1 || !slices.Equal(calm.Pages, killed.Pages) || !killed.Whole {
		t.Errorf("pages: %q, after kills %q", calm.Pages, killed.Pages)
	}
	for i := range n {
		name := fmt.Sprintf("%c", 'a'+i)
		if got := killed.passesOf("cookie", "left_by_"+name) + ", " + killed.passesOf("host", "of-"+name+".invalid"); got != allPasses+", "+allPasses {
			t.Errorf("page %s was seen in %s", name, got)
		}
	}
	again := 0
	for i := range n {
		again += s.visits[fmt.Sprintf("/page/%c", 'a'+i)] - len(strings.Fields(allPasses))
	}
	if again < 0 || again > 2 { // the one that was open at each kill
		t.Errorf("pages were looked at %d times too often: %v", again, s.visits)
	}
	if _, err := os.Stat(filepath.Join(dir, "killed", ".work")); !os.IsNotExist(err) {
		t.Error("what the scan needed to go on is left behind")
	}
}

func lockIs(t *testing.T, name string, want []byte) {
	t.Helper()
	if b, err := os.ReadFile(name); err != nil || string(b) != string(want) {
		t.Errorf("the lock file: %v\n%s", err, b)
	}
}

// noChromium fails when a Chromium that uses a folder goes on running.
func noChromium(t *testing.T, folder string) {
	t.Helper()
	eventually(t, "Chromium ends with the scan", func() bool {
		names, err := filepath.Glob("/proc/[0-9]*/cmdline")
		if err != nil {
			t.Fatal(err)
		}
		return !slices.ContainsFunc(names, func(name string) bool {
			b, err := os.ReadFile(name)
			return err == nil && strings.Contains(string(b), "--user-data-dir="+folder) && !strings.Contains(string(b), "--type=")
		})
	})
}
