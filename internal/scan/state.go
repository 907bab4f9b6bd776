package scan

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/tillid/tillid/internal/fault"
)

// State is where a scan stands. It is written after every page, whole or not
// at all, so that a scan that was ended, by kill -9 too, goes on from there.
type State struct {
	Format  int              `json:"format"`
	Start   string           `json:"start"`
	Setting string           `json:"setting"` // limits and options: another scan must not go on with it
	Began   time.Time        `json:"began"`
	Pass    int              `json:"pass"` // index into passes
	Next    int              `json:"next"` // index into Pages
	Pages   []Page           `json:"pages"`
	Items   map[string]*Item `json:"items"`
	Banner  map[Pass]Answer  `json:"banner"`
	Trouble []Trouble        `json:"trouble"`
	Resumed int              `json:"resumed"`
	Tried   int              `json:"tried"` // times that Chromium ended at the page that is next
	Lost    int              `json:"lost"`  // times that Chromium ended
}

const stateFormat = 1

// Page is one address of the site.
type Page struct {
	URL   string `json:"url"` // without query and fragment
	Depth int    `json:"depth"`
	None  bool   `json:"none,omitempty"` // nothing to look at: later passes leave it out
}

// Trouble is something that kept a page from being looked at wholly.
type Trouble struct {
	Page string `json:"page"`
	Pass Pass   `json:"pass"`
	What string `json:"what"` // an id of the catalogue's texts: scan.trouble.<what>
}

// Answer says how a pass's choice was made.
type Answer struct {
	Banner string `json:"banner"` // which, or "" when none was found
	Done   bool   `json:"done"`
}

// load reads a state file; one of another scan, or that is no state, counts for nothing.
func load(name string) (*State, error) {
	b, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fault.New(fault.Unavailable, "%s cannot be read.", name).Because(err)
	}
	var s State
	if json.Unmarshal(b, &s) != nil || s.Format != stateFormat || s.Pass < 0 || s.Next < 0 || s.Pass > len(passes) || len(s.Pages) == 0 || s.Next > len(s.Pages) {
		return nil, nil
	}
	return &s, nil
}

// save writes the state beside its file and then puts it in its place.
func (s *State) save(name string) error {
	b, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("scan state: %w", err)
	}
	return WriteFile(name, b)
}

// WriteFile writes a file whole or not at all.
func WriteFile(name string, b []byte) error {
	fail := func(err error) error {
		return fault.New(fault.Unavailable, "%s cannot be written.", name).WithHint("Is there room, and may this user write there?").Because(err)
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o750); err != nil {
		return fail(err)
	}
	f, err := os.CreateTemp(filepath.Dir(name), ".tillid-*")
	if err != nil {
		return fail(err)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(b)
	err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return fail(err)
	}
	return nil
}

func (s *State) trouble(page string, pass Pass, what string) {
	t := Trouble{page, pass, what}
	for _, have := range s.Trouble {
		if have == t {
			return
		}
	}
	if len(s.Trouble) < 200 {
		s.Trouble = append(s.Trouble, t)
	}
}
