package request

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tillid/tillid/internal/mail"
	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/text"
)

// enter writes a request in, as staff do, that came by letter some days ago.
func (h *house) enter(t *testing.T, kind policy.Right, days int, kv ...string) string {
	t.Helper()
	at := h.now().AddDate(0, 0, -days).In(h.Plan().Loc).Format(momentForm)
	return h.does(t, "/requests/new", append([]string{"kind", string(kind), "channel", "letter", "at", at, "lang", "da", "subject", "personal_data"}, kv...)...)
}

// A request that came by letter: its clock runs from when it came; doubt is written down
// before proof is asked for, and stops the clock; the person turns out to be known, and the
// answer goes to the address on file, never to the one that the letter named.
//
// Rows: E9, E12.
func TestLetterRequest(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.write(t, address, "Kanariefuglens hemmelighed")
		path := h.enter(t, policy.Access, 3, "name", "Kanarie Prøvesen", "contact", "ny@example.dk", "words", "Send mig alt")
		id := strings.TrimPrefix(path, "/requests/")
		w, err := h.load(t.Context(), id)
		if err != nil || w.deadline.Due.Format(time.DateOnly) != "2026-12-21" || w.request.Entered.Sub(w.request.At) < 70*time.Hour {
			t.Fatal(w.deadline, err) // received 19 November; 19 December is a Saturday
		}
		contains(t, h.sees(t, "/requests"), w.request.Number, "pr. brev", "29 dage tilbage")
		contains(t, h.sees(t, path), "Send mig alt", "ny@example.dk", "Der sendes aldrig noget hertil")

		to := path + "/letter/identity"
		if w := h.staff(http.MethodPost, to, url.Values{"do": {"send"}, "what": {"Fødselsår"}}); w.Code != http.StatusUnprocessableEntity {
			t.Error("asked for proof without a doubt on record", w.Code)
		}
		contains(t, h.sees(t, to), "Fristen for vores svar står stille")
		h.does(t, to, "do", "send", "why", "Brevet har en ukendt adresse", "what", "Fødselsår", "opening", "Kære Kanarie")
		h.pass(4 * 24 * time.Hour)
		contains(t, h.sees(t, path), "uret står", "Brevet har en ukendt adresse")
		h.does(t, path+"/step", "do", "identified", "known", address)
		w, err = h.load(t.Context(), id)
		if err != nil || w.deadline.Due.Format(time.DateOnly) != "2026-12-23" || w.deadline.Paused {
			t.Fatal(w.deadline, err) // 19 + 4 December
		}
		h.does(t, path+"/step", "do", "assess")
		h.does(t, path+"/step", "do", "decide", "outcome", "granted")
		look := h.staff(http.MethodPost, path+"/letter/answer", url.Values{"do": {"look"}, "opening": {"Kære Kanarie"}})
		contains(t, look.Body.String(), "Sendes til "+address, "Alt, vi har om dig", "Datatilsynet", "domstolene")
		h.does(t, path+"/letter/answer", "do", "send", "opening", "Kære Kanarie")
		h.drain(t)
		if n := len(h.Room.Find("ny@example.dk")); n != 0 {
			t.Errorf("%d mails to an address that a request named", n)
		}
		mails := h.Room.Find(address)
		answer := mails[slices.IndexFunc(mails, func(m mail.Received) bool { return strings.Contains(m.Text, "ligger klar") })]
		contains(t, answer.Text, "Kære Kanarie", "http://site.localhost/privacy/me", w.request.Number, "Datatilsynet")
		if strings.Contains(answer.Text, "hemmelighed") {
			t.Error("the mail itself has the data")
		}
		contains(t, h.sees(t, "/requests?state=closed"), w.request.Number, "Imødekommet")
		want := "request.entered request.opened request.identity request.opened request.identified request.assess request.decide request.done request.answer"
		if got := strings.Join(h.acts, " "); got != want {
			t.Errorf("audit trail: %s", got)
		}
		contains(t, h.in(t, address).get("/privacy/me/data").Body.String(), "Din anmodning om indsigt", "Send mig alt", "Brev til dig")
		h.noCanary(t)
	})
}

