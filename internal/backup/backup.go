// Package backup keeps copies of a house for the person who runs it, and what a
// restore needs so that nobody who was erased comes back.
//
// A backup is two files, encrypted to age recipients whose identities the server
// does not have: the data, and apart from it the key store, whose copies live
// seven days at most. Beside the data stand the erasure list and the log's size,
// renewed at every erasure and checkpoint. A house whose database does not know
// what stands there has been restored, however that was done: it does not serve
// until the list has been replayed (Gap, Replay).
package backup

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"filippo.io/age"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/erase"
	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/job"
	"github.com/tillid/tillid/internal/ledger"
	"github.com/tillid/tillid/internal/mail"
	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/subject"
	"github.com/tillid/tillid/internal/web"
)

// Service makes backups of one house.
type Service struct {
	DB      *db.DB
	Keys    *subject.Keys
	Subject *subject.Service
	Erase   *erase.Service
	Ledger  *ledger.Log
	Mail    *mail.Service
	Plan    func() *policy.Plan
	Now     func() time.Time
	Log     *slog.Logger
	House   *web.House

	ID         string          // the house's
	Dir        string          // backups of the data, the erasure list, the log's size
	KeysDir    string          // backups of the key store
	Recipients []age.Recipient // nobody: no backups are made
	Tell       func(Progress)  // of every step; may be nil

	export exporter
	now    running
}

// Kinds of backup.
const (
	Data = "data"
	Keys = "keys"
)

// Progress is how far a backup, a restore or a drill is.
type Progress struct {
	Step  string `json:"step"` // what is done now: a table, or a word such as sync
	Kind  string `json:"kind"` // data, keys
	Rows  int64  `json:"rows"`
	Bytes int64  `json:"bytes"`
}

// Taken is what Take made.
type Taken struct {
	Data Manifest `json:"data"`
	Keys Manifest `json:"keys"`
}

// running is the one backup that runs at a time.
type running struct {
	mu    sync.Mutex
	busy  bool
	at    Progress
	taken *Taken
	err   error
	done  sync.WaitGroup
}

// Take makes a backup, while everything else goes on: the data first, then the
// keys, so that every row of the data has its key unless it was erased meanwhile,
// and then the erasure list says so. It also removes backups that are too old.
func (s *Service) Take(ctx context.Context) (*Taken, error) {
	if len(s.Recipients) == 0 {
		return nil, fault.New(fault.Invalid, "Nobody is named who could open a backup.").
			WithHint("Make a key with: tillid backup keygen. Keep it off this machine, and put its recipient into TILLID_BACKUP_RECIPIENTS.").In("backup.no_recipient")
	}
	unlock, err := s.lock(s.Dir, "backup.lock")
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := s.Export(ctx); err != nil {
		return nil, err
	}
	var t Taken
	if t.Data, err = s.take(ctx, Data, s.DB, s.Dir); err != nil {
		return nil, err
	}
	if t.Keys, err = s.take(ctx, Keys, s.Keys.DB, s.KeysDir); err != nil {
		return nil, err
	}
	return &t, s.Prune(ctx)
}

// Start begins a backup in the background; Status says how far it is.
func (s *Service) Start(ctx context.Context) error {
	s.now.mu.Lock()
	defer s.now.mu.Unlock()
	if s.now.busy {
		return fault.New(fault.Conflict, "A backup is being made already.").WithHint("Wait until it has ended.").In("backup.busy")
	}
	s.now.busy, s.now.taken, s.now.err, s.now.at = true, nil, nil, Progress{}
	s.now.done.Go(func() {
		taken, err := s.Take(context.WithoutCancel(ctx))
		s.now.mu.Lock()
		defer s.now.mu.Unlock()
		s.now.busy, s.now.taken, s.now.err = false, taken, err
	})
	return nil
}

// Status says how far the backup is that Start began; done once it has ended.
func (s *Service) Status() (at Progress, taken *Taken, done bool, err error) {
	s.now.mu.Lock()
	defer s.now.mu.Unlock()
	return s.now.at, s.now.taken, !s.now.busy, s.now.err
}

// Wait returns when no backup that Start began is running.
func (s *Service) Wait() { s.now.done.Wait() }

