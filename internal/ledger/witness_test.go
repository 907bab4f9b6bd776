package ledger

import (
	"bufio"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	formats "github.com/transparency-dev/formats/log"
	fnote "github.com/transparency-dev/formats/note"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/db/dbtest"
)

// witnessProcess starts a witness in a process of its own and returns what a house
// needs of it.
func witnessProcess(t *testing.T, dir string, logs ...string) Cosigner {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestWitness$")
	cmd.Env = append(os.Environ(), "LEDGER_TEST_WITNESS="+dir, "LEDGER_TEST_LOGS="+strings.Join(logs, " "))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if line, ok := strings.CutPrefix(lines.Text(), "witness "); ok {
			c, err := ParseCosigner(line)
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
	}
	t.Fatal("the witness did not start")
	return Cosigner{}
}

func beWitness(t *testing.T, dir string) {
	w, err := OpenWitness(dir, "witness.test/one", strings.Fields(os.Getenv("LEDGER_TEST_LOGS")), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("witness http://%s %s\n", l.Addr(), w.Verifier())
	t.Fatal(http.Serve(l, w))
}

// A witness in another process cosigns what extends the log, and refuses a fork
// that was signed with the same key; what it signs is read by code of others.
//
// Rows: E7.
func TestWitness(t *testing.T) {
	if dir := os.Getenv("LEDGER_TEST_WITNESS"); dir != "" {
		beWitness(t, dir)
		return
	}
	dbtest.EachDSN(t, func(t *testing.T, dsn func(string) string) {
		l := newLog(t, dbtest.Open(t, dsn("house")))
		dir := t.TempDir()
		l.Witnesses = []Cosigner{witnessProcess(t, dir, l.Signer.Verifier())}
		for range 3 {
			for range 5 {
				appendLeaf(t, l, Leaf{Kind: "test"})
			}
			sequence(t, l, 5)
			if err := l.Cosign(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		cosigned, err := l.Cosigned(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if cp := readByOthers(t, l, cosigned); cp.Size != 15 {
			t.Errorf("cosigned at %d", cp.Size)
		}

		// a house that was set back to five leaves and went on otherwise, with the same key
		fork := newLog(t, dbtest.Open(t, dsn("fork")))
		fork.Signer, fork.Witnesses = l.Signer, l.Witnesses
		for range 20 {
			appendLeaf(t, fork, Leaf{Kind: "test"})
		}
		sequence(t, fork, 20)
		if err := fork.Cosign(t.Context()); !errors.Is(err, ErrFork) {
			t.Errorf("a longer fork: %v", err)
		}
		if b, err := fork.Cosigned(t.Context()); err != nil || b != nil {
			t.Errorf("the fork was cosigned: %s %v", b, err)
		}
		// a witness that starts again in its folder remembers
		fork.Witnesses = []Cosigner{witnessProcess(t, dir, l.Signer.Verifier())}
		if err := fork.Cosign(t.Context()); !errors.Is(err, ErrFork) {
			t.Errorf("after the witness started again: %v", err)
		}
		l.Witnesses = fork.Witnesses
		appendLeaf(t, l, Leaf{Kind: "test"})
		sequence(t, l, 1)
		if err := l.Cosign(t.Context()); err != nil {
			t.Errorf("the true log after the witness started again: %v", err)
		}
	})
}

// readByOthers reads a cosigned checkpoint with transparency-dev's code.
func readByOthers(t *testing.T, l *Log, cosigned []byte) *formats.Checkpoint {
	t.Helper()
	log, err := note.NewVerifier(l.Signer.Verifier())
	if err != nil {
		t.Fatal(err)
	}
	c := l.Witnesses[0]
	vkey := fmt.Sprintf("%s+%08x+%s", c.name, c.id, base64.StdEncoding.EncodeToString(append([]byte{algCosignature}, c.public...)))
	witness, err := fnote.NewVerifierForCosignatureV1(vkey)
	if err != nil {
		t.Fatal(err)
	}
	cp, _, n, err := formats.ParseCheckpoint(cosigned, l.Origin, log, witness)
	if err != nil {
		t.Fatalf("others cannot read it: %v\n%s", err, cosigned)
	}
	if len(n.Sigs) != 2 {
		t.Errorf("%d signatures hold, want the log's and the witness's", len(n.Sigs))
	}
	return cp
}

// Checkpoints, inclusion and consistency proofs are checked by code that this
// project did not write (transparency-dev/formats and merkle).
//
// Rows: E7.
func TestReadByOthers(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		l := newLog(t, d)
		verifier, err := note.NewVerifier(l.Signer.Verifier())
		if err != nil {
			t.Fatal(err)
		}
		var roots []*formats.Checkpoint
		for i := range 6 {
			for range i*7 + 1 {
				appendLeaf(t, l, Leaf{Kind: "test"})
			}
			sequence(t, l, i*7+1)
			cp, _, _, err := formats.ParseCheckpoint(lastCheckpoint(t, l), l.Origin, verifier)
			if err != nil {
				t.Fatal(err)
			}
			roots = append(roots, cp)
		}
		last := roots[len(roots)-1]
		list, err := l.Recent(t.Context(), 1000, 0)
		if err != nil || uint64(len(list)) != last.Size {
			t.Fatal(len(list), err)
		}
		for _, e := range list {
			p, err := l.Prove(t.Context(), e.ID)
			if err != nil {
				t.Fatal(err)
			}
			err = proof.VerifyInclusion(rfc6962.DefaultHasher, uint64(p.Index), last.Size, rfc6962.DefaultHasher.HashLeaf(p.Leaf), raw(t, p.Hashes), last.Hash)
			if err != nil {
				t.Errorf("leaf %d: %v", p.Index, err)
			}
		}
		for _, old := range roots {
			p, err := tlog.ProveTree(int64(last.Size), int64(old.Size), reader(t.Context(), d))
			if err != nil {
				t.Fatal(err)
			}
			hashes := make([]string, len(p))
			for i, h := range p {
				hashes[i] = h.String()
			}
			if err := proof.VerifyConsistency(rfc6962.DefaultHasher, old.Size, last.Size, raw(t, hashes), old.Hash, last.Hash); err != nil {
				t.Errorf("from %d to %d: %v", old.Size, last.Size, err)
			}
		}
	})
}

func raw(t *testing.T, hashes []string) (all [][]byte) {
	t.Helper()
	for _, s := range hashes {
		h, err := tlog.ParseHash(s)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, h[:])
	}
	return all
}

// Every answer that C2SP tlog-witness prescribes.
func TestWitnessAnswers(t *testing.T) {
	l := newLog(t, dbtest.Open(t, dbtest.Lite(t)("house")))
	appendLeaf(t, l, Leaf{Kind: "test"})
	sequence(t, l, 1)
	one := string(lastCheckpoint(t, l))
	appendLeaf(t, l, Leaf{Kind: "test"})
	sequence(t, l, 1)
	two := string(lastCheckpoint(t, l))
	p, err := tlog.ProveTree(2, 1, reader(t.Context(), l.DB))
	if err != nil {
		t.Fatal(err)
	}
	other := newLog(t, dbtest.Open(t, dbtest.Lite(t)("other")))
	appendLeaf(t, other, Leaf{Kind: "test"})
	sequence(t, other, 1)
	forged := string(lastCheckpoint(t, other)) // the same origin, another key
	other.Signer = l.Signer
	same, err := other.sign(tlog.Tree{N: 2, Hash: tlog.RecordHash([]byte("another"))})
	if err != nil {
		t.Fatal(err)
	}
	w, err := OpenWitness(t.TempDir(), "witness.test/one", []string{l.Signer.Verifier()}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, body string
		want       int
		answer     string
	}{
		{"nothing", "", 400, ""},
		{"no size", "one\n\n" + one, 400, ""},
		{"a size with a zero before it", "old 01\n\n" + one, 400, ""},
		{"a proof that is none", "old 0\nnonsense\n\n" + one, 400, ""},
		{"another key", "old 0\n\n" + forged, 403, ""},
		{"another log", "old 0\n\n" + strings.Replace(one, "eksempel.example", "else.example", 1), 404, ""},
		{"larger than it is", "old 5\n\n" + one, 400, ""},
		{"not what it has seen", "old 1\n" + p[0].String() + "\n\n" + two, 409, "0\n"},
		{"a first one with a proof", "old 0\n" + p[0].String() + "\n\n" + one, 422, ""},
		{"the first", "old 0\n\n" + one, 200, "— witness.test/one "},
		{"no proof", "old 1\n\n" + two, 422, ""},
		{"a wrong proof", "old 1\n" + tlog.RecordHash(nil).String() + "\n\n" + two, 422, ""},
		{"the second", "old 1\n" + p[0].String() + "\n\n" + two, 200, "— witness.test/one "},
		{"the second again", "old 2\n\n" + two, 200, "— witness.test/one "},
		{"the second, otherwise", "old 2\n\n" + same.note, 409, "2\n"},
		{"back to the first", "old 1\n\n" + one, 409, "2\n"},
		{"too long", strings.Repeat("x", maxSubmission+1), 413, ""},
	} {
		rw := httptest.NewRecorder()
		w.ServeHTTP(rw, httptest.NewRequest("POST", "/add-checkpoint", strings.NewReader(c.body)))
		if rw.Code != c.want || !strings.HasPrefix(rw.Body.String(), c.answer) {
			t.Errorf("%s: %d %q, want %d %q", c.name, rw.Code, rw.Body, c.want, c.answer)
		}
		if c.want == 409 && rw.Header().Get("Content-Type") != "text/x.tlog.size" {
			t.Errorf("%s: %s", c.name, rw.Header().Get("Content-Type"))
		}
	}
}

// A submission is a stranger's input.
func FuzzSubmission(f *testing.F) {
	f.Add([]byte("old 0\n\nexample\n1\nAAAA\n\n— example AAAA\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		in, err := readSubmission(b)
		if err == nil && (in.old < 0 || len(in.proof) > 63) {
			t.Errorf("%+v", in)
		}
	})
}
