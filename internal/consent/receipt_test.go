package consent

import (
	"bytes"
	"encoding/json"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"
	"github.com/jba/templatecheck"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"pgregory.net/rapid"

	"github.com/tillid/tillid/internal/db/dbtest"
	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/ledger"
	"github.com/tillid/tillid/internal/web"
)

func TestTemplates(t *testing.T) {
	for name, data := range map[string]struct {
		layout string
		page   any
	}{
		"choices": {web.Public, choicesPage{}}, "receipt": {web.Public, receiptPage{}}, "parties": {web.Public, partiesPage{}},
		"consent": {web.Backoffice, consentPage{}}, "shown": {web.Backoffice, shownPage{}}, "layer": {web.Bare, layerPage{}},
	} {
		if err := templatecheck.CheckHTML(pages.Template(name, data.layout), data.page); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := len(pages.Names()); n != 6 {
		t.Errorf("%d pages, 6 are checked", n)
	}
}

// file gets a receipt's file.
func (v *visitor) file(at string) []byte {
	v.h.t.Helper()
	w := v.do(v.request("GET", at, nil))
	if w.Code != 200 || w.Header().Get("Content-Type") != "application/ld+json" {
		v.h.t.Fatalf("GET %s: %d %s", at, w.Code, w.Header().Get("Content-Type"))
	}
	return w.Body.Bytes()
}

// receipt gets a receipt's file and verifies it.
func (v *visitor) receipt(at string) Receipt {
	v.h.t.Helper()
	r, err := VerifyReceipt(v.file(at), v.h.Ledger.Signer.Verifier())
	if err != nil {
		v.h.t.Fatal(err)
	}
	return r
}

func (h *house) sequence() {
	h.t.Helper()
	if _, err := h.Ledger.Sequence(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
}

// newestLeaf returns the number of the last choice.
func (h *house) newestLeaf() string { return h.leaves()[0].ID }

func receiptSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	b, err := os.Open("../../docs/consent-receipt.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	doc, err := jsonschema.UnmarshalJSON(b)
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("receipt.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("receipt.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// Every kind of choice has a receipt in the terms of ISO/IEC TS 27560, which fits
// the published schema and says what was answered. Rows: E10, E13.
func TestReceipts(t *testing.T) {
	schema := receiptSchema(t)
	each(t, func(t *testing.T, h *house) {
		v := h.visitor()
		take := func(kind string, statuses ...string) Receipt {
			t.Helper()
			leaf := h.newestLeaf()
			at := receiptPath + h.ticket(leaf) + ".json?lang=en"
			v.receipt(at) // with the promise alone
			h.sequence()
			file := v.file(at)
			doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(file))
			if err != nil {
				t.Fatal(err)
			}
			if err := schema.Validate(doc); err != nil {
				t.Errorf("%s: %v", kind, err)
			}
			r := v.receipt(at)
			for i, p := range r.Record.Process {
				if got := word(p.Status[0].Type[0]); got != statuses[i] {
					t.Errorf("%s: %s is %s, want %s", kind, p.Purpose[0].ID, got, statuses[i])
				}
			}
			if r.Evidence.Proof == nil || !r.Pinned {
				t.Errorf("%s: no proof", kind)
			}
			return r
		}
		v.send(`{"do":"none","layer":"banner","lang":"en"}`)
		if r := take("refused", "refused", "refused", "refused"); r.Record.Subject.ID != "tillid:nobody" || len(r.History) != 0 {
			t.Errorf("the receipt of a no is about somebody: %+v", r.Record.Subject)
		}
		v.send(`{"do":"some","services":["youtube","meta_pixel"],"layer":"page","lang":"da"}`)
		r := take("given", "refused", "given", "given")
		if r.Record.Notice[0].Layer != "page" || r.Record.Language != "da" || r.Record.Process[1].Purpose[0].Label != "Vise video fra YouTube" || len(r.History) != 2 {
			t.Errorf("%+v", r)
		}
		v.send(`{"do":"remove","services":["meta_pixel"],"layer":"page","lang":"en"}`)
		take("changed", "refused", "given", "withdrawn")
		v.send(`{"do":"none","layer":"page","lang":"en"}`)
		if r := take("withdrawn", "refused", "withdrawn", "refused"); len(r.History) != 2 || r.History[0].Until.IsZero() || r.History[1].Until.IsZero() {
			t.Errorf("history %+v", r.History)
		}
		v.send(`{"do":"all","layer":"banner","lang":"en"}`)
		h.later(400 * 24 * time.Hour)
		h.lapse()
		take("expired", "expired", "expired", "expired")
	})
}

// Whoever withdraws on the banner's script is led to the receipt of that, once: a
// page, and a file in the terms of ISO/IEC TS 27560. Rows: E10, E13.
func TestReceiptOfWithdrawal(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		v := h.visitor()
		answer := func(body string) (a struct{ Proof *proof }) {
			t.Helper()
			if err := json.Unmarshal(v.send(body).Body.Bytes(), &a); err != nil {
				t.Fatal(err)
			}
			return a
		}
		if a := answer(`{"do":"all","layer":"banner","lang":"en"}`); a.Proof != nil {
			t.Errorf("a yes leads to %+v: the choices page does", a.Proof)
		}
		a := answer(`{"do":"none","layer":"banner","lang":"en"}`)
		if a.Proof == nil || a.Proof.Label != "See your receipt" {
			t.Fatalf("the withdrawal leads to %+v", a.Proof)
		}
		if state := v.state(); state.Visitor != "" {
			t.Error("the browser still holds an id")
		}
		h.sequence()
		page := v.get(a.Proof.At)
		file, there := page.Find("a[download]").Attr("href")
		if !there {
			t.Fatalf("no receipt at %s:\n%s", a.Proof.At, page.Text())
		}
		r := v.receipt(file)
		if got := r.Record.Process[0].Status[0].Type[0]; got != statusWithdrawn || r.Evidence.Proof == nil {
			t.Errorf("the receipt says %s", got)
		}
		if a := answer(`{"do":"none","layer":"banner","lang":"en"}`); a.Proof != nil {
			t.Error("a plain no leads to a receipt of a withdrawal")
		}
	})
}

// One changed byte anywhere in a receipt is noticed, and so is another key.
func TestReceiptForged(t *testing.T) {
	h := newHouse(t, dbtest.Lite(t))
	v := h.visitor()
	v.send(`{"do":"some","services":["youtube"],"lang":"en"}`)
	h.sequence()
	whole := v.file(receiptPath + h.newestLeaf() + ".json")
	if _, err := VerifyReceipt(whole, ""); err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(whole); i += 7 { // each check takes a millisecond
		for _, bit := range []byte{1, 32} {
			forged := bytes.Clone(whole)
			forged[i] ^= bit
			if _, err := VerifyReceipt(forged, ""); err == nil {
				t.Fatalf("byte %d (%q) was changed unseen", i, whole[max(0, i-20):i+20])
			}
		}
	}
	end := bytes.LastIndex(whole, []byte("tillid:evidence"))
	rapid.Check(t, func(rt *rapid.T) {
		forged := bytes.Clone(whole)
		forged[rapid.IntRange(end, len(forged)-1).Draw(rt, "at")] ^= rapid.ByteRange(1, 255).Draw(rt, "xor")
		if _, err := VerifyReceipt(forged, ""); err == nil {
			rt.Fatal("a change was unseen")
		}
	})
	for _, short := range [][]byte{nil, whole[:len(whole)-1], append(bytes.Clone(whole), '\n')} {
		if _, err := VerifyReceipt(short, ""); err == nil {
			t.Error("a cut or longer receipt verifies")
		}
	}
	_, other, err := ledger.GenerateKey("tillid/other")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := VerifyReceipt(whole, other); fault.Of(err).Kind != fault.Invalid {
		t.Errorf("another key: %v", err)
	}
}

// A house that signs a receipt which says something else than its log is found out.
func TestReceiptAgainstLog(t *testing.T) {
	h := newHouse(t, dbtest.Lite(t))
	h.visitor().send(`{"do":"some","services":["youtube"],"lang":"en"}`)
	h.sequence()
	r, err := h.Receipt(t.Context(), h.newestLeaf())
	if err != nil {
		t.Fatal(err)
	}
	for name, lie := range map[string]func(*Receipt){
		"a no that was a yes":  func(r *Receipt) { r.Record.Process[1].Status[0].Type = []string{statusRefused} },
		"a yes that was a no":  func(r *Receipt) { r.Record.Process[0].Status[0].Type = []string{statusGiven} },
		"another moment":       func(r *Receipt) { r.Record.Created = r.Record.Created.Add(-time.Hour) },
		"another person":       func(r *Receipt) { r.Record.Subject.ID = "tillid:nobody" },
		"another leaf's proof": func(r *Receipt) { r.ID, r.Record.ID = "receipt:"+strings.Repeat("A", 26), strings.Repeat("A", 26) },
	} {
		b, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		var forged Receipt
		if err := json.Unmarshal(b, &forged); err != nil {
			t.Fatal(err)
		}
		lie(&forged)
		file, err := h.file(forged)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := VerifyReceipt(file, ""); err == nil {
			t.Errorf("%s verifies", name)
		}
	}
}

// Whoever has a leaf's number sees that one answer. What the visitor chose before
// and after is seen only with the visitor's own ticket. Rows: E13.
func TestTicket(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		v, stranger := h.visitor(), h.visitor()
		v.send(`{"do":"some","services":["youtube"],"lang":"en"}`)
		h.later(time.Hour)
		v.send(`{"do":"none","lang":"en"}`)
		h.sequence()
		leaf := h.newestLeaf()
		if doc := stranger.get(receiptPath + leaf + "?lang=en"); strings.Contains(doc.Text(), "Let in until") || !strings.Contains(doc.Text(), "Withdrawn") {
			t.Error("a stranger's page: " + doc.Find("main").Text())
		}
		own := v.get(receiptPath + h.ticket(leaf) + "?lang=en")
		for _, say := range []string{"Let in until", "YouTube", "Google Ireland Limited", "you took it back"} {
			if !strings.Contains(own.Find("main").Text(), say) {
				t.Errorf("the visitor's own page does not say %q", say)
			}
		}
		for _, wrong := range []string{h.ticket(leaf)[:len(leaf)+5], leaf + "-" + strings.Repeat("0", 32), "nothing", strings.ToLower(leaf)} {
			if w := stranger.do(stranger.request("GET", receiptPath+wrong, nil)); w.Code != 404 {
				t.Errorf("%s: %d", wrong, w.Code)
			}
		}
	})
}

