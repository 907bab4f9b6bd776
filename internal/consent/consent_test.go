package consent

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"

	"github.com/tillid/tillid/examples/eksempel"
	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/db/dbtest"
	"github.com/tillid/tillid/internal/ledger"
	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/subject"
	"github.com/tillid/tillid/internal/web"
)

// house is a running consent service with what it needs around it.
type house struct {
	*Service
	t    testing.TB
	mu   sync.Mutex
	now  time.Time
	plan *policy.Plan
	mux  *http.ServeMux
}

var planOnce = sync.OnceValue(func() *policy.Plan { return parse(nil) })

// parse compiles the example, with texts of it replaced.
func parse(replace map[string]string) *policy.Plan {
	src, err := eksempel.Files.ReadFile("tillid.yaml")
	if err != nil {
		panic(err)
	}
	s := string(src)
	for from, to := range replace {
		if !strings.Contains(s, from) {
			panic("the example does not contain " + from)
		}
		s = strings.Replace(s, from, to, 1)
	}
	plan, problems := policy.Parse("tillid.yaml", []byte(s), eksempel.Files)
	if plan == nil {
		panic(problems)
	}
	return plan
}

func newHouse(t testing.TB, dsn func(string) string) *house {
	t.Helper()
	h := &house{t: t, now: time.Date(2026, 11, 22, 14, 5, 6, 0, time.UTC), plan: planOnce()}
	clock := func() time.Time { h.mu.Lock(); defer h.mu.Unlock(); return h.now }
	current := func() *policy.Plan { h.mu.Lock(); defer h.mu.Unlock(); return h.plan }
	d := dbtest.Open(t, dsn("house"))
	store, err := db.Open(t.Context(), dsn("keys"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	keys := &subject.Keys{DB: store, House: "test", KEK: make([]byte, 32), Now: clock}
	if err := keys.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	skey, _, err := ledger.GenerateKey("tillid/test")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ledger.NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	h.Service = &Service{
		DB: d, Plan: current, Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Now: clock, Secret: []byte(strings.Repeat("s", 32)),
		Subjects: &subject.Service{DB: d, Keys: keys, Plan: current, Now: clock, Index: make([]byte, 32)},
		Ledger:   &ledger.Log{DB: d, Origin: "test", Signer: signer, Now: clock},
		House:    &web.House{Plan: current},
	}
	h.mux = http.NewServeMux()
	h.PublicRoutes(h.mux)
	return h
}

func each(t *testing.T, f func(t *testing.T, h *house)) {
	dbtest.EachDSN(t, func(t *testing.T, dsn func(string) string) { f(t, newHouse(t, dsn)) })
}

func (h *house) later(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = h.now.Add(d)
}

func (h *house) publish(p *policy.Plan) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.plan = p
}

const siteHost = "www.eksempel.example"

// visitor is a browser without JavaScript.
type visitor struct {
	h      *house
	jar    *cookiejar.Jar
	header http.Header
	last   *httptest.ResponseRecorder
}

func (h *house) visitor() *visitor {
	jar, err := cookiejar.New(nil)
	if err != nil {
		h.t.Fatal(err)
	}
	return &visitor{h: h, jar: jar, header: http.Header{"Accept-Language": {"en"}}}
}

var siteURL = &url.URL{Scheme: "https", Host: siteHost, Path: "/"}

func (v *visitor) request(method, path string, body io.Reader) *http.Request {
	r := httptest.NewRequest(method, "https://"+siteHost+path, body)
	for k, values := range v.header {
		r.Header[k] = values
	}
	for _, c := range v.jar.Cookies(siteURL) {
		r.AddCookie(c)
	}
	return r
}

func (v *visitor) do(r *http.Request) *httptest.ResponseRecorder {
	v.last = httptest.NewRecorder()
	v.h.mux.ServeHTTP(v.last, r)
	v.jar.SetCookies(siteURL, v.last.Result().Cookies())
	return v.last
}

func (v *visitor) get(path string) *goquery.Document {
	v.h.t.Helper()
	w := v.do(v.request("GET", path, nil))
	if w.Code != 200 {
		v.h.t.Fatalf("GET %s: %d %s", path, w.Code, w.Body)
	}
	doc, err := goquery.NewDocumentFromReader(w.Body)
	if err != nil {
		v.h.t.Fatal(err)
	}
	return doc
}

func (v *visitor) post(form url.Values) *httptest.ResponseRecorder {
	r := v.request("POST", "/_tillid/consent", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return v.do(r)
}

func (v *visitor) send(json string) *httptest.ResponseRecorder {
	v.h.mu.Lock()
	v.h.now = v.h.now.Add(time.Millisecond) // so that leaves have an order
	v.h.mu.Unlock()
	r := v.request("POST", "/_tillid/consent", strings.NewReader(json))
	r.Header.Set("Content-Type", "application/json")
	return v.do(r)
}

func (v *visitor) state() State { return v.h.Granted(v.request("GET", "/", nil)) }

func (v *visitor) cookie() string {
	for _, c := range v.jar.Cookies(siteURL) {
		if c.Name == policy.ChoiceCookie {
			return c.Value
		}
	}
	return ""
}

func (h *house) leaves() []ledger.Entry {
	h.t.Helper()
	list, err := h.Ledger.Recent(h.t.Context(), 100, 0)
	if err != nil {
		h.t.Fatal(err)
	}
	return list
}

func (h *house) count(table string) (n int) {
	h.t.Helper()
	if err := h.DB.QueryRow(h.t.Context(), `select count(*) from `+table).Scan(&n); err != nil {
		h.t.Fatal(err)
	}
	return n
}

var allServices = []string{"google_analytics", "youtube", "google_ads", "meta_pixel", "linkedin_insight"}

// Rows: A1, A3, A4.
func TestNo(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		a, b := h.visitor(), h.visitor()
		for _, v := range []*visitor{a, b} {
			w := v.send(`{"do":"none","layer":"banner","lang":"da"}`)
			if w.Code != 200 {
				t.Fatal(w.Code, w.Body)
			}
			if s := v.state(); !s.Decided || len(s.Services) > 0 || s.Visitor != "" {
				t.Errorf("after a no: %+v", s)
			}
			h.later(time.Minute)
		}
		if a.cookie() == "" || a.cookie() != b.cookie() {
			t.Errorf("the cookies of two refusals differ: %q, %q", a.cookie(), b.cookie())
		}
		for table, want := range map[string]int{"person": 0, "record": 0, "identifier": 0, "choice": 2, "leaf": 2} {
			if n := h.count(table); n != want {
				t.Errorf("%d rows in %s, want %d", n, table, want)
			}
		}
		leaf := h.leaves()[0]
		if leaf.Kind != "consent.refused" || leaf.Commitment != nil || leaf.Facts["language"] != "da" || leaf.Facts["purposes"] != "" || len(leaf.Facts["shown"]) != 64 {
			t.Errorf("leaf %+v", leaf)
		}
	})
}

