package subject_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"pgregory.net/rapid"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/db/dbtest"
	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/subject"
)

// A sealed value opens in its own place only: not in another row, table, column
// or record, and not in another house that has the same keys.
func TestSealedValueStaysInItsPlace(t *testing.T) {
	c := newClock()
	s := newService(t, dbtest.Lite(t), c)
	keys, err := s.Keys.New(t.Context(), "r1", "r2")
	if err != nil {
		t.Fatal(err)
	}
	names := rapid.SampledFrom([]string{"", "a", "b", "ab", "a|b", "|", "1"})
	place := rapid.Custom(func(t *rapid.T) subject.Place {
		return subject.Place{Table: names.Draw(t, "table"), Row: names.Draw(t, "row"), Column: names.Draw(t, "column")}
	})
	rapid.Check(t, func(t *rapid.T) {
		plain := rapid.SliceOf(rapid.Byte()).Draw(t, "plain")
		at, to := place.Draw(t, "sealed at"), place.Draw(t, "opened at")
		key, with := keys[rapid.IntRange(0, 1).Draw(t, "key")], keys[rapid.IntRange(0, 1).Draw(t, "other key")]
		sealed := key.Seal(at, plain)
		if bytes.Contains(sealed, plain) && len(plain) > 3 {
			t.Fatal("sealed value holds the plain one")
		}
		got, err := with.Open(to, sealed)
		switch same := at == to && key == with; {
		case same && (err != nil || !bytes.Equal(got, plain)):
			t.Fatalf("does not open in its place: %v", err)
		case !same && err == nil:
			t.Fatalf("sealed at %v opens at %v", at, to)
		}
		i := rapid.IntRange(0, len(sealed)-1).Draw(t, "byte")
		sealed[i] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		if _, err := key.Open(at, sealed); err == nil {
			t.Fatal("an altered value opens")
		}
	})
}

// Keys of one house open nothing of another, even with the same key-encryption
// key; and a wrapped key that is moved to another record opens nothing.
func TestKeysStayInTheirHouse(t *testing.T) {
	each(t, func(t *testing.T, s *subject.Service, c *clock) {
		ctx := t.Context()
		if _, err := s.Keys.New(ctx, "r1", "r2"); err != nil {
			t.Fatal(err)
		}
		other := &subject.Keys{DB: s.Keys.DB, House: "house-b", KEK: s.Keys.KEK, Now: c.now}
		if _, err := other.Get(ctx, "r1"); err == nil {
			t.Error("another house opens a key")
		}
		wrong := &subject.Keys{DB: s.Keys.DB, House: s.Keys.House, KEK: bytes.Repeat([]byte{1}, 32), Now: c.now}
		if _, err := wrong.Get(ctx, "r1"); err == nil || fault.Of(err).Kind == fault.Gone {
			t.Errorf("another key-encryption key: %v", err)
		}
		_, err := s.Keys.DB.Exec(ctx, `update record_key set wrapped = (select wrapped from record_key where record = 'r2') where record = 'r1'`)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Keys.Get(ctx, "r1"); err == nil {
			t.Error("a swapped key opens")
		}
	})
}

func TestKeysDestroy(t *testing.T) {
	each(t, func(t *testing.T, s *subject.Service, c *clock) {
		ctx := t.Context()
		if _, err := s.Keys.New(ctx, "r1", "r2", "r3"); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Keys.New(ctx, "r1"); !db.IsUnique(err) {
			t.Errorf("a second key for one record: %v", err)
		}
		for range 2 {
			if err := s.Keys.Destroy(ctx, "r1", "r3", "never"); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.Keys.Get(ctx, "r1"); fault.Of(err).Kind != fault.Gone {
			t.Errorf("destroyed key: %v", err)
		}
		left, err := s.Keys.Left(ctx, "r1", "r2", "r3")
		if err != nil || len(left) != 1 || left[0] != "r2" {
			t.Errorf("left %v, %v", left, err)
		}
	})
}

// A destroyed key leaves no byte in the files of the key store.
func TestKeysDestroyLeavesNoTrace(t *testing.T) {
	dsn := dbtest.Lite(t)
	s := newService(t, dsn, newClock())
	ctx := t.Context()
	if _, err := s.Keys.New(ctx, "record-with-a-name-to-look-for"); err != nil {
		t.Fatal(err)
	}
	var wrapped []byte
	if err := s.Keys.DB.QueryRow(ctx, `select wrapped from record_key`).Scan(&wrapped); err != nil {
		t.Fatal(err)
	}
	if err := s.Keys.Destroy(ctx, "record-with-a-name-to-look-for"); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(dsn("keys") + "*")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(b, wrapped) || bytes.Contains(b, []byte("record-with-a-name")) {
			t.Errorf("%s still holds the key", filepath.Base(f))
		}
	}
}
