package request

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jba/templatecheck"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/erase"
	"github.com/tillid/tillid/internal/subject"
	"github.com/tillid/tillid/internal/text"
	"github.com/tillid/tillid/internal/web"
)

const address = "kanarie@example.dk"

// Rows: E9, E11, E3.
func TestPortal(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.write(t, address, "Kanariefuglens hemmelighed")
		h.write(t, "anden@example.dk", "Noget helt andet")
		b := h.in(t, "KANARIE@Example.dk")
		page := b.get("/privacy/me/data").Body.String()
		contains(t, page, "Kanarie Prøvesen", "Kanariefuglens hemmelighed", address, "Svare på henvendelser", "vores legitime interesse",
			"/privacy?as-of=2026-11-22", "Senest 22. nov. 2027", "Din anmodning om indsigt", "Slet det hele")
		if strings.Contains(page, "Noget helt andet") || strings.Contains(page, "⟦") {
			t.Error("another person's data, or a missing text:\n" + page)
		}
		if file := b.get("/privacy/me/data.html"); !strings.Contains(file.Header().Get("Content-Disposition"), "my-data-2026-11-22.html") ||
			!strings.Contains(file.Body.String(), "Kanariefuglens hemmelighed") || strings.Contains(file.Body.String(), "src=") {
			t.Error(file.Body)
		}
		var pack Pack
		if err := json.Unmarshal(b.get("/privacy/me/data.json").Body.Bytes(), &pack); err != nil || len(pack.Records) != 2 || pack.Records[0].Basis != "6.1.f" {
			t.Errorf("%+v, %v", pack, err)
		}
		before := b.get("/privacy/me/erase?what=all")
		contains(t, before.Body.String(), "Slettes også hos Hjælpedisk ApS", "Skriv til os", "Besked", "Slet alt om mig")
		if n := h.count(t, "enquiry"); n != 2 {
			t.Fatal("looking erased something")
		}
		w := b.post("/privacy/me/erase", "what", "all")
		to := w.Header().Get("Location")
		if w.Code != http.StatusSeeOther || !strings.HasPrefix(to, "/privacy/me/erased/") {
			t.Fatal(w.Code, to, w.Body)
		}
		contains(t, h.browser().get(to).Body.String(), "/privacy/certificate/", "Slettet hos os") // needs no session
		if n := h.count(t, "enquiry"); n != 1 {
			t.Errorf("%d enquiries are left", n)
		}
		if w := b.get("/privacy/me/data"); w.Header().Get("Location") != "/privacy/me" {
			t.Error("the session outlives the person", w.Code)
		}
		if _, known, err := h.Subjects.Find(t.Context(), h.DB, subject.Email, address); known || err != nil {
			t.Error("the person is still known", err)
		}
		h.noCanary(t)
	})
}

func TestEraseOne(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.write(t, address, "første")
		h.write(t, address, "anden")
		b := h.in(t, address)
		id := regexp.MustCompile(`/privacy/me/erase\?what=([A-Za-z0-9_-]{16,})`).FindStringSubmatch(b.get("/privacy/me/data").Body.String())[1]
		contains(t, b.get("/privacy/me/erase?what="+id).Body.String(), "Slet dette")
		if w := b.post("/privacy/me/erase", "what", id); w.Code != http.StatusSeeOther {
			t.Fatal(w.Code, w.Body)
		}
		page := b.get("/privacy/me/data").Body.String()
		contains(t, page, "anden", "Din anmodning om sletning", "I gang")
		if strings.Contains(page, "første") {
			t.Error("the wrong one was erased")
		}
		if w := b.get("/privacy/me/erase?what=" + id); w.Code != http.StatusNotFound {
			t.Error(w.Code)
		}
	})
}

