package intake

import (
	"bytes"
	"encoding/json"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"

	"github.com/tillid/tillid/internal/subject"
)

// part is one input of a multipart form: a file when it has a file name.
type part struct{ name, file, value string }

// pdfFile is a file that is taken; its words are a canary.
const pdfFile = "%PDF-1.7\nKanariefuglens levnedsløb\n%%EOF\n"

// sendParts posts a form with files, as a browser does.
func (h *house) sendParts(tb testing.TB, form, accept string, parts ...part) *httptest.ResponseRecorder {
	tb.Helper()
	var b bytes.Buffer
	m := multipart.NewWriter(&b)
	for _, p := range parts {
		var err error
		if p.file == "" && p.name != "letter" && p.name != "photo" {
			err = m.WriteField(p.name, p.value)
		} else {
			w, err2 := m.CreateFormFile(p.name, p.file)
			if err = err2; err == nil {
				_, err = w.Write([]byte(p.value))
			}
		}
		if err != nil {
			tb.Fatal(err)
		}
	}
	m.Close()
	r := httptest.NewRequest("POST", "/_tillid/forms/"+form, &b)
	r.Header.Set("Content-Type", m.FormDataContentType())
	r.Header.Set("Accept", accept)
	w := httptest.NewRecorder()
	h.Public.ServeHTTP(w, r)
	return w
}

func page(tb testing.TB, w *httptest.ResponseRecorder) *goquery.Document {
	tb.Helper()
	d, err := goquery.NewDocumentFromReader(w.Body)
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

// A file is stored with its enquiry and nothing else, comes back byte for byte, is noted
// when staff fetch it, and goes with the enquiry. Rows: C1, C4, E3.
func TestFiles(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		w := h.sendParts(t, "with_file", "text/html", part{"email", "", "kanarie@example.dk"}, part{"letter", `C:\breve\mit brev.pdf`, pdfFile}, part{"photo", "", ""})
		if w.Code != http.StatusSeeOther {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		rows, err := list(t.Context(), h.DB, "open", "", 0)
		if err != nil || len(rows) != 1 {
			t.Fatal(err, rows)
		}
		id := rows[0].ID
		link := page(t, h.staff(t, "GET", "/enquiries/"+id, nil)).Find(`a[download]`)
		if link.Text() != "mit brev.pdf" {
			t.Errorf("the case shows %q", link.Text())
		}
		got := h.staff(t, "GET", link.AttrOr("href", ""), nil)
		if got.Code != 200 || got.Body.String() != pdfFile || !strings.HasPrefix(got.Header().Get("Content-Disposition"), "attachment") {
			t.Errorf("%d %v %q", got.Code, got.Header(), got.Body)
		}
		if past := page(t, h.staff(t, "GET", "/enquiries/"+id, nil)).Find("#past + table").Text(); !strings.Contains(past, "mit brev.pdf") {
			t.Errorf("fetching is not noted: %s", past)
		}
		record, err := h.Subjects.Get(t.Context(), h.DB, id)
		if err != nil {
			t.Fatal(err)
		}
		view, err := h.Show(t.Context(), h.DB, record, "da")
		if err != nil || !strings.Contains(revealed(view), "mit brev.pdf (1 KB)") {
			t.Errorf("the person does not see it: %v %s", err, revealed(view))
		}
		if err := h.Close(t.Context(), id, Closing{Drop: true, Now: true}); err != nil {
			t.Fatal(err)
		}
		if n := h.count(t, "file") + h.count(t, "file_chunk") + h.count(t, "enquiry"); n != 0 {
			t.Errorf("%d rows are left", n)
		}
		if strings.Contains(h.Output.String(), "mit brev") || strings.Contains(h.Output.String(), "Kanarie") {
			t.Error("a log has the file's name or content")
		}
	})
}

func revealed(v subject.View) string {
	var b strings.Builder
	for _, f := range v.Fields {
		b.WriteString(f.Label + ": " + f.Value.Reveal() + "\n")
	}
	return b.String()
}