// Rows: A1, A3, A5, A8.
func TestYesAndWithdrawal(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		v := h.visitor()
		v.jar.SetCookies(siteURL, []*http.Cookie{{Name: "_ga_ABC", Value: "1"}, {Name: "PHPSESSID", Value: "2"}})
		w := v.send(`{"do":"all","layer":"banner","lang":"en"}`)
		var answer struct {
			Granted []string
			Receipt ledger.Promise
		}
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || w.Code != 200 {
			t.Fatal(w.Code, w.Body, err)
		}
		if !slices.Equal(answer.Granted, allServices) || answer.Receipt.Note == "" {
			t.Errorf("answer %+v", answer)
		}
		s := v.state()
		if !slices.Equal(s.Services, allServices) || !slices.Equal(s.Purposes, []string{"measure_use", "show_video", "aim_marketing"}) || s.Visitor == "" {
			t.Errorf("state %+v", s)
		}
		set := w.Result().Cookies()
		i := slices.IndexFunc(set, func(c *http.Cookie) bool { return c.Name == policy.ChoiceCookie })
		if c := set[i]; !c.HttpOnly || !c.Secure || c.Path != "/" || c.Domain != "" || c.SameSite != http.SameSiteLaxMode || c.MaxAge != 365*24*60*60 {
			t.Errorf("cookie %+v", c)
		}
		for table, want := range map[string]int{"person": 1, "record": 1, "identifier": 1, "choice": 1, "leaf": 1} {
			if n := h.count(table); n != want {
				t.Errorf("%d rows in %s, want %d", n, table, want)
			}
		}
		if leaf := h.leaves()[0]; leaf.Kind != "consent.given" || len(leaf.Commitment) != 32 {
			t.Errorf("leaf %+v", leaf)
		}
		if b, _ := json.Marshal(h.leaves()); strings.Contains(string(b), s.Visitor.Reveal()) {
			t.Error("the log holds the visitor's id")
		}

		h.later(time.Hour)
		w = v.post(url.Values{"do": {"none"}, "layer": {"page"}, "lang": {"en"}, "return": {"/privacy/choices"}})
		if w.Code != http.StatusSeeOther || !strings.HasPrefix(w.Header().Get("Location"), "/privacy/choices?") {
			t.Fatal(w.Code, w.Header(), w.Body)
		}
		deleted := map[string]int{}
		for _, c := range w.Result().Cookies() {
			if c.MaxAge < 0 {
				deleted[c.Name]++
			}
		}
		for _, name := range []string{"_ga", "_ga_ABC", "_gcl_au", "_fbp", "li_fat_id"} {
			if deleted[name] < 3 { // host alone, www.eksempel.example, eksempel.example
				t.Errorf("%s is deleted in %d variants", name, deleted[name])
			}
		}
		if deleted["PHPSESSID"] > 0 || deleted[policy.ChoiceCookie] > 0 {
			t.Errorf("deleted too much: %v", deleted)
		}
		if s := v.state(); !s.Decided || len(s.Services) > 0 || s.Visitor != "" {
			t.Errorf("after withdrawal: %+v", s)
		}
		if leaf := h.leaves()[0]; leaf.Kind != "consent.withdrawn" || len(leaf.Commitment) != 32 {
			t.Errorf("leaf %+v", leaf)
		}
		due, err := h.Subjects.Due(t.Context(), h.DB, h.now.AddDate(0, 6, 1), 10)
		if err != nil || len(due) != 2 {
			t.Errorf("%d records go half a year after withdrawal, want 2: %v", len(due), err)
		}
	})
}

