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
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
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
	Redirects           []Redirect     // what is dialled elsewhere
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
	resumed bool // it goes on from an earlier one, and nobody was told yet
}

// Run scans. A scan with the same options that was ended before goes on where
// it was. What it needs for that stays in Work, also when it is done: whoever
// has written down the result takes Work away.
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
	for c.state.Pass < len(passes) && !c.stopped {
		if err := c.browse(ctx); err != nil {
			return nil, err
		}
	}
	r := c.result()
	if len(r.Items) == 0 && allFailed(r) {
		os.Remove(c.file) // it may answer the next time
		return nil, fault.New(fault.Unavailable, "The website at %s does not answer.", c.start.Host).WithHint("Open it in a browser. Is the address right, and does its certificate hold?")
	}
	return r, nil
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
		c.resumed = true
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
	if c.Dial != nil || c.OwnHost || c.redirected(hostPort(c.start.Scheme, c.start.Host)) != "" || c.guard.loopback && loopback(c.start.Hostname()) {
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

// pass goes through the pages once, with a browser that nobody has used before.
func (c *crawl) pass(ctx context.Context, chromium *surface) (err error) {
	pass := passes[c.state.Pass]
	if c.surface, err = chromium.fresh(); err != nil {
		return errors.Join(errLost, err)
	}
	defer c.surface.stop()
	if c.resumed && c.Progress != nil {
		c.resumed = false
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
		c.state.Next, c.state.Tried = c.state.Next+1, 0
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
		return Answer{}, errors.Join(errLost, err)
	}
	defer t.close()
	t.visit(c.state.Pages[0].URL)
	answer := t.answer(pass)
	if answer.Done {
		t.settle()
	}
	return answer, c.surface.lost()
}

// one visits a page and writes down what it did.
func (c *crawl) one(pass Pass, p Page) error {
	t, err := c.surface.newTab(c.Limits.Page)
	if err != nil {
		return errors.Join(errLost, err)
	}
	defer t.close()
	what := t.visit(p.URL)
	u, err := url.Parse(p.URL)
	if err != nil {
		return fmt.Errorf("scan state: %w", err)
	}
	path := masked(u.Path)
	if what == "" || what == slow || what == heavy || what == crashed {
		what = c.observe(t, pass, p, path, what)
	}
	if err := c.surface.lost(); err != nil {
		return err // whatever was said of the page, it was not the page that said it
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
