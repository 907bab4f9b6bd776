package web

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/PuerkitoBio/goquery"
	"github.com/jba/templatecheck"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/text"
)

type samplePage struct {
	Frame
	At    time.Time
	Row   db.Time
	Keep  policy.Duration
	Label text.Text
	Count int64
	Words []string
}

func samples() *Pages {
	return Parse(fstest.MapFS{
		"_row.html":   {Data: []byte(`{{define "row"}}<i>{{num .}}</i>{{end}}`)},
		"sample.html": {Data: []byte(`{{define "title"}}{{t "web.menu"}}{{end}}{{define "class"}}wide{{end}}{{define "main"}}<h1>{{in .Label}}</h1>{{template "row" .Count}}<time datetime="{{iso .At}}">{{moment .At}}</time> {{date .Row}} {{period .Keep}} {{list .Words}}{{end}}`)},
		"other.html":  {Data: []byte(`{{define "title"}}x{{end}}{{define "main"}}<h1>y</h1>{{end}}`)},
	})
}

func sample(f Frame) samplePage {
	at := time.Date(2026, 11, 22, 13, 5, 0, 0, time.UTC)
	return samplePage{Frame: f, At: at, Label: text.Text{"da": "Hej", "en": "Hello"}, Count: 1234567,
		Keep: policy.Duration{Set: true, Months: 3}, Words: []string{"a", "b"}}
}

func TestTemplates(t *testing.T) {
	p := samples()
	for _, layout := range []string{Public, Backoffice, Bare} {
		if err := templatecheck.CheckHTML(p.Template("sample", layout), samplePage{}); err != nil {
			t.Errorf("%s: %v", layout, err)
		}
		if err := templatecheck.CheckHTML(errorPages.Template("error.html", layout), errorPage{}); err != nil {
			t.Errorf("%s: %v", layout, err)
		}
	}
}

// Each layout shows the page, in its language and the house's time zone, with
// nothing inline that the Content-Security-Policy would refuse.
func TestRender(t *testing.T) {
	zone, err := time.LoadLocation("Europe/Copenhagen")
	if err != nil {
		t.Fatal(err)
	}
	p := samples()
	for _, layout := range []string{Public, Backoffice, Bare} {
		for _, l := range text.Langs() {
			f := Frame{Lang: l, Langs: text.Langs(), Brand: "Eksempel A/S", Accent: "#aa3311", Home: "/", Path: "/x", Zone: zone,
				Viewer: Viewer{User: "u", UserName: "anna", Number: "1001"}, Nav: []Nav{{Path: "/x", TextID: "web.menu", Icon: "home"}}, Active: "/x"}
			w := httptest.NewRecorder()
			if err := Render(w, http.StatusOK, p, "sample", layout, sample(f)); err != nil {
				t.Fatal(err)
			}
			doc := document(t, w)
			want := map[text.Lang][2]string{text.DA: {"Hej", "1.234.567"}, text.EN: {"Hello", "1,234,567"}}[l]
			if got := doc.Find("main h1").Text(); got != want[0] {
				t.Errorf("%s %s: h1 %q", layout, l, got)
			}
			if got := doc.Find("main i").Text(); got != want[1] {
				t.Errorf("%s %s: number %q", layout, l, got)
			}
			if got := doc.Find("main time").Text(); !strings.Contains(got, "14") { // 13:05 UTC
				t.Errorf("%s %s: moment %q", layout, l, got)
			}
			if got := doc.Find("html").AttrOr("lang", ""); got != string(l) {
				t.Errorf("%s: lang %q", layout, got)
			}
			if layout == Public && doc.Find(`link[href="/_tillid/brand/aa3311.css"]`).Length() != 1 {
				t.Error("the accent's stylesheet is missing")
			}
			if !doc.Find("body").HasClass("wide") {
				t.Errorf("%s: the page's class is missing", layout)
			}
		}
	}
}

func document(t *testing.T, w *httptest.ResponseRecorder) *goquery.Document {
	t.Helper()
	body := w.Body.String()
	if strings.Contains(body, "⟦") || strings.Contains(body, "ZgotmplZ") {
		t.Errorf("a text is missing or unsafe:\n%s", body)
	}
	doc, err := goquery.NewDocumentFromReader(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if n := doc.Find("[style], style, script:not([src]), [onclick]").Length(); n != 0 {
		t.Errorf("%d inline styles or scripts", n)
	}
	if doc.Find("h1").Length() != 1 || doc.Find("main").Length() != 1 {
		t.Error("a page has one main and one h1")
	}
	return doc
}
