package app

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tillid/tillid/internal/connect/desk"
	"github.com/tillid/tillid/internal/demosite"
	"github.com/tillid/tillid/internal/mail"
	"github.com/tillid/tillid/internal/staff"
)

// lines is a log that many goroutines write and a test reads.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// standing is a house that is served on a listener of its own, as "tillid serve"
// and the demo do it, with its outside world.
type standing struct {
	t *testing.T
	*House
	server *Server
	addr   string
	log    *lines
	room   *mail.Room
	site   *httptest.Server // behind the gateway
	http   *http.Client     // whatever host is asked for, the server answers
}

// Hosts of a standing house.
const (
	www    = "www.alfa.test"
	office = "backoffice.alfa.test"
)

// stand serves the house in dir, which folderOf or onEngines made for the name "alfa".
func stand(t *testing.T, dir string, limits Limits, change ...func(*Options)) *standing {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return standOn(t, l, dir, limits, change...)
}

// standOn is stand on a listener whose port the declaration may name.
func standOn(t *testing.T, l net.Listener, dir string, limits Limits, change ...func(*Options)) *standing {
	t.Helper()
	s := &standing{t: t, log: &lines{}, site: httptest.NewServer(demosite.Site(demosite.RealHosts()))}
	t.Cleanup(s.site.Close)
	edit(t, filepath.Join(dir, "tillid.yaml"), "http://127.0.0.1:8081", s.site.URL)
	o, room := testOptions(t, s.log)
	o.Trusted, _ = ParseProxies([]string{"127.0.0.1"})
	for _, f := range change {
		f(&o)
	}
	s.House, s.room = openHouse(t, dir, o), room
	s.server = &Server{Houses: []*House{s.House}, Log: o.Log, Metrics: NewMetrics(), Limits: limits, Extra: map[string]http.Handler{
		"mail.localhost": room.Handler(o.Log), "processors.localhost": &desk.Server{}, "outside.localhost": demosite.Outside(),
	}}
	s.addr = l.Addr().String()
	s.http = s.client()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.server.Run(ctx, l, nil) }()
	t.Cleanup(func() {
		s.http.CloseIdleConnections()
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the server ended: %v", err)
		}
	})
	return s
}

func edit(t *testing.T, file, old, new string) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err == nil {
		err = os.WriteFile(file, []byte(strings.ReplaceAll(string(b), old, new)), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (s *standing) client() *http.Client {
	var dialer net.Dialer
	return &http.Client{
		Timeout: time.Minute,
		Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "tcp", s.addr)
		}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// reply is a whole answer.
type reply struct {
	*http.Response
	body string
}

// do sends a request (a POST of form, when there is one) with headers in pairs
// of name and value, from a network of its own.
func (s *standing) do(host, path string, form url.Values, headers ...string) reply {
	s.t.Helper()
	method := http.MethodGet
	if form != nil {
		method, headers = http.MethodPost, append([]string{"Content-Type", "application/x-www-form-urlencoded"}, headers...)
	}
	return s.send(method, host, path, form.Encode(), headers...)
}

func (s *standing) send(method, host, path, body string, headers ...string) reply {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, "http://"+host+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("X-Forwarded-For", network())
	r.Header.Set("Accept-Language", "en")
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := s.http.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return reply{resp, string(b)}
}

// network makes each request come from another network, so that the limits of
// the public doors do not hide what stands behind them.
func network() string {
	a := rand.Uint32()
	return fmt.Sprintf("10.%d.%d.%d", a>>16&255, a>>8&255, a&255)
}

// signIn makes a member of staff with every permission and returns the session's cookie.
func (s *standing) signIn() string {
	s.t.Helper()
	user := staff.NewUser{UserName: DemoUser, Password: DemoPassword}
	if _, _, err := s.staff.Bootstrap(s.t.Context(), DemoStaff, "Eksempel A/S", user); err != nil {
		s.t.Fatal(err)
	}
	return s.signInAgain()
}

func (s *standing) signInAgain() string {
	s.t.Helper()
	in := s.do(office, "/signin", url.Values{"number": {DemoStaff}, "user_name": {DemoUser}, "password": {DemoPassword}})
	if in.StatusCode != http.StatusSeeOther {
		s.t.Fatalf("sign in: %d\n%s", in.StatusCode, in.body)
	}
	return cookiesOf(in)
}

func cookiesOf(r reply) string {
	var all []string
	for _, c := range r.Cookies() {
		all = append(all, c.Name+"="+c.Value)
	}
	return strings.Join(all, "; ")
}

// count returns the one number that a query gives.
func (s *standing) count(query string) (n int) {
	s.t.Helper()
	if err := s.folder.db.QueryRow(s.t.Context(), query).Scan(&n); err != nil {
		s.t.Fatalf("%s: %v", query, err)
	}
	return n
}

// kept counts what people have sent, and what was written with it.
const kept = `select (select count(*) from enquiry) + (select count(*) from choice) + (select count(*) from portal_ask) +
	(select count(*) from rights_request) + (select count(*) from erasure_case) + (select count(*) from record) +
	(select count(*) from person) + (select count(*) from identifier) + (select count(*) from declaration_version)`

// halves are what a submission of which only a part was kept would leave behind.
var halves = []string{
	`select count(*) from enquiry where id not in (select id from record) or leaf not in (select id from leaf)`,
	`select count(*) from choice where leaf not in (select id from leaf) or sealed is not null and id not in (select id from record)`,
	`select count(*) from record where person not in (select id from person)`,
	`select count(*) from person where id not in (select person from record) or id not in (select person from identifier)`,
	`select (select count(*) from leaf where kind = 'enquiry.received') - (select count(*) from enquiry)`,
	`select (select count(*) from leaf where kind like 'consent.%') - (select count(*) from choice)`,
}

// whole fails the test when half a submission was kept.
func (s *standing) whole() {
	s.t.Helper()
	for _, q := range halves {
		if n := s.count(q); n != 0 {
			s.t.Errorf("%d: %s", n, q)
		}
	}
}
