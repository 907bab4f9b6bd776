package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/tillid/tillid/internal/app"
	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/known"
	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/scan"
	"github.com/tillid/tillid/internal/text"
)

// scanFlags are the flags that commands which scan have in common.
type scanFlags struct {
	limits                                          scan.Limits
	sameSite, ignoreRobots, allowPrivate, noSandbox bool
	restart, trustAny                               bool
	chromium                                        string
	redirects                                       []string
}

func (f *scanFlags) add(c *cobra.Command) {
	c.Flags().IntVar(&f.limits.Pages, "pages", 50, "pages to look at, at most")
	c.Flags().IntVar(&f.limits.Depth, "depth", 5, "links away from the first page, at most")
	c.Flags().DurationVar(&f.limits.Time, "time", 15*time.Minute, "time for the whole scan")
	c.Flags().BoolVar(&f.sameSite, "same-site", false, "also other hosts of the same domain: shop.example.dk beside www.example.dk")
	c.Flags().BoolVar(&f.ignoreRobots, "ignore-robots", false, "visit also what robots.txt forbids")
	c.Flags().BoolVar(&f.allowPrivate, "allow-private", false, "let the browser reach addresses of this machine's own network")
	c.Flags().StringArrayVar(&f.redirects, "connect-to", nil, "HOST1:PORT1:HOST2:PORT2, as for curl: connect to the second instead of the first; for a site under test, under its real name; again for more")
	c.Flags().StringVar(&f.chromium, "chromium", env("chromium", ""), "the browser; found on PATH when absent (TILLID_CHROMIUM)")
	c.Flags().BoolVar(&f.noSandbox, "no-sandbox", false, "run Chromium without its sandbox, where a container forbids it; only for sites that you trust")
	c.Flags().BoolVar(&f.restart, "restart", false, "begin anew instead of going on with a scan that was ended")
	c.Flags().BoolVar(&f.trustAny, "any-certificate", false, "take any certificate, for a site under test")
}

// options makes the scan's options, and says on errs what people must know of them.
func (f *scanFlags) options(c *cobra.Command, address, work string, plan *policy.Plan) (scan.Options, error) {
	start, err := scan.Address(address)
	if err != nil {
		return scan.Options{}, err
	}
	redirects, err := scan.ParseRedirects(f.redirects)
	if err != nil {
		return scan.Options{}, err
	}
	chromium, err := scan.FindChromium(f.chromium)
	if err != nil {
		return scan.Options{}, err
	}
	errs := c.ErrOrStderr()
	if scan.Root() {
		fmt.Fprintln(errs, "Running as root: Chromium's sandbox is off. Run as an ordinary user for sites that you do not trust.")
	}
	if f.restart {
		if err := os.RemoveAll(work); err != nil {
			return scan.Options{}, fault.New(fault.Unavailable, "%s cannot be emptied.", work).Because(err)
		}
	}
	return scan.Options{
		Start: start, Plan: plan, Limits: f.limits, SameSite: f.sameSite, IgnoreRobots: f.ignoreRobots, AllowPrivate: f.allowPrivate,
		Chromium: chromium, NoSandbox: f.noSandbox || scan.Root(), TrustAnyCertificate: f.trustAny, Redirects: redirects,
		Work: work, Now: time.Now, Progress: func(p scan.Progress) { progress(errs, p) },
	}, nil
}

func progress(w io.Writer, p scan.Progress) {
	if p.Resumed {
		fmt.Fprintf(w, "Going on where the last scan ended (%s, page %d of %d).\n", p.Pass, p.Done+1, p.Of)
		return
	}
	note := ""
	if p.Trouble != "" {
		note = "  (" + text.T(text.EN, "scan.trouble."+p.Trouble) + ")"
	}
	fmt.Fprintf(w, "%-9s %3d/%-3d %s%s\n", p.Pass, p.Done, p.Of, p.Page, note)
}

