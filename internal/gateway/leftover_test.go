package gateway

import (
	"net/http/httptest"
	"slices"
	"testing"
)

// What is left after a withdrawal is listed by name, without what may tell one
// visitor from another; for a host that is not ours nothing is.
func TestLeftover(t *testing.T) {
	s := newRig(t, "enforce", nil)
	r := httptest.NewRequest("POST", "https://"+siteHost+"/_tillid/left", nil)
	for _, name := range []string{"profile", "user:anna@example.dk", "cart_81632", "ab_3f9c1d7e-22b1-4c0a"} {
		s.Leftover(r, "local_storage", name, "/kunde/12345")
	}
	s.Leftover(httptest.NewRequest("POST", "https://other.example/", nil), "cookie", "x", "/")
	var got []string
	for f := range s.drift.found {
		if f.Detail != "local_storage" || f.Page != "/kunde/*" || f.Kind != "cookie" {
			t.Errorf("%+v", f)
		}
		got = append(got, f.Subject)
	}
	for _, want := range []string{"profile", "*", "cart_*", "ab_*"} {
		if !slices.Contains(got, want) {
			t.Errorf("%q is not among %q", want, got)
		}
	}
	if len(got) != 4 {
		t.Errorf("%d are listed", len(got))
	}
}
