package consent

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/tillid/tillid/internal/db/dbtest"
)

// tell sends JSON to an address of the script.
func (v *visitor) tell(path, body string) *httptest.ResponseRecorder {
	r := v.request("POST", path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	return v.do(r)
}

// deleted returns the cookies that an answer deletes; each must be well-formed.
func deleted(t *testing.T, w *httptest.ResponseRecorder) (all []string) {
	t.Helper()
	for _, line := range w.Result().Header["Set-Cookie"] {
		c, err := http.ParseSetCookie(line)
		if err != nil || c.MaxAge >= 0 || strings.ContainsAny(line, "\r\n") {
			t.Fatalf("%q: %v", line, err)
		}
		all = append(all, c.Name+" "+c.Domain+" "+c.Path)
	}
	return all
}

// Cookies of a page's folders are deleted by name, in a body and never in an address.
// Rows: A3.
func TestForgetByName(t *testing.T) {
	h := newHouse(t, dbtest.Lite(t))
	v := h.visitor()
	w := v.tell(forgetPath, `{"from":0,"page":"/shop/sk%C3%B8/a.html?q=1#x","names":["_ga","_ga_X1","PHPSESSID","tillid_choice","__Host-tillid"]}`)
	var got struct{ More int }
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != http.StatusOK || w.Header().Get("Cache-Control") != "no-store" {
		t.Fatal(w.Code, w.Body, err)
	}
	all := deleted(t, w)
	for rounds := 0; got.More > 0; rounds++ {
		if rounds > 20 {
			t.Fatal("it never ends")
		}
		body, _ := json.Marshal(map[string]any{"from": got.More, "page": "/shop/sk%C3%B8/a.html", "names": []string{"_ga", "_ga_X1"}})
		got.More = 0
		w = v.tell(forgetPath, string(body))
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		all = append(all, deleted(t, w)...)
	}
	for _, want := range []string{"_ga  /shop/sk%C3%B8/", "_ga_X1 eksempel.example /shop", "_ga www.eksempel.example /shop/sk%C3%B8/a.html"} {
		if !slices.Contains(all, want) {
			t.Errorf("%s stays", want)
		}
	}
	for _, d := range all {
		if strings.HasPrefix(d, "PHPSESSID") || strings.HasPrefix(d, "tillid") || strings.HasPrefix(d, "__Host") || strings.Contains(d, "?") {
			t.Errorf("deleted too much: %s", d)
		}
	}
	v.send(`{"do":"all"}`)
	if got := deleted(t, v.tell(forgetPath, `{"page":"/","names":["_ga"]}`)); len(got) > 0 {
		t.Errorf("what is granted is deleted: %v", got)
	}
	if w := v.do(v.request("GET", forgetPath+"?from=0&names=_ga&page=/x&return=/shop/", nil)); w.Code != http.StatusSeeOther {
		t.Errorf("a GET: %d", w.Code)
	}
}

// Whatever is sent to the two addresses that take names of storage, the answer is a
// clear one, of bounded size, and deletes and reports nothing strange.
func TestHostileNames(t *testing.T) {
	h := newHouse(t, dbtest.Lite(t))
	var pages []string
	h.Leftover = func(_ *http.Request, _, _, page string) { pages = append(pages, page) }
	v := h.visitor()
	long := strings.Repeat("x", maxLeft)
	for _, path := range []string{forgetPath, leftPath} {
		for body, want := range map[string]int{
			"": 400, "{": 400, "[]": 422, "null": 200, `{"names":"x"}`: 422, `{"odd":1}`: 422, `{} {}`: 400, `{"page":["/"]}`: 422,
			`{"page":"` + long + `"}`: 413, "\xff\xfe": 400, strings.Repeat("[", 10000): 400,
		} {
			w := v.tell(path, body)
			if w.Code == http.StatusNoContent {
				w.Code = http.StatusOK
			}
			if w.Code != want {
				t.Errorf("%s %.20q: %d, want %d", path, body, w.Code, want)
			}
		}
		for name, header := range map[string]http.Header{"from another site": {"Sec-Fetch-Site": {"cross-site"}, "Content-Type": {"application/json"}}, "as a form": {"Content-Type": {"text/plain"}}} {
			r := v.request("POST", path, strings.NewReader(`{}`))
			r.Header = header
			if w := v.do(r); w.Code < 400 || w.Code >= 500 {
				t.Errorf("%s, %s: %d", path, name, w.Code)
			}
		}
	}
	odd := []string{"_ga_x\r\nSet-Cookie: a=b", "_ga_;Domain=evil.test", "_ga_ x", "_ga_=y", "_ga_\x00", "_ga_ø", "", "*", "_ga_*", "__Host-_ga", "_ga_" + strings.Repeat("n", 200)}
	for _, page := range []string{"", "https://evil.test/a/b", "//evil.test/a", "/a\r\nSet-Cookie: x=y/", "/a;Domain=evil.test/b", "/a\\b", "javascript:alert(1)", "/" + strings.Repeat("a/", 5000), "/privacy/me/SECRET", "/_tillid/../privacy/me/SECRET/", "/x/../privacy/me/SECRET", "/%00/a", "/%zz"} {
		for _, from := range []int{-1 << 40, 0, 1 << 40} {
			body, _ := json.Marshal(map[string]any{"from": from, "page": page, "names": odd})
			w := v.tell(forgetPath, string(body))
			if w.Code != http.StatusOK && w.Code != http.StatusRequestEntityTooLarge {
				t.Errorf("%.40q: %d", page, w.Code)
			}
			all := deleted(t, w)
			if len(all) > maxExpiries {
				t.Errorf("%.40q: %d cookies in one answer", page, len(all))
			}
			for _, d := range all {
				if strings.Contains(d, "evil") || strings.Contains(d, "SECRET") || strings.HasPrefix(d, "a ") || strings.HasPrefix(d, "tillid") {
					t.Errorf("%.40q deletes %s", page, d)
				}
			}
		}
		body, _ := json.Marshal(map[string]any{"page": page, "local": odd, "cookies": odd})
		if w := v.tell(leftPath, string(body)); w.Code != http.StatusNoContent && w.Code != http.StatusRequestEntityTooLarge {
			t.Errorf("left, %.40q: %d", page, w.Code)
		}
	}
	for _, page := range pages {
		if strings.Contains(page, "evil.test/") || strings.Contains(page, "SECRET") || len(page) > maxReturn || strings.ContainsAny(page, "\r\n?#") {
			t.Errorf("reported with the page %.60q", page)
		}
	}
	if len(pages) == 0 {
		t.Error("nothing was reported at all")
	}
}
