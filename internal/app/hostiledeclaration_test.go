package app

import (
	"bytes"
	"encoding/json"
	"mime"
	"net/http"
	netmail "net/mail"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/PuerkitoBio/goquery"
)

// pwned is what somebody writes who wants a text of the declaration to become code:
// a formula of spreadsheets, ends of attributes, scripts and comments. Direction
// marks and line ends are refused where the declaration is read.
const pwned = `=HYPERLINK(1)'"><script id=pwned>pwned()</script><img src=x onerror=pwned()></script></title></textarea><!-- {{pwned}} javascript:pwned()`

// poison puts that into names, labels and texts of a house's declaration.
func poison(t *testing.T, dir string) {
	t.Helper()
	file, text := filepath.Join(dir, "tillid.yaml"), strconv.Quote(pwned)
	inside := strings.Trim(text, `"`)
	for _, label := range []string{"Tælle besøg, en: Count visits", "Google Analytics, en: Google Analytics", "YouTube, en: YouTube", "Skriv til os, en: Write to us", "Besvare din henvendelse, en: Answer your enquiry", "Navn, en: Name"} {
		edit(t, file, "label: {da: "+label+"}", "label: {da: "+text+", en: "+text+"}")
	}
	for _, name := range []string{"Google Ireland Limited", "Eksempel A/S", "Hjælpedisk ApS"} {
		edit(t, file, "legal_name: "+name, "legal_name: "+text)
	}
	for _, words := range []string{
		"Her ligger en video hos YouTube.", "There is a video at YouTube here.", "Tæller besøgende ved at kende enheden igen.", "Counts visitors by recognising the device.",
		"Vi bruger det, du skriver, til at svare dig.", "We use what you write to answer you.",
	} {
		edit(t, file, words, inside)
	}
}

// inert fails the test when something of the poison in an answer is more than text;
// it reports whether there was any.
func inert(t *testing.T, where string, r reply) bool {
	t.Helper()
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch kind {
	case "text/html":
		doc, err := goquery.NewDocumentFromReader(strings.NewReader(r.body))
		if err != nil {
			t.Fatal(where, err)
		}
		doc.Find(`#pwned, [onerror], img[src=x], a[href^="javascript:"], script:not([src])`).Each(func(_ int, e *goquery.Selection) {
			if html, _ := goquery.OuterHtml(e); strings.Contains(html, "pwned") || e.Is("[onerror]") {
				t.Errorf("%s: the declaration's text became %.200s", where, html)
			}
		})
	case "application/json":
		if !json.Valid([]byte(r.body)) {
			t.Errorf("%s: no JSON: %.200s", where, r.body)
		}
	}
	for name, values := range r.Header {
		if strings.Contains(strings.Join(values, " "), "<script") {
			t.Errorf("%s: the declaration's text is in the header %s", where, name)
		}
	}
	return strings.Contains(r.body, "pwned")
}

// Whatever a declaration's texts hold, they are text: in the banner, its second
// layer, placeholders, choices, policies, the Backoffice, mails and exports.
// Rows: A1, E7.
func TestHostileDeclaration(t *testing.T) {
	dir := folderOf(t, "alfa")
	poison(t, dir)
	s := stand(t, dir, Limits{})
	session := s.signIn()
	told := map[string]bool{}
	look := func(host, path string, headers ...string) reply {
		t.Helper()
		r := s.do(host, path, nil, headers...)
		told[path] = inert(t, host+path, r) || told[path]
		return r
	}
	for _, door := range s.doors(session) {
		if door.method == http.MethodGet && !door.again {
			look(door.host, door.path, "Cookie", door.cookie, "Sec-Fetch-Dest", "document", "Accept", "text/html,*/*")
		}
	}
	for _, path := range []string{"/", "/en/", "/kontakt", "/privacy?lang=da", "/privacy?lang=en", "/privacy/choices?lang=da", "/_tillid/layer?lang=en", "/_tillid/state?lang=da", "/_tillid/page"} {
		look(www, path, "Sec-Fetch-Dest", "document", "Accept", "text/html")
	}
	front := s.do(www, "/", nil, "Sec-Fetch-Dest", "document").body
	doc, err := goquery.NewDocumentFromReader(strings.NewReader(front))
	if err != nil {
		t.Fatal(err)
	}
	if asks, ok := doc.Find("[data-tillid-once]").Attr("formaction"); ok {
		look(www, asks)
	} else {
		t.Error("the front page has no placeholder")
	}
	var settings struct{ Ask struct{ Text, Who string } }
	if err := json.Unmarshal([]byte(doc.Find("script[data-tillid]").AttrOr("data-tillid", "")), &settings); err != nil || !strings.Contains(settings.Ask.Text, "<script id=pwned>") || !strings.Contains(settings.Ask.Who, "<script id=pwned>") {
		t.Errorf("the banner says %+v: %v", settings, err)
	}
	chosen := s.send(http.MethodPost, www, "/_tillid/choice", `{"do":"all","lang":"da","layer":"banner"}`, "Content-Type", "application/json")
	inert(t, "choice", chosen)
	look(www, "/privacy/me/parties", "Cookie", cookiesOf(chosen))
	look(www, "/privacy/choices", "Cookie", cookiesOf(chosen))
	if sent := s.do(www, "/_tillid/forms/contact", url.Values{"name": {"Kanarie Prøvesen"}, "email": {"kanarie@example.dk"}, "message": {"Hej"}}); sent.StatusCode != http.StatusSeeOther {
		t.Errorf("the form: %d %.300s", sent.StatusCode, sent.body)
	}
	s.do(www, "/privacy/me", url.Values{"email": {"kanarie@example.dk"}})
	letters, err := s.room.Wait(t.Context(), "kanarie@example.dk", 2) // the answer and the link
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range letters {
		if inert(t, "the mail "+m.Subject, reply{&http.Response{Header: http.Header{"Content-Type": {"text/html"}}}, m.HTML}); len(m.To) != 1 {
			t.Errorf("the mail %q goes to %v", m.Subject, m.To)
		}
		if _, err := netmail.ReadMessage(bytes.NewReader(m.Raw)); err != nil || !strings.Contains(m.Text, "pwned") {
			t.Errorf("the mail %q: %v", m.Subject, err)
		}
	}
	for _, path := range []string{"/", "/kontakt", "/privacy?lang=da", "/privacy/choices?lang=da", "/_tillid/layer?lang=en", "/_tillid/state?lang=da", "/privacy/me/parties"} {
		if !told[path] {
			t.Errorf("%s does not show the declaration's texts", path)
		}
	}
	s.calm()
}