// Periodic is the daily backup, the removal of old ones, and the export of what
// a crash left waiting.
func (s *Service) Periodic() []job.Periodic {
	return []job.Periodic{
		{Name: "backup.export", Every: time.Minute, Run: s.Export},
		{Name: "backup.prune", Every: 30 * time.Minute, Run: s.Prune},
		{Name: "backup.take", Every: 24 * time.Hour, Run: func(ctx context.Context) error {
			if len(s.Recipients) == 0 {
				return nil
			}
			_, err := s.Take(ctx)
			return err
		}},
	}
}

func (s *Service) tell(p Progress) {
	s.now.mu.Lock()
	s.now.at = p
	s.now.mu.Unlock()
	if s.Tell != nil {
		s.Tell(p)
	}
}

// stamp is the time in a backup's name: sortable, and safe in a file's name.
const stamp = "20060102T150405.000Z"

// take writes one file and then, when it is whole and on the disk, its manifest:
// a file without a manifest is no backup.
func (s *Service) take(ctx context.Context, kind string, d *db.DB, dir string) (Manifest, error) {
	m := Manifest{Format: Format, Kind: kind, House: s.ID, Taken: s.Now().UTC().Truncate(time.Millisecond), Engine: "postgresql"}
	if d.Lite() {
		m.Engine = "sqlite"
	}
	m.Name = kind + "-" + m.Taken.Format(stamp)
	if err := removeParts(dir); err != nil {
		return m, unwritable(dir, err)
	}
	file := filepath.Join(dir, m.Name+".age")
	if err := s.write(ctx, d, file+".part", &m); err != nil {
		os.Remove(file + ".part")
		return m, unwritable(dir, err)
	}
	s.tell(Progress{Step: "rename", Kind: kind, Bytes: m.Bytes})
	if err := os.Rename(file+".part", file); err != nil {
		return m, unwritable(dir, err)
	}
	s.tell(Progress{Step: "manifest", Kind: kind, Bytes: m.Bytes})
	text, err := m.sign(s.Ledger.Signer)
	if err != nil {
		return m, err
	}
	if err := writeFile(filepath.Join(dir, m.Name+".json"), text); err != nil {
		return m, unwritable(dir, err)
	}
	s.tell(Progress{Step: "done", Kind: kind, Bytes: m.Bytes})
	return m, nil
}

// write dumps a database into a new encrypted file, and fills in the manifest.
func (s *Service) write(ctx context.Context, d *db.DB, name string, m *Manifest) (err error) {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	out := &counted{w: f, sum: sha256.New()}
	sealed, err := age.Encrypt(out, s.Recipients...)
	if err != nil {
		return fmt.Errorf("encrypt: %w", err)
	}
	err = d.Snapshot(ctx, func(ctx context.Context, snap *db.Snapshot) error {
		if m.Kind == Data {
			if m.Checkpoint, err = ledger.LastCheckpoint(ctx, snap); err != nil {
				return err
			}
			m.Declaration = s.Plan().Hash
		}
		m.Rows, err = snap.Dump(ctx, sealed, func(table string, rows int64) {
			s.tell(Progress{Step: table, Kind: m.Kind, Rows: rows, Bytes: out.n})
		})
		return err
	})
	if err != nil {
		return err
	}
	if err := sealed.Close(); err != nil {
		return err
	}
	s.tell(Progress{Step: "sync", Kind: m.Kind, Bytes: out.n})
	m.Bytes, m.SHA256 = out.n, base64.StdEncoding.EncodeToString(out.sum.Sum(nil))
	return f.Sync()
}

// counted counts and sums what passes.
type counted struct {
	w   io.Writer
	sum hash.Hash
	n   int64
}

func (c *counted) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.sum.Write(b[:n])
	c.n += int64(n)
	return n, err
}

// removeParts makes a folder, and removes what a backup that was killed left.
func removeParts(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	parts, err := filepath.Glob(filepath.Join(dir, "*.part"))
	for _, p := range parts {
		err = errors.Join(err, os.Remove(p))
	}
	return err
}

// writeFile writes a file so that it is there whole or not at all, durably.
func writeFile(name string, b []byte) error {
	f, err := os.OpenFile(name+".part", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		os.Remove(name + ".part")
		return err
	}
	if err := os.Rename(name+".part", name); err != nil {
		return err
	}
	return syncDir(filepath.Dir(name))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

func unwritable(dir string, err error) error {
	if f := (*fault.Error)(nil); errors.As(err, &f) {
		return err
	}
	return fault.New(fault.Unavailable, "The backup could not be written to %s.", dir).
		WithHint("Is there room, and may Tillid write there? Nothing half is left behind.").In("backup.unwritable").Because(err)
}
