//go:build e2e

package app

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tillid/tillid/internal/scan"
)

// A served house scans its site in the night that its clock says it is, with a
// real Chromium, through its own gateway: what the site does and nobody declared
// stands in the Backoffice, and on the overview.
//
// Rows: A2.
func TestNightlyScan(t *testing.T) {
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/robots.txt" {
			io.WriteString(w, "User-agent: *\nDisallow: /privacy\n") // one page is enough
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		io.WriteString(w, `<!doctype html><html lang="da"><title>Site</title><body><h1>Site</h1>
<script>localStorage.setItem("basket_of_nobody", "1"); document.cookie = "sneaky=1; max-age=864000"</script></body></html>`)
	}))
	t.Cleanup(site.Close)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	dir := folderOf(t, "alfa")
	edit(t, filepath.Join(dir, "tillid.yaml"), "www.alfa.test", "www.alfa.localhost:"+port)
	edit(t, filepath.Join(dir, "tillid.yaml"), "http://127.0.0.1:8081", site.URL)
	night := time.Date(2026, 11, 26, 3, 0, 0, 0, time.UTC) // four in the morning in Copenhagen
	shift := time.Until(night)
	s := standOn(t, l, dir, Limits{}, func(o *Options) {
		o.Now = func() time.Time { return time.Now().Add(shift) }
		if o.Chromium, err = scan.FindChromium(os.Getenv("TILLID_TEST_CHROMIUM")); err != nil {
			t.Fatal(err)
		}
	})
	for deadline := time.Now().Add(6 * time.Minute); s.count("select count(*) from scan_run") == 0; {
		if time.Now().After(deadline) {
			t.Fatalf("nothing was scanned:\n%s", s.log.String())
		}
		time.Sleep(200 * time.Millisecond)
	}
	session := s.signIn()
	page := s.do(office, "/scan", nil, "Cookie", session).body
	for _, want := range []string{"basket_of_nobody", "sneaky", "Last scan of", "/scan/main/tillid.patch"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q:\n%s", want, page)
		}
	}
	if n, err := s.scan.Drifts(t.Context()); err != nil || n < 2 {
		t.Errorf("the overview counts %d, %v", n, err)
	}
	if _, err := os.Stat(filepath.Join(dir, ".scan", "main")); !os.IsNotExist(err) {
		t.Error("what the scan needed to go on is left behind")
	}
}

// Without Chromium a house is served as ever; the page says what is missing,
// and asking for a scan changes nothing.
func TestNoChromium(t *testing.T) {
	s := stand(t, folderOf(t, "alfa"), Limits{})
	session := s.signIn()
	asked := s.do(office, "/scan", map[string][]string{}, "Cookie", session)
	page := s.do(office, "/scan", nil, "Cookie", session)
	if asked.StatusCode != http.StatusSeeOther || !strings.Contains(page.body, "No Chromium was found") || strings.Contains(page.body, "Scan now") {
		t.Errorf("%d, then %d:\n%s", asked.StatusCode, page.StatusCode, page.body)
	}
	if n := s.count("select count(*) from job where kind = 'scan.site'"); n != 0 {
		t.Errorf("%d scans wait for a Chromium that is not there", n)
	}
}
