package request

import (
	"archive/zip"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"

	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/subject"
	"github.com/tillid/tillid/internal/text"
	"github.com/tillid/tillid/internal/web"
)

// fileZIP is everything at once: the page, the same as JSON, and the files as they came.
func (s *Service) fileZIP(w http.ResponseWriter, r *http.Request) error {
	persons, ok := s.need(w, r)
	if !ok {
		return nil
	}
	page, err := s.dataPage(r, persons)
	if err != nil {
		return err
	}
	page.ZIP = true
	html, err := s.filePage(page)
	if err != nil {
		return err
	}
	data, err := packJSON(page.Pack)
	if err != nil {
		return err
	}
	s.attachment(w, "application/zip", "zip")
	out := zip.NewWriter(w)
	err = errors.Join(s.entry(out, "my-data.html", html), s.entry(out, "my-data.json", data))
	for _, record := range page.Pack.Records {
		for _, f := range record.Files {
			err = errors.Join(err, s.packed(r.Context(), out, record.ID, f, page.Lang))
		}
	}
	if err = errors.Join(err, out.Close()); err != nil {
		s.Log.WarnContext(r.Context(), "a copy of somebody's data was not sent to its end", "err", err)
		panic(http.ErrAbortHandler) // half a file must not look like a whole one
	}
	return nil
}

func (s *Service) entry(out *zip.Writer, name string, content []byte) error {
	f, err := out.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: s.Now().UTC()})
	if err == nil {
		_, err = f.Write(content)
	}
	return err
}

// packed writes a file into the ZIP file, or why it is not given out.
func (s *Service) packed(ctx context.Context, out *zip.Writer, record string, f PackFile, l text.Lang) error {
	content, err := s.content(ctx, record, f.id)
	if k := fault.Of(err).Kind; err != nil && (k == fault.Denied || k == fault.Unavailable) {
		why, _ := web.Say(l, err)
		return s.entry(out, f.Path+".txt", []byte(why+"\r\n"))
	}
	if err != nil {
		return err
	}
	to, err := out.CreateHeader(&zip.FileHeader{Name: f.Path, Method: zip.Deflate, Modified: s.Now().UTC()})
	if err == nil {
		_, err = io.Copy(to, content)
	}
	return err
}

func (s *Service) content(ctx context.Context, record, file string) (io.ReadSeeker, error) {
	r, err := s.Subjects.Get(ctx, s.DB, record)
	if err != nil {
		return nil, err
	}
	h, ok := s.holderOf(r.Holder).(subject.Filer)
	if !ok {
		return nil, errNoFile()
	}
	return h.File(ctx, r, file)
}

func errNoFile() error {
	return fault.New(fault.NotFound, "There is no such file.").In("file.none")
}

// getFile gives one of a person's own files back to them.
func (s *Service) getFile(w http.ResponseWriter, r *http.Request) error {
	persons, ok := s.need(w, r)
	if !ok {
		return nil
	}
	record, err := s.Subjects.Get(r.Context(), s.DB, r.PathValue("record"))
	if err != nil {
		return err
	}
	if !owns(persons, record) {
		return errNoFile()
	}
	h := s.holderOf(record.Holder)
	shown, err := h.Show(r.Context(), s.DB, record, s.House.Public(r).Lang)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(shown.Files, func(f subject.ShownFile) bool { return f.ID == r.PathValue("file") })
	if i < 0 {
		return errNoFile()
	}
	f := shown.Files[i]
	content, err := s.content(r.Context(), record.ID, f.ID)
	if err != nil {
		return err
	}
	if err := web.Attach(w, r, f.Name, f.MediaType, f.Size, content); err != nil {
		s.Log.WarnContext(r.Context(), "a file was not sent to its end", "file", f.ID, "err", err)
	}
	return nil
}