func TestPartialChoices(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		v := h.visitor()
		for _, step := range []struct {
			form url.Values
			want []string
		}{
			{url.Values{"do": {"some"}, "service": {"youtube", "google_ads"}}, []string{"youtube", "google_ads"}},
			{url.Values{"do": {"add"}, "service": {"google_analytics"}, "return": {"/produkter?x=1"}}, []string{"google_analytics", "youtube", "google_ads"}},
			{url.Values{"do": {"remove"}, "service": {"youtube"}}, []string{"google_analytics", "google_ads"}},
			{url.Values{"do": {"allow:aim_marketing"}}, []string{"google_analytics", "google_ads", "meta_pixel", "linkedin_insight"}},
			{url.Values{"do": {"refuse:aim_marketing"}, "service": {"youtube"}}, []string{"google_analytics"}},
		} {
			if w := v.post(step.form); w.Code != http.StatusSeeOther {
				t.Fatal(step.form, w.Code, w.Body)
			} else if back := step.form.Get("return"); back != "" && w.Header().Get("Location") != back {
				t.Errorf("leads to %s, want %s", w.Header().Get("Location"), back)
			}
			if got := v.state().Services; !slices.Equal(got, step.want) {
				t.Errorf("%v: %v, want %v", step.form, got, step.want)
			}
		}
		if n := h.count("person"); n != 1 {
			t.Errorf("%d persons, want 1", n)
		}
	})
}

func TestBadChoices(t *testing.T) {
	h := newHouse(t, dbtest.Lite(t))
	v := h.visitor()
	for body, want := range map[string]int{
		`{"do":"some","services":["tracker"]}`: 422, `{"do":"everything"}`: 422, `{"do":"allow:run_pos"}`: 422, `{}`: 422,
		`{"do":"all","extra":1}`: 422, `{`: 400, `{"do":"all"}{}`: 400, `"` + strings.Repeat("x", 70<<10): 413,
	} {
		if w := v.send(body); w.Code != want {
			t.Errorf("%.40s: %d, want %d", body, w.Code, want)
		}
	}
	r := v.request("POST", "/_tillid/consent", strings.NewReader(`do=all`))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	if w := v.do(r); w.Code != 403 {
		t.Errorf("from another site: %d", w.Code)
	}
	if n := h.count("choice"); n != 0 {
		t.Errorf("%d choices kept", n)
	}
	for _, to := range []string{"//evil.example/", "https://evil.example/", `/\evil.example`, "javascript:alert(1)", "", "/a\r\nSet-Cookie: x=1", "/%0d%0a\x00"} {
		if got := returnPath(to); got != choicesPath && strings.ContainsAny(got, "\r\n\\") || strings.HasPrefix(got, "//") || strings.Contains(got, "evil.example") {
			t.Errorf("%q leads to %q", to, got)
		}
	}
}

