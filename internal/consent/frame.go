package consent

import (
	"bytes"
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/text"
	"github.com/tillid/tillid/internal/web"
)

// The frame shows one embed this once, in a page of the site's own host that may
// load that one service and nothing else. A GET asks; only the visitor's own press
// of a button, a POST, loads. Its address is signed: it shows what the site's own
// pages embed and what the declaration in force has, and frames nothing else.
const (
	framePath  = "/_tillid/frame"
	posterPath = "/_tillid/poster/"
)

func (s *Service) frameURL(service, player string, l text.Lang, back string) string {
	q := url.Values{"service": {service}, "address": {player}, "lang": {string(l)}, "back": {back}, "mac": {s.frameMAC(service, player)}}
	return framePath + "?" + q.Encode()
}

func (s *Service) frameMAC(service, player string) string {
	h := hmac.New(sha256.New, s.Secret)
	h.Write([]byte("frame\x00" + service + "\x00" + player))
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:macBytes])
}

// plays reports whether a service may show the page at an address in a frame.
func plays(svc *policy.Service, u *url.URL) bool {
	return slices.ContainsFunc(svc.Hosts.Frame, func(source string) bool {
		s := policy.ParseSource(source)
		return (s.Scheme == "" || s.Scheme == u.Scheme) && s.MatchesHost(u) && s.HasPath(u.EscapedPath())
	})
}

var frameTemplate = template.Must(template.New("frame").Parse(`<!doctype html>
<html lang="{{.Lang}}" dir="{{.Dir}}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{.Name}}</title><link rel="stylesheet" href="{{.Style}}"></head>
{{if .Player}}<body class="plays"><main><h1>{{.Name}}</h1><iframe src="{{.Player}}" title="{{.Name}}" credentialless sandbox="allow-scripts allow-same-origin allow-presentation allow-popups allow-popups-to-escape-sandbox" allow="autoplay; fullscreen; picture-in-picture; encrypted-media" referrerpolicy="strict-origin-when-cross-origin"></iframe></main></body>
{{else}}<body><main>{{with .Poster}}<img src="{{.}}" alt="">{{end}}<div><h1>{{.Name}}</h1><p>{{.Text}}</p>
<form method="post" action="{{.Again}}"><button>{{.Once}}</button></form>
<form method="post" action="` + consentPath + `" target="_top"><input type="hidden" name="do" value="add"><input type="hidden" name="layer" value="placeholder"><input type="hidden" name="lang" value="{{.Lang}}"><input type="hidden" name="return" value="{{.Back}}"><button name="service" value="{{.Service}}">{{.Always}}</button></form>
<p><a href="` + choicesPath + `?lang={{.Lang}}" target="_top">{{.Choices}}</a></p></div></main></body>
{{end}}</html>
`))

type framePage struct {
	box
	Style, Again, Back string
}

// frame asks whether to show an embed, and shows it after a press of the button.
func (s *Service) frame(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	id, address := q.Get("service"), q.Get("address")
	o, u := s.offer(), private(address)
	if u == nil || u.String() != address || !hmac.Equal([]byte(q.Get("mac")), []byte(s.frameMAC(id, address))) {
		return web.NotFound(w, r)
	}
	it := o.embedded(id, nil)
	if it == nil || !plays(it.Service, u) {
		return web.NotFound(w, r) // an earlier declaration had it
	}
	style, err := web.Asset("frame.css")
	if err != nil {
		return err
	}
	l := s.langOf(r, q.Get("lang"))
	page := framePage{box: s.frameBox(it, l), Style: style, Back: returnPath(q.Get("back"))}
	page.Again = s.frameURL(id, address, l, page.Back)
	allows := "img-src 'self'; form-action 'self'"
	if r.Method == http.MethodPost {
		if u.Host == youTubePrivate {
			with := u.Query()
			with.Set("autoplay", "1")
			u.RawQuery = with.Encode()
		}
		page.Player = u.String()
		allows = "frame-src " + strings.Join(it.Service.Hosts.Frame, " ") + "; form-action 'none'"
	}
	h := w.Header()
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; "+allows+"; base-uri 'none'; frame-ancestors 'self'")
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "strict-origin-when-cross-origin")
	h.Set("Cache-Control", "no-store")
	w.Write(execute(frameTemplate, page))
	return nil
}

func (s *Service) frameBox(it *item, l text.Lang) box {
	b := box{
		Lang: string(l), Dir: text.Dir(l), Service: it.ID, Name: it.Label.In(l), Text: it.Service.Placeholder.In(l), Poster: s.posterURL(it.Service),
		Once: text.T(l, "consent.embed.once"), Always: text.T(l, "consent.embed.always", "Service", it.Label.In(l)), Choices: text.T(l, "consent.embed.choices"),
	}
	b.Text = cmp.Or(b.Text, text.T(l, "consent.embed.text", "Service", b.Name, "Party", it.Party))
	return b
}

// posterURL is the address of a service's poster on this host, or "".
func (s *Service) posterURL(svc *policy.Service) string {
	if svc.Poster == "" || s.File == nil {
		return ""
	}
	return posterPath + url.PathEscape(svc.ID) + "?v=" + s.offer().plan.Hash[:12]
}

// maxPoster is the size of the largest poster that is served.
const maxPoster = 2 << 20

// poster serves the declared poster of a service: never anything from its host.
func (s *Service) poster(w http.ResponseWriter, r *http.Request) error {
	plan := s.offer().plan
	if plan == nil || s.File == nil {
		return web.NotFound(w, r)
	}
	svc := plan.Service(r.PathValue("service"))
	if svc == nil || svc.Poster == "" {
		return web.NotFound(w, r)
	}
	b, err := s.File(r.Context(), svc.Poster)
	if err != nil {
		return err
	}
	kind := http.DetectContentType(b)
	if len(b) > maxPoster || kind != "image/png" && kind != "image/jpeg" && kind != "image/webp" {
		return web.NotFound(w, r)
	}
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "public, max-age=300")
	if v := r.URL.Query().Get("v"); v == plan.Hash[:12] {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	sum := sha256.Sum256(b)
	h.Set("ETag", `"`+hex.EncodeToString(sum[:8])+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(b))
	return nil
}
