package intake

import (
	"bytes"
	"encoding/json"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// hostile is input that both doors must judge alike: what is changed in ok, and
// the field that the answer names; "" when it is accepted.
var hostile = []struct {
	name, field, value, wrong string
}{
	{"email of 254", "email", strings.Repeat("a", 60) + "@" + strings.Repeat(strings.Repeat("b", 60)+".", 3) + "bbbbbbb.dk", ""},
	{"email of 255", "email", strings.Repeat("a", 60) + "@" + strings.Repeat(strings.Repeat("b", 60)+".", 3) + "bbbbbbbb.dk", "email"},
	{"email with IDN", "email", "søren@blåbærgrød.example", ""},
	{"email with A-label", "email", "a@xn--blbrgrd-fxak7p.example", ""},
	{"email with plus", "email", "a+b@example.dk", ""},
	{"email quoted", "email", `"a b"@example.dk`, "email"},
	{"email without dot", "email", "a@b", "email"},
	{"email without at", "email", "example.dk", "email"},
	{"two emails", "email", "a@example.dk,b@example.dk", "email"},
	{"two emails with space", "email", "a@example.dk b@example.dk", "email"},
	{"email with name", "email", "A <a@example.dk>", "email"},
	{"email with comment", "email", "a(b)@example.dk", "email"},
	{"email with IP", "email", "a@[127.0.0.1]", "email"},
	{"email double dot", "email", "a..b@example.dk", "email"},
	{"email empty label", "email", "a@example..dk", "email"},
	{"email CRLF", "email", "a@example.dk\r\nBcc: b@example.dk", "email"},
	{"email LF at the end", "email", "a@example.dk\nx", "email"},
	{"name CRLF", "name", "A\r\nBcc: b@example.dk", "name"},
	{"name CR", "name", "A\rB", "name"},
	{"name with escape", "name", "A\x1b[31m", "name"},
	{"name missing", "name", "", "name"},
	{"name of spaces", "name", " \t ", "name"},
	{"name of 100", "name", strings.Repeat("æ", 100), ""},
	{"name of 101", "name", strings.Repeat("æ", 101), "name"},
	{"name with markup", "name", `<script>alert(1)</script>`, ""},
	{"name with template", "name", `{{.Secret}}`, ""},
	{"message of 5000", "message", strings.Repeat("x", 5000), ""},
	{"message of 5001", "message", strings.Repeat("x", 5001), "message"},
	{"message of 5000 wide", "message", strings.Repeat("𝄞", 5000), ""},
	{"message with lines", "message", "a\r\nb\n\tc", ""},
	{"message with bell", "message", "a\x07b", "message"},
	{"phone", "phone", "+45 12 34 56 78", ""},
	{"phone with brackets", "phone", "(12) 34-56.78", ""},
	{"phone with words", "phone", "ring to me", "phone"},
	{"phone too short", "phone", "112", "phone"},
	{"phone injected", "phone", "12345678;rm -rf", "phone"},
	{"choice", "topic", "help", ""},
	{"choice unknown", "topic", "admin", "topic"},
	{"choice other case", "topic", "Help", "topic"},
	{"pattern", "order", "AB1234", ""},
	{"pattern with more", "order", "AB12345", "order"},
	{"pattern second line", "order", "AB1234\nx", "order"},
	{"date", "wanted", "2028-02-29", ""},
	{"date that is not", "wanted", "2027-02-29", "wanted"},
	{"date American", "wanted", "02/28/2027", "wanted"},
	{"number", "pieces", "12,5", ""},
	{"number negative", "pieces", "-3", ""},
	{"number hex", "pieces", "0x10", "pieces"},
	{"number inf", "pieces", "inf", "pieces"},
	{"number with e", "pieces", "1e3", ""},
	{"consent", "keep", "yes", ""},
	{"consent of another kind", "keep", "maybe", "keep"},
	{"undeclared", "cpr", "0101011234", "cpr"},
	{"undeclared mass assignment", "quarantine", "", "quarantine"},
	{"undeclared expiry", "expires_at", "2099-01-01", "expires_at"},
	{"undeclared prototype", "__proto__", "x", "__proto__"},
}

// Both doors are one gate: every input gets the same verdict at the HTML form,
// as multipart, and as JSON.
//
// Rows: C1, E1.
func TestHostile(t *testing.T) {
	h := newHouse(t, lite(t))
	for _, c := range hostile {
		t.Run(c.name, func(t *testing.T) {
			h.pass(2 * time.Hour)
			v := with(ok(), c.field, c.value)
			before := h.count(t, "enquiry")
			judge := func(door string, w *httptest.ResponseRecorder, good int) {
				t.Helper()
				want := good
				if c.wrong != "" {
					want = http.StatusUnprocessableEntity
				}
				if w.Code != want {
					t.Errorf("%s: status %d, want %d: %s", door, w.Code, want, w.Body)
				}
				if c.wrong != "" && !strings.Contains(w.Body.String(), c.wrong) {
					t.Errorf("%s: %q is not named in %s", door, c.wrong, w.Body)
				}
			}
			judge("form", h.submitForm(v), http.StatusSeeOther)
			h.pass(2 * time.Hour)
			judge("multipart", h.submitMultipart(t, v), http.StatusSeeOther)
			h.pass(2 * time.Hour)
			judge("json", h.submitJSON(t, v), http.StatusCreated)
			stored := h.count(t, "enquiry") - before
			if c.wrong == "" && stored != 3 || c.wrong != "" && stored != 0 {
				t.Errorf("%d stored", stored)
			}
		})
	}
	if strings.Contains(h.Output.String(), "Bcc") || strings.Contains(h.Output.String(), "0101011234") {
		t.Error("what was typed stands in the log")
	}
	h.noCanary(t)
}

func (h *house) submitJSON(tb testing.TB, v url.Values) *httptest.ResponseRecorder {
	tb.Helper()
	flat := map[string]string{}
	for k := range v {
		flat[k] = v.Get(k)
	}
	b, err := json.Marshal(flat)
	if err != nil {
		tb.Fatal(err)
	}
	return h.post("/_tillid/forms/contact", "application/json", string(b))
}

func (h *house) submitMultipart(tb testing.TB, v url.Values) *httptest.ResponseRecorder {
	tb.Helper()
	var b bytes.Buffer
	m := multipart.NewWriter(&b)
	for k := range v {
		if err := m.WriteField(k, v.Get(k)); err != nil {
			tb.Fatal(err)
		}
	}
	m.Close()
	return h.post("/_tillid/forms/contact", m.FormDataContentType(), b.String())
}

// Requests that are refused before their content is looked at.
func TestRefused(t *testing.T) {
	h := newHouse(t, lite(t))
	const form = "application/x-www-form-urlencoded"
	good := ok().Encode()
	for _, c := range []struct {
		name, path, kind, body string
		headers                []string
		want                   int
	}{
		{"no content type", "contact", "", good, nil, 415},
		{"text", "contact", "text/plain", good, nil, 415},
		{"xml", "contact", "application/xml", "<a/>", nil, 415},
		{"utf-7", "contact", form + "; charset=utf-7", good, nil, 415},
		{"utf-8", "contact", form + "; charset=UTF-8", good, nil, 303},
		{"compressed", "contact", form, good, []string{"Content-Encoding", "gzip"}, 415},
		{"multipart without boundary", "contact", "multipart/form-data", good, nil, 415},
		{"multipart cut", "contact", "multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nb", nil, 400},
		{"multipart file", "contact", "multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=\"a\"; filename=\"a.exe\"\r\n\r\nMZ\r\n--x--\r\n", nil, 422},
		{"multipart without name", "contact", "multipart/form-data; boundary=x", "--x\r\n\r\nMZ\r\n--x--\r\n", nil, 400},
		{"name twice", "contact", form, good + "&name=b", nil, 400},
		{"name twice, one encoded", "contact", form, good + "&n%61me=b", nil, 400},
		{"JSON name twice", "contact", "application/json", `{"name":"a","name":"b"}`, nil, 400},
		{"JSON array", "contact", "application/json", `["name"]`, nil, 400},
		{"JSON nested", "contact", "application/json", `{"name":{"$ne":""}}`, nil, 400},
		{"JSON list in it", "contact", "application/json", `{"name":["a","b"]}`, nil, 400},
		{"JSON cut", "contact", "application/json", `{"name":"a"`, nil, 400},
		{"JSON and more", "contact", "application/json", `{"name":"a"}{}`, nil, 400},
		{"JSON deep", "contact", "application/json", strings.Repeat("[", 10000), nil, 400},
		{"JSON empty", "contact", "application/json", ``, nil, 400},
		{"empty", "contact", form, "", nil, 422},
		{"bad escape", "contact", form, "name=%zz", nil, 400},
		{"not UTF-8", "contact", form, "name=%ff%fe", nil, 400},
		{"NUL", "contact", form, with(ok(), "name", "a\x00b").Encode(), nil, 400},
		{"300 fields", "contact", form, strings.Repeat("a", 1) + manyFields(300), nil, 400},
		{"10 MB", "contact", form, "message=" + strings.Repeat("x", 10<<20), nil, 413},
		{"unknown form", "nothing", form, good, nil, 404},
		{"form of another kind", "news", form, "email=a@example.dk", nil, 404},
	} {
		w := h.post("/_tillid/forms/"+c.path, c.kind, c.body, c.headers...)
		if w.Code != c.want {
			t.Errorf("%s: status %d, want %d: %s", c.name, w.Code, c.want, w.Body)
		}
		if strings.Contains(w.Body.String(), "goroutine") {
			t.Errorf("%s: a stack trace", c.name)
		}
	}
	if n := h.count(t, "enquiry"); n != 1 {
		t.Errorf("%d stored", n)
	}
}

func manyFields(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString("&f" + strings.Repeat("x", i%50) + strings.Repeat("y", i/50) + "=1")
	}
	return b.String()
}

