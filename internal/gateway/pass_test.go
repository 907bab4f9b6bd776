package gateway

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"
	"golang.org/x/net/websocket"

	"github.com/tillid/tillid/internal/db/dbtest"
)

// front serves the gateway on a real socket; its answer asks for a path under the site's name.
func front(t testing.TB, g *rig) (server *httptest.Server, ask func(ctx context.Context, path string, header ...string) (*http.Response, error)) {
	t.Helper()
	server = httptest.NewServer(g.Handler())
	t.Cleanup(server.Close)
	return server, func(ctx context.Context, path string, header ...string) (*http.Response, error) {
		r, err := http.NewRequestWithContext(ctx, "GET", server.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = siteHost
		r.Header.Set("Sec-Fetch-Dest", "document")
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		return server.Client().Do(r)
	}
}

// What a site hints at before its answer is filtered as the answer is.
func TestEarlyHints(t *testing.T) {
	for _, mode := range []string{"enforce", "observe"} {
		g := newRig(t, mode, func(w http.ResponseWriter, r *http.Request) {
			for _, link := range strings.Split(r.Header.Get("X-Links"), "|") {
				w.Header().Add("Link", link)
			}
			w.WriteHeader(http.StatusEarlyHints)
			w.Header().Del("Link")
			page(w, r)
		})
		_, ask := front(t, g)
		hints := func(links ...string) (got []string) {
			ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
				got = append(got, fmt.Sprint(code, h["Link"]))
				return nil
			}})
			resp, err := ask(ctx, "/", "X-Links", strings.Join(links, "|"))
			if err != nil {
				t.Fatal(err)
			}
			if b := body(t, resp); resp.StatusCode != 200 || !strings.Contains(b, "hej") {
				t.Errorf("the page: %d %s", resp.StatusCode, b)
			}
			return got
		}
		both := []string{"</a.css>;rel=preload", "<https://spy.test/b.js>;rel=preload"}
		want := map[string]string{"enforce": "[103 [</a.css>;rel=preload]]", "observe": "[103 [</a.css>;rel=preload <https://spy.test/b.js>;rel=preload]]"}
		if got := fmt.Sprint(hints(both...)); got != want[mode] {
			t.Errorf("%s: hints %s", mode, got)
		}
		if got := hints(both[1]); (len(got) == 0) != (mode == "enforce") {
			t.Errorf("%s: only outside: %s", mode, got)
		}
	}
}

// A real WebSocket passes both ways.
func TestWebSocket(t *testing.T) {
	echo := websocket.Handler(func(c *websocket.Conn) {
		var text string
		for websocket.Message.Receive(c, &text) == nil {
			websocket.Message.Send(c, text)
		}
	})
	g := newRig(t, "enforce", echo.ServeHTTP)
	server, _ := front(t, g)
	config, err := websocket.NewConfig("ws://"+siteHost+"/socket", "http://"+siteHost)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	ws, err := websocket.NewClient(config, conn)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.Close()
	for _, text := range []string{"one", strings.Repeat("two", 50_000)} {
		if err := websocket.Message.Send(ws, text); err != nil {
			t.Fatal(err)
		}
		var got string
		if err := websocket.Message.Receive(ws, &got); err != nil || got != text {
			t.Errorf("%d bytes came back as %d: %v", len(text), len(got), err)
		}
	}
}

// A stream of events passes event by event, and ends when the server stops.
func TestEvents(t *testing.T) {
	more := make(chan string)
	g := newRig(t, "enforce", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for {
			select {
			case s := <-more:
				fmt.Fprintf(w, "data: %s\n\n", s)
				http.NewResponseController(w).Flush()
			case <-r.Context().Done():
				return
			}
		}
	})
	_, ask := front(t, g)
	go func() { more <- "one" }()
	resp, err := ask(t.Context(), "/", "Sec-Fetch-Dest", "empty", "Accept", "text/event-stream")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	in := bufio.NewReader(resp.Body)
	for _, want := range []string{"one", "two"} {
		if line, err := in.ReadString('\n'); err != nil || line != "data: "+want+"\n" {
			t.Errorf("%q %v", line, err)
		}
		in.ReadString('\n')
		if want == "one" {
			more <- "two"
		}
	}
	g.EndStreams()
	if _, err := io.ReadAll(in); err == nil {
		t.Log("the stream ended cleanly")
	}
}

