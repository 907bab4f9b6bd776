package app

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/ledger"
	"github.com/tillid/tillid/internal/subject"
)

// folder is the opened storage of a house: its two databases and its keys, all
// checked to belong together.
type folder struct {
	dir    string
	id     string // the house's random id
	db     *db.DB
	keys   *subject.Keys
	signer ledger.Signer
	secret []byte // from which the keys of indexes, cookies and tokens are derived
	origin string // the log's name, when a restore gave it another than its key's
}

// houseRow is the one row of table house.
type houseRow struct {
	id, vkey, file, origin string
	secret                 []byte
}

// openFolder opens the storage of the house in dir, making it when it is new.
// When files were copied, mixed or cut, it says which and what to do.
func openFolder(ctx context.Context, dir string, s Settings, now func() time.Time) (_ *folder, err error) {
	f := &folder{dir: dir}
	defer func() {
		if err != nil {
			f.close()
		}
	}()
	kek, err := f.kek(s)
	if err != nil {
		return nil, err
	}
	if f.db, err = openDatabase(ctx, s.Database, filepath.Join(dir, "tillid.db")); err != nil {
		return nil, err
	}
	if err := f.db.Migrate(ctx); err != nil {
		return nil, err
	}
	if err := f.keysLost(ctx, s); err != nil {
		return nil, err
	}
	store, err := openDatabase(ctx, s.KeyStore, filepath.Join(dir, "keys.db"))
	if err != nil {
		return nil, err
	}
	f.keys = &subject.Keys{DB: store, KEK: kek, Now: now}
	if err := f.keys.Migrate(ctx); err != nil {
		return nil, err
	}
	return f, f.identify(ctx, s, now())
}

// backedUp refuses to make a new house where the backups of another stand: what
// was erased there is in no list of the new one.
func backedUp(dir string, s Settings) error {
	if !exists(filepath.Join(s.Backups, "erased.mark")) {
		return nil
	}
	return fault.New(fault.Invalid, "The database of %s is missing or empty, but an erasure list of a house stands in %s.", dir, s.Backups).
		WithHint("Restore the house: tillid restore --house %s --identity FILE. To begin anew, use an empty folder.", dir)
}

// keysLost notices a house without its key store, before an empty one is made in its place.
func (f *folder) keysLost(ctx context.Context, s Settings) error {
	name := filepath.Join(f.dir, "keys.db")
	if s.KeyStore != "" || exists(name) {
		return nil
	}
	if _, err := readHouse(ctx, f.db); errors.Is(err, sql.ErrNoRows) {
		return nil // a new house
	} else if err != nil {
		return err
	}
	return fault.New(fault.Invalid, "%s is missing, and without it nothing in tillid.db can be read.", name).
		WithHint("Put the house's own keys.db back, or restore its newest backup (which is at most seven days old).")
}

// dataLost notices a key store whose database is gone: a new house beside it would
// make the old one's people and log disappear without a word.
func (f *folder) dataLost(ctx context.Context) error {
	var n int
	if err := f.keys.DB.QueryRow(ctx, `select count(*) from record_key where record not like 'house:%'`).Scan(&n); err != nil {
		return fmt.Errorf("count keys: %w", db.AsFault(err))
	}
	if n == 0 {
		return nil
	}
	return fault.New(fault.Invalid, "The database of %s is missing or empty, but its key store holds the keys of a house.", f.dir).
		WithHint("Put the house's own tillid.db back, or restore its newest backup. To begin anew, use an empty folder.")
}

func openDatabase(ctx context.Context, url, file string) (*db.DB, error) {
	if url != "" {
		return db.Open(ctx, url)
	}
	d, err := db.Open(ctx, file)
	if f := fault.Of(err); f.ID == "db.damaged" {
		return nil, fault.New(fault.Unavailable, "The database file %s is damaged.", file).
			WithHint("Keep the damaged file aside and put the newest backup in its place; tillid.db and keys.db belong together.").
			In("db.damaged").Because(err)
	}
	return d, err
}

func (f *folder) close() {
	if f.db != nil {
		f.db.Close()
	}
	if f.keys != nil {
		f.keys.DB.Close()
	}
}

// kek returns the key-encryption key: from the settings, else from the file
// kek, which a new house gets.
func (f *folder) kek(s Settings) ([]byte, error) {
	if s.KEK != "" {
		return decodeKEK(s.KEK, "TILLID_KEK")
	}
	name := filepath.Join(f.dir, "kek")
	b, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		if exists(filepath.Join(f.dir, "keys.db")) {
			return nil, fault.New(fault.Invalid, "%s is missing, and without it nothing in keys.db can be opened.", name).
				WithHint("Put the house's key-encryption key back, from where you keep it, or set TILLID_KEK.")
		}
		key := make([]byte, 32)
		rand.Read(key)
		return key, writeSecret(name, base64.StdEncoding.EncodeToString(key)+"\n")
	}
	if err != nil {
		return nil, fault.New(fault.Invalid, "%s cannot be read.", name).Because(err)
	}
	if err := private(name); err != nil {
		return nil, err
	}
	return decodeKEK(string(b), name)
}

func decodeKEK(s, from string) ([]byte, error) {
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(s))
	if err != nil || len(key) != 32 {
		return nil, fault.New(fault.Invalid, "%s is not a key: it must be 32 bytes in base64.", from).
			WithHint("Make one for a new house with: head -c 32 /dev/urandom | base64")
	}
	return key, nil
}

// private refuses a secret that others on the machine can read.
func private(name string) error {
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return fault.New(fault.Denied, "%s can be read by other users of this machine.", name).WithHint("chmod 600 %s", name)
	}
	return nil
}

