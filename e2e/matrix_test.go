//go:build e2e

package e2e

import (
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// The hostile page without Tillid: every way that a test can see gets out. Else
// the tests that say "nothing got out" would show nothing.
func TestWaysGetOut(t *testing.T) {
	s := newSink(t)
	site := httptest.NewServer(hostile(ways, s.port))
	defer site.Close()
	b := outdoors(t, desktop, s, "www.bare.test", secure(t, strings.TrimPrefix(site.URL, "http://")))
	b.open("https://www.bare.test/")
	b.settled()
	asked, connected := s.reached()
	got := append(asked, connected...)
	for _, w := range ways {
		if w.unseen == "" && !slices.Contains(got, w.host()) {
			t.Errorf("%s does not get out: that it is stopped by Tillid shows nothing", w.name)
		}
	}
}

// hostileEstate is a house in enforce mode before the hostile site.
func hostileEstate(t testing.TB, name string, s *sink, more string) (*served, string) {
	t.Helper()
	site := httptest.NewServer(hostile(ways, s.port))
	t.Cleanup(site.Close)
	e := newEstate(t, name, lite)
	e.change(t, e.site.URL, site.URL, "\nservices:\n", "\nservices:\n"+more)
	return e.serve(t), "https://www." + name + ".test"
}

// Rows: A1, A4, A5, A6, A7, A8, A9.
func TestNothingGetsOut(t *testing.T) {
	s := newSink(t)
	house, at := hostileEstate(t, "fjendtlig", s, "")
	b := outdoors(t, desktop, s, "www.fjendtlig.test", secure(t, house.addr))
	b.open(at + "/")
	b.settled()
	if n := eval[int](b, "window.tries"); n != scripts(ways) {
		t.Errorf("only %d of %d calls were tried: the page's own script does not run", n, scripts(ways))
	}
	if !eval[bool](b, `document.getElementById("own").click(), window.clicked === true`) {
		t.Error("the page's own onclick does not run")
	}
	s.onlyFree(t, "before a choice")
	if c := eval[string](b, "document.cookie"); c != "" {
		t.Errorf("storage before a choice: %s", c)
	}
	if eval[bool](b, `document.querySelector(".tillid-banner") === null`) {
		t.Error("there is no banner")
	}
}

// onlyFree fails when the browser reached more than what nothing governs.
func (s *sink) onlyFree(t testing.TB, when string) {
	t.Helper()
	asked, connected := s.reached()
	for i, host := range append(asked, connected...) {
		at := slices.IndexFunc(ways, func(w way) bool { return w.host() == host })
		switch {
		case at >= 0 && ways[at].free != "":
			t.Logf("%s: not stopped: %s: %s", when, ways[at].name, ways[at].free)
		case at >= 0 && ways[at].connects != "" && i >= len(asked):
			t.Logf("%s: connected, not asked: %s: %s", when, ways[at].name, ways[at].connects)
		default:
			t.Errorf("%s: %s was reached", when, host)
		}
	}
}

// split returns the ways that something governs, dealt out to two services.
func split() (a, b []way) {
	for i, w := range ways {
		switch {
		case w.hosts == "" || w.free != "":
		case i%2 == 0:
			a = append(a, w)
		default:
			b = append(b, w)
		}
	}
	return a, b
}

func hostsOf(list []way) (all []string) {
	for _, w := range list {
		all = append(all, w.host())
	}
	return all
}

// A yes to one of two services lets in exactly its hosts; withdrawing puts it out.
// Rows: A1, A3, A5, A6, A7.
func TestExactlyTheDeclaredGetsOut(t *testing.T) {
	s := newSink(t)
	first, second := split()
	house, at := hostileEstate(t, "delvis", s, declared("way_a", "measure_use", first)+declared("way_b", "aim_marketing", second))
	b := outdoors(t, desktop, s, "www.delvis.test", secure(t, house.addr))
	choose := func(services ...string) {
		b.open(at + "/privacy/choices?lang=en")
		for _, id := range services {
			b.do(chromedp.Click("#item-" + id))
		}
		b.press(`button[value="some"]`)
		b.settled()
		s.reached()
	}
	for id, list := range map[string][]way{"way_a": first, "way_b": second} {
		choose(id)
		b.open(at + "/")
		b.settled()
		asked, connected := s.reached()
		for _, w := range list {
			if w.unseen == "" && !slices.Contains(asked, w.host()) && !slices.Contains(connected, w.host()) {
				t.Errorf("after a yes to %s, %s is still stopped", id, w.name)
			}
		}
		for _, host := range append(asked, connected...) {
			if slices.Contains(hostsOf(list), host) || slices.ContainsFunc(ways, func(w way) bool {
				return w.host() == host && (w.free != "" || w.connects != "" && !slices.Contains(asked, host))
			}) {
				continue
			}
			t.Errorf("after a yes to %s, %s was reached", id, host)
		}
		b.open(at + "/privacy/choices?lang=en")
		b.press(`button[value="none"]`)
		b.settled()
		s.reached()
		b.open(at + "/")
		b.settled()
		s.onlyFree(t, "after "+id+" was withdrawn")
	}
}

// declared is a service that lets in some of the ways.
func declared(id, purpose string, list []way) string {
	by := map[string][]string{}
	for _, w := range list {
		by[w.hosts] = append(by[w.hosts], w.host())
	}
	var b strings.Builder
	fmt.Fprintf(&b, "  %s:\n    label: { da: %[1]s, en: %[1]s }\n    purpose: %s\n    category: statistics\n    kind: script\n    gate: consent\n    hosts:\n", id, purpose)
	for _, key := range []string{"script", "connect", "image", "frame", "style", "font", "media", "form", "worker", "object", "manifest"} {
		if len(by[key]) > 0 {
			fmt.Fprintf(&b, "      %s: [%s]\n", key, strings.Join(by[key], ", "))
		}
	}
	return b.String()
}
