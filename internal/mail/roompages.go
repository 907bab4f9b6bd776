package mail

import (
	"embed"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/text"
	"github.com/tillid/tillid/internal/web"
)

//go:embed room*.html
var roomFiles embed.FS

// roomList and roomLetter are the room's pages.
type roomList struct {
	web.Frame
	Query string
	Mails []Received
}

type roomLetter struct {
	web.Frame
	Mail  Received
	Lines [][]span
}

// span is a piece of a line; Href is set when it is an address of the web.
type span struct{ Text, Href string }

// Handler shows the room: GET / lists (?q= searches by address), GET /mail/{id}
// shows one letter's text part and never its HTML.
func (r *Room) Handler(log *slog.Logger) http.Handler {
	pages := web.Parse(roomFiles)
	mux := http.NewServeMux()
	web.StaticRoutes(mux)
	mux.Handle("GET /{$}", web.Wrap(log, func(w http.ResponseWriter, req *http.Request) error {
		q := req.URL.Query().Get("q")
		return web.Render(w, http.StatusOK, pages, "room.html", web.Public, roomList{r.frame(req), q, r.Find(q)})
	}))
	mux.Handle("GET /mail/{id}", web.Wrap(log, func(w http.ResponseWriter, req *http.Request) error {
		id, err := strconv.Atoi(req.PathValue("id"))
		m, ok := r.Get(id)
		if err != nil || !ok {
			return fault.New(fault.NotFound, "There is no such letter in the room.").In("mail.none")
		}
		return web.Render(w, http.StatusOK, pages, "room_letter.html", web.Public, roomLetter{r.frame(req), m, spans(m.Text)})
	}))
	return mux
}

func (r *Room) frame(req *http.Request) web.Frame {
	lang := web.LangOf(req, text.Langs())
	return web.Frame{Lang: lang, Brand: text.T(lang, "mail.room.title"), Home: "/", Path: req.URL.Path, Langs: text.Langs(), Zone: r.Zone}
}

// Recipients joins the envelope's recipients.
func (m Received) Recipients() string { return strings.Join(m.To, ", ") }

// spans finds the addresses in a text, so that they can be followed.
func spans(s string) [][]span {
	var lines [][]span
	for line := range strings.SplitSeq(strings.TrimRight(s, "\n"), "\n") {
		var out []span
		for len(line) > 0 {
			before, href, after := cutLink(line)
			if before != "" {
				out = append(out, span{Text: before})
			}
			if href != "" {
				out = append(out, span{Text: href, Href: href})
			}
			line = after
		}
		lines = append(lines, out)
	}
	return lines
}

func cutLink(line string) (before, href, after string) {
	at := strings.Index(line, "http")
	if at < 0 {
		return line, "", ""
	}
	end := at
	for end < len(line) && line[end] > ' ' && !strings.ContainsRune(`<>"`, rune(line[end])) {
		end++
	}
	href = strings.TrimRight(line[at:end], ".,;:)")
	u, err := url.Parse(href)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return line[:end], "", line[end:]
	}
	return line[:at], href, line[at+len(href):]
}
