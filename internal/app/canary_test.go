package app

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/tillid/tillid/internal/db"
)

// canary is a planted person. Each word is in no text of the program's own.
type canary struct{ name, email, phone, message string }

var planted = canary{"Kanariefugl Grubesen", "kanariefugl.grubesen@minegang.example.dk", "+4521436587", "Gruegas i minegangen"}

// words are what must be found nowhere, in the forms in which it could be there.
func (c canary) words() []string {
	all := []string{"Kanariefugl", "kanariefugl", "Grubesen", "grubesen", "minegang", "21436587", "21 43 65 87", "Gruegas"}
	for _, w := range []string{c.email, c.message} {
		all = append(all, url.QueryEscape(w), url.PathEscape(w))
	}
	return all
}

func (c canary) in(s string) string {
	for _, w := range c.words() {
		if strings.Contains(s, w) {
			return w
		}
	}
	return ""
}

// A person who is planted on every way in, the right ones and the wrong ones, is
// afterwards in no log, metric, address, job, error page of somebody else, nor
// unsealed in a database or any file of the house.
//
// Rows: E7.
func TestCanary(t *testing.T) {
	onEngines(t, "alfa", func(t *testing.T, dir string) {
		s := stand(t, dir, Limits{})
		c := &singing{standing: s, who: planted}
		c.desk()
		session := s.signIn()
		c.forms()
		c.doors()
		c.headers()
		c.answers(session)
		c.upstreamDown()
		c.relayDown()
		c.others(session)
		c.scan()
	})
}

// singing sends the canary and looks at each answer's addresses.
type singing struct {
	*standing
	who canary
}

// post sends a form, and fails when the canary is in an address or a cookie of the answer.
func (c *singing) post(host, path string, form url.Values, headers ...string) reply {
	c.t.Helper()
	return c.clean(c.do(host, path, form, headers...), host+path)
}

func (c *singing) clean(a reply, what string) reply {
	c.t.Helper()
	for name, values := range a.Header {
		if w := c.who.in(strings.Join(values, "\n")); w != "" {
			c.t.Errorf("%.60s: the header %s of the answer holds %q", what, name, w)
		}
	}
	if traces.MatchString(a.body) {
		c.t.Errorf("%.60s: the answer shows the program's inside", what)
	}
	return a
}

func (c *singing) must(want int, a reply) reply {
	c.t.Helper()
	if a.StatusCode != want {
		c.t.Fatalf("answered %d, want %d\n%.800s", a.StatusCode, want, a.body)
	}
	return a
}

func (c *singing) form() url.Values {
	return url.Values{"name": {c.who.name}, "email": {c.who.email}, "phone": {c.who.phone}, "message": {c.who.message}}
}

// forms goes through the doors of the forms: taken, taken again, wrong in every
// way, from a page, from a program, and one that there is not.
func (c *singing) forms() {
	const contact = "/_tillid/forms/contact"
	c.must(303, c.post(www, contact, c.form()))
	c.must(303, c.post(www, contact, c.form()))
	for _, wrong := range []func(url.Values){
		func(f url.Values) { f.Set("email", c.who.name) },
		func(f url.Values) { f.Set("skostoerrelse", c.who.phone) },
		func(f url.Values) { f.Set(c.who.name, c.who.email) },
		func(f url.Values) { f.Del("message") },
		func(f url.Values) { f.Set("message", strings.Repeat(c.who.message, 1000)) },
		func(f url.Values) { f.Add("email", c.who.email) },
		func(f url.Values) { f.Set("phone", c.who.message+"\x00") },
		func(f url.Values) { f.Set("_token", c.who.email); f.Set("_lang", c.who.name); f.Del("name") },
	} {
		f := c.form()
		wrong(f)
		if a := c.post(www, contact, f); a.StatusCode < 400 || a.StatusCode > 499 {
			c.t.Errorf("a wrong form is answered %d", a.StatusCode)
		}
	}
	body, err := json.Marshal(map[string]string{"name": c.who.name, "email": "2" + c.who.email, "phone": c.who.phone, "message": c.who.message})
	if err != nil {
		c.t.Fatal(err)
	}
	for _, sent := range []string{string(body), string(body[:40]), strings.Replace(string(body), "phone", c.who.name, 1), `{"name":{"` + c.who.email + `":1}}`} {
		c.clean(c.send("POST", www, contact, sent, "Content-Type", "application/json", "Idempotency-Key", c.who.email), contact)
	}
	c.post(www, "/_tillid/forms/callback", url.Values{"name": {c.who.name}, "phone": {c.who.phone}})
	c.post(www, "/_tillid/forms/"+url.PathEscape(c.who.email), c.form())
	c.clean(c.send("POST", www, contact, c.form().Encode(), "Content-Type", "text/"+"kanariefugl"), contact)
}

