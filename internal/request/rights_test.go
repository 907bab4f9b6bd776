package request

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/erase"
	"github.com/tillid/tillid/internal/mail"
	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/subject"
)

// caseOf returns the id of the one case of a kind.
func (h *house) caseOf(t *testing.T, kind policy.Right) string {
	t.Helper()
	found, err := selectRequests(t.Context(), h.DB, `where kind = $1 order by entered_at desc`, string(kind))
	if err != nil || len(found) == 0 {
		t.Fatal(found, err)
	}
	return found[0].ID
}

func (h *house) enquiry(t *testing.T) subject.Record {
	t.Helper()
	all, err := h.Subjects.Of(t.Context(), h.DB, mustPersons(t, h)[0])
	i := slices.IndexFunc(all, func(r subject.Record) bool { return r.Holder == "intake" })
	if err != nil || i < 0 {
		t.Fatal(all, err)
	}
	return all[i]
}

// The person says which field is wrong; staff accept it; it is corrected where it is held.
//
// Rows: E11.
func TestRectification(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.write(t, address, "Jeg bor i Odense")
		b, r := h.in(t, address), h.enquiry(t)
		contains(t, b.get("/privacy/me/rights").Body.String(), "Noget er forkert", "Besked", "Datatilsynet")
		for _, v := range [][]string{{"field", "x y", "want", "z"}, {"field", r.ID + " email", "want", "ikke en adresse"}, {"field", r.ID + " message", "want", " "}} {
			if w := b.post("/privacy/me/rights/rectification", v...); w.Code != http.StatusUnprocessableEntity {
				t.Error(v, w.Code)
			}
		}
		if w := b.post("/privacy/me/rights/rectification", "field", r.ID+" message", "want", "Jeg bor i Aarhus"); w.Code != http.StatusSeeOther {
			t.Fatal(w.Code, w.Body)
		}
		path := "/requests/" + h.caseOf(t, policy.Rectification)
		contains(t, b.get("/privacy/me/rights").Body.String(), "Du får svar senest 22. dec. 2026")
		h.does(t, path+"/step", "do", "assess")
		contains(t, h.sees(t, path), "Jeg bor i Odense", "Jeg bor i Aarhus")
		h.does(t, path+"/step", "do", "decide", "outcome", "granted", "accept", "0")
		h.does(t, path+"/letter/answer", "do", "send")
		pack := b.get("/privacy/me/data.json").Body.String()
		if !strings.Contains(pack, `"value": "Jeg bor i Aarhus"`) || strings.Contains(pack, `"value": "Jeg bor i Odense"`) {
			t.Error("not corrected:", pack)
		}
		h.noCanary(t)
	})
}

