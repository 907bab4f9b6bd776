package web

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/tillid/tillid/internal/fault"
)

func statusFor(err error) int {
	if err == nil {
		return http.StatusOK
	}
	return statusOf(fault.Of(err))
}

const urlencoded = "application/x-www-form-urlencoded"

func TestDecodeForm(t *testing.T) {
	for name, c := range map[string]struct {
		target, kind, body string
		status             int
	}{
		"good":            {"/", urlencoded, "a=1&b=x+y", 200},
		"charset":         {"/", urlencoded + "; charset=UTF-8", "a=%C3%A6", 200},
		"empty":           {"/", urlencoded, "", 200},
		"list":            {"/", urlencoded, "many=1&many=2", 200},
		"json":            {"/", "application/json", "{}", 415},
		"multipart":       {"/", "multipart/form-data; boundary=x", "", 415},
		"no type":         {"/", "", "a=1", 415},
		"latin 1":         {"/", urlencoded + "; charset=iso-8859-1", "a=1", 415},
		"twice":           {"/", urlencoded, "a=1&a=2", 400},
		"query and body":  {"/?a=1", urlencoded, "a=2", 400},
		"not UTF-8":       {"/", urlencoded, "a=%ff", 400},
		"name not UTF-8":  {"/", urlencoded, "%ff=1", 400},
		"NUL":             {"/", urlencoded, "a=%00", 400},
		"broken escape":   {"/", urlencoded, "a=%zz", 400},
		"semicolon":       {"/", urlencoded, "a=1;b=2", 400},
		"as much as goes": {"/", urlencoded, "a=" + strings.Repeat("x", 98), 200},
		"too much":        {"/", urlencoded, "a=" + strings.Repeat("x", 99), 413},
	} {
		r := httptest.NewRequest("POST", c.target, strings.NewReader(c.body))
		r.Header.Set("Content-Type", c.kind)
		_, err := DecodeForm(httptest.NewRecorder(), r, 100, "many")
		if got := statusFor(err); got != c.status {
			t.Errorf("%s: %d, want %d", name, got, c.status)
		}
	}
}

func FuzzDecodeForm(f *testing.F) {
	for _, s := range []string{"a=1&b=2", "a=%ff", "a=1&a=2", "%00", "a=1;b", "=&="} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		r := httptest.NewRequest("POST", "/", strings.NewReader(body))
		r.Header.Set("Content-Type", urlencoded)
		form, err := DecodeForm(httptest.NewRecorder(), r, 1000)
		if err != nil {
			if s := statusFor(err); s != 400 && s != 413 {
				t.Errorf("status %d", s)
			}
			return
		}
		for name, v := range form {
			if len(v) != 1 || !utf8.ValidString(name+v[0]) || strings.ContainsRune(name+v[0], 0) {
				t.Errorf("%q: %q", name, v)
			}
		}
	})
}

func TestDecodeJSON(t *testing.T) {
	for body, status := range map[string]int{
		`{"a":1}`: 200, `{"a":1,"b":2}`: 422, `{"a":"x"}`: 422, `{"a":1}{}`: 400, `{"a":`: 400, ``: 400, `[`: 400,
		`{"a":` + strings.Repeat(" ", 100) + `1}`: 413,
	} {
		r := httptest.NewRequest("POST", "/", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		var v struct{ A int }
		if got := statusFor(DecodeJSON(httptest.NewRecorder(), r, 100, &v)); got != status {
			t.Errorf("%.20s: %d, want %d", body, got, status)
		}
	}
}
