package publish

import (
	"bytes"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"
	"github.com/jba/templatecheck"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/db/dbtest"
	"github.com/tillid/tillid/internal/ledger"
	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/text"
	"github.com/tillid/tillid/internal/version"
	"github.com/tillid/tillid/internal/web"
)

func TestTemplates(t *testing.T) {
	for page, check := range map[string]struct {
		layout string
		data   any
	}{
		"versions":      {web.Public, versionsPage{}},
		"staffversions": {web.Backoffice, staffVersionsPage{}},
		"staffversion":  {web.Backoffice, staffVersionPage{}},
		"declaration":   {web.Backoffice, declarationPage{}},
		"support":       {web.Backoffice, supportPage{}},
	} {
		if err := templatecheck.CheckHTML(pages().Template(page, check.layout), check.data); err != nil {
			t.Errorf("%s: %v", page, err)
		}
	}
	tmpl, err := documentTemplate(text.DA)
	if err != nil {
		t.Fatal(err)
	}
	if err := templatecheck.CheckHTML(tmpl, frame{}); err != nil {
		t.Error(err)
	}
}

func parse(t *testing.T, body string) *goquery.Document {
	t.Helper()
	doc, err := goquery.NewDocumentFromReader(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// Each public page is the archived bytes, with its style from the archive, and
// strict headers; nothing on it needs a script.
func TestPublicPages(t *testing.T) {
	s := newSite(t, dbtest.Open(t, dbtest.Lite(t)("house")))
	for document, path := range publicPages {
		for _, l := range text.Langs() {
			res, body := get(t, s.public, path+"?lang="+string(l))
			if res.StatusCode != http.StatusOK || res.Header.Get("Content-Language") != string(l) {
				t.Errorf("%s in %s: %s, %q", path, l, res.Status, res.Header.Get("Content-Language"))
			}
			if csp := res.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") {
				t.Errorf("%s: policy %q", path, csp)
			}
			_, archived := get(t, s.public, versionsPath+"/1/"+version.ShownName(document, l, "html"))
			if body != archived {
				t.Errorf("%s: the live page is not the archived one", path)
			}
			doc := parse(t, body)
			if n := doc.Find("script, style, [style], [onclick]").Length(); n != 0 {
				t.Errorf("%s: %d inline scripts or styles", path, n)
			}
			href, _ := doc.Find("link[rel=stylesheet]").Attr("href")
			if res, css := get(t, s.public, href); res.StatusCode != http.StatusOK || !strings.Contains(css, "--accent") {
				t.Errorf("style %s: %s", href, res.Status)
			}
			if n := doc.Find("main h1").Length(); n != 1 {
				t.Errorf("%s has %d h1", path, n)
			}
			for _, format := range []string{"md", "pdf"} {
				if res, _ := get(t, s.public, "/privacy/"+document+"."+format+"?lang="+string(l)); res.StatusCode != http.StatusOK {
					t.Errorf("%s as %s: %s", document, format, res.Status)
				}
			}
		}
	}
}

// Links within a page lead to something that is there.
func TestAnchors(t *testing.T) {
	s := newSite(t, dbtest.Open(t, dbtest.Lite(t)("house")))
	for _, path := range publicPages {
		_, body := get(t, s.public, path)
		doc := parse(t, body)
		ids := map[string]bool{}
		doc.Find("[id]").Each(func(_ int, e *goquery.Selection) { ids[e.AttrOr("id", "")] = true })
		doc.Find("a").Each(func(_ int, e *goquery.Selection) {
			href := e.AttrOr("href", "")
			if to, ok := strings.CutPrefix(href, "#"); href == "" || ok && !ids[to] {
				t.Errorf("%s: %q leads to %q", path, e.Text(), href)
			}
		})
	}
}

// ?as-of= gives the very bytes that were in force on a day, in every version
// and format. Rows: E8.
func TestAsOf(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := newSite(t, d)
		_, first := get(t, s.public, "/privacy?lang=da")
		s.at = published.AddDate(0, 0, 10)
		s.publish(t, "Vi læser det, du skriver, og svarer dig.", "Vi læser alt og svarer altid.")
		_, second := get(t, s.public, "/privacy?lang=da")
		if first == second || !strings.Contains(second, "Vi læser alt og svarer altid.") {
			t.Fatal("the new version is not what the page shows")
		}
		for day, want := range map[string]string{"2026-11-22": first, "2026-12-01": first, "2026-12-02": second, "2030-01-01": second} {
			if _, got := get(t, s.public, "/privacy?lang=da&as-of="+day); got != want {
				t.Errorf("as of %s: not the bytes that were in force", day)
			}
		}
		if _, got := get(t, s.public, "/privacy/versions/1/policy?lang=da"); got != first {
			t.Error("the page of version 1 is not what was shown")
		}
		if res, _ := get(t, s.public, "/privacy/versions/2/policy?lang=en"); res.StatusCode != http.StatusSeeOther || res.Header.Get("Location") != "/privacy?lang=en" {
			t.Errorf("the page of the version in force: %s to %q", res.Status, res.Header.Get("Location"))
		}
		for day, want := range map[string]int{"2026-11-21": http.StatusNotFound, "yesterday": http.StatusUnprocessableEntity, "2026-02-30": http.StatusUnprocessableEntity} {
			if res, _ := get(t, s.public, "/privacy?as-of="+day); res.StatusCode != want {
				t.Errorf("as of %s: %s; want %d", day, res.Status, want)
			}
		}
	})
}

