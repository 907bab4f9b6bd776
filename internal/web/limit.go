package web

import (
	"container/list"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// ClientIP returns the address of the visitor. What a request says of its way
// (X-Forwarded-For, or Forwarded of RFC 7239) counts only when the connection comes
// from a trusted proxy, and then its right-most entry that is not itself a trusted
// proxy. When both say something and differ, one of them may have been written by
// the visitor: then neither counts. The zero Addr means that it cannot be told.
func ClientIP(r *http.Request, trusted []netip.Prefix) netip.Addr {
	peer := peerOf(r)
	if !within(peer, trusted) {
		return peer
	}
	listed, forwarded := r.Header["X-Forwarded-For"], r.Header["Forwarded"]
	if len(forwarded) == 0 {
		return walk(peer, strings.Split(strings.Join(listed, ","), ","), trusted)
	}
	standard := walk(peer, forwardedFor(forwarded), trusted)
	if len(listed) > 0 && walk(peer, strings.Split(strings.Join(listed, ","), ","), trusted) != standard {
		return peer
	}
	return standard
}

func peerOf(r *http.Request) netip.Addr {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{}
	}
	return addr.Unmap().WithZone("")
}

// walk goes from the connection's peer back along the hops, as long as the one
// reached is trusted to have told the truth about the one before it.
func walk(addr netip.Addr, hops []string, trusted []netip.Prefix) netip.Addr {
	for i := len(hops) - 1; i >= 0 && within(addr, trusted); i-- {
		hop, ok := hopOf(strings.TrimSpace(hops[i]))
		if !ok {
			break
		}
		addr = hop
	}
	return addr
}

// hopOf reads an entry: an address, with or without a port.
func hopOf(s string) (netip.Addr, bool) {
	if a, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return a.Unmap().WithZone(""), true
	}
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr().Unmap().WithZone(""), true
	}
	return netip.Addr{}, false // "unknown", a hidden name, or nonsense
}

// forwardedFor returns the for= of each element of Forwarded headers, in order;
// "" for an element that has none.
func forwardedFor(lines []string) []string {
	var hops []string
	for _, element := range elements(strings.Join(lines, ","), ',') {
		hops = append(hops, parameter(element, "for"))
	}
	return hops
}

func parameter(element, name string) string {
	for _, pair := range elements(element, ';') {
		key, value, ok := strings.Cut(pair, "=")
		if ok && strings.EqualFold(strings.TrimSpace(key), name) {
			value = strings.TrimSpace(value)
			if len(value) >= 2 && value[0] == '"' && value[len(value)-1] == '"' {
				value = strings.ReplaceAll(value[1:len(value)-1], `\`, "")
			}
			return value
		}
	}
	return ""
}

// elements splits at a separator outside quotes.
func elements(s string, separator byte) []string {
	var all []string
	quoted, from := false, 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && quoted:
			i++
		case c == '"':
			quoted = !quoted
		case c == separator && !quoted:
			all = append(all, s[from:i])
			from = i + 1
		}
	}
	return append(all, s[from:])
}

// Proto returns by which scheme the visitor came, as far as a trusted proxy or
// the connection itself says; else what HTTPS takes for granted.
func Proto(r *http.Request, trusted []netip.Prefix) string {
	if r.TLS == nil && within(peerOf(r), trusted) {
		said := r.Header.Get("X-Forwarded-Proto")
		if lines := r.Header["Forwarded"]; said == "" && len(lines) > 0 {
			all := elements(strings.Join(lines, ","), ',')
			said = parameter(all[len(all)-1], "proto")
		}
		switch said = strings.ToLower(strings.TrimSpace(said)); said {
		case "http", "https":
			return said
		}
	}
	if HTTPS(r) {
		return "https"
	}
	return "http"
}

func within(a netip.Addr, prefixes []netip.Prefix) bool {
	for _, p := range prefixes {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// NetOf returns the network that limits are counted for: /24 of IPv4, /56 of IPv6.
func NetOf(a netip.Addr) netip.Prefix {
	bits := 56
	if a = a.Unmap(); a.Is4() {
		bits = 24
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}

// Limiter limits how often each network may do something in this process. No
// address is kept: networks are told apart by a hash with a key that lives for an hour
// and is never written down, and with the key all that was counted goes. The zero value
// of Keep keeps 10,000 networks; the one not seen for longest is forgotten first.
type Limiter struct {
	Every time.Duration // one more is allowed after this time
	Burst int           // so many at once
	Keep  int

	mu    sync.Mutex
	key   []byte
	until time.Time // of the key
	nets  map[netHash]*list.Element
	order list.List // of *counted, newest first
}

// keyLife is how long a limiter's key lives.
const keyLife = time.Hour

// netHash stands for a network while the key lives.
type netHash [16]byte

type counted struct {
	net netHash
	lim *rate.Limiter
}

// Allow counts one act at now; it returns TooMany with the time to wait when that was one too many.
func (l *Limiter) Allow(a netip.Addr, now time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rotate(now)
	lim := l.of(l.hash(a))
	r := lim.ReserveN(now, 1)
	if d := r.DelayFrom(now); d > 0 {
		r.CancelAt(now)
		return TooMany(d)
	}
	return nil
}

func (l *Limiter) rotate(now time.Time) {
	if l.key != nil && now.Before(l.until) {
		return
	}
	l.key, l.until = make([]byte, sha256.Size), now.Add(keyLife)
	rand.Read(l.key)
	l.nets = map[netHash]*list.Element{}
	l.order.Init()
}

func (l *Limiter) hash(a netip.Addr) (h netHash) {
	b, _ := NetOf(a).MarshalBinary() // never fails
	m := hmac.New(sha256.New, l.key)
	m.Write(b)
	copy(h[:], m.Sum(nil))
	return h
}

func (l *Limiter) of(net netHash) *rate.Limiter {
	if e := l.nets[net]; e != nil {
		l.order.MoveToFront(e)
		return e.Value.(*counted).lim
	}
	keep := l.Keep
	if keep == 0 {
		keep = 10_000
	}
	for l.order.Len() >= keep {
		oldest := l.order.Remove(l.order.Back()).(*counted)
		delete(l.nets, oldest.net)
	}
	c := &counted{net, rate.NewLimiter(rate.Every(l.Every), l.Burst)}
	l.nets[net] = l.order.PushFront(c)
	return c.lim
}
