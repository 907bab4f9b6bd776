package consent

import (
	"bytes"
	"encoding/json"
	"html/template"
	"net/http"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/tillid/tillid/internal/text"
)

// question is the first layer: what the banner says. Every word of it comes from here.
type question struct {
	Title  string `json:"title"`
	Text   string `json:"text"`
	Who    string `json:"who,omitempty"`
	GPC    string `json:"gpc,omitempty"`
	Yes    string `json:"yes"`
	No     string `json:"no"`
	Choose string `json:"choose"`
	Failed string `json:"failed"`
}

// question returns the banner's words, or nil when there is nothing to ask.
func (o *offer) question(l text.Lang, gpc bool) *question {
	groups := o.asks(gpc)
	if len(groups) == 0 {
		return nil
	}
	var what, who []string
	for _, g := range groups {
		what = append(what, lowerFirst(g.Purpose.Label.In(l)))
		for _, it := range g.Items {
			if it.Service != nil && it.Party != "" && !slices.Contains(who, it.Party) {
				who = append(who, it.Party)
			}
		}
	}
	q := &question{
		Title:  text.T(l, "consent.banner.title"),
		Text:   text.T(l, "consent.banner.text", "What", text.List(l, what)),
		Yes:    text.T(l, "consent.yes"),
		No:     text.T(l, "consent.no"),
		Choose: text.T(l, "consent.choose"),
		Failed: text.T(l, "consent.failed"),
	}
	if len(who) > 0 {
		q.Who = text.T(l, "consent.banner.who", "Who", text.List(l, who))
	}
	if gpc {
		q.GPC = text.T(l, "consent.banner.gpc")
	}
	return q
}

// lowerFirst makes a label fit into a sentence. A word that is all capitals stays.
func lowerFirst(s string) string {
	first, n := utf8.DecodeRuneInString(s)
	if second, _ := utf8.DecodeRuneInString(s[n:]); unicode.IsUpper(second) {
		return s
	}
	return string(unicode.ToLower(first)) + s[n:]
}

// settings is what the script learns: whether to ask, and the words it shows.
type settings struct {
	Lang     text.Lang `json:"lang"`
	State    string    `json:"state"` // changes when what is granted does
	Ask      *question `json:"ask,omitempty"`
	Choices  string    `json:"choices"`            // address of the choices page
	Label    string    `json:"label"`              // of the permanent entry point
	Withdraw string    `json:"withdraw,omitempty"` // when there is something to withdraw
}

func (o *offer) settings(l text.Lang, state State) settings {
	set := settings{
		Lang: l, State: strings.Join(state.granted, " "),
		Choices: choicesPath + "?lang=" + string(l), Label: text.T(l, "consent.entry"),
	}
	if !state.Decided {
		set.Ask = o.question(l, state.GPC)
	}
	if len(state.granted) > 0 {
		set.Withdraw = text.T(l, "consent.withdraw")
	}
	return set
}

// langOf returns the language in which a visitor is asked: that of the page
// they are on, else that of the request.
func (s *Service) langOf(r *http.Request, page string) text.Lang {
	primary, _, _ := strings.Cut(strings.ToLower(page), "-")
	if l := text.Lang(primary); slices.Contains(s.langs(), l) {
		return l
	}
	return text.Match(r.Header.Get("Accept-Language"), s.langs())
}

// langs returns the languages of the declaration that the program speaks.
func (s *Service) langs() []text.Lang {
	var offered []text.Lang
	if p := s.offer().plan; p != nil {
		for _, l := range p.Languages {
			if slices.Contains(text.Langs(), l) {
				offered = append(offered, l)
			}
		}
	}
	if len(offered) == 0 {
		return text.Langs()
	}
	return offered
}

var headTemplate = template.Must(template.New("head").Parse(
	`<link rel="stylesheet" href="{{.Style}}"><script src="{{.Script}}" defer data-tillid="{{.Settings}}"></script>`))

// Head returns what goes into the head of a page in the language lang: style
// and script of the banner. It is empty when nothing needs consent.
func (s *Service) Head(r *http.Request, lang string) []byte {
	o := s.offer()
	if len(o.Groups) == 0 {
		return nil
	}
	l, state := s.langOf(r, lang), s.Granted(r)
	key := strings.Join(state.granted, " ")
	if !state.Decided {
		key = "ask"
		if state.GPC {
			key = "ask under gpc"
		}
	}
	return o.markup.get("head "+string(l)+" "+key, func() []byte {
		set, err := json.Marshal(o.settings(l, state))
		if err != nil {
			return nil
		}
		return execute(headTemplate, map[string]string{"Style": styleFile.url, "Script": scriptFile.url, "Settings": string(set)})
	})
}

