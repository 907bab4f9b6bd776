package web

import (
	"compress/gzip"
	"io"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestStatic(t *testing.T) {
	for _, name := range []string{"base.css", "public.css", "backoffice.css", "icon.svg", "vendor/tabler/tabler.min.css"} {
		u, err := Asset(name)
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest("GET", u, nil)
		r.Header.Set("Accept-Encoding", "gzip, br")
		w := httptest.NewRecorder()
		Static().ServeHTTP(w, r)
		h := w.Header()
		if w.Code != 200 || !strings.Contains(h.Get("Cache-Control"), "immutable") || h.Get("Content-Encoding") != "gzip" ||
			h.Get("X-Content-Type-Options") != "nosniff" || !strings.HasPrefix(h.Get("Content-Type"), map[bool]string{true: "text/css", false: "image/svg+xml"}[strings.HasSuffix(name, "css")]) {
			t.Errorf("%s: %d %v", name, w.Code, h)
		}
		z, err := gzip.NewReader(w.Body)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(z)
		if err != nil || len(b) == 0 {
			t.Errorf("%s: %d bytes, %v", name, len(b), err)
		}
		if strings.Contains(string(b), "url(http") || strings.Contains(string(b), "@import") {
			t.Errorf("%s asks another host", name)
		}
	}
	if _, err := Asset("nothing.css"); err == nil {
		t.Error("an address for a file that is not there")
	}
	for _, target := range []string{"/_tillid/static/", "/_tillid/static/public.css", "/_tillid/static/../web.go", "/_tillid/brand/x.css", "/_tillid/brand/11223g.css", "/_tillid/brand/112233"} {
		w := httptest.NewRecorder()
		Static().ServeHTTP(w, httptest.NewRequest("GET", target, nil))
		if w.Code == 200 || strings.Contains(w.Header().Get("Cache-Control"), "immutable") {
			t.Errorf("%s: %d", target, w.Code)
		}
	}
}

// Public pages stay small: what a visitor downloads for a page of text.
func TestPublicStyleIsSmall(t *testing.T) {
	n := 0
	for _, name := range []string{"base.css", "public.css"} {
		n += len(zip(assets()[name].body))
	}
	if n > 8<<10 {
		t.Errorf("%d bytes compressed", n)
	}
}

// Whatever accent a house declares, text in it can be read on both grounds.
func TestBrandContrast(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var c colour
		for i := range c {
			c[i] = float64(rapid.ByteRange(0, 255).Draw(t, "part")) / 255
		}
		css := brandCSS(c)
		_, light, _ := strings.Cut(css, "--accent:#")
		_, dark, _ := strings.Cut(light, "--accent:#")
		if got := contrast(parseColour(light[:6]), white); got < 6.9 {
			t.Errorf("%s on white: %.2f", light[:6], got)
		}
		if got := contrast(parseColour(dark[:6]), night); got < 6.9 {
			t.Errorf("%s on the dark ground: %.2f", dark[:6], got)
		}
	})
	w := httptest.NewRecorder()
	Static().ServeHTTP(w, httptest.NewRequest("GET", brandURL("#0B5563"), nil))
	if w.Code != 200 || !strings.Contains(w.Body.String(), "--accent:#0b5563") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if got := brandURL("red;}"); got != "" {
		t.Errorf("brand %q", got)
	}
}

var physical = regexp.MustCompile(`(?:margin|padding|border)-(?:left|right)|[;{ ](?:left|right) ?:|(?:text-align|float): ?(?:left|right)`)

// Public pages turn around with the direction of their language: their style names
// no left and no right.
func TestPublicStyleHasNoSides(t *testing.T) {
	for _, name := range []string{"base.css", "public.css", "frame.css"} {
		b, err := staticFiles.ReadFile("static/" + name)
		if err != nil {
			t.Fatal(err)
		}
		for i, line := range strings.Split(string(b), "\n") {
			if m := physical.FindString(line); m != "" {
				t.Errorf("%s:%d: %s", name, i+1, m)
			}
		}
	}
}
