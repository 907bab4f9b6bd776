package staff

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	_ "embed"
	"encoding/base64"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"

	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/web"
)

// Hasher hashes passwords with argon2id (RFC 9106). It runs as many at once as
// Slots says; up to 16 more wait, and the next is refused: hashing needs so
// much memory that sign-in would otherwise be a way to bring the server down.
type Hasher struct {
	Memory  uint32 // KiB
	Time    uint32
	Threads uint8

	slots   chan struct{}
	waiting atomic.Int32
	dummy   string // the hash of no password
}

const maxWaiting = 16

// NewHasher returns a Hasher with the parameters for real use: 64 MiB, three
// passes; cores hashes at once.
func NewHasher(cores int) *Hasher { return NewHasherWith(64<<10, 3, 1, cores) }

// NewHasherWith returns a Hasher with other parameters, for calibration and for fast tests.
func NewHasherWith(memoryKiB, passes uint32, threads uint8, slots int) *Hasher {
	h := &Hasher{Memory: memoryKiB, Time: passes, Threads: threads, slots: make(chan struct{}, slots)}
	salt, sum := make([]byte, 16), make([]byte, 32)
	rand.Read(salt)
	rand.Read(sum)
	h.dummy = h.format(salt, sum)
	return h
}

// Hash returns the PHC string of a password.
func (h *Hasher) Hash(ctx context.Context, password string) (string, error) {
	leave, err := h.enter(ctx)
	if err != nil {
		return "", err
	}
	defer leave()
	salt := make([]byte, 16)
	rand.Read(salt)
	return h.phc(password, salt), nil
}

// Verify reports whether password is that of phc. An empty phc (nobody has that name)
// takes the same time and is never right. stale says that phc was made with other
// parameters and should be made anew.
func (h *Hasher) Verify(ctx context.Context, phc, password string) (ok, stale bool, err error) {
	leave, err := h.enter(ctx)
	if err != nil {
		return false, false, err
	}
	defer leave()
	known := phc != ""
	if !known {
		phc = h.dummy
	}
	p, err := parsePHC(phc)
	if err != nil {
		return false, false, err
	}
	got := argon2.IDKey([]byte(password), p.salt, p.time, p.memory, p.threads, uint32(len(p.sum)))
	same := subtle.ConstantTimeCompare(got, p.sum) == 1
	return same && known, p.memory != h.Memory || p.time != h.Time || p.threads != h.Threads, nil
}

// enter waits for a free slot.
func (h *Hasher) enter(ctx context.Context) (leave func(), err error) {
	leave = func() { <-h.slots }
	select {
	case h.slots <- struct{}{}:
		return leave, nil
	default:
	}
	defer h.waiting.Add(-1)
	if h.waiting.Add(1) > maxWaiting {
		return nil, web.TooMany(2 * time.Second)
	}
	select {
	case h.slots <- struct{}{}:
		return leave, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (h *Hasher) phc(password string, salt []byte) string {
	return h.format(salt, argon2.IDKey([]byte(password), salt, h.Time, h.Memory, h.Threads, 32))
}

func (h *Hasher) format(salt, sum []byte) string {
	b64 := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, h.Memory, h.Time, h.Threads, b64(salt), b64(sum))
}

type phcParts struct {
	memory, time uint32
	threads      uint8
	salt, sum    []byte
}

func parsePHC(s string) (p phcParts, err error) {
	f := strings.Split(s, "$")
	if len(f) != 6 || f[1] != "argon2id" || f[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return p, fmt.Errorf("password hash is not of argon2id version %d", argon2.Version)
	}
	if _, err := fmt.Sscanf(f[3], "m=%d,t=%d,p=%d", &p.memory, &p.time, &p.threads); err != nil {
		return p, fmt.Errorf("parameters of a password hash: %w", err)
	}
	if p.salt, err = base64.RawStdEncoding.DecodeString(f[4]); err != nil {
		return p, fmt.Errorf("salt of a password hash: %w", err)
	}
	if p.sum, err = base64.RawStdEncoding.DecodeString(f[5]); err != nil {
		return p, fmt.Errorf("sum of a password hash: %w", err)
	}
	if p.time == 0 || p.threads == 0 || p.memory > 4<<20 || len(p.sum) < 16 {
		return p, fmt.Errorf("parameters of a password hash are out of range")
	}
	return p, nil
}

// Lengths of passwords: at least so many characters, at most so many bytes.
const (
	minPassword = 12
	maxPassword = 1024
)

//go:embed common.txt
var commonList string

var common = sync.OnceValue(func() map[string]bool {
	m := map[string]bool{}
	for line := range strings.Lines(commonList) {
		m[strings.TrimSpace(line)] = true
	}
	return m
})

// CheckPassword says what is wrong with a new password. It asks for length, not
// for kinds of characters (NIST SP 800-63B), and refuses what everybody tries first.
func CheckPassword(password string, own ...string) error {
	switch {
	case utf8.RuneCountInString(password) < minPassword:
		return fault.New(fault.Invalid, "The password is too short: it needs at least %d characters.", minPassword).
			WithHint("A sentence of four or five words is easy to remember.").In("staff.short", "Min", minPassword)
	case len(password) > maxPassword || !utf8.ValidString(password):
		return fault.New(fault.Invalid, "The password is too long: at most %d characters.", maxPassword).
			WithHint("Choose a shorter one.").In("staff.long", "Max", maxPassword)
	case easy(password, own):
		return fault.New(fault.Invalid, "That password is among the first that anybody would try.").
			WithHint("Choose a sentence that only you would write.").In("staff.easy")
	}
	return nil
}

// easy reports whether a password is a common one, perhaps with figures and
// signs around it, one short piece again and again, or little more than one of own.
func easy(password string, own []string) bool {
	p := strings.ToLower(password)
	core := strings.TrimFunc(p, func(r rune) bool { return !unicode.IsLetter(r) })
	if common()[p] || common()[core] || repeated(p) {
		return true
	}
	for _, o := range own {
		if o = strings.ToLower(o); len(o) >= 3 && len(strings.ReplaceAll(p, o, "")) < 8 && strings.Contains(p, o) {
			return true
		}
	}
	return false
}

// repeated reports whether s is one piece of at most six bytes again and again.
func repeated(s string) bool {
	for n := 1; n <= 6 && n < len(s); n++ {
		if strings.Repeat(s[:n], len(s)/n+1)[:len(s)] == s {
			return true
		}
	}
	return false
}