// A request for erasure is answered when the erasure has ended everywhere, not before.
func TestSettle(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.write(t, address, "første")
		b := h.in(t, address)
		records, err := h.chosen(t.Context(), mustPersons(t, h), everything)
		if err != nil {
			t.Fatal(err)
		}
		if w := b.post("/privacy/me/erase", "what", records[0].ID); w.Code != http.StatusSeeOther {
			t.Fatal(w.Code, w.Body)
		}
		cases, err := h.Erase.Cases(t.Context(), 10)
		if err != nil || len(cases) != 1 {
			t.Fatal(cases, err)
		}
		for _, state := range []string{erase.Open, erase.Ended} {
			if _, err := h.DB.Exec(t.Context(), `update erasure_case set state = $1, result = 'granted'`, state); err != nil {
				t.Fatal(err)
			}
			if err := h.settle(t.Context()); err != nil {
				t.Fatal(err)
			}
			left, err := selectRequests(t.Context(), h.DB, `where state = 'executing'`)
			if err != nil || (len(left) == 1) != (state == erase.Open) {
				t.Errorf("case %s: %d run, %v", state, len(left), err)
			}
		}
	})
}

// The page of an erasure says "deleted everywhere" only when that was seen.
func TestErasedSaysNoMore(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.write(t, address, "første")
		b := h.in(t, address)
		to := b.post("/privacy/me/erase", "what", "all").Header().Get("Location")
		for result, says := range map[string]bool{erase.Granted: true, erase.Partly: false} {
			if _, err := h.DB.Exec(t.Context(), `update erasure_case set state = 'closed', result = $1, closed_at = $2`, result, db.Time{Time: h.now()}); err != nil {
				t.Fatal(err)
			}
			if page := h.browser().get(to).Body.String(); strings.Contains(page, "Slettet overalt") != says || strings.Contains(page, "Alt er slettet") != says {
				t.Errorf("%s: %s", result, page)
			}
		}
	})
}

func mustPersons(t *testing.T, h *house) []subject.PersonID {
	t.Helper()
	p, ok, err := h.Subjects.Find(t.Context(), h.DB, subject.Email, address)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	return []subject.PersonID{p}
}

// An answer tells nothing about whether an address is known: same status, header
// and body, and one mail each.
func TestEnumeration(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.write(t, address, "hej")
		known, unknown := h.browser().post("/privacy/me", "email", address), h.browser().post("/privacy/me", "email", "ukendt@example.dk")
		if known.Code != unknown.Code || known.Body.String() != unknown.Body.String() || known.Header().Get("Location") != unknown.Header().Get("Location") ||
			len(known.Result().Cookies())+len(unknown.Result().Cookies()) != 0 {
			t.Error(known, unknown)
		}
		h.drain(t)
		if n := len(h.Room.Find("ukendt@example.dk")); n != 1 {
			t.Errorf("%d mails to the unknown address", n)
		}
		contains(t, h.Room.Find("ukendt@example.dk")[0].Text, "intet")
		if h.count(t, "portal_link") != 1 || h.count(t, "portal_ask") != 2 {
			t.Error("links", h.count(t, "portal_link"))
		}
		var sealed int
		if err := h.DB.QueryRow(t.Context(), `select count(*) from portal_ask where sealed is not null`).Scan(&sealed); err != nil || sealed != 0 {
			t.Error("addresses are kept after the answer", sealed, err)
		}
		h.pass(2 * time.Hour)
		if err := h.sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		if h.count(t, "portal_link")+h.count(t, "portal_ask") != 0 {
			t.Error("what has run out is kept")
		}
	})
}

func TestAddresses(t *testing.T) {
	h := lite(t)
	for typed, want := range map[string]int{
		"a@example.dk": 303, " a@example.dk ": 303, "a@b": 422, "": 422, "a@example.dk\r\nBcc: b@example.dk": 422, `"><script>`: 422,
		"a@example.dk, b@example.dk": 422, `"a b"@example.dk`: 422,
	} {
		if typed == "a@b" {
			want = 303 // a name without a dot can exist; nothing is held about it
		}
		w := h.browser().post("/privacy/me", "email", typed)
		if w.Code != want {
			t.Errorf("%q: %d", typed, w.Code)
		}
	}
	contains(t, h.browser().post("/privacy/me", "email", `"><script>`).Body.String(), `value="&#34;&gt;&lt;script&gt;"`)
	if w := h.browser().post("/privacy/me", "email", "a@example.dk", "person", "x"); w.Code != 422 {
		t.Error(w.Code)
	}
}

