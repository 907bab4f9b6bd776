package file

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/subject"
	"github.com/tillid/tillid/internal/web"
)

// reader reads a file's content at any place, one opened chunk at a time. What fails
// below it stays in failed, so that it is not mistaken for something wrong with the file.
type reader struct {
	ctx    context.Context //nolint:containedctx // io.ReaderAt has no room for one
	s      *Service
	key    *subject.Key
	id     string
	size   int64
	at     int64 // number of the chunk in memory
	chunk  []byte
	failed error
}

func (s *Service) reader(ctx context.Context, key *subject.Key, f File) *reader {
	return &reader{ctx: ctx, s: s, key: key, id: f.ID, size: f.Size, at: -1}
}

// ReadAt is io.ReaderAt.
func (r *reader) ReadAt(p []byte, off int64) (n int, err error) {
	for n < len(p) && off < r.size {
		if err := r.load(off / ChunkSize); err != nil {
			r.failed = err
			return n, err
		}
		rest := r.chunk[min(off%ChunkSize, int64(len(r.chunk))):]
		if len(rest) == 0 {
			r.failed = fmt.Errorf("file %s is shorter than it was", r.id)
			return n, r.failed
		}
		got := copy(p[n:], rest)
		n, off = n+got, off+int64(got)
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (r *reader) load(n int64) error {
	if n == r.at {
		return nil
	}
	sealed, err := selectChunk(r.ctx, r.s.DB, r.id, n)
	if err != nil {
		return err
	}
	if r.chunk, err = r.key.Open(chunkAt(r.id, n), sealed); err != nil {
		return err
	}
	r.at = n
	return nil
}

// Open returns a file's content. A file that the scanner found something in, or has
// not looked at yet, is not given out.
func (s *Service) Open(ctx context.Context, key *subject.Key, f File) (io.ReadSeeker, error) {
	switch f.Scan {
	case Infected:
		return nil, fault.New(fault.Denied, "The virus scanner found something in this file. It is not given out.").In("file.infected")
	case ScanWaiting:
		return nil, fault.New(fault.Unavailable, "This file has not been scanned for viruses yet.").
			WithHint("Try again in a minute. If this stays, the scanner is down.").In("file.unscanned")
	}
	return io.NewSectionReader(s.reader(ctx, key, f), 0, f.Size), nil
}

// types are the media types of what is taken.
var types = map[string]string{
	"pdf": "application/pdf", "txt": "text/plain; charset=utf-8", "png": "image/png", "jpg": "image/jpeg",
	"docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
	"odt":  "application/vnd.oasis.opendocument.text",
}

// MediaType is the file's type as HTTP names it.
func (f File) MediaType() string { return types[f.Type] }

// Serve gives a file out to be saved.
func (s *Service) Serve(w http.ResponseWriter, r *http.Request, key *subject.Key, f File) error {
	content, err := s.Open(r.Context(), key, f)
	if err != nil {
		return err
	}
	if err := web.Attach(w, r, f.Name, f.MediaType(), f.Size, content); err != nil {
		s.Log.WarnContext(r.Context(), "a file was not sent to its end", "file", f.ID, "err", err)
	}
	return nil
}
