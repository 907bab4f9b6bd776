package consent

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"

	"github.com/tillid/tillid/internal/db/dbtest"
	"github.com/tillid/tillid/internal/policy"
)

// maxFirst is the hard limit of what a page's first request costs, in bytes with
// brotli: script, styles and the settings in one language, everything that the first
// layer, gates, placeholders and signals need. The smallest peer needs 6,962, and
// blocks nothing.
const maxFirst = 6900

func TestFirstRequest(t *testing.T) {
	h := newHouse(t, dbtest.Lite(t))
	for _, lang := range []string{"da", "en"} {
		head := squeeze(h.First(httptest.NewRequest("GET", "https://"+siteHost+"/", nil), lang))
		script, style := scriptFile.packed[0].body, styleFile.packed[0].body
		sum := len(script) + len(style) + len(head)
		t.Logf("%s: script %d, styles %d, settings %d: %d bytes", lang, len(script), len(style), len(head), sum)
		if sum > maxFirst {
			t.Errorf("%s: the first request costs %d bytes, at most %d are allowed", lang, sum, maxFirst)
		}
	}
}

var update = flag.Bool("update", false, "write the compressed files")

// squeeze compresses with brotli, as hard as it goes.
func squeeze(body []byte) []byte {
	var b bytes.Buffer
	w := brotli.NewWriterLevel(&b, brotli.BestCompression)
	w.Write(body)
	w.Close()
	return b.Bytes()
}