// At most three mails an hour to one address, in whatever spelling.
func TestMailLimit(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		for _, a := range []string{"x@example.dk", "X@example.dk", "x@EXAMPLE.dk", "x@example.dk", "x@example.dk"} {
			if w := h.browser().post("/privacy/me", "email", a); w.Code != http.StatusSeeOther {
				t.Fatal(w.Code)
			}
		}
		h.drain(t)
		if n := len(h.Room.Find("")); n != asksPerHour {
			t.Errorf("%d mails", n)
		}
		h.pass(61 * time.Minute)
		h.browser().post("/privacy/me", "email", "x@example.dk")
		h.drain(t)
		if n := len(h.Room.Find("")); n != asksPerHour+1 {
			t.Errorf("%d mails an hour later", n)
		}
	})
}

// GET and HEAD, by however many scanners, change nothing.
func TestScanners(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.write(t, address, "hej")
		link := h.link(t, address)
		for range 20 {
			if w := h.browser().get(link); w.Code != http.StatusOK || len(w.Result().Cookies()) != 0 {
				t.Fatal(w.Code)
			}
			h.browser().do(http.MethodHead, link, nil)
		}
		if h.count(t, "portal_session") != 0 {
			t.Error("looking opened a session")
		}
		if w := h.browser().post(link); w.Code != http.StatusSeeOther {
			t.Error(w.Code)
		}
	})
}

func TestLinks(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.write(t, address, "hej")
		link := h.link(t, address)
		for _, bad := range []string{link + "x", link[:len(link)-1], "/privacy/me/open/" + strings.Repeat("A", 43), "/privacy/me/open/%2e%2e"} {
			if w := h.browser().post(bad); w.Code != http.StatusGone {
				t.Errorf("%s: %d", bad, w.Code)
			}
		}
		var wg sync.WaitGroup
		opened := make(chan int, 8)
		for range 8 {
			wg.Go(func() { opened <- h.browser().post(link).Code })
		}
		wg.Wait()
		close(opened)
		n := 0
		for code := range opened {
			if code == http.StatusSeeOther {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%d of 8 opened the link", n)
		}
		late := h.link(t, address)
		h.pass(linkLife + time.Second)
		if w := h.browser().get(late); w.Code != http.StatusGone {
			t.Error("too old:", w.Code)
		}
		if w := h.browser().post(late); w.Code != http.StatusGone {
			t.Error("too old:", w.Code)
		}
	})
}

// A token opens one thing only: a link is no session, a session no link, and
// the receipt of a form is neither.
func TestForeignTokens(t *testing.T) {
	h := lite(t)
	thanks := h.browser().post("/_tillid/forms/contact", "name", "K", "email", address, "message", "x").Header().Get("Location")
	h.drain(t)
	link := strings.TrimPrefix(h.link(t, address), "/privacy/me/open/")
	b := h.in(t, address)
	session := b.cookies["tillid_me"]
	for _, token := range []string{link, strings.TrimPrefix(thanks, "/privacy/thanks/"), h.hash("session", session)} {
		other := h.browser()
		other.cookies["tillid_me"] = token
		if w := other.get("/privacy/me/data"); w.Code != http.StatusSeeOther {
			t.Errorf("a foreign token opened the data: %d", w.Code)
		}
	}
	if w := h.browser().post("/privacy/me/open/" + session); w.Code != http.StatusGone {
		t.Error(w.Code)
	}
}

func TestSession(t *testing.T) {
	h := lite(t)
	h.write(t, address, "hej")
	b := h.in(t, address)
	for range 4 { // used, it stays open
		h.pass(25 * time.Minute)
		if w := b.get("/privacy/me/data"); w.Code != http.StatusOK {
			t.Fatal(w.Code)
		}
	}
	h.pass(31 * time.Minute)
	if w := b.get("/privacy/me/data"); w.Code != http.StatusSeeOther {
		t.Error("idle for 31 minutes:", w.Code)
	}
	b = h.in(t, address)
	for range 20 {
		h.pass(25 * time.Minute)
		b.get("/privacy/me/data")
	}
	if w := b.get("/privacy/me/data"); w.Code != http.StatusSeeOther {
		t.Error("open for more than 8 hours:", w.Code)
	}
	b = h.in(t, address)
	b.post("/privacy/me/leave")
	if len(b.cookies) != 0 || h.count(t, "portal_session") != 2 {
		t.Error("leaving left something", b.cookies)
	}
}