func TestVersionsPage(t *testing.T) {
	s := newSite(t, dbtest.Open(t, dbtest.Lite(t)("house")))
	s.at = published.AddDate(0, 0, 10)
	s.publish(t, "duration: P24M", "duration: P36M")
	_, body := get(t, s.public, versionsPath+"?lang=da")
	doc := parse(t, body)
	if n := doc.Find("section").Length(); n != 2 {
		t.Errorf("%d versions listed; want 2", n)
	}
	changes := doc.Find("#v2 .edits li")
	if changes.Length() != 2 || !strings.Contains(changes.Text(), "24 måneder") || !strings.Contains(changes.Text(), "36 måneder") {
		t.Errorf("the page says that this changed: %q", changes.Text())
	}
	doc.Find("section td a").Each(func(_ int, a *goquery.Selection) {
		if res, _ := get(t, s.public, a.AttrOr("href", "")); res.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", a.AttrOr("href", ""), res.Status)
		}
	})
	if strings.Contains(body, "agreement") {
		t.Error("the public list shows the customers' agreement")
	}
}

func TestNotPublic(t *testing.T) {
	s := newSite(t, dbtest.Open(t, dbtest.Lite(t)("house")))
	for _, path := range []string{
		versionsPath + "/1/agreement-pos_service.da.pdf", versionsPath + "/1/agreement-pos_service.da.html", versionsPath + "/1/style..css",
		versionsPath + "/9/policy.da.html", versionsPath + "/x/policy", versionsPath + "/1/policy.xx.html", versionsPath + "/1/policy.da.exe",
		assetPath + "0000.css", assetPath + "nothing", "/privacy/policy.exe",
	} {
		if res, _ := get(t, s.public, path); res.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %s; want 404", path, res.Status)
		}
	}
}

// A customer's admin reads, prints and fetches the agreement of every version,
// and the signature over the PDF holds. Rows: D2, D3, D4.
func TestSupport(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := newSite(t, d)
		s.at = published.AddDate(0, 0, 10)
		s.publish(t, "breach: PT24H\n    end_of_contract: delete\n    end_duration: P30D", "breach: PT12H\n    end_of_contract: delete\n    end_duration: P30D")
		res, body := get(t, s.office, supportPath+"?lang=da")
		if res.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s", res.Status, body)
		}
		doc := parse(t, body)
		if n := doc.Find("tbody tr").Length(); n != 2 {
			t.Errorf("%d versions of the agreement; want 2", n)
		}
		for n := range 2 {
			at := supportPath + "/" + strconv.Itoa(n+1) + "/agreement-pos_service.da."
			_, pdf := get(t, s.office, at+"pdf")
			if !strings.HasPrefix(pdf, "%PDF") {
				t.Fatalf("version %d is no PDF", n+1)
			}
			_, note := get(t, s.office, at+"note")
			words, err := ledger.OpenNote([]byte(note), s.Signer.Verifier())
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(words, "sha256 "+digest([]byte(pdf))) || !strings.Contains(words, "version "+strconv.Itoa(n+1)) {
				t.Errorf("the signature is over %q", words)
			}
			page, _ := get(t, s.office, at+"html")
			if page.StatusCode != http.StatusOK {
				t.Errorf("%s: %s", at, page.Status)
			}
		}
		if res, _ := get(t, s.office, supportPath+"/1/policy.da.html"); res.StatusCode != http.StatusNotFound {
			t.Errorf("Support serves another document: %s", res.Status)
		}
		_, body = get(t, s.office, supportPath+"/2/agreement-pos_service.da.html")
		href := parse(t, body).Find("link[rel=stylesheet]").AttrOr("href", "")
		if res, _ := get(t, s.office, href); res.StatusCode != http.StatusOK {
			t.Errorf("the page's style: %s", res.Status)
		}
	})
}

