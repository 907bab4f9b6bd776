// Command tillid is the whole program: it checks and publishes a declaration,
// serves houses, and shows the demo.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // deadlines are counted in the controller's calendar, also where no zones are installed

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tillid/tillid/internal/fault"
)

func main() {
	signal.Ignore(syscall.SIGXFSZ) // a file that may not grow is an error to be answered, not a reason to die
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// exit is an error that only sets the exit code; its text was printed already.
type exit int

func (e exit) Error() string { return fmt.Sprintf("exit %d", int(e)) }

// run is the program: a test can start it. Exit codes: 0 all is well; 1 the
// answer is no (lint found an error, a certificate does not verify); 2 wrong
// usage or unreadable input; 3 something outside failed.
func run(ctx context.Context, args []string, in io.Reader, out, errs io.Writer) int {
	root := command()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errs)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	var code exit
	if errors.As(err, &code) {
		return int(code)
	}
	return explain(errs, err)
}

func explain(w io.Writer, err error) int {
	f := fault.Of(err)
	if f.Kind == fault.Internal {
		fmt.Fprintf(w, "tillid: %v\n", err)
		return 2
	}
	fmt.Fprintf(w, "tillid: %s\n", f.Msg)
	if f.Hint != "" {
		fmt.Fprintf(w, "  %s\n", f.Hint)
	}
	if f.Err != nil {
		fmt.Fprintf(w, "  (%v)\n", f.Err)
	}
	if f.Kind == fault.Unavailable {
		return 3
	}
	return 2
}

func command() *cobra.Command {
	root := &cobra.Command{
		Use:   "tillid",
		Short: "Keeps the promises of a privacy policy",
		Long: `Tillid compiles a privacy declaration (tillid.yaml) into software that keeps it:
the published policy, what the browser may load, the forms, deletion on time,
people's rights, and proof of all of it.

Start here:
  tillid demo               see it work, on port 8080, with nobody outside contacted
  tillid init               write a first declaration, with comments
  tillid lint tillid.yaml   what the law would say about it (not legal advice)
  tillid serve DIR          serve the house in DIR`,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.AddGroup(
		&cobra.Group{ID: "write", Title: "Declaration:"},
		&cobra.Group{ID: "run", Title: "Running:"},
		&cobra.Group{ID: "prove", Title: "Looking and proving:"},
	)
	root.AddCommand(
		initCommand(), lintCommand(), serviceCommand(), explainCommand(), lawCommand(), schemaCommand(), diffCommand(), publishCommand(),
		demoCommand(), serveCommand(), snippetCommand(), accountCommand(), userCommand(), acceptCommand(), backupCommand(), restoreCommand(), bypassCommand(),
		versionsCommand(), retentionCommand(), ledgerCommand(), proofCommand(), witnessCommand(), verifyCommand(), scanCommand(), healthCommand(), versionCommand(),
	)
	kindly(root)
	root.SetFlagErrorFunc(wrongFlag)
	return root
}

// kindly makes a wrong number of arguments, and a wrong word after a command that
// has commands of its own, say how the command is used.
func kindly(c *cobra.Command) {
	if check := c.Args; check != nil {
		c.Args = func(c *cobra.Command, args []string) error {
			err := check(c, args)
			if err == nil || fault.Of(err).Kind != fault.Internal {
				return err
			}
			wrong := fault.New(fault.Invalid, "%s does not take %q.", c.CommandPath(), args)
			if len(args) == 0 {
				wrong = fault.New(fault.Invalid, "%s needs an argument.", c.CommandPath())
			}
			return wrong.WithHint("It is used so: %s\n  %s --help says more.", c.UseLine(), c.CommandPath())
		}
	}
	for _, sub := range c.Commands() {
		kindly(sub)
		if sub.HasSubCommands() && !sub.Runnable() {
			sub.RunE = oneBelow
		}
	}
}

// wrongFlag says in words what is wrong with a flag.
func wrongFlag(c *cobra.Command, err error) error {
	wrong := fault.New(fault.Invalid, "%s: %v.", c.CommandPath(), err)
	if value := (*pflag.InvalidValueError)(nil); errors.As(err, &value) {
		f := value.GetFlag()
		wrong = fault.New(fault.Invalid, "%s: --%s does not take %q: %s.", c.CommandPath(), f.Name, value.GetValue(), f.Usage)
	}
	return wrong.WithHint("%s --help lists what it takes.", c.CommandPath())
}

// oneBelow is a command that only has others below it.
func oneBelow(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return c.Help()
	}
	wrong := fault.New(fault.Invalid, "%s has no command %q.", c.CommandPath(), args[0])
	c.SuggestionsMinimumDistance = 2
	if near := c.SuggestionsFor(args[0]); len(near) > 0 {
		return wrong.WithHint("Did you mean %s %s?", c.CommandPath(), near[0])
	}
	return wrong.WithHint("%s --help lists them.", c.CommandPath())
}
