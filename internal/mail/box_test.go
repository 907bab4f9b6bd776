package mail_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/tillid/tillid/internal/mail"
	"github.com/tillid/tillid/internal/mail/mailtest"
)

const plainLetter = "From: =?utf-8?q?Karla_Pr=C3=B8vesen?= <karla@example.dk>\r\nTo: kontakt@example.dk\r\nSubject: =?utf-8?q?Sp=C3=B8rgsm=C3=A5l?=\r\n" +
	"Message-Id: <1@example.dk>\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nK=E6re l=E6ser\r\n"

const richLetter = "From: bo@example.dk\r\nSubject: Hej\r\nAuto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n" +
	"--x\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<style>p{}</style><p>Kære <b>alle</b></p><p>Hilsen</p>\r\n" +
	"--x\r\nContent-Type: application/pdf; name=a.pdf\r\nContent-Disposition: attachment; filename=\"cv.pdf\"\r\nContent-Transfer-Encoding: base64\r\n\r\nJVBERi0x\r\n--x--\r\n"

// Letters are read, the oldest first, and removed once taken; one that is not taken, or
// is no letter, stays and stops no other. Rows: C17.
func TestBox(t *testing.T) {
	address := mailtest.Dovecot(t)
	at := time.Date(2026, 11, 20, 9, 30, 0, 0, time.UTC)
	for i, letter := range []string{plainLetter, richLetter, "no letter at all", "From: fejl@example.dk\r\n\r\nnot taken\r\n"} {
		mailtest.Put(t, address, "kontakt", letter, at.Add(time.Duration(i)*time.Minute))
	}
	box := &mail.Box{URL: "imap://kontakt:" + mailtest.Password + "@" + address + "/INBOX", Log: slog.New(slog.DiscardHandler)}
	var got []mail.Incoming
	take := func(_ context.Context, in mail.Incoming) error {
		if in.From == "fejl@example.dk" {
			return errors.New("disk full")
		}
		got = append(got, in)
		return nil
	}
	if err := box.Each(t.Context(), take); err == nil || !strings.Contains(err.Error(), "2 letters") {
		t.Errorf("%v", err)
	}
	if len(got) != 2 || mailtest.Count(t, address, "kontakt") != 2 {
		t.Fatalf("%d letters taken, %d left", len(got), mailtest.Count(t, address, "kontakt"))
	}
	if in := got[0]; in.From != "karla@example.dk" || in.Name != "Karla Prøvesen" || in.Subject != "Spørgsmål" || in.Text != "Kære læser" || !in.At.Equal(at) || in.Automatic {
		t.Errorf("%+v", in)
	}
	if in := got[1]; in.Text != "Kære alle\nHilsen" || !in.Automatic || len(in.Files) != 1 || in.Files[0].Name != "cv.pdf" || string(in.Files[0].Content) != "%PDF-1" {
		t.Errorf("%+v", in)
	}
	got = nil
	if err := box.Each(t.Context(), take); err == nil || len(got) != 0 {
		t.Errorf("taken again: %d, %v", len(got), err)
	}
	box.URL = "imap://kontakt:wrong@" + address
	if err := box.Each(t.Context(), take); err == nil || strings.Contains(err.Error(), "wrong") {
		t.Errorf("a wrong password: %v", err)
	}
}

// Whatever is in a mailbox is a letter or refused.
func FuzzParse(f *testing.F) {
	f.Add([]byte(plainLetter))
	f.Add([]byte(richLetter))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if in, err := mail.Parse(raw); err == nil && in.From == "" && in.Name == "" && len(raw) == 0 {
			t.Error("nothing is a letter")
		}
	})
}

func TestCheckBox(t *testing.T) {
	for _, wrong := range []string{"", "kontakt", "https://a:b@c", "imap://host", "imaps://a:b@/", "imaps://a:b@h:x"} {
		if err := mail.CheckBox(wrong); err == nil {
			t.Errorf("%q is a mailbox", wrong)
		}
	}
}
