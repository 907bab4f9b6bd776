//go:build e2e

package e2e

import (
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// The form on the company's own page: what the declaration does not know is
// refused with what was typed kept, what it knows is stored once however often it
// is sent, the receipt says all that Art. 13 asks for, in the sender's language.
// No answer to the banner is needed, and no cookie.
func TestContactForm(t *testing.T) {
	d := startDemo(t)
	l := desktop
	l.lang, l.noCookies = "da", true
	b := newBrowser(t, l)
	b.open(d.at("site", "/kontakt"))
	b.do(chromedp.WaitVisible(".tillid-banner"))
	if got := eval[string](b, `document.cookie = "x=1"; document.cookie`); got != "" {
		t.Fatalf("this browser takes cookies: %s", got)
	}
	b.fillIn("name", known.name)
	b.fillIn("email", known.email)
	b.fillIn("message", "Hvad koster en kasse?")
	eval[bool](b, `(() => { const i = document.createElement("input"); i.type = "hidden"; i.name = "skostoerrelse"; i.value = "38"; document.querySelector("form.form").append(i); return true })()`)
	b.press("form.form button")
	b.wants("skostoerrelse")
	for name, want := range map[string]string{"name": known.name, "email": known.email, "message": "Hvad koster en kasse?"} {
		if got := eval[string](b, `document.querySelector('[name="`+name+`"]').value`); got != want {
			t.Errorf("the field %s was %q and is %q now", name, want, got)
		}
	}
	b.press("main form button")
	number := b.text("#number")
	b.wants(number, "Kvittering")
	staff := d.staff(t, "da")
	staff.enquiry(number)
	receipt := d.letter(t, known.email, number)
	for _, words := range []string{"Eksempel A/S", "interesse", "12 måneder", "Datatilsynet", "Indsigt:", "Sletning:", "Hjælpedisk ApS", "/privacy/me"} {
		if !strings.Contains(receipt, words) {
			t.Errorf("the receipt does not say %q:\n%s", words, receipt)
		}
	}
	v := d.visitor(t, "en")
	first, again := v.write(someone), v.write(someone)
	if v.number(first) != v.number(again) {
		t.Errorf("the same enquiry twice is two cases: %s and %s", v.number(first), v.number(again))
	}
	if n := staff.get("backoffice", "/enquiries").page(t).Find("tbody tr").Length(); n != 2 {
		t.Errorf("%d cases are listed, want 2", n)
	}
	proof := v.get("site", first+"/receipt.json")
	if proof.StatusCode != http.StatusOK || !strings.Contains(proof.body, "leaf_id") {
		t.Errorf("the receipt as a file: %d %s", proof.StatusCode, proof.body)
	}
	b.noErrors()
}
