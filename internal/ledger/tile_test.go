package ledger

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/db/dbtest"
)

// A stranger downloads the tiles, checks them against the checkpoint, and
// finds every entry in them.
func TestTiles(t *testing.T) {
	const size = 2*256 + 7
	l := newLog(t, dbtest.Open(t, dbtest.Lite(t)("house")))
	fill(t, l, size, size)
	mux := http.NewServeMux()
	l.Routes(mux)
	get := func(path string) ([]byte, int) {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		return w.Body.Bytes(), w.Code
	}
	vkey, _ := get("/_tillid/log.vkey")
	signed, code := get("/_tillid/checkpoint")
	origin, tree, err := openCheckpoint(signed, string(vkey))
	if err != nil || code != http.StatusOK || origin != l.Origin || tree.N != size {
		t.Fatalf("checkpoint %d %s: %v", code, signed, err)
	}
	read := tlog.TileHashReader(tree, tiles{get})
	if root, err := tlog.TreeHash(size, read); err != nil || root != tree.Hash {
		t.Fatalf("root %s, %v", root, err)
	}
	n := int64(0)
	for _, path := range []string{"000", "001", "002.p/7"} {
		b, code := get("/_tillid/tile/entries/" + path)
		if code != http.StatusOK {
			t.Fatalf("entries %s: %d", path, code)
		}
		for ; len(b) > 0; n++ {
			length := int(binary.BigEndian.Uint16(b))
			entry := b[2 : 2+length]
			b = b[2+length:]
			want, err := read.ReadHashes([]int64{tlog.StoredHashIndex(0, n)})
			if err != nil || tlog.RecordHash(entry) != want[0] {
				t.Fatalf("entry %d: %v", n, err)
			}
			if leaf, err := parseLeaf(entry); err != nil || leaf.ID != fmt.Sprintf("a%04d", n) {
				t.Fatalf("entry %d: %+v, %v", n, leaf, err)
			}
		}
	}
	if n != size {
		t.Errorf("%d entries, want %d", n, size)
	}
	for _, path := range []string{
		"0/003", "0/002", "0/002.p/8", "0/2", "0/000.p/256", "0/000.p/0", "0/-01", "1/001", "1/000", "1/000.p/3", "2/000.p/1",
		"64/000", "63/000.p/1", "data/000", "entries/003", "entries/002", "", "x", "0/x999/999", "0/x999/x999/x999/x999/x999/x999/999",
	} {
		if b, code := get("/_tillid/tile/" + path); code != http.StatusNotFound {
			t.Errorf("%q: %d with %d bytes", path, code, len(b))
		}
	}
}

// tiles reads tiles as a client of the served log.
type tiles struct {
	get func(path string) ([]byte, int)
}

func (tiles) Height() int                     { return tileHeight }
func (tiles) SaveTiles([]tlog.Tile, [][]byte) {}
func (r tiles) ReadTiles(list []tlog.Tile) (data [][]byte, err error) {
	for _, tile := range list {
		b, code := r.get("/_tillid/" + strings.Replace(tile.Path(), "tile/8/", "tile/", 1))
		if code != http.StatusOK {
			return nil, fmt.Errorf("%s: %d", tile.Path(), code)
		}
		data = append(data, b)
	}
	return data, nil
}

func TestRoutesWithoutDatabase(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		l := newLog(t, d)
		fill(t, l, 1, 1)
		d.Close()
		mux := http.NewServeMux()
		l.Routes(mux)
		for _, path := range []string{"checkpoint", "tile/0/000.p/1"} {
			w := httptest.NewRecorder()
			mux.ServeHTTP(w, httptest.NewRequest("GET", "/_tillid/"+path, nil))
			if w.Code != http.StatusServiceUnavailable || strings.Contains(w.Body.String(), "sql") {
				t.Errorf("%s: %d %s", path, w.Code, w.Body)
			}
		}
	})
}

func FuzzTilePath(f *testing.F) {
	f.Add("0/000")
	f.Add("entries/x001/234.p/5")
	l := newLog(f, dbtest.Open(f, dbtest.Lite(f)("house")))
	fill(f, l, 3, 3)
	f.Fuzz(func(t *testing.T, path string) {
		if b, err := l.tile(t.Context(), path); err == nil && len(b) == 0 || err != nil && err != errNoTile {
			t.Errorf("%q: %q, %v", path, b, err)
		}
	})
}

func FuzzOpenCheckpoint(f *testing.F) {
	l := newLog(f, dbtest.Open(f, dbtest.Lite(f)("house")))
	fill(f, l, 3, 3)
	good := lastCheckpoint(f, l)
	f.Add(good)
	f.Add([]byte("a\n1\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, tree, err := openCheckpoint(b, l.Signer.Verifier())
		if err == nil && !bytes.HasPrefix(b, good[:bytes.Index(good, []byte("\n\n"))]) {
			t.Errorf("%q is accepted as %+v", b, tree)
		}
	})
}

func FuzzProof(f *testing.F) {
	l := newLog(f, dbtest.Open(f, dbtest.Lite(f)("house")))
	fill(f, l, 3, 3)
	p, err := l.Prove(f.Context(), "a0001")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(p.Leaf, p.Index, strings.Join(p.Hashes, " "), p.Checkpoint)
	f.Fuzz(func(t *testing.T, leaf []byte, index int64, hashes, checkpoint string) {
		q := Proof{Leaf: leaf, Index: index, Hashes: strings.Fields(hashes), Checkpoint: checkpoint}
		if _, err := q.Check(l.Signer.Verifier()); err == nil && (!bytes.Equal(leaf, p.Leaf) || index != p.Index) {
			t.Errorf("%q at %d is proved", leaf, index)
		}
	})
}
