package file

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"io"
	"log/slog"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/db/dbtest"
	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/subject"
)

// store is a house's files on a real database.
type store struct {
	*Service
	now time.Time
}

func newStore(tb testing.TB, dsn func(string) string) *store {
	tb.Helper()
	keys, err := db.Open(tb.Context(), dsn("keys"))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { keys.Close() })
	s := &store{now: time.Date(2026, 11, 25, 10, 0, 0, 0, time.UTC)}
	now := func() time.Time { return s.now }
	k := &subject.Keys{DB: keys, House: "test", KEK: bytes.Repeat([]byte{7}, 32), Now: now}
	if err := k.Migrate(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	s.Service = &Service{DB: dbtest.Open(tb, dsn("house")), Keys: k, Now: now, Log: slog.New(slog.DiscardHandler)}
	return s
}

func each(t *testing.T, f func(t *testing.T, s *store)) {
	t.Helper()
	dbtest.EachDSN(t, func(t *testing.T, dsn func(string) string) { f(t, newStore(t, dsn)) })
}

func (s *store) key(tb testing.TB, record string) *subject.Key {
	tb.Helper()
	keys, err := s.Keys.New(tb.Context(), record)
	if err != nil {
		tb.Fatal(err)
	}
	return keys[0]
}

func (s *store) keep(tb testing.TB, record string, ids ...string) error {
	tb.Helper()
	return s.DB.Do(tb.Context(), func(ctx context.Context, tx *db.Tx) error { return s.Keep(ctx, tx, record, ids) })
}

func (s *store) count(tb testing.TB, table string) (n int) {
	tb.Helper()
	if err := s.DB.QueryRow(tb.Context(), "select count(*) from "+table).Scan(&n); err != nil {
		tb.Fatal(err)
	}
	return n
}

// canary stands in every good file below, and may stand nowhere in the database.
const canary = "Kanariefuglens hemmelige levnedsløb"

func pdf(body string) []byte { return []byte("%PDF-1.7\n" + canary + body + "\n%%EOF\n") }

// entry is a file of an archive.
type entry struct {
	name, content string
	method        uint16
}

