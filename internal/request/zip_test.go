package request

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/file"
	"github.com/tillid/tillid/internal/subject"
)

// attach puts files to the newest enquiry of an address, as its form does.
func (h *house) attach(t *testing.T, address string, contents map[string][]byte) subject.Record {
	t.Helper()
	p, _, err := h.Subjects.Find(t.Context(), h.DB, subject.Email, subject.Secret(address))
	if err != nil {
		t.Fatal(err)
	}
	records, err := h.Subjects.Of(t.Context(), h.DB, p)
	if err != nil || len(records) == 0 {
		t.Fatal(records, err)
	}
	record := records[len(records)-1]
	key, err := h.Subjects.Keys.Get(t.Context(), record.ID)
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for name, content := range contents {
		f, err := h.Intake.Files.Take(t.Context(), key, file.Upload{Field: "cv", Name: name, Body: bytes.NewReader(content)})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, f.ID)
	}
	if err := h.DB.Do(t.Context(), func(ctx context.Context, tx *db.Tx) error { return h.Intake.Files.Keep(ctx, tx, record.ID, ids) }); err != nil {
		t.Fatal(err)
	}
	return record
}

// What somebody attached comes back to them, and to nobody else, byte for byte: alone, and
// with the page and its JSON in one ZIP file. After an erasure no address of it answers.
//
// Rows: E9.
func TestFilesComeBack(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.write(t, address, "Se vedhæftede")
		h.write(t, "anden@example.dk", "Noget helt andet")
		sent := map[string][]byte{
			"Ansøgning æøå.txt": []byte(strings.Repeat("Kære Prøve\r\nJeg søger stillingen.\r\n", 9000)), // several chunks
			"tegning.png":       []byte("\x89PNG\r\n\x1a\n" + "\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x02\x00\x00\x00\x90wS\xde\x00\x00\x00\x0cIDATx\x9cc\xf8\xcf\xc0\x00\x00\x03\x01\x01\x00\xc9\xfe\x92\xef\x00\x00\x00\x00IEND\xaeB`\x82"),
		}
		record := h.attach(t, address, sent)
		b, other := h.in(t, address), h.in(t, "anden@example.dk")
		got := b.get("/privacy/me/data.zip")
		if got.Code != http.StatusOK || got.Header().Get("Content-Type") != "application/zip" || !strings.Contains(got.Header().Get("Content-Disposition"), "my-data-2026-11-22.zip") {
			t.Fatal(got.Code, got.Header())
		}
		packed, err := zip.NewReader(bytes.NewReader(got.Body.Bytes()), int64(got.Body.Len()))
		if err != nil {
			t.Fatal(err)
		}
		in := map[string][]byte{}
		for _, f := range packed.File {
			r, err := f.Open()
			if err != nil {
				t.Fatal(err)
			}
			if in[f.Name], err = io.ReadAll(r); err != nil {
				t.Fatal(err)
			}
		}
		var pack Pack
		if err := json.Unmarshal(in["my-data.json"], &pack); err != nil {
			t.Fatal(err)
		}
		page := b.get("/privacy/me/data").Body.String()
		var addresses []string
		for _, r := range pack.Records {
			for _, f := range r.Files {
				if r.ID != record.ID || !bytes.Equal(in[f.Path], sent[f.Name]) || int64(len(sent[f.Name])) != f.Size {
					t.Errorf("%s is not what was sent", f.Name)
				}
				if !strings.Contains(string(in["my-data.html"]), f.Name) || !strings.Contains(page, f.Name) {
					t.Errorf("the pages do not name %s", f.Name)
				}
				delete(sent, f.Name)
			}
		}
		if len(sent) > 0 || len(in) != 4 {
			t.Errorf("not in the ZIP file: %d of what was sent; it has %d files", len(sent), len(in))
		}
		for _, line := range strings.Split(page, `href="`) {
			if at, _, _ := strings.Cut(line, `"`); strings.HasPrefix(at, "/privacy/me/file/") {
				addresses = append(addresses, at)
			}
		}
		if len(addresses) != 2 {
			t.Fatalf("the page leads to %q", addresses)
		}
		for _, at := range addresses {
			w := b.get(at)
			if w.Code != http.StatusOK || !strings.HasPrefix(w.Header().Get("Content-Disposition"), "attachment") || fmt.Sprint(w.Body.Len()) != w.Header().Get("Content-Length") {
				t.Errorf("%s: %d %v", at, w.Code, w.Header())
			}
			if w := other.get(at); w.Code != http.StatusNotFound {
				t.Errorf("somebody else gets %s: %d", at, w.Code)
			}
			if w := h.browser().get(at); w.Code != http.StatusSeeOther {
				t.Errorf("nobody gets %s: %d", at, w.Code)
			}
		}
		if w := b.get("/privacy/me/file/" + record.ID + "/nothing"); w.Code != http.StatusNotFound {
			t.Errorf("a file that is not there: %d", w.Code)
		}
		b.post("/privacy/me/erase", "what", record.ID)
		for _, at := range addresses {
			if w := b.get(at); w.Code == http.StatusOK {
				t.Errorf("%s answers after the erasure", at)
			}
		}
		if n := h.count(t, "file_chunk"); n != 0 {
			t.Errorf("%d chunks are left", n)
		}
	})
}
