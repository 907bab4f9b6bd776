package scan

import (
	"context"
	"errors"
	"net/url"
	"path/filepath"

	"github.com/chromedp/chromedp"

	"github.com/tillid/tillid/internal/fault"
)

const maxLosses = 6 // of the browser in one scan; then it is not the pages' fault

// browse starts Chromium and goes on until the passes are done. Where Chromium
// ends, it returns, to be called again: the page gets a second chance, and is
// left out after that.
func (c *crawl) browse(ctx context.Context) error {
	chromium, err := c.open(ctx, c.guard, filepath.Join(c.Work, "profile"))
	if err != nil {
		return err
	}
	defer chromium.stop()
	for c.state.Pass < len(passes) && !c.stopped {
		err := c.pass(ctx, chromium)
		if errors.Is(err, errLost) && ctx.Err() == nil {
			return c.retry(err)
		}
		if err != nil {
			return err
		}
		if !c.stopped {
			c.state.Pass, c.state.Next = c.state.Pass+1, 0
		}
	}
	return c.state.save(c.file)
}

var errLost = errors.New("chromium ended")

// retry writes down that Chromium ended at the page that is next.
func (c *crawl) retry(err error) error {
	c.state.Lost++
	if c.state.Lost > maxLosses {
		c.state.Lost = 0 // for who scans again
		return errors.Join(c.state.save(c.file), c.lost(err))
	}
	if c.state.Tried++; c.state.Tried > 1 && c.state.Next < len(c.state.Pages) {
		p := &c.state.Pages[c.state.Next]
		p.None = true
		if u, err := url.Parse(p.URL); err == nil {
			c.state.trouble(masked(u.Path), passes[c.state.Pass], crashed)
		}
		c.state.Next++
		c.state.Tried = 0
	}
	return c.state.save(c.file)
}

// lost is the error for a browser that went away.
func (c *crawl) lost(err error) error {
	return fault.New(fault.Unavailable, "Chromium ended while it was scanning.").
		WithHint("Scan again: it goes on where it was. If it ends again, give the machine more memory or scan fewer pages.").Because(err)
}

// lost returns an error when Chromium has ended.
func (s *surface) lost() error {
	select {
	case <-chromedp.FromContext(s.ctx).Browser.LostConnection:
		return errLost
	default:
		return nil
	}
}
