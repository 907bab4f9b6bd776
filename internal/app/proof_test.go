package app

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tillid/tillid/internal/consent"
	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/ledger"
	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/version"
)

// answered is what the site says about a choice.
type answered struct {
	Kind    string
	Receipt ledger.Promise
}

func chooseAs(t *testing.T, h *House, host, body string, cookies ...*http.Cookie) (answered, []*http.Cookie) {
	t.Helper()
	site, _ := h.Handlers()
	r := httptest.NewRequestWithContext(t.Context(), "POST", "http://"+host+"/_tillid/consent", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	for _, c := range cookies {
		r.AddCookie(c)
	}
	w := httptest.NewRecorder()
	site.ServeHTTP(w, r)
	var a answered
	if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil || w.Code != 200 {
		t.Fatal(w.Code, w.Body, err)
	}
	var kept []*http.Cookie
	for _, c := range w.Result().Cookies() {
		if c.Name == policy.ChoiceCookie {
			kept = append(kept, c)
		}
	}
	return a, kept
}

func dossierOf(t *testing.T, c *Client, leaf string) consent.Dossier {
	t.Helper()
	var d consent.Dossier
	if err := c.Call(t.Context(), "proof", url.Values{"leaf": {leaf}}, &d); err != nil {
		t.Fatal(err, fault.Of(err).Hint)
	}
	return d
}

func shownFile(t *testing.T, d consent.Dossier, name string) string {
	t.Helper()
	if d.Shown == nil {
		t.Fatal("nothing of what was shown is in the dossier")
	}
	for _, f := range d.Shown.Files {
		if f.Name == name {
			return f.Content
		}
	}
	t.Fatalf("%s is not in the dossier", name)
	return ""
}

// A dossier reproduces, byte for byte, what the visitor of a choice was shown, also
// when a later version says something else; beside a running server and without.
// Rows: E13.
func TestDossier(t *testing.T) {
	const host = "www.alfa.test"
	onEngines(t, "alfa", func(t *testing.T, dir string) {
		o, _ := testOptions(t, io.Discard)
		h := openHouse(t, dir, o)
		site, _ := h.Handlers()
		live := map[string]string{}
		look := func() {
			for name, at := range map[string]string{"banner.json": "/_tillid/state?lang=en", "layer.html": "/_tillid/layer?lang=en", "asset-u.js": "/_tillid/u.js", "choices.html": "/privacy/choices?lang=en", "asset-t.js": "/_tillid/t.js", "asset-t.css": "/_tillid/t.css"} {
				live[name] = send(t, site, "GET", host, at, nil).Body.String()
			}
		}
		look()
		old, _ := chooseAs(t, h, host, `{"do":"none","layer":"banner","lang":"en"}`)
		client := &Client{house: h}
		check := func(d consent.Dossier) {
			t.Helper()
			for name, want := range live {
				if got := shownFile(t, d, name); got != want || want == "" {
					t.Errorf("%s is not what was shown: %d bytes, want %d", name, len(got), len(want))
				}
			}
			leaf, err := d.Proof.Check(d.Verifier)
			if err != nil || leaf.ID != d.Leaf.ID || leaf.Facts["shown"] != d.ShownSHA256 {
				t.Errorf("proof: %v", err)
			}
			if _, err := consent.VerifyReceipt([]byte(d.Receipt), d.Verifier); err != nil {
				t.Errorf("receipt: %v", err)
			}
		}
		check(dossierOf(t, client, old.Receipt.LeafID))

		b, err := os.ReadFile(filepath.Join(dir, "tillid.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		changed := strings.Replace(string(b), "en: Count visits", "en: Count calls on us", 1)
		if _, err := h.versions.Publish(t.Context(), version.Draft{Name: "tillid.yaml", Source: []byte(changed), Files: Dir(dir), Author: "astrid"}); err != nil || changed == string(b) {
			t.Fatal(err)
		}
		check(dossierOf(t, client, old.Receipt.LeafID))
		first := live["banner.json"]
		look()
		if live["banner.json"] == first {
			t.Fatal("the banner did not change")
		}
		fresh, _ := chooseAs(t, h, host, `{"do":"none","layer":"banner","lang":"en"}`)

		l, err := h.listenSocket()
		if err != nil {
			t.Fatal(err)
		}
		server := &http.Server{Handler: h.Control()}
		go server.Serve(l)
		defer server.Close()
		beside, err := Connect(t.Context(), dir, o)
		if err != nil || !beside.Running() {
			t.Fatal("the running server was not reached", err)
		}
		defer beside.Close()
		d := dossierOf(t, beside, fresh.Receipt.LeafID)
		check(d)
		if d.Version.Number != 2 {
			t.Errorf("version %d", d.Version.Number)
		}
		var said strings.Builder
		for _, x := range d.Declaration {
			said.WriteString(x.Text)
			if !strings.Contains(changed, strings.TrimRight(x.Text, "\n")) {
				t.Errorf("%s is not as it was written", x.Path)
			}
		}
		for _, say := range []string{"Count calls on us", "proof_window: P6M", "Google Ireland Limited", "_ga:"} {
			if !strings.Contains(said.String(), say) {
				t.Errorf("the extract does not say %q", say)
			}
		}
		if err := beside.Call(t.Context(), "proof", url.Values{"leaf": {"NOSUCHLEAF"}}, nil); fault.Of(err).Kind != fault.NotFound {
			t.Errorf("a leaf that is not there: %v", err)
		}
	})
}

// The dossier of an answer to a banner that asked only about news has that very
// question, byte for byte as it came with the page, also after the declaration
// changed again. Rows: E13.
func TestDossierOfNews(t *testing.T) {
	const host = "www.alfa.test"
	onEngines(t, "alfa", func(t *testing.T, dir string) {
		o, _ := testOptions(t, io.Discard)
		h := openHouse(t, dir, o)
		site, _ := h.Handlers()
		source, err := os.ReadFile(filepath.Join(dir, "tillid.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		publish := func(old, new string) {
			t.Helper()
			changed := strings.Replace(string(source), old, new, 1)
			if _, err := h.versions.Publish(t.Context(), version.Draft{Name: "tillid.yaml", Source: []byte(changed), Files: Dir(dir), Author: "astrid"}); err != nil || changed == string(source) {
				t.Fatal("published", err)
			}
			source = []byte(changed)
		}
		_, cookies := chooseAs(t, h, host, `{"do":"all","layer":"banner","lang":"en"}`)
		publish("frame: [www.youtube-nocookie.com]", "frame: [www.youtube-nocookie.com, player.test]")
		var live struct {
			Ask json.RawMessage
		}
		page := send(t, site, "GET", host, "/_tillid/state?lang=en", nil, cookies...).Body.Bytes()
		if err := json.Unmarshal(page, &live); err != nil || !strings.Contains(string(live.Ask), "player.test") {
			t.Fatalf("asked %s %v", live.Ask, err)
		}
		news, _ := chooseAs(t, h, host, `{"do":"remove","services":["youtube"],"layer":"banner","lang":"en"}`, cookies...)
		whole, _ := chooseAs(t, h, host, `{"do":"none","layer":"banner","lang":"en"}`)
		publish("en: Count visits", "en: Count calls on us")
		client := &Client{house: h}
		d := dossierOf(t, client, news.Receipt.LeafID)
		if got := shownFile(t, d, "banner-news.json"); got != string(live.Ask) {
			t.Errorf("the dossier says %s, the page said %s", got, live.Ask)
		}
		if s := strings.Join(d.CannotShow, " "); strings.Contains(s, "subset") {
			t.Error("what is shown is said not to be: ", s)
		}
		again, _ := chooseAs(t, h, host, `{"do":"remove","services":["youtube"],"layer":"banner","lang":"en"}`, cookies...)
		if d := dossierOf(t, client, again.Receipt.LeafID); shownFile(t, d, "banner-news.json") == "" || d.Leaf.Facts["asked"] == "" {
			t.Error("another visitor's answer has no question")
		}
		d = dossierOf(t, client, whole.Receipt.LeafID)
		for _, f := range d.Shown.Files {
			if f.Name == "banner-news.json" {
				t.Error("who was asked everything is said to have been asked about news")
			}
		}
		if faults, err := h.ledger.Verify(t.Context(), nil); err != nil || len(faults) > 0 {
			t.Error(faults, err)
		}
	})
}

// A program that writes the banner in another way archives it under the same
// version, once.
func TestArchiveOfAnotherProgram(t *testing.T) {
	onEngines(t, "alfa", func(t *testing.T, dir string) {
		o, _ := testOptions(t, io.Discard)
		h := openHouse(t, dir, o)
		count := func() (n int) {
			t.Helper()
			if err := h.folder.db.QueryRow(t.Context(), `select count(*) from shown where document like 'banner-%'`).Scan(&n); err != nil {
				t.Fatal(err)
			}
			return n
		}
		if n := count(); n != 2 {
			t.Fatalf("%d banners are archived for two languages", n)
		}
		if _, err := h.folder.db.Exec(t.Context(), `delete from shown where document like 'banner-%'`); err != nil {
			t.Fatal(err) // as if an older program had published
		}
		for range 2 {
			if err := h.archiveShown(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if n := count(); n != 2 {
			t.Errorf("%d banners are archived", n)
		}
		recent, err := h.ledger.Recent(t.Context(), 1, 0)
		if err != nil || recent[0].Kind != "version.shown" || len(recent[0].Facts) != 3 {
			t.Errorf("leaf %+v %v", recent, err)
		}
	})
}

// What is kept about a visitor goes when the dispute window after the withdrawal has
// passed; what was asked and answered stays provable. Rows: E2, E10.
func TestDisputeWindowEnds(t *testing.T) {
	const host = "www.alfa.test"
	onEngines(t, "alfa", func(t *testing.T, dir string) {
		o, _ := testOptions(t, io.Discard)
		var ahead atomic.Int64
		o.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
		h := openHouse(t, dir, o)
		_, cookies := chooseAs(t, h, host, `{"do":"all","layer":"banner","lang":"da"}`)
		gone, _ := chooseAs(t, h, host, `{"do":"none","layer":"page","lang":"da"}`, cookies...)
		if gone.Kind != "withdrawn" {
			t.Fatal(gone.Kind)
		}
		tables := func() map[string]int {
			t.Helper()
			all := map[string]int{}
			for _, table := range []string{"person", "identifier", "record", "choice"} {
				var n int
				if err := h.folder.db.QueryRow(t.Context(), `select count(*) from `+table).Scan(&n); err != nil {
					t.Fatal(err)
				}
				all[table] = n
			}
			return all
		}
		sweep := func(after time.Duration) map[string]int {
			t.Helper()
			ahead.Store(int64(after))
			if _, err := h.retain.Sweep(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := h.runner.Drain(t.Context()); err != nil {
				t.Fatal(err)
			}
			return tables()
		}
		const day = 24 * time.Hour
		if n := sweep(180 * day); n["person"] != 1 || n["record"] != 2 || n["choice"] != 2 {
			t.Errorf("within the window: %v", n)
		}
		for table, n := range sweep(185 * day) {
			if n != 0 {
				t.Errorf("%d rows are left in %s after the window", n, table)
			}
		}
		d := dossierOf(t, &Client{house: h}, gone.Receipt.LeafID)
		if d.Shown == nil || d.Proof == nil || d.Leaf.Facts["withdrawn"] != "measure_use,show_video,aim_marketing" {
			t.Errorf("the documentation is gone: %+v", d.Leaf)
		}
		if faults, err := h.ledger.Verify(context.Background(), nil); err != nil || len(faults) > 0 {
			t.Error(faults, err)
		}
	})
}
