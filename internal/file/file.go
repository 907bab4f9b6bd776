// Package file keeps what people upload: sealed chunks in the database, under the
// key of the record that a file belongs to. Nothing is ever written in the clear, and
// nothing is parsed beyond what tells a file's type: no PDF, Office document or picture
// is opened here.
//
// A file arrives before its record is stored. Until Keep it belongs to nobody, and is
// swept after an hour.
package file

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"log/slog"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/job"
	"github.com/tillid/tillid/internal/subject"
)

// Limits of what one request may upload. A field may allow less.
const (
	MaxSize    = 10 << 20 // bytes of one file
	MaxFiles   = 3        // of one field
	MaxRequest = 20 << 20 // bytes of all files of a request
)

// ChunkSize is how much of a file is in memory, and in one sealed chunk.
const ChunkSize = 128 << 10

// arrivalKept is how long a file waits for its record.
const arrivalKept = time.Hour

// State of a file's virus scan.
const (
	ScanNone    = "none"     // nothing scans here
	ScanWaiting = "waiting"  // not yet: it cannot be fetched
	ScanClean   = "clean"    // nothing was found
	Infected    = "infected" // it is never given out
)

// Service keeps a house's files.
type Service struct {
	DB      *db.DB
	Keys    *subject.Keys
	Now     func() time.Time
	Log     *slog.Logger
	Scanner *Clamd // nil: files are not scanned
}

// Upload is a file as it arrives.
type Upload struct {
	Field  string   // which input of a form it was sent as
	Name   string   // as the sender's computer calls it
	Accept []string // types that are taken: pdf, docx, odt, txt, png, jpg; all when empty
	Limit  int64    // bytes; MaxSize when 0
	Body   io.Reader
}

// File is a file that is held.
type File struct {
	ID       string
	Record   string
	Type     string // pdf, docx, odt, txt, png, jpg
	Size     int64
	Scan     string
	Active   bool // a PDF that asks the reader to run something
	Received time.Time
	Label
}

// Label is what of a file is sealed beside its content.
type Label struct {
	Field  string `json:"field"`  // which input of a form it was sent as
	Name   string `json:"name"`   // fit to be shown and to be a file name
	Digest string `json:"sha256"` // of the content, hexadecimal
}

// Take stores a file under the key of the record it will belong to. What is refused
// (a fault of kind Invalid or TooLarge) leaves nothing behind.
func (s *Service) Take(ctx context.Context, key *subject.Key, in Upload) (File, error) {
	f := File{ID: db.NewID(), Record: key.Record, Received: s.Now(), Scan: ScanNone}
	f.Field, f.Name = in.Field, displayName(in.Name)
	if s.Scanner != nil {
		f.Scan = ScanWaiting
	}
	if in.Limit <= 0 || in.Limit > MaxSize {
		in.Limit = MaxSize
	}
	if err := s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error { return insert(ctx, tx, f, nil) }); err != nil {
		return File{}, err
	}
	err := s.fill(ctx, key, &f, in)
	if err != nil {
		return File{}, errors.Join(err, s.Drop(context.WithoutCancel(ctx), f.ID))
	}
	return f, nil
}

// fill streams the content into chunks and decides what it is.
func (s *Service) fill(ctx context.Context, key *subject.Key, f *File, in Upload) error {
	digest := sha256.New()
	look := newLook(f.Name, in.Accept)
	if err := s.stream(ctx, key, f, in, digest, look); err != nil {
		return err
	}
	f.Digest = hex.EncodeToString(digest.Sum(nil))
	content := s.reader(ctx, key, *f)
	if err := look.finish(content, f.Size); err != nil {
		return err
	}
	if content.failed != nil {
		return content.failed
	}
	f.Type, f.Active = look.kind, look.active
	sealed, err := sealLabel(key, *f)
	if err != nil {
		return err
	}
	return s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error { return complete(ctx, tx, *f, sealed) })
}

func (s *Service) stream(ctx context.Context, key *subject.Key, f *File, in Upload, digest hash.Hash, look *look) error {
	buffer := make([]byte, ChunkSize)
	for n := int64(0); ; n++ {
		got, err := io.ReadFull(in.Body, buffer)
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return err
		}
		if f.Size += int64(got); f.Size > in.Limit {
			return errLarge(in.Limit)
		}
		if got > 0 {
			if err := look.chunk(buffer[:got], n == 0); err != nil {
				return err
			}
			digest.Write(buffer[:got])
			sealed := key.Seal(chunkAt(f.ID, n), buffer[:got])
			if err := s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error { return insertChunk(ctx, tx, f.ID, n, sealed) }); err != nil {
				return err
			}
		}
		if err != nil {
			return nil
		}
	}
}

func errLarge(limit int64) *fault.Error {
	return fault.New(fault.TooLarge, "The file is larger than %d MB.", limit>>20).
		WithHint("Save it smaller, for example as a PDF without pictures.").In("file.large", "Max", limit>>20)
}

func chunkAt(id string, n int64) subject.Place {
	return subject.Place{Table: "file_chunk", Row: fmt.Sprintf("%s/%d", id, n), Column: "sealed"}
}

func labelAt(id string) subject.Place { return subject.Place{Table: "file", Row: id, Column: "sealed"} }

