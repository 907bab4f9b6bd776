package app

import (
	"bufio"
	"bytes"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tillid/tillid/internal/connect/desk"
	"github.com/tillid/tillid/internal/mail"
	"github.com/tillid/tillid/internal/web"
)

// door is one address that the program answers, as a request can name it.
type door struct {
	host, method, path string
	cookie             string // of whoever knocks: nobody, or a member of staff
	kind, body         string // of a request that the door takes
	again              bool   // another value of a wildcard, or a door that stays shut: a few attacks will do
}

// patternsOf reads what a ServeMux was told: net/http does not say it, and a
// list kept by hand would miss the next route.
func patternsOf(t *testing.T, mux reflect.Value) []string {
	t.Helper()
	for mux.Kind() == reflect.Pointer || mux.Kind() == reflect.Interface {
		mux = mux.Elem()
	}
	index := mux.FieldByName("index")
	if !index.IsValid() {
		t.Fatal("net/http.ServeMux looks otherwise now: find its patterns another way")
	}
	found := map[string]bool{}
	note := func(list reflect.Value) {
		for i := range list.Len() {
			found[list.Index(i).Elem().FieldByName("str").String()] = true
		}
	}
	for segments := index.FieldByName("segments").MapRange(); segments.Next(); {
		note(segments.Value())
	}
	note(index.FieldByName("multis"))
	var all []string
	for p := range found {
		all = append(all, p)
	}
	slices.Sort(all)
	return all
}

// takes says what a door takes, where that is not any form.
var takes = map[string][2]string{
	"/_tillid/forms/{form}": {"application/x-www-form-urlencoded", "name=Karla&email=karla%40example.dk&message=Hej"},
	"/_tillid/consent":      {"application/json", `{"do":"all","lang":"da","layer":"banner"}`},
	"/_tillid/csp":          {"application/csp-report", `{"csp-report":{"document-uri":"http://www.alfa.test/","blocked-uri":"https://tag.test/x.js","effective-directive":"script-src"}}`},
	"/privacy/me":           {"application/x-www-form-urlencoded", "email=karla%40example.dk"},
	"/privacy/me/erase":     {"application/x-www-form-urlencoded", "what=all"},
	"/signin":               {"application/x-www-form-urlencoded", "number=1000&user_name=nobody&password=wrong-password-1"},
	"/tickets":              {"application/json", `{"reference":"r","subject":"s"}`},
	"/search":               {"application/json", `{"reference":"r"}`},
}

// doors lists every address of every host: the site's own paths and what is
// passed through, the Backoffice's as nobody and as staff, mail room, processors.
func (s *standing) doors(cookie string) []door {
	s.t.Helper()
	processors := &desk.Server{}
	processors.ServeHTTP(discard{}, httpGet(s.t, "/")) // it makes its routes when first asked
	room, _ := (&mail.Room{Now: time.Now}).Handler(s.Log).(*http.ServeMux)
	var all []door
	add := func(host, cookie string, patterns []string) {
		if len(patterns) < 2 {
			s.t.Errorf("%s has only the routes %v", host, patterns)
		}
		for _, p := range patterns {
			for _, d := range doorsOf(host, cookie, p) {
				d.again = d.again || host == office && cookie == "" && d.path != "/signin"
				all = append(all, d)
			}
		}
	}
	var staffRoutes []string
	for _, r := range s.officeRoutes() {
		staffRoutes = append(staffRoutes, r.Pattern)
	}
	staffRoutes = append(staffRoutes, "GET "+web.StaticPath+"{file...}")
	add(www, "", append(patternsOf(s.t, reflect.ValueOf(s.siteRoutes())), "/kontakt"))
	add(office, "", staffRoutes)
	add(office, cookie, staffRoutes)
	add("mail.localhost", "", patternsOf(s.t, reflect.ValueOf(room)))
	add("processors.localhost", "", patternsOf(s.t, reflect.ValueOf(processors).Elem().FieldByName("mux")))
	add("outside.localhost", "", []string{"/", "/gtag/js"})
	return all
}

var wildcard = regexp.MustCompile(`\{([^}]*)\}`)

