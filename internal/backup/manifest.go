package backup

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"filippo.io/age"

	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/ledger"
)

// Format is what a manifest says that it is.
const Format = "tillid-backup/1"

// Manifest says what a backup's file holds. It stands beside it, signed with the
// house's log key. Nothing in it is about anybody.
type Manifest struct {
	Format      string           `json:"format"`
	Kind        string           `json:"kind"` // data, keys
	House       string           `json:"house"`
	Name        string           `json:"name"` // of the file, without .age
	Taken       time.Time        `json:"taken_at"`
	Engine      string           `json:"engine"`
	Bytes       int64            `json:"bytes"`
	SHA256      string           `json:"sha256"` // of the encrypted file, base64
	Rows        map[string]int64 `json:"rows"`   // by table
	Checkpoint  string           `json:"checkpoint,omitempty"`
	Declaration string           `json:"declaration,omitempty"`
}

func (m Manifest) sign(s ledger.Signer) ([]byte, error) {
	b, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	return s.Sign(string(b) + "\n")
}

// Size is how many leaves the log had in it.
func (m Manifest) Size() int64 {
	n, err := ledger.CheckpointSize(m.Checkpoint)
	if err != nil {
		return 0
	}
	return n
}

// All is how many rows it has.
func (m Manifest) All() (n int64) {
	for _, rows := range m.Rows {
		n += rows
	}
	return n
}

// KB is its size, as people read it.
func (m Manifest) KB() int64 { return (m.Bytes + 999) / 1000 }

// Find returns the whole backups of a kind in a folder, oldest first; vkey is
// the verifier key of the house's log. What is not whole, not signed, or another
// house's is left out.
func Find(dir, kind, vkey string) ([]Manifest, error) {
	names, err := filepath.Glob(filepath.Join(dir, kind+"-*.json"))
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	var all []Manifest
	for _, name := range names {
		m, err := readManifest(name, vkey)
		if err != nil || m.Kind != kind {
			continue
		}
		if info, err := os.Stat(filepath.Join(dir, m.Name+".age")); err != nil || info.Size() != m.Bytes {
			continue
		}
		all = append(all, m)
	}
	return all, nil
}

func readManifest(name, vkey string) (m Manifest, err error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return m, err
	}
	text, err := ledger.OpenNote(b, vkey)
	if err != nil {
		return m, err
	}
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		return m, err
	}
	if m.Format != Format || m.Name+".json" != filepath.Base(name) {
		return m, errors.New("not this backup's manifest")
	}
	return m, nil
}

// Choose returns the newest backup of a kind that was made before a moment, or
// the one with that name. A zero moment means now.
func Choose(dir, kind, vkey, name string, before time.Time) (Manifest, error) {
	all, err := Find(dir, kind, vkey)
	if err != nil {
		return Manifest{}, err
	}
	for _, m := range slices.Backward(all) {
		if name == m.Name || name == "" && (before.IsZero() || m.Taken.Before(before)) {
			return m, nil
		}
	}
	return Manifest{}, fault.New(fault.NotFound, "There is no such whole backup of the %s of this house in %s.", kind, dir).
		WithHint("See what there is with: tillid backup list. A file without its signed manifest is not a backup.").In("backup.none")
}

// Open decrypts a backup, after checking that the file is the one that the
// manifest was signed for.
func Open(dir string, m Manifest, identities []age.Identity) (_ io.ReadCloser, err error) {
	f, err := os.Open(filepath.Join(dir, m.Name+".age"))
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return nil, err
	}
	if base64.StdEncoding.EncodeToString(sum.Sum(nil)) != m.SHA256 {
		return nil, fault.New(fault.Invalid, "The backup %s was altered or damaged: it is not the file that was signed for.", m.Name).
			WithHint("Take an earlier one with --backup.").In("backup.altered")
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	plain, err := age.Decrypt(f, identities...)
	if err != nil {
		return nil, fault.New(fault.Denied, "The identity does not open the backup %s.", m.Name).
			WithHint("Give --identity the file whose recipient stood in TILLID_BACKUP_RECIPIENTS then.").In("backup.identity").Because(err)
	}
	return struct {
		io.Reader
		io.Closer
	}{plain, f}, nil
}

