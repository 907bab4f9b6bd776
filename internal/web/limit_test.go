package web

import (
	"bytes"
	"fmt"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"github.com/tillid/tillid/internal/fault"
)

func TestClientIP(t *testing.T) {
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	for _, c := range []struct {
		remote string
		xff    []string
		want   string
	}{
		{"192.0.2.1:99", nil, "192.0.2.1"},
		{"192.0.2.1:99", []string{"203.0.113.9"}, "192.0.2.1"}, // forged: not a proxy of ours
		{"10.0.0.1:99", []string{"203.0.113.9"}, "203.0.113.9"},
		{"10.0.0.1:99", []string{"198.51.100.1, 203.0.113.9"}, "203.0.113.9"}, // the left one is the visitor's own claim
		{"10.0.0.1:99", []string{"203.0.113.9, 10.0.0.2"}, "203.0.113.9"},
		{"10.0.0.1:99", []string{"203.0.113.9", "10.0.0.2"}, "203.0.113.9"},
		{"10.0.0.1:99", []string{"203.0.113.9, nonsense"}, "10.0.0.1"},
		{"10.0.0.1:99", nil, "10.0.0.1"},
		{"[fd00::1]:99", []string{"2001:db8::7"}, "2001:db8::7"},
		{"[::ffff:192.0.2.1]:99", nil, "192.0.2.1"},
		{"@", nil, "invalid IP"},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = c.remote
		for _, x := range c.xff {
			r.Header.Add("X-Forwarded-For", x)
		}
		if got := ClientIP(r, trusted).String(); got != c.want {
			t.Errorf("%s %v: %s, want %s", c.remote, c.xff, got, c.want)
		}
	}
}

func TestNetOf(t *testing.T) {
	for a, want := range map[string]string{"192.0.2.77": "192.0.2.0/24", "::ffff:192.0.2.77": "192.0.2.0/24", "2001:db8:1:2ff::1": "2001:db8:1:200::/56"} {
		if got := NetOf(netip.MustParseAddr(a)).String(); got != want {
			t.Errorf("%s: %s", a, got)
		}
	}
}

func TestLimiter(t *testing.T) {
	l := &Limiter{Every: time.Second, Burst: 3, Keep: 2}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	a := netip.MustParseAddr("192.0.2.1")
	for range 3 {
		if err := l.Allow(a, now); err != nil {
			t.Fatal(err)
		}
	}
	err := l.Allow(netip.MustParseAddr("192.0.2.200"), now) // same network
	if f := fault.Of(err); f.Kind != fault.TooMany || retryAfter(f) != 1 {
		t.Errorf("%v", err)
	}
	if err := l.Allow(netip.MustParseAddr("198.51.100.1"), now); err != nil {
		t.Error(err)
	}
	if err := l.Allow(a, now.Add(time.Second)); err != nil {
		t.Error(err)
	}
	for i := range 50 {
		l.Allow(netip.MustParseAddr(fmt.Sprintf("203.0.%d.1", i)), now)
	}
	if len(l.nets) != 2 || l.order.Len() != 2 {
		t.Errorf("%d networks kept", len(l.nets))
	}
}

// Forwarded of RFC 7239 counts like X-Forwarded-For, and neither when they differ.
func TestForwarded(t *testing.T) {
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	for _, test := range []struct{ peer, listed, forwarded, want, proto string }{
		{"10.0.0.1:1", "", `for=203.0.113.7;proto=http`, "203.0.113.7", "http"},
		{"10.0.0.1:1", "", `for=6.6.6.6, for="[2001:db8::1]:4711";proto=https, for=10.0.0.2`, "2001:db8::1", "https"},
		{"10.0.0.1:1", "", `for="6.6.6.6, for=7.7.7.7"`, "10.0.0.1", "https"},
		{"10.0.0.1:1", "", "for=_hidden", "10.0.0.1", "https"},
		{"10.0.0.1:1", "203.0.113.7", "for=203.0.113.7", "203.0.113.7", "https"},
		{"10.0.0.1:1", "203.0.113.7", "for=6.6.6.6", "10.0.0.1", "https"},
		{"10.0.0.1:1", "203.0.113.7:99", "", "203.0.113.7", "https"},
		{"198.51.100.9:1", "6.6.6.6", "for=7.7.7.7;proto=http", "198.51.100.9", "https"},
	} {
		r := httptest.NewRequest("GET", "http://www.example.dk/", nil)
		r.RemoteAddr = test.peer
		if test.listed != "" {
			r.Header.Set("X-Forwarded-For", test.listed)
		}
		if test.forwarded != "" {
			r.Header.Set("Forwarded", test.forwarded)
		}
		if got := ClientIP(r, trusted).String(); got != test.want {
			t.Errorf("%+v: %s", test, got)
		}
		if got := Proto(r, trusted); got != test.proto {
			t.Errorf("%+v: %s", test, got)
		}
	}
}

// No address is kept, not even while a flood is counted; with the key all goes.
func TestLimiterKeepsNoAddress(t *testing.T) {
	l := &Limiter{Every: time.Minute, Burst: 1}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	a := netip.MustParseAddr("192.0.2.1")
	if err := l.Allow(a, now); err != nil {
		t.Fatal(err)
	}
	if err := l.Allow(a, now.Add(time.Second)); err == nil {
		t.Error("a flood is let through")
	}
	raw, err := NetOf(a).MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	before := l.hash(a)
	for net := range l.nets {
		if bytes.Contains(net[:], raw[:3]) || net != before {
			t.Error("the network can be read")
		}
	}
	l.rotate(now.Add(keyLife))
	if len(l.nets) != 0 || l.order.Len() != 0 || l.hash(a) == before {
		t.Error("what was counted outlives its key")
	}
	if other := (&Limiter{}); func() netHash { other.rotate(now); return other.hash(a) }() == l.hash(a) {
		t.Error("two limiters have the same key")
	}
}
