package intake

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/tillid/tillid/internal/text"
)

// staffed gives a house two colleagues.
func (h *house) staffed() *house {
	h.Colleagues = func(context.Context) ([]Colleague, error) { return []Colleague{{"u1", "Berta"}, {"u2", "Carlo"}}, nil }
	return h
}

// Who gave a case to whom is noted, and shown to its person without names of staff.
// Rows: C3, C4.
func TestHandOver(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.staffed().submitForm(ok())
		id := h.only(t)
		for _, to := range []string{"u1", "u2", "u2", ""} {
			h.pass(time.Minute)
			if w := h.staff(t, "POST", "/enquiries/"+id+"/assign", url.Values{"user": {to}}); w.Code != http.StatusSeeOther {
				t.Fatalf("%q: %d %s", to, w.Code, w.Body)
			}
		}
		past := strings.Join(strings.Fields(page(t, h.staff(t, "GET", "/enquiries/"+id+"?lang=en", nil)).Find("#past + table tbody").Text()), " ")
		contains(t, past, "14:06 Berta Gave the case toBerta", "14:07 Berta Handed the case over toCarlo", "14:09 Berta Gave the case to–")
		if n := strings.Count(past, "Carlo"); n != 1 {
			t.Errorf("the same hand-over is noted %d times", n)
		}
		if w := h.staff(t, "POST", "/enquiries/"+id+"/assign", url.Values{"user": {"stranger"}}); w.Code != http.StatusUnprocessableEntity {
			t.Errorf("a stranger gets it: %d", w.Code)
		}
		r, err := h.Subjects.Get(t.Context(), h.DB, id)
		if err != nil {
			t.Fatal(err)
		}
		view, err := h.Show(t.Context(), h.DB, r, text.EN)
		if err != nil {
			t.Fatal(err)
		}
		contains(t, revealed(view), "Handed over to a colleague")
		if strings.Contains(revealed(view), "Carlo") {
			t.Error("the person sees a colleague's name")
		}
		h.staff(t, "POST", "/enquiries/"+id+"/assign", url.Values{"user": {"u1"}})
		if got := h.staff(t, "GET", "/enquiries?state=mine&lang=en", nil).Body.String(); !strings.Contains(got, id) {
			t.Error("the list of one's own lacks it")
		}
	})
}

// An address, a number or a case number finds cases; none of them stands in a URL or a log.
// Rows: C3.
func TestSearch(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.submitForm(with(ok(), "phone", "20 30 40 50"))
		h.submitForm(with(ok(), "email", "another@example.dk"))
		rows, err := list(t.Context(), h.DB, "open", "", 0)
		if err != nil || len(rows) != 2 {
			t.Fatal(rows, err)
		}
		find := func(q string) int {
			w := h.staff(t, "POST", "/enquiries/search", url.Values{"q": {q}})
			if w.Code != http.StatusOK {
				t.Errorf("%q: %d", q, w.Code)
			}
			return page(t, w).Find("tbody tr").Length()
		}
		for q, want := range map[string]int{
			"Kanarie@EXAMPLE.dk ": 1, "another@example.dk": 1, strings.ToLower(rows[0].Number): 1, "nobody@example.dk": 0, "": 0, "%": 0, "kanarie": 0, "' or 1=1": 0,
		} {
			if got := find(q); got != want {
				t.Errorf("%q finds %d, want %d", q, got, want)
			}
		}
		h.noCanary(t)
	})
}

// A call is noted with how it went; the person sees that too. Rows: C6.
func TestCall(t *testing.T) {
	h := newHouse(t, lite(t))
	h.post("/_tillid/forms/call_me", "application/x-www-form-urlencoded", "phone=20304050")
	id := h.only(t)
	if w := h.staff(t, "POST", "/enquiries/"+id+"/call", url.Values{"outcome": {"no_answer"}, "text": {"Prøver i morgen"}}); w.Code != http.StatusSeeOther {
		t.Fatal(w.Code, w.Body)
	}
	contains(t, h.staff(t, "GET", "/enquiries/"+id+"?lang=en", nil).Body.String(), "Called: nobody answered", "Prøver i morgen")
	if w := h.staff(t, "POST", "/enquiries/"+id+"/call", url.Values{"outcome": {"nonsense"}, "text": {"kept"}}); w.Code != http.StatusUnprocessableEntity || !strings.Contains(w.Body.String(), "kept") {
		t.Error(w.Code)
	}
}

