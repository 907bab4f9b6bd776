package consent

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"net/http"
	"time"

	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/subject"
	"github.com/tillid/tillid/internal/web"
)

// The cookie's value is base64url of: format (1 byte), offer (8), time in
// seconds (5), number of bytes of the bitmap (1), bitmap of the granted items in
// the offer's order, the visitor's id (16, only with a yes), and a truncated
// HMAC-SHA256 (16) over all before it.
const (
	cookieFormat = 1
	fixedBytes   = 1 + 8 + 5 + 1
	visitorBytes = 16
	macBytes     = 16
	maxCookie    = 600
)

// kept is the content of the cookie.
type kept struct {
	offer   offerID
	at      time.Time
	bits    []byte
	visitor subject.Secret
}

func (k kept) granted(i int) bool {
	return i/8 < len(k.bits) && k.bits[i/8]&(1<<(i%8)) != 0
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
	bits := make([]byte, (len(o.items)+7)/8)
	for i, it := range o.items {
		for _, id := range state.granted {
			if id == it.ID {
				bits[i/8] |= 1 << (i % 8)
			}
		}
	}
	b := append([]byte{cookieFormat}, o.id[:]...)
	var at [8]byte
	binary.BigEndian.PutUint64(at[:], uint64(state.At.Unix()))
	b = append(b, at[3:]...)
	b = append(append(b, byte(len(bits))), bits...)
	if id, err := hex.DecodeString(state.Visitor.Reveal()); err == nil && len(id) == visitorBytes && len(state.granted) > 0 {
		b = append(b, id...)
	}
	return base64.RawURLEncoding.EncodeToString(append(b, s.mac(b)...))
}

// decode checks and reads the cookie's value.
func (s *Service) decode(v string) (k kept, ok bool) {
	if len(v) > maxCookie || len(s.Secret) < 32 {
		return k, false
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(v)
	if err != nil || len(b) < fixedBytes+macBytes || b[0] != cookieFormat {
		return k, false
	}
	b, mac := b[:len(b)-macBytes], b[len(b)-macBytes:]
	if !hmac.Equal(mac, s.mac(b)) {
		return k, false
	}
	copy(k.offer[:], b[1:9])
	k.at = time.Unix(int64(binary.BigEndian.Uint64(append(make([]byte, 3), b[9:14]...))), 0).UTC()
	n, rest := int(b[14]), b[fixedBytes:]
	if len(rest) != n && len(rest) != n+visitorBytes {
		return k, false
	}
	k.bits = rest[:n]
	if id := rest[n:]; len(id) > 0 {
		k.visitor = subject.Secret(hex.EncodeToString(id))
	}
	return k, true
}

// setChoice sends the cookie. Only the server reads it, on the site's own host.
func (s *Service) setChoice(w http.ResponseWriter, r *http.Request, o *offer, state State) {
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // Secure follows the connection; the demo is on http
		Name: policy.ChoiceCookie, Value: s.encode(o, state), Path: "/",
		MaxAge:   int(o.until(state.At).Sub(s.Now()) / time.Second),
		HttpOnly: true, Secure: web.HTTPS(r), SameSite: http.SameSiteLaxMode,
	})
}