// Whatever the cookie is like, nothing is granted by it unless we signed it for
// today's questions.
func TestFailsClosed(t *testing.T) {
	h := newHouse(t, dbtest.Lite(t))
	v := h.visitor()
	v.send(`{"do":"all"}`)
	good := v.cookie()
	with := func(value string) State {
		r := httptest.NewRequest("GET", "https://"+siteHost+"/", nil)
		r.AddCookie(&http.Cookie{Name: policy.ChoiceCookie, Value: value})
		return h.Granted(r)
	}
	if !with(good).Has("youtube") {
		t.Fatal("the cookie itself grants nothing")
	}
	for i := range good {
		for _, c := range []string{"A", "_"} {
			if bad := good[:i] + c + good[i+1:]; bad != good && len(with(bad).Services) > 0 {
				t.Fatalf("altered at %d, it still grants", i)
			}
		}
	}
	for i := range good {
		if s := with(good[:i]); s.Decided || len(s.Services) > 0 {
			t.Fatalf("cut at %d, it still grants", i)
		}
	}
	other := h.Secret
	h.Secret = []byte(strings.Repeat("o", 32))
	if s := with(good); s.Decided {
		t.Error("another house's cookie counts")
	}
	h.Secret = other
	h.publish(parse(map[string]string{"frame: [www.youtube-nocookie.com]": "frame: [www.youtube.com]"}))
	if s := with(good); s.Decided || s.Has("youtube") || s.Visitor == "" {
		t.Errorf("the declaration changed, and the old choice counts: %+v", s)
	}
	h.publish(parse(map[string]string{"da: Tælle besøg, en: Count visits": "da: Tælle besøgene, en: Count the visits"}))
	if s := with(good); !s.Has("youtube") {
		t.Error("a mended word asks everybody again")
	}
	h.publish(nil)
	if s := with(good); s.Decided || len(s.Services) > 0 {
		t.Error("granted without a declaration")
	}
	h.publish(planOnce())
	h.later(-48 * time.Hour)
	if s := with(good); s.Decided {
		t.Error("a choice from the future counts")
	}
	h.later(48*time.Hour + 366*24*time.Hour)
	if s := with(good); s.Decided {
		t.Error("a choice that is too old counts")
	}
}

func FuzzDecode(f *testing.F) {
	s := &Service{Secret: []byte(strings.Repeat("s", 32))}
	o := newOffer(planOnce())
	state := State{Visitor: newVisitor()}
	answers := make([]answer, len(o.items))
	for i := range answers {
		answers[i] = answer{said: true, yes: i%2 == 0, at: time.Unix(1_800_000_000+int64(i%3), 0)}
	}
	state.read(o, answers)
	f.Add(s.encode(o, state))
	f.Add("")
	f.Fuzz(func(t *testing.T, v string) {
		k, ok := s.decode(v)
		if !ok && (k.visitor != "" || len(k.moments) > 0) {
			t.Error("a value that is refused has content")
		}
	})
}

// Rows: A1.
func TestGPC(t *testing.T) {
	h := newHouse(t, dbtest.Lite(t))
	v := h.visitor()
	v.header.Set("Sec-GPC", "1")
	if doc := v.get("/privacy/choices"); !strings.Contains(doc.Text(), "Global Privacy Control") {
		t.Error("the page does not say that GPC was seen")
	}
	var set settings
	v.get("/_tillid/state")
	w := v.do(v.request("GET", "/_tillid/state?lang=en", nil))
	if err := json.Unmarshal(w.Body.Bytes(), &set); err != nil || set.Ask == nil || set.Ask.GPC == "" || strings.Contains(set.Ask.Text, "advert") {
		t.Errorf("banner %+v %v", set.Ask, err)
	}
	v.send(`{"do":"all","layer":"banner"}`)
	if s := v.state(); s.Has("google_ads") || !s.Has("youtube") {
		t.Errorf("yes under GPC grants %v", s.Services)
	}
	v.send(`{"do":"add","services":["google_ads"],"layer":"page"}`)
	if !v.state().Has("google_ads") {
		t.Error("an explicit later choice does not win")
	}
	v.header.Set("Sec-GPC", "true")
	if v.state().GPC {
		t.Error("another value of the header counts")
	}
	if w := v.do(v.request("GET", "/.well-known/gpc.json", nil)); !strings.Contains(w.Body.String(), `"gpc":true`) || !strings.Contains(w.Body.String(), "2026-11-01") {
		t.Error(w.Body)
	}
}

