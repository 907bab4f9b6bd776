package subject

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"database/sql"
	"embed"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"time"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/fault"
)

// Keys is a house's key store: one data key per record, wrapped by the
// key-encryption key, in a database of its own (keys.db; on PostgreSQL a second
// database) with backups of at most seven days.
type Keys struct {
	DB    *db.DB
	House string // goes into the associated data: keys of one house open nothing of another
	KEK   []byte // 32 bytes
	Now   func() time.Time

	// Paused reports whether a record's use is restricted; nil: never. Get then opens
	// it for a stated reason only (WithReason): every reading needs the key.
	Paused func(ctx context.Context, record string) (bool, error)
}

// Key is the key of one record, in memory.
type Key struct {
	Record string
	core
}

type core struct {
	house string
	aead  cipher.AEAD
}

// Place is where a sealed value stands; it is part of what is authenticated, so
// a value moved to another row, column, table or house does not open.
type Place struct{ Table, Row, Column string }

//go:embed keymigration/*.sql
var keyMigrations embed.FS

// kekVersion is the version of Keys.KEK. It stands in every row, so that a later
// key-encryption key can be told from this one while keys are wrapped again.
const kekVersion = 1

// batch is how many ids one statement names; both engines take more.
const batch = 500

// New makes a durable key for each record id. Concurrent calls share a commit.
func (k *Keys) New(ctx context.Context, records ...string) ([]*Key, error) {
	kek, err := newAEAD(k.KEK)
	if err != nil {
		return nil, fmt.Errorf("key-encryption key: %w", err)
	}
	keys := make([]*Key, len(records))
	wrapped := make([][]byte, len(records))
	for i, record := range records {
		dek := make([]byte, 32)
		rand.Read(dek)
		aead, err := newAEAD(dek)
		if err != nil {
			return nil, fmt.Errorf("data key: %w", err)
		}
		keys[i] = &Key{Record: record, core: core{k.House, aead}}
		wrapped[i] = seal(kek, dek, k.wrapping(record, kekVersion))
	}
	now := db.Time{Time: k.Now()}
	err = k.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error {
		for i, record := range records {
			_, err := tx.Exec(ctx, `insert into record_key (record, wrapped, kek_version, created_at) values ($1, $2, $3, $4)`,
				record, wrapped[i], kekVersion, now)
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("insert keys: %w", err)
	}
	return keys, nil
}

// Get returns a record's key; a fault of kind Gone when it was destroyed, and
// Restricted when it may not be used.
func (k *Keys) Get(ctx context.Context, record string) (*Key, error) {
	if k.Paused != nil && reasonOf(ctx) == "" {
		if paused, err := k.Paused(ctx, record); err != nil {
			return nil, err
		} else if paused {
			return nil, Restricted()
		}
	}
	var wrapped []byte
	var version int
	err := k.DB.QueryRow(ctx, `select wrapped, kek_version from record_key where record = $1`, record).Scan(&wrapped, &version)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fault.New(fault.Gone, "This has been deleted.").In("subject.gone")
	}
	if err != nil {
		return nil, fmt.Errorf("select key: %w", err)
	}
	kek, err := newAEAD(k.KEK)
	if err != nil {
		return nil, fmt.Errorf("key-encryption key: %w", err)
	}
	dek, err := open(kek, wrapped, k.wrapping(record, version))
	if err != nil {
		return nil, fmt.Errorf("unwrap key: %w (another key-encryption key or house, or an altered key store)", err)
	}
	aead, err := newAEAD(dek)
	if err != nil {
		return nil, fmt.Errorf("data key: %w", err)
	}
	return &Key{Record: record, core: core{k.House, aead}}, nil
}

// Destroy removes keys, durably and without trace in the file. It is idempotent.
func (k *Keys) Destroy(ctx context.Context, records ...string) error {
	if len(records) == 0 {
		return nil
	}
	err := k.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error {
		for ids := range slices.Chunk(records, batch) {
			in, args := db.List(1, ids)
			if _, err := tx.Exec(ctx, `delete from record_key where record in `+in, args...); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("delete keys: %w", err)
	}
	if err := k.DB.Checkpoint(ctx); err != nil {
		return fmt.Errorf("checkpoint key store: %w", err)
	}
	return nil
}

// Migrate brings the key store's tables up to date.
func (k *Keys) Migrate(ctx context.Context) error { return k.DB.MigrateFS(ctx, keyMigrations) }

// Ping reports whether the key store answers.
func (k *Keys) Ping(ctx context.Context) error {
	var n int
	if err := k.DB.QueryRow(ctx, `select count(*) from record_key where record = ''`).Scan(&n); err != nil {
		return fmt.Errorf("select keys: %w", err)
	}
	return nil
}

// Left returns which of the records still have a key.
func (k *Keys) Left(ctx context.Context, records ...string) ([]string, error) {
	var left []string
	for ids := range slices.Chunk(records, batch) {
		in, args := db.List(1, ids)
		found, err := db.Texts(ctx, k.DB, `select record from record_key where record in `+in, args...)
		if err != nil {
			return nil, fmt.Errorf("select keys: %w", err)
		}
		left = append(left, found...)
	}
	return left, nil
}

// Seal encrypts and authenticates plain for its place (AES-256-GCM).
func (k *Key) Seal(p Place, plain []byte) []byte {
	return seal(k.aead, plain, k.place(p))
}

// Open reverses Seal.
func (k *Key) Open(p Place, sealed []byte) ([]byte, error) {
	plain, err := open(k.aead, sealed, k.place(p))
	if err != nil {
		return nil, fmt.Errorf("open %s.%s: %w", p.Table, p.Column, err)
	}
	return plain, nil
}

func (k *Key) place(p Place) []byte {
	return associated(k.house, p.Table, p.Row, p.Column, k.Record)
}

func (k *Keys) wrapping(record string, version int) []byte {
	return associated(k.House, "record_key", record, "wrapped", strconv.Itoa(version))
}

// associated joins parts so that no two lists of parts give the same bytes.
func associated(parts ...string) []byte {
	var b []byte
	for _, p := range parts {
		b = binary.AppendUvarint(b, uint64(len(p)))
		b = append(b, p...)
	}
	return b
}

func newAEAD(key []byte) (cipher.AEAD, error) {
	if len(key) != 32 {
		return nil, fmt.Errorf("%d bytes instead of 32", len(key))
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// sealedFormat is the first byte of everything sealed: AES-256-GCM, nonce first.
const sealedFormat = 1

var errSealed = errors.New("sealed value does not open")

func seal(aead cipher.AEAD, plain, data []byte) []byte {
	out := make([]byte, 1, 1+len(plain)+aead.Overhead())
	out[0] = sealedFormat
	return aead.Seal(out, nil, plain, data) //nolint:gosec // no nonce is given: NewGCMWithRandomNonce makes and prepends it
}

func open(aead cipher.AEAD, sealed, data []byte) ([]byte, error) {
	if len(sealed) == 0 || sealed[0] != sealedFormat {
		return nil, errSealed
	}
	plain, err := aead.Open(nil, nil, sealed[1:], data)
	if err != nil {
		return nil, errSealed
	}
	return plain, nil
}

// KeyMigrations are the migrations of a key store's database.
func KeyMigrations() fs.FS { return keyMigrations }
