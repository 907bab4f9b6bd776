package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/text"
)

func answer(t *testing.T, h Handler, accept string) (*httptest.ResponseRecorder, string) {
	t.Helper()
	var log bytes.Buffer
	r := httptest.NewRequest("GET", "https://site.example/privacy/x?email=bo@example.dk", nil)
	r.Header.Set("Accept", accept)
	r.Header.Set("Accept-Language", "da")
	w := httptest.NewRecorder()
	Wrap(slog.New(slog.NewJSONHandler(&log, nil)), h).ServeHTTP(w, r)
	return w, log.String()
}

func failing(err error) Handler { return func(http.ResponseWriter, *http.Request) error { return err } }

func TestWrap(t *testing.T) {
	bad := fault.New(fault.Invalid, "x")
	for name, c := range map[string]struct {
		err    error
		status int
		retry  string
		says   string
	}{
		"invalid":     {bad, 422, "", "ikke kan bruges"},
		"status":      {Status(bad, http.StatusBadRequest), 400, "", "ikke kan bruges"},
		"not found":   {fault.New(fault.NotFound, "x").In("web.not_found"), 404, "", "intet på denne adresse"},
		"denied":      {fault.New(fault.Denied, "x"), 403, "", "omfatter ikke"},
		"conflict":    {fault.New(fault.Conflict, "x"), 409, "", "Nogen har ændret"},
		"too many":    {TooMany(1500 * time.Millisecond), 429, "2", "om 2 sekunder"},
		"too large":   {&http.MaxBytesError{Limit: 2048}, 413, "", "2 KB"},
		"gone":        {fault.New(fault.Gone, "x"), 410, "", "er væk nu"},
		"spent":       {fault.New(fault.Gone, "x").In("request.spent", "Minutes", 30).Onward("/privacy/me"), 410, "", "Linket virker ikke mere"},
		"unavailable": {fault.New(fault.Unavailable, "x"), 503, "30", "svarer ikke"},
		"internal":    {errors.New("secret detail"), 500, "", "Fejlen er vores"},
		"joined":      {errors.Join(TooMany(time.Second), nil), 429, "1", "om et sekund"},
	} {
		w, log := answer(t, failing(c.err), "text/html")
		doc := document(t, w)
		if w.Code != c.status || w.Header().Get("Retry-After") != c.retry {
			t.Errorf("%s: status %d, Retry-After %q", name, w.Code, w.Header().Get("Retry-After"))
		}
		if got := doc.Find("main").Text(); !strings.Contains(got, c.says) || strings.Contains(got, "secret") {
			t.Errorf("%s: page says %q", name, got)
		}
		if (log != "") != (c.status >= 500) || strings.Contains(log, "bo@example.dk") {
			t.Errorf("%s: log %q", name, log)
		}

		w, _ = answer(t, failing(c.err), "application/json")
		var p map[string]any
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || p["status"] != float64(c.status) || p["title"] == "" {
			t.Errorf("%s: %s, %v", name, w.Body, err)
		}
		if got := w.Header().Get("Content-Type"); got != "application/problem+json" {
			t.Errorf("%s: type %s", name, got)
		}
	}
}

// A panic becomes a page with a reference; the stack stands in the log only.
func TestPanic(t *testing.T) {
	w, log := answer(t, func(http.ResponseWriter, *http.Request) error { panic("secret detail") }, "text/html")
	doc := document(t, w)
	ref := doc.Find("main code").Text()
	if w.Code != 500 || len(ref) != 8 || !strings.Contains(log, ref) || !strings.Contains(log, "wrap_test.go") {
		t.Errorf("status %d, reference %q, log %s", w.Code, ref, log)
	}
	if strings.Contains(w.Body.String(), "secret") || strings.Contains(w.Body.String(), ".go") {
		t.Error("the page shows the program's inside")
	}
}

// An answer that fails halfway is cut, not ended as if it were whole.
func TestHalfAnAnswer(t *testing.T) {
	defer func() {
		if p := recover(); p != any(http.ErrAbortHandler) {
			t.Errorf("recovered %v", p)
		}
	}()
	answer(t, func(w http.ResponseWriter, _ *http.Request) error {
		w.Write([]byte("half"))
		return errors.New("broken")
	}, "text/html")
}

// Somebody who is gone, or only half gone, is never told "200" with an empty page.
func TestVisitorGone(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var log bytes.Buffer
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(ctx, "GET", "/", nil)
	func() {
		defer func() {
			if p := recover(); p != any(http.ErrAbortHandler) {
				t.Errorf("recovered %v", p)
			}
		}()
		Wrap(slog.New(slog.NewTextHandler(&log, nil)), failing(ctx.Err())).ServeHTTP(w, r)
	}()
	if log.Len() != 0 || w.Body.Len() != 0 {
		t.Errorf("log %q, body %q", log.String(), w.Body)
	}
}

func TestSecurityHeaders(t *testing.T) {
	for _, h := range []Handler{NotFound, failing(errors.New("x")), func(w http.ResponseWriter, r *http.Request) error {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return nil
	}} {
		w, _ := answer(t, h, "")
		for _, name := range []string{"Content-Security-Policy", "X-Content-Type-Options", "Referrer-Policy", "Strict-Transport-Security", "Cache-Control"} {
			if w.Header().Get(name) == "" {
				t.Errorf("status %d: no %s", w.Code, name)
			}
		}
	}
}

func TestHTTPS(t *testing.T) {
	for host, https := range map[string]bool{
		"example.dk": true, "example.dk:8080": true, "192.0.2.1": true, "notlocalhost": true, "localhost.example.dk": true,
		"localhost": false, "backoffice.localhost:8080": false, "Site.LOCALHOST.": false, "127.0.0.1:80": false, "[::1]:80": false,
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Host = host
		if got := HTTPS(r); got != https {
			t.Errorf("%s: %v", host, got)
		}
	}
}

