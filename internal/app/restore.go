package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"filippo.io/age"

	"github.com/tillid/tillid/internal/backup"
	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/subject"
)

// Restore says what to restore a house from.
type Restore struct {
	From       string // folder of the data's backups; empty: the house's own
	KeysFrom   string // folder of the key store's backups; empty: the house's own
	Backup     string // name of the data's backup; empty: the newest
	Before     time.Time
	Identities []age.Identity
	Without    string // a person's reason to go on without an erasure list
}

// A restore fills this folder first. When both databases in it are whole it gets
// the file ready; only then are they moved to their places, which a restore that
// was killed goes on with.
const (
	restoreFolder = ".restore"
	restoreReady  = "ready"
)

// restoreInterrupted refuses a house whose files are on their way.
func restoreInterrupted(dir string) error {
	if !exists(filepath.Join(dir, restoreFolder, restoreReady)) {
		return nil
	}
	return fault.New(fault.Conflict, "A restore of %s was interrupted.", dir).
		WithHint("Run the same tillid restore again: it goes on where it stopped.")
}

// RestoreHouse puts a backup in the place of a house that has no database, and
// brings it up to date: everything that was erased since is erased again.
func RestoreHouse(ctx context.Context, dir string, r Restore, o Options) (*backup.Replayed, error) {
	s, err := readSettings(dir, o.Getenv)
	if err != nil {
		return nil, err
	}
	r.defaults(s)
	if s.Database != "" {
		err = restorePostgres(ctx, dir, s, r, o)
	} else {
		err = restoreFiles(ctx, dir, r, o)
	}
	if err != nil {
		return nil, err
	}
	return ReplayHouse(ctx, dir, r, o)
}

func (r *Restore) defaults(s Settings) {
	if r.From == "" {
		r.From = s.Backups
	}
	if r.KeysFrom == "" {
		r.KeysFrom = s.KeyBackups
	}
}

// ReplayHouse brings a restored house up to date, however it was restored. It
// returns nil when nothing was missing.
func ReplayHouse(ctx context.Context, dir string, r Restore, o Options) (*backup.Replayed, error) {
	s, err := readSettings(dir, o.Getenv)
	if err != nil {
		return nil, err
	}
	if s.Database == "" && !exists(filepath.Join(dir, "tillid.db")) {
		return nil, fault.New(fault.NotFound, "%s has no tillid.db that could be brought up to date.", dir).
			WithHint("Restore one first: tillid restore --house %s --identity FILE", dir)
	}
	if err := Accept(ctx, dir, o.Getenv, o.Now); err != nil {
		return nil, err
	}
	o.Restoring = true
	h, err := Open(ctx, dir, o)
	if err != nil {
		return nil, err
	}
	defer h.Close()
	r.defaults(h.settings)
	return h.backup.Replay(ctx, r.From, dir, r.Without)
}

// chosen is the pair of backups that belong together: the data, and the newest keys.
func (r *Restore) chosen(dir string) (data, keys backup.Manifest, err error) {
	vkey, err := PublicKey(dir)
	if err != nil {
		return data, keys, fault.New(fault.Invalid, "%s is missing.", filepath.Join(dir, "log.key")).
			WithHint("Put the house's log.key (and its kek) back from where you keep them: they are not in the backups.").Because(err)
	}
	if data, err = backup.Choose(r.From, backup.Data, vkey, r.Backup, r.Before); err != nil {
		return data, keys, err
	}
	if keys, err = backup.Choose(r.KeysFrom, backup.Keys, vkey, "", time.Time{}); err != nil {
		return data, keys, err
	}
	if keys.Taken.Before(data.Taken) {
		return data, keys, fault.New(fault.Invalid, "The newest backup of the key store (%s) is older than that of the data (%s).", keys.Name, data.Name).
			WithHint("What came in between could not be opened. Find the newer backup of the keys, or choose an earlier one of the data with --backup.")
	}
	return data, keys, nil
}

