//go:build e2e

// Package e2e drives the real program: the built binary, real Chromium, real
// databases. `make e2e` runs it.
package e2e

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// binary is the built program: bin/tillid of this tree, made by scripts/test, or
// the one that TILLID_TEST_BINARY names.
func binary(t testing.TB) string {
	t.Helper()
	if name := os.Getenv("TILLID_TEST_BINARY"); name != "" {
		return name
	}
	name, err := filepath.Abs("../bin/tillid")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(name); err != nil {
		t.Fatal("bin/tillid is missing: run make e2e, or make build first")
	}
	return name
}

// process is a running tillid.
type process struct {
	cmd  *exec.Cmd
	mu   sync.Mutex
	out  bytes.Buffer
	errs bytes.Buffer
	done chan struct{}
}

type locked struct {
	mu *sync.Mutex
	b  *bytes.Buffer
}

func (l locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// start runs tillid with args and waits for a line of its output that matches ready.
func start(t testing.TB, ready string, env []string, args ...string) (*process, []string) {
	t.Helper()
	p := &process{cmd: exec.Command(binary(t), args...), done: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), env...)
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.cmd.Stderr = locked{&p.mu, &p.errs}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	found := make(chan []string, 1)
	go func() {
		defer close(p.done)
		re := regexp.MustCompile(ready)
		lines := bufio.NewScanner(stdout)
		for lines.Scan() {
			fmt.Fprintln(locked{&p.mu, &p.out}, lines.Text())
			if m := re.FindStringSubmatch(lines.Text()); m != nil {
				select {
				case found <- m:
				default:
				}
			}
		}
		p.cmd.Wait()
	}()
	t.Cleanup(p.kill)
	select {
	case m := <-found:
		return p, m
	case <-p.done:
		t.Fatalf("tillid ended: %s\n%s", p.output(), p.log())
	case <-time.After(60 * time.Second):
		t.Fatalf("tillid did not get ready: %s\n%s", p.output(), p.log())
	}
	return nil, nil
}

func (p *process) kill() {
	p.cmd.Process.Signal(syscall.SIGKILL)
	<-p.done
}

// stop ends the process as an operator does, and returns its exit code.
func (p *process) stop(t testing.TB) int {
	t.Helper()
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(30 * time.Second):
		t.Fatal("tillid did not end within 30 s of SIGTERM")
	}
	return p.cmd.ProcessState.ExitCode()
}

func (p *process) output() string { p.mu.Lock(); defer p.mu.Unlock(); return p.out.String() }
func (p *process) log() string    { p.mu.Lock(); defer p.mu.Unlock(); return p.errs.String() }

// demo is a running demo.
type demo struct {
	*process
	port string
	dir  string
}

func startDemo(t testing.TB) *demo {
	t.Helper()
	dir := t.TempDir()
	p, m := start(t, `http://site\.localhost:(\d+)`, nil, "demo", "--port", "0", "--dir", dir)
	return &demo{process: p, port: m[1], dir: dir}
}

// at is the address of a path on one of the demo's hosts.
func (d *demo) at(host, path string) string {
	return "http://" + host + ".localhost:" + d.port + path
}

// browser is one visitor: a fresh Chromium profile.
type browser struct {
	t     testing.TB
	ctx   context.Context
	close func()

	mu   sync.Mutex
	sent map[network.RequestID]string // the host of each request that left
	wait map[network.RequestID]bool   // those that still wait for their answer
	left int                          // how many ever left
	main cdp.FrameID                  // the window itself, not a frame in it
	errs []string                     // uncaught errors of pages
}

// look is how a browser sees pages.
type look struct {
	width, height int64
	dark          bool
	lang          string // Accept-Language
	noScript      bool
	noCookies     bool   // the browser blocks all cookies
	pin           string // of the tests' own certificate that it trusts
	resolve       string // Chromium's rules for names, instead of the usual; certificates are then taken as they are
}

var desktop = look{width: 1280, height: 900, lang: "en"}