// doorsOf makes addresses of a pattern: its wildcards filled with what the
// program knows, and with what nobody means well with.
func doorsOf(host, cookie, pattern string) []door {
	method, path, ok := strings.Cut(pattern, " ")
	if !ok {
		method, path = http.MethodGet, pattern
	}
	d := door{host: host, method: method, cookie: cookie, kind: "application/x-www-form-urlencoded", body: "x=1"}
	if t, ok := takes[path]; ok {
		d.kind, d.body = t[0], t[1]
	}
	path = strings.ReplaceAll(path, "{$}", "")
	if !wildcard.MatchString(path) {
		d.path = path
		return []door{d}
	}
	var all []door
	for _, v := range []string{"", "0", "-1", "%00", "%ff%fe", "..%2f..%2fetc%2fpasswd", "%27%3b--", strings.Repeat("a", 3000), "%e2%80%ae", "a;b=c", "%2e%2e"} {
		d.path = wildcard.ReplaceAllStringFunc(path, func(name string) string {
			if v == "" {
				if name == "{form}" {
					return "contact"
				}
				return "01J0000000000000000000TEST"
			}
			return v
		})
		d.again = v != ""
		all = append(all, d)
	}
	return all
}

// request is the request that the door takes, with further headers, as bytes.
func (d door) request(headers ...string) []byte {
	if d.method == http.MethodGet {
		return d.raw(d.method, d.path, "HTTP/1.1", append(headers, "Host: "+d.host), "")
	}
	return d.raw(d.method, d.path, "HTTP/1.1", append(headers, "Host: "+d.host, "Content-Type: "+d.kind, "Content-Length: "+strconv.Itoa(len(d.body))), d.body)
}

// raw joins a request from its parts, none of which is checked.
func (d door) raw(method, target, version string, headers []string, body string) []byte {
	headers = append(headers, "X-Forwarded-For: "+network(), "Connection: close")
	if d.cookie != "" {
		headers = append(headers, "Cookie: "+d.cookie)
	}
	return []byte(method + " " + target + " " + version + "\r\n" + strings.Join(headers, "\r\n") + "\r\n\r\n" + body)
}

// attack is one hostile request: what it is, and the bytes. Half says that the
// sender goes away in the middle.
type attack struct {
	name  string
	bytes []byte
	half  bool
}

