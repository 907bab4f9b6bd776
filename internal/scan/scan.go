// Package scan looks at a website as its visitors' browsers do, and holds what
// happens against the declaration. It drives a real Chromium through the site
// three times: without touching the banner, after a no, and after a yes to
// everything. It lists every cookie and other storage with its real lifetime,
// and every host that was asked, by page and by who asked.
//
// It keeps names only: no value of a cookie, no query of an address. What it
// writes can be committed beside the site: a lock file, a report, and a piece of
// declaration that says what was missing.
package scan

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/policy"
)

// Options say what to scan, and how.
type Options struct {
	Start               *url.URL     // from Address
	Plan                *policy.Plan // what is declared; nil when nothing is
	Limits              Limits
	SameSite            bool   // also other hosts of the start's registered domain
	IgnoreRobots        bool   // visit what robots.txt forbids
	AllowPrivate        bool   // addresses of this machine's network may be reached
	OwnHost             bool   // the start's own host may be on a private network, and nothing else
	Chromium            string // from FindChromium
	NoSandbox           bool   // Chromium's sandbox is off: needed for root, and in some containers
	Language            string // what the browser asks sites for, "da,en" when empty
	Work                string // folder for the state and the browser's profile
	Now                 func() time.Time
	Progress            func(Progress) // told after every page; may be nil
	Dial                Dial           // how the browser's connections are opened; nil: to the real address, checked
	TrustAnyCertificate bool           // for sites under test with a certificate of their own
}

// Limits bound a scan. Each has a default where it is zero.
type Limits struct {
	Pages       int           // 50
	Depth       int           // links away from the start; 5
	Time        time.Duration // of the whole scan; 15 minutes
	Page        time.Duration // of one page, all in; 40 s
	Load        time.Duration // until its load event; 20 s
	Settle      time.Duration // and then until it is quiet, at most; 5 s
	Quiet       time.Duration // what counts as quiet; 800 ms
	Bytes       int64         // that one page may load; 50 MiB
	BannerTries int           // quarters of a second to wait for a banner; 12
}

func (l Limits) withDefaults() Limits {
	or := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	or(&l.Time, 15*time.Minute)
	or(&l.Page, 40*time.Second)
	or(&l.Load, 20*time.Second)
	or(&l.Settle, 5*time.Second)
	or(&l.Quiet, 800*time.Millisecond)
	if l.Pages <= 0 {
		l.Pages = 50
	}
	if l.Depth <= 0 {
		l.Depth = 5
	}
	if l.Bytes <= 0 {
		l.Bytes = 50 << 20
	}
	if l.BannerTries <= 0 {
		l.BannerTries = 12
	}
	return l
}

// Progress is where a scan stands, for people who wait.
type Progress struct {
	Pass    Pass
	Page    string // path
	Done    int    // pages of this pass
	Of      int    // pages known so far
	Items   int
	Trouble string // of this page, or ""
	Resumed bool   // the scan goes on from an earlier one; told once
}

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

// crawl is one scan under way.
type crawl struct {
	Options
	start   *url.URL
	state   *State
	file    string
	robots  robots
	surface *surface
	guard   *guard
	until   time.Time
	stopped bool // a limit ended it
}

// Run scans. A scan with the same options that was ended before goes on where
// it was; the state is taken away when it is done.
func Run(ctx context.Context, o Options) (*Result, error) {
	c, err := begin(o)
	if err != nil {
		return nil, err
	}
	if c.guard, err = newGuard(c.Options); err != nil {
		return nil, err
	}
	defer c.guard.close()
	if err := c.reachable(ctx); err != nil {
		return nil, err
	}
	if !c.IgnoreRobots {
		c.robots = fetchRobots(ctx, c.guard, c.Options)
	}
	chromium, err := c.Options.open(ctx, c.guard, filepath.Join(c.Work, "profile"))
	if err != nil {
		return nil, err
	}
	defer chromium.stop()
	for ; c.state.Pass < len(passes) && !c.stopped; c.state.Pass++ {
		if err := c.pass(ctx, chromium); err != nil {
			return nil, err
		}
		if !c.stopped {
			c.state.Next = 0
		}
	}
	r := c.result()
	if len(r.Items) == 0 && allFailed(r) {
		return nil, fault.New(fault.Unavailable, "The website at %s does not answer.", c.start.Host).WithHint("Open it in a browser. Is the address right, and does its certificate hold?")
	}
	return r, os.Remove(c.file)
}