// All ways to use a restricted record: staff read it with a ground only, nothing about it is
// mailed or handed over, no rule deletes it; its person sees it and may erase it.
func TestRestriction(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.write(t, address, "Kanariefuglens hemmelighed")
		b, r := h.in(t, address), h.enquiry(t)
		if w := b.post("/privacy/me/rights/restriction", "ground", "accuracy"); w.Code != http.StatusSeeOther {
			t.Fatal(w.Code, w.Body)
		}
		ctx := t.Context()
		t.Run("read", func(t *testing.T) {
			if _, err := h.Subjects.Keys.Get(ctx, r.ID); !subject.IsRestricted(err) {
				t.Error("its key opens:", err)
			}
			if _, err := h.Intake.Show(ctx, h.DB, r, "da"); !subject.IsRestricted(err) {
				t.Error("it is shown:", err)
			}
			w := h.staff(http.MethodGet, "/enquiries/"+r.ID, nil)
			if w.Header().Get("Location") != "/restricted/"+r.ID {
				t.Error(w.Code, w.Body)
			}
			to := "/restricted/" + r.ID
			if body := h.sees(t, to); strings.Contains(body, "hemmelighed") {
				t.Error("shown without a ground")
			}
			if w := h.staff(http.MethodPost, to, url.Values{"why": {"curiosity"}}); w.Code != http.StatusUnprocessableEntity || strings.Contains(w.Body.String(), "hemmelighed") {
				t.Error(w.Code)
			}
			contains(t, h.staff(http.MethodPost, to, url.Values{"why": {"claims"}}).Body.String(), "Kanariefuglens hemmelighed")
			contains(t, strings.Join(h.acts, " "), "request.looked")
		})
		t.Run("send", func(t *testing.T) {
			before := len(h.Room.Find(""))
			if w := h.staff(http.MethodPost, "/enquiries/"+r.ID+"/answer", url.Values{"text": {"Hej"}}); w.Code < 400 {
				t.Error("staff answered", w.Code)
			}
			key, err := h.Mail.Prepare(ctx)
			if err != nil {
				t.Fatal(err)
			}
			err = h.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error {
				return h.Mail.Queue(ctx, tx, mail.Message{To: address, Subject: "x", Text: "y", RefRecord: r.ID}, key)
			})
			if !subject.IsRestricted(err) {
				t.Error("a letter was taken:", err)
			}
			err = h.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error { return h.Connect.Hand(ctx, tx, r, "support_desk") })
			if !subject.IsRestricted(err) {
				t.Error("it was handed over:", err)
			}
			h.drain(t)
			if n := len(h.Room.Find("")); n != before {
				t.Errorf("%d mails", n-before)
			}
		})
		t.Run("retention", func(t *testing.T) {
			steps, err := h.Erase.PlanFor(ctx, []subject.Record{r}, erase.Reason{Kind: erase.Retention, Rule: r.Rule})
			if err != nil || steps[0].State != erase.Blocked || steps[0].Code != "restriction" {
				t.Error(steps, err)
			}
			if _, err := h.Erase.Records(ctx, []subject.Record{r}, erase.Reason{Kind: erase.Closed}); err != nil {
				t.Error(err)
			}
			if h.count(t, "enquiry") != 1 {
				t.Fatal("a rule deleted it")
			}
		})
		t.Run("person", func(t *testing.T) {
			contains(t, b.get("/privacy/me/data").Body.String(), "Kanariefuglens hemmelighed", "Brugen er sat på pause")
			if w := b.post("/privacy/me/erase", "what", r.ID); w.Code != http.StatusSeeOther {
				t.Error(w.Code, w.Body)
			}
			if h.count(t, "enquiry") != 0 || h.count(t, "restriction") != 0 {
				t.Error("its person could not erase it")
			}
		})
		h.noCanary(t)
	})
}

// A pause ends a week after its person was told, not before (Art. 18(3)); then the rules run again.
func TestLift(t *testing.T) {
	h := lite(t)
	h.write(t, address, "hej")
	b, r := h.in(t, address), h.enquiry(t)
	if w := b.post("/privacy/me/rights/objection", "words", "Min situation er særlig", "pause", "yes"); w.Code != http.StatusSeeOther {
		t.Fatal(w.Code, w.Body)
	}
	path := "/requests/" + h.caseOf(t, policy.Objection)
	h.does(t, path+"/step", "do", "assess")
	h.does(t, path+"/letter/refusal", "do", "send", "code", "compelling", "why", "Vi må kunne svare.")
	h.does(t, path+"/letter/lift", "do", "send")
	for _, days := range []int{6, 2} {
		h.pass(time.Duration(days) * 24 * time.Hour)
		if err := h.liftDue(t.Context()); err != nil {
			t.Fatal(err)
		}
		paused, err := h.Subjects.IsPaused(t.Context(), h.DB, r.ID)
		if err != nil || paused != (days == 6) {
			t.Error(days, paused, err)
		}
	}
	h.drain(t)
	if !slices.ContainsFunc(h.Room.Find(address), func(m mail.Received) bool { return strings.Contains(m.Text, "Pausen ophører") }) {
		t.Error("its person was not told")
	}
}