// doors tries the other ways in: portal, sign-in, choices, reports, processors.
func (c *singing) doors() {
	c.must(303, c.post(www, "/privacy/me", url.Values{"email": {c.who.email}}))
	c.post(www, "/privacy/me", url.Values{"email": {c.who.name}})
	c.post(www, "/privacy/me", url.Values{"email": {c.who.email}, c.who.name: {"1"}})
	for _, f := range []url.Values{
		{"number": {c.who.phone}, "user_name": {c.who.email}, "password": {c.who.message}},
		{"number": {DemoStaff}, "user_name": {c.who.name}, "password": {c.who.message}},
		{"number": {DemoStaff}, "user_name": {DemoUser}, "password": {c.who.message}, "next": {"/" + c.who.email}},
	} {
		for range 3 {
			c.post(office, "/signin", f)
		}
	}
	c.post(www, "/_tillid/consent", url.Values{"do": {c.who.name}, "service": {c.who.email}, "return": {"/?q=" + c.who.email}})
	c.clean(c.send("POST", www, "/_tillid/consent", `{"do":"all","lang":"`+c.who.name+`","layer":"`+c.who.email+`","services":["`+c.who.phone+`"]}`, "Content-Type", "application/json"), "consent")
	report := fmt.Sprintf(`{"csp-report":{"document-uri":"http://%s/?q=%s","blocked-uri":"https://tag.test/%s?e=%[2]s","effective-directive":"script-src"}}`, www, c.who.email, "Grubesen")
	c.clean(c.send("POST", www, "/_tillid/csp", report, "Content-Type", "application/csp-report"), "report")
	c.clean(c.send("POST", "processors.localhost", "/tickets", `{"reference":"`+c.who.email+`","subject":`, "Content-Type", "application/json"), "processor")
}

// headers puts the canary where programs log without thinking: addresses, referers,
// names of browsers, cookies, hosts, methods.
func (c *singing) headers() {
	e, n := url.QueryEscape(c.who.email), url.PathEscape(c.who.name)
	for _, host := range []string{www, office, "mail.localhost", "processors.localhost", "nobody.test"} {
		for _, path := range []string{"/", "/kontakt", "/privacy", "/privacy/me", "/privacy/me/open/" + e, "/privacy/thanks/" + n, "/privacy/certificate/" + e, "/_tillid/tile/" + n,
			"/_tillid/forms/" + e, "/signin", "/enquiries/" + e, "/users/" + n, "/mail/" + n, "/" + e, "/_tillid/health"} {
			a := c.do(host, path+"?email="+e+"&next=/x&lang=en", nil, "User-Agent", c.who.name, "Referer", "http://"+host+"/?e="+e, "Cookie", "tillid_choice="+e+"; session="+e,
				"X-Forwarded-For", "10.9.8.7, "+c.who.email, "Accept-Language", "en;x="+e, "Origin", "http://"+host, "X-Request-Id", c.who.email)
			if a.StatusCode >= 500 {
				c.t.Errorf("%s%.60s: %d", host, path, a.StatusCode)
			}
		}
	}
	for _, raw := range []string{
		"GET /" + e + " HTTP/1.1\r\nHost: " + c.who.email + "\r\nConnection: close\r\n\r\n",
		"KANARIEFUGL/kanariefugl / HTTP/1.1\r\nHost: " + www + "\r\nConnection: close\r\n\r\n",
		"GET /%zz" + e + " HTTP/1.1\r\nHost: " + www + "\r\nX-" + e + " : 1\r\nConnection: close\r\n\r\n",
	} {
		if _, err := knock(c.addr, attack{bytes: []byte(raw)}); err != nil {
			c.t.Error(err)
		}
	}
}

