package gateway

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
)

// Rules that stay on the site pass byte for byte; others do not stand.
func TestSpeculationRules(t *testing.T) {
	wordpress := `{"prefetch":[{"source":"document","where":{"and":[{"href_matches":"\/*"},{"not":{"href_matches":["\/wp-*.php"]}},{"not":{"selector_matches":"a[rel~=\"nofollow\"]"}}]},"eagerness":"conservative"}]}`
	for rules, stays := range map[string]bool{
		wordpress: true, `{}`: true, `{"prefetch":[{"urls":["/next","https://` + siteHost + `/a"]}]}`: true,
		`{"prefetch":[{"urls":["https://spy.test/"]}]}`: false, `{"prefetch":[{"urls":["https:\/\/spy.test\/"]}]}`: false, `{"prerender":[{"urls":["/a"]},{"urls":["//spy.test/"]}]}`: false,
		`{"prefetch":[{"source":"document"}]}`: false, `{"prefetch":[{"where":{"selector_matches":".x"}}]}`: false, `{"prefetch":[{"where":{"href_matches":"*://*/*"}}]}`: false,
		`{"prefetch":[{"where":{"not":{"href_matches":"/*"}}}]}`: false, `{"prefetch":[{"where":{"or":[{"href_matches":"/*"},{"href_matches":"https://spy.test/*"}]}}]}`: false, `not JSON`: false,
	} {
		g := newRig(t, "enforce", func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/rules.json" {
				w.Header().Set("Content-Type", "application/speculationrules+json")
				io.WriteString(w, rules)
				return
			}
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			io.WriteString(w, `<head><script type="speculationrules">`+rules+`</script></head>`)
		})
		want := `<head><script type="text/plain" data-tillid-type="speculationrules">` + rules + "</script><!--head -->"
		if stays {
			want = `<head><script type="speculationrules">` + rules + "</script><!--head -->"
		}
		if got := body(t, g.get("/")); !strings.HasPrefix(got, want) {
			t.Errorf("in a page: %s", got)
		}
		v := g.visit(httptest.NewRequest("GET", "https://"+siteHost+"/", nil))
		if got := body(t, g.get("/rules.json", "Sec-Fetch-Dest", "speculationrules")); (got == rules) != stays || !stays && got != "{}" {
			t.Errorf("in a file: %s becomes %s", rules, got)
		}
		w := newRewriter(io.NopCloser(iotest.OneByteReader(strings.NewReader(`<head><script type=speculationrules>`+rules+`</script></head>`))), markup{rules: func(b []byte) bool { return g.rules(v, b) }})
		out, err := io.ReadAll(w)
		if err != nil || strings.Contains(string(out), "text/plain") == stays {
			t.Errorf("byte by byte: %s %v", out, err)
		}
	}
}
