package consent

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/PuerkitoBio/goquery"

	"github.com/tillid/tillid/internal/web"
)

func (h *house) arrive(v *visitor, dest, site string) {
	r := v.request("GET", "/", nil)
	r.Header.Set("Sec-Fetch-Dest", dest)
	r.Header.Set("Sec-Fetch-Site", site)
	h.First(r, "da")
}

func (h *house) staffPage() *goquery.Document {
	h.t.Helper()
	w := httptest.NewRecorder()
	web.Wrap(h.Log, h.consentPage).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/consent?lang=en", nil))
	doc, err := goquery.NewDocumentFromReader(w.Body)
	if err != nil || w.Code != 200 {
		h.t.Fatal(w.Code, err)
	}
	return doc
}

// Banners that nobody answers are counted by day and language, in totals only; few
// answers are not shown as figures. Rows: A1.
func TestIgnored(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		if doc := h.staffPage(); doc.Find(".empty").Length() != 1 || doc.Find("figure rect").Length() != 0 {
			t.Error("an empty house shows figures")
		}
		for range 9 {
			h.arrive(h.visitor(), "document", "cross-site")
		}
		for _, no := range [][2]string{{"document", "same-origin"}, {"document", ""}, {"image", "cross-site"}, {"", ""}} {
			h.arrive(h.visitor(), no[0], no[1])
		}
		decided := h.visitor()
		for range 4 {
			decided = h.visitor()
			decided.send(`{"do":"none","layer":"banner","lang":"da"}`)
		}
		h.arrive(decided, "document", "none")
		row := strings.Join(strings.Fields(h.staffPage().Find("table").Eq(1).Find("tbody").Text()), " ")
		if row != "Danish––––5under 5" {
			t.Errorf("few answers: %q", row)
		}
		h.visitor().send(`{"do":"all","layer":"banner","lang":"da"}`)
		doc := h.staffPage()
		if row := strings.Join(strings.Fields(doc.Find("table").Eq(1).Find("tbody").Text()), " "); row != "Danish104045" {
			t.Errorf("by language: %q", row)
		}
		if title := doc.Find("figure title").Last().Text(); !strings.Contains(title, "Yes 1, No 4, Unanswered 4") {
			t.Errorf("chart: %q", title)
		}
		if n := h.count("banner_view"); n != 1 {
			t.Errorf("%d rows of views, want one for the day and language", n)
		}
	})
}
