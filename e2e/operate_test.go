//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A server has its metrics on loopback and nowhere else, each line of its log is an
// object, and when it is told to end it answers what it has begun.
//
// Rows: E7.
func TestServeIsOperated(t *testing.T) {
	begun, finish := make(chan struct{}), make(chan struct{})
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			close(begun)
			<-finish
		}
		fmt.Fprint(w, "the site's own "+r.URL.Path)
	}))
	defer site.Close()
	e := newEstate(t, "drift", lite)
	e.change(t, e.site.URL, site.URL)
	port := freePort(t)
	s := e.serve(t, "--metrics", "127.0.0.1:"+port, "--log-level", "debug")
	get := func(c *http.Client, address string) string {
		t.Helper()
		resp, err := c.Get(address)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: %d %v", address, resp.StatusCode, err)
		}
		return string(b)
	}
	if got := get(s.http, s.www()+"/metrics"); got != "the site's own /metrics" {
		t.Errorf("on the site's address: %q", got)
	}
	const counted = `tillid_request_seconds_count{kind="site",status="200"} `
	if got := get(http.DefaultClient, "http://127.0.0.1:"+port+"/metrics"); !strings.Contains(got, counted) || !strings.Contains(got, "go_goroutines ") {
		t.Errorf("the metrics do not say %s:\n%s", counted, got)
	}
	answered := make(chan string)
	go func() {
		resp, err := s.http.Get(s.www() + "/slow")
		if err != nil {
			answered <- err.Error()
			return
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		answered <- string(b)
	}()
	<-begun
	s.cmd.Process.Signal(syscall.SIGTERM)
	eventually(t, "nobody is let in any more", func() bool {
		_, err := (&http.Client{Timeout: time.Second}).Get("http://" + s.addr + "/_tillid/health")
		return err != nil
	})
	close(finish)
	if got := <-answered; got != "the site's own /slow" {
		t.Errorf("a request that had begun: %q", got)
	}
	<-s.done
	if code := s.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	lines := 0
	for line := range strings.Lines(s.log()) {
		var entry struct {
			Time  time.Time
			Level string
			Msg   string
		}
		if err := json.Unmarshal([]byte(line), &entry); err != nil || entry.Time.IsZero() || entry.Level == "" || entry.Msg == "" {
			t.Errorf("a line of the log is not an entry: %v\n%s", err, line)
		}
		lines++
	}
	if lines == 0 {
		t.Error("nothing was logged")
	}
}