func restoreFiles(ctx context.Context, dir string, r Restore, o Options) error {
	work := filepath.Join(dir, restoreFolder)
	if !exists(filepath.Join(work, restoreReady)) {
		for _, name := range []string{"tillid.db", "keys.db"} {
			if exists(filepath.Join(dir, name)) {
				return fault.New(fault.Conflict, "%s is there already: a backup is restored into an empty place only.", filepath.Join(dir, name)).
					WithHint("Move tillid.db and keys.db away, and keep them until the restored house runs.").In("db.not_empty")
			}
		}
		if err := r.prepare(ctx, dir, work, o); err != nil {
			return err
		}
	}
	for _, name := range []string{"keys.db", "tillid.db"} {
		from := filepath.Join(work, name)
		if !exists(from) {
			continue // moved before it was killed
		}
		step(o, "place "+name)
		if err := os.Rename(from, filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	step(o, "placed")
	return errors.Join(syncFolder(dir), os.RemoveAll(work))
}

// prepare fills the working folder, from the start if need be.
func (r *Restore) prepare(ctx context.Context, dir, work string, o Options) error {
	data, keys, err := r.chosen(dir)
	if err != nil {
		return err
	}
	if err := errors.Join(os.RemoveAll(work), os.MkdirAll(work, 0o700)); err != nil {
		return err
	}
	if err := r.load(ctx, data, keys, filepath.Join(work, "tillid.db"), filepath.Join(work, "keys.db"), o); err != nil {
		return err
	}
	step(o, "ready")
	if err := writeSecret(filepath.Join(work, restoreReady), data.Name+"\n"); err != nil {
		return err
	}
	return syncFolder(work)
}

// load loads both databases, and compares what came with the manifests.
func (r *Restore) load(ctx context.Context, data, keys backup.Manifest, toData, toKeys string, o Options) error {
	for _, one := range []struct {
		m      backup.Manifest
		folder string
		to     string
		files  bool // the key store's migrations
	}{{keys, r.KeysFrom, toKeys, true}, {data, r.From, toData, false}} {
		from, err := backup.Open(one.folder, one.m, r.Identities)
		if err != nil {
			return err
		}
		tell := func(table string, rows int64) {
			if o.Tell != nil {
				o.Tell(backup.Progress{Step: table, Kind: one.m.Kind, Rows: rows})
			}
		}
		var rows map[string]int64
		if one.files {
			rows, err = db.Load(ctx, one.to, from, subject.KeyMigrations(), tell)
		} else {
			rows, err = db.Load(ctx, one.to, from, nil, tell)
		}
		from.Close()
		if err != nil {
			return err
		}
		for table, n := range one.m.Rows {
			if rows[table] != n {
				return fmt.Errorf("restore: table %s has %d rows, its manifest says %d", table, rows[table], n)
			}
		}
	}
	return nil
}

// restorePostgres fills two empty databases, each in one transaction, the keys first.
func restorePostgres(ctx context.Context, dir string, s Settings, r Restore, o Options) error {
	data, keys, err := r.chosen(dir)
	if err != nil {
		return err
	}
	return r.load(ctx, data, keys, s.Database, s.KeyStore, o)
}

func step(o Options, name string) {
	if o.Tell != nil {
		o.Tell(backup.Progress{Step: name})
	}
}

func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// DrillHouse restores the newest backup of a house into a temporary folder,
// brings it up to date, looks whether all is well, and removes it again. It may
// run beside the server, and touches nothing of the house. The report says what
// is wrong; an error means that the drill itself could not be held.
func DrillHouse(ctx context.Context, dir string, r Restore, o Options) (backup.Drill, error) {
	d := backup.Drill{At: o.Now(), Faults: []string{}}
	s, err := readSettings(dir, o.Getenv)
	if err != nil {
		return d, err
	}
	r.defaults(s)
	began := time.Now() //nolint:forbidigo // measures real elapsed time for the report
	data, keys, err := r.chosen(dir)
	if err != nil {
		return d, err
	}
	d.Backup, d.Keys, d.Taken, d.Bytes, d.Rows = data.Name, keys.Name, data.Taken, data.Bytes+keys.Bytes, data.All()+keys.All()
	work, err := os.MkdirTemp(dir, ".drill-")
	if err != nil {
		return d, err
	}
	defer os.RemoveAll(work)
	if err := r.drill(ctx, dir, work, data, keys, s, o, &d); err != nil {
		f := fault.Of(err)
		d.Faults = append(d.Faults, f.Msg)
	}
	d.Took = time.Since(began).Round(time.Millisecond)
	return d, nil
}

func (r *Restore) drill(ctx context.Context, dir, work string, data, keys backup.Manifest, s Settings, o Options, d *backup.Drill) error {
	secrets := []string{"log.key"}
	if s.KEK == "" {
		secrets = append(secrets, "kek")
	}
	for _, name := range secrets {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		if err := writeSecret(filepath.Join(work, name), string(b)); err != nil {
			return err
		}
	}
	if err := r.load(ctx, data, keys, filepath.Join(work, "tillid.db"), filepath.Join(work, "keys.db"), o); err != nil {
		return err
	}
	o.Restoring, o.Mail = true, ""
	o.Getenv = func(name string) string {
		if name == "TILLID_KEK" {
			return s.KEK
		}
		return ""
	}
	if err := Accept(ctx, work, o.Getenv, o.Now); err != nil {
		return err
	}
	h, err := Open(ctx, work, o)
	if err != nil {
		return err
	}
	defer h.Close()
	replayed, err := h.backup.Replay(ctx, r.From, work, "")
	if err != nil {
		return err
	}
	if replayed != nil {
		d.Replayed, d.Erased = replayed.Listed, replayed.Erased
	}
	step(o, "check")
	return h.backup.Check(ctx, r.From, data, d)
}

// BackupStatus is how far a backup is.
type BackupStatus struct {
	At    backup.Progress `json:"at"`
	Done  bool            `json:"done"`
	Taken *backup.Taken   `json:"taken,omitempty"`
}

func (h *House) controlBackupStart(ctx context.Context, _ url.Values) (any, error) {
	return nil, h.backup.Start(ctx)
}

func (h *House) controlBackupStatus(context.Context, url.Values) (any, error) {
	at, taken, done, err := h.backup.Status()
	return BackupStatus{at, done, taken}, err
}

func (h *House) controlBackupList(context.Context, url.Values) (any, error) { return h.backup.All() }

// controlDrilled takes the report of a drill.
func (h *House) controlDrilled(ctx context.Context, in url.Values) (any, error) {
	var d backup.Drill
	if err := json.Unmarshal([]byte(in.Get("report")), &d); err != nil {
		return nil, fault.New(fault.Invalid, "The report of the drill cannot be read.").Because(err)
	}
	return nil, h.backup.Drilled(ctx, d)
}

// controlReleaseMail lets letters go again after a restore.
func (h *House) controlReleaseMail(ctx context.Context, in url.Values) (any, error) {
	return h.backup.ReleaseMail(ctx, in.Get("discard") != "")
}

// BackupFolder is where a house's backups and its erasure list are.
func BackupFolder(dir string, getenv func(string) string) (string, error) {
	s, err := readSettings(dir, getenv)
	return s.Backups, err
}
