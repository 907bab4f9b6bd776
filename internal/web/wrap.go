package web

import (
	"bytes"
	"context"
	"crypto/rand"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/text"
)

// Wrap answers h's errors: fault kinds as 4xx/503 pages in the visitor's language, all
// others as 500 with a reference that stands in the log. Personal data never
// goes to the log: the route pattern is logged, never the address. Whoever accepts
// application/json and not text/html gets application/problem+json (RFC 9457).
func Wrap(log *slog.Logger, h Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		secure(w.Header(), layoutOf(r))
		strictTransport(w, r)
		t := &tracker{ResponseWriter: w}
		err := legible(r.URL)
		if err == nil {
			err = caught(h, t, r)
		}
		if err != nil {
			fail(log, t, r, err)
		}
	})
}

// legible refuses an address that is not text: no page has it, and a database
// may not take it.
func legible(u *url.URL) error {
	if !isText(u.Path) {
		return NotFound(nil, nil)
	}
	if !strings.Contains(u.RawQuery, "%") && isText(u.RawQuery) {
		return nil
	}
	for name, values := range u.Query() {
		if !isText(name) || slices.ContainsFunc(values, func(v string) bool { return !isText(v) }) {
			return malformed(errors.New("not text"))
		}
	}
	return nil
}

// isText reports whether s is UTF-8 without NUL.
func isText(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }

// caught runs h and turns a panic into an error.
func caught(h Handler, w http.ResponseWriter, r *http.Request) (err error) {
	defer func() {
		switch p := recover(); p {
		case nil:
		case http.ErrAbortHandler:
			panic(p)
		default:
			err = &panicked{fmt.Sprint(p), debug.Stack()}
		}
	}()
	return h(w, r)
}

type panicked struct {
	msg   string
	stack []byte
}

func (p *panicked) Error() string { return "panic: " + p.msg }

// tracker knows whether an answer has begun.
type tracker struct {
	http.ResponseWriter
	begun bool
}

func (t *tracker) WriteHeader(code int) {
	t.begun = t.begun || code >= 200
	t.ResponseWriter.WriteHeader(code)
}

func (t *tracker) Write(b []byte) (int, error) {
	t.begun = true
	return t.ResponseWriter.Write(b)
}

func (t *tracker) Unwrap() http.ResponseWriter { return t.ResponseWriter }

// fail logs and answers an error.
func fail(log *slog.Logger, w *tracker, r *http.Request, err error) {
	ctx := r.Context()
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		panic(http.ErrAbortHandler) // the visitor has gone; an empty answer would say that all is well
	}
	err = db.AsFault(err)
	p := problemOf(r, err)
	if p.Status >= 500 {
		attrs := []any{"ref", p.Ref, "method", r.Method, "pattern", r.Pattern, "status", p.Status, "err", err}
		if pan := (*panicked)(nil); errors.As(err, &pan) {
			attrs = append(attrs, "stack", string(pan.stack))
		}
		log.ErrorContext(ctx, "request failed", attrs...)
	}
	if w.begun {
		panic(http.ErrAbortHandler) // half an answer must not look like a whole one
	}
	p.answer(w, r)
}

// problem is what a visitor is told. Its JSON form is RFC 9457's.
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
	Hint   string `json:"hint,omitempty"`
	Ref    string `json:"reference,omitempty"`

	Next   string `json:"-"` // where one goes on,
	Onward string `json:"-"` // and what the button says
	retry  int    // seconds
}

func problemOf(r *http.Request, err error) problem {
	f := fault.Of(err)
	if tooBig := (*http.MaxBytesError)(nil); errors.As(err, &tooBig) && f.Kind == fault.Internal {
		f = tooLarge(tooBig.Limit)
	}
	f0, _ := frameOf(r)
	l := f0.Lang
	p := problem{Type: "about:blank", Status: statusOf(f)}
	kind := kindWord(f.Kind)
	p.Title = text.T(l, "web.error."+kind)
	if own := "fault." + f.ID + ".title"; f.ID != "" && text.Has(own) {
		p.Title = text.T(l, own, f.Args...)
	}
	p.Detail, p.Hint = words(l, f, kind)
	if f.Next != "" {
		p.Next, p.Onward = f.Next, text.T(l, "fault."+f.ID+".next")
	}
	if f.ID != "" && f.Kind != fault.Internal {
		p.Type = "urn:tillid:fault:" + f.ID
	}
	if p.Status >= 500 {
		p.Ref = rand.Text()[:8]
	}
	p.retry = retryAfter(f)
	return p
}

// Say returns what happened and what to do about it, as Wrap would tell it: for
// a form that is shown again with its mistake.
func Say(l text.Lang, err error) (what, hint string) {
	f := fault.Of(err)
	return words(l, f, kindWord(f.Kind))
}