// answers lets staff answer by mail, note, and search for the person.
func (c *singing) answers(session string) {
	list := c.must(200, c.do(office, "/enquiries", nil, "Cookie", session))
	id := regexp.MustCompile(`href="(/enquiries/[0-9A-Za-z]+)"`).FindStringSubmatch(list.body)
	if id == nil {
		c.t.Fatalf("no enquiry is listed:\n%.2000s", list.body)
	}
	if a := c.must(200, c.do(office, id[1], nil, "Cookie", session)); !strings.Contains(a.body, "Gruegas") && !strings.Contains(a.body, "Grubesen") {
		c.t.Error("staff do not see the enquiry: this test shows nothing")
	}
	for path, form := range map[string]url.Values{
		"/answer": {"text": {"Kære " + c.who.name + ". " + c.who.message}}, "/note": {"text": {c.who.phone}},
		"/" + url.PathEscape(c.who.email): {"text": {c.who.name}},
	} {
		c.post(office, id[1]+path, form, "Cookie", session)
	}
	c.do(office, "/enquiries?q="+url.QueryEscape(c.who.email)+"&state="+url.QueryEscape(c.who.name), nil, "Cookie", session)
	c.post(office, "/users", url.Values{"user_name": {c.who.email}, "name": {c.who.name}, "email": {c.who.email}, "role": {c.who.phone}}, "Cookie", session)
}

// upstreamDown asks the gateway for pages of a site that breaks.
func (c *singing) upstreamDown() {
	c.site.CloseClientConnections()
	c.site.Close()
	a := c.do(www, "/soeg/"+url.PathEscape(c.who.name)+"?q="+url.QueryEscape(c.who.email), nil, "Referer", "http://"+www+"/?q="+c.who.email)
	if a.StatusCode != http.StatusServiceUnavailable && a.StatusCode != http.StatusBadGateway {
		c.t.Errorf("a site that is down: %d", a.StatusCode)
	}
	c.post(www, "/kurv", c.form())
}

// relayDown lets the relay refuse everybody, and break.
func (c *singing) relayDown() {
	soon(c.t, "the mails are sent", func() bool {
		return c.count(`select count(*) from job where kind like '%mail%' and state = 'ready' and attempt = 0`) == 0
	})
	c.room.Close()
	f := c.form()
	f.Set("email", "3"+c.who.email)
	c.must(303, c.post(www, "/_tillid/forms/contact", f))
	c.must(303, c.post(www, "/privacy/me", url.Values{"email": {c.who.email}}))
	soon(c.t, "a mail fails", func() bool { return c.count(`select count(*) from job where last_error is not null`) > 0 })
}

// others looks at what other people see: pages, errors, metrics, the log's public side.
func (c *singing) others(session string) {
	for _, path := range []string{"/privacy", "/privacy/form/contact", "/privacy/me", "/privacy/choices", "/nothing-here", "/privacy/nothing", "/privacy/me/data", "/_tillid/health", "/_tillid/checkpoint", "/_tillid/tile/entries/000.p/1"} {
		if w := c.who.in(c.do(www, path, nil).body); w != "" {
			c.t.Errorf("%s shows %q to somebody else", path, w)
		}
	}
	for _, path := range []string{"/log", "/drift", "/audit", "/", "/versions"} {
		if w := c.who.in(c.do(office, path, nil, "Cookie", session).body); w != "" {
			c.t.Errorf("%s of the Backoffice shows %q", path, w)
		}
	}
	rec := httptest.NewRecorder()
	c.server.Metrics.Handler().ServeHTTP(rec, httptest.NewRequestWithContext(c.t.Context(), "GET", "/metrics", nil))
	if w := c.who.in(rec.Body.String()); w != "" || !strings.Contains(rec.Body.String(), "tillid_request_seconds") {
		c.t.Errorf("the metrics hold %q, or nothing at all", w)
	}
	if w := c.who.in(c.log.String()); w != "" {
		for line := range strings.Lines(c.log.String()) {
			if c.who.in(line) != "" {
				c.t.Errorf("the log holds %q: %.600s", w, line)
			}
		}
	}
	if !strings.Contains(c.log.String(), "level=") {
		c.t.Error("nothing was logged: this test shows nothing")
	}
}