// A visitor sees who is let in, since when, on which choice, who gets what and
// where; and afterwards until when. Rows: E13, E14.
func TestParties(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		v := h.visitor()
		if text := v.get(partiesPath + "?lang=en").Find("main").Text(); !strings.Contains(text, "Nobody. This browser") {
			t.Error(text)
		}
		v.send(`{"do":"all","lang":"en"}`)
		first := h.newestLeaf()
		h.later(48 * time.Hour)
		v.send(`{"do":"remove","services":["google_ads"],"lang":"en"}`)
		doc := v.get(partiesPath + "?lang=en")
		cards := doc.Find("article")
		if cards.Length() != 5 || cards.Find(".badge").Length() != 4 {
			t.Fatalf("%d cards, %d let in", cards.Length(), cards.Find(".badge").Length())
		}
		youtube := cards.FilterFunction(func(_ int, s *goquery.Selection) bool { return strings.Contains(s.Find("h3").Text(), "YouTube") }).Text()
		for _, say := range []string{"Google Ireland Limited", "(Ireland)", "United States", "Play videos from YouTube", "22 Nov 2026", first, "Ends by itself"} {
			if !strings.Contains(youtube, say) {
				t.Errorf("YouTube does not say %q: %s", say, youtube)
			}
		}
		ads := cards.FilterFunction(func(_ int, s *goquery.Selection) bool { return strings.Contains(s.Find("h3").Text(), "Ads") }).Text()
		if !strings.Contains(ads, "24 Nov 2026") || !strings.Contains(ads, "you took it back") {
			t.Error(ads)
		}
		// another browser learns nothing
		w := httptest.NewRecorder()
		h.mux.ServeHTTP(w, httptest.NewRequest("GET", "https://"+siteHost+partiesPath+"?lang=en", nil))
		if strings.Contains(w.Body.String(), "YouTube") {
			t.Error("a stranger sees it")
		}
	})
}
