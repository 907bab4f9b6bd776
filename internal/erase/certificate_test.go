package erase_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/tillid/tillid/internal/db/dbtest"
	"github.com/tillid/tillid/internal/erase"
	"github.com/tillid/tillid/internal/ledger"
	"github.com/tillid/tillid/internal/text"
)

// One changed bit anywhere in the file makes it invalid, also in the parts that
// base64, JSON and the note format would read in more than one way. Rows: E3.
func TestEveryByteOfACertificateCounts(t *testing.T) {
	h := newHouse(t, dbtest.Lite(t))
	a := h.add("astrid@example.dk", "first", "answer", "desk")
	h.drain()
	id := h.erase(a.Person)
	h.drain()
	if _, err := h.Ledger.Sequence(t.Context()); err != nil {
		t.Fatal(err)
	}
	data, err := h.CertificateFile(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	vkey := h.Ledger.Signer.Verifier()
	cert, err := erase.VerifyCertificate(data, "")
	if err != nil || cert.Pinned || cert.Proven != 2 || cert.Key != vkey {
		t.Fatalf("untouched: %v, pinned %v, %d leaves proven", err, cert.Pinned, cert.Proven)
	}
	if cert, err = erase.VerifyCertificate(data, vkey+"\n"); err != nil || !cert.Pinned {
		t.Fatalf("with the right key: %v", err)
	}
	for i := range data {
		for bit := range 8 {
			altered := bytes.Clone(data)
			altered[i] ^= 1 << bit
			if _, err := erase.VerifyCertificate(altered, ""); err == nil {
				t.Fatalf("byte %d, bit %d: %q → %q is accepted", i, bit, data[i], altered[i])
			}
		}
	}
	for n := range data {
		if _, err := erase.VerifyCertificate(data[:n], ""); err == nil {
			t.Fatalf("cut after %d bytes it is accepted", n)
		}
	}
	if _, err := erase.VerifyCertificate(append(bytes.Clone(data), '\n'), ""); err == nil {
		t.Error("with a byte more it is accepted")
	}
}

// A certificate of another key, or proofs of another certificate, do not pass.
func TestCertificateOfAnother(t *testing.T) {
	var files [][]byte
	var keys []string
	for range 2 {
		h := newHouse(t, dbtest.Lite(t))
		id := h.erase(h.add("astrid@example.dk", "first", "answer").Person)
		h.drain()
		if _, err := h.Ledger.Sequence(t.Context()); err != nil {
			t.Fatal(err)
		}
		data, err := h.CertificateFile(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		files, keys = append(files, data), append(keys, h.Ledger.Signer.Verifier())
	}
	if _, err := erase.VerifyCertificate(files[0], keys[1]); err == nil {
		t.Error("another key is accepted")
	}
	var a, b struct {
		Format string          `json:"format"`
		Note   string          `json:"note"`
		Proofs []*ledger.Proof `json:"proofs"`
	}
	for i, into := range []any{&a, &b} {
		if err := json.Unmarshal(files[i], into); err != nil {
			t.Fatal(err)
		}
	}
	a.Proofs = b.Proofs
	mixed, err := json.MarshalIndent(a, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := erase.VerifyCertificate(append(mixed, '\n'), ""); err == nil {
		t.Error("proofs of another log are accepted")
	}
}

// A certificate names nobody, and says what it cannot show, in both languages.
func TestCertificateInWords(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		a := h.add("astrid@example.dk", "canary-body", "answer", "desk", "paper")
		h.drain()
		h.desk.keep = true
		id := h.erase(a.Person)
		h.drain()
		data, err := h.CertificateFile(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{"astrid", "example.dk", "canary", string(a.Person), a.ID} {
			if bytes.Contains(data, []byte(secret)) {
				t.Errorf("the certificate holds %q", secret)
			}
		}
		cert := h.certificate(id)
		for _, l := range text.Langs() {
			var words strings.Builder
			for _, p := range cert.Describe(l, time.UTC) {
				words.WriteString(p.Title + "\n" + strings.Join(p.Lines, "\n") + "\n")
			}
			if s := words.String(); strings.Contains(s, "⟦") || !strings.Contains(s, "Hjælp ApS") {
				t.Errorf("%s: %s", l, s)
			}
		}
	})
}

func FuzzVerifyCertificate(f *testing.F) {
	f.Add([]byte(`{}`))
	f.Add([]byte("{\n \"format\": \"tillid-certificate/1\",\n \"note\": \"\",\n \"proofs\": []\n}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, err := erase.VerifyCertificate(data, ""); err == nil {
			t.Error("accepted")
		}
	})
}
