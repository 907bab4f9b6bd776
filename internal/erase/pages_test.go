package erase_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"

	"github.com/tillid/tillid/internal/erase"
)

func TestPages(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		a := h.add("astrid@example.dk", "first", "answer", "desk", "paper")
		h.drain()
		if w := h.staff("GET", "/erasures?lang=en", nil); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "Nothing has been erased yet") {
			t.Errorf("empty list: %d", w.Code)
		}
		h.desk.keep = true
		id := h.erase(a.Person)
		h.drain()
		for _, lang := range []string{"da", "en"} {
			for path, want := range map[string]string{
				"/erasures": ".badge.broken", "/erasures/" + string(id): "form[action$='/done']", "/privacy/certificate/" + string(id): ".badge.due",
			} {
				w := h.staff("GET", path+"?lang="+lang, nil)
				doc, err := goquery.NewDocumentFromReader(w.Body)
				if err != nil || w.Code != http.StatusOK {
					t.Fatalf("%s %s: %d, %v", path, lang, w.Code, err)
				}
				if doc.Find(want).Length() == 0 || strings.Contains(doc.Text(), "⟦") {
					t.Errorf("%s %s: no %s, or a text is missing", path, lang, want)
				}
				if strings.Contains(doc.Text(), "astrid") {
					t.Errorf("%s %s names the person", path, lang)
				}
			}
		}
		h.desk.keep = false
		if w := h.staff("POST", "/erasures/"+string(id)+"/try", nil); w.Code != http.StatusSeeOther {
			t.Errorf("try again: %d", w.Code)
		}
		h.drain()
		tasks, err := h.Tasks(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		note := url.Values{"evidence": {erase.Confirmed}, "day": {h.at.Format(time.DateOnly)}}
		for _, task := range tasks {
			want := http.StatusConflict
			if task.State == erase.Manual {
				want = http.StatusSeeOther
				if w := h.staff("POST", "/erasures/"+string(id)+"/tasks/"+task.ID+"/done", url.Values{}); w.Code != http.StatusUnprocessableEntity && w.Code != http.StatusBadRequest {
					t.Errorf("without evidence: %d", w.Code)
				}
			}
			if w := h.staff("POST", "/erasures/"+string(id)+"/tasks/"+task.ID+"/done", note); w.Code != want {
				t.Errorf("%s by hand: %d", task.State, w.Code)
			}
		}
		if w := h.staff("GET", "/privacy/certificate/"+string(id)+"?lang=en", nil); !strings.Contains(w.Body.String(), "Final") {
			t.Error("the certificate is not final")
		}
		for _, path := range []string{"/privacy/certificate/" + string(id) + "/file", "/erasures/" + string(id) + "/certificate"} {
			w := h.staff("GET", path, nil)
			if cert, err := erase.VerifyCertificate(w.Body.Bytes(), h.Ledger.Signer.Verifier()); err != nil || !cert.Final {
				t.Errorf("%s: %v", path, err)
			}
			if got := w.Header().Get("Content-Disposition"); !strings.HasPrefix(got, "attachment") {
				t.Errorf("%s: %q", path, got)
			}
		}
		for _, path := range []string{"/erasures/none", "/erasures/none/certificate", "/privacy/certificate/none", "/privacy/certificate/none/file"} {
			if w := h.staff("GET", path, nil); w.Code != http.StatusNotFound {
				t.Errorf("%s: %d", path, w.Code)
			}
		}
	})
}
