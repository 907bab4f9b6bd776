package main

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/tillid/tillid/internal/app"
)

// choose DIR HOST BODY is a visitor of the house in DIR who sends a choice; the
// number of its leaf is then $LEAF.
func choose(ts *testscript.TestScript, _ bool, args []string) {
	h, err := app.Open(context.Background(), ts.MkAbs(args[0]), app.Options{Log: slog.New(slog.DiscardHandler), Now: time.Now, Getenv: func(string) string { return "" }})
	ts.Check(err)
	defer h.Close()
	site, _ := h.Handlers()
	r := httptest.NewRequest("POST", "https://"+args[1]+"/_tillid/consent", strings.NewReader(args[2]))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	site.ServeHTTP(w, r)
	var done struct {
		Receipt struct {
			Leaf string `json:"leaf_id"`
		}
	}
	ts.Check(json.Unmarshal(w.Body.Bytes(), &done))
	ts.Setenv("LEAF", done.Receipt.Leaf)
}

// recipient IDENTITY SETTINGS names the identity's recipient in a house's settings.
func recipient(ts *testscript.TestScript, _ bool, args []string) {
	_, rest, ok := strings.Cut(ts.ReadFile(args[0]), "# public key: ")
	if !ok {
		ts.Fatalf("%s names no recipient", args[0])
	}
	name, _, _ := strings.Cut(rest, "\n")
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte("TILLID_BACKUP_RECIPIENTS="+name+"\n"), 0o600))
}

// cpdir FROM TO copies a folder.
func cpdir(ts *testscript.TestScript, _ bool, args []string) {
	from := os.DirFS(ts.MkAbs(args[0]))
	ts.Check(fs.WalkDir(from, ".", func(name string, e fs.DirEntry, err error) error {
		to := filepath.Join(ts.MkAbs(args[1]), name)
		if err != nil || e.IsDir() {
			return errors.Join(err, os.MkdirAll(to, 0o755))
		}
		b, err := fs.ReadFile(from, name)
		return errors.Join(err, os.WriteFile(to, b, 0o644))
	}))
}

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"tillid": main})
}

// TestScripts runs the command line as people do: testdata/script/*.txtar.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:           "testdata/script",
		UpdateScripts: os.Getenv("UPDATE_SCRIPTS") != "",
		Cmds:          map[string]func(*testscript.TestScript, bool, []string){"choose": choose, "recipient": recipient, "cpdir": cpdir},
		Setup: func(env *testscript.Env) error {
			env.Setenv("EXAMPLE", os.Getenv("PWD")+"/../../examples/eksempel")
			wd, err := os.Getwd()
			env.Setenv("EXAMPLE", wd+"/../../examples/eksempel")
			return err
		},
	})
}
