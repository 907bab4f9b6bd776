//go:build e2e

package e2e

import (
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

var update = flag.Bool("update", false, "rewrite the measured table in docs/limits.md")

// insideHeaders are those by which a server tells browsers to report or to fetch
// outside any page's policy. NEL does nothing without Report-To.
var insideHeaders = []string{"Report-To", "Reporting-Endpoints", "Speculation-Rules", "Link"}

// measured is what got out of a page before any choice, by way.
type measured map[string]string

const (
	stopped  = "stopped"
	connects = "connects only"
	getsOut  = "**gets out**"
	unseen   = "not seen"
	maybe    = "**may get out**" // it depends on which is faster
)

// setUp is one way to install Tillid, before the hostile site.
type setUp struct {
	name    string
	at      string // address of the page
	resolve string // which names are not the outside
}

// measure opens the page and says of everything tried what became of it.
func (u setUp) measure(t *testing.T, s *sink) measured {
	t.Helper()
	b := newBrowser(t, look{width: 1280, height: 900, lang: "en", resolve: u.resolve + "MAP * 127.0.0.1:" + s.port + ", EXCLUDE 127.0.0.1, EXCLUDE localhost"})
	answer, err := chromedp.RunResponse(b.ctx, chromedp.Navigate(u.at))
	if err != nil {
		t.Fatal(u.name, err)
	}
	b.settled()
	if n := eval[int](b, "window.tries"); n != scripts(ways) {
		t.Fatalf("%s: only %d of %d calls were tried", u.name, n, scripts(ways))
	}
	m := measured{}
	asked, connected := s.reached()
	for _, w := range ways {
		switch {
		case w.unseen != "":
			m[w.name] = unseen
		case slices.Contains(asked, w.host()):
			m[w.name] = getsOut
		case slices.Contains(connected, w.host()):
			m[w.name] = connects
			if w.name == "preconnect" || w.name == "insert-preconnect" || w.name == "link-preconnect" {
				m[w.name] = getsOut // to connect is all that it is for
			}
		default:
			m[w.name] = stopped
		}
	}
	b.inside(m, answer.Headers)
	b.leave(m, s)
	b.close()
	return m
}

// inside measures what never leaves as a request of the page: headers that reach
// the browser, and what is stored.
func (b *browser) inside(m measured, headers network.Headers) {
	b.t.Helper()
	for _, name := range insideHeaders {
		m["header "+name] = stopped
		for got := range headers {
			if strings.EqualFold(got, name) {
				m["header "+name] = getsOut
			}
		}
	}
	outcome := func(passes bool) string {
		if passes {
			return getsOut
		}
		return stopped
	}
	m["cookie by the site's server"] = outcome(b.cookie("_ga") != nil)
	m["cookie by the site's own script"] = outcome(eval[bool](b, `document.cookie = "w_own=1", document.cookie.indexOf("w_own") >= 0`))
	m["storage by the site's own script"] = outcome(eval[bool](b, `localStorage.w = "1", localStorage.w === "1"`))
}

// leave measures what opens another page, with data in its address.
func (b *browser) leave(m measured, s *sink) {
	b.t.Helper()
	for _, way := range [][2]string{{"window.open", `window.open("https://w-open.test/?data")`}, {"navigation", `location.href = "https://w-go.test/?data"`}} {
		b.do(command(runtime.Evaluate, runtime.EvaluateParams{Expression: way[1], UserGesture: new(true)}))
		late()
		m[way[0]] = stopped
		if asked, _ := s.reached(); len(asked) > 0 {
			m[way[0]] = getsOut
		}
	}
}

// hostileAnswers is the hostile site that, as sites do, also sets a declared
// cookie and asks browsers to report. snippet goes first into its head.
func hostileAnswers(s *sink, snippet func() string) http.Handler {
	site := hostile(ways, s.port)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := httptest.NewRecorder()
		site.ServeHTTP(rec, r)
		h := w.Header()
		for name, values := range rec.Header() {
			h[name] = values
		}
		h.Add("Set-Cookie", "_ga=1; Path=/")
		h.Set("Nel", `{"report_to":"out","max_age":600}`)
		h.Set("Report-To", `{"group":"out","max_age":600,"endpoints":[{"url":"https://w-nel.test/"}]}`)
		h.Set("Speculation-Rules", `"https://w-rules.test/r.json"`)
		w.WriteHeader(rec.Code)
		body := rec.Body.String()
		if snippet != nil {
			body = strings.Replace(body, `<meta charset="utf-8">`, `<meta charset="utf-8">`+snippet(), 1)
		}
		w.Write([]byte(body))
	})
}

