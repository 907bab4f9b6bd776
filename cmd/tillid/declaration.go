package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tillid/tillid/internal/app"
	"github.com/tillid/tillid/internal/consent"
	"github.com/tillid/tillid/internal/erase"
	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/law"
	"github.com/tillid/tillid/internal/lint"
	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/scan"
	"github.com/tillid/tillid/internal/text"
)

// read reads a declaration; its problems are printed, and the exit code is 2.
func read(c *cobra.Command, name string) (*policy.Plan, error) {
	plan, problems, err := app.ReadDeclaration(name)
	if err != nil {
		return nil, err
	}
	if plan == nil {
		for _, p := range problems {
			fmt.Fprint(c.ErrOrStderr(), p)
		}
		fmt.Fprintf(c.ErrOrStderr(), "%d %s.\n", len(problems), plural(len(problems), "problem", "problems"))
		return nil, exit(2)
	}
	return plan, nil
}

func language(s string) (text.Lang, error) {
	for _, l := range text.Langs() {
		if string(l) == s {
			return l, nil
		}
	}
	return "", fault.New(fault.Invalid, "%q is not a language of this program.", s).WithHint("Use da or en.")
}

func initCommand() *cobra.Command {
	var dir, company, host, email, from string
	var f scanFlags
	c := &cobra.Command{
		Use: "init", GroupID: "write", Short: "Write a first declaration, with comments", Args: cobra.NoArgs,
		Long: `Write tillid.yaml into a folder: a first declaration with comments, for a website
with a contact form. It lints clean; change the lines marked CHANGE. A file that
is there already is not touched.

With --from URL, scan the site first (see tillid scan) and declare what it uses:
known services with their vendors and cookies, and what nobody knows as marketing.
Lint then speaks of the lines marked CHANGE, which only you can fill in.`,
		Example: `  tillid init --dir /srv/eksempel --company "Eksempel A/S" --host www.example.dk
  tillid init --dir /srv/eksempel --company "Eksempel A/S" --from https://www.example.dk`,
		RunE: func(c *cobra.Command, _ []string) error {
			if from != "" && !c.Flags().Changed("host") {
				start, err := scan.Address(from)
				if err != nil {
					return err
				}
				host = start.Host
			}
			o := policy.StarterOptions{Company: company, Host: host, Email: email, Today: time.Now()}
			src := policy.Starter(o)
			if _, problems := policy.Parse("tillid.yaml", src, nil); len(problems) > 0 {
				return fault.New(fault.Invalid, "With these values the declaration would not be one: %s", problems[0].Msg).
					WithHint("%s", problems[0].Hint)
			}
			name := filepath.Join(dir, "tillid.yaml")
			if _, err := os.Stat(name); err == nil {
				return fault.New(fault.Conflict, "%s is there already, and was not touched.", name).WithHint("Choose another folder with --dir.")
			}
			if from != "" {
				var err error
				if src, err = initFrom(c, from, dir, src, &f); err != nil {
					return err
				}
			}
			if err := writeNew(name, src); err != nil {
				return err
			}
			for beside, b := range policy.StarterFiles(o) {
				if err := writeNew(filepath.Join(dir, beside), b); err != nil {
					return err
				}
			}
			if err := os.RemoveAll(filepath.Join(dir, scanWork)); err != nil {
				return fault.New(fault.Unavailable, "%s cannot be emptied.", filepath.Join(dir, scanWork)).Because(err)
			}
			fmt.Fprintf(c.OutOrStdout(), "Wrote %s. Next:\n  tillid lint %s\n  tillid serve %s\n", name, name, dir)
			return nil
		},
	}
	c.Flags().StringVar(&dir, "dir", ".", "folder of the house; made when missing")
	c.Flags().StringVar(&company, "company", "Eksempel A/S", "name of the company")
	c.Flags().StringVar(&host, "host", "www.example.dk", "host of its website")
	c.Flags().StringVar(&email, "email", "kontakt@example.dk", "address for questions about privacy")
	c.Flags().StringVar(&from, "from", "", "address of the site to scan first")
	f.add(c)
	return c
}

func writeNew(name string, b []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o750); err != nil {
		return fault.New(fault.Unavailable, "The folder %s cannot be made.", filepath.Dir(name)).WithHint("Name one that you may write with --dir.").Because(err)
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return fault.New(fault.Conflict, "%s is there already, and was not touched.", name).WithHint("Choose another folder with --dir.")
	}
	if err != nil {
		return fault.New(fault.Unavailable, "%s cannot be written.", name).Because(err)
	}
	defer f.Close()
	_, err = f.Write(b)
	return err
}