// attacks makes the hostile requests for a door.
func (d door) attacks() []attack {
	host := "Host: " + d.host
	get := func(target string, headers ...string) []byte {
		return d.raw(http.MethodGet, target, "HTTP/1.1", append(headers, host), "")
	}
	with := func(headers ...string) []byte { return d.request(headers...) }
	if d.again {
		return []attack{{"as it is", with(), false}, {"JSON wanted", with("Accept: application/json"), false}, {"HEAD", d.raw("HEAD", d.path, "HTTP/1.1", []string{host}, ""), false},
			{"not UTF-8", d.raw(http.MethodPost, d.path, "HTTP/1.1", []string{host, "Content-Length: 5", "Content-Type: application/x-www-form-urlencoded"}, "x=%ff"), false}}
	}
	all := []attack{
		{"as it is", d.request(), false},
		{"no version", []byte(d.method + " " + d.path + "\r\n\r\n"), false},
		{"version 9.9", d.raw(d.method, d.path, "HTTP/9.9", []string{host}, ""), false},
		{"HTTP/1.0 without a host", d.raw(d.method, d.path, "HTTP/1.0", nil, ""), false},
		{"no host", d.raw(d.method, d.path, "HTTP/1.1", nil, ""), false},
		{"two hosts", d.raw(d.method, d.path, "HTTP/1.1", []string{host, "Host: evil.test"}, ""), false},
		{"another host", d.raw(d.method, d.path, "HTTP/1.1", []string{"Host: evil.test"}, ""), false},
		{"a host of nonsense", d.raw(d.method, d.path, "HTTP/1.1", []string{"Host: " + d.host + ":99999999"}, ""), false},
		{"bytes before the method", append([]byte("\x00\xff\x16\x03\x01"), d.request()...), false},
		{"bare line feeds", bytes.ReplaceAll(d.request(), []byte("\r\n"), []byte("\n")), false},
		{"whole address", get("http://evil.test" + d.path), false},
		{"dots encoded", get("/%2e%2e/%2e%2e" + d.path), false},
		{"two slashes", get("//evil.test/" + d.path), false},
		{"semicolon", get(d.path + ";jsessionid=1"), false},
		{"trailing dot", get(d.path + "."), false},
		{"trailing slash", get(d.path + "/"), false},
		{"upper case", get(strings.ToUpper(d.path)), false},
		{"NUL in the path", get(d.path + "%00"), false},
		{"bad escape", get(d.path + "%zz"), false},
		{"raw bytes in the path", get(d.path + "\xff\xfe"), false},
		{"backslash", get(strings.ReplaceAll(d.path, "/", "\\")), false},
		{"deep query", get(d.path + "?" + strings.Repeat("a[b]=1&", 2000)), false},
		{"semicolons in the query", get(d.path + "?lang=da;lang=en&q=%ff%00&page=-1&page=999999999999999999999"), false},
		{"a long target", get(d.path + "?" + strings.Repeat("x", 60<<10)), false},
		{"TRACE", d.raw("TRACE", d.path, "HTTP/1.1", []string{host}, ""), false},
		{"CONNECT", d.raw("CONNECT", "evil.test:443", "HTTP/1.1", []string{"Host: evil.test:443"}, ""), false},
		{"PUT", d.raw("PUT", d.path, "HTTP/1.1", []string{host, "Content-Length: 3"}, "x=1"), false},
		{"DELETE", d.raw("DELETE", d.path+"?nothing", "HTTP/1.1", []string{host}, ""), false},
		{"HEAD", d.raw("HEAD", d.path, "HTTP/1.1", []string{host}, ""), false},
		{"a method of nonsense", d.raw("G\x01T", d.path, "HTTP/1.1", []string{host}, ""), false},
		{"method override", get(d.path+"?_method=DELETE", "X-HTTP-Method-Override: POST", "X-Method-Override: DELETE"), false},
		{"a huge header", with("X-Huge: " + strings.Repeat("x", 80<<10)), false},
		{"many headers", with(strings.Split(strings.Repeat("X-Many: 1\n", 5000), "\n")[:5000]...), false},
		{"folded header", with("X-Folded: a\r\n b"), false},
		{"NUL in a header", with("X-Nul: a\x00b"), false},
		{"space before the colon", with("X-Space : 1"), false},
		{"no colon", with("nonsense"), false},
		{"bytes in headers", with("Accept-Language: \xff\xfe, da;q=\xff", "User-Agent: \xc3\x28", "Accept: \xff", "Referer: \xff\xfe://"), false},
		{"ten thousand languages", with("Accept-Language: " + strings.Repeat("xx-yy;q=0.1,", 2000)), false},
		{"cookies of nonsense", with("Cookie: tillid_choice=v9.\xff; session=%00; =; ;;;" + strings.Repeat("a=b;", 500)), false},
		{"a long choice cookie", with("Cookie: tillid_choice=" + strings.Repeat("A", 8000)), false},
		{"conditions", with("If-None-Match: \"\xff\", W/", "If-Modified-Since: yesterday", "Range: bytes=-9999999999999999999,0-0,5-1", "If-Range: x"), false},
		{"forwarded for nobody", with("X-Forwarded-For: ,,\xff,999.1.1.1", "X-Forwarded-Host: evil.test", "X-Forwarded-Proto: javascript", "Forwarded: for=\"[\""), false},
		{"upgrade", with("Upgrade: websocket", "Connection: upgrade"), false},
		{"another site's form", with("Origin: https://evil.test", "Sec-Fetch-Site: cross-site"), false},
		{"JSON wanted", with("Accept: application/json"), false},
	}
	return append(all, d.bodies()...)
}

