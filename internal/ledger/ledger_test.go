package ledger

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/db/dbtest"
	"github.com/tillid/tillid/internal/fault"
)

var start = time.Date(2026, 10, 5, 12, 0, 0, 123_456_789, time.UTC)

func newLog(tb testing.TB, d *db.DB) *Log {
	tb.Helper()
	skey, vkey, err := GenerateKey("eksempel.example/tillid")
	if err != nil {
		tb.Fatal(err)
	}
	s, err := NewSigner(skey)
	if err != nil {
		tb.Fatal(err)
	}
	if s.Verifier() != vkey || s.Name() != "eksempel.example/tillid" {
		tb.Fatalf("the signer is %s %s, want %s", s.Name(), s.Verifier(), vkey)
	}
	return &Log{DB: d, Origin: "eksempel.example/tillid", Signer: s, Now: func() time.Time { return start }}
}

func appendLeaf(tb testing.TB, l *Log, leaf Leaf) Promise {
	tb.Helper()
	var a Appended
	err := l.DB.Do(tb.Context(), func(ctx context.Context, tx *db.Tx) (err error) {
		a, err = l.Append(ctx, tx, leaf)
		return err
	})
	p, bad := l.Signer.Promise(a)
	err = errors.Join(err, bad)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

func sequence(tb testing.TB, l *Log, want int) {
	tb.Helper()
	if n, err := l.Sequence(tb.Context()); err != nil || n != want {
		tb.Fatalf("sequenced %d, %v; want %d", n, err, want)
	}
}

// fill appends n leaves a0000, a0001, … one millisecond apart, several in each checkpoint.
func fill(tb testing.TB, l *Log, n, each int) {
	tb.Helper()
	for first := 0; first < n; first += each {
		last := min(first+each, n)
		err := l.DB.Do(tb.Context(), func(ctx context.Context, tx *db.Tx) error {
			for i := first; i < last; i++ {
				leaf := Leaf{ID: fmt.Sprintf("a%04d", i), Kind: "test", At: start.Add(time.Duration(i) * time.Millisecond), Version: "v1"}
				if _, err := l.Append(ctx, tx, leaf); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			tb.Fatal(err)
		}
		sequence(tb, l, last-first)
	}
}

func verify(tb testing.TB, l *Log, old []byte) string {
	tb.Helper()
	faults, err := l.Verify(tb.Context(), old)
	if err != nil {
		tb.Fatal(err)
	}
	var lines []string
	for _, f := range faults {
		lines = append(lines, f.String())
	}
	return strings.Join(lines, "\n")
}

func lastCheckpoint(tb testing.TB, l *Log) []byte {
	tb.Helper()
	b, err := l.Checkpoint(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func TestWaiting(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		l := newLog(t, d)
		leaf := Leaf{Kind: "erased", Version: "v<1>", Commitment: Commit(make([]byte, 16), "p"), Facts: map[string]string{"b": "æ & ø", "a": "1"}}
		p := appendLeaf(t, l, leaf)
		if err := p.Check(l.Signer.Verifier()); err != nil {
			t.Error(err)
		}
		if _, err := l.Prove(t.Context(), p.LeafID); err != ErrWaiting {
			t.Errorf("before its number: %v", err)
		}
		if _, err := l.Prove(t.Context(), "none"); fault.Of(err).Kind != fault.NotFound {
			t.Errorf("an unknown leaf: %v", err)
		}
	})
}

func TestProof(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		l := newLog(t, d)
		leaf := Leaf{Kind: "erased", Version: "v<1>", Commitment: Commit(make([]byte, 16), "p"), Facts: map[string]string{"b": "æ & ø", "a": "1"}}
		p := appendLeaf(t, l, leaf)
		sequence(t, l, 1)
		fill(t, l, 20, 7)
		proof, err := l.Prove(t.Context(), p.LeafID)
		if err != nil {
			t.Fatal(err)
		}
		sent, err := json.Marshal(proof) // offline
		if err != nil {
			t.Fatal(err)
		}
		proof = &Proof{}
		if err := json.Unmarshal(sent, proof); err != nil {
			t.Fatal(err)
		}
		got, err := proof.Check(l.Signer.Verifier())
		if err != nil || got.Kind != "erased" || got.Facts["b"] != "æ & ø" || !got.At.Equal(start.Truncate(time.Millisecond)) {
			t.Errorf("got %+v, %v", got, err)
		}
		want := `{"id":"` + p.LeafID + `","kind":"erased","at":"2026-10-05T12:00:00.123Z","version":"v<1>","commitment":"` +
			base64.StdEncoding.EncodeToString(leaf.Commitment) + `","facts":{"a":"1","b":"æ & ø"}}`
		if string(proof.Leaf) != want {
			t.Errorf("the leaf is\n%s, want\n%s", proof.Leaf, want)
		}
		_, other, err := GenerateKey("eksempel.example/tillid")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := proof.Check(other); err == nil {
			t.Error("another key: no error")
		}
		for what, spoil := range map[string]func(*Proof){
			"leaf":       func(p *Proof) { p.Leaf[3] ^= 1 },
			"index":      func(p *Proof) { p.Index++ },
			"negative":   func(p *Proof) { p.Index = -1 },
			"too high":   func(p *Proof) { p.Index = 21 },
			"hash":       func(p *Proof) { p.Hashes[0] = p.Hashes[1] },
			"no base64":  func(p *Proof) { p.Hashes[0] = "x" },
			"fewer":      func(p *Proof) { p.Hashes = p.Hashes[1:] },
			"more":       func(p *Proof) { p.Hashes = append(p.Hashes, p.Hashes[0]) },
			"checkpoint": func(p *Proof) { p.Checkpoint = strings.Replace(p.Checkpoint, "\n21\n", "\n22\n", 1) },
			"empty":      func(p *Proof) { p.Checkpoint = "" },
		} {
			bad := &Proof{}
			if err := json.Unmarshal(sent, bad); err != nil {
				t.Fatal(err)
			}
			spoil(bad)
			if _, err := bad.Check(l.Signer.Verifier()); err == nil {
				t.Errorf("%s altered: no error", what)
			}
		}
	})
}

func TestPromise(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		l := newLog(t, d)
		p := appendLeaf(t, l, Leaf{Kind: "test"})
		sequence(t, l, 1)
		proof, err := l.Prove(t.Context(), p.LeafID)
		if err != nil {
			t.Fatal(err)
		}
		if hash := tlog.RecordHash(proof.Leaf); hash.String() != p.Hash {
			t.Errorf("promised %s, in the log %s", p.Hash, hash)
		}
		p.LeafID = "other"
		if err := p.Check(l.Signer.Verifier()); err == nil {
			t.Error("a promise of another leaf holds")
		}
	})
}

