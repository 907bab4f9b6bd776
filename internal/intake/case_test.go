package intake

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jba/templatecheck"

	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/subject"
	"github.com/tillid/tillid/internal/text"
	"github.com/tillid/tillid/internal/web"
)

// Rows: C3, C4, C5, E3.
func TestCase(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.submitForm(ok())
		h.drain(t)
		id := h.only(t)
		contains(t, h.staff(t, "GET", "/enquiries?lang=da", nil).Body.String(), "Åbne (1)", "/enquiries/"+id, "Ny")

		w := h.staff(t, "GET", "/enquiries/"+id+"?lang=da", nil)
		contains(t, w.Body.String(), "Kanarie Prøvesen", "Kanariefuglens hemmelighed", "Åbnede sagen", "Berta", "Luk og slet sagen",
			"kopien hos Hjælpedisk ApS", "3 oplysninger, som afsenderen skrev", "Slettes straks, når sagen er lukket.")
		if strings.Contains(w.Body.String(), "⟦") {
			t.Error("a text is missing")
		}

		if w := h.staff(t, "POST", "/enquiries/"+id+"/answer", url.Values{"text": {"Kære Kanarie\r\n\r\nJa."}}); w.Code != http.StatusSeeOther {
			t.Fatal(w.Code, w.Body)
		}
		// Closing now would drop the answer: that must be asked for.
		w = h.staff(t, "POST", "/enquiries/"+id+"/close?lang=da", nil)
		if w.Code != http.StatusConflict {
			t.Fatal(w.Code)
		}
		contains(t, w.Body.String(), "Et svar i sagen er ikke sendt endnu.", `name="drop"`)
		h.drain(t)
		mails := h.Room.Find("kanarie@example.dk")
		if len(mails) != 2 {
			t.Fatalf("%d mails", len(mails))
		}
		answer, receipt := mails[0], mails[1]
		contains(t, answer.Text, "Kære Kanarie\n\nJa.", "http://site.localhost/privacy/me")
		if answer.InReplyTo != receipt.MessageID || answer.Automatic {
			t.Errorf("in reply to %q, receipt is %q, automatic %v", answer.InReplyTo, receipt.MessageID, answer.Automatic)
		}
		h.staff(t, "POST", "/enquiries/"+id+"/note", url.Values{"text": {"Ringede"}})
		contains(t, h.staff(t, "GET", "/enquiries/"+id+"?lang=en", nil).Body.String(), "Wrote a note", "Ringede", "1 answer from you", "1 internal note", "(2 times)")

		r, err := h.Subjects.Get(t.Context(), h.DB, id)
		if err != nil {
			t.Fatal(err)
		}
		view, err := h.Show(t.Context(), h.DB, r, text.DA)
		if err != nil {
			t.Fatal(err)
		}
		labels := ""
		for _, f := range view.Fields {
			labels += f.Label + ": " + f.Value.Reveal() + "\n"
		}
		contains(t, labels, "Navn: Kanarie Prøvesen", "Åbnet 22. nov. 2026 kl. 14.05: En medarbejder", "Vores svar", "Intern note")

		if w := h.staff(t, "POST", "/enquiries/"+id+"/close", url.Values{"now": {"yes"}}); w.Header().Get("Location") != "/enquiries?done=intake.done.deleted" {
			t.Fatal(w.Code, w.Header(), w.Body)
		}
		for _, table := range []string{"enquiry", "enquiry_event", "mail"} {
			if n := h.count(t, table); n != 0 {
				t.Errorf("%s: %d rows", table, n)
			}
		}
		if w := h.staff(t, "GET", "/enquiries/"+id, nil); w.Code != http.StatusNotFound {
			t.Error(w.Code)
		}
		h.noCanary(t)
	})
}

// A closed case whose period is not over yet stays until it is.
func TestCloseLater(t *testing.T) {
	h := newHouse(t, lite(t))
	plan := testPlan(t)
	plan.Rule("enquiry").Duration.Days = 30
	now := func() *policy.Plan { return plan }
	h.Plan, h.Subjects.Plan = now, now
	h.submitForm(ok())
	id := h.only(t)
	contains(t, h.staff(t, "GET", "/enquiries/"+id+"?lang=da", nil).Body.String(), "begynder slettefristen at løbe", "Slettes 30 dage efter, at sagen er lukket.")
	if err := h.Close(t.Context(), id, Closing{Now: true}); err != nil {
		t.Fatal(err)
	}
	if len(h.erased) != 0 {
		t.Error("erased before its time")
	}
	contains(t, h.staff(t, "GET", "/enquiries?state=closed&lang=da", nil).Body.String(), "om 30 dage", "Lukkede (1)")
}

