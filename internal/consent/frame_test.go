package consent

import (
	"bytes"
	"context"
	"image"
	"image/png"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/PuerkitoBio/goquery"

	"github.com/tillid/tillid/internal/db/dbtest"
)

// placeholder returns what stands in a page in the place of an embed.
func (v *visitor) placeholder(src, service string) *goquery.Selection {
	v.h.t.Helper()
	b := v.h.Placeholder(v.request("GET", "/film", nil), "en", Embed{Service: service, Host: "host.test", Title: `A "film"`, Width: "640", Height: "360", Src: src})
	doc, err := goquery.NewDocumentFromReader(bytes.NewReader(b))
	if err != nil {
		v.h.t.Fatal(err)
	}
	return doc.Find("body").Children().First()
}

const film = "https://www.youtube-nocookie.com/embed/abc?start=3"

// Rows: A4, A8.
func TestPlaceholder(t *testing.T) {
	h := newHouse(t, dbtest.Lite(t))
	v := h.visitor()
	p := v.placeholder(film, "youtube")
	for _, say := range []string{`A "film"`, "There is a video at YouTube here", "Google learns that your browser fetches it", "Show it once", "Always show YouTube"} {
		if !strings.Contains(p.Text(), say) {
			t.Errorf("it does not say %q", say)
		}
	}
	if p.Find("svg").AttrOr("viewbox", p.Find("svg").AttrOr("viewBox", "")) != "0 0 640 360" || p.Find("img").Length() != 0 {
		t.Error("another size, or a picture that nobody declared")
	}
	frame := p.Find("[data-tillid-once]").AttrOr("formaction", "")
	if inside := p.Find("noscript").Text(); !strings.Contains(inside, "/_tillid/frame?") {
		t.Errorf("without JavaScript: %s", inside)
	}
	w := v.do(v.request("GET", frame, nil))
	if w.Code != 200 || strings.Contains(w.Body.String(), "<iframe") || strings.Contains(w.Header().Get("Content-Security-Policy"), "frame-src") {
		t.Errorf("asking loads: %d %s", w.Code, w.Body)
	}
	r := v.request("POST", frame, nil)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	w = v.do(r)
	doc, err := goquery.NewDocumentFromReader(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	player := doc.Find("iframe")
	if src := player.AttrOr("src", ""); w.Code != 200 || src != "https://www.youtube-nocookie.com/embed/abc?autoplay=1&start=3" {
		t.Errorf("%d plays %q", w.Code, src)
	}
	if _, ok := player.Attr("credentialless"); !ok || player.AttrOr("sandbox", "") == "" {
		t.Error("the player keeps cookies, or may do everything")
	}
	policy := w.Header().Get("Content-Security-Policy")
	if policy != "default-src 'none'; style-src 'self'; frame-src www.youtube-nocookie.com; form-action 'none'; base-uri 'none'; frame-ancestors 'self'" {
		t.Error(policy)
	}
	if h.count("choice") != 0 || len(v.jar.Cookies(siteURL)) != 0 {
		t.Error("showing once leaves a trace")
	}
}

// YouTube's usual address becomes the private one; a granted service plays.
func TestPrivatePlayer(t *testing.T) {
	h := newHouse(t, dbtest.Lite(t))
	v := h.visitor()
	for _, src := range []string{"https://www.youtube.com/embed/abc", "//youtube.com/embed/abc", " HTTPS://WWW.YouTube.com/embed/abc#t"} {
		p := v.placeholder(src, "")
		at, err := url.Parse(p.Find("[data-tillid-once]").AttrOr("formaction", ""))
		if err != nil || at.Query().Get("address") != "https://www.youtube-nocookie.com/embed/abc" {
			t.Errorf("%s: %v", src, at)
		}
	}
	if p := v.placeholder("https://www.youtube.com/watch?v=abc", ""); p.Find("button").Length() != 0 || !strings.Contains(p.Text(), "host.test") {
		t.Error("another page of YouTube is shown")
	}
	v.send(`{"do":"add","services":["youtube"]}`)
	p := v.placeholder("https://www.youtube.com/embed/abc", "")
	if p.AttrOr("src", "") != "https://www.youtube-nocookie.com/embed/abc" || p.AttrOr("width", "") != "640" {
		t.Error(goquery.OuterHtml(p))
	}
}

// The frame shows nothing but what our own pages embed.
func TestFrameIsNoOpenDoor(t *testing.T) {
	h := newHouse(t, dbtest.Lite(t))
	v := h.visitor()
	good, err := url.Parse(v.placeholder(film, "youtube").Find("[data-tillid-once]").AttrOr("formaction", ""))
	if err != nil {
		t.Fatal(err)
	}
	post := func(q url.Values) int {
		r := v.request("POST", framePath+"?"+q.Encode(), nil)
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		return v.do(r).Code
	}
	if code := post(good.Query()); code != 200 {
		t.Fatal(code)
	}
	for name, value := range map[string]string{
		"address": "https://evil.test/", "mac": "AAAA", "service": "google_ads",
	} {
		q := good.Query()
		q.Set(name, value)
		if code := post(q); code != 404 {
			t.Errorf("%s=%s: %d", name, value, code)
		}
	}
	for _, address := range []string{"javascript:alert(1)", "data:text/html,x", "https://evil.test/", "https://www.youtube-nocookie.com@evil.test/", "//www.youtube-nocookie.com/embed/abc", ""} {
		q := url.Values{"service": {"youtube"}, "address": {address}, "mac": {h.frameMAC("youtube", address)}}
		if code := post(q); code != 404 {
			t.Errorf("signed %s: %d", address, code)
		}
	}
	r := v.request("POST", good.String(), nil)
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	if code := v.do(r).Code; code != 403 {
		t.Errorf("from another site: %d", code)
	}
	q := good.Query()
	q.Set("back", "https://evil.test/")
	if body := v.do(v.request("GET", framePath+"?"+q.Encode(), nil)).Body.String(); strings.Contains(body, "evil") {
		t.Error("leads elsewhere")
	}
	h.publish(parse(map[string]string{"frame: [www.youtube-nocookie.com]": "frame: [video.test]"}))
	if code := post(good.Query()); code != 404 {
		t.Errorf("what is no longer declared: %d", code)
	}
}

// A poster comes from this host, and is a picture.
func TestPoster(t *testing.T) {
	h := newHouse(t, dbtest.Lite(t))
	var picture bytes.Buffer
	if err := png.Encode(&picture, image.NewGray(image.Rect(0, 0, 4, 4))); err != nil {
		t.Fatal(err)
	}
	content := picture.Bytes()
	h.File = func(_ context.Context, name string) ([]byte, error) {
		if name != "poster/film.png" {
			return nil, os.ErrNotExist
		}
		return content, nil
	}
	v := h.visitor()
	src := v.placeholder(film, "youtube").Find("img").AttrOr("src", "")
	if !strings.HasPrefix(src, "/_tillid/poster/youtube?") {
		t.Fatalf("poster at %q", src)
	}
	if w := v.do(v.request("GET", src, nil)); w.Code != 200 || w.Header().Get("Content-Type") != "image/png" || !bytes.Equal(w.Body.Bytes(), content) {
		t.Error(w.Code, w.Header())
	}
	content = []byte(`<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>`)
	if w := v.do(v.request("GET", src, nil)); w.Code != 404 {
		t.Error(w.Code, w.Header())
	}
	w := httptest.NewRecorder()
	h.mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "https://"+siteHost+"/_tillid/poster/google_ads", nil))
	if w.Code != 404 {
		t.Error(w.Code)
	}
}
