// Package demosite is what the demo puts behind the gateway: the website of
// Eksempel A/S, an invented maker of points of sale, with the third-party tags,
// video and share links that such sites have, and stand-ins for the outside hosts
// that those reach, which only count who asked.
//
// The site is written as sites are: its tags are not gated in any way. That the
// browser loads none of them before a yes is the gateway's doing.
package demosite

import (
	"bytes"
	"embed"
	"html/template"
	"io/fs"
	"net/http"
	"strconv"
	"strings"
)

// Hosts are the outside hosts that the site's pages reach, each with its port
// where it has one. A host on localhost is reached by http, others by https.
type Hosts struct {
	Google   string // script and beacons of Google Analytics
	Meta     string
	LinkedIn string
	YouTube  string
}

// RealHosts are the hosts that the example's declaration names.
func RealHosts() Hosts {
	return Hosts{Google: "www.googletagmanager.com", Meta: "connect.facebook.net", LinkedIn: "snap.licdn.com", YouTube: "www.youtube-nocookie.com"}
}

//go:embed page/*.html site.css menu.js
var files embed.FS

// Page is one address of the site.
type page struct {
	Path, Lang, Name string
	Other            string // the same page in the other language
	Template         string
}

var sitePages = []page{
	{"/", "da", "Forside", "/en/", "front"},
	{"/produkter", "da", "Produkter", "/en/products", "products"},
	{"/om-os", "da", "Om os", "/en/about", "about"},
	{"/kontakt", "da", "Kontakt", "/en/contact", "contact"},
	{"/en/", "en", "Home", "/", "front"},
	{"/en/products", "en", "Products", "/produkter", "products"},
	{"/en/about", "en", "About", "/om-os", "about"},
	{"/en/contact", "en", "Contact", "/kontakt", "contact"},
}

// view is what a page's template gets.
type view struct {
	page
	Menu                            []page
	Google, Meta, LinkedIn, YouTube template.URL // addresses of the outside hosts
	Missing                         bool
}

// Da reports whether the page is Danish.
func (v view) Da() bool { return v.Lang == "da" }

// Site returns the website as a handler, to be run where the gateway's upstream is.
func Site(h Hosts) http.Handler {
	mux := http.NewServeMux()
	for _, p := range sitePages {
		body := render(p, h, false)
		pattern := "GET " + p.Path
		if strings.HasSuffix(p.Path, "/") {
			pattern += "{$}"
		}
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			// The site has a session of its own, as shops do.
			if _, err := r.Cookie("eksempel_session"); err != nil && p.Template == "contact" {
				http.SetCookie(w, &http.Cookie{Name: "eksempel_session", Value: "demo", Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
			}
			send(w, http.StatusOK, body)
		})
	}
	missing := map[string][]byte{"da": render(page{Path: "/", Lang: "da", Name: "Findes ikke", Other: "/en/", Template: "missing"}, h, true),
		"en": render(page{Path: "/en/", Lang: "en", Name: "Not found", Other: "/", Template: "missing"}, h, true)}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		l := "da"
		if strings.HasPrefix(r.URL.Path, "/en/") {
			l = "en"
		}
		send(w, http.StatusNotFound, missing[l])
	})
	static := http.FileServerFS(files)
	mux.Handle("GET /site.css", static)
	mux.Handle("GET /menu.js", static)
	return mux
}

func send(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.Header().Set("Cache-Control", "public, max-age=60")
	w.WriteHeader(status)
	w.Write(body)
}

// render makes a page once: the site is the same for everybody.
func render(p page, h Hosts, missing bool) []byte {
	sub, err := fs.Sub(files, "page")
	if err != nil {
		panic(err)
	}
	t := template.Must(template.ParseFS(sub, "layout.html", p.Template+".html"))
	v := view{page: p, Google: origin(h.Google), Meta: origin(h.Meta), LinkedIn: origin(h.LinkedIn), YouTube: origin(h.YouTube), Missing: missing}
	for _, m := range sitePages {
		if m.Lang == p.Lang {
			v.Menu = append(v.Menu, m)
		}
	}
	var b bytes.Buffer
	if err := t.ExecuteTemplate(&b, "layout", v); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func origin(host string) template.URL {
	name, _, _ := strings.Cut(host, ":")
	if name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return template.URL("http://" + host)
	}
	return template.URL("https://" + host)
}