func lintCommand() *cobra.Command {
	var asOf, format, lang string
	c := &cobra.Command{
		Use: "lint FILE", GroupID: "write", Short: "Say what the law would say about a declaration (not legal advice)",
		Long: `Check a declaration against the rules (tillid explain --list) and the law packs
that it names. Law values and ages are taken at --as-of, so that a run can be
repeated and next year's findings be seen.

Exit status: 0 no error stands, 1 an error stands, 2 unreadable file or wrong usage.
This is engineering, not legal advice.`,
		Example: "  tillid lint tillid.yaml\n  tillid lint --as-of 2027-06-01 --format sarif tillid.yaml > lint.sarif",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			l, err := language(lang)
			if err != nil {
				return err
			}
			plan, err := read(c, args[0])
			if err != nil {
				return err
			}
			packs, err := law.Load(plan.Law)
			if err != nil {
				return err
			}
			day := policy.DateOf(time.Now().In(plan.Loc))
			if asOf != "" {
				if day, err = policy.ParseDate(asOf); err != nil {
					return fault.New(fault.Invalid, "--as-of: %v.", err)
				}
			}
			report := lint.Run(plan, packs, day)
			if err := writeReport(c.OutOrStdout(), report, format, l); err != nil {
				return err
			}
			if len(report.Errors()) > 0 {
				return exit(1)
			}
			return nil
		},
	}
	c.Flags().StringVar(&asOf, "as-of", "", "day at which law values and ages are taken, YYYY-MM-DD; today when absent")
	c.Flags().StringVar(&format, "format", "text", "text, json or sarif")
	c.Flags().StringVar(&lang, "lang", "en", "language of the findings: da or en")
	return c
}

func writeReport(w io.Writer, r lint.Report, format string, l text.Lang) error {
	switch format {
	case "text":
		return r.WriteText(w, l)
	case "json":
		return r.WriteJSON(w)
	case "sarif":
		return r.WriteSARIF(w, buildVersion(), l)
	}
	return fault.New(fault.Invalid, "%q is not a format.", format).WithHint("Use text, json or sarif.")
}

func explainCommand() *cobra.Command {
	var list, events bool
	var lang string
	c := &cobra.Command{
		Use: "explain RULE", GroupID: "write", Short: "Explain a rule: what, by which law, why, what to do, an example",
		Example: "  tillid explain LB-03\n  tillid explain --list",
		Args:    cobra.MaximumNArgs(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			var ids []string
			for _, r := range lint.Rules() {
				ids = append(ids, r.ID+"\t"+r.Title.In(text.EN))
			}
			return ids, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(c *cobra.Command, args []string) error {
			l, err := language(lang)
			if err != nil {
				return err
			}
			if events {
				return printEvents(c.OutOrStdout())
			}
			if list || len(args) == 0 {
				rows := [][]string{}
				for _, r := range lint.Rules() {
					rows = append(rows, []string{r.ID, string(r.Severity), string(r.Needs), r.Article, r.Title.In(l)})
				}
				return table(c.OutOrStdout(), rows)
			}
			s, err := lint.Explain(args[0], l)
			if err != nil {
				return err
			}
			fmt.Fprint(c.OutOrStdout(), s)
			return nil
		},
	}
	c.Flags().BoolVar(&events, "events", false, "list the events that can start a retention period, and what emits each")
	c.Flags().BoolVar(&list, "list", false, "list every rule: id, severity, needs, article, title")
	c.Flags().StringVar(&lang, "lang", "en", "language: da or en")
	return c
}

func printEvents(w io.Writer) error {
	rows := [][]string{{"EVENT", "EMITTED BY", "MEANS"}}
	for _, e := range policy.Events() {
		by := e.EmittedBy
		if by == "" {
			by = "a person (executor: manual)"
		}
		rows = append(rows, []string{e.Name, by, e.Means})
	}
	return table(w, rows)
}

func lawCommand() *cobra.Command {
	var asOf, lang string
	c := &cobra.Command{
		Use: "law [PACK@VERSION…]", GroupID: "write", Short: "Print what the law packs hold, with source and status",
		Example: "  tillid law\n  tillid law dk@2026.2",
		Args:    cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			l, err := language(lang)
			if err != nil {
				return err
			}
			if len(args) == 0 {
				args = law.Available()
			}
			packs, err := law.Load(args)
			if err != nil {
				return err
			}
			at := time.Now()
			if asOf != "" {
				day, err := policy.ParseDate(asOf)
				if err != nil {
					return fault.New(fault.Invalid, "--as-of: %v.", err)
				}
				at = day.In(time.UTC)
			}
			return packs.Print(c.OutOrStdout(), l, at)
		},
	}
	c.Flags().StringVar(&asOf, "as-of", "", "day, YYYY-MM-DD; today when absent")
	c.Flags().StringVar(&lang, "lang", "en", "language: da or en")
	return c
}

func schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use: "schema", GroupID: "write", Short: "Print the JSON Schema of tillid.yaml, for editors", Args: cobra.NoArgs,
		Example: "  tillid schema > tillid.schema.json",
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := c.OutOrStdout().Write(policy.JSONSchema())
			return err
		},
	}
}

func diffFiles(c *cobra.Command, from, to, lang string) error {
	l, err := language(lang)
	if err != nil {
		return err
	}
	before, err := read(c, from)
	if err != nil {
		return err
	}
	after, err := read(c, to)
	if err != nil {
		return err
	}
	return printChanges(c.OutOrStdout(), app.Changes(before, after, l))
}

func verifyCommand() *cobra.Command {
	var key, lang string
	c := &cobra.Command{
		Use: "verify FILE", GroupID: "prove", Short: "Check a receipt or a deletion certificate, without the house that signed it",
		Example: "  tillid verify tillid-certificate.json",
		Long: `Check the signature over every byte of a receipt of a choice or of a deletion
certificate, and that its log leaves are in the signed log. Nothing is contacted.

Without --key, the key that the file names is used: then you know that it was not
changed since it was signed, and by which key, but not whose key that is.
A house shows its key at /_tillid/log.vkey; keep it from before you need it.
Exit status 1 when the file does not verify.`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			l, err := language(lang)
			if err != nil {
				return err
			}
			b, err := os.ReadFile(args[0])
			if err != nil {
				return fault.New(fault.Invalid, "%s cannot be read.", args[0]).WithHint("Name the file of the receipt or of the certificate, as it was downloaded.").Because(err)
			}
			vkey := key
			if k, err := os.ReadFile(key); key != "" && err == nil {
				vkey = strings.TrimSpace(string(k))
			}
			if consent.IsReceipt(b) {
				return verifyReceipt(c, b, vkey, l)
			}
			cert, err := erase.VerifyCertificate(b, vkey)
			if err != nil {
				explain(c.ErrOrStderr(), err)
				return exit(1)
			}
			return printCertificate(c.OutOrStdout(), cert, l)
		},
	}
	c.Flags().StringVar(&key, "key", "", "the verifier key that you trust, or a file that holds it")
	c.Flags().StringVar(&lang, "lang", "en", "language: da or en")
	return c
}

func verifyReceipt(c *cobra.Command, b []byte, vkey string, l text.Lang) error {
	r, err := consent.VerifyReceipt(b, vkey)
	if err != nil {
		explain(c.ErrOrStderr(), err)
		return exit(1)
	}
	w := c.OutOrStdout()
	for _, line := range r.Describe(l) {
		fmt.Fprintln(w, line)
	}
	fmt.Fprintln(w)
	if r.Pinned {
		fmt.Fprintln(w, "The receipt verifies with the key that you gave.")
	} else {
		fmt.Fprintf(w, "The receipt verifies with the key that it names, %s. Whose key that is, only the controller can say.\n", r.Evidence.Verifier)
	}
	return nil
}

func printCertificate(w io.Writer, cert erase.Certificate, l text.Lang) error {
	for _, p := range cert.Describe(l, time.UTC) {
		fmt.Fprintf(w, "%s\n", p.Title)
		for _, line := range p.Lines {
			fmt.Fprintf(w, "  %s\n", line)
		}
	}
	fmt.Fprintln(w)
	if cert.Pinned {
		fmt.Fprintf(w, "The certificate verifies with the key that you gave; %d of %d log leaves are proven to be in the signed log.\n", cert.Proven, len(cert.Leaves))
	} else {
		fmt.Fprintf(w, "The certificate verifies with the key that it names, %s; %d of %d log leaves are proven to be in the signed log. Whose key that is, only the controller can say.\n", cert.Key, cert.Proven, len(cert.Leaves))
	}
	return nil
}

// buildVersion is the version that the program was built as.
func buildVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && (v == "" || v == "(devel)") {
			v = s.Value[:min(12, len(s.Value))]
		}
	}
	return v
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", GroupID: "run", Short: "Print the version of this program", Args: cobra.NoArgs,
		Example: "  tillid version",
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(c.OutOrStdout(), "tillid", buildVersion())
			return err
		},
	}
}
