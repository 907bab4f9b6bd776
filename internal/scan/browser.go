package scan

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"

	"github.com/tillid/tillid/internal/fault"
)

// FindChromium returns the path of the browser: the one asked for, or the
// first that is installed.
func FindChromium(path string) (string, error) {
	names := []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"}
	if path != "" {
		names = []string{path}
	}
	for _, name := range names {
		if found, err := exec.LookPath(name); err == nil {
			return found, nil
		}
	}
	if path != "" {
		return "", fault.New(fault.Invalid, "There is no Chromium at %s.", path).WithHint("Name the program with --chromium or TILLID_CHROMIUM.")
	}
	return "", fault.New(fault.Unavailable, "No Chromium was found.").
		WithHint("Install it (Debian: apt-get install chromium), or name it with --chromium or TILLID_CHROMIUM.")
}

// Root reports whether the sandbox cannot be used because root runs the program.
func Root() bool { return os.Geteuid() == 0 }

// surface is a Chromium that nobody has used before, reached only through the guard.
type surface struct {
	ctx   context.Context
	stop  func()
	agent string // what the browser calls itself to sites
	guard *guard
	o     Options
}

// fresh returns the same program as a visitor who has not been there: nothing
// is stored, and nothing that it stores is seen by others.
func (s *surface) fresh() (*surface, error) {
	ctx, stop := chromedp.NewContext(s.ctx, chromedp.WithNewBrowserContext())
	one := &surface{ctx: ctx, stop: stop, agent: s.agent, guard: s.guard, o: s.o}
	if err := chromedp.Do(ctx); err != nil {
		stop()
		return nil, err
	}
	_, err := chromedp.CallBrowser(ctx, browser.SetDownloadBehavior, browser.SetDownloadBehaviorParams{
		Behavior: browser.SetDownloadBehaviorBehaviorDeny, BrowserContextID: chromedp.FromContext(ctx).BrowserContextID,
	})
	if err != nil {
		stop()
		return nil, err
	}
	return one, nil
}

func (o Options) open(ctx context.Context, g *guard, profile string) (*surface, error) {
	if err := os.RemoveAll(profile); err != nil { // of a scan that was killed
		return nil, fault.New(fault.Unavailable, "%s cannot be emptied.", profile).Because(err)
	}
	if err := os.MkdirAll(profile, 0o700); err != nil {
		return nil, fault.New(fault.Unavailable, "%s cannot be made.", profile).Because(err)
	}
	flags := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(o.Chromium), chromedp.Headless, chromedp.DisableGPU, chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck,
		chromedp.UserDataDir(profile), chromedp.WindowSize(1280, 900), chromedp.WSURLReadTimeout(30 * time.Second),
		chromedp.Flag("proxy-server", g.address()), chromedp.Flag("proxy-bypass-list", "<-loopback>"),
		chromedp.Flag("force-webrtc-ip-handling-policy", "disable_non_proxied_udp"),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true), chromedp.Flag("disable-extensions", true), chromedp.Flag("disable-default-apps", true),
		chromedp.Flag("disable-domain-reliability", true), chromedp.Flag("disable-breakpad", true), chromedp.Flag("no-pings", true),
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.Flag("password-store", "basic"), chromedp.Flag("mute-audio", true),
		// All frames in one process, so that one connection sees every request and every frame's storage.
		chromedp.Flag("disable-site-isolation-trials", true),
		chromedp.Flag("disable-features", "IsolateOrigins,site-per-process,OptimizationHints,MediaRouter,Translate,AutofillServerCommunication,CertificateTransparencyComponentUpdater"),
		// Sites that hide their banner from robots would hide from us what visitors see.
		chromedp.Flag("disable-blink-features", "AutomationControlled"),
		chromedp.Flag("lang", o.Language),
	}
	if o.NoSandbox {
		flags = append(flags, chromedp.NoSandbox)
	}
	if o.TrustAnyCertificate {
		flags = append(flags, chromedp.IgnoreCertErrors)
	}
	alloc, stopAlloc := chromedp.NewExecAllocator(ctx, flags...)
	tab, stop := chromedp.NewContext(alloc, quiet())
	s := &surface{ctx: tab, guard: g, o: o, stop: func() {
		stop()
		stopAlloc()
		os.RemoveAll(profile)
	}}
	if err := s.begin(); err != nil {
		s.stop()
		hint := "Try it by hand: " + filepath.Base(o.Chromium) + " --headless --dump-dom about:blank"
		if !o.NoSandbox {
			hint += ". Where the machine forbids Chromium's sandbox (many containers), --no-sandbox switches it off; only for pages that you trust."
		}
		return nil, fault.New(fault.Unavailable, "Chromium does not start.").WithHint("%s", hint).Because(err)
	}
	return s, nil
}

// quiet keeps the library's remarks about unknown protocol messages away from people.
func quiet() chromedp.ContextOption {
	nothing := func(string, ...any) {}
	return func(c *chromedp.Context) {
		chromedp.WithLogf(nothing)(c)
		chromedp.WithErrorf(nothing)(c)
	}
}

func (s *surface) begin() error {
	version, err := chromedp.CallBrowser(s.ctx, browser.GetVersion, cdp.Empty{})
	if err != nil {
		return err
	}
	s.agent = strings.ReplaceAll(version.UserAgent, "HeadlessChrome", "Chrome")
	return chromedp.ListenBrowser(s.ctx, func(ev any) {
		// Windows that pages open would load without anybody looking.
		if e, ok := ev.(*target.EventTargetCreated); ok && e.TargetInfo.Type == "page" && e.TargetInfo.OpenerID != "" {
			go chromedp.CallBrowser(s.ctx, target.CloseTarget, target.CloseTargetParams{TargetID: e.TargetInfo.TargetID}) //nolint:errcheck // it may be closed already
		}
	})
}