func begin(o Options) (*crawl, error) {
	o.Limits = o.Limits.withDefaults()
	if o.Language == "" {
		o.Language = "da,en"
	}
	c := &crawl{Options: o, start: o.Start, file: filepath.Join(o.Work, "state.json"), until: o.Now().Add(o.Limits.Time)}
	setting := fmt.Sprintf("%d %d %t %t %t %s", o.Limits.Pages, o.Limits.Depth, o.SameSite, o.IgnoreRobots, o.AllowPrivate, o.hash())
	old, err := load(c.file)
	if err != nil {
		return nil, err
	}
	if old != nil && old.Start == o.Start.String() && old.Setting == setting && o.Now().Sub(old.Began) < 24*time.Hour {
		c.state = old
		c.state.Resumed++
		c.start, err = url.Parse(old.Pages[0].URL) // it may have led to another host of the site
		return c, err
	}
	c.state = &State{
		Format: stateFormat, Start: o.Start.String(), Setting: setting, Began: o.Now().UTC(),
		Pages: []Page{{URL: o.Start.String()}}, Items: map[string]*Item{}, Banner: map[Pass]Answer{},
	}
	return c, c.state.save(c.file)
}

func (o Options) hash() string {
	if o.Plan == nil {
		return ""
	}
	return o.Plan.Hash
}

// reachable refuses a start on the machine's own network before any browser runs.
func (c *crawl) reachable(ctx context.Context) error {
	if c.Dial != nil || c.OwnHost || c.guard.loopback && loopback(c.start.Hostname()) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	list, err := lookUp(ctx, c.start.Hostname())
	if err != nil || len(list) == 0 {
		return fault.New(fault.Unavailable, "There is no website by the name %s.", c.start.Hostname()).WithHint("Is the name right, and can this machine look names up?").Because(err)
	}
	for _, a := range list {
		if c.AllowPrivate || public(a) {
			return nil
		}
	}
	return fault.New(fault.Denied, "%s is an address of a private network.", c.start.Hostname()).
		WithHint("If you mean it, scan with --allow-private. Pages could then make the browser reach your own network.")
}

func allFailed(r *Result) bool {
	return slices.ContainsFunc(r.Trouble, func(t Trouble) bool { return t.Pass == Untouched && t.What == failed })
}

// pass goes through the pages once, with a browser that nobody has used before.
func (c *crawl) pass(ctx context.Context, chromium *surface) (err error) {
	pass := passes[c.state.Pass]
	if c.surface, err = chromium.fresh(); err != nil {
		return c.lost(err)
	}
	defer c.surface.stop()
	if c.state.Resumed > 0 && c.Progress != nil {
		c.Progress(Progress{Pass: pass, Done: c.state.Next, Of: len(c.state.Pages), Items: len(c.state.Items), Resumed: true})
	}
	if pass != Untouched {
		answer, err := c.choose(pass)
		if err != nil {
			return err
		}
		c.state.Banner[pass] = answer
		if !answer.Done {
			return c.state.save(c.file) // without a choice it would be the first pass again
		}
	}
	for c.state.Next < len(c.state.Pages) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if !c.Now().Before(c.until) {
			c.stopped = true
			break
		}
		if p := c.state.Pages[c.state.Next]; !p.None {
			if err := c.one(pass, p); err != nil {
				return err
			}
		}
		c.state.Next++
		if err := c.state.save(c.file); err != nil {
			return err
		}
	}
	return nil
}

// choose opens the first page and answers its banner; what the page does from
// then on belongs to the pass.
func (c *crawl) choose(pass Pass) (Answer, error) {
	t, err := c.surface.newTab(c.Limits.Page)
	if err != nil {
		return Answer{}, c.lost(err)
	}
	defer t.close()
	t.visit(c.state.Pages[0].URL)
	answer := t.answer(pass)
	if answer.Done {
		t.settle()
	}
	return answer, nil
}

// lost is the error for a browser that went away.
func (c *crawl) lost(err error) error {
	return fault.New(fault.Unavailable, "Chromium ended while it was scanning.").
		WithHint("Scan again: it goes on where it was. If it ends again, give the machine more memory or scan fewer pages.").Because(err)
}

// one visits a page and writes down what it did.
func (c *crawl) one(pass Pass, p Page) error {
	t, err := c.surface.newTab(c.Limits.Page)
	if err != nil {
		return c.lost(err)
	}
	defer t.close()
	what := t.visit(p.URL)
	u, err := url.Parse(p.URL)
	if err != nil {
		return fmt.Errorf("scan state: %w", err)
	}
	path := masked(u.Path)
	if what == "" || what == slow || what == heavy {
		what = c.observe(t, pass, p, path, what)
	}
	if what != "" {
		c.state.trouble(path, pass, what)
		c.state.Pages[c.state.Next].None = what == failed || what == download || what == away || what == unhelpful
	}
	if c.state.Next == 0 && what != failed {
		if err := c.keepPicture(pass, t.picture()); err != nil {
			return err
		}
	}
	if c.Progress != nil {
		c.Progress(Progress{Pass: pass, Page: path, Done: c.state.Next + 1, Of: len(c.state.Pages), Items: len(c.state.Items), Trouble: what})
	}
	return nil
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
		name := filepath.Join(c.Work, string(p)+".jpg")
		if b, err := os.ReadFile(name); err == nil {
			r.Pictures[p] = b
			os.Remove(name)
		}
	}
	return r
}