// words returns what happened and what to do, in the visitor's language where the catalogues have it.
func words(l text.Lang, f *fault.Error, kind string) (detail, hint string) {
	if f.ID != "" && f.Kind != fault.Internal {
		if s, ok := known(l, "fault."+f.ID, f.Args...); ok {
			return s, hintOf(l, "fault."+f.ID+".hint", f.Args...)
		}
	}
	if l == text.EN && f.Kind != fault.Internal && f.Msg != "" {
		return f.Msg, f.Hint
	}
	return text.T(l, "web.error."+kind+".detail"), hintOf(l, "web.error."+kind+".hint")
}

func hintOf(l text.Lang, id string, kv ...any) string {
	s, ok := known(l, id, kv...)
	if !ok {
		return ""
	}
	return s
}

func kindWord(k fault.Kind) string {
	switch k {
	case fault.Invalid:
		return "invalid"
	case fault.NotFound:
		return "not_found"
	case fault.Denied:
		return "denied"
	case fault.Conflict:
		return "conflict"
	case fault.TooMany:
		return "too_many"
	case fault.TooLarge:
		return "too_large"
	case fault.Gone:
		return "gone"
	case fault.Unavailable:
		return "unavailable"
	default:
		return "internal"
	}
}

func statusOf(f *fault.Error) int {
	if s := (statusError)(0); errors.As(f.Err, &s) {
		return int(s)
	}
	switch f.Kind {
	case fault.Invalid:
		return http.StatusUnprocessableEntity
	case fault.NotFound:
		return http.StatusNotFound
	case fault.Denied:
		return http.StatusForbidden
	case fault.Conflict:
		return http.StatusConflict
	case fault.TooMany:
		return http.StatusTooManyRequests
	case fault.TooLarge:
		return http.StatusRequestEntityTooLarge
	case fault.Gone:
		return http.StatusGone
	case fault.Unavailable:
		return http.StatusServiceUnavailable
	default:
		return http.StatusInternalServerError
	}
}

// statusError, as the cause of a fault, says which status it is answered with.
type statusError int

func (s statusError) Error() string { return http.StatusText(int(s)) }

// Status returns e answered with that HTTP status instead of its kind's own.
func Status(e *fault.Error, status int) *fault.Error { return e.Because(statusError(status)) }

type waitError time.Duration

func (d waitError) Error() string { return "wait " + time.Duration(d).String() }

// TooMany returns the error for somebody who came too often and may come again after wait.
func TooMany(wait time.Duration) *fault.Error {
	return fault.New(fault.TooMany, "That was too many tries in a short time.").
		WithHint("Wait a little and try again.").
		In("web.too_many", "Count", seconds(wait)).Because(waitError(wait))
}

func seconds(d time.Duration) int { return max(1, int(math.Ceil(d.Seconds()))) }

// retryAfter returns the seconds to wait, or 0 where waiting does not help.
func retryAfter(f *fault.Error) int {
	if d := waitError(0); errors.As(f.Err, &d) {
		return seconds(time.Duration(d))
	}
	switch f.Kind {
	case fault.TooMany:
		return 60
	case fault.Unavailable:
		return 30
	default:
		return 0
	}
}

func tooLarge(limit int64) *fault.Error {
	return fault.New(fault.TooLarge, "That is more than the %d KB that are accepted here.", limit/1024).
		WithHint("Send less text, or smaller files.").In("web.too_large", "KB", limit/1024)
}

//go:embed page/*.html
var pageFiles embed.FS

type errorPage struct {
	Frame
	Problem problem
}

var errorPages = Parse(must(fs.Sub(pageFiles, "page")))

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func (p problem) answer(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	for _, k := range []string{"Content-Encoding", "Content-Disposition", "Content-Length", "Etag", "Last-Modified"} {
		h.Del(k)
	}
	h.Set("Cache-Control", "no-store")
	if p.retry > 0 {
		h.Set("Retry-After", strconv.Itoa(p.retry))
	}
	if p.Status == http.StatusRequestEntityTooLarge {
		h.Set("Connection", "close")
	}
	if !wantsJSON(r) {
		f, layout := frameOf(r)
		if Render(w, p.Status, errorPages, "error", layout, errorPage{f, p}) == nil {
			return
		}
	}
	var b bytes.Buffer
	if err := json.NewEncoder(&b).Encode(p); err != nil {
		return
	}
	h.Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	w.Write(b.Bytes())
}

// wantsJSON reports whether a program asks, not a person's browser.
func wantsJSON(r *http.Request) bool {
	a := r.Header.Get("Accept")
	return strings.Contains(a, "json") && !strings.Contains(a, "text/html")
}

// NotFound is the handler for addresses that nothing has.
func NotFound(http.ResponseWriter, *http.Request) error {
	return fault.New(fault.NotFound, "There is no such page.").WithHint("Check the address, or begin from the front page.").In("web.not_found")
}