func newBrowser(t testing.TB, l look) *browser {
	t.Helper()
	path := os.Getenv("TILLID_TEST_CHROMIUM")
	if path == "" {
		for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
			if p, err := exec.LookPath(name); err == nil {
				path = p
				break
			}
		}
	}
	if path == "" {
		t.Fatal("Chromium is missing: make e2e installs it, or says what to install")
	}
	profile := newProfile(t)
	if l.noCookies {
		blockCookies(t, profile)
	}
	// Nobody outside can be reached, whatever a page asks for.
	rules := "MAP *.test 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE *.localhost, EXCLUDE localhost, EXCLUDE 127.0.0.1"
	if l.resolve != "" {
		rules = l.resolve
	}
	opts := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.Headless, chromedp.DisableGPU, chromedp.NoFirstRun,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
		chromedp.Flag("disable-dev-shm-usage", true),
		chromedp.Flag("host-resolver-rules", rules), chromedp.Flag("ignore-certificate-errors", l.resolve != ""),
		chromedp.Flag("lang", l.lang),
		chromedp.UserDataDir(profile), chromedp.WindowSize(int(l.width), int(l.height)),
	}
	if l.pin != "" {
		opts = append(opts, chromedp.Flag("ignore-certificate-errors-spki-list", l.pin))
	}
	alloc, stopAlloc := chromedp.NewExecAllocator(context.Background(), opts...)
	ctx, stop := chromedp.NewContext(alloc)
	ctx, cancel := context.WithTimeout(ctx, 4*time.Minute)
	b := &browser{t: t, ctx: ctx, close: sync.OnceFunc(func() { cancel(); stop(); stopAlloc() }), sent: map[network.RequestID]string{}, wait: map[network.RequestID]bool{}}
	t.Cleanup(b.close)
	scheme := "light"
	if l.dark {
		scheme = "dark"
	}
	b.do(chromedp.Navigate("about:blank"))
	if err := chromedp.Listen(ctx, b.listen); err != nil {
		t.Fatal(err)
	}
	b.do(
		command(network.Enable, network.EnableParams{}),
		command(runtime.Enable, cdp.Empty{}),
		command(network.SetExtraHTTPHeaders, network.SetExtraHTTPHeadersParams{Headers: network.Headers{"Accept-Language": l.lang}}),
		command(emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: l.width, Height: l.height, DeviceScaleFactor: 1, Mobile: l.width < 500}),
		command(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}}),
		command(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: l.noScript}),
	)
	return b
}

// newProfile makes a folder for a profile. t.TempDir would fail a test whose browser
// still writes there while it ends.
func newProfile(t testing.TB) string {
	t.Helper()
	profile, err := os.MkdirTemp("", "tillid-chromium-") //nolint:usetesting // Chromium may write there after the test
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for range 50 {
			if os.RemoveAll(profile) == nil {
				return
			}
			time.Sleep(100 * time.Millisecond)
		}
		t.Logf("%s is left behind", profile)
	})
	return profile
}

// blockCookies makes a profile that takes no cookie from anybody.
func blockCookies(t testing.TB, profile string) {
	t.Helper()
	folder := filepath.Join(profile, "Default")
	settings := `{"profile":{"default_content_setting_values":{"cookies":2}}}`
	if err := errors.Join(os.MkdirAll(folder, 0o700), os.WriteFile(filepath.Join(folder, "Preferences"), []byte(settings), 0o600)); err != nil {
		t.Fatal(err)
	}
}

// command makes an action of one command of the browser's protocol.
func command[P, R any](c cdp.Command[P, R], params P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, c, params)
		return err
	})
}

// answers are the kinds of requests whose end the browser tells: not those of reports
// and beacons, nor of pages in frames, which are told elsewhere.
var answers = map[network.ResourceType]bool{
	network.ResourceTypeScript: true, network.ResourceTypeStylesheet: true, network.ResourceTypeImage: true, network.ResourceTypeFont: true,
	network.ResourceTypeFetch: true, network.ResourceTypeXHR: true,
}

