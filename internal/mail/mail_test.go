package mail

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	netmail "net/mail"
	"strings"
	"testing"
	"time"

	"github.com/jba/templatecheck"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/db/dbtest"
	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/job"
	"github.com/tillid/tillid/internal/subject"
	"github.com/tillid/tillid/internal/text"
	"github.com/tillid/tillid/internal/web"
)

// post is a mail service with a room as its relay.
type post struct {
	*Service
	Room   *Room
	Runner *job.Runner
	Output *bytes.Buffer
	clock  time.Time
}

func newPost(t *testing.T, dsn func(string) string) *post {
	t.Helper()
	p := &post{clock: time.Date(2026, 11, 22, 13, 5, 0, 0, time.UTC), Output: &bytes.Buffer{}}
	now := func() time.Time { return p.clock }
	keysDB, err := db.Open(t.Context(), dsn("keys"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { keysDB.Close() })
	keys := &subject.Keys{DB: keysDB, House: "test", KEK: bytes.Repeat([]byte{7}, 32), Now: now}
	if err := keys.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.Room = &Room{Now: now}
	if err := p.Room.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Room.Close() })
	log := slog.New(slog.NewTextHandler(p.Output, nil))
	p.Service = &Service{DB: dbtest.Open(t, dsn("house")), Keys: keys, From: "Prøve A/S <kontakt@prøve.example>", Relay: p.Room.Relay(), Now: now, Log: log}
	p.Runner = &job.Runner{DB: p.DB, Log: log, Now: now, Kinds: p.Jobs()}
	return p
}

func each(t *testing.T, f func(t *testing.T, p *post)) {
	t.Helper()
	dbtest.EachDSN(t, func(t *testing.T, dsn func(string) string) { f(t, newPost(t, dsn)) })
}