func TestCookie(t *testing.T) {
	r, _ := http.NewRequest(http.MethodGet, "https://www.proeve.example/", nil)
	c := cookie(r, "x", 0)
	if c.Name != "__Host-tillid_me" || !c.Secure || c.Path != "/" || c.Domain != "" || !c.HttpOnly || c.SameSite != http.SameSiteStrictMode {
		t.Errorf("%+v", c)
	}
	r, _ = http.NewRequest(http.MethodGet, "http://site.localhost:8080/", nil)
	if c := cookie(r, "x", 0); c.Name != "tillid_me" || c.Secure {
		t.Errorf("%+v", c)
	}
}

// Nobody sees or erases what belongs to another.
func TestForeignRecords(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.write(t, address, "hej")
		h.write(t, "anden@example.dk", "hemmeligt")
		theirs, err := h.Subjects.Of(t.Context(), h.DB, func() subject.PersonID {
			p, _, err := h.Subjects.Find(t.Context(), h.DB, subject.Email, "anden@example.dk")
			if err != nil {
				t.Fatal(err)
			}
			return p
		}())
		if err != nil {
			t.Fatal(err)
		}
		b := h.in(t, address)
		foreign, none := b.get("/privacy/me/erase?what="+theirs[0].ID), b.get("/privacy/me/erase?what="+strings.Repeat("A", len(theirs[0].ID)))
		if foreign.Code != http.StatusNotFound || len(foreign.Body.String()) != len(none.Body.String()) {
			t.Error(foreign.Code, foreign.Body, none.Body)
		}
		if w := b.post("/privacy/me/erase", "what", theirs[0].ID); w.Code != http.StatusNotFound {
			t.Error(w.Code)
		}
		for _, path := range []string{"/privacy/me/data", "/privacy/me/data.json", "/privacy/me/data.html", "/privacy/me/erase?what=all"} {
			if w := h.browser().get(path); w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/privacy/me" {
				t.Errorf("%s without session: %d", path, w.Code)
			}
		}
		if w := h.browser().post("/privacy/me/erase", "what", "all"); w.Header().Get("Location") != "/privacy/me" {
			t.Error(w.Code)
		}
		if n := h.count(t, "enquiry"); n != 2 {
			t.Error(n)
		}
	})
}

// Whoever has the visitor id sees what is held under it, without a name.
//
// Rows: E14.
func TestVisitor(t *testing.T) {
	h := lite(t)
	h.write(t, address, "hej")
	h.visitor = mustPersons(t, h)[0]
	b := h.browser()
	contains(t, b.get("/privacy/me").Body.String(), "Denne browser")
	contains(t, b.get("/privacy/me/data").Body.String(), "Kanarie Prøvesen")
}

// Without a declared purpose for requests only the log keeps that there was one.
func TestNoPurpose(t *testing.T) {
	h := lite(t)
	plan := testPlan(t)
	plan.Device = nil
	h.Plan = func() *policyPlan { return plan }
	h.write(t, address, "hej")
	before := h.count(t, "leaf")
	h.in(t, address)
	if h.count(t, "rights_request") != 0 || h.count(t, "leaf") != before+1 {
		t.Error("rows", h.count(t, "rights_request"), "leaves", h.count(t, "leaf")-before)
	}
}

func TestTemplates(t *testing.T) {
	pages := pages()
	for name, data := range map[string]any{
		"requests": casesPage{}, "entry": entryPage{}, "request": casePage{}, "letter": letterPage{}, "printed": printedPage{Sent: happened{deed: deed{Letter: &letter{}}}},
		"rights": rightsPage{}, "complaint": complaintPage{}, "held": heldPage{}, "calendar": calendarPage{},
		"ask": askPage{}, "sent": plainPage{}, "open": plainPage{}, "data": dataPage{}, "erase": erasePage{}, "erased": erasedPage{Case: &erase.Case{}},
	} {
		if err := templatecheck.CheckHTML(pages.Template(name, web.Public), data); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := len(pages.Names()); n != 15 {
		t.Errorf("%d pages, 15 are checked", n)
	}
	file, err := fileFor(text.DA, time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	if err := templatecheck.CheckHTML(file, dataPage{}); err != nil {
		t.Error(err)
	}
}