// bodies are hostile bodies; doors that are only read get a few of them too.
func (d door) bodies() []attack {
	method := d.method
	if method == http.MethodGet {
		method = http.MethodPost
	}
	host := "Host: " + d.host
	post := func(kind, body string, headers ...string) []byte {
		return d.raw(method, d.path, "HTTP/1.1", append(headers, host, "Content-Type: "+kind, "Content-Length: "+strconv.Itoa(len(body))), body)
	}
	framed := func(body string, headers ...string) []byte {
		return d.raw(method, d.path, "HTTP/1.1", append(headers, host, "Content-Type: "+d.kind), body)
	}
	const form, chunked = "application/x-www-form-urlencoded", "Transfer-Encoding: chunked"
	length := "Content-Length: " + strconv.Itoa(len(d.body))
	all := []attack{
		{"length and chunks", framed("0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: "+d.host+"\r\n\r\n", length, chunked), false},
		{"two lengths", framed(d.body, length, "Content-Length: 1"), false},
		{"a negative length", framed(d.body, "Content-Length: -1"), false},
		{"a length of nonsense", framed(d.body, "Content-Length: 0x10"), false},
		{"a length beyond all numbers", framed(d.body, "Content-Length: 99999999999999999999999"), false},
		{"bad chunk", framed("zz\r\n"+d.body+"\r\n0\r\n\r\n", chunked), false},
		{"negative chunk", framed("-1\r\n"+d.body+"\r\n0\r\n\r\n", chunked), false},
		{"a chunk beyond all numbers", framed("ffffffffffffffffff\r\n"+d.body, chunked), false},
		{"chunks and rubbish", framed(fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\nrubbish", len(d.body), d.body), chunked), false},
		{"a coding that nobody knows", framed(d.body, "Transfer-Encoding: gzip, chunked"), false},
		{"an expectation", framed(d.body, length, "Expect: 200-maybe"), false},
		{"cut in the body", framed(d.body[:len(d.body)/2], length), true},
		{"cut in a chunk", framed(fmt.Sprintf("%x\r\n%s", len(d.body), d.body[:len(d.body)/2]), chunked), true},
		{"cut in the headers", d.request()[:20], true},
	}
	if d.method == http.MethodGet {
		return all
	}
	return append(all, []attack{
		{"no type", d.raw(method, d.path, "HTTP/1.1", []string{host, length}, d.body), false},
		{"a type of nonsense", post(";;=\xff", d.body), false},
		{"text", post("text/plain", d.body), false},
		{"another charset", post(form+"; charset=utf-7", d.body), false},
		{"multipart without a boundary", post("multipart/form-data", d.body), false},
		{"multipart with a bad boundary", post("multipart/form-data; boundary=\"\xff\"", "--\xff\r\n\r\nx"), false},
		{"multipart with a file", post("multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\"message\"; filename=\"../x\"\r\n\r\nx\r\n--b--\r\n"), false},
		{"ten thousand parts", post("multipart/form-data; boundary=b", strings.Repeat("--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nx\r\n", 10000)+"--b--\r\n"), false},
		{"compressed", post(form, d.body, "Content-Encoding: gzip"), false},
		{"a name twice", post(form, "email=a%40example.dk&email=b%40example.dk&name=a&name=b&do=all&do=none&what=all&what=one&x=1&x=2"), false},
		{"a name in the query too", d.raw(method, d.path+"?"+d.body, "HTTP/1.1", []string{host, "Content-Type: " + d.kind, length}, d.body), false},
		{"ten thousand names", post(form, strings.Repeat("a=&", 10000)+"b="), false},
		{"NUL", post(form, "name=a%00b&email=a%00%40example.dk&message=%00&number=%00&user_name=%00&password=%00&what=%00&do=%00&x=%00"), false},
		{"not UTF-8", post(form, "name=%ff%fe&email=%ff%40example.dk&message=%c3%28&number=%ff&user_name=%ff&password=%ff&what=%ff&do=%ff"), false},
		{"raw bytes", post(form, "name=\xff\xfe&message=\x00\x01\x02&do=\xff"), false},
		{"bad escapes", post(form, "name=%zz&message=%&do=%1"), false},
		{"surrogates", post("application/json", `{"name":"\ud800","message":"\u0000","do":"\udfff","lang":"\u0000"}`), false},
		{"deep JSON", post("application/json", strings.Repeat(`{"a":`, 50000)+"1"), false},
		{"JSON of another shape", post("application/json", `[1,2,{"do":[]}]`), false},
		{"JSON cut", post("application/json", `{"do":"all`), false},
		{"two JSON values", post("application/json", d.body+d.body), false},
		{"ten megabytes", post(d.kind, d.body+"&"+strings.Repeat("x", 10<<20)), false},
		{"ten megabytes in chunks", framed(strings.Repeat("100000\r\n"+strings.Repeat("x", 1<<20)+"\r\n", 10)+"0\r\n\r\n", chunked), false},
		{"header lines in a value", post(form, "email=a%40example.dk%0d%0aBcc%3a+b%40example.dk&name=a%0d%0ab&message=x&next=%0d%0aSet-Cookie%3a+a%3db&return=%0d%0aX%3a+1&number=%0d%0a&user_name=%0d%0a"), false},
		{"an open redirect", post(form, "next=%2f%2fevil.test&return=%2f%5cevil.test&do=none&number=1&user_name=a&password=b&to=https%3a%2f%2fevil.test"), false},
	}...)
}

// verdict is what came back.
type verdict struct {
	status int // 0: the connection was closed without an answer
	head   string
	body   string
	more   int // further answers on the same connection
}

var statusLine = regexp.MustCompile(`(?m)^HTTP/1\.[01] [0-9]{3} `)

// knock sends bytes over a connection of their own and reads until the server
// closes it. A server that does not is an error.
func knock(addr string, a attack) (v verdict, err error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return v, err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Minute)) // far beyond: only a server that never ends gets there
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		c.Write(a.bytes) // fails when the server has had enough
		if a.half {
			c.(*net.TCPConn).CloseWrite()
		}
	}()
	all, err := io.ReadAll(c)
	if t, ok := err.(net.Error); ok && t.Timeout() {
		return v, fmt.Errorf("the connection does not end: %w", err)
	}
	c.Close()
	<-sent
	if len(all) == 0 {
		return v, nil
	}
	v.more = len(statusLine.FindAllIndex(all, -1)) - 1
	resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(all)), nil)
	if err != nil {
		return v, fmt.Errorf("the answer cannot be read: %w\n%.300q", err, all)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	v.status, v.head, v.body = resp.StatusCode, string(all[:len(all)-len(body)]), string(body)
	return v, nil
}