// endless counts what is read of a body that never ends.
type endless struct{ read int }

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	e.read += len(p)
	return len(p), nil
}

func TestTooLargeIsNotRead(t *testing.T) {
	h := newHouse(t, lite(t))
	for _, announced := range []int64{10 << 20, -1} {
		body := &endless{}
		r := httptest.NewRequest(http.MethodPost, "/_tillid/forms/contact", body)
		r.ContentLength = announced
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		h.Public.ServeHTTP(w, r)
		if w.Code != http.StatusRequestEntityTooLarge || body.read > 1<<20 {
			t.Errorf("announced %d: status %d after %d bytes", announced, w.Code, body.read)
		}
	}
}

// What was typed stays when something is wrong.
func TestKeepsWhatWasTyped(t *testing.T) {
	h := newHouse(t, lite(t))
	token := h.formToken("contact")
	w := h.submitForm(with(ok(), "email", "forkert", "topic", "help", "keep", "yes", "message", "Hej <b>du</b> & \"I\"", "_token", token, "_lang", "en"))
	if w.Code != http.StatusUnprocessableEntity {
		t.Fatal(w.Code)
	}
	contains(t, w.Body.String(), `value="Kanarie Prøvesen"`, `value="forkert"`, `<option value="help" selected>`, "checked",
		"Hej &lt;b&gt;du&lt;/b&gt; &amp; &#34;I&#34;</textarea>", `lang="en"`, "Write one e-mail address", `href="#f-email"`, `aria-invalid="true"`, token)
	h.noCanary(t)
}