func archive(tb testing.TB, entries ...entry) []byte {
	tb.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, e := range entries {
		w, err := z.CreateHeader(&zip.FileHeader{Name: e.name, Method: e.method})
		if err != nil {
			tb.Fatal(err)
		}
		io.WriteString(w, e.content)
	}
	if err := z.Close(); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

func docx(tb testing.TB, more ...entry) []byte {
	return archive(tb, append([]entry{{"[Content_Types].xml", "<Types/>", zip.Deflate}, {"word/document.xml", "<w>" + canary + "</w>", zip.Deflate}}, more...)...)
}

func odt(tb testing.TB, kind string) []byte {
	return archive(tb, entry{"mimetype", kind, zip.Store}, entry{"content.xml", "<o>" + canary + "</o>", zip.Deflate})
}

func picture(tb testing.TB, kind string) []byte {
	tb.Helper()
	m := image.NewGray(image.Rect(0, 0, 8, 8))
	m.Set(1, 1, color.White)
	var b bytes.Buffer
	var err error
	if kind == "png" {
		err = png.Encode(&b, m)
	} else {
		err = jpeg.Encode(&b, m, nil)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

// hugePNG says in its header that it is 100,000 × 100,000.
func hugePNG(tb testing.TB) []byte {
	b := picture(tb, "png")
	binary.BigEndian.PutUint32(b[16:], 100_000)
	binary.BigEndian.PutUint32(b[20:], 100_000)
	return b
}

const odtType = "application/vnd.oasis.opendocument.text"

// What is taken comes back byte for byte, and stands nowhere in the clear.
// Rows: E7.
func TestTakeAndGiveBack(t *testing.T) {
	each(t, func(t *testing.T, s *store) {
		key := s.key(t, "r1")
		long := append(pdf(strings.Repeat(canary, 20_000)), " \n"...) // several chunks
		for name, content := range map[string][]byte{
			"cv.pdf": pdf(""), "lang.pdf": long, "CV.DOCX": docx(t), "brev.odt": odt(t, odtType), "brev.txt": []byte(canary + "\r\n\tæøå"),
			"latin.txt": []byte("K\xe6re l\xe6ser"), "foto.png": picture(t, "png"), "foto.jpeg": picture(t, "jpg"),
		} {
			if _, err := s.Take(t.Context(), key, Upload{Field: "cv", Name: name, Body: iotest.OneByteReader(bytes.NewReader(content[:min(len(content), 300)]))}); err == nil && len(content) > 300 {
				t.Errorf("%s: half a file is taken", name)
			}
			f, err := s.Take(t.Context(), key, Upload{Field: "cv", Name: name, Body: bytes.NewReader(content)})
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if err := s.keep(t, "r1", f.ID); err != nil {
				t.Fatal(err)
			}
			w := httptest.NewRecorder()
			if err := s.Serve(w, httptest.NewRequest("GET", "/", nil), key, f); err != nil || !bytes.Equal(w.Body.Bytes(), content) {
				t.Errorf("%s: %v: %d bytes of %d", name, err, w.Body.Len(), len(content))
			}
			if h := w.Header(); !strings.HasPrefix(h.Get("Content-Disposition"), "attachment") || h.Get("X-Content-Type-Options") != "nosniff" || !strings.HasPrefix(h.Get("Content-Security-Policy"), "sandbox") {
				t.Errorf("%s: %v", name, h)
			}
		}
		s.noCanary(t)
	})
}

// noCanary looks for the content of files in every row, and in SQLite's file.
func (s *store) noCanary(t *testing.T) {
	t.Helper()
	rows, err := s.DB.Query(t.Context(), `select sealed from file_chunk union all select sealed from file`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var b []byte
		if err := rows.Scan(&b); err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(b, []byte(canary)) || bytes.Contains(b, []byte("cv.pdf")) {
			t.Error("a file is in the clear")
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
}

// What is not what it says, or is dangerous to open, is refused and leaves nothing.
func TestRefused(t *testing.T) {
	bomb := strings.Repeat("\x00", 30<<20)
	overlapping := docx(t, entry{"word/a.xml", strings.Repeat("a", 1000), zip.Store})
	stretched := bytes.ReplaceAll(overlapping, le32(1000), le32(1200))
	lying := docx(t)
	binary.LittleEndian.PutUint16(lying[len(lying)-12:], 1) // entries, of two
	many := make([]entry, 3000)
	for i := range many {
		many[i] = entry{fmt.Sprintf("word/%d.xml", i), "x", zip.Store}
	}
	s := newStore(t, func(name string) string { return filepath.Join(t.TempDir(), name) })
	key := s.key(t, "r1")
	for _, test := range []struct {
		what, name string
		content    []byte
		want       string
	}{
		{"a program called PDF", "cv.pdf", []byte("MZ\x90\x00 %PDF-1.4 %%EOF"), "file.false"},
		{"a page called PDF", "cv.pdf", []byte("<html>%%EOF"), "file.false"},
		{"a PDF that begins late", "cv.pdf", append(bytes.Repeat([]byte(" "), 900), pdf("")...), "file.false"},
		{"half a PDF", "cv.pdf", []byte("%PDF-1.7\n1 0 obj"), "file.false"},
		{"a PDF that is an archive too", "cv.pdf", append(pdf(""), archive(t, entry{"a", "b", zip.Store})...), "file.false"},
		{"a picture that is an archive too", "cv.png", append(picture(t, "png"), archive(t, entry{"a", "b", zip.Store})...), "file.false"},
		{"an archive called PDF", "cv.pdf", archive(t, entry{"a", "b", zip.Store}), "file.false"},
		{"an archive called DOCX", "cv.docx", archive(t, entry{"a", "b", zip.Store}), "file.false"},
		{"a bomb", "cv.docx", docx(t, entry{"word/media/b.bin", bomb, zip.Deflate}), "file.packed"},
		{"too many entries", "cv.docx", docx(t, many...), "file.packed"},
		{"an archive within", "cv.docx", docx(t, entry{"word/x.zip", "PK", zip.Store}), "file.packed"},
		{"macros", "cv.docx", docx(t, entry{"word/vbaProject.bin", "x", zip.Store}), "file.packed"},
		{"a way out", "cv.docx", docx(t, entry{"../../x", "x", zip.Store}), "file.packed"},
		{"the same name twice", "cv.docx", docx(t, entry{"word/document.xml", "x", zip.Store}), "file.packed"},
		{"entries that overlap", "cv.docx", stretched, "file.packed"},
		{"a directory that lies", "cv.docx", lying, "file.packed"},
		{"something between directory and end", "cv.docx", insertBeforeEnd(docx(t), "PK\x06\x06 zip64"), "file.packed"},
		{"another document", "cv.odt", odt(t, "application/vnd.oasis.opendocument.sheet"), "file.false"},
		{"a huge picture", "cv.png", hugePNG(t), "file.picture"},
		{"no picture", "cv.jpg", []byte("\xff\xd8\xff\xe0 and no more"), "file.picture"},
		{"binary called text", "cv.txt", []byte("text\x00text"), "file.false"},
		{"a page called text", "cv.txt", []byte("<!doctype html><script>alert(1)</script>"), "file.false"},
		{"a program", "cv.exe", []byte("MZ"), "file.kind"},
		{"a name without ending", "cv", pdf(""), "file.kind"},
		{"a picture of code", "cv.svg", []byte("<svg/>"), "file.kind"},
		{"nothing", "cv.pdf", nil, "file.empty"},
		{"too much", "cv.txt", bytes.Repeat([]byte("a"), MaxSize+1), "file.large"},
	} {
		_, err := s.Take(t.Context(), key, Upload{Name: test.name, Body: bytes.NewReader(test.content)})
		if got := fault.Of(err); got.ID != test.want {
			t.Errorf("%s: %v, want %s", test.what, err, test.want)
		}
	}
	if _, err := s.Take(t.Context(), key, Upload{Name: "cv.png", Accept: []string{"pdf"}, Body: bytes.NewReader(picture(t, "png"))}); fault.Of(err).ID != "file.kind" {
		t.Errorf("a kind that the field does not take: %v", err)
	}
	if _, err := s.Take(t.Context(), key, Upload{Name: "cv.txt", Limit: 10, Body: strings.NewReader("elleve bogstaver")}); fault.Of(err).ID != "file.large" {
		t.Errorf("more than the field takes: %v", err)
	}
	if n, m := s.count(t, "file"), s.count(t, "file_chunk"); n+m != 0 {
		t.Errorf("refused files left %d rows and %d chunks", n, m)
	}
}

func le32(n uint32) []byte { return binary.LittleEndian.AppendUint32(nil, n) }

func insertBeforeEnd(b []byte, s string) []byte {
	i := len(b) - endingSize
	return append(append(bytes.Clone(b[:i]), s...), b[i:]...)
}

// A PDF that would run something is taken, and marked; names that only begin alike are not.
func TestActive(t *testing.T) {
	s := newStore(t, func(name string) string { return filepath.Join(t.TempDir(), name) })
	key := s.key(t, "r1")
	across := strings.Repeat(" ", ChunkSize-len("%PDF-1.7\n")-len(canary)-5) + "/OpenAction 1 0 R"
	for body, want := range map[string]bool{"": false, "/JS (x)": true, "/JavaScript<<": true, "/JSomething": false, "/AAPL:Keywords": false, "/AA<<": true, across: true} {
		f, err := s.Take(t.Context(), key, Upload{Name: "a.pdf", Body: bytes.NewReader(pdf(body))})
		if err != nil || f.Active != want {
			t.Errorf("%.20q: %v %v", strings.TrimSpace(body), f.Active, err)
		}
	}
}

// Names are shown and become file names: nothing in them may lead elsewhere or look
// like something else.
func TestNames(t *testing.T) {
	for given, want := range map[string]string{
		"cv.pdf": "cv.pdf", `C:\fakepath\cv.pdf`: "cv.pdf", "../../etc/passwd.txt": "passwd.txt", "con.pdf": "file.pdf", ".pdf": "file.pdf",
		"cv\u202efdp.exe": "cvfdp.exe", "a\r\nb\".pdf": "ab.pdf", strings.Repeat("æ", 4096) + ".pdf": strings.Repeat("æ", maxStem) + ".pdf", "": "file", "\xff\xfe.txt": "file.txt",
	} {
		if got := displayName(given); got != want {
			t.Errorf("%.30q: %q, want %q", given, got, want)
		}
	}
}

// A file that nobody kept goes after an hour, and its key is then nobody's; one that was
// kept stays until its record goes. Of another record's file nothing can be kept.
func TestSweepAndDrop(t *testing.T) {
	each(t, func(t *testing.T, s *store) {
		ctx := t.Context()
		key, other := s.key(t, "r1"), s.key(t, "r2")
		take := func(k *subject.Key) File {
			f, err := s.Take(ctx, k, Upload{Name: "a.pdf", Body: bytes.NewReader(pdf(""))})
			if err != nil {
				t.Fatal(err)
			}
			return f
		}
		left, kept := take(key), take(other)
		if err := s.keep(t, "r1", kept.ID); fault.Of(err).Kind != fault.Gone {
			t.Errorf("another record's file is kept: %v", err)
		}
		if err := s.keep(t, "r2", kept.ID); err != nil {
			t.Fatal(err)
		}
		s.now = s.now.Add(59 * time.Minute)
		claims := func() string {
			ids, err := s.Claim(ctx, s.DB, []string{"r1", "r2", "r3"})
			if err != nil {
				t.Fatal(err)
			}
			return strings.Join(ids, " ")
		}
		if err := s.Sweep(ctx); err != nil || s.count(t, "file") != 2 || !strings.Contains(claims(), "r1") {
			t.Fatalf("too early: %v", err)
		}
		s.now = s.now.Add(2 * time.Minute)
		if err := s.Sweep(ctx); err != nil || s.count(t, "file") != 1 || claims() != "r2" {
			t.Errorf("not swept: %v", err)
		}
		if err := s.keep(t, "r1", left.ID); fault.Of(err).Kind != fault.Gone {
			t.Errorf("a swept file is kept: %v", err)
		}
		err := s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error {
			files, chunks, err := s.DropFor(ctx, tx, "r2")
			if files != 1 || chunks != 1 {
				t.Errorf("%d files, %d chunks", files, chunks)
			}
			return err
		})
		if err != nil || s.count(t, "file")+s.count(t, "file_chunk") != 0 {
			t.Errorf("left after its record: %v", err)
		}
	})
}

// A sender that breaks off leaves nothing, and the error is not the file's fault.
func TestBreaksOff(t *testing.T) {
	s := newStore(t, func(name string) string { return filepath.Join(t.TempDir(), name) })
	broken := errors.New("connection reset")
	body := io.MultiReader(bytes.NewReader(pdf(strings.Repeat("x", 3*ChunkSize))[:2*ChunkSize]), iotest.ErrReader(broken))
	if _, err := s.Take(t.Context(), s.key(t, "r1"), Upload{Name: "a.pdf", Body: body}); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
	if s.count(t, "file")+s.count(t, "file_chunk") != 0 {
		t.Error("half a file is left")
	}
}

// Content that was altered, or moved to another file, is not given out.
func TestAltered(t *testing.T) {
	each(t, func(t *testing.T, s *store) {
		key := s.key(t, "r1")
		var files []File
		for range 2 {
			f, err := s.Take(t.Context(), key, Upload{Name: "a.pdf", Body: bytes.NewReader(pdf(""))})
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, f)
		}
		err := s.DB.Do(t.Context(), func(ctx context.Context, tx *db.Tx) error {
			_, err := tx.Exec(ctx, `update file_chunk set sealed = (select sealed from file_chunk where file = $1) where file = $2`, files[0].ID, files[1].ID)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		r, err := s.Open(t.Context(), key, files[1])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(r); err == nil {
			t.Error("another file's content is given out")
		}
	})
}

// Whatever is called a document is refused or harmless, and nothing is unpacked to see.
func FuzzDocument(f *testing.F) {
	f.Add(docx(f))
	f.Add(odt(f, odtType))
	f.Fuzz(func(t *testing.T, b []byte) {
		checkDocument(bytes.NewReader(b), int64(len(b)), "docx")
	})
}