// ReadIdentities reads an age identity file.
func ReadIdentities(name string) ([]age.Identity, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, fault.New(fault.Invalid, "The identity file %s cannot be read.", name).
			WithHint("It is what tillid backup keygen printed. Give it with --identity.").Because(err)
	}
	ids, err := age.ParseIdentities(bytes.NewReader(b))
	if err != nil {
		return nil, fault.New(fault.Invalid, "%s is not an age identity file.", name).
			WithHint("It has a line that begins with AGE-SECRET-KEY-1.").Because(err)
	}
	return ids, nil
}

// ParseRecipients reads age recipients, between commas, spaces or lines.
func ParseRecipients(s string) ([]age.Recipient, error) {
	var all []age.Recipient
	for _, one := range strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune(", \t\r\n", r) }) {
		r, err := age.ParseRecipients(strings.NewReader(one))
		if err != nil {
			return nil, fault.New(fault.Invalid, "TILLID_BACKUP_RECIPIENTS: %q is not an age recipient.", one).
				WithHint("A recipient begins with age1. Make one with: tillid backup keygen")
		}
		all = append(all, r...)
	}
	return all, nil
}

// Keygen makes an identity file: what opens backups, and in a comment the
// recipient to which they are encrypted.
func Keygen(now time.Time) (file, recipient string, err error) {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		return "", "", fmt.Errorf("make an identity: %w", err)
	}
	recipient = id.Recipient().String()
	return fmt.Sprintf("# created: %s\n# public key: %s\n%s\n", now.UTC().Format(time.RFC3339), recipient, id), recipient, nil
}

// keysLive is how long a backup of the key store may live; a little is left for
// the clock and the next look.
const keysLive = 7*24*time.Hour - time.Hour

// dataLive is how long a backup of the data lives when the declaration does not say.
const dataLive = 30 * 24 * time.Hour

// Prune removes backups that are too old: of the key store after seven days, of
// the data after the longest horizon that the declaration promises.
func (s *Service) Prune(context.Context) error {
	_, err := old(s.KeysDir, Keys, s.keysTooOld, os.Remove)
	_, err2 := old(s.Dir, Data, s.dataTooOld, os.Remove)
	if err = errors.Join(err, err2); err != nil {
		return fault.New(fault.Unavailable, "Old backups could not be removed.").
			WithHint("May Tillid write to the folders of the backups?").In("backup.unremovable").Because(err)
	}
	return nil
}

func (s *Service) keysTooOld(taken time.Time) bool { return !s.Now().Before(taken.Add(keysLive)) }

func (s *Service) dataTooOld(taken time.Time) bool { return !s.Now().Before(s.dataUntil(taken)) }

// dataUntil is when every horizon that the declaration promises has passed.
func (s *Service) dataUntil(taken time.Time) time.Time {
	plan, until := s.Plan(), time.Time{}
	for _, set := range plan.Backups {
		if at := set.Horizon.After(taken, plan.Loc); set.Horizon.Set && at.After(until) {
			until = at
		}
	}
	if until.IsZero() {
		until = taken.Add(dataLive)
	}
	return until
}

// old does something with each file of a kind that is too old, by the time in
// its name, the manifest first; and returns how many there are.
func old(dir, kind string, tooOld func(time.Time) bool, do func(string) error) (n int, err error) {
	for _, ending := range []string{".json", ".age", ".age.part"} {
		names, e := filepath.Glob(filepath.Join(dir, kind+"-*"+ending))
		err = errors.Join(err, e)
		for _, name := range names {
			at, e := time.Parse(stamp, strings.TrimSuffix(strings.TrimPrefix(filepath.Base(name), kind+"-"), ending))
			if e != nil || !tooOld(at) {
				continue
			}
			n++
			if e := do(name); e != nil && !errors.Is(e, fs.ErrNotExist) {
				err = errors.Join(err, e)
			}
		}
	}
	return n, err
}
