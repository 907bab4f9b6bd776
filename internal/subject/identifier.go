package subject

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"strings"
	"unicode"

	"golang.org/x/net/idna"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/fault"
)

// Prepared is an identifier with a durable key, ready for Identify.
type Prepared struct {
	Kind   string
	Value  Secret // as given, without space around it
	key    *Key
	lookup []byte
}

// Identifier is an identifier of a person as somebody gave it.
type Identifier struct {
	Kind  string
	Value Secret
}

// PrepareIdentifier makes the key of a (perhaps new) identifier. It runs before
// the transaction: key first and durable, then data. A key that is not used
// in the end is swept.
func (s *Service) PrepareIdentifier(ctx context.Context, kind string, value Secret) (*Prepared, error) {
	p, _, err := s.Prepare(ctx, []Identifier{{kind, value}})
	if err != nil {
		return nil, err
	}
	return p[0], nil
}

// Prepare is PrepareIdentifier for several identifiers, and Keys.New for
// records, in one commit of the key store.
func (s *Service) Prepare(ctx context.Context, ids []Identifier, records ...string) ([]*Prepared, []*Key, error) {
	prepared := make([]*Prepared, len(ids))
	names := make([]string, len(ids), len(ids)+len(records))
	for i, id := range ids {
		lookup, err := s.lookup(id.Kind, id.Value)
		if err != nil {
			return nil, nil, err
		}
		prepared[i] = &Prepared{Kind: id.Kind, Value: Secret(strings.TrimSpace(id.Value.Reveal())), lookup: lookup}
		names[i] = db.NewID()
	}
	keys, err := s.Keys.New(ctx, append(names, records...)...)
	if err != nil {
		return nil, nil, err
	}
	for i := range prepared {
		prepared[i].key = keys[i]
	}
	return prepared, keys[len(ids):], nil
}

// lookup is the keyed hash under which an identifier is found. The kind is part
// of it, so that a phone number and a visitor id never meet.
func (s *Service) lookup(kind string, value Secret) ([]byte, error) {
	normal, err := Normalise(kind, value)
	if err != nil {
		return nil, err
	}
	mac := hmac.New(sha256.New, s.Index)
	mac.Write(associated(kind, normal.Reveal()))
	return mac.Sum(nil), nil
}

// Normalise returns the form in which two identifiers are the same. Of an e-mail
// address, the domain is lower-cased and IDNA-encoded; of the local part only
// the case of ASCII letters is folded, for more would make different people equal.
func Normalise(kind string, value Secret) (Secret, error) {
	switch v := strings.TrimSpace(value.Reveal()); kind {
	case Email:
		return normaliseEmail(v)
	case Phone:
		return normalisePhone(v)
	case Visitor:
		if v == "" || len(v) > 200 {
			return "", fault.New(fault.Invalid, "The visitor's id is not valid.").In("subject.visitor")
		}
		return Secret(v), nil
	}
	return "", fmt.Errorf("normalise identifier: unknown kind %q", kind)
}

func normaliseEmail(v string) (Secret, error) {
	invalid := fault.New(fault.Invalid, "This is not an e-mail address.").In("subject.email")
	at := strings.LastIndexByte(v, '@')
	if at < 1 || len(v) > 254 || strings.ContainsFunc(v, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) {
		return "", invalid
	}
	profile := idna.New(idna.MapForLookup(), idna.BidiRule(), idna.VerifyDNSLength(true), idna.Transitional(false))
	domain, err := profile.ToASCII(strings.TrimSuffix(v[at+1:], "."))
	if err != nil || domain == "" {
		return "", invalid
	}
	return Secret(lowerASCII(v[:at]) + "@" + domain), nil
}

func lowerASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

// normalisePhone returns "+" and digits. A number without a country is Danish.
func normalisePhone(v string) (Secret, error) {
	invalid := fault.New(fault.Invalid, "This is not a phone number.").In("subject.phone")
	v = strings.ReplaceAll(v, "(0)", "")
	rest, international := strings.CutPrefix(v, "+")
	if !international {
		rest, international = strings.CutPrefix(v, "00")
	}
	var digits strings.Builder
	for _, r := range rest {
		switch {
		case '0' <= r && r <= '9':
			digits.WriteRune(r)
		case unicode.IsSpace(r), strings.ContainsRune("-–./()", r):
		default:
			return "", invalid
		}
	}
	number := digits.String()
	if !international && (len(number) != 10 || !strings.HasPrefix(number, "45")) {
		number = "45" + number
	}
	if len(number) < 5 || len(number) > 15 {
		return "", invalid
	}
	return Secret("+" + number), nil
}
