//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tillid/tillid/internal/demosite"
)

// The demo company's site behind Tillid: the scanner presses the banner's own
// buttons (the log has the two answers, given on the banner), finds nothing from
// outside before a yes and after a no, and after a yes what is declared.
//
// Rows: A1, A2.
func TestScanAnswersTillid(t *testing.T) {
	site := httptest.NewServer(demosite.Site(demosite.RealHosts()))
	t.Cleanup(site.Close)
	e := newEstate(t, "egen", lite)
	e.change(t, e.site.URL, site.URL)
	house := e.serve(t)
	s := &scanned{host: "www.egen.test", sink: newSink(t)}
	s.sink.play = demosite.Outside()
	dir := t.TempDir()
	args := append([]string{"scan", "https://www.egen.test/", "--declaration", filepath.Join(e.dir, "tillid.yaml"), "--out", dir, "--lock", filepath.Join(dir, "lock"), "--pages", "3"},
		s.connect(t, "127.0.0.1:"+secure(t, house.addr))...)
	out, code := tillid(t, args...)
	if code != 0 {
		t.Errorf("status %d:\n%s", code, out)
	}
	r := readReport(t, dir)
	for _, pass := range []string{"refused", "accepted"} {
		if b := r.Banner[pass]; b.Banner != "Tillid" || !b.Done {
			t.Errorf("%s: the banner %+v", pass, b)
		}
	}
	for name, want := range map[string]string{"_ga": "accepted", "_fbp": "accepted", "li_fat_id": "accepted"} {
		if got := r.passesOf("cookie", name); got != want {
			t.Errorf("%s was seen in %q, want %q\n%s", name, got, want, out)
		}
	}
	for _, it := range r.Items {
		if it.Kind == "host" && strings.Join(it.Passes, " ") != "accepted" {
			t.Errorf("%s was asked in %v", it.Name, it.Passes)
		}
	}
	session := house.signIn(t)
	log := house.must(t, http.StatusOK, "GET", house.office()+"/log", "", "Cookie", session, "Accept-Language", "en").body
	if no, yes := strings.Count(log, "consent.refused"), strings.Count(log, "consent.given"); no != 1 || yes != 1 {
		t.Errorf("the log has %d refusals and %d consents of the two buttons", no, yes)
	}
}

// homeMade is a site with a banner that nobody else has. words are its buttons'.
func homeMade(no, yes string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		if r.URL.Path != "/" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		fmt.Fprintf(w, `<!doctype html><html lang="da"><title>Hjemmelavet</title><h1>Butik</h1><a href="/">Ja</a>
<div id="box"><p>Vi bruger cookies til statistik.</p><div><span role="button" onclick="answer('no')">%s</span> <button onclick="answer('yes')">%s</button></div></div>
<script>
const ran = document.cookie.includes("said=yes");
if (document.cookie.includes("said=")) document.getElementById("box").remove();
if (ran) { document.cookie = "_ga=GA1.1.1; path=/; max-age=34128000"; new Image().src = "https://www.google-analytics.com/g/collect" }
function answer(what) { document.cookie = "said=" + what + "; path=/; max-age=31536000"; location.reload() }
</script>`, no, yes)
	})
}

// A banner of no known kind is answered by what its buttons say; one that says
// nothing that can be understood is left alone, and the report says so.
func TestScanAnswersStrangers(t *testing.T) {
	scan := func(no, yes string) (scanReport, string) {
		s := newScanned(t, "www.hjemmelavet.test", homeMade(no, yes))
		dir := t.TempDir()
		out, code := tillid(t, append([]string{"scan", s.address(), "--declaration", "none", "--out", dir, "--lock", filepath.Join(dir, "lock")}, s.flags...)...)
		if code != 0 {
			t.Fatalf("status %d:\n%s", code, out)
		}
		return readReport(t, dir), out
	}
	r, out := scan(" Kun  nødvendige ", "Tillad alle cookies")
	if b := r.Banner["refused"]; b.Banner != "by its words" || !b.Done || !r.Banner["accepted"].Done {
		t.Errorf("the banner: %+v\n%s", r.Banner, out)
	}
	if r.passesOf("cookie", "said") != "refused accepted" || r.passesOf("cookie", "_ga") != "accepted" || r.passesOf("host", "www.google-analytics.com") != "accepted" {
		t.Errorf("its answers: %+v", r.Items)
	}
	r, out = scan("×", "→")
	if r.Banner["refused"].Done || r.Banner["accepted"].Done || r.passesOf("cookie", "said") != "" || !strings.Contains(out, "SC-07") {
		t.Errorf("the banner without words: %+v\n%s", r.Banner, out)
	}
}

