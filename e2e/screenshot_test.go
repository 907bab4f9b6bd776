//go:build e2e

package e2e

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// TestPages opens every page of the program in Chromium: no page is wider than
// the window, axe-core finds nothing, and no word is of the other language. Each
// page is looked at in both languages, once light and once dark, once at 360 and
// once at 1280 px. Where TILLID_SCREENSHOTS names a folder, that is done in all
// eight looks, and a picture of each is left there, to look at. TILLID_PAGES, a
// regular expression such as da-dark-360/bo-, chooses among them.
//
// Rows: E13.
func TestPages(t *testing.T) {
	folder, only := os.Getenv("TILLID_SCREENSHOTS"), regexp.MustCompile(os.Getenv("TILLID_PAGES"))
	d := startDemo(t)
	set := stage(t, d)
	set["error-site-down"] = siteDown(t)
	// Once per language: the program limits the letters that one address gets.
	who := map[string]map[string]*visitor{"da": d.viewers(t, "da"), "en": d.viewers(t, "en")}
	list := looks()
	if folder == "" {
		list = list[:2] // these two cover both of everything
	}
	for _, l := range list {
		t.Run(l.String(), func(t *testing.T) {
			t.Parallel()
			other := onlyIn(t, map[string]string{"da": "en", "en": "da"}[l.lang], l.lang)
			names := slices.DeleteFunc(slices.Sorted(maps.Keys(set)), func(name string) bool { return !only.MatchString(l.String() + "/" + name) })
			for some := range slices.Chunk(names, 12) {
				b := newBrowser(t, l)
				for _, name := range some {
					b.visit(d, who[l.lang][set[name].as], l, set[name])
					b.judged(l.String()+"/"+name, l, other)
					if folder != "" {
						b.shoot(filepath.Join(folder, l.String(), name+".png"))
					}
				}
				b.close()
			}
		})
	}
}

// looks are the ways in which pages are looked at; the first two cover both
// languages, both schemes, and both widths.
func looks() []look {
	at := func(lang string, dark bool, width int64) look {
		return look{lang: lang, dark: dark, width: width, height: 900}
	}
	return []look{
		at("da", false, 360), at("en", true, 1280), at("en", false, 1280), at("da", true, 1280),
		at("da", true, 360), at("en", false, 360), at("en", true, 360), at("da", false, 1280),
	}
}

func (l look) String() string {
	return fmt.Sprintf("%s-%s-%d", l.lang, map[bool]string{false: "light", true: "dark"}[l.dark], l.width)
}

// viewers are the people whose cookies pages are looked at with.
func (d *demo) viewers(t *testing.T, lang string) map[string]*visitor {
	t.Helper()
	who := map[string]*visitor{"person": d.visitor(t, lang).open(known.email), "staff": d.staff(t, lang), "customer": d.customer(t, lang), "chosen": d.visitor(t, lang)}
	who["chosen"].post(http.StatusSeeOther, "site", "/_tillid/consent", "do", "all", "layer", "page", "lang", lang)
	return who
}