// A refusal always has a coded ground with its article, the reasons, where to complain and
// the court; the writer cannot take them out. Without an address on file it is printed.
func TestRefusal(t *testing.T) {
	h := lite(t)
	path := h.enter(t, policy.Erasure, 0, "name", "Ukendt Person")
	h.does(t, path+"/step", "do", "assess")
	for _, v := range []url.Values{{"why": {"Derfor"}}, {"code": {"obligation"}}, {"code": {"compelling"}, "why": {"Derfor"}}} {
		v.Set("do", "send")
		if w := h.staff(http.MethodPost, path+"/letter/refusal", v); w.Code != http.StatusUnprocessableEntity {
			t.Errorf("%v: %d", v, w.Code)
		}
	}
	h.does(t, path+"/letter/refusal", "do", "send", "code", "obligation", "why", "Det er bilag.", "opening", "Hej", "closing", "Farvel")
	w, err := h.load(t.Context(), strings.TrimPrefix(path, "/requests/"))
	if err != nil || w.request.State != closed || w.request.Outcome != refused {
		t.Fatal(w.request, err)
	}
	printed := regexp.MustCompile(path + `/printed/[A-Z0-9]+`).FindString(h.sees(t, path))
	contains(t, h.sees(t, printed), "Hej", "GDPR Art. 17(3)(b)", "Det er bilag.", "Datatilsynet", "domstolene", "Farvel", "Skriv siden ud")
	if w := h.staff(http.MethodPost, path+"/step", url.Values{"do": {"assess"}}); w.Code != http.StatusConflict {
		t.Error("a closed case went on", w.Code)
	}
	h.drain(t)
	if n := h.count(t, "mail"); n != 0 {
		t.Errorf("%d letters wait", n)
	}
}

// Two months more only when the person is told, with a reason, within the first month.
func TestExtension(t *testing.T) {
	h := lite(t)
	h.write(t, address, "hej")
	path := h.enter(t, policy.Access, 0, "email", address)
	h.does(t, path+"/letter/extension", "do", "send", "code", "many", "why", "Vi har fået hundrede.")
	w, err := h.load(t.Context(), strings.TrimPrefix(path, "/requests/"))
	if err != nil || !w.deadline.Extended || w.deadline.Due.Format(time.DateOnly) != "2027-02-22" {
		t.Error(w.deadline, err)
	}
	if w := h.staff(http.MethodGet, path+"/letter/extension", nil); w.Code != http.StatusConflict {
		t.Error("extended twice", w.Code)
	}
	late := h.enter(t, policy.Access, 40, "email", address)
	if w := h.staff(http.MethodGet, late+"/letter/extension", nil); w.Code != http.StatusConflict {
		t.Error("extended after the month", w.Code)
	}
	contains(t, h.sees(t, "/requests"), "over fristen", "1 sag er over fristen")
	h.drain(t)
	contains(t, h.Room.Find(address)[0].Text, "senest 22. feb. 2027", "mange", "Datatilsynet")
}

// However a case is pushed, it follows the diagram, and what is closed stays closed.
func TestMoves(t *testing.T) {
	order := []state{received, identityPending, identityOK, assessing, executing, answering, closed}
	for _, from := range order {
		for _, to := range order {
			r := request{State: from}
			err := r.move(to)
			forward := slices.Index(order, to) > slices.Index(order, from) || from == identityOK && to == identityPending
			if err == nil && (!forward || from == closed) || err != nil && r.State != from {
				t.Errorf("%s to %s: %v", from, to, err)
			}
		}
	}
	for _, kind := range kinds() {
		if len(groundsFor(kind)) < 3 {
			t.Errorf("%s has the grounds %v", kind, groundsFor(kind))
		}
		for _, g := range groundsFor(kind) {
			if !text.Has("request.ground." + g.Code) {
				t.Errorf("the ground %s has no words", g.Code)
			}
		}
	}
}

// A mistake in the form is said, and what was typed stays.
func TestEntryMistakes(t *testing.T) {
	h := lite(t)
	ok := url.Values{"kind": {"access"}, "channel": {"phone"}, "at": {h.now().In(h.Plan().Loc).Format(momentForm)}, "lang": {"da"}, "name": {"Ea Prøve"}}
	for name, value := range map[string]string{"kind": "everything", "channel": "pigeon", "at": "2027-01-01T10:00", "email": "ea", "name": ""} {
		v := url.Values{}
		for k, old := range ok {
			v[k] = old
		}
		v.Set(name, value)
		v.Set("words", "Det skrevne bliver stående")
		w := h.staff(http.MethodPost, "/requests/new", v)
		if w.Code != http.StatusUnprocessableEntity {
			t.Errorf("%s=%s: %d", name, value, w.Code)
		}
		contains(t, w.Body.String(), "Det skrevne bliver stående", `role="alert"`)
	}
	if n := h.count(t, "rights_request"); n != 0 {
		t.Errorf("%d cases", n)
	}
}