// untold is a site that uses well-known services, a vendor that nobody knows,
// and storage of its own, and tells nobody. It asks for nothing.
func untold() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "PHPSESSID", Value: "secret-value", Path: "/", HttpOnly: true})
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		io.WriteString(w, `<!doctype html><html lang="da"><title>Untold</title><a href="/kontakt">Kontakt</a>
<script src="https://www.googletagmanager.com/gtag/js?id=G-1"></script>
<script src="https://connect.facebook.net/en_US/fbevents.js"></script>
<script src="https://snap.licdn.com/li.lms-analytics/insight.min.js"></script>
<script src="https://cdn.strange-vendor.test/spy.js"></script>
<iframe src="https://www.youtube-nocookie.com/embed/x" title="Film"></iframe>
<script>localStorage.setItem("basket", "1"); document.cookie = "strange_id=1; path=/; max-age=864000"</script>`)
	})
}

// A first declaration from a site that tells nobody: it names the services that
// were found, and lint has nothing against it but what only the company knows.
//
// Rows: A1, A2.
func TestInitFromSite(t *testing.T) {
	s := newScanned(t, "www.ufortalt.test", untold())
	s.sink.play = demosite.Outside()
	dir := filepath.Join(t.TempDir(), "house")
	args := append([]string{"init", "--dir", dir, "--company", "Ufortalt ApS", "--email", "kontakt@ufortalt.test", "--from", s.address(), "--pages", "3"}, s.flags...)
	out, code := tillid(t, args...)
	if code != 0 {
		t.Fatalf("status %d:\n%s", code, out)
	}
	src, err := os.ReadFile(filepath.Join(dir, "tillid.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"Google Analytics", "Meta", "LinkedIn", "YouTube", "cdn_strange_vendor_test"} {
		if !strings.Contains(out, name) {
			t.Errorf("it does not say that it found %s:\n%s", name, out)
		}
	}
	for _, name := range []string{"_ga:", "_fbp:", "li_fat_id:", "PHPSESSID:", "basket:", "strange_id:", "cdn.strange-vendor.test", "www.ufortalt.test"} {
		if !strings.Contains(string(src), name) {
			t.Errorf("the declaration does not name %s", name)
		}
	}
	onlyWhatTheCompanyKnows(t, filepath.Join(dir, "tillid.yaml"), strings.Split(string(src), "\n"))
	if strings.Contains(string(src), "secret-") {
		t.Error("the declaration holds a value")
	}
	if _, err := os.Stat(filepath.Join(dir, ".scan")); !os.IsNotExist(err) {
		t.Error("what the scan needed to go on is left behind")
	}
	// The site holds what its declaration says by now, but for what asks for nothing.
	again := t.TempDir()
	out, _ = tillid(t, append([]string{"scan", s.address(), "--declaration", filepath.Join(dir, "tillid.yaml"), "--out", again, "--lock", filepath.Join(again, "lock"), "--pages", "3"}, s.flags...)...)
	for _, f := range readReport(t, again).Findings {
		if f.Rule == "SC-01" || f.Rule == "SC-02" || f.Rule == "SC-03" || f.Rule == "SC-05" || f.Rule == "SC-08" {
			t.Errorf("after init, the scan says %+v\n%s", f, out)
		}
	}
}

// onlyWhatTheCompanyKnows fails when lint cannot read a declaration, or finds an
// error on a line that is not marked as the company's to fill in.
func onlyWhatTheCompanyKnows(t *testing.T, name string, lines []string) {
	t.Helper()
	out, err := exec.Command(binary(t), "lint", "--format", "json", name).Output()
	if e, ok := err.(*exec.ExitError); ok && e.ExitCode() != 1 {
		t.Fatalf("lint cannot read it: %s", e.Stderr)
	}
	var report struct {
		Findings []struct {
			Rule, Severity string
			Line           int
		}
	}
	if err := json.Unmarshal(out, &report); err != nil || len(report.Findings) == 0 {
		t.Fatalf("lint: %v\n%.2000s", err, out)
	}
	for _, f := range report.Findings {
		if f.Severity == "E" && (f.Line < 1 || f.Line > len(lines) || !strings.Contains(lines[f.Line-1], "# CHANGE")) {
			t.Errorf("lint has an error against what the scan wrote: %+v", f)
		}
	}
}