// Every sentence leads to a line that the page shows.
func TestDeclarationPage(t *testing.T) {
	s := newSite(t, dbtest.Open(t, dbtest.Lite(t)("house")))
	s.Findings = func(plan *policy.Plan, _ text.Lang) []Finding {
		return []Finding{{Rule: "LB-04", Severity: "warning", Path: "purposes.answer_enquiry.legal_basis", Message: "Old."}}
	}
	for _, document := range []string{"policy", "cookies", "browsers", "agreement-pos_service"} {
		res, body := get(t, s.office, "/declaration?lang=da&document="+document)
		if res.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s", document, res.Status)
		}
		doc := parse(t, body)
		if n := doc.Find("article [data-path]").Length(); n < 20 {
			t.Errorf("%s: %d sentences", document, n)
		}
		doc.Find("article a").Each(func(_ int, a *goquery.Selection) {
			if doc.Find(`[id="`+strings.TrimPrefix(a.AttrOr("href", "?"), "#")+`"]`).Length() != 1 {
				t.Errorf("%s: %q leads to %q", document, a.Text(), a.AttrOr("href", ""))
			}
		})
		if text := doc.Find(".margin").Text(); !strings.Contains(text, "LB-04") {
			t.Errorf("%s: findings in the margin: %q", document, text)
		}
	}
}

func TestStaffVersions(t *testing.T) {
	s := newSite(t, dbtest.Open(t, dbtest.Lite(t)("house")))
	s.at = published.Add(time.Hour)
	s.publish(t, "duration: P24M", "duration: P36M")
	for path, want := range map[string]string{
		"/versions":                               "Version 2",
		"/versions/1":                             "First version",
		"/versions/2":                             "SHA-256",
		"/versions/compare?from=1&to=2":           "36 months",
		"/versions/1/policy.da.pdf":               "%PDF",
		"/versions/1/agreement-pos_service.en.md": "Appendix A",
	} {
		sep := "?"
		if strings.Contains(path, "?") {
			sep = "&"
		}
		if res, body := get(t, s.office, path+sep+"lang=en"); res.StatusCode != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s: %s, without %q", path, res.Status, want)
		}
	}
	for _, path := range []string{"/versions/9", "/versions/x", "/versions/compare?from=1&to=9", "/versions/1/policy"} {
		if res, _ := get(t, s.office, path); res.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %s; want 404", path, res.Status)
		}
	}
}

// Words of a declaration are words on the page, whatever they look like.
func TestHostileWords(t *testing.T) {
	plan, v := compile(t, "sample")
	evil := `<script>alert(1)</script> | **x** [a](javascript:alert(1)) ` + base64.StdEncoding.EncodeToString([]byte("x"))
	p := *plan
	p.Purposes = append([]policy.Purpose(nil), plan.Purposes...)
	p.Purposes[0].Description = text.Text{text.DA: evil, text.EN: evil}
	p.Parties = append([]policy.Party(nil), plan.Parties...)
	p.Parties[0].PrivacyURL = "javascript:alert(1)"
	e := &edition{plan: &p, version: v}
	d := Policy(&p, v, text.EN)
	page, err := e.html(d)
	if err != nil {
		t.Fatal(err)
	}
	doc := parse(t, string(page))
	if doc.Find("script").Length() != 0 || doc.Find(`a[href^="javascript"]`).Length() != 0 {
		t.Error("words of the declaration became markup")
	}
	if md := e.markdown(d); bytes.Contains(md, []byte("<script>")) && !bytes.Contains(md, []byte(`\<script`)) || bytes.Contains(md, []byte("](<javascript")) {
		t.Error("words of the declaration became Markdown")
	}
}
