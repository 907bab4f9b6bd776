package ledger

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Signer signs and names a house's key (Ed25519, note format). It signs
// checkpoints, promises and certificates.
type Signer struct {
	signer   note.Signer
	verifier note.Verifier
	vkey     string
}

var errKey = errors.New("not a private note key")

// NewSigner reads a private note key ("PRIVATE+KEY+…").
func NewSigner(skey string) (Signer, error) {
	skey = strings.TrimSpace(skey)
	s, err := note.NewSigner(skey)
	if err != nil {
		return Signer{}, errKey
	}
	b, err := base64.StdEncoding.DecodeString(keyData(skey))
	if err != nil || len(b) != 1+ed25519.SeedSize { // a byte that names the algorithm comes first
		return Signer{}, errKey
	}
	public, ok := ed25519.NewKeyFromSeed(b[1:]).Public().(ed25519.PublicKey)
	if !ok {
		return Signer{}, errKey
	}
	vkey, err := note.NewEd25519VerifierKey(s.Name(), public)
	if err != nil {
		return Signer{}, errKey
	}
	v, err := note.NewVerifier(vkey)
	if err != nil {
		return Signer{}, errKey
	}
	return Signer{signer: s, verifier: v, vkey: vkey}, nil
}

// keyData returns the last of the five parts of a private key; the key's own
// base64 may hold a plus.
func keyData(skey string) string {
	parts := strings.SplitN(skey, "+", 5)
	return parts[len(parts)-1]
}

// GenerateKey makes a key pair. A name has no spaces and no plus.
func GenerateKey(name string) (skey, vkey string, err error) {
	skey, vkey, err = note.GenerateKey(rand.Reader, name)
	if err != nil {
		return "", "", fmt.Errorf("generate log key: %w", err)
	}
	if _, err := NewSigner(skey); err != nil {
		return "", "", fmt.Errorf("generate log key: the name %q is not valid", name)
	}
	return skey, vkey, nil
}

// Name returns the key's name.
func (s Signer) Name() string { return s.signer.Name() }

// Verifier returns the key's public note verifier key string.
func (s Signer) Verifier() string { return s.vkey }

// Sign returns a signed note over text (which ends in a newline).
func (s Signer) Sign(text string) ([]byte, error) {
	b, err := note.Sign(&note.Note{Text: text}, s.signer)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	return b, nil
}

// OpenNote checks a signed note against a verifier key and returns its text.
func OpenNote(signed []byte, vkey string) (text string, err error) {
	v, err := note.NewVerifier(strings.TrimSpace(vkey))
	if err != nil {
		return "", fmt.Errorf("open note: the verifier key: %w", err)
	}
	n, err := note.Open(signed, note.VerifierList(v))
	if err != nil {
		return "", fmt.Errorf("open note: %w", err)
	}
	return n.Text, nil
}

// Promise is signed evidence, given at once, that a leaf will be in the log.
type Promise struct {
	LeafID string `json:"leaf_id"`
	Hash   string `json:"leaf_hash"` // base64 of the RFC 6962 leaf hash
	Note   string `json:"note"`      // signed note over both
}

// Appended is a leaf that Append has inserted.
type Appended struct {
	LeafID string
	hash   tlog.Hash
}

// Promise signs that an appended leaf will be in the log. It takes as long as many an
// insert does, so a caller with others behind it signs once its transaction is over.
func (s Signer) Promise(a Appended) (Promise, error) {
	p := Promise{LeafID: a.LeafID, Hash: a.hash.String()}
	signed, err := s.Sign(p.text())
	p.Note = string(signed)
	return p, err
}

func (p *Promise) text() string { return "tillid leaf promise v1\n" + p.LeafID + "\n" + p.Hash + "\n" }

// Check verifies a promise offline against a verifier key.
func (p *Promise) Check(vkey string) error {
	text, err := OpenNote([]byte(p.Note), vkey)
	if err != nil {
		return fmt.Errorf("promise: %w", err)
	}
	if text != p.text() {
		return errors.New("promise: the signature is over something else")
	}
	return nil
}

// seal signs that the leaf with hash has number n. Seals serve Verify: they
// name the leaf that was altered even when the whole tree was rewritten.
func (s Signer) seal(n int64, hash tlog.Hash) ([]byte, error) { return s.signer.Sign(sealed(n, hash)) }

func (s Signer) checkSeal(n int64, hash tlog.Hash, seal []byte) bool {
	return len(seal) > 0 && s.verifier.Verify(sealed(n, hash), seal)
}

func sealed(n int64, hash tlog.Hash) []byte {
	return fmt.Appendf(nil, "tillid leaf place v1\n%d\n%s\n", n, hash)
}

// checkpoint is a signed state of the tree.
type checkpoint struct {
	tlog.Tree
	note string
}

// sign signs the tree in the format of tlog-checkpoint: origin, size, root.
func (l *Log) sign(t tlog.Tree) (checkpoint, error) {
	signed, err := l.Signer.Sign(l.Origin + "\n" + strconv.FormatInt(t.N, 10) + "\n" + t.Hash.String() + "\n")
	return checkpoint{Tree: t, note: string(signed)}, err
}

// openCheckpoint checks a checkpoint's signature and reads it.
func openCheckpoint(signed []byte, vkey string) (origin string, t tlog.Tree, err error) {
	text, err := OpenNote(signed, vkey)
	if err != nil {
		return "", tlog.Tree{}, err
	}
	lines := strings.Split(text, "\n")
	if len(lines) < 4 || lines[0] == "" { // extension lines may follow
		return "", tlog.Tree{}, errors.New("not a checkpoint")
	}
	t.N, err = strconv.ParseInt(lines[1], 10, 64)
	if err != nil || t.N < 0 || strconv.FormatInt(t.N, 10) != lines[1] {
		return "", tlog.Tree{}, errors.New("not a checkpoint: its size")
	}
	if t.Hash, err = tlog.ParseHash(lines[2]); err != nil {
		return "", tlog.Tree{}, fmt.Errorf("not a checkpoint: its root: %w", err)
	}
	return lines[0], t, nil
}

// CheckpointSize returns how many leaves a checkpoint covers. It does not look at
// its signature.
func CheckpointSize(signed string) (int64, error) {
	lines := strings.SplitN(signed, "\n", 3)
	if len(lines) < 3 {
		return 0, errors.New("not a checkpoint")
	}
	return strconv.ParseInt(lines[1], 10, 64)
}
