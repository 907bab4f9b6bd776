//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// TestScreenshots writes a picture of every page, in light and dark, at 360 and
// 1280 px, in Danish and English, into the folder that TILLID_SCREENSHOTS names.
// No page is wider than the window it is looked at in.
func TestScreenshots(t *testing.T) {
	folder := os.Getenv("TILLID_SCREENSHOTS")
	if folder == "" {
		t.Skip("TILLID_SCREENSHOTS names no folder: nobody looks")
	}
	d := startDemo(t)
	set := stage(t, d)
	down := newEstate(t, "nede", func(string) string { return "" })
	down.site.Close()
	closed := down.serve(t)
	set["error-site-down"] = shot{as: "nobody", address: "http://www.nede.test:" + closed.addr[strings.LastIndex(closed.addr, ":")+1:] + "/"}
	for _, lang := range []string{"da", "en"} {
		who := map[string]*visitor{"person": d.visitor(t, lang).open(known.email), "staff": d.staff(t, lang), "customer": d.customer(t, lang), "chosen": d.visitor(t, lang)}
		who["chosen"].post(http.StatusSeeOther, "site", "/_tillid/consent", "do", "all", "layer", "page", "lang", lang)
		for _, dark := range []bool{false, true} {
			for _, width := range []int64{360, 1280} {
				l := look{width: width, height: 900, dark: dark, lang: lang}
				scheme := map[bool]string{false: "light", true: "dark"}[dark]
				to := filepath.Join(folder, fmt.Sprintf("%s-%s-%d", lang, scheme, width))
				if err := os.MkdirAll(to, 0o755); err != nil {
					t.Fatal(err)
				}
				b := newBrowser(t, l)
				for name, s := range set {
					b.shoot(d, who[s.as], l, s, filepath.Join(to, name+".png"))
				}
				b.close()
			}
		}
	}
}

// shot is one page to look at.
type shot struct {
	as      string // whose cookies
	host    string
	path    string
	en      string // path of the page in English, where it is another
	address string // instead of host and path
	do      func(b *browser)
}