// siteDown is what visitors see while the company's own site does not answer.
func siteDown(t *testing.T) shot {
	t.Helper()
	down := newEstate(t, "nede", func(string) string { return "" })
	down.site.Close()
	closed := down.serve(t)
	return shot{as: "nobody", address: "http://www.nede.test:" + closed.addr[strings.LastIndex(closed.addr, ":")+1:] + "/"}
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

// visit opens a page as somebody.
func (b *browser) visit(d *demo, who *visitor, l look, s shot) {
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
}

// shoot writes a picture of the page that is open.
func (b *browser) shoot(file string) {
	b.t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		b.t.Fatal(err)
	}
	png, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(file, png, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// run evaluates a script in the page and waits for its answer.
func run[T any](b *browser, script string) T {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
	if err != nil {
		where, _ := chromedp.Run(b.ctx, chromedp.Location())
		b.t.Fatalf("script at %s: %v", where, err)
	}
	return v
}

var (
	known   = person{"Karla Prøvesen", "karla@example.dk", "Hvad koster en kasse til en isbutik?\n\nMed venlig hilsen\nKarla"}
	someone = person{"Bo Opdigtet", "bo@example.dk", "Kassen bipper, når det regner."}
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
	staff.post(http.StatusSeeOther, "backoffice", closing+"/close", "drop", "yes", "now", "yes")
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
	staff.post(http.StatusSeeOther, "backoffice", staff.enquiry(v.number(last))+"/close", "drop", "yes", "now", "yes")
	eventually(t, "the help desk is caught", func() bool { return staff.get("backoffice", "/").page(t).Find("a.figure.broken").Length() > 0 })
	rights := staff.rights(t)
	staff.post(http.StatusSeeOther, "backoffice", "/retention/holds", "scope", "record", "target", "R-0000", "reason", "Tvist", "review", time.Now().AddDate(0, 6, 0).Format(time.DateOnly))
	link := v.link(someone.email)
	user := staff.get("backoffice", "/users").page(t).Find(`a[href^="/users/"]`).AttrOr("href", "/users")
	kept := staff.get("backoffice", "/erasures").page(t).Find("td a").First().AttrOr("href", "/erasures")
	shown := staff.get("backoffice", "/consent").page(t).Find(`a[href^="/consent/shown/"]`).AttrOr("href", "/consent")
	set := map[string]shot{}
	maps.Copy(set, rights)
	maps.Copy(set, staff.breaches())
	add := func(as, host string, pairs ...string) {
		for i := 0; i+1 < len(pairs); i += 2 {
			set[pairs[i]] = shot{as: as, host: host, path: pairs[i+1]}
		}
	}
	add("nobody", "site", "policy", "/privacy", "policy-as-of", "/privacy?as-of="+time.Now().Format(time.DateOnly), "cookies", "/privacy/cookies",
		"browsers", "/privacy/browsers", "versions", "/privacy/versions", "form", "/privacy/form/contact", "choices", "/privacy/choices",
		"thanks", thanks, "me", "/privacy/me", "me-sent", "/privacy/me/sent", "me-erased", erased, "certificate", "/privacy/certificate/"+id,
		"error-404", "/privacy/nothing", "error-410", "/privacy/me/open/nothing", "error-400", "/privacy?as-of=tomorrow")
	add("chosen", "site", "choices-chosen", "/privacy/choices", "me-visitor", "/privacy/me", "me-parties", "/privacy/me/parties")
	add("person", "site", "me-data", "/privacy/me/data", "me-erase", "/privacy/me/erase?what=all")
	add("nobody", "mail", "mail-room", "/")
	add("nobody", "processors", "processors", "/")
	add("nobody", "backoffice", "bo-sign-in", "/signin")
	add("staff", "backoffice", "bo-overview", "/", "bo-enquiries", "/enquiries", "bo-enquiries-closed", "/enquiries?state=closed", "bo-case", open,
		"bo-case-answered", answered, "bo-entry", "/enquiries/new?form=callback", "bo-enquiries-mine", "/enquiries?state=mine", "bo-erasures", "/erasures", "bo-erasure", "/erasures/"+id, "bo-erasure-kept", kept, "bo-retention", "/retention",
		"bo-consent", "/consent", "bo-consent-shown", shown, "bo-scan", "/scan", "bo-drift", "/drift", "bo-declaration", "/declaration", "bo-versions", "/versions", "bo-users", "/users",
		"bo-user", user, "bo-version", "/versions/1", "bo-compare", "/versions/compare?from=1&to=1", "bo-work", "/work", "bo-backups", "/backups", "bo-retention-all", "/retention?days=36500",
		"bo-audit", "/audit", "bo-log", "/log", "bo-account", "/account", "bo-error-404", "/nothing")
	add("customer", "backoffice", "bo-agreement", "/support/agreement", "bo-customer-users", "/users", "bo-error-403", "/enquiries")
	for name, path := range map[string][2]string{"site": {"/", "/en/"}, "site-contact": {"/kontakt", "/en/contact"}} {
		set[name] = shot{as: "nobody", host: "site", path: path[0], en: path[1], do: func(b *browser) { b.do(chromedp.WaitVisible(".tillid-banner")) }}
		set[name+"-chosen"] = shot{as: "chosen", host: "site", path: path[0], en: path[1], do: func(b *browser) { b.do(chromedp.WaitVisible(".tillid-entry")) }}
	}
	set["site-404"] = shot{as: "nobody", host: "site", path: "/nothing", en: "/en/nothing"}
	set["me-open"] = shot{as: "nobody", host: "site", path: link, en: link + "?lang=en"} // the letter was Danish
	set["form-wrong"] = shot{as: "nobody", host: "site", path: "/privacy/form/contact", do: func(b *browser) {
		b.fill("email", "karla")
		b.press("main form button")
	}}
	set["mail-letter"] = shot{as: "nobody", host: "mail", path: d.visitor(t, "da").get("mail", "/?q=karla").page(t).Find("td a").Last().AttrOr("href", "/")}
	return set
}