// theStandards are the answers above 499 that HTTP itself gives to a request
// that it does not know: a version (505) and a transfer coding (501).
var theStandards = map[string]int{"version 9.9": 505, "no version": 505, "a coding that nobody knows": 501}

var elsewhere = regexp.MustCompile(`(?m)^Location: *([a-z]+:)?[/\\][/\\]`)

var traces = regexp.MustCompile(`goroutine \d|\.go:\d|runtime error|panic|SQLSTATE|sql:|near "|nil pointer`)

// judge says what is wrong with an answer, or "".
func judge(a attack, v verdict) string {
	switch {
	case v.status == 0 && !a.half:
		return "no answer"
	case v.status >= 500 && theStandards[a.name] != v.status:
		return "an error of ours"
	case traces.MatchString(v.body):
		return "the answer shows the program's inside"
	case v.more > 0:
		return "the rest of the request was taken for another one"
	case elsewhere.MatchString(v.head) || strings.Contains(v.head, "\nX: 1"):
		return "leads to another host"
	}
	return ""
}

// Hostile requests to every address of every host get an answer below 500,
// without a trace of the program, leave nothing behind or a whole submission,
// and end the connection. The addresses come from the program itself.
//
// Rows: E7.
func TestHostileRequests(t *testing.T) {
	onEngines(t, "alfa", func(t *testing.T, dir string) {
		s := stand(t, dir, Limits{})
		cookie := s.signIn()
		doors := s.doors(cookie)
		for _, d := range doors {
			before := s.count(kept)
			for _, a := range d.attacks() {
				v, err := knock(s.addr, a)
				if err != nil {
					t.Fatalf("%s %s%.80s, %s: %v", d.method, d.host, d.path, a.name, err)
				}
				if wrong := judge(a, v); wrong != "" {
					t.Errorf("%s %s%.80s, %s: %s: %d\n%.300s", d.method, d.host, d.path, a.name, wrong, v.status, v.body)
				}
				if after := s.count(kept); after != before {
					if acknowledged := v.status == 303 || v.status == 200 || v.status == 201; !acknowledged {
						t.Errorf("%s %s%.80s, %s: answered %d, but %d rows more", d.method, d.host, d.path, a.name, v.status, after-before)
					}
					before = after
				}
			}
			if d.cookie != "" && s.do(office, "/", nil, "Cookie", d.cookie).StatusCode != http.StatusOK {
				cookie = s.signInAgain() // that was the way out
				for i := range doors {
					if doors[i].cookie != "" {
						doors[i].cookie = cookie
					}
				}
			}
		}
		s.whole()
		s.calm()
		t.Logf("%d addresses", len(doors))
	})
}

