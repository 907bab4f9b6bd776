package main

import (
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"tillid": main})
}

// TestScripts runs the command line as people do: testdata/script/*.txtar.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:           "testdata/script",
		UpdateScripts: os.Getenv("UPDATE_SCRIPTS") != "",
		Setup: func(env *testscript.Env) error {
			env.Setenv("EXAMPLE", os.Getenv("PWD")+"/../../examples/eksempel")
			wd, err := os.Getwd()
			env.Setenv("EXAMPLE", wd+"/../../examples/eksempel")
			return err
		},
	})
}
