package intake

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"time"
)

// Tokens are bound to one purpose each: a form's token opens no thanks page.
const (
	forForm   = "form"
	forThanks = "thanks"
)

// How long a form may lie open, and how fast nobody types.
const (
	tokenLife = 24 * time.Hour
	tooFast   = 2 * time.Second
)

// mac is the keyed hash of parts, none of which can be mistaken for two.
func (s *Service) mac(parts ...string) []byte {
	h := hmac.New(sha256.New, s.Secret)
	for _, p := range parts {
		var n [4]byte
		binary.BigEndian.PutUint32(n[:], uint32(len(p)))
		h.Write(n[:])
		h.Write([]byte(p))
	}
	return h.Sum(nil)
}

var encoding = base64.RawURLEncoding

// formToken returns a fresh token for one rendering of a form: when it was
// made, a nonce, and the proof that this house made it for that form.
func (s *Service) formToken(form string) string {
	body := make([]byte, 24, 40)
	binary.BigEndian.PutUint64(body, uint64(s.Now().UnixMilli()))
	rand.Read(body[8:])
	return encoding.EncodeToString(append(body, s.mac(forForm, form, string(body))[:16]...))
}

// tokenAgain returns the token for a form that is shown again as it was filled in.
// It is the one that was sent, so that the time already spent on it counts: who
// only presses the button again is not too fast. A page of the company's own sends none.
func (s *Service) tokenAgain(in submission) string {
	if in.token == "" || in.rendered.valid {
		return in.token
	}
	return s.formToken(in.form.ID)
}

// rendering is what a form's token says.
type rendering struct {
	valid bool // made here, for this form
	at    time.Time
	nonce string
}

func (s *Service) readFormToken(form, token string) rendering {
	b, err := encoding.DecodeString(token)
	if err != nil || len(b) != 40 || subtle.ConstantTimeCompare(b[24:], s.mac(forForm, form, string(b[:24]))[:16]) != 1 {
		return rendering{}
	}
	return rendering{true, time.UnixMilli(int64(binary.BigEndian.Uint64(b))).UTC(), hex.EncodeToString(b[8:24])}
}

// suspicion says why a submission is put aside for staff to look at; "" when it is not.
func (s *Service) suspicion(in submission) string {
	switch {
	case in.trapped:
		return "honeypot"
	case in.token == "":
		return "" // a page of the company's own, or a program
	case !in.rendered.valid:
		return "token"
	case in.rendered.at.Add(tooFast).After(s.Now()):
		return "fast"
	}
	return ""
}

// idempotencyKey is the same for two posts of the same content from the same
// rendering, or with the same key of the caller's own, whenever they come. With neither,
// for the same content within ten minutes or so.
func (s *Service) idempotencyKey(in submission) string {
	once := "token:" + in.rendered.nonce
	if in.key != "" {
		once = "key"
	} else if !in.rendered.valid || s.Now().Sub(in.rendered.at) > tokenLife {
		once = "time:" + s.Now().UTC().Truncate(repeatWithin).Format(time.RFC3339)
	}
	parts := []string{"idempotency", in.form.ID, once, in.key}
	for _, a := range in.answers {
		parts = append(parts, a.Name, a.Value)
	}
	for _, f := range in.files {
		parts = append(parts, f.Field, f.Name, f.Digest)
	}
	return hex.EncodeToString(s.mac(parts...))
}

const repeatWithin = 10 * time.Minute

// trap is the name of the form's honeypot on a day: an input that people do not see.
func (s *Service) trap(form string, day time.Time) string {
	return "website_" + hex.EncodeToString(s.mac("trap", form, day.UTC().Format(time.DateOnly))[:4])
}

// thanksToken is the unguessable address of a submission's receipt.
func (s *Service) thanksToken(id string) string {
	return id + "." + encoding.EncodeToString(s.mac(forThanks, id)[:16])
}

// readThanks returns the submission that a receipt's address names.
func (s *Service) readThanks(token string) (id string, ok bool) {
	id, _, found := strings.Cut(token, ".")
	return id, found && hmac.Equal([]byte(token), []byte(s.thanksToken(id)))
}

// The alphabet of case numbers and receipt codes has no I, L, O and U.
const crockford = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// code writes the first n bytes' low five bits as people read them aloud: "K7F3-9QXM".
func code(b []byte, n int) string {
	var out strings.Builder
	for i := range n {
		if i > 0 && i%4 == 0 {
			out.WriteByte('-')
		}
		out.WriteByte(crockford[b[i]&31])
	}
	return out.String()
}

// newNumber returns a random case number; it gives nobody any right.
func newNumber() string {
	b := make([]byte, 8)
	rand.Read(b)
	return code(b, 8)
}
