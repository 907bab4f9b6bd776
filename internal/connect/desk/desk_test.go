package desk

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"

	"github.com/tillid/tillid/internal/connect"
	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/subject"
)

func start(t *testing.T, s *Server) (*Client, *httptest.Server) {
	t.Helper()
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	at := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	return NewClient(srv.URL, func() time.Time { return at }), srv
}

func turn(t *testing.T, srv *httptest.Server, m Mode) {
	t.Helper()
	resp, err := http.PostForm(srv.URL+"/mode", url.Values{"mode": {string(m)}})
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("set mode %s: %s", m, resp.Status)
	}
}

func sample() connect.Outbound {
	return connect.Outbound{Record: "r1", Kind: "enquiry", Subject: "<b>Kasse</b> 1001", Fields: []subject.Shown{
		{Label: "E-mail", Value: "astrid@example.dk"}, {Label: "Besked", Value: "Kassen virker ikke."},
	}}
}

func TestSendProbeErase(t *testing.T) {
	ctx := t.Context()
	c, _ := start(t, &Server{})
	ref, receipt, err := c.Send(ctx, sample(), "k1")
	if err != nil || ref.ID == "" || receipt.RequestID == "" {
		t.Fatal(ref, receipt, err)
	}
	for _, key := range []string{"k1", "k2"} { // the look before creating finds it under any key
		if again, _, err := c.Send(ctx, sample(), key); err != nil || again != ref {
			t.Errorf("sent again under %s: %v, %v", key, again, err)
		}
	}
	for _, id := range []connect.Identifier{
		{Kind: connect.Reference, Value: "r1"}, {Kind: subject.Email, Value: "ASTRID@example.dk"},
	} {
		refs, err := c.Resolve(ctx, []connect.Identifier{id, id, {Kind: subject.Visitor, Value: "v"}})
		if err != nil || len(refs) != 1 || refs[0] != ref {
			t.Errorf("resolve by %s: %v, %v", id.Kind, refs, err)
		}
	}
	if p, err := c.Probe(ctx, ref); p != connect.Present || err != nil {
		t.Errorf("probe: %s, %v", p, err)
	}
	for range 2 { // idempotent
		if _, err := c.Erase(ctx, ref, "e1"); err != nil {
			t.Error(err)
		}
	}
	if p, err := c.Probe(ctx, ref); p != connect.Gone || err != nil {
		t.Errorf("probe after erasing: %s, %v", p, err)
	}
}