// A letter of an erased enquiry is never sent.
func TestEraseBeforeSending(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.submitForm(ok())
		id := h.only(t)
		if err := h.Answer(t.Context(), id, "Hej"); err != nil {
			t.Fatal(err)
		}
		if err := h.Close(t.Context(), id, Closing{Drop: true, Now: true}); err != nil {
			t.Fatal(err)
		}
		h.drain(t)
		if n := len(h.Room.Find("")); n != 0 {
			t.Errorf("%d letters were sent", n)
		}
	})
}

func TestRelease(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.submitForm(with(ok(), "_token", "garbage"))
		id := h.only(t)
		contains(t, h.staff(t, "GET", "/enquiries?state=aside&lang=da", nil).Body.String(), "Formularens mærke er ikke ægte")
		contains(t, h.staff(t, "GET", "/enquiries/"+id+"?lang=da", nil).Body.String(), "Det er ikke spam")
		for range 2 {
			if w := h.staff(t, "POST", "/enquiries/"+id+"/release", nil); w.Code != http.StatusSeeOther {
				t.Fatal(w.Code, w.Body)
			}
		}
		h.drain(t)
		if len(h.Room.Find("kanarie")) != 1 || len(h.handed) != 1 {
			t.Errorf("%d receipts, handed to %v", len(h.Room.Find("kanarie")), h.handed)
		}
	})
}

func TestBackofficeRefuses(t *testing.T) {
	h := newHouse(t, lite(t))
	h.submitForm(ok())
	id := h.only(t)
	for _, c := range []struct {
		path string
		form url.Values
		want int
	}{
		{"/answer", url.Values{"text": {" "}}, 422},
		{"/answer", url.Values{"text": {strings.Repeat("x", maxAnswer+1)}}, 422},
		{"/answer", url.Values{"text": {"a"}, "to": {"evil@example.dk"}}, 422},
		{"/answer", url.Values{"text": {"a", "b"}}, 400},
		{"/note", url.Values{"text": {""}}, 422},
		{"/close", url.Values{"reason": {"x"}}, 422},
	} {
		if w := h.staff(t, "POST", "/enquiries/"+id+c.path, c.form); w.Code != c.want {
			t.Errorf("%s %v: %d", c.path, c.form, w.Code)
		}
	}
	w := h.staff(t, "POST", "/enquiries/"+id+"/answer", url.Values{"text": {strings.Repeat("æ", maxAnswer+1)}})
	contains(t, w.Body.String(), strings.Repeat("æ", 100)) // what was typed stays
	if w := h.staff(t, "GET", "/enquiries/none", nil); w.Code != http.StatusNotFound {
		t.Error(w.Code)
	}
}

// Sealed values do not open in another row.
func TestSwappedCiphertext(t *testing.T) {
	h := newHouse(t, lite(t))
	h.submitForm(ok())
	h.submitForm(with(ok(), "message", "to"))
	if _, err := h.DB.Exec(t.Context(), `update enquiry set sealed = (select sealed from enquiry e order by id limit 1)`); err != nil {
		t.Fatal(err)
	}
	failed := 0
	rows, err := list(t.Context(), h.DB, "open", "", 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range rows {
		if w := h.staff(t, "GET", "/enquiries/"+e.ID, nil); w.Code == http.StatusInternalServerError {
			failed++
		}
	}
	if failed != 1 {
		t.Errorf("%d of 2 fail to open", failed)
	}
}

func TestTemplates(t *testing.T) {
	public, office := web.Frame{Lang: text.DA}, web.Frame{Lang: text.DA}
	pages := pages()
	for _, c := range []struct {
		name, layout string
		data         any
	}{
		{"form", web.Public, formPage{Frame: public}},
		{"thanks", web.Public, thanksPage{Frame: public}},
		{"list", web.Backoffice, listPage{Frame: office}},
		{"entry", web.Backoffice, entryPage{formPage: formPage{Frame: office}}},
		{"case", web.Backoffice, casePage{Frame: office, Answers: []subject.Shown{{}}}},
	} {
		if err := templatecheck.CheckHTML(pages.Template(c.name, c.layout), c.data); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if n := len(pages.Names()); n != 5 {
		t.Errorf("%d pages, 5 are checked", n)
	}
}

func TestClock(t *testing.T) {
	h := newHouse(t, lite(t))
	for days, want := range map[int]string{1: "om 1 dag", 12: "om 12 dage", -1: "forfalden"} {
		if got := h.Service.clock(h.now().Add(time.Duration(days)*24*time.Hour), text.DA); got != want {
			t.Errorf("%d: %q", days, got)
		}
	}
}
