package internal_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var (
	propertyRow  = regexp.MustCompile(`(?m)^\| (\d+) [^|]+ \| ([^|]+) \|([^|]*)\|$`)
	propertyTest = regexp.MustCompile("^`(internal/[a-z]+)\\.(Test[A-Za-z0-9]+)`$")
)

// TestProperties holds the table of docs/erasure.md against the code: all
// twenty-five in order, each with tests that exist, or with what is missing.
func TestProperties(t *testing.T) {
	doc, err := os.ReadFile("../docs/erasure.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := propertyRow.FindAllStringSubmatch(string(doc), -1)
	if len(rows) != 25 {
		t.Fatalf("docs/erasure.md lists %d properties", len(rows))
	}
	for i, row := range rows {
		if row[1] != strconv.Itoa(i+1) {
			t.Errorf("row %d is property %s", i+1, row[1])
		}
		if row[2] == "–" {
			if strings.TrimSpace(row[3]) == "" {
				t.Errorf("property %s: neither a test nor what is missing", row[1])
			}
			continue
		}
		for name := range strings.SplitSeq(row[2], ", ") {
			m := propertyTest.FindStringSubmatch(name)
			if m == nil || !hasTest(t, m[1], m[2]) {
				t.Errorf("property %s: there is no test %s", row[1], name)
			}
		}
	}
}

func hasTest(t *testing.T, pkg, name string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", pkg, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(b), "\nfunc "+name+"(t *testing.T)") {
			return true
		}
	}
	return false
}