func TestAppendIsPartOfTheTransaction(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		l := newLog(t, d)
		err := d.Do(t.Context(), func(ctx context.Context, tx *db.Tx) error {
			if _, err := l.Append(ctx, tx, Leaf{Kind: "test"}); err != nil {
				return err
			}
			return context.Canceled
		})
		if err == nil {
			t.Fatal("no error")
		}
		sequence(t, l, 0)
		err = d.Do(t.Context(), func(ctx context.Context, tx *db.Tx) error {
			_, err := l.Append(ctx, tx, Leaf{Kind: "test", Facts: map[string]string{"a": strings.Repeat("x", maxLeaf)}})
			return err
		})
		if err == nil {
			t.Error("a leaf that no tile can hold: no error")
		}
	})
}

func TestEmptyLog(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		l := newLog(t, d)
		origin, tree, err := openCheckpoint(lastCheckpoint(t, l), l.Signer.Verifier())
		if err != nil || origin != l.Origin || tree.N != 0 || tree.Hash.String() != "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=" {
			t.Errorf("got %s %+v, %v", origin, tree, err)
		}
		if got := verify(t, l, nil); got != "" {
			t.Error(got)
		}
		sequence(t, l, 0)
	})
}

func TestRecent(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		l := newLog(t, d)
		fill(t, l, 5, 5)
		appendLeaf(t, l, Leaf{ID: "new", Kind: "test"})
		for _, test := range []struct {
			n      int
			before int64
			want   string
		}{
			{3, 0, "new -1, a0004 4, a0003 3"},
			{2, 3, "a0002 2, a0001 1"},
			{9, 1, "a0000 0"},
			{1, 0, "new -1"},
		} {
			list, err := l.Recent(t.Context(), test.n, test.before)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, e := range list {
				got = append(got, fmt.Sprintf("%s %d", e.ID, e.Index))
			}
			if s := strings.Join(got, ", "); s != test.want {
				t.Errorf("%d before %d: got %s, want %s", test.n, test.before, s, test.want)
			}
		}
	})
}

// Whatever is appended, in whatever portions: every leaf is proved, every
// earlier checkpoint is extended, nothing is wrong.
func TestProperty(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		l := newLog(t, d)
		var ids []string
		olds := [][]byte{lastCheckpoint(t, l)}
		rapid.Check(t, func(rt *rapid.T) {
			n := rapid.IntRange(0, 9).Draw(rt, "leaves")
			for range n {
				leaf := Leaf{
					Kind: rapid.SampledFrom([]string{"consent.given", "erased"}).Draw(rt, "kind"),
					At:   start.Add(time.Duration(rapid.IntRange(-5, 5).Draw(rt, "at")) * time.Second),
					Facts: rapid.MapOfN(rapid.StringN(0, 5, -1), rapid.StringN(0, 20, -1), 0, 3).Filter(func(m map[string]string) bool {
						_, err := json.Marshal(m)
						return err == nil
					}).Draw(rt, "facts"),
				}
				ids = append(ids, appendLeaf(t, l, leaf).LeafID)
			}
			sequence(t, l, n)
			olds = append(olds, lastCheckpoint(t, l))
			old := rapid.SampledFrom(olds).Draw(rt, "old")
			if got := verify(t, l, old); got != "" {
				rt.Fatal(got)
			}
			if len(ids) == 0 {
				return
			}
			proof, err := l.Prove(t.Context(), rapid.SampledFrom(ids).Draw(rt, "leaf"))
			if err != nil {
				rt.Fatal(err)
			}
			if _, err := proof.Check(l.Signer.Verifier()); err != nil {
				rt.Fatal(err)
			}
		})
	})
}