// The page does everything without JavaScript, with nothing ticked beforehand.
// Rows: A1, A2, A4.
func TestChoicesPage(t *testing.T) {
	h := newHouse(t, dbtest.Lite(t))
	v := h.visitor()
	doc := v.get("/privacy/choices?lang=da")
	boxes := doc.Find(`input[type=checkbox][name=service]`)
	if boxes.Length() != 5 || boxes.Filter("[checked]").Length() != 0 {
		t.Errorf("%d boxes, %d ticked", boxes.Length(), boxes.Filter("[checked]").Length())
	}
	for _, say := range []string{"Google Ireland Limited", "LinkedIn Insight Tag", "_fbp", "13 måneder", "US", "tillid_choice", "Tælle besøg"} {
		if !strings.Contains(doc.Text(), say) {
			t.Errorf("the page does not say %q", say)
		}
	}
	yes, no := doc.Find(`button[value=all]`), doc.Find(`button[value=none]`)
	if yes.Length() != 1 || no.Length() != 1 || yes.AttrOr("class", "") != no.AttrOr("class", "") || yes.Parent().Nodes[0] != no.Parent().Nodes[0] {
		t.Error("yes and no are not equal")
	}
	w := v.post(url.Values{"do": {"some"}, "service": {"youtube"}, "layer": {"page"}, "lang": {"da"}, "return": {"/privacy/choices"}})
	doc = v.get(w.Header().Get("Location"))
	if doc.Find(`input[checked]`).Length() != 1 || doc.Find(`#item-youtube[checked]`).Length() != 1 || !strings.Contains(doc.Text(), "Dit valg er gemt") {
		t.Error("the page does not show the choice")
	}
	link, ok := doc.Find(`a[href^="/privacy/choices/receipt/"]`).Attr("href")
	if !ok {
		t.Fatal("no receipt")
	}
	at, ok := v.get(link).Find(`a[download]`).Attr("href")
	if !ok {
		t.Fatal("no file")
	}
	if r := v.receipt(at); r.Evidence.Proof != nil || r.Evidence.Promise.Check(r.Evidence.Verifier) != nil {
		t.Errorf("a receipt that waits for its number: %+v", r.Evidence)
	}
	if _, err := h.Ledger.Sequence(t.Context()); err != nil {
		t.Fatal(err)
	}
	receipt := v.receipt(at).Evidence
	if leaf, err := receipt.Proof.Check(receipt.Verifier); err != nil || leaf.Facts["services"] != "youtube" {
		t.Error(leaf, err)
	}
}

// A visitor sees who was let in on which choice, and erases it. Rows: E13, E14.
func TestErasedVisitor(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		v := h.visitor()
		v.send(`{"do":"all"}`)
		person, ok, err := h.Subjects.Find(t.Context(), h.DB, subject.Visitor, v.state().Visitor)
		if err != nil || !ok {
			t.Fatal(ok, err)
		}
		records, err := h.Subjects.Of(t.Context(), h.DB, person)
		if err != nil || len(records) != 1 {
			t.Fatal(records, err)
		}
		view, err := h.Show(t.Context(), h.DB, records[0], "en")
		if err != nil || len(view.Fields) != 3 || view.Fields[0].Data != "choice.record" {
			t.Errorf("view %+v %v", view, err)
		}
		err = h.DB.Do(t.Context(), func(ctx context.Context, tx *db.Tx) error {
			for range 2 { // twice is as good as once
				if _, err := h.Apply(ctx, tx, records[0], subject.Delete); err != nil {
					return err
				}
			}
			_, err := h.Subjects.Forget(ctx, tx, records)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if w := v.send(`{"do":"none"}`); w.Code != 200 {
			t.Fatal(w.Code, w.Body)
		}
		if kind := h.leaves()[0].Kind; kind != "consent.refused" {
			t.Errorf("a no after erasure is %s", kind)
		}
		for _, table := range []string{"person", "record", "identifier"} {
			if n := h.count(table); n != 0 {
				t.Errorf("%d rows in %s", n, table)
			}
		}
	})
}

func TestStaffPage(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		for i, body := range []string{`{"do":"all","lang":"da"}`, `{"do":"none","lang":"da"}`, `{"do":"some","services":["youtube"],"lang":"en"}`} {
			h.later(time.Duration(i) * time.Minute)
			for range 5 {
				if w := h.visitor().send(body); w.Code != 200 {
					t.Fatal(w.Body)
				}
			}
		}
		w := httptest.NewRecorder()
		web.Wrap(h.Log, h.consentPage).ServeHTTP(w, httptest.NewRequest("GET", "/consent?lang=en", nil))
		doc, err := goquery.NewDocumentFromReader(w.Body)
		if err != nil || w.Code != 200 {
			t.Fatal(w.Code, err)
		}
		tables := doc.Find("table")
		if got := strings.Join(strings.Fields(tables.Eq(0).Find("tbody").Text()), " "); got != "Count visits510033 % Play videos from YouTube105067 % Measure and aim advertisements510033 %" {
			t.Error(got)
		}
		if n := tables.Eq(2).Find("tbody tr").Length(); n != 15 {
			t.Errorf("%d recent choices", n)
		}
	})
}
