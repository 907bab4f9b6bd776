package consent

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/PuerkitoBio/goquery"

	"github.com/tillid/tillid/internal/db/dbtest"
	"github.com/tillid/tillid/internal/text"
)

// A language that is written from right to left is one file more: the pages, the
// placeholder and the frame turn around, and what the file lacks is in English.
func TestRightToLeft(t *testing.T) {
	remove, err := text.Add("ar.toml", []byte("[catalogue]\nname = \"العربية\"\nreviewed = false\n\n[consent.page]\ntitle = \"خياراتك\"\n\n[consent]\nyes = \"نعم\"\nno = \"لا\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	defer remove()
	h := newHouse(t, dbtest.Lite(t))
	h.publish(parse(map[string]string{"languages: [da, en]": "languages: [da, en, ar]", "label: {da: Tælle besøg, en: Count visits}": "label: {da: Tælle besøg, en: Count visits, ar: إحصاء الزيارات}"}))
	v := h.visitor()
	doc := v.get("/privacy/choices?lang=ar")
	root := doc.Find("html")
	if root.AttrOr("dir", "") != "rtl" || root.AttrOr("lang", "") != "ar" || doc.Find("h1").Text() != "خياراتك" {
		t.Errorf("%s %s %q", root.AttrOr("lang", ""), root.AttrOr("dir", ""), doc.Find("h1").Text())
	}
	if !strings.Contains(doc.Text(), "إحصاء الزيارات") || !strings.Contains(doc.Text(), "Save what is ticked") || strings.Contains(doc.Text(), "⟦") {
		t.Error("a text is missing")
	}
	if doc.Find(`.langs a[lang=da]`).Text() != "Dansk" || !strings.Contains(doc.Find(".langs").Text(), "العربية") {
		t.Errorf("languages %q", doc.Find(".langs").Text())
	}
	v.header.Set("Accept-Language", "ar-EG,ar;q=0.9")
	if set := v.settingsIn("ar"); set.Ask == nil || set.Ask.Yes != "نعم" || set.Ask.No != "لا" {
		t.Errorf("banner %+v", set.Ask)
	}
	b := h.Placeholder(v.request("GET", "/", nil), "ar", Embed{Service: "youtube", Src: film})
	p, err := goquery.NewDocumentFromReader(bytes.NewReader(b))
	if err != nil || p.Find(".tillid-embed").AttrOr("dir", "") != "rtl" {
		t.Error("the placeholder does not turn around")
	}
	w := v.do(v.request("GET", p.Find("[data-tillid-once]").AttrOr("formaction", ""), nil))
	if frame, err := goquery.NewDocumentFromReader(w.Body); err != nil || frame.Find("html").AttrOr("dir", "") != "rtl" {
		t.Error("the frame does not turn around")
	}
}

// Share links are plain links: nobody is asked, nothing is loaded, the networks see
// only who follows them. Rows: A9.
func TestShare(t *testing.T) {
	h := newHouse(t, dbtest.Lite(t))
	r := h.visitor().request("GET", "/nyheder/1?id=7&utm_source=brev&fbclid=x", nil)
	share := func(to string) *goquery.Selection {
		doc, err := goquery.NewDocumentFromReader(bytes.NewReader(h.Share(r, "en", to)))
		if err != nil {
			t.Fatal(err)
		}
		return doc.Find("body")
	}
	all := share("")
	page := "https%3A%2F%2Fwww.eksempel.example%2Fnyheder%2F1%3Fid%3D7"
	for i, want := range []string{
		"https://www.facebook.com/sharer/sharer.php?u=" + page, "https://www.linkedin.com/sharing/share-offsite/?url=" + page, "mailto:?subject=&body=" + page,
	} {
		if got := all.Find("a").Eq(i).AttrOr("href", ""); got != want {
			t.Errorf("leads to %q, want %q", got, want)
		}
	}
	if all.Find("a").Length() != 3 || all.Find("img, iframe, link").Length() != 0 || all.Find("button[hidden]").Length() != 2 || all.Find("script").Length() != 1 {
		t.Error("more or less than links")
	}
	if src := all.Find("script").AttrOr("src", ""); !strings.HasPrefix(src, "/_tillid/page.js?v=") {
		t.Errorf("script %q", src)
	}
	if some := share("email"); some.Find("a").Length() != 1 || some.Find("button, script").Length() != 0 {
		t.Error("only what is asked for")
	}
}

const interestsDeclared = `interests:
  tills: {label: {da: Kasser, en: Tills}, purpose: measure_use, paths: [/produkter/*], stored: tillid_interest}
device_access:
  tillid_interest: {technology: local_storage, party: self, category: statistics, purpose: measure_use, duration: P3M, third_party_access: false, description: {da: "Husker, hvad du læser om.", en: "Remembers what you read about."}}
`

// The script of interests comes only with a yes, and the choices page says what is kept.
// Rows: B9.
func TestInterests(t *testing.T) {
	h := newHouse(t, dbtest.Lite(t))
	h.publish(parse(map[string]string{"device_access:\n": interestsDeclared, "    outbound: mark\n": ""}))
	v := h.visitor()
	head := func() string { return h.headOf(v.request("GET", "/produkter/a", nil), "en") }
	if strings.Contains(head(), "data-tillid-page") {
		t.Error("interests before a yes")
	}
	if page := v.get("/privacy/choices?lang=en"); page.Find(`tr[data-device=tillid_interest]`).Length() != 1 {
		t.Error("the choices page does not say what is kept")
	}
	v.send(`{"do":"all"}`)
	if got := head(); !strings.Contains(got, "data-tillid-page") || !strings.Contains(got, "tillid_interest") || !strings.Contains(got, "/produkter/*") {
		t.Errorf("head %s", got)
	}
	w := v.send(`{"do":"none"}`)
	if strings.Contains(head(), "data-tillid-page") || !strings.Contains(w.Body.String(), "tillid_interest") {
		t.Errorf("after withdrawal: %s", w.Body)
	}
}

// Links to other sites are marked where the site says so. Rows: A10.
func TestOutboundIsDeclared(t *testing.T) {
	h := newHouse(t, dbtest.Lite(t))
	v := h.visitor()
	head := func() string { return h.headOf(v.request("GET", "/", nil), "da") }
	h.publish(parse(map[string]string{"    outbound: mark\n": ""}))
	if strings.Contains(head(), "data-tillid-page") {
		t.Error("links are marked unasked")
	}
	h.publish(parse(nil))
	if got := head(); !strings.Contains(got, "et andet site") || !strings.Contains(got, siteHost) {
		t.Errorf("head %s", got)
	}
}

// headOf is all that goes into a page, wherever in it.
func (h *house) headOf(r *http.Request, lang string) string {
	return string(h.First(r, lang)) + string(h.Head(r, lang)) + string(h.Foot(r, lang, false))
}