func TestLang(t *testing.T) {
	h := &House{Plan: func() *policy.Plan { return nil }}
	page := h.Serve(Public, Wrap(slog.New(slog.DiscardHandler), func(w http.ResponseWriter, r *http.Request) error {
		_, err := w.Write([]byte(h.Public(r).Lang))
		return err
	}))
	for _, c := range []struct{ target, cookie, accept, want, set string }{
		{"/privacy", "", "da-DK,da;q=0.9,en;q=0.8", "da", ""},
		{"/privacy", "", "en-GB", "en", ""},
		{"/privacy?lang=en", "da", "da", "en", "en"},
		{"/privacy", "en", "da", "en", ""},
		{"/privacy?lang=xx", "yy", "en", "en", ""},
		{"/other?lang=en", "", "da", "en", ""}, // the site's own paths get no cookie of ours
	} {
		r := httptest.NewRequest("GET", "https://site.example"+c.target, nil)
		r.Header.Set("Accept-Language", c.accept)
		if c.cookie != "" {
			r.AddCookie(&http.Cookie{Name: langCookie, Value: c.cookie})
		}
		w := httptest.NewRecorder()
		page.ServeHTTP(w, r)
		if w.Body.String() != c.want {
			t.Errorf("%+v: %s", c, w.Body)
		}
		set := ""
		for _, k := range w.Result().Cookies() {
			if set = k.Value; !k.Secure || !k.HttpOnly || k.Path != "/privacy" {
				t.Errorf("cookie %+v", k)
			}
		}
		if set != c.set {
			t.Errorf("%+v: cookie %q", c, set)
		}
	}
}

func TestFrames(t *testing.T) {
	plan := &policy.Plan{Loc: time.UTC}
	plan.Controller.LegalName, plan.Controller.Accent, plan.Languages = "Eksempel A/S", "#112233", []text.Lang{text.DA}
	h := &House{
		Plan: func() *policy.Plan { return plan },
		May:  func(v Viewer, p Permission) bool { return p != Admin },
		Nav:  []Nav{{Path: "/users", Need: Admin}, {Path: "/enquiries", Order: 2}, {Path: "/", Order: 1}},
	}
	r := httptest.NewRequest("GET", "/enquiries/7?x=1&done=web.menu&done=web.done.x&lang=en", nil)
	f := h.Public(r)
	if f.Brand != "Eksempel A/S" || f.Accent != "#112233" || f.Lang != text.DA || f.Flash != "" {
		t.Errorf("public %+v", f)
	}
	if got := f.LangURL(text.EN); got != "/enquiries/7?lang=en&x=1" {
		t.Errorf("other language: %s", got)
	}
	if b := h.Backoffice(r); len(b.Nav) != 0 {
		t.Error("a menu for nobody")
	}
	b := h.Backoffice(r.WithContext(WithViewer(r.Context(), Viewer{User: "u"})))
	if len(b.Nav) != 2 || b.Nav[0].Path != "/" || b.Active != "/enquiries" || b.Brand != "Tillid" || b.Lang != text.EN {
		t.Errorf("backoffice %+v", b)
	}
}

func TestDone(t *testing.T) {
	for to, want := range map[string]string{"/a": "/a?done=staff.done.roles", "/a?b=1": "/a?b=1&done=staff.done.roles"} {
		w := httptest.NewRecorder()
		Done(w, httptest.NewRequest("POST", "/x", nil), to, "staff.done.roles")
		if got := w.Header().Get("Location"); got != want || w.Code != http.StatusSeeOther {
			t.Errorf("%s: %d %s", to, w.Code, got)
		}
	}
	if got := flash(text.EN, "staff.done.roles"); got == "" {
		t.Error("nothing is said")
	}
	for _, id := range []string{"web.menu", "x.done.nothing", "<b>", "staff.done.roles\n"} {
		if got := flash(text.EN, id); got != "" {
			t.Errorf("%q: %q", id, got)
		}
	}
}

// An address that is not text has no page, whatever a handler would do with it.
func TestAddressThatIsNotText(t *testing.T) {
	for target, want := range map[string]int{
		"/a%00": 404, "/%ff": 404, "/?q=%ff": 400, "/?q=%00": 400, "/?%c3%28=1": 400, "/?a=%zz": 200, "/%c3%a6?q=%c3%a6": 200,
	} {
		w := httptest.NewRecorder()
		ok := Handler(func(http.ResponseWriter, *http.Request) error { return nil })
		Wrap(slog.New(slog.DiscardHandler), ok).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", target, nil))
		if w.Code != want {
			t.Errorf("%s: %d, want %d", target, w.Code, want)
		}
	}
}

// What goes wrong while a body is read is the sender's, and says what.
func TestBodyThatDoesNotArrive(t *testing.T) {
	for want, err := range map[int]error{
		http.StatusRequestTimeout: os.ErrDeadlineExceeded, http.StatusBadRequest: io.ErrUnexpectedEOF, http.StatusRequestEntityTooLarge: nil,
	} {
		body := io.MultiReader(strings.NewReader("a=1"), iotest.ErrReader(err))
		if err == nil {
			body = strings.NewReader("a=1234567890")
		}
		w := httptest.NewRecorder()
		Wrap(slog.New(slog.DiscardHandler), func(w http.ResponseWriter, r *http.Request) error {
			_, err := io.ReadAll(Body(w, r, 6))
			return err
		}).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "POST", "/", body))
		if w.Code != want {
			t.Errorf("%v: %d, want %d", err, w.Code, want)
		}
	}
}
