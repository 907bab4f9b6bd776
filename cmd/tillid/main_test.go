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
	"regexp"
	"slices"
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

// Every command shows an example that it understands: its own name, flags that
// it has, as many arguments as it takes.
func TestEveryCommandHasAnExample(t *testing.T) {
	var walk func(path []string)
	walk = func(path []string) {
		c, _, err := command().Find(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, sub := range c.Commands() {
			if sub.Name() != "help" && sub.Name() != "completion" && !sub.Hidden {
				walk(append(slices.Clone(path), sub.Name()))
			}
		}
		if len(path) == 0 || c.HasSubCommands() && !c.HasLocalFlags() && c.Args == nil {
			return
		}
		if !strings.Contains(c.Example, c.CommandPath()) {
			t.Errorf("%s has no example of its use", c.CommandPath())
		}
		for line := range strings.Lines(c.Example) {
			understood(t, c.CommandPath(), strings.TrimSpace(line))
		}
	}
	walk(nil)
}

var quoted = regexp.MustCompile(`"[^"]*"|\S+`)

// understood fails when the program would not take an example's line.
func understood(t *testing.T, of, line string) {
	t.Helper()
	line, _, _ = strings.Cut(line, " | ")
	line, _, _ = strings.Cut(line, " > ")
	line, _, _ = strings.Cut(line, " # ")
	words := quoted.FindAllString(line, -1)
	if len(words) == 0 || words[0] != "tillid" {
		return // what else is done with it
	}
	c, rest, err := command().Find(words[1:])
	if err == nil {
		err = c.ParseFlags(rest)
	}
	if err == nil {
		err = c.ValidateArgs(c.Flags().Args())
	}
	if err != nil {
		t.Errorf("the example of %s is not understood: %s: %v", of, line, err)
	}
}
