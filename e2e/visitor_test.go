//go:build e2e

package e2e

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"

	"github.com/PuerkitoBio/goquery"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
)

// visitor is somebody who uses the demo with a cookie jar and without a browser:
// quick, for what a test needs to have happened before it looks.
type visitor struct {
	t    testing.TB
	demo *demo
	lang string
	http *http.Client
}

func (d *demo) visitor(t testing.TB, lang string) *visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	var dialer net.Dialer
	return &visitor{t: t, demo: d, lang: lang, http: &http.Client{
		Jar: jar,
		Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "tcp", "127.0.0.1:"+d.port)
		}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

func (v *visitor) do(method, host, path string, form url.Values) answer {
	v.t.Helper()
	req, err := http.NewRequest(method, v.demo.at(host, path), strings.NewReader(form.Encode()))
	if err != nil {
		v.t.Fatal(err)
	}
	req.Header.Set("Accept", "text/html,application/xhtml+xml,*/*;q=0.8") // as browsers do when they ask for a page
	req.Header.Set("Accept-Language", v.lang)
	if form != nil {
		req.Header.Set("Content-Type", formType)
	}
	resp, err := v.http.Do(req)
	if err != nil {
		v.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	return answer{resp, string(b)}
}

// get asks for a page.
func (v *visitor) get(host, path string) answer {
	v.t.Helper()
	return v.do(http.MethodGet, host, path, nil)
}

// post sends a form, given as pairs of name and value, that must be answered
// with want, and returns the answer.
func (v *visitor) post(want int, host, path string, pairs ...string) answer {
	v.t.Helper()
	form := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		form.Add(pairs[i], pairs[i+1])
	}
	a := v.do(http.MethodPost, host, path, form)
	if a.StatusCode != want {
		v.t.Fatalf("POST %s%s: %d, want %d\n%.1500s", host, path, a.StatusCode, want, a.body)
	}
	return a
}

// to is where an answer leads.
func (a answer) to() string { return a.Header.Get("Location") }

// page parses an answer's HTML.
func (a answer) page(t testing.TB) *goquery.Document {
	t.Helper()
	doc, err := goquery.NewDocumentFromReader(strings.NewReader(a.body))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// person is a made-up person who writes to the company.
type person struct{ name, email, message string }

// write sends the contact form and returns the address of the thanks page.
func (v *visitor) write(p person) string {
	v.t.Helper()
	return v.post(http.StatusSeeOther, "site", "/_tillid/forms/contact",
		"_lang", v.lang, "name", p.name, "company", "", "email", p.email, "phone", "", "message", p.message).to()
}

// Sign-ins of the demo.
const (
	demoPassword = "sommerfugl-42-kasse"
	demoStaff    = "1000"
	demoCustomer = "2044"
)

// signIn signs in to the Backoffice.
func (v *visitor) signIn(number, user string) *visitor {
	v.t.Helper()
	v.post(http.StatusSeeOther, "backoffice", "/signin", "number", number, "user_name", user, "password", demoPassword)
	return v
}

func (d *demo) staff(t testing.TB, lang string) *visitor {
	t.Helper()
	return d.visitor(t, lang).signIn(demoStaff, "astrid")
}

func (d *demo) customer(t testing.TB, lang string) *visitor {
	t.Helper()
	return d.visitor(t, lang).signIn(demoCustomer, "admin")
}

// enquiry returns the Backoffice's address of the enquiry with a number.
func (v *visitor) enquiry(number string) string {
	v.t.Helper()
	a := v.get("backoffice", "/enquiries")
	to, ok := a.page(v.t).Find("td a").FilterFunction(func(_ int, s *goquery.Selection) bool { return s.Text() == number }).Attr("href")
	if !ok {
		v.t.Fatalf("the enquiry list does not show %s:\n%.3000s", number, a.body)
	}
	return to
}

// number reads the case number from the thanks page at a path.
func (v *visitor) number(thanks string) string {
	v.t.Helper()
	n := v.get("site", thanks).page(v.t).Find("#number").Text()
	if n == "" {
		v.t.Fatalf("no case number at %s", thanks)
	}
	return n
}

// letter waits for the newest letter to an address whose subject or text holds
// words, and returns its text.
func (d *demo) letter(t testing.TB, to, words string) string {
	t.Helper()
	v := d.visitor(t, "en")
	var body string
	eventually(t, "a letter to "+to+" that says "+words, func() bool {
		list := v.get("mail", "/?q="+url.QueryEscape(to)).page(t)
		for _, a := range list.Find("td a").EachIter() {
			letter := v.get("mail", a.AttrOr("href", "")).page(t)
			if text := letter.Find("article").Text(); strings.Contains(text, words) {
				body = text
				return true
			}
		}
		return false
	})
	return body
}

// link asks for a link to the portal and returns its path.
func (v *visitor) link(email string) string {
	v.t.Helper()
	letters := func() int { return v.get("mail", "/?q="+url.QueryEscape(email)).page(v.t).Find("td a").Length() }
	before := letters()
	v.post(http.StatusSeeOther, "site", "/privacy/me", "email", email)
	eventually(v.t, "a new letter to "+email, func() bool { return letters() > before }) // an older link is dead now
	text := v.demo.letter(v.t, email, "/privacy/me/open/")
	_, rest, _ := strings.Cut(text, "/privacy/me/open/")
	token, _, _ := strings.Cut(rest, "\n")
	return "/privacy/me/open/" + strings.TrimSpace(token)
}

// open opens the portal for an address.
func (v *visitor) open(email string) *visitor {
	v.t.Helper()
	v.post(http.StatusSeeOther, "site", v.link(email))
	return v
}

// desk switches the simulated help desk.
func (d *demo) desk(t testing.TB, mode string) {
	t.Helper()
	d.visitor(t, "en").post(http.StatusSeeOther, "processors", "/mode", "mode", mode)
}

// as makes the browser hold the cookies of v, and no others; of nobody when v is nil.
func (b *browser) as(v *visitor) {
	b.t.Helper()
	b.do(command(network.ClearBrowserCookies, cdp.Empty{}))
	if v == nil {
		return
	}
	var all []*network.CookieParam
	for _, host := range []string{"site", "backoffice"} {
		for _, path := range []string{"/", "/privacy"} {
			at := v.demo.at(host, path)
			u, err := url.Parse(at)
			if err != nil {
				b.t.Fatal(err)
			}
			for _, c := range v.http.Jar.Cookies(u) {
				all = append(all, &network.CookieParam{Name: c.Name, Value: c.Value, URL: at})
			}
		}
	}
	b.do(command(network.SetCookies, network.SetCookiesParams{Cookies: all}))
}