// Twenty parallel posts of one rendering are one case; every one gets the same receipt.
func TestParallelDoubleSubmit(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		token := h.formToken("contact")
		h.pass(5 * time.Second)
		where := make([]string, 20)
		var wg sync.WaitGroup
		for i := range where {
			wg.Go(func() { where[i] = h.submitForm(with(ok(), "_token", token)).Header().Get("Location") })
		}
		wg.Wait()
		for _, to := range where {
			if to == "" || to != where[0] {
				t.Errorf("receipts %q and %q", where[0], to)
			}
		}
		for _, table := range []string{"enquiry", "leaf", "record"} {
			if n := h.count(t, table); n != 1 {
				t.Errorf("%s: %d rows", table, n)
			}
		}
		// The same rendering with other words is another case: nothing is lost.
		h.submitForm(with(ok(), "_token", token, "message", "Noget andet"))
		if n := h.count(t, "enquiry"); n != 2 {
			t.Errorf("%d enquiries", n)
		}
	})
}

// Without a token, the same content within ten minutes is already received; later it is new.
func TestContentRepeated(t *testing.T) {
	h := newHouse(t, lite(t))
	first := h.submitJSON(t, ok())
	second := h.submitJSON(t, ok())
	if first.Code != http.StatusCreated || second.Code != http.StatusOK || first.Header().Get("Location") != second.Header().Get("Location") {
		t.Errorf("%d, %d", first.Code, second.Code)
	}
	contains(t, second.Body.String(), `"already_received": true`)
	h.pass(20 * time.Minute)
	if w := h.submitJSON(t, ok()); w.Code != http.StatusCreated {
		t.Errorf("later: %d", w.Code)
	}
}

