package app

import (
	"bytes"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/PuerkitoBio/goquery"

	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/text"
	"github.com/tillid/tillid/internal/version"
)

func page(t *testing.T, h http.Handler, host, path string) *goquery.Document {
	t.Helper()
	w := send(t, h, "GET", host, path, nil)
	if w.Code != http.StatusOK {
		t.Fatalf("%s: %d", path, w.Code)
	}
	doc, err := goquery.NewDocumentFromReader(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// The choices page and the cookie declaration say the same, of the same
// declaration, in every language. Rows: A1, A2.
func TestSameFacts(t *testing.T) {
	o, _ := testOptions(t, t.Output())
	h := openHouse(t, folderOf(t, "facts"), o)
	site, _ := h.Handlers()
	for _, l := range h.Plan().Languages {
		const host = "www.facts.test"
		choices, cookies := page(t, site, host, "/privacy/choices?lang="+string(l)), page(t, site, host, "/privacy/cookies?lang="+string(l))
		if a, b := choices.Find(".hash code").Text(), cookies.Find(".hash code").Text(); a != b || a != h.Plan().Hash {
			t.Errorf("%s: hashes %q and %q", l, a, b)
		}
		said := func(path string) string {
			return strings.TrimSpace(cookies.Find(`[data-path="` + path + `"]`).First().Text())
		}
		for _, d := range h.Plan().Device {
			row := choices.Find(`tr[data-device="` + d.ID + `"]`)
			lasts := strings.ToLower(row.Find("td").Eq(2).Text())
			if row.Length() != 1 || !strings.Contains(said("device_access."+d.ID), d.ID) {
				t.Errorf("%s: %s stands %d times on the choices page", l, d.ID, row.Length())
			}
			if other := strings.ToLower(said("device_access." + d.ID + ".duration")); lasts == "" || !strings.Contains(other, lasts) && d.Duration.Approx() > 0 {
				t.Errorf("%s: %s lasts %q and %q", l, d.ID, lasts, other)
			}
			if what := row.Find("td").Eq(1).Text(); !strings.HasPrefix(said("device_access."+d.ID+".description"), strings.TrimSuffix(what, ".")) {
				t.Errorf("%s: %s is for %q and %q", l, d.ID, what, said("device_access."+d.ID+".description"))
			}
		}
		for _, s := range h.Plan().Services {
			party := h.Plan().Party(h.Plan().Engagement(s.Engagement).Party)
			for _, fact := range []string{party.LegalName, text.Country(l, party.Country)} {
				if !strings.Contains(choices.Find(`[id="about-`+s.ID+`"]`).Text(), fact) || !strings.Contains(said("services."+s.ID+".engagement"), fact) {
					t.Errorf("%s: %s: one page does not say %q", l, s.ID, fact)
				}
			}
		}
	}
}

// What a visitor chose under an earlier version stays in force after a restart,
// for what has not changed.
func TestChoiceOutlivesVersion(t *testing.T) {
	onEngines(t, "outlives", func(t *testing.T, dir string) {
		o, _ := testOptions(t, t.Output())
		h := openHouse(t, dir, o)
		site, _ := h.Handlers()
		const host = "www.outlives.test"
		w := send(t, site, "POST", host, "/_tillid/consent", url.Values{"do": {"all"}, "lang": {"da"}})
		if w.Code != http.StatusSeeOther {
			t.Fatal(w.Code, w.Body)
		}
		i := slices.IndexFunc(w.Result().Cookies(), func(c *http.Cookie) bool { return c.Name == policy.ChoiceCookie })
		cookie := w.Result().Cookies()[i]
		src, err := os.ReadFile(filepath.Join(dir, "tillid.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		src = bytes.Replace(src, []byte("frame: [www.youtube-nocookie.com]"), []byte("frame: [www.youtube-nocookie.com, player.test]"), 1)
		if _, err := h.versions.Publish(t.Context(), version.Draft{Name: "tillid.yaml", Source: src, Files: Dir(dir), Author: "test", Note: "one more host"}); err != nil {
			t.Fatal(err)
		}
		h.Close()
		h = openHouse(t, dir, o)
		r, err := http.NewRequest("GET", "http://"+host+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.AddCookie(cookie)
		if services, _ := h.consent.Grants(r); slices.Contains(services, "youtube") || len(services) != 4 {
			t.Errorf("in force: %v", services)
		}
	})
}