func TestIdempotencyKey(t *testing.T) {
	_, srv := start(t, &Server{})
	var ids []string
	for _, key := range []string{"same", "same", "other"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.URL+"/tickets", strings.NewReader(`{"reference":"r","kind":"","subject":"","fields":[]}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Idempotency-Key", key)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		ids = append(ids, string(b))
	}
	if ids[0] != ids[1] || ids[0] == ids[2] {
		t.Errorf("answers %q", ids)
	}
}

func TestKeepsWhatItSaysItDeleted(t *testing.T) {
	ctx := t.Context()
	c, srv := start(t, &Server{})
	ref, _, err := c.Send(ctx, sample(), "k1")
	if err != nil {
		t.Fatal(err)
	}
	turn(t, srv, Keep)
	if _, err := c.Erase(ctx, ref, "e1"); err != nil {
		t.Errorf("it must say yes: %v", err)
	}
	if p, err := c.Probe(ctx, ref); p != connect.Present || err != nil {
		t.Errorf("probe: %s, %v", p, err)
	}
}

// A system that is down is unavailable, never "deleted" and never "gone"; the
// error names no address.
func TestFaults(t *testing.T) {
	ctx := t.Context()
	c, srv := start(t, &Server{})
	ref, _, err := c.Send(ctx, sample(), "k1")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []Mode{Down, Broken, Busy} {
		turn(t, srv, m)
		_, err := c.Erase(ctx, ref, "e1")
		if fault.Of(err).Kind != fault.Unavailable || strings.Contains(err.Error(), srv.URL) || strings.Contains(err.Error(), "/"+ref.ID) {
			t.Errorf("%s: erase: %v", m, err)
		}
		if p, err := c.Probe(ctx, ref); p != connect.Unknown || err == nil {
			t.Errorf("%s: probe: %s, %v", m, p, err)
		}
		if _, _, err := c.Send(ctx, sample(), "k2"); fault.Of(err).Kind != fault.Unavailable {
			t.Errorf("%s: send: %v", m, err)
		}
	}
	turn(t, srv, Honest)
	if p, err := c.Probe(ctx, ref); p != connect.Present || err != nil {
		t.Errorf("afterwards: %s, %v", p, err)
	}
	for _, body := range []string{`{`, `{"x":1}`, `{"reference":""}`} {
		resp, err := http.Post(srv.URL+"/tickets", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %s", body, resp.Status)
		}
	}
}

func TestPage(t *testing.T) {
	file := filepath.Join(t.TempDir(), "desk.json")
	c, srv := start(t, &Server{File: file})
	if _, _, err := c.Send(t.Context(), sample(), "k1"); err != nil {
		t.Fatal(err)
	}
	turn(t, srv, Keep)
	_, again := start(t, &Server{File: file}) // a restart keeps tickets and switch
	for lang, title := range map[string]string{"da": "Helpdesken", "en": "The help desk"} {
		resp, err := http.Get(again.URL + "/?lang=" + lang)
		if err != nil {
			t.Fatal(err)
		}
		doc, err := goquery.NewDocumentFromReader(resp.Body)
		resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if got := doc.Find("h1").Text(); got != title {
			t.Errorf("%s: title %q", lang, got)
		}
		if got := doc.Find("article h3").Text(); !strings.Contains(got, "<b>Kasse</b> 1001") {
			t.Errorf("%s: ticket %q", lang, got)
		}
		if got := doc.Find("input[name=mode][checked]").AttrOr("value", ""); got != "keep" {
			t.Errorf("%s: switch stands at %q", lang, got)
		}
		if strings.Contains(doc.Text(), "⟦") || doc.Find("[style], script").Length() > 0 {
			t.Errorf("%s: missing text or inline code", lang)
		}
	}
}

// A ticket that is deleted late is present until it is gone; told again, it does
// not stay longer. The wait outlives a restart.
func TestPurgesLate(t *testing.T) {
	ctx := t.Context()
	at := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	file := filepath.Join(t.TempDir(), "desk.json")
	now := func() time.Time { return at }
	c, srv := start(t, &Server{File: file, Now: now})
	ref, _, err := c.Send(ctx, sample(), "k1")
	if err != nil {
		t.Fatal(err)
	}
	turn(t, srv, Late)
	for range 2 {
		if _, err := c.Erase(ctx, ref, "e1"); err != nil {
			t.Errorf("it must say yes: %v", err)
		}
		if p, err := c.Probe(ctx, ref); p != connect.Present || err != nil {
			t.Errorf("probe at %s: %s, %v", at, p, err)
		}
		at = at.Add(PurgeAfter - time.Second)
	}
	at = at.Add(-PurgeAfter + 2*time.Second)
	c, _ = start(t, &Server{File: file, Now: now})
	if p, err := c.Probe(ctx, ref); p != connect.Gone || err != nil {
		t.Errorf("probe after the purge: %s, %v", p, err)
	}
}

// A system that gives its tickets other ids does not pass for one that has
// forgotten: probe and deletion find them by our reference.
func TestForgetsIDs(t *testing.T) {
	ctx := t.Context()
	c, srv := start(t, &Server{})
	before, _, err := c.Send(ctx, sample(), "k1")
	if err != nil {
		t.Fatal(err)
	}
	turn(t, srv, Forget)
	out := sample()
	out.Record = "r2"
	during, _, err := c.Send(ctx, out, "k2") // the id it answers is old at once
	if err != nil {
		t.Fatal(err)
	}
	for _, ref := range []connect.Ref{before, during} {
		if refs, err := c.search(ctx, "id", ref.ID); err != nil || len(refs) > 0 {
			t.Fatalf("the id %s still holds: %v, %v", ref.ID, refs, err)
		}
		if p, err := c.Probe(ctx, ref); p != connect.Present || err != nil {
			t.Errorf("probe of %v: %s, %v", ref, p, err)
		}
		if _, err := c.Erase(ctx, ref, "e1"); err != nil {
			t.Error(err)
		}
		if p, err := c.Probe(ctx, ref); p != connect.Gone || err != nil {
			t.Errorf("probe of %v after erasing: %s, %v", ref, p, err)
		}
	}
}
