package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http/httptest"
	"os"
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

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"tillid": main})
}

// TestScripts runs the command line as people do: testdata/script/*.txtar.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:           "testdata/script",
		UpdateScripts: os.Getenv("UPDATE_SCRIPTS") != "",
		Cmds:          map[string]func(*testscript.TestScript, bool, []string){"choose": choose},
		Setup: func(env *testscript.Env) error {
			env.Setenv("EXAMPLE", os.Getenv("PWD")+"/../../examples/eksempel")
			wd, err := os.Getwd()
			env.Setenv("EXAMPLE", wd+"/../../examples/eksempel")
			return err
		},
	})
}
