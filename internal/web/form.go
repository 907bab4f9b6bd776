package web

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/tillid/tillid/internal/fault"
)

// DecodeForm reads a form of at most max bytes (application/x-www-form-urlencoded,
// UTF-8). It refuses other content types (415), longer bodies (413), and (400) what is
// ambiguous: a name that comes twice, unless it is in repeat, a name that stands in the
// query too, bytes that are not UTF-8, NUL.
func DecodeForm(w http.ResponseWriter, r *http.Request, max int64, repeat ...string) (url.Values, error) {
	sent, err := readBody(w, r, max, "application/x-www-form-urlencoded")
	if err != nil {
		return nil, err
	}
	form, err := url.ParseQuery(string(sent))
	if err != nil {
		return nil, malformed(err)
	}
	query := r.URL.Query()
	for name, values := range form {
		if query.Has(name) || len(values) > 1 && !slices.Contains(repeat, name) {
			return nil, malformed(errors.New("a name comes twice"))
		}
		for _, v := range append(values, name) {
			if !isText(v) {
				return nil, malformed(errors.New("not text"))
			}
		}
	}
	return form, nil
}

// DecodeJSON reads one JSON value of at most max bytes into v. Unknown names are refused (422).
func DecodeJSON(w http.ResponseWriter, r *http.Request, max int64, v any) error {
	sent, err := readBody(w, r, max, "application/json")
	if err != nil {
		return err
	}
	d := json.NewDecoder(strings.NewReader(string(sent)))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		if syntax := (*json.SyntaxError)(nil); errors.As(err, &syntax) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
			return malformed(err)
		}
		return fault.New(fault.Invalid, "The request has a field that is not known here, or a value of the wrong type.").
			WithHint("Compare it with the API's description.").In("web.fields")
	}
	if d.More() {
		return malformed(errors.New("more than one value"))
	}
	return nil
}

func readBody(w http.ResponseWriter, r *http.Request, max int64, want string) ([]byte, error) {
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	charset := strings.ToLower(params["charset"])
	if err != nil || kind != want || charset != "" && charset != "utf-8" || r.Header.Get("Content-Encoding") != "" {
		w.Header().Set("Accept", want)
		e := fault.New(fault.Invalid, "What was sent is not of the kind that is accepted here.").
			WithHint("Send it as %s in UTF-8.", want).In("web.media_type")
		return nil, Status(e, http.StatusUnsupportedMediaType)
	}
	return io.ReadAll(Body(w, r, max))
}

// Body returns the request's body, at most max bytes of it. What goes wrong while
// it is read is the sender's fault and says so: too long (413), too slow (408), cut
// off or wrongly framed (400).
func Body(w http.ResponseWriter, r *http.Request, max int64) io.ReadCloser {
	return body{http.MaxBytesReader(w, r.Body, max)}
}

type body struct{ io.ReadCloser }

func (b body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	switch tooBig := (*http.MaxBytesError)(nil); {
	case err == nil, errors.Is(err, io.EOF):
		return n, err
	case errors.As(err, &tooBig):
		return n, tooLarge(tooBig.Limit)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return n, Status(fault.New(fault.Invalid, "What was sent did not arrive in time.").
			WithHint("Nothing was saved. Send it again when the connection is better.").In("web.slow"), http.StatusRequestTimeout)
	default:
		return n, malformed(err)
	}
}

// malformed is the answer (400) to a request that cannot be read. The cause
// is dropped: it may quote what somebody typed.
func malformed(error) error {
	e := fault.New(fault.Invalid, "The request could not be read.").
		WithHint("Go back, reload the page and send it again.").In("web.malformed")
	return Status(e, http.StatusBadRequest)
}