func (b *browser) listen(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		if u, err := url.Parse(e.Request.URL); err == nil && u.Host != "" {
			b.sent[e.RequestID] = u.Hostname()
			b.left++
			switch {
			case answers[e.Type]:
				b.wait[e.RequestID] = true
			case e.Type == network.ResourceTypeDocument && (b.main == "" || b.main == e.FrameID):
				b.main = e.FrameID
				clear(b.wait) // nobody tells the end of what the page before had asked for
			}
		}
	case *network.EventLoadingFinished:
		delete(b.wait, e.RequestID)
	case *network.EventLoadingFailed:
		delete(b.wait, e.RequestID)
		if e.BlockedReason == network.BlockedReasonCsp {
			delete(b.sent, e.RequestID) // stopped by the policy: it never left
		}
	case *runtime.EventExceptionThrown:
		b.errs = append(b.errs, e.ExceptionDetails.Text)
	}
}

// quiet waits until the page is loaded, nothing that it asked for is without an
// answer, and nothing new left while its waiting tasks ran and a request of the
// test's own went out and came back. What scripts ask for by themselves has left then.
func (b *browser) quiet() {
	b.t.Helper()
	state := func() (left, waiting int) {
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.left, len(b.wait)
	}
	eventually(b.t, "the page is quiet", func() bool {
		before, _ := state()
		loaded := run[bool](b, `(async () => {
			if (document.readyState !== "complete") return false;
			await new Promise(done => requestIdleCallback(() => setTimeout(done), {timeout: 2000}));
			try { await (await fetch("/_tillid/health?" + Math.random(), {cache: "no-store"})).text() } catch {}
			return true;
		})()`)
		after, waiting := state()
		return loaded && after-before <= 1 && waiting == 0
	})
}

// seen returns the hosts that requests left for since the last call. What a
// policy stopped never left and is not among them.
func (b *browser) seen() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	hosts := slices.Sorted(maps.Values(b.sent))
	clear(b.sent)
	return slices.Compact(hosts)
}

func (b *browser) noErrors() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range b.errs {
		b.t.Errorf("uncaught error in a page: %s", e)
	}
}

// do runs actions and fails the test when one fails.
func (b *browser) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, actions...); err != nil {
		where, _ := chromedp.Run(b.ctx, chromedp.Location())
		b.t.Fatalf("browser at %s: %v", where, err)
	}
}

// open goes to an address and waits for its body.
func (b *browser) open(address string) {
	b.t.Helper()
	b.do(chromedp.Navigate(address), chromedp.WaitReady("body"))
}

// text returns the visible text of the first match.
func (b *browser) text(selector string) string {
	b.t.Helper()
	s, err := chromedp.Run(b.ctx, chromedp.Text(selector))
	if err != nil {
		b.t.Fatalf("text of %s: %v", selector, err)
	}
	return strings.TrimSpace(s)
}

// wants fails unless the page's text contains every one of words.
func (b *browser) wants(words ...string) {
	b.t.Helper()
	body := b.text("body")
	for _, w := range words {
		if !strings.Contains(body, w) {
			b.t.Fatalf("the page does not say %q:\n%.2500s", w, body)
		}
	}
}

// fill sets a field by name.
func (b *browser) fill(name, value string) {
	b.t.Helper()
	b.do(chromedp.SetValue(`[name="`+name+`"]`, value))
}

// press clicks and waits for the page that follows.
func (b *browser) press(selector string) {
	b.t.Helper()
	if _, err := chromedp.RunResponse(b.ctx, chromedp.Click(selector)); err != nil {
		b.t.Fatalf("press %s: %v", selector, err)
	}
	b.do(chromedp.WaitReady("body"))
}

// eventually polls f, which asks the program something, until it says yes.
func eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	within(t, 40*time.Second, what, f)
}

// within is eventually with a limit of its own, for what takes long on a slow machine.
func within(t testing.TB, limit time.Duration, what string, f func() bool) {
	t.Helper()
	deadline := time.Now().Add(limit)
	for !f() {
		if time.Now().After(deadline) {
			t.Fatalf("did not happen within %s: %s", limit, what)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// tillid runs a command of the program and returns its output and exit code.
func tillid(t testing.TB, args ...string) (string, int) {
	t.Helper()
	out, err := exec.Command(binary(t), args...).CombinedOutput()
	if err != nil {
		if e, ok := err.(*exec.ExitError); ok {
			return string(out), e.ExitCode()
		}
		t.Fatal(err)
	}
	return string(out), 0
}