// What is wrong with the form, or with one file, loses no other file: the page that is
// shown again has them, and the next press of the button sends them.
func TestFilesAreKept(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		w := h.sendParts(t, "with_file", "text/html", part{"email", "", "nonsense"}, part{"letter", "a.pdf", pdfFile}, part{"letter", "b.txt", "brev"},
			part{"letter", "c.txt", "en for meget"}, part{"photo", "x.png", "MZ not a picture"})
		if w.Code != http.StatusUnprocessableEntity {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		form := page(t, w)
		for name, want := range map[string]string{"#e-letter": "Højst 2 filer.", "#e-photo": "Filen er ikke det, dens navn siger."} {
			if got := form.Find(name).Text(); !strings.HasPrefix(got, want) {
				t.Errorf("%s says %q", name, got)
			}
		}
		if got := form.Find(".kept span").Text(); got != "a.pdfb.txt" {
			t.Errorf("kept %q", got)
		}
		files, _ := form.Find(`input[name=_files]`).Attr("value")
		drop, _ := form.Find(`input[name^="_drop."]`).Last().Attr("name")
		again := []part{{"_files", "", files}, {"email", "", "kanarie@example.dk"}, {drop, "", "yes"}, {"letter", "", ""}}
		for i, status := range []int{http.StatusSeeOther, http.StatusSeeOther} { // and a second press
			if w := h.sendParts(t, "with_file", "text/html", again...); w.Code != status {
				t.Fatalf("press %d: %d %s", i, w.Code, w.Body)
			}
		}
		again[1].value = "another@example.dk"
		if w := h.sendParts(t, "with_file", "text/html", again...); w.Code != http.StatusConflict {
			t.Errorf("the same files with something else: %d", w.Code)
		}
		if w := h.sendParts(t, "with_file", "text/html", append(again, part{"letter", "d.txt", "mere"})...); w.Code != http.StatusUnprocessableEntity {
			t.Errorf("something added to files that were sent: %d", w.Code)
		}
		if n := h.count(t, "enquiry"); n != 1 {
			t.Errorf("%d enquiries", n)
		}
		if n := h.count(t, "file where kept"); n != 1 {
			t.Errorf("%d files are kept", n)
		}
		h.pass(2 * time.Hour)
		if err := h.Files.Sweep(t.Context()); err != nil || h.count(t, "file") != 1 {
			t.Errorf("after the sweep %d files: %v", h.count(t, "file"), err)
		}
		other := h.sendParts(t, "with_file", "text/html", part{"_files", "", "made-up.token"}, part{"email", "", "kanarie@example.dk"})
		if other.Code != http.StatusUnprocessableEntity || !strings.Contains(other.Body.String(), "Vælg en fil.") {
			t.Errorf("a made-up token: %d", other.Code)
		}
	})
}

// The same verdicts behind all doors; and a double submission with files is one case.
func TestFilesOfPrograms(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		good := []part{{"email", "", "kanarie@example.dk"}, {"letter", "a.pdf", pdfFile}}
		for i, status := range []int{http.StatusCreated, http.StatusOK} {
			w := h.sendParts(t, "with_file", "application/json", good...)
			var r Receipt
			if err := json.Unmarshal(w.Body.Bytes(), &r); w.Code != status || err != nil || r.Already != (i == 1) {
				t.Errorf("%d: %d %v %s", i, w.Code, err, w.Body)
			}
		}
		if n := h.count(t, "enquiry"); n != 1 {
			t.Errorf("%d enquiries", n)
		}
		for what, parts := range map[string][]part{
			"a file to a text field":        {{"email", "x.txt", "kanarie@example.dk"}},
			"a file to an undeclared field": append(good, part{"cv", "x.pdf", pdfFile}),
		} {
			if w := h.sendParts(t, "with_file", "application/json", parts...); w.Code != http.StatusUnprocessableEntity && w.Code != http.StatusBadRequest {
				t.Errorf("%s: %d %s", what, w.Code, w.Body)
			}
		}
		w := h.sendParts(t, "with_file", "application/json", part{"email", "", "kanarie@example.dk"}, part{"letter", "a.pdf", "MZ"})
		if w.Code != http.StatusUnprocessableEntity || !strings.Contains(w.Body.String(), `"letter"`) {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		if w := h.post("/_tillid/forms/with_file", "application/x-www-form-urlencoded", url.Values{"email": {"kanarie@example.dk"}, "letter": {"a.pdf"}}.Encode()); w.Code != http.StatusUnprocessableEntity {
			t.Errorf("a name instead of a file: %d", w.Code)
		}
		huge := strings.Repeat("a", 9<<20)
		w = h.sendParts(t, "with_file", "application/json", part{"email", "", "kanarie@example.dk"}, part{"letter", "a.txt", huge}, part{"letter", "b.txt", huge}, part{"letter", "c.txt", huge})
		if w.Code != http.StatusRequestEntityTooLarge {
			t.Errorf("27 MB: %d", w.Code)
		}
		if w := h.sendParts(t, "contact", "text/html", part{"letter", "a.pdf", pdfFile}); w.Code != http.StatusUnprocessableEntity && w.Code != http.StatusBadRequest {
			t.Errorf("a form that takes no files: %d", w.Code)
		}
	})
}
