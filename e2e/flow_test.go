//go:build e2e

package e2e

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// Before a choice nobody outside is asked; after all yes only the declared
// hosts; after withdrawal nobody. In real Chromium, on the demo.
//
// Rows: A1, A3, A4, A5, A6, A7, A8.
func TestBrowserReachesWhatWasAllowed(t *testing.T) {
	d := startDemo(t)
	b := newBrowser(t, desktop)
	only := func(when string, want ...string) {
		t.Helper()
		b.quiet()
		if got := b.seen(); !slices.Equal(got, want) {
			t.Errorf("%s the browser asked %v, want %v", when, got, want)
		}
	}
	b.open(d.at("site", "/en/"))
	b.do(chromedp.WaitVisible(".tillid-banner"), chromedp.WaitVisible(".tillid-embed"))
	only("before a choice", "site.localhost")
	b.press(".tillid-button:nth-child(2)")
	only("after a yes", "google.localhost", "linkedin.localhost", "meta.localhost", "site.localhost", "youtube.localhost")
	b.open(d.at("site", "/privacy/choices"))
	b.wants("Google Ireland Limited", "Meta Platforms Ireland Limited", "tillid_choice")
	v := d.visitor(t, "en")
	v.post(http.StatusSeeOther, "site", "/_tillid/consent", "do", "none", "layer", "page", "lang", "en")
	b.as(v)
	b.open(d.at("site", "/en/"))
	only("after a no", "site.localhost")
	b.noErrors()
}

// Without JavaScript: the form, the choices and the portal do all they can do.
//
// Rows: A4, C1.
func TestWithoutJavaScript(t *testing.T) {
	d := startDemo(t)
	l := desktop
	l.noScript = true
	b := newBrowser(t, l)
	b.open(d.at("site", "/privacy/choices?lang=en"))
	b.press(`main form button`)
	b.open(d.at("site", "/en/contact"))
	b.fillIn("name", "Karla Prøvesen")
	b.fillIn("email", "karla@example.dk")
	b.fillIn("message", "Do you sell drawers?")
	b.press("form.form button")
	if n := b.text("#number"); n == "" {
		t.Error("no case number after the form")
	}
}

// fillIn types into a field by its name, as a person does.
func (b *browser) fillIn(name, value string) {
	b.t.Helper()
	b.do(chromedp.SendKeys(`[name="`+name+`"]`, value))
}

// The way of an enquiry: form, receipt with the notice, case, answer, closing,
// erasure here and at the help desk, a certificate that verifies offline.
//
// Rows: C1, C3, C4, C5, E2, E3, E5, E7.
func TestEnquiry(t *testing.T) {
	d := startDemo(t)
	v, staff := d.visitor(t, "en"), d.staff(t, "en")
	refused := v.post(http.StatusUnprocessableEntity, "site", "/_tillid/forms/contact",
		"name", known.name, "email", known.email, "message", known.message, "shoe_size", "38")
	if !strings.Contains(refused.body, known.name) || !strings.Contains(refused.body, "shoe_size") {
		t.Error("an undeclared field is not named, or what was typed is lost")
	}
	number := v.number(v.write(known))
	receipt := d.letter(t, known.email, number)
	for _, words := range []string{"Eksempel A/S", "Datatilsynet", "12 months", "/privacy/me", "Hjælpedisk ApS"} {
		if !strings.Contains(receipt, words) {
			t.Errorf("the receipt does not say %q:\n%s", words, receipt)
		}
	}
	at := staff.enquiry(number)
	if page := staff.get("backoffice", at).body; !strings.Contains(page, known.name) || !strings.Contains(page, "astrid") {
		t.Error("the case does not show who wrote, or who opened it")
	}
	staff.post(http.StatusSeeOther, "backoffice", at+"/answer", "text", "It costs 349 kr. a month.")
	d.letter(t, known.email, "349 kr.")
	eventually(t, "the help desk has the enquiry", func() bool { return strings.Contains(v.get("processors", "/").body, known.email) })
	plan, code := tillid(t, "retention", "plan", "--house", d.dir, "--as-of", time.Now().AddDate(2, 0, 0).Format(time.DateOnly))
	if code != 0 || !strings.Contains(plan, "enquiry") {
		t.Errorf("retention plan beside the server: %d\n%s", code, plan)
	}
	staff.post(http.StatusSeeOther, "backoffice", at+"/close", "drop", "yes", "now", "yes")
	if a := staff.get("backoffice", at); a.StatusCode != http.StatusNotFound && a.StatusCode != http.StatusGone {
		t.Errorf("the closed case answers %d", a.StatusCode)
	}
	eventually(t, "the help desk has forgotten", func() bool { return !strings.Contains(v.get("processors", "/").body, known.email) })
	kept := staff.get("backoffice", "/erasures").page(t).Find("td a").First().AttrOr("href", "")
	var file answer
	eventually(t, "the certificate is final", func() bool {
		file = staff.get("backoffice", kept+"/certificate")
		return file.StatusCode == http.StatusOK && strings.Contains(file.body, `\"final\": true`)
	})
	verifies(t, file.body)
	if page := staff.get("backoffice", "/").body; !strings.Contains(page, "with proof") {
		t.Error("the overview does not count what was deleted")
	}
}