// calm fails the test when the program logged an error.
func (s *standing) calm() {
	s.t.Helper()
	for line := range strings.Lines(s.log.String()) {
		if strings.Contains(line, "level=ERROR") {
			s.t.Errorf("the program complains: %.1500s", line)
		}
	}
}

// Requests with random damage, the same in every run, at every address: no
// error of ours, no half submission, no connection that stays open.
//
// Rows: E7.
func TestDamagedRequests(t *testing.T) {
	const each = 8
	onEngines(t, "alfa", func(t *testing.T, dir string) {
		s := stand(t, dir, Limits{})
		cookie := s.signIn()
		short := DefaultLimits() // a request that damage left without its end is cut soon
		short.Header, short.Read, short.Idle = time.Second, time.Second, time.Second
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		quick := short.server(s.server, s.Log)
		go quick.Serve(l)
		defer quick.Close()
		work := make(chan door)
		var sent atomic.Int64
		var workers sync.WaitGroup
		for range 16 {
			workers.Go(func() {
				for d := range work {
					seed := fnv.New64a()
					io.WriteString(seed, d.method+d.host+d.path)
					r := rand.New(rand.NewPCG(seed.Sum64(), uint64(len(d.cookie))))
					for range each {
						a := attack{name: "damaged", bytes: damage(r, d.request()), half: true}
						v, err := knock(l.Addr().String(), attack{bytes: a.bytes})
						sent.Add(1)
						if err != nil {
							t.Errorf("%.200q: %v", a.bytes, err)
							continue
						}
						v.more = 0 // damage may well make two requests of one
						if wrong := judge(a, v); wrong != "" && v.status != http.StatusNotImplemented && v.status != http.StatusHTTPVersionNotSupported {
							t.Errorf("%.400q: %s: %d\n%.300s", a.bytes, wrong, v.status, v.body)
						}
					}
				}
			})
		}
		for _, d := range s.doors(cookie) {
			if !d.again {
				work <- d
			}
		}
		close(work)
		workers.Wait()
		s.whole()
		s.calm()
		t.Logf("%d requests", sent.Load())
	})
}

// spice is what damage puts into requests.
var spice = []string{"\x00", "\xff", "\r\n", "\n", "%00", "%ff", "%2e%2e%2f", "../", "//", "\\", ";", "&", "=", "+", "%", "\"", "'", "<", "{", "[",
	"\u202e", "\r\nX-Injected: 1\r\n", "\r\n\r\n", "Transfer-Encoding: chunked\r\n", "Content-Length: 7\r\n", "0\r\n\r\n", "9999999999", "-1", "null", "true"}

// damage changes a few places of a request.
func damage(r *rand.Rand, b []byte) []byte {
	b = bytes.Clone(b)
	for range 1 + r.IntN(4) {
		at := r.IntN(len(b))
		to := at + r.IntN(min(20, len(b)-at))
		switch r.IntN(4) {
		case 0:
			b[at] ^= 1 << r.IntN(8)
		case 1:
			b = slices.Delete(b, at, to)
		case 2:
			b = slices.Insert(b, at, b[at:to]...)
		default:
			b = slices.Insert(b, at, []byte(spice[r.IntN(len(spice))])...)
		}
		if len(b) == 0 {
			return []byte("\r\n")
		}
	}
	return b
}

type discard struct{}

func (discard) Header() http.Header         { return http.Header{} }
func (discard) Write(b []byte) (int, error) { return len(b), nil }
func (discard) WriteHeader(int)             {}

func httpGet(t *testing.T, path string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