// Out of the way is out of the way: nothing is changed, stopped or listed.
func TestBypass(t *testing.T) {
	site := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Set-Cookie", "_count=1")
		w.Header().Set("Link", "<https://spy.test/>; rel=preload")
		page(w, r)
	}
	g := newRig(t, "enforce", site)
	g.DB = dbtest.Open(t, dbtest.Lite(t)("house"))
	if _, err := g.SetBypass(t.Context(), true, "main", time.Hour); err != nil {
		t.Fatal(err)
	}
	resp := g.get("/")
	h := resp.Header
	if b := body(t, resp); strings.Contains(b, "<!--head") || h.Get("Set-Cookie") == "" || h.Get("Link") == "" || h.Get("Content-Security-Policy") != "" || h.Get("Etag") == "" || len(g.drift.found) > 0 {
		t.Errorf("under bypass: %v %s %v", h, b, g.drift.found)
	}
	if wrong, err := g.Health(t.Context()); err != nil || len(wrong) != 1 || !strings.Contains(wrong[0].Msg, "main") {
		t.Errorf("health: %v %v", wrong, err)
	}
	g.now = g.now.Add(time.Hour)
	if h := g.get("/").Header; h.Get("Content-Security-Policy") == "" || h.Get("Set-Cookie") != "" {
		t.Errorf("it does not end by itself: %v", h)
	}
	for _, bad := range []struct {
		site  string
		lasts time.Duration
	}{{"other", time.Hour}, {"main", 0}, {"", 25 * time.Hour}} {
		if _, err := g.SetBypass(t.Context(), true, bad.site, bad.lasts); err == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
}

// Whatever breaks in reading a choice or making markup, nothing is granted and the page comes.
func TestFailsClosed(t *testing.T) {
	g := newRig(t, "enforce", page)
	g.Granted = func(*http.Request) ([]string, []string) { panic("broken") }
	g.Head = func(*http.Request, string) []byte { panic("broken") }
	resp := g.get("/")
	if b := body(t, resp); resp.StatusCode != 200 || !strings.Contains(b, "hej") || strings.Contains(directive(resp, "script-src"), "tag.test") {
		t.Errorf("%d %v %s", resp.StatusCode, resp.Header, b)
	}
	g = newRig(t, "enforce", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(500); page(w, r) })
	if resp := g.get("/"); resp.StatusCode != 500 || directive(resp, "script-src") == "no policy" {
		t.Errorf("a site that fails: %d %v", resp.StatusCode, resp.Header)
	}
}

// A page of 100 MB is passed on in memory that does not depend on its size: all
// that is ever allocated for it, by the gateway and by HTTP on both its sides, is
// below the limit of what may be held.
func TestPageOfAnySize(t *testing.T) {
	block := []byte(`<img src="https://spy.test/p.png" alt="">` + strings.Repeat("<p class=\"a\">text <img src=\"/own/p.png\" alt=\"\"> &amp; <a href=\"https://example.dk/\">more</a></p>\n", 5000))
	g := newRig(t, "enforce", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		io.WriteString(w, "<!doctype html><html><head></head><body>")
		for n := 0; r.URL.Path == "/large" && n < 100<<20; n += len(block) {
			w.Write(block)
		}
	})
	_, ask := front(t, g)
	buffer := make([]byte, 32<<10)
	read := func(path string) (total int) {
		resp, err := ask(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		for {
			n, err := resp.Body.Read(buffer)
			if total += n; err != nil {
				return total
			}
		}
	}
	allocated := func() uint64 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.TotalAlloc
	}
	read("/small") // connections and pools are there
	before := allocated()
	n := read("/large")
	if grown := allocated() - before; n < 100<<20 || grown > pageMemory {
		t.Errorf("%d KB were allocated while a page of %d MB passed", grown>>10, n>>20)
	} else {
		t.Logf("%d KB were allocated while a page of %d MB passed", grown>>10, n>>20)
	}
}

