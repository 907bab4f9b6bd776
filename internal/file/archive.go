package file

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"path"
	"slices"
	"strings"
)

// What the directory of a document may say. Nothing is unpacked to find out.
const (
	maxEntries   = 2_000
	maxDirectory = 512 << 10
	maxUnpacked  = 100 << 20
	maxRatio     = 100
	smallEntry   = 64 << 10 // below it, a ratio says nothing
)

// ending is the record that ends a ZIP archive (APPNOTE 4.3.16).
type ending struct {
	entries         int
	directory, from int64 // bytes of the directory, and where it begins
	at              int64 // where the record itself is
}

const endingSize = 22

// endOf finds the record that ends an archive: its comment must reach exactly to the end.
func endOf(content io.ReaderAt, size int64) (ending, bool) {
	tail := make([]byte, min(size, endingSize+1<<16-1))
	start := size - int64(len(tail))
	if n, err := content.ReadAt(tail, start); err != nil && (!errors.Is(err, io.EOF) || n != len(tail)) {
		return ending{}, false
	}
	for i := len(tail) - endingSize; i >= 0; i-- {
		b := tail[i:]
		if !bytes.HasPrefix(b, []byte("PK\x05\x06")) || int(binary.LittleEndian.Uint16(b[20:])) != len(b)-endingSize {
			continue
		}
		return ending{
			entries: int(binary.LittleEndian.Uint16(b[10:])), directory: int64(binary.LittleEndian.Uint32(b[12:])),
			from: int64(binary.LittleEndian.Uint32(b[16:])), at: start + int64(i),
		}, true
	}
	return ending{}, false
}

func isArchive(content io.ReaderAt, size int64) bool {
	_, ok := endOf(content, size)
	return ok
}

// checkDocument refuses a document whose directory lies, overlaps, holds archives or
// macros, or would unpack to too much.
func checkDocument(content io.ReaderAt, size int64, kind string) error {
	end, ok := endOf(content, size)
	if !ok {
		return errFalse
	}
	// Exactly in front of the ending, so that nothing (a zip64 record, another archive)
	// stands between, and the size bounds what reading it can cost.
	if end.entries > maxEntries || end.directory > maxDirectory || end.from+end.directory != end.at {
		return errPacked
	}
	archive, err := zip.NewReader(io.NewSectionReader(content, 0, size), size)
	if err != nil || len(archive.File) != end.entries {
		return errPacked
	}
	if err := checkEntries(archive.File, end.from); err != nil {
		return err
	}
	return checkKind(archive, kind)
}

// span is where an entry lies in the file.
type span struct{ from, to int64 }

func checkEntries(entries []*zip.File, directory int64) error {
	var spans []span
	var unpacked uint64
	seen := map[string]bool{}
	for _, e := range entries {
		from, err := e.DataOffset()
		if err != nil || seen[e.Name] || !harmless(e) {
			return errPacked
		}
		seen[e.Name] = true
		if unpacked += e.UncompressedSize64; unpacked > maxUnpacked {
			return errPacked
		}
		spans = append(spans, span{from, from + int64(e.CompressedSize64)})
		if e.CompressedSize64 > uint64(directory) {
			return errPacked
		}
	}
	slices.SortFunc(spans, func(a, b span) int { return int(a.from - b.from) })
	last := int64(0)
	for _, s := range spans {
		if s.from < last || s.to > directory {
			return errPacked
		}
		last = s.to
	}
	return nil
}

// harmless judges one entry by its name and sizes.
func harmless(e *zip.File) bool {
	name := strings.ToLower(e.Name)
	switch {
	case strings.Contains(name, `\`), strings.HasPrefix(name, "/"), slices.Contains(strings.Split(name, "/"), ".."), e.Flags&1 != 0:
		return false
	case path.Base(name) == "vbaproject.bin", slices.Contains(nested, path.Ext(name)):
		return false
	case e.Method != zip.Store && e.Method != zip.Deflate:
		return false
	}
	return e.UncompressedSize64 <= smallEntry || e.UncompressedSize64 <= maxRatio*e.CompressedSize64
}

// nested are archives and documents with archives or macros in them.
var nested = []string{".zip", ".7z", ".rar", ".gz", ".tgz", ".tar", ".bz2", ".xz", ".jar", ".iso", ".cab", ".docm", ".docx", ".xlsx", ".xlsm", ".pptx", ".exe", ".dll", ".js", ".vbs", ".scr"}

// checkKind holds an archive to be the document that its name says.
func checkKind(archive *zip.Reader, kind string) error {
	has := func(name string) bool {
		return slices.ContainsFunc(archive.File, func(e *zip.File) bool { return e.Name == name })
	}
	if kind == "docx" {
		if !has("[Content_Types].xml") || !has("word/document.xml") {
			return errFalse
		}
		return nil
	}
	first := archive.File
	const media = "application/vnd.oasis.opendocument.text"
	if len(first) == 0 || first[0].Name != "mimetype" || first[0].Method != zip.Store || first[0].UncompressedSize64 != uint64(len(media)) || !has("content.xml") {
		return errFalse
	}
	r, err := first[0].Open()
	if err != nil {
		return errFalse
	}
	defer r.Close()
	said, err := io.ReadAll(io.LimitReader(r, int64(len(media))+1))
	if err != nil || string(said) != media {
		return errFalse
	}
	return nil
}