func (p *post) queue(t *testing.T, m Message) (string, error) {
	t.Helper()
	key, err := p.Prepare(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return key.Record, p.DB.Do(t.Context(), func(ctx context.Context, tx *db.Tx) error { return p.Queue(ctx, tx, m, key) })
}

func (p *post) drain(t *testing.T) {
	t.Helper()
	if err := p.Runner.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func (p *post) waiting(t *testing.T) int {
	t.Helper()
	n, err := p.Waiting(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestSend(t *testing.T) {
	each(t, func(t *testing.T, p *post) {
		m := Message{To: "kanarie@blåbær.example", Subject: "Æ, ø og 🐤", Automatic: true, InReplyTo: "<a@b>", References: []string{"<x@b>", "<a@b>"}}
		m = m.Write(Letter{Lang: text.DA, Brand: "Prøve", Blocks: []Block{{Heading: "Hej"}, {Text: "En linje\nog en til"}, {Points: []string{"a", "<b>"}}, {Text: "Se", Link: "https://example.dk/x"}}})
		id, err := p.queue(t, m)
		if err != nil {
			t.Fatal(err)
		}
		var sealed []byte
		if err := p.DB.QueryRow(t.Context(), `select sealed from mail where id = $1`, id).Scan(&sealed); err != nil || bytes.Contains(sealed, []byte("kanarie")) {
			t.Error("a letter waits unsealed", err)
		}
		p.drain(t)
		got := p.Room.Find("kanarie@xn--")
		if len(got) != 1 {
			t.Fatalf("%d letters came: %s", len(got), p.Output)
		}
		g := got[0]
		if g.Subject != m.Subject || !g.Automatic || g.InReplyTo != "<a@b>" || g.MessageID != p.MessageID(id) {
			t.Errorf("got %q %v %q %q", g.Subject, g.Automatic, g.InReplyTo, g.MessageID)
		}
		if !strings.Contains(g.Text, "HEJ\n\nEn linje\nog en til\n") || !strings.Contains(g.HTML, "&lt;b&gt;") {
			t.Errorf("text %q, HTML %q", g.Text, g.HTML)
		}
		if !strings.HasSuffix(g.MessageID, "@xn--prve-hra.example>") {
			t.Error(g.MessageID)
		}
		if p.waiting(t) != 0 {
			t.Error("the row stays")
		}
		if _, err := p.Keys.Get(t.Context(), id); fault.Of(err).Kind != fault.Gone {
			t.Error("the key stays", err)
		}
		if strings.Contains(p.Output.String(), "anarie") {
			t.Error(p.Output)
		}
	})
}

// Nothing that somebody typed can add a header, a recipient or a letter.
func TestInjection(t *testing.T) {
	p := newPost(t, dbtest.Lite(t))
	for _, m := range []Message{
		{To: "a@example.dk\r\nBcc: b@example.dk", Subject: "x"},
		{To: "a@example.dk, b@example.dk", Subject: "x"},
		{To: "A <a@example.dk>", Subject: "x"},
		{To: "", Subject: "x"},
		{To: "a@example.dk", Subject: "x\r\nBcc: b@example.dk"},
		{To: "a@example.dk", Subject: "x\ny"},
		{To: "a@example.dk", Subject: "x", ReplyTo: "a@b.dk\r\nX: y"},
		{To: "a@example.dk", Subject: "x", InReplyTo: "<a>\r\nX: y"},
		{To: "a@example.dk", Subject: "x", References: []string{"<a>\nX: y"}},
		{To: "a@example.dk", Subject: "x", MessageID: "<a>\r\n\r\nbody"},
	} {
		if _, err := p.queue(t, m); fault.Of(err).Kind != fault.Invalid {
			t.Errorf("%q %q: %v", m.To.Reveal(), m.Subject, err)
		}
	}
	body := "Hej\r\n.\r\nMAIL FROM:<x@example.dk>\r\n" + strings.Repeat("long ", 500)
	if _, err := p.queue(t, Message{To: "a@example.dk", Subject: strings.Repeat("æ", 1000), Text: body}); err != nil {
		t.Fatal(err)
	}
	p.drain(t)
	got := p.Room.Find("")
	if len(got) != 1 || len(got[0].To) != 1 || !strings.Contains(got[0].Text, "MAIL FROM:<x@example.dk>") {
		t.Fatalf("%d letters", len(got))
	}
	parsed, err := netmail.ReadMessage(bytes.NewReader(got[0].Raw))
	if err != nil || parsed.Header.Get("Bcc") != "" {
		t.Error(err, parsed.Header)
	}
	for line := range strings.SplitSeq(string(got[0].Raw), "\r\n") {
		if len(line) > 998 {
			t.Errorf("a line of %d bytes", len(line))
		}
	}
}

func TestRefused(t *testing.T) {
	each(t, func(t *testing.T, p *post) {
		id, err := p.queue(t, Message{To: "kanarie@refused.invalid", Subject: "x", Text: "y", RefRecord: "r1"})
		if err != nil {
			t.Fatal(err)
		}
		p.drain(t)
		dead, err := p.Refused(t.Context())
		if err != nil || len(dead) != 1 || dead[0].ID != id || dead[0].Record != "r1" || !strings.HasPrefix(dead[0].Answer, "550") {
			t.Errorf("%+v, %v", dead, err)
		}
		if strings.Contains(p.Output.String(), "anarie") {
			t.Error(p.Output)
		}
		p.clock = p.clock.Add(8 * 24 * time.Hour)
		if err := p.sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		p.drain(t)
		if _, err := p.Keys.Get(t.Context(), id); fault.Of(err).Kind != fault.Gone {
			t.Error(err)
		}
	})
}

// While the relay does not answer, letters wait; afterwards they go.
func TestRelayAway(t *testing.T) {
	each(t, func(t *testing.T, p *post) {
		p.Room.Close()
		if _, err := p.queue(t, Message{To: "kanarie@example.dk", Subject: "x", Text: "y"}); err != nil {
			t.Fatal(err)
		}
		if err := p.Runner.Drain(t.Context()); err == nil {
			t.Error("nobody is told that the relay is away")
		}
		if p.waiting(t) != 1 {
			t.Fatal("the letter is gone")
		}
		var last string
		if err := p.DB.QueryRow(t.Context(), `select coalesce(last_error, '') from job`).Scan(&last); err != nil || strings.Contains(last, "anarie") || last == "" {
			t.Errorf("%q %v", last, err)
		}
		again := &Room{Now: p.Now}
		if err := again.Start("127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		defer again.Close()
		p.Relay = again.Relay()
		p.clock = p.clock.Add(time.Hour)
		p.drain(t)
		if len(again.Find("kanarie")) != 1 || p.waiting(t) != 0 {
			t.Error("the letter did not go")
		}
	})
}

func TestDropFor(t *testing.T) {
	each(t, func(t *testing.T, p *post) {
		var kept []string
		for _, record := range []string{"r1", "r1", "r2"} {
			id, err := p.queue(t, Message{To: "a@example.dk", Subject: "x", Text: "y", RefRecord: record})
			if err != nil {
				t.Fatal(err)
			}
			kept = append(kept, id)
		}
		claimed, err := p.Claim(t.Context(), p.DB, append(kept, "other"))
		if err != nil || len(claimed) != 3 {
			t.Error(claimed, err)
		}
		err = p.DB.Do(t.Context(), func(ctx context.Context, tx *db.Tx) error {
			n, err := p.DropFor(ctx, tx, "r1")
			if n != 2 {
				t.Errorf("%d dropped", n)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		p.drain(t)
		if n := len(p.Room.Find("")); n != 1 {
			t.Errorf("%d were sent", n)
		}
		left, err := p.Keys.Left(t.Context(), kept...)
		if err != nil || len(left) != 0 {
			t.Error(left, err)
		}
	})
}

func TestParseRelay(t *testing.T) {
	for address, good := range map[string]bool{
		"smtp://127.0.0.1:25": true, "smtps://user:secret@relay.example": true, "smtp://relay.example:587?tls=optional": true,
		"": false, "relay.example:25": false, "http://relay.example": false, "smtp://": false, "smtp://relay:x": false,
	} {
		err := ParseRelay(address)
		if (err == nil) != good {
			t.Errorf("%q: %v", address, err)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Error(err)
		}
	}
}

func TestRoomPages(t *testing.T) {
	p := newPost(t, dbtest.Lite(t))
	for _, to := range []string{"a@example.dk", "b@example.dk"} {
		if _, err := p.queue(t, Message{To: subject.Secret(to), Subject: "Til " + to, Text: "Se https://site.localhost/privacy/me/open/x?lang=da.\n<script>", HTML: "<script>alert(1)</script>"}); err != nil {
			t.Fatal(err)
		}
	}
	p.drain(t)
	h := p.Room.Handler(p.Log)
	get := func(path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://mail.localhost"+path, nil))
		return w
	}
	list := get("/?q=A@EXAMPLE&lang=da").Body.String()
	if !strings.Contains(list, "Til a@example.dk") || strings.Contains(list, "Til b@example.dk") {
		t.Error(list)
	}
	found := p.Room.Find("a@example.dk")[0]
	letter := get("/mail/" + string(rune('0'+found.ID))).Body.String()
	if !strings.Contains(letter, `<a href="https://site.localhost/privacy/me/open/x?lang=da">`) || strings.Contains(letter, "<script>\n") || strings.Contains(letter, "alert(1)") {
		t.Error(letter)
	}
	if w := get("/mail/99"); w.Code != http.StatusNotFound {
		t.Error(w.Code)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Room.Wait(ctx, "nobody", 1); err == nil {
		t.Error("waited for nothing without error")
	}
	pages := web.Parse(roomFiles)
	for name, data := range map[string]any{"room": roomList{}, "room_letter": roomLetter{}} {
		if err := templatecheck.CheckHTML(pages.Template(name, web.Public), data); err != nil {
			t.Error(err)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte("Subject: x\r\nContent-Type: multipart/alternative; boundary=a\r\n\r\n--a\r\n\r\nhej\r\n--a--\r\n"))
	f.Add([]byte("Content-Type: text/plain; charset=nonsense\r\n\r\n\xff"))
	f.Fuzz(func(_ *testing.T, raw []byte) { read(raw) })
}

func TestWrap(t *testing.T) {
	got := wrap(strings.Repeat("ord ", 40)+strings.Repeat("x", 100), "- ", "  ")
	for i, line := range strings.Split(strings.TrimSuffix(got, "\n"), "\n") {
		if len(line) > 72 && !strings.Contains(line, "xxx") {
			t.Errorf("line %d has %d characters", i, len(line))
		}
	}
}
