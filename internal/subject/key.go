package subject

import (
	"context"
	"time"

	"github.com/tillid/tillid/internal/db"
)

// Keys is a house's key store: one data key per record, wrapped by the
// key-encryption key, in a database of its own (keys.db; on PostgreSQL a second
// database) with backups of at most seven days.
type Keys struct {
	DB    *db.DB
	House string // goes into the associated data: keys of one house open nothing of another
	KEK   []byte // 32 bytes
	Now   func() time.Time
}

// Key is the key of one record, in memory.
type Key struct {
	Record string
	core
}

type core struct{} // helper FORGET replaces this

// Place is where a sealed value stands; it is part of what is authenticated, so
// a value moved to another row, column, table or house does not open.
type Place struct{ Table, Row, Column string }

// New makes a durable key for each record id. Concurrent calls share a commit.
func (k *Keys) New(ctx context.Context, records ...string) ([]*Key, error) {
	panic("helper FORGET writes this")
}

// Get returns a record's key; a fault of kind Gone when it was destroyed.
func (k *Keys) Get(ctx context.Context, record string) (*Key, error) {
	panic("helper FORGET writes this")
}

// Destroy removes keys, durably and without trace in the file. It is idempotent.
func (k *Keys) Destroy(ctx context.Context, records ...string) error {
	panic("helper FORGET writes this")
}

// Seal encrypts and authenticates plain for its place (AES-256-GCM).
func (k *Key) Seal(p Place, plain []byte) []byte { panic("helper FORGET writes this") }

// Open reverses Seal.
func (k *Key) Open(p Place, sealed []byte) ([]byte, error) { panic("helper FORGET writes this") }