func scanCommand() *cobra.Command {
	var f scanFlags
	var declaration, dir, lock, lang string
	var frozen bool
	c := &cobra.Command{
		Use: "scan URL", GroupID: "prove", Short: "Look at a website as visitors' browsers do, and hold it against its declaration",
		Args: cobra.ExactArgs(1),
		Long: `Drive Chromium through a website three times (without touching the banner, after
a no, after a yes to everything) and list every cookie with its real lifetime,
every other storage, and every host that pages ask. Hold that against the
declaration: tillid.yaml in this folder, --declaration FILE, or --house DIR for
the one in force in a house.

It writes report.html, report.json, report.sarif and, when something is missing,
tillid.patch into --out, and what it saw into the lock file, which you commit:
the next scan shows what changed. A scan that was ended goes on where it was.

Names only are kept: no value of a cookie, no query of an address.

Exit status: 0 the site does what is declared; 1 it does not, or with --frozen it
differs from the lock file; 2 the scan failed.`,
		Example: `  tillid scan https://www.example.dk
  tillid scan --pages 20 --frozen --declaration tillid.yaml https://www.example.dk   # in CI
  tillid scan http://site.localhost:8080                                             # the demo
  patch < tillid-scan/tillid.patch`,
		RunE: func(c *cobra.Command, args []string) error {
			l, err := language(lang)
			if err != nil {
				return err
			}
			drift, err := runScan(c, args[0], &f, scanFiles{declaration, dir, lock, frozen}, l)
			if err != nil {
				var code exit
				if !errors.As(err, &code) {
					explain(c.ErrOrStderr(), err)
				}
				return exit(2)
			}
			if drift {
				return exit(1)
			}
			return nil
		},
	}
	f.add(c)
	c.Flags().StringVar(&declaration, "declaration", "", "declaration file; tillid.yaml when there is one, \"none\" for none")
	c.Flags().StringVar(&dir, "out", "tillid-scan", "folder for the report")
	c.Flags().StringVar(&lock, "lock", "tillid-scan.lock", "lock file")
	c.Flags().BoolVar(&frozen, "frozen", false, "do not write the lock file; a difference from it is drift")
	c.Flags().StringVar(&lang, "lang", "en", "language of the report: da or en")
	return house(c)
}

// scanFiles are the files that a scan reads and writes.
type scanFiles struct {
	declaration, dir, lock string
	frozen                 bool
}

func runScan(c *cobra.Command, address string, f *scanFlags, files scanFiles, l text.Lang) (drift bool, err error) {
	plan, err := scannedPlan(c, files.declaration)
	if err != nil {
		return false, err
	}
	old, err := readLock(files)
	if err != nil {
		return false, err
	}
	o, err := f.options(c, address, filepath.Join(files.dir, ".work"), plan)
	if err != nil {
		return false, err
	}
	result, err := scan.Run(c.Context(), o)
	if err != nil {
		return false, interrupted(c.Context(), err)
	}
	report := scan.NewReport(plan, result)
	if err := writeScan(files.dir, report, plan, result, l); err != nil {
		return false, err
	}
	changes, err := lockScan(files, result, old)
	if err != nil {
		return false, err
	}
	if err := os.RemoveAll(o.Work); err != nil { // all is written down: nothing to go on with
		return false, fault.New(fault.Unavailable, "%s cannot be emptied.", o.Work).Because(err)
	}
	return sayScan(c.OutOrStdout(), report, changes, files, l)
}

func interrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fault.New(fault.Unavailable, "The scan was ended.").WithHint("Give the same command again: it goes on where it was.")
	}
	return err
}

// scannedPlan is the declaration to hold the site against, or nil.
func scannedPlan(c *cobra.Command, name string) (*policy.Plan, error) {
	if c.Flags().Changed("house") {
		var in app.DeclarationText
		err := withHouse(c, func(client *app.Client) error { return client.Call(c.Context(), "declaration", nil, &in) })
		if err != nil {
			return nil, err
		}
		plan, problems := policy.Parse("tillid.yaml", []byte(in.Source), nil)
		if plan == nil {
			return nil, fault.New(fault.Invalid, "The house's declaration cannot be read by this program: %s", problems[0].Msg)
		}
		return plan, nil
	}
	switch name {
	case "none":
		return nil, nil
	case "":
		if _, err := os.Stat("tillid.yaml"); errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		name = "tillid.yaml"
	}
	return read(c, name)
}

