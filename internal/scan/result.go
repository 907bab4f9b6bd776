package scan

import (
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Result is what a scan found.
type Result struct {
	Start    string          `json:"start"`
	Began    time.Time       `json:"began"`
	Ended    time.Time       `json:"ended"`
	Pages    []string        `json:"pages"` // paths
	Whole    bool            `json:"whole"` // no limit ended it early
	Resumed  int             `json:"resumed"`
	Sandbox  bool            `json:"sandbox"`
	Banner   map[Pass]Answer `json:"banner"`
	Items    []*Item         `json:"items"`
	Trouble  []Trouble       `json:"trouble"`
	Pictures map[Pass][]byte `json:"-"`
}

func allFailed(r *Result) bool {
	return slices.ContainsFunc(r.Trouble, func(t Trouble) bool { return t.Pass == Untouched && t.What == failed })
}

func (c *crawl) keepPicture(pass Pass, jpeg []byte) error {
	if len(jpeg) == 0 || len(jpeg) > 2<<20 {
		return nil
	}
	return WriteFile(filepath.Join(c.Work, string(pass)+".jpg"), jpeg)
}

func (c *crawl) result() *Result {
	s := c.state
	r := &Result{
		Start: s.Start, Began: s.Began, Ended: c.Now().UTC(), Whole: !c.stopped, Resumed: s.Resumed, Sandbox: !c.NoSandbox,
		Banner: s.Banner, Trouble: s.Trouble, Pictures: map[Pass][]byte{}, Items: []*Item{},
	}
	for _, p := range s.Pages {
		if u, err := url.Parse(p.URL); err == nil {
			name := masked(u.Path)
			if u.Host != c.start.Host {
				name = u.Host + name
			}
			r.Pages = append(r.Pages, name)
		}
	}
	for _, it := range s.Items {
		r.Items = append(r.Items, it)
	}
	slices.SortFunc(r.Items, compareItems)
	slices.SortFunc(r.Trouble, func(a, b Trouble) int {
		return strings.Compare(a.Page+a.What+string(a.Pass), b.Page+b.What+string(b.Pass))
	})
	for _, p := range passes {
		if b, err := os.ReadFile(filepath.Join(c.Work, string(p)+".jpg")); err == nil {
			r.Pictures[p] = b
		}
	}
	return r
}
