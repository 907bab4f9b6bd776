//go:build e2e

package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/transparency-dev/formats/log"
	fnote "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
)

// A witness in a process of its own cosigns a running server's checkpoints: the
// house's key is given to the witness, the witness's to the house's settings, and
// what the server then publishes is read by code that this project did not write.
//
// Rows: E7.
func TestWitnessOfServer(t *testing.T) {
	e := newEstate(t, "vidne", lite)
	s := e.serve(t)
	key := filepath.Join(t.TempDir(), "log.vkey")
	vkey := s.must(t, http.StatusOK, "GET", s.www()+"/_tillid/log.vkey", "").body
	if err := os.WriteFile(key, []byte(vkey), 0o600); err != nil {
		t.Fatal(err)
	}
	s.must(t, http.StatusNotFound, "GET", s.www()+"/_tillid/checkpoint/cosigned", "")
	if code := s.stop(t); code != 0 {
		t.Fatal("the server ended with", code)
	}
	dir := filepath.Join(t.TempDir(), "witness")
	w, at := start(t, `^Listening on (.*)\.$`, nil, "witness", "--name", "witness.test/one", "--log", key, "--listen", "127.0.0.1:0", dir)
	witness, _, _ := strings.Cut(w.output(), "\n")
	settings, err := os.OpenFile(filepath.Join(e.dir, "settings.env"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := settings.WriteString("TILLID_WITNESSES=http://" + at[1] + " " + witness + "\n"); err != nil {
		t.Fatal(err)
	}
	settings.Close()
	s = e.serve(t)
	var cosigned string
	eventually(t, "the witness has cosigned", func() bool {
		a, err := send(s.http, "GET", s.www()+"/_tillid/checkpoint/cosigned", "")
		cosigned = a.body
		return err == nil && a.StatusCode == http.StatusOK
	})
	ours, err := note.NewVerifier(strings.TrimSpace(vkey))
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := fnote.NewVerifierForCosignatureV1(witness)
	if err != nil {
		t.Fatal(err)
	}
	cp, _, n, err := log.ParseCheckpoint([]byte(cosigned), ours.Name(), ours, theirs)
	if err != nil || cp.Size == 0 || len(n.Sigs) != 2 {
		t.Fatalf("others read %+v with %v: %v\n%s", cp, n, err, cosigned)
	}
}