// markup remembers what goes into pages: few pieces, asked for with every page.
type markup struct {
	mu     sync.Mutex
	pieces map[string][]byte
}

const maxPieces = 1000

func (m *markup) get(key string, build func() []byte) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, ok := m.pieces[key]
	if !ok {
		b = build()
		if m.pieces == nil {
			m.pieces = map[string][]byte{}
		}
		if len(m.pieces) < maxPieces {
			m.pieces[key] = b
		}
	}
	return b
}

var footTemplate = template.Must(template.New("foot").Parse(
	`{{if .Embeds}}<form id="tillid-show" method="post" action="` + consentPath + `" hidden><input type="hidden" name="do" value="add">` +
		`<input type="hidden" name="layer" value="placeholder"><input type="hidden" name="lang" value="{{.Lang}}"><input type="hidden" name="return" value="{{.Return}}"></form>{{end}}` +
		`<noscript><p class="tillid-entry"><a href="` + choicesPath + `?lang={{.Lang}}">{{.Label}}</a></p></noscript>`))

// Foot returns what goes before the end of a page's body: the way to the choices
// without JavaScript, and the form that the placeholders' buttons belong to.
func (s *Service) Foot(r *http.Request, lang string, embeds bool) []byte {
	o, l := s.offer(), s.langOf(r, lang)
	if len(o.Groups) == 0 {
		return nil
	}
	if !embeds {
		return o.markup.get("foot "+string(l), func() []byte {
			return execute(footTemplate, map[string]any{"Embeds": false, "Lang": l, "Label": text.T(l, "consent.entry")})
		})
	}
	back := r.URL.RequestURI()
	if len(back) > maxReturn {
		back = r.URL.EscapedPath()
	}
	return execute(footTemplate, map[string]any{"Embeds": true, "Return": back, "Lang": l, "Label": text.T(l, "consent.entry")})
}

var embedTemplate = template.Must(template.New("embed").Parse(
	`<div class="tillid-embed"{{with .Lang}} lang="{{.}}"{{end}}><svg class="tillid-size" width="{{.Width}}" height="{{.Height}}" viewBox="0 0 {{.Width}} {{.Height}}" aria-hidden="true"></svg>` +
		`<div class="tillid-box">{{with .Title}}<p><strong>{{.}}</strong></p>{{end}}<p>{{.Text}}</p>` +
		`{{if .Service}}<p><button type="submit" form="tillid-show" name="service" value="{{.Service}}" data-tillid-show="{{.Service}}" data-failed="{{.Failed}}">{{.Show}}</button></p>` +
		`<p><a href="` + choicesPath + `?lang={{.Lang}}">{{.Choices}}</a></p>{{end}}</div></div>`))

// Placeholder returns what stands where an embed would be: what it is, who gets
// what, and a button that says yes to that one service. The button works without
// JavaScript and within a form of the page.
func (s *Service) Placeholder(r *http.Request, lang string, e struct {
	Service       string
	Host          string
	Title         string
	Width, Height string
}) []byte {
	o := s.offer()
	l := s.langOf(r, lang)
	box := map[string]any{
		"Lang": l, "Service": "", "Title": e.Title, "Text": text.T(l, "consent.embed.undeclared", "Host", e.Host),
		"Width": pixels(e.Width, "560"), "Height": pixels(e.Height, "315"),
		"Choices": text.T(l, "consent.embed.choices"), "Failed": text.T(l, "consent.failed"),
	}
	if at := slices.IndexFunc(o.items, func(it item) bool { return it.Service != nil && it.ID == e.Service }); at >= 0 {
		it := o.items[at]
		box["Service"], box["Show"] = it.ID, text.T(l, "consent.embed.show", "Service", it.Label.In(l))
		if box["Text"] = it.Service.Placeholder.In(l); box["Text"] == "" {
			box["Text"] = text.T(l, "consent.embed.text", "Service", it.Label.In(l), "Party", it.Party)
		}
	}
	return execute(embedTemplate, box)
}

// pixels returns a whole number of at most four digits, else the usual one.
func pixels(s, usual string) string {
	if s == "" || len(s) > 4 || strings.ContainsFunc(s, func(r rune) bool { return r < '0' || r > '9' }) {
		return usual
	}
	return s
}

func execute(t *template.Template, data any) []byte {
	var b bytes.Buffer
	if err := t.Execute(&b, data); err != nil {
		return nil
	}
	return b.Bytes()
}