// What came by phone is entered with its true time, which its clock counts from; a
// second press is the same case. Rows: C7.
func TestEntry(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		form := page(t, h.staffed().staff(t, "GET", "/enquiries/new?form=contact&lang=en", nil))
		token, _ := form.Find(`input[name=_token]`).Attr("value")
		v := url.Values{"_token": {token}, "_came": {"phone"}, "_received": {"2026-11-20T09:30"}, "phone": {"20 30 40 50"}, "message": {"Kanariefuglens hemmelighed"}}
		var at string
		for range 2 {
			w := h.staff(t, "POST", "/enquiries/new?form=contact", v)
			if w.Code != http.StatusSeeOther {
				t.Fatal(w.Code, w.Body)
			}
			at = w.Header().Get("Location")
		}
		id := h.only(t)
		r, err := h.Subjects.Get(t.Context(), h.DB, id)
		if err != nil || !r.Received.Equal(time.Date(2026, 11, 20, 8, 30, 0, 0, time.UTC)) {
			t.Errorf("received %v: %v", r.Received, err)
		}
		contains(t, h.staff(t, "GET", strings.TrimSuffix(at, "?done=intake.done.entered")+"?lang=en", nil).Body.String(), "by phone", "20 Nov 2026, 09:30", "Gave the case to")
		for what, wrong := range map[string]url.Values{
			"tomorrow":       {"_received": {"2026-11-23T09:30"}},
			"long ago":       {"_received": {"2026-09-01T09:30"}},
			"no time":        {"_received": {"soon"}},
			"nobody to meet": {"phone": {""}},
			"undeclared":     {"secret": {"x"}},
		} {
			bad := url.Values{}
			for name, value := range v {
				bad[name] = value
			}
			for name, value := range wrong {
				bad[name] = value
			}
			if w := h.staff(t, "POST", "/enquiries/new?form=contact", bad); w.Code != http.StatusUnprocessableEntity || !strings.Contains(w.Body.String(), "Kanariefuglens") {
				t.Errorf("%s: %d", what, w.Code)
			}
		}
		h.noCanary(t)
	})
}

// Closing can be taken back for a minute; then all goes, and a reopened case stays.
// Rows: E7.
func TestUndoClosing(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.submitForm(ok())
		h.drain(t)
		id := h.only(t)
		closed := func() { h.staff(t, "POST", "/enquiries/"+id+"/close", nil) }
		closed()
		h.pass(59 * time.Second)
		h.drain(t)
		contains(t, h.staff(t, "GET", "/enquiries/"+id+"?lang=en", nil).Body.String(), "Undo: reopen the case")
		if w := h.staff(t, "POST", "/enquiries/"+id+"/reopen", nil); w.Code != http.StatusSeeOther {
			t.Fatal(w.Code, w.Body)
		}
		h.pass(time.Hour)
		h.drain(t)
		r, err := h.Subjects.Get(t.Context(), h.DB, id)
		if err != nil || !r.Triggered.IsZero() || !r.Due.After(h.now().AddDate(0, 11, 0)) {
			t.Fatalf("reopened, and due %v: %v", r.Due, err)
		}
		closed()
		closed() // a second press changes nothing
		h.pass(2 * time.Minute)
		h.drain(t)
		if n := h.count(t, "enquiry") + h.count(t, "enquiry_event"); n != 0 {
			t.Errorf("%d rows are left", n)
		}
		if w := h.staff(t, "POST", "/enquiries/"+id+"/reopen", nil); w.Code != http.StatusNotFound {
			t.Errorf("what is gone is reopened: %d", w.Code)
		}
	})
}
