package text

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// used finds the ids in calls like text.T(l, "id"), t(l, "id") in templates
// {{t "id"}} and faults' .In("id"). An id that ends in a dot is completed while
// the program runs.
var used = []struct {
	ext    string
	prefix string
	re     *regexp.Regexp
}{
	{".go", "", regexp.MustCompile(`\btext\.T\([^,()]+(?:\(\))?, "([^"]+)"(\s*\+)?`)},
	{".go", "fault.", regexp.MustCompile(`\.In\("([^"]+)"(\s*\+)?[,)]`)},
	{".html", "", regexp.MustCompile(`[{(|]\s*-?\s*t "([^"]+)"()`)},
	{".txt", "", regexp.MustCompile(`[{(|]\s*-?\s*t "([^"]+)"()`)},
}

// Every id that the program uses is in the catalogues.
func TestUsedIDs(t *testing.T) {
	ids := read(t, EN)
	err := filepath.WalkDir("..", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || strings.HasSuffix(name, "_test.go") {
			return err
		}
		b, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		for _, u := range used {
			if filepath.Ext(name) != u.ext {
				continue
			}
			for _, m := range u.re.FindAllStringSubmatchIndex(string(b), -1) {
				id := u.prefix + string(b[m[2]:m[3]])
				line := 1 + strings.Count(string(b[:m[0]]), "\n")
				if m[4] != m[5] && m[4] >= 0 { // "id" + something
					if !begins(ids, id) {
						t.Errorf("%s:%d: no text begins with %q", name, line, id)
					}
				} else if _, ok := ids[id]; !ok {
					t.Errorf("%s:%d: no text %q", name, line, id)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func begins(ids map[string]message, prefix string) bool {
	for id := range ids {
		if strings.HasPrefix(id, prefix) {
			return true
		}
	}
	return false
}
