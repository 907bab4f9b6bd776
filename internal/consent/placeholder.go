package consent

import (
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/tillid/tillid/internal/text"
)

// Embed is an element that must not load, as the gateway found it in a page.
type Embed struct {
	Service       string // "" when the host is not declared
	Host          string
	Title         string // the element's own title, or ""
	Width, Height string // as its attributes say, or ""
	Src           string // the address it would load
}

// box is what stands in the place of an embed.
type box struct {
	Lang, Dir                   string
	Title, Text                 string
	Width, Height               string
	Wide                        bool   // as wide as there is room
	Service                     string // "" when there is nothing to say yes to
	Once, Always, Choices       string
	Frame, Poster, Player, Name string
}

var embedTemplate = template.Must(template.New("embed").Parse(
	`<div class="tillid-embed{{if .Wide}} tillid-wide{{end}}"{{with .Lang}} lang="{{.}}"{{end}} dir="{{.Dir}}"><svg class="tillid-size"{{if .Wide}} width="100%" height="{{.Height}}"{{else}} width="{{.Width}}" height="{{.Height}}" viewBox="0 0 {{.Width}} {{.Height}}"{{end}} aria-hidden="true"></svg>` +
		`{{with .Poster}}<img class="tillid-poster" src="{{.}}" alt="">{{end}}` +
		`<div class="tillid-box">{{with .Title}}<p><strong>{{.}}</strong></p>{{end}}<p>{{.Text}}</p>` +
		`{{if .Service}}<p>{{with .Frame}}<button type="submit" form="tillid-show" formaction="{{.}}" formtarget="_blank" data-tillid-once="{{$.Name}}">{{$.Once}}</button> {{end}}` +
		`<button type="submit" form="tillid-show" name="service" value="{{.Service}}" data-tillid-show="{{.Service}}">{{.Always}}</button></p>` +
		`<p><a href="` + choicesPath + `?lang={{.Lang}}">{{.Choices}}</a></p>{{end}}</div>` +
		`{{with .Frame}}<noscript><iframe class="tillid-once" src="{{.}}" title="{{$.Name}}"></iframe></noscript>{{end}}</div>`))

var playerTemplate = template.Must(template.New("player").Parse(
	`<iframe src="{{.Player}}" title="{{.Name}}"{{if .Wide}} width="100%"{{else}} width="{{.Width}}"{{end}} height="{{.Height}}" allow="fullscreen; picture-in-picture; encrypted-media" referrerpolicy="strict-origin-when-cross-origin"></iframe>`))

// Placeholder returns what stands where an embed would be: what it is, who gets
// what, a button that shows it this once and one that says yes to the service. All
// works without JavaScript and within a form of the page. YouTube's usual player is
// the one that keeps less about visitors, when the declaration has that.
func (s *Service) Placeholder(r *http.Request, lang string, e Embed) []byte {
	o, l := s.offer(), s.langOf(r, lang)
	b := box{
		Lang: string(l), Dir: text.Dir(l), Title: e.Title, Text: text.T(l, "consent.embed.undeclared", "Host", e.Host),
		Width: pixels(e.Width, "560"), Height: pixels(e.Height, "315"), Wide: strings.HasSuffix(e.Width, "%"),
		Choices: text.T(l, "consent.embed.choices"),
	}
	player := private(e.Src)
	it := o.embedded(e.Service, player)
	if it == nil {
		return execute(embedTemplate, b)
	}
	b.Name = e.Title
	if b.Name == "" {
		b.Name = it.Label.In(l)
	}
	known := player != nil && plays(it.Service, player)
	if known && s.Granted(r).Has(it.ID) { // only its usual address was not allowed
		b.Player = player.String()
		return execute(playerTemplate, b)
	}
	b.Service, b.Text = it.ID, it.Service.Placeholder.In(l)
	if b.Text == "" {
		b.Text = text.T(l, "consent.embed.text", "Service", it.Label.In(l), "Party", it.Party)
	}
	b.Once, b.Always = text.T(l, "consent.embed.once"), text.T(l, "consent.embed.always", "Service", it.Label.In(l))
	b.Poster = s.posterURL(it.Service)
	if known {
		b.Frame = s.frameURL(it.ID, player.String(), l, r.URL.EscapedPath())
	}
	return execute(embedTemplate, b)
}

// embedded returns the item that an embed belongs to: the service it was found to
// be of, else the one that declares its address; nil when there is none.
func (o *offer) embedded(service string, player *url.URL) *item {
	at := slices.IndexFunc(o.items, func(it item) bool { return it.Service != nil && it.ID == service })
	if at < 0 && service == "" && player != nil {
		at = slices.IndexFunc(o.items, func(it item) bool { return it.Service != nil && plays(it.Service, player) })
	}
	if at < 0 {
		return nil
	}
	return &o.items[at]
}

// private returns the address to load for that of an embed: YouTube's player is
// asked for at its privacy-enhanced host. It is nil when it is no address of a page
// of others.
func private(src string) *url.URL {
	u, err := url.Parse(strings.TrimSpace(src))
	if err != nil || u.Host == "" || u.User != nil || u.Opaque != "" {
		return nil
	}
	switch u.Scheme {
	case "":
		u.Scheme = "https"
	case "https", "http":
	default:
		return nil
	}
	u.Host, u.Fragment = strings.ToLower(u.Host), ""
	switch u.Host {
	case "youtube.com", "www.youtube.com", "m.youtube.com":
		if strings.HasPrefix(u.Path, "/embed/") {
			u.Host = youTubePrivate
		}
	}
	return u
}

const youTubePrivate = "www.youtube-nocookie.com"

// pixels returns a whole number of at most four digits, else the usual one.
func pixels(s, usual string) string {
	s = strings.TrimSuffix(s, "px")
	if s == "" || len(s) > 4 || strings.ContainsFunc(s, func(r rune) bool { return r < '0' || r > '9' }) {
		return usual
	}
	return s
}
