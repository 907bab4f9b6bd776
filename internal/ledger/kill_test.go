package ledger

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/db/dbtest"
)

// A process that appends, sequences and tells what was acknowledged is killed
// at any moment, again and again: no acknowledged leaf is lost or doubled, and
// every checkpoint that it showed is extended by the log that the next finds.
//
// Rows: E7.
func TestKill(t *testing.T) {
	if dsn := os.Getenv("LEDGER_TEST_DSN"); dsn != "" {
		appendUntilKilled(t, dsn, os.Getenv("LEDGER_TEST_KEY"))
		return
	}
	dbtest.EachDSN(t, func(t *testing.T, dsn func(string) string) {
		skey, _, err := GenerateKey("eksempel.example/tillid")
		if err != nil {
			t.Fatal(err)
		}
		file := dsn("house")
		dbtest.Open(t, file).Close()
		acknowledged := map[string]bool{}
		var shown []byte
		for round := range 4 {
			shown = appendAndKill(t, file, skey, 20+17*round, acknowledged, shown)
		}
		d := dbtest.Open(t, file)
		l := logAt(t, d, skey)
		l.Now = func() time.Time { return time.Now().Add(24 * time.Hour) } // the killed one's lease has ended
		if _, err := l.Sequence(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := verify(t, l, shown); got != "" {
			t.Error(got)
		}
		for id := range acknowledged {
			if _, err := l.Prove(t.Context(), id); err != nil {
				t.Errorf("the acknowledged leaf %s: %v", id, err)
			}
		}
	})
}

// appendAndKill runs the process, kills it once it has acknowledged lines
// things, and returns the last checkpoint that it showed.
func appendAndKill(t *testing.T, dsn, skey string, lines int, acknowledged map[string]bool, shown []byte) []byte {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestKill$")
	cmd.Env = append(os.Environ(), "LEDGER_TEST_DSN="+dsn, "LEDGER_TEST_KEY="+skey)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	in, n := bufio.NewScanner(out), 0
	for in.Scan() { // what it still said after the kill was acknowledged too
		kind, text, _ := strings.Cut(in.Text(), " ")
		switch kind {
		case "leaf":
			if acknowledged[text] {
				t.Errorf("leaf %s twice", text)
			}
			acknowledged[text] = true
		case "checkpoint":
			if _, err := fmt.Sscanf(text, "%q", &shown); err != nil {
				t.Fatal(err)
			}
		default:
			t.Log(in.Text())
		}
		if n++; n == lines {
			cmd.Process.Kill()
		}
	}
	cmd.Wait()
	if n < lines {
		t.Fatalf("the process ended by itself after %d lines", n)
	}
	return shown
}

func appendUntilKilled(t *testing.T, dsn, skey string) {
	d, err := db.Open(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	l := logAt(t, d, skey)
	for range 4 {
		go func() {
			for {
				var p Appended
				err := d.Do(t.Context(), func(ctx context.Context, tx *db.Tx) (err error) {
					p, err = l.Append(ctx, tx, Leaf{Kind: "test"})
					return err
				})
				if err != nil {
					panic(err)
				}
				fmt.Println("leaf", p.LeafID)
			}
		}()
	}
	for {
		if _, err := l.Sequence(t.Context()); err != nil {
			t.Fatal(err)
		}
		fmt.Printf("checkpoint %q\n", lastCheckpoint(t, l))
	}
}

// logAt returns a log whose clock runs fast, for the lease of a killed process must end.
func logAt(t *testing.T, d *db.DB, skey string) *Log {
	t.Helper()
	s, err := NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	return &Log{DB: d, Origin: "eksempel.example/tillid", Signer: s, Now: func() time.Time {
		return began.Add(time.Since(began) * 1000)
	}}
}
