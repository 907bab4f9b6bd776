//go:build e2e

package consent

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/tillid/tillid/examples/eksempel"
	"github.com/tillid/tillid/internal/policy"
)

// quiet is the example without anything that needs consent.
func quiet(t *testing.T, upstream string) *policy.Plan {
	t.Helper()
	src, err := eksempel.Files.ReadFile("tillid.yaml")
	if err != nil {
		t.Fatal(err)
	}
	s := string(src)
	without := func(from, to string) {
		before, rest, ok := strings.Cut(s, from)
		at := strings.Index(rest, to)
		if !ok || at < 0 {
			t.Fatalf("the example has no %q before %q", from, to)
		}
		s = before + rest[at:]
	}
	without("\nservices:\n", "\ndevice_access:\n")
	without("\n  _ga:\n", "\n# --- Where people type")
	without("    outbound: mark\n", "    ") // marking links is not asked about, and is a script of its own
	plan, problems := policy.Parse("tillid.yaml", []byte(strings.Replace(s, "http://127.0.0.1:8081", upstream, 1)), eksempel.Files)
	if plan == nil {
		t.Fatal(problems)
	}
	return plan
}

// Where nothing needs consent the gateway sends no banner: pages pass byte for byte,
// and the browser still loads nothing that is not declared.
// Rows: A1.
func TestNoBannerWhereNothingIsAsked(t *testing.T) {
	body := `<!doctype html><html lang="en"><head><title>x</title><script>window.own = 1</script></head><body><h1>Page</h1><footer>end</footer></body></html>`
	st := newStage(t, "enforce", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		io.WriteString(w, body)
	}))
	get := func() (string, string) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, st.site.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host, r.Header["Sec-Fetch-Dest"] = siteHost, []string{"document"}
		a, err := st.site.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Body.Close()
		got, err := io.ReadAll(a.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(got), a.Header.Get("Content-Security-Policy")
	}
	if got, _ := get(); !strings.Contains(got, "/_tillid/t.js") {
		t.Fatalf("with something to ask, the page is %s", got)
	}
	st.publish(quiet(t, st.Plan().Sites[0].Upstream))
	if got, allows := get(); got != body || !strings.Contains(allows, "default-src") {
		t.Errorf("with nothing to ask, the page is %s, under %q", got, allows)
	}
}