func sealLabel(key *subject.Key, f File) ([]byte, error) {
	plain, err := json.Marshal(f.Label)
	if err != nil {
		return nil, fmt.Errorf("write label: %w", err)
	}
	return key.Seal(labelAt(f.ID), plain), nil
}

// displayName makes the name that a sender gave fit to be shown and to be saved: its
// last element, without control and direction marks, of bounded length.
func displayName(name string) string {
	name = name[strings.LastIndexAny(name, `/\`)+1:]
	name = strings.ToValidUTF8(name, "")
	name = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) || strings.ContainsRune(`"<>:|?*%`, r) {
			return -1
		}
		return r
	}, name)
	name = strings.TrimRight(name, " .")
	ext := extension(name)
	stem := strings.TrimLeft(strings.TrimSuffix(name, ext), " .")
	for utf8.RuneCountInString(stem) > maxStem {
		_, size := utf8.DecodeLastRuneInString(stem)
		stem = stem[:len(stem)-size]
	}
	if stem == "" || reserved[strings.ToLower(stem)] {
		stem = "file"
	}
	return stem + ext
}

const maxStem = 80

// reserved are names that Windows takes for devices.
var reserved = map[string]bool{"con": true, "prn": true, "aux": true, "nul": true, "com1": true, "com2": true, "com3": true, "com4": true, "lpt1": true, "lpt2": true, "lpt3": true}

// extension is a short ending with its dot, or "".
func extension(name string) string {
	i := strings.LastIndexByte(name, '.')
	if i < 0 || len(name)-i > 6 {
		return ""
	}
	return name[i:]
}

// Keep makes the files stay that were taken for a record, in the transaction that
// stores the record. It refuses when one of them is not there any more.
func (s *Service) Keep(ctx context.Context, tx *db.Tx, record string, ids []string) error {
	for _, id := range ids {
		n, err := keep(ctx, tx, record, id)
		if err != nil {
			return err
		}
		if n == 0 {
			return fault.New(fault.Gone, "A file was sent too long ago and has been deleted.").
				WithHint("Choose it again, and send the form.").In("file.gone")
		}
		if s.Scanner != nil {
			if err := job.Add(ctx, tx, scanJob, scanTask{File: id, Record: record}, s.Now(), scanJob+":"+id); err != nil {
				return err
			}
		}
	}
	return nil
}

// Of returns the files of a record, opened with its key, in the order they arrived.
func (s *Service) Of(ctx context.Context, q db.Queryer, key *subject.Key) ([]File, error) {
	rows, err := selectFiles(ctx, q, key.Record)
	if err != nil {
		return nil, err
	}
	files := make([]File, 0, len(rows))
	for _, r := range rows {
		plain, err := key.Open(labelAt(r.ID), r.sealed)
		if err != nil {
			return nil, fmt.Errorf("open file %s: %w", r.ID, err)
		}
		if err := json.Unmarshal(plain, &r.Label); err != nil {
			return nil, fmt.Errorf("read label of file %s: %w", r.ID, err)
		}
		files = append(files, r.File)
	}
	return files, nil
}

// Find returns one file of a record; a fault of kind NotFound when it has none such.
func (s *Service) Find(ctx context.Context, q db.Queryer, key *subject.Key, id string) (File, error) {
	files, err := s.Of(ctx, q, key)
	if err != nil {
		return File{}, err
	}
	for _, f := range files {
		if f.ID == id {
			return f, nil
		}
	}
	return File{}, fault.New(fault.NotFound, "There is no such file.").In("file.none")
}

// Drop removes a file that was not kept.
func (s *Service) Drop(ctx context.Context, id string) error {
	return s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error { return dropArrived(ctx, tx, id) })
}

// DropFor removes all files of a record, in the transaction that erases it, and
// counts rows.
func (s *Service) DropFor(ctx context.Context, tx *db.Tx, record string) (files, chunks int, err error) {
	return dropFor(ctx, tx, record)
}

// Periodic is the sweep of files whose record never came.
func (s *Service) Periodic() []job.Periodic {
	return []job.Periodic{{Name: "file.sweep", Every: 15 * time.Minute, Run: s.Sweep}}
}

// Sweep removes what arrived more than an hour ago and was not kept. Its key is then
// nobody's, and goes with subject's sweep.
func (s *Service) Sweep(ctx context.Context) error {
	for {
		ids, err := arrivedBefore(ctx, s.DB, s.Now().Add(-arrivalKept))
		if err != nil || len(ids) == 0 {
			return err
		}
		for _, id := range ids {
			if err := s.Drop(ctx, id); err != nil {
				return err
			}
		}
	}
}

// Claim returns which of the ids are those of records whose files have arrived: their
// keys are in use (subject.Service.Claims).
func (s *Service) Claim(ctx context.Context, q db.Queryer, keys []string) ([]string, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	return claimed(ctx, q, keys)
}

// Tables lists the tables of files.
func (s *Service) Tables() []subject.Table {
	return []subject.Table{
		{Name: "file", Fields: map[string]string{"record": "the record it belongs to", "sealed": "sealed name and digest", "type": "what it is", "scan": "what the virus scanner said"}},
		{Name: "file_chunk", Fields: map[string]string{"sealed": "sealed content"}},
	}
}
