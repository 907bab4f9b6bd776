package intake

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/file"
	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/web"
)

// maxKeys is how many names one submission may carry.
const maxKeys = 200

// What is turned away before its content is looked at.
var (
	errMedia = web.Status(fault.New(fault.Invalid, "What was sent is not a form.").
			WithHint("Send application/x-www-form-urlencoded, multipart/form-data or application/json, in UTF-8.").
			In("intake.media"), http.StatusUnsupportedMediaType)
	errMalformed = web.Status(fault.New(fault.Invalid, "What was sent cannot be read.").
			WithHint("Reload the form's page and send it again.").In("intake.malformed"), http.StatusBadRequest)
	errDuplicate = web.Status(fault.New(fault.Invalid, "A field was sent twice.").
			WithHint("Send each field once.").In("intake.duplicate"), http.StatusBadRequest)
	errTooLarge = fault.New(fault.TooLarge, "That is more than this form takes.").
			WithHint("Write less, and send files another way.").In("intake.large")
	errFile = fault.New(fault.Invalid, "This form takes no files.").
		WithHint("Send it without the file.").In("intake.file")
)

// takeFile stores one file of a form as it arrives, with the values that stood before it.
type takeFile func(values map[string]string, field, name string, content io.Reader) error

// noFile refuses every file that has a name or content.
func noFile(_ map[string]string, _, name string, content io.Reader) error {
	n, err := io.Copy(io.Discard, content)
	switch {
	case err != nil:
		return readError(err)
	case name != "" || n > 0:
		return errFile
	}
	return nil // an empty file input
}

// sizes are how many bytes a form may send: its texts, and all of it.
type sizes struct{ text, all int64 }

// decode reads what was posted, through whichever door: one value per name. Files go
// to take as they arrive. It reads at most what limit says and refuses a longer body before it is read.
func decode(w http.ResponseWriter, r *http.Request, limit sizes, take takeFile) (map[string]string, error) {
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || r.Header.Get("Content-Encoding") != "" {
		return nil, errMedia
	}
	if c := params["charset"]; c != "" && !strings.EqualFold(c, "utf-8") {
		return nil, errMedia
	}
	most := limit.text
	if kind == "multipart/form-data" {
		most = limit.all
	}
	if r.ContentLength > most {
		return nil, errTooLarge
	}
	body := web.Body(w, r, most)
	var values map[string]string
	switch kind {
	case "application/x-www-form-urlencoded":
		values, err = decodeForm(body)
	case "multipart/form-data":
		values, err = decodeMultipart(body, params["boundary"], limit.text, take)
	case "application/json":
		values, err = decodeJSON(body)
	default:
		return nil, errMedia
	}
	if fault.Of(err).Kind == fault.TooLarge {
		return nil, errTooLarge
	}
	if err == nil {
		err = checkText(values)
	}
	return values, err
}

func checkText(values map[string]string) error {
	for name, value := range values {
		if !utf8.ValidString(name) || !utf8.ValidString(value) || strings.ContainsRune(name, 0) || strings.ContainsRune(value, 0) {
			return errMalformed
		}
	}
	return nil
}

// put adds a value; a name that comes twice is refused, for which one is meant?
func put(values map[string]string, name, value string) error {
	if _, twice := values[name]; twice {
		return errDuplicate
	}
	if len(values) == maxKeys {
		return errMalformed
	}
	values[name] = value
	return nil
}

func decodeForm(body io.Reader) (map[string]string, error) {
	raw, err := io.ReadAll(body)
	if err != nil {
		return nil, readError(err)
	}
	values := map[string]string{}
	if len(raw) == 0 {
		return values, nil
	}
	for pair := range strings.SplitSeq(string(raw), "&") {
		if pair == "" {
			continue
		}
		k, v, _ := strings.Cut(pair, "=")
		name, err1 := url.QueryUnescape(k)
		value, err2 := url.QueryUnescape(v)
		if err1 != nil || err2 != nil {
			return nil, errMalformed
		}
		if err := put(values, name, value); err != nil {
			return nil, err
		}
	}
	return values, nil
}

// readError keeps "too large" and makes everything else the sender's fault.
func readError(err error) error {
	if fault.Of(err).Kind != fault.Internal {
		return err // web.Body says what went wrong
	}
	return errMalformed
}

func decodeMultipart(body io.Reader, boundary string, textLimit int64, take takeFile) (map[string]string, error) {
	if boundary == "" {
		return nil, errMedia
	}
	values := map[string]string{}
	parts := multipart.NewReader(body, boundary)
	for {
		part, err := parts.NextRawPart()
		if errors.Is(err, io.EOF) {
			return values, nil
		}
		if err != nil {
			return nil, readError(err)
		}
		_, params, err := mime.ParseMediaType(part.Header.Get("Content-Disposition"))
		if err != nil || part.FormName() == "" {
			return nil, errMalformed
		}
		if name, isFile := params["filename"]; isFile {
			if err := take(values, part.FormName(), name, part); err != nil {
				return nil, err
			}
			continue
		}
		value, err := io.ReadAll(io.LimitReader(part, textLimit+1))
		if err != nil {
			return nil, readError(err)
		}
		if textLimit -= int64(len(value)); textLimit < 0 {
			return nil, errTooLarge
		}
		if err := put(values, part.FormName(), string(value)); err != nil {
			return nil, err
		}
	}
}

// decodeJSON reads one flat object. The standard decoder lets a name come
// twice, so the tokens are read one by one.
func decodeJSON(body io.Reader) (map[string]string, error) {
	d := json.NewDecoder(body)
	d.UseNumber()
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, readError(err)
	}
	values := map[string]string{}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, readError(err)
		}
		value, err := d.Token()
		if err != nil {
			return nil, readError(err)
		}
		plain, err := scalar(value)
		if err != nil {
			return nil, err
		}
		if err := put(values, name.(string), plain); err != nil {
			return nil, err
		}
	}
	if _, err := d.Token(); err != nil {
		return nil, readError(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, readError(err)
	}
	return values, nil
}

// scalar returns a JSON value as a form would send it.
func scalar(t json.Token) (string, error) {
	switch v := t.(type) {
	case string:
		return v, nil
	case json.Number:
		return v.String(), nil
	case bool:
		if v {
			return "yes", nil
		}
		return "", nil
	case nil:
		return "", nil
	default:
		return "", errMalformed
	}
}

// limitOf is how much a form may send: every character of every field as long as it
// gets on the wire, something for names, token and boundaries, and its files.
func limitOf(form *policy.Form) sizes {
	limit := sizes{text: 8 << 10}
	for _, f := range form.Fields {
		limit.text += int64(maxLength(f))*12 + 1024
	}
	limit.all = limit.text
	if takesFiles(form) {
		limit.all += file.MaxRequest
	}
	return limit
}

// maxLength is how many characters a field takes.
func maxLength(f policy.Field) int {
	switch {
	case f.MaxLength > 0:
		return f.MaxLength
	case f.Type == "long_text":
		return 5000
	case f.Type == "email":
		return 254
	case f.Type == "phone":
		return 40
	default:
		return 200
	}
}

// shortName makes a name that somebody sent fit to be shown.
func shortName(name string) string {
	if utf8.RuneCountInString(name) > 40 {
		name = string([]rune(name)[:40]) + "…"
	}
	quoted := strconv.Quote(name)
	return fmt.Sprint(quoted[1 : len(quoted)-1])
}