func TestQuarantine(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		token := h.formToken("contact")
		h.pass(time.Minute)
		for _, c := range []struct {
			want string
			kv   []string
		}{
			{"honeypot", []string{h.trap("contact", h.now()), "http://spam.test", "_token", token}},
			{"honeypot", []string{h.trap("contact", h.now().AddDate(0, 0, -1)), "x"}},
			{"token", []string{"_token", "x" + token[1:], "message", "a"}},
			{"token", []string{"_token", h.formToken("call_me"), "message", "b"}},
			{"token", []string{"_token", h.thanksToken("x"), "message", "c"}},
			{"token", []string{"_token", "garbage", "message", "d"}},
		} {
			w := h.submitForm(with(with(ok(), "email", c.want+"@example.dk"), c.kv...))
			if w.Code != http.StatusSeeOther {
				t.Fatalf("%v: %d %s", c, w.Code, w.Body)
			}
			id, _ := h.readThanks(strings.TrimPrefix(w.Header().Get("Location"), "/privacy/thanks/"))
			e, err := getEnquiry(t.Context(), h.DB, id)
			if err != nil || e.Quarantine != c.want {
				t.Errorf("%v: %q, %v", c, e.Quarantine, err)
			}
		}
		h.drain(t)
		if len(h.Room.Find("")) != 0 || len(h.handed) != 0 {
			t.Error("what was put aside was acted upon")
		}
		h.pass(15 * 24 * time.Hour)
		if err := h.dropAside(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := h.count(t, "enquiry"); n != 0 {
			t.Errorf("%d are kept after 14 days", n)
		}
	})
}

// The sixth message under one address within an hour is put aside: nobody's
// mailbox is filled with receipts by a stranger.
func TestManyUnderOneAddress(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		for i := range 8 {
			h.submitForm(with(ok(), "message", strings.Repeat("x", i+1)))
		}
		h.drain(t)
		if n := len(h.Room.Find("kanarie")); n != receiptsPerHour {
			t.Errorf("%d receipts", n)
		}
		if n := h.count(t, "enquiry"); n != 8 {
			t.Errorf("%d stored", n)
		}
	})
}

func TestFormPages(t *testing.T) {
	h := newHouse(t, lite(t))
	w := h.get("/privacy/form/contact?lang=da")
	contains(t, w.Body.String(), "Skriv til os", "Uden navn intet svar.", "(skal udfyldes)", "(frivilligt)", "Svare på henvendelser",
		"Vi bruger det til at svare.", `name="_token"`, `autocomplete="email"`, "Hjælpedisk ApS", "Datatilsynet")
	contains(t, h.get("/privacy/form/contact?lang=en").Body.String(), "Write to us", "(required)", "Without a name no answer.")
	if strings.Contains(w.Body.String(), "⟦") {
		t.Error("a text is missing")
	}
	if w := h.get("/privacy/form/none"); w.Code != http.StatusNotFound {
		t.Error(w.Code)
	}
	contains(t, h.get("/_tillid/forms/contact").Body.String(), `"_token"`, `"max_length": 100`)
}

// A form that was rendered here but is no longer declared is politely gone.
func TestClosedForm(t *testing.T) {
	h := newHouse(t, lite(t))
	token := h.formToken("old")
	if w := h.post("/_tillid/forms/old", "application/x-www-form-urlencoded", with(ok(), "_token", token).Encode()); w.Code != http.StatusGone {
		t.Error(w.Code)
	}
}