// Many pages that are under way at once hold at most 256 KB each, with everything
// that HTTP needs on both sides: what has passed of a page is not kept.
func TestMemoryOfRequests(t *testing.T) {
	const pages, passed = 50, 1 << 20
	block := strings.Repeat("<p class=\"a\">text <img src=\"https://spy.test/p.png\" alt=\"\"></p>\n", 100)
	release := make(chan struct{})
	g := newRig(t, "enforce", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		io.WriteString(w, "<!doctype html><html><head></head><body>")
		for n := 0; n < passed+256<<10; n += len(block) {
			io.WriteString(w, block)
		}
		http.NewResponseController(w).Flush()
		<-release
	})
	server, _ := front(t, g)
	under, ended := make(chan error), make(chan error)
	before := held()
	for range pages {
		go func() {
			conn, err := net.Dial("tcp", server.Listener.Addr().String())
			if err == nil {
				defer conn.Close()
				fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: %s\r\nSec-Fetch-Dest: document\r\nConnection: close\r\n\r\n", siteHost)
				err = discard(io.LimitReader(conn, passed))
			}
			under <- err
			if err == nil {
				err = discard(conn)
			}
			ended <- err
		}()
	}
	for range pages {
		if err := <-under; err != nil {
			t.Error(err)
		}
	}
	each := (held() - before) / pages
	if each > requestMemory {
		t.Errorf("a request holds %d KB", each>>10)
	}
	t.Logf("a request holds %d KB", each>>10)
	close(release)
	for range pages {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

// discard reads to the end with little memory of its own.
func discard(r io.Reader) error {
	var b [1 << 10]byte
	for {
		if _, err := r.Read(b[:]); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// held is the memory that this process needs for what it is doing.
func held() int64 {
	runtime.GC()
	runtime.GC() // what pools keep goes with the second
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

// The rewriter and an HTML tokenizer that this project did not write agree: no
// element loads from where it must not, and what is not touched is the same.
func FuzzInert(f *testing.F) {
	for _, seed := range []string{
		`<img src=//video.example/a>`, `<img/src="//video.example/">`, `<script src='https://video.example/x'>a</script>`, `<video poster=http:video.example>`,
		`<title><img src=//video.example></title>`, `<textarea><img src=//video.example></textarea><img src=//video.example>`, `<!--><img src=//video.example>-->`,
		`<svg><image xlink:href=//video.example /></svg>`, `<link rel=stylesheet href=//video.example>`, `<iframe srcdoc=x src=//video.example></iframe>`, `<IMG SRC=//VIDEO.EXAMPLE>`,
		`<img a="b"src=//video.example>`, `<img src=a src=//video.example>`, `<base href=//video.example>`, `<object data=//video.example><embed src=//video.example>`, `<p title="<img src=//video.example>">`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		if strings.Contains(in, "\x01") || strings.Contains(in, "\x00") || strings.Contains(strings.ToLower(in), "data-tillid") || wide([]byte(in)) {
			return // marks of the test; NUL, which the two read differently where it does no harm
		}
		out := rewritten(t, strings.NewReader(in))
		z := html.NewTokenizer(strings.NewReader(out))
		for z.Next() != html.ErrorToken {
			token := z.Token()
			if token.Type != html.StartTagToken && token.Type != html.SelfClosingTagToken {
				continue
			}
			if token.Data == "plaintext" {
				return
			}
			seen := map[string]bool{}
			for _, a := range token.Attr {
				if l := loadingOf(loads[token.Data], []byte(a.Key)); l != nil && !seen[a.Key] && !l.set && token.Data != "input" && token.Data != "link" && token.Data != "script" && leadsThere(a.Val) {
					t.Errorf("still loads: %v\nof %q\nbecame %q", token, in, out)
				}
				seen[a.Key] = true
			}
		}
	})
}
