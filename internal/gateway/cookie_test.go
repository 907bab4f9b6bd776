package gateway

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/tillid/tillid/internal/db/dbtest"
)

// A cookie that nobody could know of passes for the site's grace, loudly listed.
// Rows: A2.
func TestCookieGrace(t *testing.T) {
	for _, test := range []struct {
		grace, name string
		days        int
		want        bool
	}{
		{"", "cart", 0, true}, {"", "cart", 6, true}, {"", "cart", 7, false}, {"P1D", "cart", 1, false}, {"PT0S", "cart", 0, false}, {"", "cart_12345678", 7, false},
	} {
		var cookie string
		g := newRig(t, "enforce", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Set-Cookie", cookie+"=1; Path=/; HttpOnly")
			page(w, r)
		})
		g.DB = dbtest.Open(t, dbtest.Lite(t)("house"))
		if test.grace != "" {
			if err := g.plan.Sites[0].Grace.UnmarshalText([]byte(test.grace)); err != nil {
				t.Fatal(err)
			}
		}
		set := func(name string) bool { cookie = name; return g.get("/").Header.Get("Set-Cookie") != "" }
		first := set(test.name)
		if err := g.flush(t.Context(), true); err != nil {
			t.Fatal(err)
		}
		g.now = g.now.AddDate(0, 0, test.days)
		again := set(strings.Replace(test.name, "1234", "9876", 1)) // another visitor's
		if !first || again != test.want {
			t.Errorf("%+v: at first %v, then %v", test, first, again)
		}
		waiting, err := g.Waiting(t.Context(), g.DB)
		if err != nil || (len(waiting) == 1) != test.want || test.want && waiting[0].Subject != "cart" {
			t.Errorf("%+v: listed as waiting: %+v %v", test, waiting, err)
		}
	}
}

// Cookies of every form are told apart, and pass byte for byte.
func TestCookieForms(t *testing.T) {
	lines := []string{
		"session=a b; Path=/; HttpOnly", "__Host-cart=1; Path=/; Secure", "basket=1; Secure; Partitioned; SameSite=None", "=nameless", "session", "__Host-tillid_choice=forged; Path=/; Secure",
		"_count=; expires=Thu, 01-Jan-1970 00:00:10 GMT", "_count=1, own_x=2",
	}
	g := newRig(t, "enforce", func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Set-Cookie"] = slices.Clone(lines)
		page(w, r)
	})
	got := g.get("/").Header["Set-Cookie"]
	want := []string{lines[0], lines[1], lines[2], lines[3], lines[4], lines[6]} // the log-in and the cart: nobody has listed them yet
	if !slices.Equal(got, want) {
		t.Errorf("passes %q, want %q", got, want)
	}
}

func TestCookieName(t *testing.T) {
	for in, want := range map[string]string{
		"PHPSESSID": "PHPSESSID", "_hjSession_1234567": "_hjSession_*", "wp_deadbeef01234567": "wp_*", "feedface": "feedface", "a1": "a1", strings.Repeat("x", 200): strings.Repeat("x", 100),
	} {
		if got := cookieName(in); got != want {
			t.Errorf("%q is kept as %q, want %q", in, got, want)
		}
	}
}