// desk makes sure that the scan would find somebody: one row is written in the
// clear on purpose, found, and taken out again.
func (c *singing) desk() {
	for _, d := range c.bases() {
		if _, err := d.Exec(c.t.Context(), `create table plain (words text)`); err != nil {
			c.t.Fatal(err)
		}
		if _, err := d.Exec(c.t.Context(), `insert into plain (words) values ($1)`, c.who.email); err != nil {
			c.t.Fatal(err)
		}
	}
	if found := c.look(); len(found) < 2 {
		c.t.Fatalf("the scan finds %v of two rows in the clear", found)
	}
	for _, d := range c.bases() {
		if _, err := d.Exec(c.t.Context(), `drop table plain`); err != nil {
			c.t.Fatal(err)
		}
		if err := d.Checkpoint(c.t.Context()); err != nil {
			c.t.Fatal(err)
		}
	}
	if found := c.look(); len(found) != 0 {
		c.t.Fatalf("before anybody was there: %v", found)
	}
}

// scan looks at every row of every table, and at every file of the house.
func (c *singing) scan() {
	if n := c.count(`select count(*) from enquiry`); n < 3 {
		c.t.Errorf("only %d enquiries are stored: this test shows little", n)
	}
	for _, found := range c.look() {
		c.t.Error("in the clear: " + found)
	}
}

func (c *singing) look() (found []string) {
	c.t.Helper()
	for _, d := range c.bases() {
		found = append(found, c.lookRows(d)...)
	}
	err := filepath.WalkDir(c.Dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(name)
		for _, w := range c.who.words() {
			if bytes.Contains(b, []byte(w)) {
				found = append(found, filepath.Base(name)+" holds "+w)
			}
		}
		return err
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return found
}

func (c *singing) bases() []*db.DB { return []*db.DB{c.folder.db, c.folder.keys.DB} }

// lookRows reads all rows of all tables as text and as bytes.
func (c *singing) lookRows(d *db.DB) (found []string) {
	c.t.Helper()
	tables := `select name from sqlite_master where type = 'table' and name not like 'sqlite_%'`
	if !d.Lite() {
		tables = `select tablename from pg_tables where schemaname = current_schema()`
	}
	names := c.strings(d, tables)
	if len(names) == 0 {
		c.t.Fatal("no tables")
	}
	for _, table := range names {
		rows, err := d.Query(c.t.Context(), `select * from "`+table+`"`)
		if err != nil {
			c.t.Fatal(err)
		}
		columns, _ := rows.Columns()
		for rows.Next() {
			values, into := make([]any, len(columns)), make([]any, len(columns))
			for i := range values {
				into[i] = &values[i]
			}
			if err := rows.Scan(into...); err != nil {
				c.t.Fatal(err)
			}
			for i, v := range values {
				if b, ok := v.([]byte); ok {
					v = string(b)
				}
				if w := c.who.in(fmt.Sprint(v)); w != "" {
					found = append(found, fmt.Sprintf("%s.%s holds %s", table, columns[i], w))
				}
			}
		}
		if err := rows.Err(); err != nil {
			c.t.Fatal(err)
		}
		rows.Close()
	}
	return found
}

func (c *singing) strings(d *db.DB, query string) (all []string) {
	c.t.Helper()
	rows, err := d.Query(c.t.Context(), query)
	if err != nil {
		c.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			c.t.Fatal(err)
		}
		all = append(all, s)
	}
	return all
}
