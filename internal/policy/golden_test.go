package policy

import (
	"flag"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files and docs/tillid.schema.json")

// golden compares have with the file name, or writes it there under -update.
func golden(t *testing.T, name string, have []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(name, have, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatalf("%v; go test -update writes it", err)
	}
	if d := cmp.Diff(string(want), string(have)); d != "" {
		t.Errorf("%s differs; go test -update rewrites it (-want +have):\n%s", name, d)
	}
}
