package intake

import (
	"context"
	"crypto/hmac"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/file"
	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/subject"
)

// Files of a form are stored while they arrive, before anything else of it is known:
// under the key of the record that the submission will be. What is wrong with the form
// does not lose them: the page that is shown again names that record in filesField.

const (
	filesField = "_files"
	dropField  = "_drop." // and a file's id: it is not to be sent after all
)

// uploads are the files of one request.
type uploads struct {
	s      *Service
	ctx    context.Context //nolint:containedctx // of the request that they arrive with
	form   *policy.Form
	key    *subject.Key // nil until the first file
	files  []file.File
	wrong  []mistake
	wanted int  // files of this request
	gone   bool // the files have become a submission: nothing is added to them
}

// uploadPause is how long a request with files may send nothing, and uploadTime how
// long it may take. Others have 30 seconds for all of it.
const (
	uploadPause = 15 * time.Second
	uploadTime  = 10 * time.Minute
)

// patient lets a request with files take its time, as long as something arrives.
func patient(w http.ResponseWriter, r *http.Request) {
	c := http.NewResponseController(w)
	until := time.Now().Add(uploadTime)        //nolint:forbidigo // a connection keeps the machine's time
	c.SetWriteDeadline(until.Add(time.Minute)) //nolint:errcheck // a connection that cannot keeps the server's own limits
	r.Body = patientBody{r.Body, func() {
		next := time.Now().Add(uploadPause) //nolint:forbidigo // as above
		if next.After(until) {
			next = until
		}
		c.SetReadDeadline(next) //nolint:errcheck // as above
	}}
}

type patientBody struct {
	io.ReadCloser
	extend func()
}

func (b patientBody) Read(p []byte) (int, error) {
	b.extend()
	return b.ReadCloser.Read(p)
}

func takesFiles(form *policy.Form) bool {
	return slices.ContainsFunc(form.Fields, ofType("file"))
}

func fileField(form *policy.Form, name string) *policy.Field {
	return fieldWhere(form, func(f policy.Field) bool { return f.Type == "file" && f.Name == name })
}

// maxFiles is how many files a field takes.
func maxFiles(f policy.Field) int {
	if f.MaxFiles > 0 && f.MaxFiles < file.MaxFiles {
		return f.MaxFiles
	}
	return file.MaxFiles
}

// take is takeFile: it stores a file, or notes why not. What is wrong with a file does
// not end the request: the form is shown again with all that is.
func (u *uploads) take(values map[string]string, field, name string, content io.Reader) error {
	f := fileField(u.form, field)
	if f == nil {
		return noFile(values, field, name, content)
	}
	first := make([]byte, 1)
	if n, err := io.ReadFull(content, first); n == 0 {
		if name == "" || errors.Is(err, io.EOF) {
			return u.empty(*f, name, err)
		}
		return readError(err)
	}
	if err := u.begin(values); err != nil {
		return err
	}
	err := u.store(*f, name, io.MultiReader(strings.NewReader(string(first)), content))
	refused := fault.Of(err)
	if err == nil || !strings.HasPrefix(refused.ID, "file.") {
		return err
	}
	u.wrong = append(u.wrong, mistake{Field: f.Name, Fault: refused})
	if _, err := io.Copy(io.Discard, content); err != nil {
		return readError(err)
	}
	return nil
}

// empty is a file input without a file, or a file without content.
func (u *uploads) empty(f policy.Field, name string, err error) error {
	if !errors.Is(err, io.EOF) {
		return readError(err)
	}
	if name != "" {
		u.wrong = append(u.wrong, mistake{Field: f.Name, ID: "empty_file"})
	}
	return nil
}

func (u *uploads) store(f policy.Field, name string, content io.Reader) error {
	if u.gone {
		return errSent
	}
	u.wanted++
	if u.count(f.Name) >= maxFiles(f) || u.wanted > 2*file.MaxFiles {
		return fault.New(fault.Invalid, "At most %d files.", maxFiles(f)).In("file.many", "Count", maxFiles(f))
	}
	got, err := u.s.Files.Take(u.ctx, u.key, file.Upload{Field: f.Name, Name: name, Accept: f.Accept, Limit: int64(f.MaxSize), Body: content})
	if err != nil {
		return err
	}
	u.files = append(u.files, got)
	return nil
}

func (u *uploads) count(field string) (n int) {
	for _, f := range u.files {
		if f.Field == field {
			n++
		}
	}
	return n
}

// begin makes the record's key, or finds that of the rendering before.
func (u *uploads) begin(values map[string]string) error {
	if u.key != nil {
		return nil
	}
	if err := u.again(values); err != nil || u.key != nil {
		return err
	}
	keys, err := u.s.Subjects.Keys.New(u.ctx, db.NewID())
	if err != nil {
		return err
	}
	u.key = keys[0]
	return nil
}

// errSent is the answer to a form that wants to send something else with files that
// have been sent already.
var errSent = fault.New(fault.Conflict, "These files have been sent already.").
	WithHint("Open the form again, and choose them again.").In("file.sent")

// again finds the files that a form which is shown again has already; none when they
// are gone.
func (u *uploads) again(values map[string]string) error {
	record, ok := u.s.readFiles(u.form.ID, values[filesField])
	if !ok || u.key != nil {
		return nil
	}
	if _, err := u.s.Subjects.Get(u.ctx, u.s.DB, record); err == nil {
		u.gone = true // it may be the same submission again
	}
	key, err := u.s.Subjects.Keys.Get(u.ctx, record)
	if fault.Of(err).Kind == fault.Gone {
		return nil
	}
	if err != nil {
		return err
	}
	files, err := u.s.Files.Of(u.ctx, u.s.DB, key)
	if err != nil {
		return err
	}
	u.key = key
	for _, f := range files {
		if values[dropField+f.ID] != "" { // one that was kept stays, and belongs to what was sent
			if err := u.s.Files.Drop(u.ctx, f.ID); err != nil {
				return err
			}
			continue
		}
		if fileField(u.form, f.Field) != nil {
			u.files = append(u.files, f)
		}
	}
	return nil
}

// check says what is wrong with a file field.
func (u *uploads) check(f policy.Field) (wrong []mistake) {
	for _, m := range u.wrong {
		if m.Field == f.Name {
			wrong = append(wrong, m)
		}
	}
	if len(wrong) == 0 && f.Required && u.count(f.Name) == 0 {
		wrong = append(wrong, mistake{Field: f.Name, ID: "missing_file"})
	}
	return wrong
}

// token names the record whose files have arrived; "" when there are none.
func (u *uploads) token() string {
	if u.key == nil || len(u.files) == 0 {
		return ""
	}
	return u.s.filesToken(u.form.ID, u.key.Record)
}

const forFiles = "files"

func (s *Service) filesToken(form, record string) string {
	return record + "." + encoding.EncodeToString(s.mac(forFiles, form, record)[:16])
}

func (s *Service) readFiles(form, token string) (record string, ok bool) {
	record, _, found := strings.Cut(token, ".")
	return record, found && hmac.Equal([]byte(token), []byte(s.filesToken(form, record)))
}

// withoutFiles takes out of values what belongs to files.
func withoutFiles(values map[string]string) {
	for name := range values {
		if name == filesField || strings.HasPrefix(name, dropField) {
			delete(values, name)
		}
	}
}
