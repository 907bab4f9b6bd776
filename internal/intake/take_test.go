package intake

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/tillid/tillid/internal/ledger"
)

// Rows: C1, C3.
func TestSubmit(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		w := h.submitForm(ok())
		if w.Code != http.StatusSeeOther {
			t.Fatalf("status %d: %s", w.Code, w.Body)
		}
		thanks := w.Header().Get("Location")
		page := h.get(thanks)
		contains(t, page.Body.String(), `id="number"`, `id="code"`, "Lovet")
		for _, table := range []string{"enquiry", "record", "leaf", "person", "identifier"} {
			if n := h.count(t, table); n != 1 {
				t.Errorf("%s: %d rows", table, n)
			}
		}
		if len(h.handed) != 1 || h.handed[0] != "support_desk" {
			t.Errorf("handed to %v", h.handed) // customer_book asks for consent
		}
		if _, err := h.Ledger.Sequence(t.Context()); err != nil {
			t.Fatal(err)
		}
		contains(t, h.get(thanks).Body.String(), "I loggen")
		var file struct {
			Number string        `json:"number"`
			Proof  *ledger.Proof `json:"proof"`
		}
		if err := json.Unmarshal(h.get(thanks+"/receipt.json").Body.Bytes(), &file); err != nil {
			t.Fatal(err)
		}
		leaf, err := file.Proof.Check(h.vkey)
		if err != nil || leaf.Kind != "enquiry.received" || leaf.Facts["form"] != "contact" {
			t.Errorf("leaf %+v, %v", leaf, err)
		}
		h.drain(t)
		mails := h.Room.Find("kanarie@example.dk")
		if len(mails) != 1 {
			t.Fatalf("%d mails", len(mails))
		}
		contains(t, mails[0].Text, file.Number, "Prøve A/S", "DATAANSVARLIG", "Datatilsynet", "http://site.localhost/privacy/me", "Hjælpedisk ApS", "sagen er lukket", "12 måneder")
		if !mails[0].Automatic || mails[0].HTML == "" {
			t.Error("receipt is not marked automatic or has no HTML part")
		}
		if n := h.count(t, "mail"); n != 0 {
			t.Errorf("%d letters are kept after sending", n)
		}
		h.noCanary(t)
	})
}

func TestThanksGone(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		thanks := h.submitForm(ok()).Header().Get("Location")
		if w := h.get(thanks[:len(thanks)-1] + "x"); w.Code != http.StatusNotFound {
			t.Errorf("altered token: %d", w.Code)
		}
		r, err := h.Subjects.Get(t.Context(), h.DB, h.only(t))
		if err != nil {
			t.Fatal(err)
		}
		if err := h.eraseNow(t.Context(), []subjectRecord{r}, "closed"); err != nil {
			t.Fatal(err)
		}
		if w := h.get(thanks); w.Code != http.StatusGone {
			t.Errorf("after erasing: %d", w.Code)
		}
	})
}

// A processor that is declared as consent-only gets nothing without the tick, and
// every processor only what is declared for it.
//
// Rows: C2, E4.
func TestConsentOnlyHandOver(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		if w := h.submitForm(with(ok(), "keep", "yes")); w.Code != http.StatusSeeOther {
			t.Fatal(w.Code, w.Body)
		}
		if len(h.handed) != 2 {
			t.Errorf("handed to %v", h.handed)
		}
		r, err := h.Subjects.Get(t.Context(), h.DB, h.only(t))
		if err != nil {
			t.Fatal(err)
		}
		if yes, err := h.Consented(t.Context(), h.DB, r, "customer_book"); err != nil || !yes {
			t.Error(yes, err)
		}
		out, err := h.Fields(t.Context(), r, "support_desk")
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range out.Fields {
			if f.Data == "phone" {
				t.Error("the help desk gets what is not declared for it")
			}
		}
	})
}

func TestWait(t *testing.T) {
	// A form that was rendered 3 seconds ago is a person's; one of half a second is not.
	for _, c := range []struct {
		age  time.Duration
		want string
	}{{3 * time.Second, ""}, {500 * time.Millisecond, "fast"}, {48 * time.Hour, ""}} {
		h := newHouse(t, lite(t))
		token := h.formToken("contact")
		h.pass(c.age)
		if w := h.submitForm(with(ok(), "_token", token)); w.Code != http.StatusSeeOther {
			t.Fatal(w.Code)
		}
		e, err := getEnquiry(t.Context(), h.DB, h.only(t))
		if err != nil || e.Quarantine != c.want {
			t.Errorf("%s: quarantine %q, want %q (%v)", c.age, e.Quarantine, c.want, err)
		}
	}
}

// A caller's own key holds whenever the same comes again, also after a long outage.
func TestOwnKeyHoldsForLong(t *testing.T) {
	h := newHouse(t, lite(t))
	send := func() int {
		return h.post("/_tillid/forms/contact", "application/json", `{"name":"A","email":"a@example.dk","message":"Hej"}`, "Idempotency-Key", "k1").Code
	}
	first := send()
	h.pass(11 * time.Minute)
	if again := send(); first != 201 || again != 200 || h.count(t, "enquiry") != 1 {
		t.Errorf("%d, then %d: %d enquiries", first, again, h.count(t, "enquiry"))
	}
}