// verifies checks a certificate with the program, and that one changed byte breaks it.
func verifies(t *testing.T, certificate string) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "certificate.json")
	write := func(s string) {
		if err := os.WriteFile(name, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(certificate)
	if out, code := tillid(t, "verify", name); code != 0 {
		t.Errorf("the certificate does not verify: %s", out)
	}
	at := strings.Index(certificate, "records")
	write(certificate[:at] + "R" + certificate[at+1:])
	if out, code := tillid(t, "verify", name); code != 1 {
		t.Errorf("a changed certificate: exit %d\n%s", code, out)
	}
}

// A person sees everything, takes it along, and erases it; while the help desk
// says yes and keeps, the case stays open and the overview says so.
//
// Rows: C4, E3, E9, E10, E11, E12.
func TestPortal(t *testing.T) {
	d := startDemo(t)
	v, staff := d.visitor(t, "en"), d.staff(t, "en")
	v.write(someone)
	eventually(t, "the help desk has the enquiry", func() bool { return strings.Contains(v.get("processors", "/").body, someone.email) })
	unknown := v.post(http.StatusSeeOther, "site", "/privacy/me", "email", "nobody@example.dk")
	link := v.link(someone.email)
	if again := v.post(http.StatusSeeOther, "site", "/privacy/me", "email", someone.email); again.to() != unknown.to() {
		t.Error("a known address is answered differently")
	}
	for range 3 { // mail scanners
		if a := v.get("site", link); a.StatusCode != http.StatusOK || strings.Contains(a.body, someone.name) {
			t.Fatalf("GET of the link: %d", a.StatusCode)
		}
	}
	v.post(http.StatusSeeOther, "site", link)
	data := v.get("site", "/privacy/me/data").body
	for _, words := range []string{someone.name, "Hjælpedisk ApS", time.Now().AddDate(1, 0, 0).Format("2 Jan 2006")} { // what, who got it, when it goes

		if !strings.Contains(data, words) {
			t.Errorf("the page does not say %q", words)
		}
	}
	if a := v.get("site", "/privacy/me/data.json"); a.StatusCode != http.StatusOK || !strings.Contains(a.body, someone.email) {
		t.Errorf("JSON: %d", a.StatusCode)
	}
	if a := v.get("site", "/privacy/me/data.html"); a.StatusCode != http.StatusOK || !strings.Contains(a.body, someone.name) {
		t.Errorf("HTML: %d", a.StatusCode)
	}
	if a := d.visitor(t, "en").do(http.MethodPost, "site", link, nil); a.StatusCode < 400 {
		t.Errorf("the link opens twice: %d", a.StatusCode)
	}
	d.desk(t, "keep")
	erased := v.post(http.StatusSeeOther, "site", "/privacy/me/erase", "what", "all").to()
	eventually(t, "the lie is seen on the overview", func() bool {
		return staff.get("backoffice", "/").page(t).Find("a.figure.broken").Length() > 0
	})
	if v.get("site", erased).page(t).Find(".notice.ok").Length() > 0 {
		t.Error("the person is told that all is gone while the help desk keeps it")
	}
	d.desk(t, "honest")
	kept := staff.get("backoffice", "/erasures").page(t).Find("td a").First().AttrOr("href", "")
	eventually(t, "the case closes once the help desk is honest", func() bool {
		staff.do(http.MethodPost, "backoffice", kept+"/try", nil)
		return v.get("site", erased).page(t).Find(".notice.ok").Length() > 0
	})
	id := erased[strings.LastIndex(erased, "/")+1:]
	verifies(t, v.get("site", "/privacy/certificate/"+id+"/file").body)
}

// A customer's admin finds the agreement under Support, and nothing else of the house.
//
// Rows: D1, D2, D3, D4.
func TestCustomer(t *testing.T) {
	d := startDemo(t)
	staff, customer := d.staff(t, "en"), d.customer(t, "en")
	page := customer.get("backoffice", "/support/agreement")
	if page.StatusCode != http.StatusOK || !strings.Contains(page.body, "Eksempel A/S") {
		t.Fatalf("agreement: %d", page.StatusCode)
	}
	pdf := ""
	for _, a := range page.page(t).Find("a[href$='.pdf']").EachIter() {
		pdf = a.AttrOr("href", "")
	}
	if a := customer.get("backoffice", pdf); a.StatusCode != http.StatusOK || !strings.HasPrefix(a.body, "%PDF") {
		t.Errorf("PDF at %q: %d", pdf, a.StatusCode)
	}
	var others []string
	for _, a := range staff.get("backoffice", "/").page(t).Find("nav a, header a").EachIter() {
		if to := a.AttrOr("href", ""); strings.HasPrefix(to, "/") && to != "/" && !strings.HasPrefix(to, "/support") && !strings.HasPrefix(to, "/account") && !strings.Contains(to, "?") {
			others = append(others, to)
		}
	}
	if len(others) < 8 {
		t.Fatalf("the staff's menu has only %v", others)
	}
	for _, path := range others {
		if a := customer.get("backoffice", path); a.StatusCode != http.StatusNotFound && a.StatusCode != http.StatusForbidden {
			t.Errorf("a customer's admin gets %s: %d", path, a.StatusCode)
		}
	}
	var first string
	for _, try := range [][3]string{{"9", "admin", demoPassword}, {demoCustomer, "nobody", demoPassword}, {demoCustomer, "admin", "wrong-password-1"}} {
		a := d.visitor(t, "en").do(http.MethodPost, "backoffice", "/signin", map[string][]string{"number": {try[0]}, "user_name": {try[1]}, "password": {try[2]}})
		what := a.page(t).Find(".notice, .error").Text()
		if first == "" {
			first = what
		}
		if a.StatusCode == http.StatusSeeOther || what != first || what == "" {
			t.Errorf("sign-in with %v: %d %q, the first said %q", try[:2], a.StatusCode, what, first)
		}
	}
}

// The demo ends cleanly and leaves a log that verifies; a leaf that is altered
// afterwards is named. Nothing personal is in what the program printed.
//
// Rows: E7.
func TestLogAfterwards(t *testing.T) {
	d := startDemo(t)
	v := d.visitor(t, "en")
	v.number(v.write(known))
	d.letter(t, known.email, "Eksempel")
	eventually(t, "a checkpoint", func() bool { return strings.Contains(v.get("site", "/_tillid/checkpoint").body, "tillid/") })
	if out, code := tillid(t, "ledger", "verify", "--house", d.dir); code != 0 || !strings.Contains(out, "whole") {
		t.Errorf("ledger verify beside the server: %d\n%s", code, out)
	}
	if code := d.stop(t); code != 0 {
		t.Errorf("exit code %d after SIGTERM\n%s", code, d.log())
	}
	if printed := d.output() + d.log(); strings.Contains(printed, known.email) || strings.Contains(printed, known.name) {
		t.Errorf("personal data in what the program printed:\n%s", printed)
	}
	leaf := alterLeaf(t, filepath.Join(d.dir, "tillid.db"))
	out, err := exec.Command(binary(t), "ledger", "verify", "--house", d.dir).CombinedOutput()
	if err == nil || !strings.Contains(string(out), leaf) {
		t.Errorf("an altered leaf %s is not named: %v\n%s", leaf, err, out)
	}
}