func gatewaySetUp(t *testing.T, s *sink) setUp {
	site := httptest.NewServer(hostileAnswers(s, nil))
	t.Cleanup(site.Close)
	e := newEstate(t, "door", lite)
	e.change(t, e.site.URL, site.URL)
	port := secure(t, e.serve(t).addr)
	return setUp{"gateway", "https://www.door.test/", "MAP www.door.test:443 127.0.0.1:" + port + ", "}
}

func headerSetUp(t *testing.T, s *sink, server string) setUp {
	f := &front{certificate: newCertificate(t), outside: &outsider{}, port: freePort(t)}
	f.site = httptest.NewServer(hostileAnswers(s, nil))
	t.Cleanup(f.site.Close)
	f.served = newEstate(t, "front", lite).serve(t)
	f.start(t, server)
	return setUp{server, f.at("/"), "MAP www.front.test:" + f.port + " 127.0.0.1:" + f.port + ", "}
}

func snippetSetUp(t *testing.T, s *sink) setUp {
	b := newBeside(t, "enforce")
	b.whole = hostileAnswers(s, func() string { return b.head.Load().(string) })
	at := func(host, port string) string { return "MAP " + host + ":" + port + " 127.0.0.1:" + port + ", " }
	_, consent, _ := strings.Cut(b.consent, ":")
	return setUp{"script tag", b.at("/"), at("www.tag.test", b.port) + at("consent.tag.test", consent)}
}

// Every way out of a page, before a choice, with each way to install Tillid, in a
// real browser. What the documentation publishes is what happens: the table in
// docs/limits.md is written by this test and held against it.
//
// Rows: A1, A4, A5, A10.
func TestLimitsAreAsPublished(t *testing.T) {
	var columns []measured
	for _, up := range []func(*sink) setUp{
		func(s *sink) setUp { return gatewaySetUp(t, s) },
		func(s *sink) setUp { return headerSetUp(t, s, "caddy") },
		func(s *sink) setUp { return headerSetUp(t, s, "nginx") },
		func(s *sink) setUp { return snippetSetUp(t, s) },
	} {
		s := newSink(t) // what an earlier browser still sends must not count here
		columns = append(columns, up(s).measure(t, s))
	}
	var names []string
	for _, w := range ways {
		names = append(names, w.name)
	}
	for _, name := range insideHeaders {
		names = append(names, "header "+name)
	}
	names = append(names, "cookie by the site's server", "cookie by the site's own script", "storage by the site's own script", "window.open", "navigation")
	table := [][]string{{"what a page tries", "gateway", "headers, Caddy", "headers, nginx", "script tag"}}
	for _, name := range names {
		row := []string{name}
		for _, c := range columns {
			row = append(row, c[name])
		}
		table = append(table, row)
	}
	published(t, table)
}

// published holds the table against the document, or writes it there.
func published(t *testing.T, table [][]string) {
	t.Helper()
	const file, begin, end = "../docs/limits.md", "<!-- measured -->\n", "<!-- end -->"
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok1 := strings.Cut(string(b), begin)
	old, after, ok2 := strings.Cut(rest, end)
	if !ok1 || !ok2 {
		t.Fatalf("%s has no place for the table", file)
	}
	was := map[string][]string{}
	for line := range strings.Lines(old) {
		cells := strings.Split(strings.Trim(line, "| \n"), " | ")
		was[cells[0]] = cells
	}
	text := ""
	for n, row := range table {
		publish := was[row[0]]
		if *update {
			publish = merged(publish, row)
		}
		for i := range row {
			if len(publish) != len(row) || row[i] != publish[i] && publish[i] != maybe {
				t.Errorf("measured %q, published in %s is %q", row, file, publish)
				break
			}
		}
		delete(was, row[0])
		text += "| " + strings.Join(publish, " | ") + " |\n"
		if n == 0 {
			delete(was, strings.Repeat("-", 3))
			text += "|" + strings.Repeat("---|", len(row)) + "\n"
		}
	}
	if *update {
		if err := os.WriteFile(file, []byte(before+begin+text+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	for name := range was {
		if !strings.HasPrefix(name, "---") {
			t.Errorf("%s publishes %q, which is not measured", file, name)
		}
	}
}

// merged is a row of which earlier measurements said something else: what comes out
// one way in one run and another in the next may get out.
func merged(was, is []string) []string {
	if len(was) != len(is) {
		return is
	}
	all := slices.Clone(is)
	for i := range all {
		if was[i] != is[i] {
			all[i] = maybe
		}
	}
	return all
}
