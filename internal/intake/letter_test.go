package intake

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/tillid/tillid/internal/mail"
	"github.com/tillid/tillid/internal/mail/mailtest"
	"github.com/tillid/tillid/internal/text"
)

// letter is mail as a person writes it; a file when there is one.
func letter(from, subject, body, fileName, content string) string {
	head := "From: Kanarie =?utf-8?q?Pr=C3=B8vesen?= <" + from + ">\r\nTo: kontakt@proeve.example\r\nSubject: " + subject + "\r\nMIME-Version: 1.0\r\n"
	if fileName == "" {
		return head + "Content-Type: text/plain; charset=utf-8\r\n\r\n" + body + "\r\n"
	}
	return head + "Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" + body +
		"\r\n--x\r\nContent-Disposition: attachment; filename=\"" + fileName + "\"\r\nContent-Type: application/octet-stream\r\n\r\n" + content + "\r\n--x--\r\n"
}

// withBox lets a house read a real mailbox.
func (h *house) withBox(address, user string) *house {
	h.Box = &mail.Box{URL: "imap://" + user + ":" + mailtest.Password + "@" + address, Log: h.Log}
	return h
}

// A letter becomes a case with its files sealed, its clock from when the mailbox got it,
// and a receipt; the answer to our answer joins the case and reopens it; the letters are
// then gone from the mailbox, and nothing is taken twice. Rows: C17, C3.
func TestLetters(t *testing.T) {
	address, n := mailtest.Dovecot(t), 0
	each(t, func(t *testing.T, h *house) {
		n++
		user := fmt.Sprintf("kontakt%d", n)
		h.staffed().withBox(address, user)
		at := time.Date(2026, 11, 20, 8, 0, 0, 0, time.UTC)
		first := letter("kanarie@example.dk", "Hemmeligt", "Kanariefuglens hemmelighed\x07", "brev.pdf", pdfFile)
		mailtest.Put(t, address, user, first, at)
		mailtest.Put(t, address, user, letter("bo@example.dk", "Program", "Hej", "x.exe", "MZ"), at)
		if err := h.readBox(t.Context()); err != nil || mailtest.Count(t, address, user) != 0 {
			t.Fatal(err)
		}
		mailtest.Put(t, address, user, first, at) // as after a crash before it was removed
		if err := h.readBox(t.Context()); err != nil || h.count(t, "enquiry") != 2 {
			t.Fatalf("%d cases: %v", h.count(t, "enquiry"), err)
		}
		h.drain(t)
		receipts := h.Room.Find("kanarie@example.dk")
		if len(receipts) != 1 {
			t.Fatalf("%d receipts", len(receipts))
		}
		number := caseNumber.FindString(receipts[0].Subject)
		id, err := byNumber(t.Context(), h.DB, number)
		if err != nil || id == "" {
			t.Fatal(number, err)
		}
		r, err := h.Subjects.Get(t.Context(), h.DB, id)
		if err != nil || !r.Received.Equal(at) {
			t.Errorf("received %v: %v", r.Received, err)
		}
		contains(t, h.staff(t, "GET", "/enquiries/"+id+"?lang=en", nil).Body.String(), "by mail", "Hemmeligt", "Kanariefuglens hemmelighed", "brev.pdf", "Kanarie Prøvesen")

		h.staff(t, "POST", "/enquiries/"+id+"/answer", url.Values{"text": {"Hej Kanarie"}})
		h.staff(t, "POST", "/enquiries/"+id+"/close", url.Values{"drop": {"yes"}})
		mailtest.Put(t, address, user, letter("bo@example.dk", "Re: "+number, "Jeg lader, som om jeg er Kanarie", "", ""), at.AddDate(0, 0, 1))
		mailtest.Put(t, address, user, letter("Kanarie@EXAMPLE.dk", "Re: ["+strings.ToLower(number)+"]", "Mange tak", "mere.txt", "mere"), at.AddDate(0, 0, 1))
		for range 2 {
			if err := h.readBox(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		got := h.staff(t, "GET", "/enquiries/"+id+"?lang=en", nil).Body.String()
		contains(t, got, "Wrote by mail", "Mange tak", "mere.txt", "/close") // it is open again
		if strings.Contains(got, "som om jeg er") || h.count(t, "enquiry") != 3 {
			t.Error("a stranger wrote into the case")
		}
		if strings.Count(got, "Mange tak") != 1 {
			t.Error("a letter joined twice")
		}
		view, err := h.Show(t.Context(), h.DB, r, text.EN)
		if err != nil {
			t.Fatal(err)
		}
		contains(t, revealed(view), "You wrote", "mere.txt")
		h.noCanary(t)
	})
}

// What a letter's author may do: be long, be a machine, have no address. Nothing of it is lost.
func TestLettersOfAllKinds(t *testing.T) {
	h := newHouse(t, lite(t))
	long := strings.Repeat("Langt brev. ", 2000)
	for what, in := range map[string]mail.Incoming{
		"long":    {From: "a@example.dk", Subject: "Langt", Text: long, Digest: [32]byte{1}},
		"machine": {From: "b@example.dk", Subject: "Ferie", Automatic: true, Digest: [32]byte{2}},
		"empty":   {From: "c@example.dk", Digest: [32]byte{3}},
		"future":  {From: "d@example.dk", At: h.now().AddDate(1, 0, 0), Digest: [32]byte{4}},
	} {
		if err := h.Receive(t.Context(), in); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	h.drain(t)
	if n := len(h.Room.Find("b@example.dk")); n != 0 {
		t.Error("a machine gets a receipt: two of them would write for ever")
	}
	if n := len(h.Room.Find("a@example.dk")); n != 1 {
		t.Errorf("%d receipts", n)
	}
	w := h.staff(t, "POST", "/enquiries/search", url.Values{"q": {"a@example.dk"}})
	at, _ := page(t, w).Find("tbody a").Attr("href")
	file, _ := page(t, h.staff(t, "GET", at, nil)).Find("a[download]").Attr("href")
	if got := h.staff(t, "GET", file, nil); got.Code != http.StatusOK || !strings.Contains(got.Body.String(), strings.TrimSpace(long)) {
		t.Errorf("the end of a long letter is lost: %d", got.Code)
	}
	if err := h.Receive(t.Context(), mail.Incoming{From: "no address", Digest: [32]byte{5}}); err == nil {
		t.Error("a letter without an address is taken, and would be removed")
	}
	if h.count(t, "enquiry") != 4 {
		t.Errorf("%d cases", h.count(t, "enquiry"))
	}
}
