//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tillid/tillid/examples/eksempel"
	"github.com/tillid/tillid/internal/connect/desk"
	"github.com/tillid/tillid/internal/mail"
)

// estate is the folder of one house, the example's, and the outside world that
// lives on while the house's process is killed: its mail relay, its help desk
// and its website.
type estate struct {
	name string // its hosts are www.<name>.test and backoffice.<name>.test
	dir  string
	dsn  func(string) string // of its databases "data" and "keys"
	room *mail.Room
	desk *httptest.Server
	site *httptest.Server
}

// newEstate writes the folder and starts the outside world; dsn is dbtest's.
func newEstate(t testing.TB, name string, dsn func(string) string) *estate {
	t.Helper()
	e := &estate{name: name, dir: filepath.Join(t.TempDir(), name), dsn: dsn}
	e.room = &mail.Room{Now: time.Now, Keep: 1 << 20}
	if err := e.room.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.room.Close() })
	e.desk = httptest.NewServer(&desk.Server{})
	t.Cleanup(e.desk.Close)
	e.site = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "<!doctype html><title>Site</title><p>The company's own page.")
	}))
	t.Cleanup(e.site.Close)
	e.write(t)
	settings := "TILLID_SMTP_URL=" + e.room.Relay() + "\n"
	if strings.Contains(dsn("data"), "://") {
		settings += "TILLID_DATABASE_URL=" + dsn("data") + "\nTILLID_KEYS_URL=" + dsn("keys") + "\n"
	}
	if err := os.WriteFile(filepath.Join(e.dir, "settings.env"), []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	return e
}

// write puts the example into the folder, with this estate's hosts.
func (e *estate) write(t testing.TB) {
	t.Helper()
	hosts := strings.NewReplacer(
		"www.eksempel.example", "www."+e.name+".test", "backoffice.eksempel.example", "backoffice."+e.name+".test",
		"http://127.0.0.1:8081", e.site.URL, "http://processors.eksempel.example", e.desk.URL)
	err := fs.WalkDir(eksempel.Files, ".", func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := eksempel.Files.ReadFile(file)
		if file == "tillid.yaml" {
			b = []byte(hosts.Replace(string(b)))
		}
		to := filepath.Join(e.dir, file)
		return errors.Join(err, os.MkdirAll(filepath.Dir(to), 0o700), os.WriteFile(to, b, 0o600))
	})
	if err != nil {
		t.Fatal(err)
	}
}

// lite reports whether the house is on SQLite, and so all in its folder.
func (e *estate) lite() bool { return !strings.Contains(e.dsn("data"), "://") }

// database returns where a house's database is: "data" or "keys".
func (e *estate) database(which string) string {
	if !e.lite() {
		return e.dsn(which)
	}
	return filepath.Join(e.dir, map[string]string{"data": "tillid.db", "keys": "keys.db"}[which])
}

// served is an estate whose house is served.
type served struct {
	*process
	*estate
	addr string
	http *http.Client // whatever host is asked for, the house answers
}

// serve starts tillid serve on the estate.
func (e *estate) serve(t testing.TB, flags ...string) *served {
	t.Helper()
	args := append([]string{"serve", "--listen", "127.0.0.1:0", "--metrics", "", "--trusted-proxy", "127.0.0.1"}, flags...)
	p, m := start(t, `on (127\.0\.0\.1:\d+)\.`, nil, append(args, e.dir)...)
	return &served{process: p, estate: e, addr: m[1], http: clientOf(m[1])}
}

// clientOf returns a client that reaches addr under every name, follows no
// redirect and keeps no cookie.
func clientOf(addr string) *http.Client {
	var dialer net.Dialer
	return &http.Client{
		Timeout: 30 * time.Second,
		Transport: &http.Transport{
			MaxIdleConnsPerHost: 512,
			DialContext:         func(ctx context.Context, _, _ string) (net.Conn, error) { return dialer.DialContext(ctx, "tcp", addr) },
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func (e *estate) www() string    { return "http://www." + e.name + ".test" }
func (e *estate) office() string { return "http://backoffice." + e.name + ".test" }

// answer is a whole answer.
type answer struct {
	*http.Response
	body string
}

// json decodes the answer's body.
func (a answer) json(t testing.TB, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.body), v); err != nil {
		t.Errorf("answer %d is not JSON: %v\n%.300s", a.StatusCode, err, a.body)
	}
}

// send sends a request with headers in pairs of name and value.
func send(c *http.Client, method, address, body string, headers ...string) (answer, error) {
	req, err := http.NewRequest(method, address, bytes.NewReader([]byte(body)))
	if err != nil {
		return answer{}, err
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := c.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return answer{resp, string(b)}, err
}

const (
	formType = "application/x-www-form-urlencoded"
	jsonType = "application/json"
)

// must sends a request that has to be answered with want.
func (s *served) must(t testing.TB, want int, method, address, body string, headers ...string) answer {
	t.Helper()
	a, err := send(s.http, method, address, body, headers...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", method, address, err, s.log())
	}
	if a.StatusCode != want {
		t.Fatalf("%s %s: %d, want %d\n%.1500s\n%s", method, address, a.StatusCode, want, a.body, s.log())
	}
	return a
}

// health answers what /_tillid/health says.
func (s *served) health(t testing.TB) (status int, problems []string) {
	t.Helper()
	a, err := send(s.http, http.MethodGet, s.www()+"/_tillid/health", "")
	if err != nil {
		t.Fatal(err)
	}
	var h struct {
		Problems []string `json:"problems"`
	}
	a.json(t, &h)
	return a.StatusCode, h.Problems
}

// cookies returns what an answer sets, as a browser sends it back.
func (a answer) cookies() string {
	var all []string
	for _, c := range a.Cookies() {
		all = append(all, c.Name+"="+c.Value)
	}
	return strings.Join(all, "; ")
}

const testPassword = "kanarie-i-minen-42"

// signIn makes the house's first user through the command line, sets the
// password by its link, signs in, and returns the session's cookie.
func (s *served) signIn(t testing.TB) string {
	t.Helper()
	out, code := tillid(t, "user", "add", "--json", "--house", s.dir, "astrid")
	if code != 0 {
		t.Fatal(out)
	}
	var made struct{ Account, Link string }
	if err := json.Unmarshal([]byte(out), &made); err != nil {
		t.Fatal(err, out)
	}
	_, path, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(made.Link, "https://"), "http://"), "/")
	s.must(t, http.StatusSeeOther, "POST", s.office()+"/"+path, "new="+testPassword+"&again="+testPassword, "Content-Type", formType)
	in := s.must(t, http.StatusSeeOther, "POST", s.office()+"/signin",
		"number="+made.Account+"&user_name=astrid&password="+testPassword, "Content-Type", formType)
	return in.cookies()
}