// Nobody weighs an objection to marketing or a withdrawal: both act at once.
//
// Rows: E10.
func TestAtOnce(t *testing.T) {
	h := lite(t)
	h.write(t, address, "hej")
	b := h.in(t, address)
	for _, right := range []policy.Right{policy.Withdraw, policy.ObjectMarketing} {
		if w := b.post("/privacy/me/rights/" + string(right)); w.Code != http.StatusSeeOther {
			t.Fatal(w.Code, w.Body)
		}
		c, err := getRequest(t.Context(), h.DB, h.caseOf(t, right))
		if err != nil || c.open() || c.Outcome != granted {
			t.Error(c, err)
		}
	}
	if h.count(t, "enquiry") != 1 {
		t.Error("what rests on an interest was erased too")
	}
}

// The complaint route names the right authority, and a complaint is a case.
//
// Rows: E12.
func TestComplaint(t *testing.T) {
	h := lite(t)
	contains(t, h.browser().get("/privacy/complaint").Body.String(), "Persondata: Datatilsynet", "Cookies: Digitaliseringsstyrelsen", "(spam): Forbrugerombudsmanden", "dt@datatilsynet.dk")
	h.write(t, address, "hej")
	b := h.in(t, address)
	if w := b.post("/privacy/me/rights/complaint", "subject", "marketing", "words", "I ringer hele tiden"); w.Code != http.StatusSeeOther {
		t.Fatal(w.Code, w.Body)
	}
	path := "/requests/" + h.caseOf(t, policy.Complaint)
	h.does(t, path+"/step", "do", "assess")
	contains(t, h.sees(t, path+"/letter/refusal"), "Forbrugerombudsmanden")
	if w := b.post("/privacy/me/erase", "what", "all"); w.Code != http.StatusConflict {
		t.Error("erased before the answer", w.Code)
	}
	if w := b.post(strings.Replace(path, "/requests/", "/privacy/me/cases/", 1) + "/withdraw"); w.Code != http.StatusSeeOther {
		t.Error(w.Code, w.Body)
	}
	if w := b.post("/privacy/me/erase", "what", "all"); w.Code != http.StatusSeeOther {
		t.Error(w.Code, w.Body)
	}
}

// Staff are reminded once a day, and by a calendar that names nobody.
func TestReminders(t *testing.T) {
	h := lite(t)
	h.write(t, address, "hej")
	h.enter(t, policy.Erasure, 40, "email", address, "name", "Kanarie Prøvesen", "words", "hemmelighed")
	for range 3 {
		if err := h.digest(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	h.drain(t)
	mails := h.Room.Find("privatliv@proeve.example")
	if len(mails) != 1 {
		t.Fatal(len(mails), "mails")
	}
	contains(t, mails[0].Text, "Sletning", "over fristen")
	page := h.staff(http.MethodPost, "/requests/calendar", url.Values{})
	feed := regexp.MustCompile(`/calendar/[A-Za-z0-9_-]{43}`).FindString(page.Body.String())
	w := h.staff(http.MethodGet, feed, nil)
	body := w.Body.String()
	contains(t, body, "BEGIN:VCALENDAR\r\n", "DTSTART;VALUE=DATE:20261113\r\n", "END:VCALENDAR\r\n")
	for _, text := range []string{body, mails[0].Text} {
		if strings.Contains(text, "anarie") || strings.Contains(text, "hemmelighed") {
			t.Error("it names somebody:", text)
		}
	}
	for line := range strings.SplitSeq(body, "\r\n") {
		if len(line) > 75 {
			t.Errorf("a line of %d octets", len(line))
		}
	}
	h.staff(http.MethodPost, "/requests/calendar", url.Values{})
	if w := h.staff(http.MethodGet, feed, nil); w.Code != http.StatusNotFound {
		t.Error("the old address lives on", w.Code)
	}
}

func TestFold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := strings.ToValidUTF8(rapid.StringMatching(`[a-zæøå€ ]{0,300}`).Draw(t, "s"), "")
		folded := fold(s)
		for line := range strings.SplitSeq(strings.TrimSuffix(folded, "\r\n"), "\r\n") {
			if len(line) > 75 || !json.Valid([]byte(`"`+line+`"`)) {
				t.Fatalf("%q", line)
			}
		}
		if strings.ReplaceAll(strings.TrimSuffix(folded, "\r\n"), "\r\n ", "") != s {
			t.Fatal("unfolding does not give it back")
		}
	})
}

