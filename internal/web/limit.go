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

// ClientIP returns the address of the visitor. X-Forwarded-For counts only when
// the connection comes from a trusted proxy, and then its right-most entry that
// is not itself a trusted proxy. The zero Addr means that it cannot be told.
func ClientIP(r *http.Request, trusted []netip.Prefix) netip.Addr {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{}
	}
	addr = addr.Unmap().WithZone("")
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && within(addr, trusted); i-- {
		hop, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break
		}
		addr = hop.Unmap().WithZone("")
	}
	return addr
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
