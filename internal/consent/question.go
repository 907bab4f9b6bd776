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

	// Only names what yes and no are about, when that is not everything: what the
	// visitor has answered before stays.
	Only []string `json:"only,omitempty"`
}

// question returns the banner's words, or nil when there is nothing to ask. Whoever
// has answered before is asked only about what is new, and told what that is.
func (o *offer) question(l text.Lang, state State) *question {
	groups := o.asks(state)
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
	}
	if len(who) > 0 {
		q.Who = text.T(l, "consent.banner.who", "Who", text.List(l, who))
	}
	if since := o.since(l, state); len(since) > 0 {
		q.Title = text.T(l, "consent.banner.since")
		q.Text = strings.Join(append(since, q.Text), " ")
	}
	if state.some() {
		for _, g := range groups {
			for _, it := range g.Items {
				q.Only = append(q.Only, it.ID)
			}
		}
	}
	if state.GPC && o.ads() {
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

// settings is what the script learns: what is granted, whether to ask, and the
// words it shows.
type settings struct {
	Lang     text.Lang `json:"lang"`
	State    string    `json:"state"`         // the granted items
	Has      []string  `json:"has,omitempty"` // every name that pages may ask for and get a yes
	Ask      *question `json:"ask,omitempty"`
	Choices  string    `json:"choices"`            // address of the choices page
	Label    string    `json:"label"`              // of the permanent entry point
	Withdraw string    `json:"withdraw,omitempty"` // when there is something to withdraw
	Failed   string    `json:"failed"`
	Signals  *signals  `json:"signals,omitempty"`
	Refused  *names    `json:"refused,omitempty"` // declared storage that must not be there
	More     string    `json:"more"`              // address of the part of the script that answers need
	Sent     bool      `json:"sent,omitempty"`    // the page answers a form: loading it anew would send that again
}

func (o *offer) settings(l text.Lang, state State) settings {
	set := settings{
		Lang: l, State: strings.Join(state.granted, " "),
		Choices: choicesPath + "?lang=" + string(l), Label: text.T(l, "consent.entry"), Failed: text.T(l, "consent.failed"),
		More: moreFile.url, Has: o.has(state.granted), Signals: o.signals(state.granted),
	}
	if refused := o.refused(state.granted); state.Decided && len(state.granted) < len(o.items) {
		set.Refused = &refused
	}
	if !state.Decided {
		set.Ask = o.question(l, state)
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
	if p := s.offer().plan; p != nil {
		return spoken(p)
	}
	return text.Langs()
}

// The script waits for the page, unless tags are told what was chosen: they must
// find it said before they run, so it then runs first (no inline code is needed).
var headTemplate = template.Must(template.New("head").Parse(
	`<link rel="stylesheet" href="{{.Style.URL}}" integrity="{{.Style.Integrity}}"><script src="{{.Script.URL}}" integrity="{{.Script.Integrity}}"{{if not .First}} defer{{end}} data-tillid="{{.Settings}}"></script>`))

// file is an asset as pages name it.
type file struct{ URL, Integrity string }

func (a *asset) file() file { return file{a.url, a.integrity} }

// First returns what goes before the first script of a page: all that Head returns
// otherwise, where tags are told what was chosen. They must find it said.
func (s *Service) First(r *http.Request, lang string) []byte {
	if o := s.offer(); o.signals(nil) != nil {
		return s.head(o, r, lang)
	}
	return nil
}

// Head returns what goes into the head of a page in the language lang: style
// and script of the banner, unless nothing needs consent.
func (s *Service) Head(r *http.Request, lang string) []byte {
	if o := s.offer(); o.signals(nil) == nil {
		return s.head(o, r, lang)
	}
	return nil
}

func (s *Service) head(o *offer, r *http.Request, lang string) []byte {
	l, state := s.langOf(r, lang), s.Granted(r)
	if len(o.Groups) > 0 && !state.Decided {
		s.saw(r, l)
	}
	return o.head(l, state, r.Method == http.MethodPost)
}

func (o *offer) head(l text.Lang, state State, sent bool) []byte {
	if len(o.Groups) == 0 {
		return nil
	}
	build := func() []byte {
		set := o.settings(l, state)
		set.Sent = sent
		b, err := json.Marshal(set)
		if err != nil {
			return nil
		}
		return execute(headTemplate, map[string]any{"Style": styleFile.file(), "Script": scriptFile.file(), "First": set.Signals != nil, "Settings": string(b)})
	}
	switch {
	case sent:
		return build()
	case state.Decided:
		return o.markup.get("head "+string(l)+" "+strings.Join(state.granted, " "), build)
	case state.some() || grown(state.answers):
		return build() // what is asked depends on what was answered when
	case state.GPC:
		return o.markup.get("head "+string(l)+" ask under gpc", build)
	}
	return o.markup.get("head "+string(l)+" ask", build)
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
		`<p class="tillid-entry"><a href="` + choicesPath + `?lang={{.Lang}}">{{.Label}}</a></p>`))

// Foot returns what goes before the end of a page's body: the way to the choices,
// also without JavaScript and where the script is blocked; the form that the
// placeholders' buttons belong to; the script of what the page has beside the banner.
func (s *Service) Foot(r *http.Request, lang string, embeds bool) []byte {
	o, l := s.offer(), s.langOf(r, lang)
	return slices.Concat(o.foot(r, l, embeds), o.extras(l, r.Host, s.Granted(r)).tag())
}

func (o *offer) foot(r *http.Request, l text.Lang, embeds bool) []byte {
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

func execute(t *template.Template, data any) []byte {
	var b bytes.Buffer
	if err := t.Execute(&b, data); err != nil {
		return nil
	}
	return b.Bytes()
}
