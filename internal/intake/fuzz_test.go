package intake

import (
	"errors"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tillid/tillid/internal/fault"
)

// Whatever is posted is either read or refused with a fault; values are text.
func FuzzDecode(f *testing.F) {
	f.Add("application/x-www-form-urlencoded", "name=a&email=b%40c&name=%zz")
	f.Add("application/json", `{"name":"a","x":1.5e9,"y":null,"z":true}`)
	f.Add("application/json; charset=utf-8", `{"a":{"b":["c"]}}`)
	f.Add("multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nb\r\n--x--\r\n")
	f.Add("multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=\"a\"; filename=\"b\"\r\n\r\n\r\n--x--\r\n")
	f.Fuzz(func(t *testing.T, kind, body string) {
		r := httptest.NewRequest("POST", "/", strings.NewReader(body))
		r.Header.Set("Content-Type", kind)
		values, err := decode(httptest.NewRecorder(), r, sizes{4096, 8192}, noFile)
		if f := (*fault.Error)(nil); err != nil && !errors.As(err, &f) {
			t.Errorf("not a fault: %v", err)
		}
		if err == nil && len(values) > maxKeys {
			t.Errorf("%d names", len(values))
		}
		for name, value := range values {
			if err == nil && (strings.ContainsRune(name, 0) || strings.ContainsRune(value, 0)) {
				t.Error("NUL came through")
			}
		}
	})
}

// Whatever is typed into an address field and accepted can be put into a letter's head.
func FuzzEmail(f *testing.F) {
	for _, c := range hostile {
		f.Add(c.value)
	}
	f.Fuzz(func(t *testing.T, v string) {
		if validEmail(v) && (strings.ContainsAny(v, "\r\n\x00 ,;<>\"") || strings.Count(v, "@") != 1) {
			t.Errorf("accepted %q", v)
		}
	})
}