// Properties 14 and 15 of reference/erasure.md: the pack fits its served schema, HTML and JSON
// say the same, nobody else is in it; what is portable is a part of it, given by the person,
// on consent or contract.
func TestPackProperties(t *testing.T) {
	h := lite(t)
	h.write(t, address, "Første hemmelighed")
	h.write(t, "anden@example.dk", "Fremmed hemmelighed")
	b := h.in(t, address)
	var pack, portable Pack
	raw := b.get("/privacy/me/data.json").Body.Bytes()
	if err := json.Unmarshal(raw, &pack); err != nil {
		t.Fatal(err)
	}
	var again Pack
	back, err := json.Marshal(pack)
	if err != nil || json.Unmarshal(back, &again) != nil || len(again.Records) != len(pack.Records) {
		t.Error("re-import gives something else", err)
	}
	html := b.get("/privacy/me/data.html").Body.String()
	for _, r := range pack.Records {
		for _, v := range r.Values {
			if !strings.Contains(html, strings.Fields(v.Value)[0]) {
				t.Errorf("the letter lacks %s", v.Label)
			}
		}
	}
	contains(t, html, "Kære du", "Datatilsynet", "Fra dig selv", "Prøvevej 1")
	if strings.Contains(string(raw)+html, "Fremmed") {
		t.Error("another person's data")
	}
	served := h.browser().get("/privacy/access-pack.schema.json").Body.String()
	if file, err := os.ReadFile(schemaFile); err != nil || string(file) != served {
		t.Error("the served schema is another one", err)
	}
	if err := json.Unmarshal(b.get("/privacy/me/portable.json").Body.Bytes(), &portable); err != nil || len(portable.Records) != 0 {
		t.Error("what rests on an interest is portable", portable.Records, err)
	}
	plan := testPlan(t)
	h.Plan = func() *policy.Plan { return plan }
	plan.Purpose("answer_enquiry").Basis.Art = "6.1.b"
	if err := json.Unmarshal(b.get("/privacy/me/portable.json").Body.Bytes(), &portable); err != nil || len(portable.Records) != 1 {
		t.Fatal(portable.Records, err)
	}
	for _, r := range portable.Records {
		i := slices.IndexFunc(pack.Records, func(p PackRecord) bool { return p.ID == r.ID })
		for _, v := range r.Values {
			if i < 0 || !slices.ContainsFunc(pack.Records[i].Values, func(p PackValue) bool { return p.Value == v.Value }) {
				t.Errorf("%s is portable, and not in the pack", v.Label)
			}
		}
	}
}

// Property 23: whatever comes at once, one erasure runs per person, and who asks for access
// meanwhile gets all of it or none.
func TestAccessWhileErasing(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		for i := range 4 {
			h.write(t, address, strings.Repeat("x", i+1))
		}
		b := h.in(t, address)
		cookies := b.cookies
		var all sync.WaitGroup
		var mu sync.Mutex
		sizes := map[int]int{}
		for i := range 12 {
			all.Go(func() {
				mine := &browser{h, map[string]string{}}
				for k, v := range cookies {
					mine.cookies[k] = v
				}
				if i%4 == 3 {
					mine.post("/privacy/me/erase", "what", "all")
					return
				}
				w := mine.get("/privacy/me/data.json")
				var pack Pack
				if w.Code == http.StatusOK && json.Unmarshal(w.Body.Bytes(), &pack) == nil {
					mu.Lock()
					sizes[len(pack.Records)]++
					mu.Unlock()
				}
			})
		}
		all.Wait()
		for n := range sizes {
			if n != 0 && n != 5 { // four enquiries and the access itself
				t.Errorf("%d packs have %d records: a part", sizes[n], n)
			}
		}
		cases, err := h.Erase.Cases(t.Context(), 10)
		if err != nil || len(cases) != 1 || h.count(t, "enquiry") != 0 {
			t.Error(len(cases), "erasures,", h.count(t, "enquiry"), "enquiries are left,", err)
		}
	})
}