func (b *browser) shoot(d *demo, who *visitor, l look, s shot, file string) {
	b.t.Helper()
	b.as(who)
	path := s.path
	if l.lang == "en" && s.en != "" {
		path = s.en
	}
	if s.address == "" {
		s.address = d.at(s.host, path)
	}
	b.open(s.address)
	if s.do != nil {
		s.do(b)
	}
	wide, err := chromedp.Run(b.ctx, chromedp.Evaluate[int64]("document.documentElement.scrollWidth"))
	if err != nil {
		b.t.Fatal(err)
	}
	if wide > l.width {
		b.t.Errorf("%s is %d px wide", file, wide)
	}
	png, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(file, png, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

var (
	known   = person{"Karla Prøvesen", "karla@example.dk", "Hvad koster en kasse til en isbutik?\n\nMed venlig hilsen\nKarla"}
	someone = person{"Bo Opdigtet", "bo@example.dk", "Our till beeps when it rains. Is that normal?"}
)

// stage lets things happen in the demo, and returns all that there is to see then.
func stage(t *testing.T, d *demo) map[string]shot {
	t.Helper()
	v, staff := d.visitor(t, "da"), d.staff(t, "da")
	// Two enquiries that stay, of which one is answered; one that is closed; one
	// that is closed while the help desk lies; a person who erases everything.
	first := v.write(known)
	answered := staff.enquiry(v.number(first))
	staff.post(http.StatusSeeOther, "backoffice", answered+"/answer", "text", "Kære Karla\n\nDen koster 349 kr. om måneden.\n\nVenlig hilsen\nAstrid")
	thanks := v.write(someone)
	open := staff.enquiry(v.number(thanks))
	closing := staff.enquiry(v.number(v.write(person{"Ea Prøve", "ea@example.dk", "Tak for sidst."})))
	staff.post(http.StatusSeeOther, "backoffice", closing+"/close", "drop", "yes")
	gone := d.visitor(t, "da")
	gone.write(person{"Uffe Borte", "uffe@example.dk", "Hej"})
	gone.open("uffe@example.dk")
	erased := gone.post(http.StatusSeeOther, "site", "/privacy/me/erase", "what", "all").to()
	id := erased[strings.LastIndex(erased, "/")+1:]
	eventually(t, "the erasure ends", func() bool {
		return v.get("site", erased).page(t).Find(".notice.ok").Length() > 0
	})
	last := v.write(person{"Ib Prøve", "ib@example.dk", "Må jeg ringe?"})
	d.desk(t, "keep")
	eventually(t, "the help desk has the enquiry", func() bool { return strings.Contains(v.get("processors", "/").body, "ib@example.dk") })
	staff.post(http.StatusSeeOther, "backoffice", staff.enquiry(v.number(last))+"/close", "drop", "yes")
	eventually(t, "the help desk is caught", func() bool { return staff.get("backoffice", "/").page(t).Find("a.figure.broken").Length() > 0 })
	link := v.link(known.email)
	kept := staff.get("backoffice", "/erasures").page(t).Find("td a").First().AttrOr("href", "/erasures")
	// The declaration page and the comparison of versions have the newest version's number.
	set := map[string]shot{}
	add := func(as, host string, pairs ...string) {
		for i := 0; i+1 < len(pairs); i += 2 {
			set[pairs[i]] = shot{as: as, host: host, path: pairs[i+1]}
		}
	}
	add("nobody", "site", "policy", "/privacy", "policy-as-of", "/privacy?as-of="+time.Now().Format(time.DateOnly), "cookies", "/privacy/cookies",
		"browsers", "/privacy/browsers", "versions", "/privacy/versions", "form", "/privacy/form/contact", "choices", "/privacy/choices",
		"thanks", thanks, "me", "/privacy/me", "me-sent", "/privacy/me/sent", "me-open", link, "me-erased", erased, "certificate", "/privacy/certificate/"+id,
		"error-404", "/privacy/nothing", "error-410", "/privacy/me/open/nothing", "error-400", "/privacy?as-of=tomorrow", "site-404", "/nothing")
	add("chosen", "site", "choices-chosen", "/privacy/choices", "me-visitor", "/privacy/me")
	add("person", "site", "me-data", "/privacy/me/data", "me-erase", "/privacy/me/erase?what=all")
	add("nobody", "mail", "mail-room", "/")
	add("nobody", "processors", "processors", "/")
	add("nobody", "backoffice", "bo-sign-in", "/signin")
	add("staff", "backoffice", "bo-overview", "/", "bo-enquiries", "/enquiries", "bo-enquiries-closed", "/enquiries?state=closed", "bo-case", open,
		"bo-case-answered", answered, "bo-erasures", "/erasures", "bo-erasure", "/erasures/"+id, "bo-erasure-kept", kept, "bo-retention", "/retention",
		"bo-consent", "/consent", "bo-drift", "/drift", "bo-declaration", "/declaration", "bo-versions", "/versions", "bo-users", "/users",
		"bo-audit", "/audit", "bo-log", "/log", "bo-account", "/account", "bo-error-404", "/nothing")
	add("customer", "backoffice", "bo-agreement", "/support/agreement", "bo-customer", "/support", "bo-customer-users", "/users", "bo-error-403", "/enquiries")
	for name, path := range map[string][2]string{"site": {"/", "/en/"}, "site-contact": {"/kontakt", "/en/contact"}} {
		set[name] = shot{as: "nobody", host: "site", path: path[0], en: path[1], do: func(b *browser) { b.do(chromedp.WaitVisible(".tillid-banner")) }}
		set[name+"-chosen"] = shot{as: "chosen", host: "site", path: path[0], en: path[1], do: func(b *browser) { b.do(chromedp.WaitVisible(".tillid-entry")) }}
	}
	set["form-wrong"] = shot{as: "nobody", host: "site", path: "/privacy/form/contact", do: func(b *browser) {
		b.fill("email", "karla")
		b.press("main form button")
	}}
	set["mail-letter"] = shot{as: "nobody", host: "mail", path: d.visitor(t, "da").get("mail", "/?q=karla").page(t).Find("td a").Last().AttrOr("href", "/")}
	return set
}
