package consent

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"net/http"
	"slices"
	"time"

	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/subject"
	"github.com/tillid/tillid/internal/web"
)

// The cookie's value is base64url of: format (1 byte), offer (8), number of items
// (2), number of moments (1), for each moment its time in seconds (5), a bitmap of
// the items that were answered then and one of those with a yes, the visitor's id
// (16, only with a yes), and a truncated HMAC-SHA256 (16) over all before it. With
// 200 items it is at most 352 characters.
const (
	cookieFormat = 2
	fixedBytes   = 1 + 8 + 2 + 1
	timeBytes    = 5
	visitorBytes = 16
	macBytes     = 16
	maxMoments   = 4
	maxCookie    = 1500 // maxItems items
)

// kept is the content of the cookie.
type kept struct {
	offer   offerID
	moments []choiceMoment // the newest first; each item is in at most one
	visitor subject.Secret
}

// choiceMoment is what was answered at one time.
type choiceMoment struct {
	at       time.Time
	said, on bitmap
}

type bitmap []byte

func newBitmap(n int) bitmap    { return make(bitmap, (n+7)/8) }
func (b bitmap) has(i int) bool { return i/8 < len(b) && b[i/8]&(1<<(i%8)) != 0 }
func (b bitmap) set(i int)      { b[i/8] |= 1 << (i % 8) }

// answer returns what was said to the i-th item, and when.
func (k kept) answer(i int) (said, yes bool, at time.Time) {
	for _, m := range k.moments {
		if m.said.has(i) {
			return true, m.on.has(i), m.at
		}
	}
	return false, false, time.Time{}
}

// moments groups answers by when they were given. More moments than fit become
// one with the older time, so that nothing lasts longer than it may.
func moments(answers []answer) []choiceMoment {
	var times []time.Time
	for _, a := range answers {
		if at := a.at.Truncate(time.Second); a.said && !slices.ContainsFunc(times, at.Equal) {
			times = append(times, at)
		}
	}
	slices.SortFunc(times, func(a, b time.Time) int { return b.Compare(a) })
	var all []choiceMoment
	for n, at := range times {
		if n < maxMoments {
			all = append(all, choiceMoment{at, newBitmap(len(answers)), newBitmap(len(answers))})
		}
		m := &all[len(all)-1]
		m.at = at
		for i, a := range answers {
			if a.said && a.at.Truncate(time.Second).Equal(at) {
				if m.said.set(i); a.yes {
					m.on.set(i)
				}
			}
		}
	}
	return all
}

func (s *Service) mac(b []byte) []byte {
	h := hmac.New(sha256.New, s.Secret)
	h.Write([]byte(policy.ChoiceCookie + "\x00"))
	h.Write(b)
	return h.Sum(nil)[:macBytes]
}

// encode returns the cookie's value for a state. That of a no tells nobody
// apart: it holds no id, and of the time only the day.
func (s *Service) encode(o *offer, state State) string {
	b := append([]byte{cookieFormat}, o.id[:]...)
	b = binary.BigEndian.AppendUint16(b, uint16(len(o.items)))
	all := moments(state.answers)
	b = append(b, byte(len(all)))
	for _, m := range all {
		var at [8]byte
		binary.BigEndian.PutUint64(at[:], uint64(m.at.Unix()))
		b = append(append(append(b, at[8-timeBytes:]...), m.said...), m.on...)
	}
	if id, err := hex.DecodeString(state.Visitor.Reveal()); err == nil && len(id) == visitorBytes && len(state.granted) > 0 {
		b = append(b, id...)
	}
	return base64.RawURLEncoding.EncodeToString(append(b, s.mac(b)...))
}

// decode checks and reads the cookie's value.
func (s *Service) decode(v string) (kept, bool) {
	if len(v) > maxCookie || len(s.Secret) < 32 {
		return kept{}, false
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(v)
	if err != nil || len(b) < fixedBytes+macBytes || b[0] != cookieFormat {
		return kept{}, false
	}
	b, mac := b[:len(b)-macBytes], b[len(b)-macBytes:]
	if !hmac.Equal(mac, s.mac(b)) {
		return kept{}, false
	}
	var k kept
	copy(k.offer[:], b[1:9])
	size, n := (int(binary.BigEndian.Uint16(b[9:11]))+7)/8, int(b[11])
	rest := b[fixedBytes:]
	if left := len(rest) - n*(timeBytes+2*size); n > maxMoments || left != 0 && left != visitorBytes {
		return kept{}, false
	}
	for range n {
		at := binary.BigEndian.Uint64(append(make([]byte, 8-timeBytes), rest[:timeBytes]...))
		k.moments = append(k.moments, choiceMoment{
			at:   time.Unix(int64(at), 0).UTC(),
			said: bitmap(rest[timeBytes : timeBytes+size]), on: bitmap(rest[timeBytes+size : timeBytes+2*size]),
		})
		rest = rest[timeBytes+2*size:]
	}
	if len(rest) > 0 {
		k.visitor = subject.Secret(hex.EncodeToString(rest))
	}
	return k, true
}

// reach returns the domain of the cookie: "" for the host alone. At a consent_host
// it is the domain which that name and the site's own share.
func (o *offer) reach(r *http.Request) string {
	if o.plan == nil || o.plan.SiteByConsentHost(r.Host) == nil {
		return ""
	}
	return policy.Domain(r.Host)
}

// setChoice sends the cookie. Only the server reads it, on the site's own host or,
// for a site beside Tillid, on every name of its domain.
func (s *Service) setChoice(w http.ResponseWriter, r *http.Request, o *offer, state State) {
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // Secure follows the connection; the demo is on http
		Name: policy.ChoiceCookie, Value: s.encode(o, state), Path: "/", Domain: o.reach(r),
		MaxAge:   int(o.until(state.At).Sub(s.Now()) / time.Second),
		HttpOnly: true, Secure: web.HTTPS(r), SameSite: http.SameSiteLaxMode,
	})
}