// What is served compressed is the file itself.
func TestPacked(t *testing.T) {
	for _, name := range []string{"t.js", "u.js", "t.css", "page.js"} {
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if *update {
			if err := os.WriteFile(name+".br", squeeze(source), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		packed, err := os.ReadFile(name + ".br")
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(brotli.NewReader(bytes.NewReader(packed))); err != nil || !bytes.Equal(b, source) {
			t.Errorf("%s.br is not %s: go test ./internal/consent -run Packed -update", name, name)
		}
	}
}

// The files come compressed as the browser takes them, readable, and under the
// address that names their content for ever.
func TestAssets(t *testing.T) {
	h := newHouse(t, dbtest.Lite(t))
	for _, a := range []*asset{scriptFile, moreFile, styleFile} {
		for accept, coding := range map[string]string{"": "", "gzip, deflate": "gzip", "gzip, br": "br", "br;q=0, gzip": "gzip", "br; q=0.5": "br", "brr": ""} {
			r := httptest.NewRequest("GET", "https://"+siteHost+a.url, nil)
			r.Header.Set("Accept-Encoding", accept)
			w := httptest.NewRecorder()
			h.mux.ServeHTTP(w, r)
			if got := w.Header().Get("Content-Encoding"); got != coding {
				t.Errorf("%s for %q comes as %q, want %q", a.path, accept, got, coding)
			}
			if !strings.Contains(w.Header().Get("Cache-Control"), "immutable") || w.Header().Get("Vary") != "Accept-Encoding" {
				t.Errorf("%s: %v", a.path, w.Header())
			}
			if coding == "br" {
				if b, err := io.ReadAll(brotli.NewReader(w.Body)); err != nil || string(b) != string(a.body) {
					t.Errorf("%s is another file when it is unpacked: %v", a.path, err)
				}
			}
		}
	}
	if w := h.visitor(); strings.Contains(w.do(w.request("GET", scriptFile.path, nil)).Header().Get("Cache-Control"), "immutable") {
		t.Error("an address that does not name the content is kept for ever")
	}
}

// The script waits for the page, unless tags must find the signals said before they
// run. Nothing inline is sent, and nothing at all where nothing needs consent.
// Rows: A5.
func TestHead(t *testing.T) {
	h := newHouse(t, dbtest.Lite(t))
	r := httptest.NewRequest("GET", "https://"+siteHost+"/", nil)
	if h.Head(r, "da") != nil {
		t.Error("sent twice")
	}
	head := html.UnescapeString(string(h.First(r, "da")))
	if strings.Contains(head, " defer") || strings.Contains(head, "<style") || !strings.Contains(head, scriptFile.integrity) || !strings.Contains(head, styleFile.integrity) {
		t.Errorf("head with signals: %s", head)
	}
	for _, word := range []string{"banner", "consent", "cookie", "track", "/ad"} { // words of blockers' lists
		for _, a := range []string{scriptFile.url, moreFile.url, styleFile.url, statePath, choicePath, layerPath, forgetPath, leftPath} {
			if strings.Contains(a, word) {
				t.Errorf("%s has the word %q in it", a, word)
			}
		}
	}
	h.publish(without(t, "google_analytics", "google_ads"))
	if h.First(r, "da") != nil {
		t.Error("before the first script of a page stands what no tag reads")
	}
	if head := string(h.Head(r, "da")); !strings.Contains(head, " defer") || strings.Contains(head, "ad_storage") {
		t.Errorf("head without signals: %s", head)
	}
	h.publish(without(t, allServices...))
	if sent := append(h.First(r, "da"), h.Head(r, "da")...); len(sent) > 0 {
		t.Errorf("nothing needs consent, and this is sent: %s", sent)
	}
}

// without is the example with services taken out of it, and what they store.
func without(t *testing.T, ids ...string) *policy.Plan {
	t.Helper()
	p := *planOnce()
	p.Services = slices.DeleteFunc(slices.Clone(p.Services), func(s policy.Service) bool { return slices.Contains(ids, s.ID) })
	p.Device = slices.DeleteFunc(slices.Clone(p.Device), func(d policy.DeviceAccess) bool { return slices.Contains(ids, d.Service) })
	return &p
}

// Rows: A5.
func TestSignals(t *testing.T) {
	plan := *planOnce()
	google := func(granted ...string) string {
		s := newOffer(&plan).signals(granted)
		if s == nil {
			return ""
		}
		var yes []string
		for kind, v := range s.Google {
			if v == "granted" {
				yes = append(yes, kind)
			} else if v != "denied" {
				t.Errorf("%s is %q", kind, v)
			}
		}
		if len(s.Google) != 7 || s.UET != nil || s.Clarity != nil {
			t.Errorf("signals %+v", s)
		}
		slices.Sort(yes)
		return strings.Join(yes, " ")
	}
	for _, c := range []struct {
		granted []string
		want    string
	}{
		{nil, ""},
		{[]string{"youtube", "meta_pixel"}, ""},
		{[]string{"google_analytics"}, "analytics_storage security_storage"},
		{[]string{"google_ads"}, "ad_personalization ad_storage ad_user_data security_storage"},
		{allServices, "ad_personalization ad_storage ad_user_data analytics_storage security_storage"},
	} {
		if got := google(c.granted...); got != c.want {
			t.Errorf("%v: granted %q, want %q", c.granted, got, c.want)
		}
	}
	// A second service of the category: one no is enough for a denial.
	plan.Services = slices.Clone(plan.Services)
	for i := range plan.Services {
		switch svc := &plan.Services[i]; svc.ID {
		case "google_ads":
			svc.Signals = []string{"ad_storage"}
		case "meta_pixel":
			svc.Signals = []string{"ad_storage"}
		case "youtube":
			svc.Hosts.Script = []string{"bat.bing.com", "https://*.clarity.ms/tag"}
			svc.Signals = []string{"none"}
		}
	}
	o := newOffer(&plan)
	if got := o.signals([]string{"google_ads"}).Google["ad_storage"]; got != "denied" {
		t.Errorf("one of two has a yes: %s", got)
	}
	s := o.signals([]string{"google_ads", "meta_pixel", "youtube"})
	if s.Google["ad_storage"] != "granted" || s.Google["ad_user_data"] != "denied" || s.UET["ad_storage"] != "granted" || s.Clarity["analytics_Storage"] != "denied" || s.Clarity["ad_Storage"] != "granted" {
		t.Errorf("with the declaration's own signals: %+v", s)
	}
}

// Every cookie goes in every place where the page may have set it, over as many
// answers as that takes, and none that is needed.
// Rows: A3.
func TestForgetsEverywhere(t *testing.T) {
	h := newHouse(t, dbtest.Lite(t))
	v := h.visitor()
	cookies := []string{"_ga", "_ga_ABC", "_ga_DEF", "_gcl_au", "_fbp", "li_fat_id"}
	page := "/shop/kasser/model/x100.html"
	v.header.Set("Cookie", strings.Join(append(cookies, "PHPSESSID", "__Host-tillid", ""), "=1; "))
	deleted := map[string]bool{}
	at := func(w *httptest.ResponseRecorder) {
		t.Helper()
		size := 0
		for _, line := range w.Result().Header["Set-Cookie"] {
			size += len(line)
			c, err := http.ParseSetCookie(line)
			if err != nil {
				t.Fatal(line, err)
			}
			if c.MaxAge < 0 {
				deleted[fmt.Sprintf("%s %s %s", c.Name, c.Domain, c.Path)] = true
			}
		}
		if size > 8<<10 {
			t.Errorf("one answer has %d bytes of cookies", size)
		}
	}
	w := v.post(url.Values{"do": {"none"}, "return": {page + "?q=1"}})
	at(w)
	rounds := 0
	for strings.HasPrefix(w.Header().Get("Location"), forgetPath) {
		if rounds++; rounds > 20 {
			t.Fatal("it never ends")
		}
		w = v.do(v.request("GET", w.Header().Get("Location"), nil))
		at(w)
	}
	if rounds == 0 || w.Header().Get("Location") != page+"?q=1" {
		t.Errorf("after %d rounds it leads to %q", rounds, w.Header().Get("Location"))
	}
	for _, name := range cookies {
		for _, domain := range []string{"", "www.eksempel.example", "eksempel.example"} {
			for _, path := range []string{"/", "/shop", "/shop/", "/shop/kasser", "/shop/kasser/", "/shop/kasser/model", "/shop/kasser/model/", page} {
				if !deleted[name+" "+domain+" "+path] {
					t.Errorf("%s of domain %q and path %s stays", name, domain, path)
				}
			}
		}
	}
	for place := range deleted {
		if strings.HasPrefix(place, "PHPSESSID") || strings.HasPrefix(place, "tillid") || strings.HasPrefix(place, "__Host") {
			t.Errorf("deleted too much: %s", place)
		}
	}
}

func TestLeftovers(t *testing.T) {
	h := newHouse(t, dbtest.Lite(t))
	var got []string
	h.Leftover = func(r *http.Request, technology, name, page string) {
		got = append(got, technology+" "+name+" "+page)
	}
	v := h.visitor()
	v.header.Set("Cookie", "_ga=1; hidden_one=2; tillid_choice=x")
	send := func(body string) int {
		r := v.request("POST", leftPath, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		return v.do(r).Code
	}
	if code := send(`{"page":"/om-os","cookies":["_ga","_ga_X","odd"],"local":["_ga","profile"],"workers":["sw.js"]}`); code != http.StatusNoContent {
		t.Fatal(code)
	}
	want := []string{"cookie odd /om-os", "cookie hidden_one /om-os", "local_storage _ga /om-os", "local_storage profile /om-os", "service_worker sw.js /om-os"}
	if !slices.Equal(got, want) {
		t.Errorf("reported %q, want %q", got, want)
	}
	got = nil
	many, _ := json.Marshal(map[string][]string{"local": strings.Fields(strings.Repeat("x ", 1000))})
	if code := send(string(many)); code != http.StatusNoContent || len(got) != maxLeftover {
		t.Errorf("%d: %d reported of a thousand", code, len(got))
	}
	for body, want := range map[string]int{`{"values":["x"]}`: 422, `{`: 400, `{"local":["` + strings.Repeat("x", maxLeft) + `"]}`: 413} {
		if code := send(body); code != want {
			t.Errorf("%.20s: %d, want %d", body, code, want)
		}
	}
}

// Pages ask by service, purpose or category; a category is granted only when all
// of it is.
func TestHas(t *testing.T) {
	o := newOffer(planOnce())
	for _, c := range []struct {
		granted []string
		want    []string
	}{
		{nil, nil},
		{[]string{"google_analytics"}, []string{"analytics", "google_analytics", "measure_use", "performance", "statistics"}},
		{[]string{"google_ads", "meta_pixel"}, []string{"google_ads", "meta_pixel"}},
	} {
		if got := o.has(c.granted); !slices.Equal(got, c.want) {
			t.Errorf("%v: %v, want %v", c.granted, got, c.want)
		}
	}
	if got := o.named([]string{"marketing", "youtube", "show_video", "odd"}); !slices.Equal(got, []string{"google_ads", "meta_pixel", "linkedin_insight", "youtube", "youtube", "odd"}) {
		t.Errorf("named: %v", got)
	}
}

// The second layer has every fact of the choices page, and nothing ticked beforehand.
// Rows: A1, A2.
func TestSecondLayer(t *testing.T) {
	h := newHouse(t, dbtest.Lite(t))
	v := h.visitor()
	doc := v.get(layerPath + "?lang=en")
	form := doc.Find("form.tillid-layer")
	if n := form.Find("input[type=checkbox]").Length(); n != len(allServices) || form.Find("input[checked]").Length() > 0 {
		t.Errorf("%d boxes, %d ticked", n, form.Find("input[checked]").Length())
	}
	for _, want := range []string{"Google Ireland Limited", "(Ireland)", "United States", "_ga_*", "13 months", "third parties can read it", "No to everything", "Yes to everything"} {
		if !strings.Contains(form.Text(), want) {
			t.Errorf("the layer does not say %q", want)
		}
	}
	page := v.get("/privacy/choices?lang=en")
	for _, it := range newOffer(planOnce()).items {
		for _, d := range it.Devices {
			if !strings.Contains(page.Text(), d.ID) || !strings.Contains(form.Text(), d.ID) {
				t.Errorf("%s is not on both", d.ID)
			}
		}
	}
	v.send(`{"do":"add","services":["statistics"]}`)
	if got := v.get(layerPath+"?lang=da").Find("input[checked]").AttrOr("value", ""); got != "google_analytics" {
		t.Errorf("ticked after a yes: %q", got)
	}
}

// The answer says whether the page must be loaded anew: not when nothing from
// elsewhere comes in, always when something is taken away.
func TestReload(t *testing.T) {
	plan := *planOnce()
	plan.Device = append(slices.Clone(plan.Device), policy.DeviceAccess{ID: "theme", Technology: "local_storage", Category: "preferences", Purpose: "show_video", Party: "self"})
	o := newOffer(&plan)
	for _, c := range []struct {
		before, after []string
		want          bool
	}{
		{nil, nil, false}, {nil, []string{"own:show_video"}, false}, {nil, []string{"youtube"}, true},
		{[]string{"own:show_video"}, nil, true}, {[]string{"youtube"}, []string{"youtube"}, false},
	} {
		if got := o.other(c.before, c.after); got != c.want {
			t.Errorf("%v to %v: %v", c.before, c.after, got)
		}
	}
	if s := o.refused(nil); !slices.Equal(s.Local, []string{"theme"}) || !slices.Contains(s.Cookies, "_ga_*") {
		t.Errorf("refused %+v", s)
	}
}