// writeSecret writes a new file that only its owner may read, durably.
func writeSecret(name, content string) error {
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fault.New(fault.Unavailable, "%s cannot be written.", name).Because(err)
	}
	defer file.Close()
	if _, err := file.WriteString(content); err != nil {
		return err
	}
	return file.Sync()
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

// identify reads or makes the house row and checks that database, key store,
// log key and file belong together.
func (f *folder) identify(ctx context.Context, s Settings, now time.Time) error {
	row, err := readHouse(ctx, f.db)
	if errors.Is(err, sql.ErrNoRows) {
		if err := backedUp(f.dir, s); err != nil {
			return err
		}
		return f.found(ctx, now)
	}
	if err != nil {
		return err
	}
	f.id, f.keys.House, f.origin = row.id, row.id, row.origin
	if err := f.openSecret(ctx, row); err != nil {
		return err
	}
	if err := f.openSigner(row.vkey); err != nil {
		return err
	}
	return f.checkFile(row.file)
}

func readHouse(ctx context.Context, q db.Queryer) (houseRow, error) {
	var r houseRow
	err := q.QueryRow(ctx, `select id, secret, log_vkey, file_id, log_origin from house`).Scan(&r.id, &r.secret, &r.vkey, &r.file, &r.origin)
	return r, db.AsFault(err)
}

// houseKey is the key, in the key store, that opens the house's secret.
func houseKey(id string) string { return "house:" + id }

func housePlace(id string) subject.Place {
	return subject.Place{Table: "house", Row: id, Column: "secret"}
}

func (f *folder) openSecret(ctx context.Context, row houseRow) error {
	wrong := fault.New(fault.Invalid, "The key store of %s does not belong to its database.", f.dir).
		WithHint("keys.db, kek and tillid.db must come from the same house and the same time. Put the right ones back.")
	key, err := f.keys.Get(ctx, houseKey(row.id))
	if err != nil {
		return wrong.Because(err)
	}
	if f.secret, err = key.Open(housePlace(row.id), row.secret); err != nil {
		return wrong.Because(err)
	}
	return nil
}

func (f *folder) openSigner(vkey string) error {
	name := filepath.Join(f.dir, "log.key")
	b, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return fault.New(fault.Invalid, "%s is missing: the house cannot sign its log.", name).
			WithHint("Put the file back. A new key would make every earlier receipt look forged.")
	}
	if err != nil {
		return fault.New(fault.Invalid, "%s cannot be read.", name).Because(err)
	}
	if err := private(name); err != nil {
		return err
	}
	signer, err := ledger.NewSigner(strings.TrimSpace(string(b)))
	if err != nil {
		return fault.New(fault.Invalid, "%s is not a log key.", name).WithHint("Put the house's own file back.").Because(err)
	}
	if signer.Verifier() != vkey {
		return fault.New(fault.Invalid, "%s is the log key of another house.", name).WithHint("Put the house's own file back.")
	}
	f.signer = signer
	return nil
}

// checkFile notices a house whose database file is a copy: two copies that both
// run would fork the log and let deleted people come back.
func (f *folder) checkFile(want string) error {
	have := f.fileID()
	if have == want {
		return nil
	}
	return fault.New(fault.Conflict, "The files of the house in %s were copied or restored.", f.dir).
		WithHint("If no other copy runs or will ever run again, say so once: tillid accept %s", f.dir)
}

// fileID names the database file itself: a copy has another.
func (f *folder) fileID() string {
	if !f.db.Lite() {
		return "postgres"
	}
	info, err := os.Stat(filepath.Join(f.dir, "tillid.db"))
	if err != nil {
		return ""
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return fmt.Sprintf("inode %d", st.Ino)
	}
	return "unknown"
}

// found makes the house row of a new house. The log key and the key store come
// first, so that a crash in between leaves files that the next start reuses.
func (f *folder) found(ctx context.Context, now time.Time) error {
	if err := f.dataLost(ctx); err != nil {
		return err
	}
	id := db.NewID()
	f.id, f.keys.House = id, id
	name := filepath.Join(f.dir, "log.key")
	if !exists(name) {
		skey, _, err := ledger.GenerateKey("tillid/" + strings.ToLower(id[:8]))
		if err != nil {
			return err
		}
		if err := writeSecret(name, skey+"\n"); err != nil {
			return err
		}
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	if f.signer, err = ledger.NewSigner(strings.TrimSpace(string(b))); err != nil {
		return fault.New(fault.Invalid, "%s is not a log key.", name).Because(err)
	}
	keys, err := f.keys.New(ctx, houseKey(id))
	if err != nil {
		return err
	}
	f.secret = make([]byte, 32)
	rand.Read(f.secret)
	sealed := keys[0].Seal(housePlace(id), f.secret)
	_, err = f.db.Exec(ctx, `insert into house (id, secret, log_vkey, file_id, created_at) values ($1, $2, $3, $4, $5)`,
		id, sealed, f.signer.Verifier(), f.fileID(), db.Time{Time: now})
	if err != nil {
		return fmt.Errorf("found house: %w", err)
	}
	return nil
}

// Accept records that the database file in dir is the one copy of the house
// that runs from now on.
func Accept(ctx context.Context, dir string, getenv func(string) string, now func() time.Time) error {
	s, err := readSettings(dir, getenv)
	if err != nil {
		return err
	}
	d, err := openDatabase(ctx, s.Database, filepath.Join(dir, "tillid.db"))
	if err != nil {
		return err
	}
	defer d.Close()
	f := &folder{dir: dir, db: d}
	_, err = d.Exec(ctx, `update house set file_id = $1`, f.fileID())
	return err
}