func readLock(files scanFiles) (*scan.Lock, error) {
	b, err := os.ReadFile(files.lock)
	if errors.Is(err, fs.ErrNotExist) {
		if files.frozen {
			return nil, fault.New(fault.Invalid, "There is no lock file %s to hold the site against.", files.lock).WithHint("Scan once without --frozen, look at what it wrote, and commit it.")
		}
		return nil, nil
	}
	if err != nil {
		return nil, fault.New(fault.Unavailable, "%s cannot be read.", files.lock).Because(err)
	}
	return scan.ParseLock(files.lock, b)
}

func lockScan(files scanFiles, r *scan.Result, old *scan.Lock) ([]scan.Change, error) {
	lock := scan.NewLock(r, old)
	if files.frozen {
		return lock.Since(old), nil
	}
	return lock.Since(old), scan.WriteFile(files.lock, lock.Bytes())
}

func writeScan(dir string, report *scan.Report, plan *policy.Plan, r *scan.Result, l text.Lang) error {
	files, err := report.Files(plan, r, l, buildVersion())
	if err != nil {
		return err
	}
	if _, patch := files["tillid.patch"]; !patch {
		os.Remove(filepath.Join(dir, "tillid.patch")) // of an earlier scan
	}
	for name, b := range files {
		if err := scan.WriteFile(filepath.Join(dir, name), b); err != nil {
			return err
		}
	}
	return nil
}

func sayScan(w io.Writer, report *scan.Report, changes []scan.Change, files scanFiles, l text.Lang) (drift bool, err error) {
	if err := report.WriteText(w, l); err != nil {
		return false, err
	}
	sign := map[string]string{"added": "+", "gone": "-", "changed": "~"}
	for _, ch := range changes {
		fmt.Fprintf(w, "%s %s\n", sign[ch.What], ch.Item)
	}
	if len(changes) > 0 {
		verb := "changed; see it with your version control"
		if files.frozen {
			verb = "does not hold any more"
		}
		fmt.Fprintf(w, "%d %s since the last scan: %s %s.\n", len(changes), plural(len(changes), "thing changed", "things changed"), files.lock, verb)
	}
	fmt.Fprintf(w, "Report: %s\n", filepath.Join(files.dir, "report.html"))
	if _, err := os.Stat(filepath.Join(files.dir, "tillid.patch")); err == nil {
		fmt.Fprintf(w, "What is missing in the declaration: %s\n", filepath.Join(files.dir, "tillid.patch"))
	}
	return report.Drift() || files.frozen && len(changes) > 0, nil
}

// scanWork is the folder in a house where a scan keeps what it needs to go on.
const scanWork = ".scan"

// initFrom scans a site and puts what it uses into a first declaration.
func initFrom(c *cobra.Command, address, dir string, src []byte, f *scanFlags) ([]byte, error) {
	plan, problems := policy.Parse("tillid.yaml", src, nil)
	if plan == nil {
		return nil, fault.New(fault.Invalid, "With these values the declaration would not be one: %s", problems[0].Msg).WithHint("%s", problems[0].Hint)
	}
	o, err := f.options(c, address, filepath.Join(dir, scanWork), plan)
	if err != nil {
		return nil, err
	}
	result, err := scan.Run(c.Context(), o)
	if err != nil {
		return nil, interrupted(c.Context(), err)
	}
	patch := scan.NewPatch(plan, result)
	out := c.OutOrStdout()
	fmt.Fprintf(out, "Looked at %d %s: %d %s, of which the declaration now names each.\n",
		len(result.Pages), plural(len(result.Pages), "page", "pages"), len(result.Items), plural(len(result.Items), "cookie, storage or host", "cookies, storage and hosts"))
	for _, s := range patch.Added.Sections {
		if s.Name == "services" {
			for _, e := range s.Entries {
				label := e.ID + " (unknown)"
				if k := known.Load().Service(e.ID); k != nil {
					label = k.Label.In(text.EN)
				}
				fmt.Fprintf(out, "  %s\n", label)
			}
		}
	}
	for _, by := range patch.ByHand {
		fmt.Fprintf(out, "Not put in, do it by hand:\n%s\n", by)
	}
	return patch.File, nil
}
