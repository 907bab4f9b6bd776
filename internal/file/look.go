package file

import (
	"bytes"
	"image"
	_ "image/jpeg" // for image.DecodeConfig
	_ "image/png"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/tillid/tillid/internal/fault"
)

// look decides what a file is while it streams by: its name's ending, its first bytes
// and its structure must all say the same, and it must be nothing else beside. It reads
// directories and headers, never content.
type look struct {
	kind   string // by the name's ending
	active bool
	tail   []byte // the end of the chunk before, for what stands across two
}

var errKind = fault.New(fault.Invalid, "This kind of file is not taken.").In("file.kind")

// Refusals of what pretends to be another kind, or is dangerous to open.
var (
	errFalse = fault.New(fault.Invalid, "The file is not what its name says.").
			WithHint("Save it again as a PDF, and send that.").In("file.false")
	errPacked = fault.New(fault.Invalid, "The document is packed in a way that is not safe to open.").
			WithHint("Save it again as a PDF, and send that.").In("file.packed")
	errPicture = fault.New(fault.Invalid, "The picture is larger than 40 megapixels, or damaged.").
			WithHint("Save it smaller.").In("file.picture")
	errEmpty = fault.New(fault.Invalid, "The file is empty.").In("file.empty")
)

func newLook(name string, accept []string) *look {
	kind := strings.ToLower(strings.TrimPrefix(extension(name), "."))
	if kind == "jpeg" {
		kind = "jpg"
	}
	if types[kind] == "" || len(accept) > 0 && !slices.Contains(accept, kind) {
		kind = ""
	}
	return &look{kind: kind}
}

// magic is how a file of a kind begins.
var magic = map[string]string{
	"pdf": "%PDF-1", "docx": "PK\x03\x04", "odt": "PK\x03\x04", "png": "\x89PNG\r\n\x1a\n", "jpg": "\xff\xd8\xff",
}

// activeTokens are what makes a PDF do something when it is opened.
var activeTokens = [][]byte{
	[]byte("/JavaScript"), []byte("/JS"), []byte("/Launch"), []byte("/EmbeddedFile"), []byte("/RichMedia"),
	[]byte("/AA"), []byte("/OpenAction"), []byte("/XFA"), []byte("/Encrypt"),
}

const longestToken = 16

// chunk looks at the next part of the content.
func (l *look) chunk(b []byte, first bool) error {
	if l.kind == "" {
		return errKind
	}
	if first && !bytes.HasPrefix(b, []byte(magic[l.kind])) && (l.kind != "pdf" || !bytes.HasPrefix(b, []byte("%PDF-2"))) {
		return errFalse
	}
	switch l.kind {
	case "pdf":
		joined := append(l.tail, b...)
		l.active = l.active || slices.ContainsFunc(activeTokens, func(t []byte) bool { return hasToken(joined, t) })
		l.tail = bytes.Clone(b[max(0, len(b)-longestToken):])
	case "txt":
		if first && !strings.HasPrefix(http.DetectContentType(b), "text/plain") {
			return errFalse
		}
		if !plain(b) {
			return errFalse
		}
	}
	return nil
}

// hasToken reports whether a PDF name stands in b as a whole.
func hasToken(b, token []byte) bool {
	for {
		i := bytes.Index(b, token)
		if i < 0 {
			return false
		}
		b = b[i+len(token):]
		if len(b) == 0 || !isNameByte(b[0]) {
			return true
		}
	}
}

func isNameByte(c byte) bool {
	return c > ' ' && c < 0x7f && !strings.ContainsRune("()<>[]{}/%", rune(c))
}

// plain holds text to be text: no control characters but those of lines and columns.
func plain(b []byte) bool {
	for _, c := range b {
		if c < ' ' && c != '\t' && c != '\n' && c != '\r' && c != '\f' || c == 0x7f {
			return false
		}
	}
	return true
}

// finish looks at the whole: the end, the directory, the header.
func (l *look) finish(content *reader, size int64) error {
	if size == 0 {
		return errEmpty
	}
	switch l.kind {
	case "docx", "odt":
		return checkDocument(content, size, l.kind)
	case "png", "jpg":
		c, format, err := image.DecodeConfig(io.NewSectionReader(content, 0, size))
		if err != nil || map[string]string{"png": "png", "jpg": "jpeg"}[l.kind] != format || c.Width <= 0 || c.Height <= 0 || c.Width*c.Height > maxPixels {
			return errPicture
		}
	case "pdf":
		if !endsWith(content, size, "%%EOF") {
			return errFalse
		}
	}
	if isArchive(content, size) {
		return errFalse // one file that is two
	}
	return nil
}

const (
	maxPixels = 40_000_000
	endWindow = 4 << 10 // programs leave line ends and more behind the last word of a PDF
)

func endsWith(content io.ReaderAt, size int64, word string) bool {
	b := make([]byte, min(size, endWindow))
	if _, err := content.ReadAt(b, size-int64(len(b))); err != nil && err != io.EOF {
		return false
	}
	return bytes.Contains(b, []byte(word))
}

// Kinds lists the kinds of files that are taken, the most usual first.
func Kinds() []string { return []string{"pdf", "docx", "odt", "txt", "png", "jpg"} }
