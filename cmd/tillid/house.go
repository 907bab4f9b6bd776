package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/tillid/tillid/internal/app"
	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/retain"
)

// withHouse runs f with a connection to the house in the command's --house
// folder: through the running server, or by opening the house here.
func withHouse(c *cobra.Command, f func(*app.Client) error) error {
	dir, err := c.Flags().GetString("house")
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(c.ErrOrStderr(), &slog.HandlerOptions{Level: slog.LevelError}))
	client, err := app.Connect(c.Context(), dir, options(log))
	if err != nil {
		return err
	}
	defer client.Close()
	return f(client)
}

// house adds the --house flag.
func house(c *cobra.Command) *cobra.Command {
	c.Flags().String("house", env("house", "."), "the house's folder (TILLID_HOUSE)")
	_ = c.MarkFlagDirname("house")
	return c
}

// call is the shape of most commands on a house: one call, one printing.
func call[T any](name string, in func([]string) url.Values, print func(io.Writer, T) error) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, args []string) error {
		return withHouse(c, func(client *app.Client) error {
			var out T
			if err := client.Call(c.Context(), name, in(args), &out); err != nil {
				return err
			}
			if asJSON, _ := c.Flags().GetBool("json"); asJSON {
				e := json.NewEncoder(c.OutOrStdout())
				e.SetIndent("", "  ")
				return e.Encode(out)
			}
			return print(c.OutOrStdout(), out)
		})
	}
}

func none([]string) url.Values { return nil }

func withJSON(c *cobra.Command) *cobra.Command {
	c.Flags().Bool("json", false, "print JSON")
	return c
}

func table(w io.Writer, rows [][]string) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	for _, row := range rows {
		for i, cell := range row {
			if i > 0 {
				fmt.Fprint(t, "\t")
			}
			fmt.Fprint(t, cell)
		}
		fmt.Fprintln(t)
	}
	return t.Flush()
}

func versionsCommand() *cobra.Command {
	return house(withJSON(&cobra.Command{
		Use: "versions", GroupID: "prove", Short: "List the published versions of a house's declaration", Args: cobra.NoArgs,
		Example: "  tillid versions --house /srv/eksempel",
		RunE: call("versions", none, func(w io.Writer, list []app.VersionLine) error {
			rows := [][]string{{"VERSION", "IN FORCE FROM", "CLASS", "BY", "HASH"}}
			for _, v := range list {
				rows = append(rows, []string{fmt.Sprint(v.Number), v.EffectiveAt.Format("2006-01-02 15:04"), v.Class, v.Author, v.Hash[:12]})
			}
			return table(w, rows)
		}),
	}))
}

func diffCommand() *cobra.Command {
	var lang string
	c := &cobra.Command{
		Use: "diff [OLD NEW]", GroupID: "write", Short: "Say in words what changed",
		Example: "  tillid diff --house /srv/eksempel\n  tillid diff old.yaml new.yaml",
		Long: `Without arguments: what tillid.yaml of the house would change of the version in
force. With two files: what differs between them.`,
		Args: cobra.MatchAll(cobra.MaximumNArgs(2), func(_ *cobra.Command, args []string) error {
			if len(args) == 1 {
				return fault.New(fault.Invalid, "tillid diff takes no file, or two.").
					WithHint("Two files: tillid diff OLD NEW. None: the house's tillid.yaml against the version in force.")
			}
			return nil
		}),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 2 {
				return diffFiles(c, args[0], args[1], lang)
			}
			in := func([]string) url.Values { return url.Values{"lang": {lang}} }
			return call("diff", in, printChanges)(c, args)
		},
	}
	c.Flags().StringVar(&lang, "lang", "en", "language of the words: da or en")
	return house(withJSON(c))
}

func printChanges(w io.Writer, list []app.ChangeLine) error {
	if len(list) == 0 {
		fmt.Fprintln(w, "Nothing changed.")
		return nil
	}
	rows := make([][]string, len(list))
	for i, c := range list {
		rows[i] = []string{c.Class, c.Text, c.Path}
	}
	return table(w, rows)
}

func publishCommand() *cobra.Command {
	var author, at string
	c := &cobra.Command{
		Use: "publish", GroupID: "write", Short: "Put the house's tillid.yaml in force",
		Example: "  tillid publish --house /srv/eksempel",
		Long: `Check tillid.yaml of the house, and publish it as the next version. An error of
lint refuses it. A change that people must be told of first (a new purpose,
recipient or transfer, or keeping longer) needs --effective in the future.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, args []string) error {
			in := func([]string) url.Values { return url.Values{"author": {author}, "effective": {at}} }
			return call("publish", in, func(w io.Writer, v app.VersionLine) error {
				fmt.Fprintf(w, "Published version %d, in force from %s.\n", v.Number, v.EffectiveAt.Format("2006-01-02 15:04 MST"))
				return nil
			})(c, args)
		},
	}
	c.Flags().StringVar(&author, "author", os.Getenv("USER"), "who publishes")
	c.Flags().StringVar(&at, "effective", "", "day from which it is in force, YYYY-MM-DD; now when absent")
	return house(withJSON(c))
}

func retentionCommand() *cobra.Command {
	c := &cobra.Command{Use: "retention", GroupID: "prove", Short: "What goes when, and why"}
	var asOf string
	plan := &cobra.Command{
		Use: "plan", Short: "Say beforehand what will be deleted, and why", Args: cobra.NoArgs,
		Long: `List what is due at the end of a day: the rule, the event that started its
period, and how many records. Nothing is deleted by asking.`,
		Example: "  tillid retention plan --as-of 2027-01-01",
		RunE: func(c *cobra.Command, args []string) error {
			in := func([]string) url.Values { return url.Values{"as-of": {asOf}} }
			return call("retention/plan", in, printRetention)(c, args)
		},
	}
	plan.Flags().StringVar(&asOf, "as-of", "", "day, YYYY-MM-DD; today when absent")
	run := &cobra.Command{
		Use: "run", Short: "Delete what is due now, without waiting for the next cycle", Args: cobra.NoArgs,
		Example: "  tillid retention run --house /srv/eksempel",
		RunE:    call("retention/run", none, printRetention),
	}
	c.AddCommand(house(withJSON(plan)), house(withJSON(run)), approvalsCommand(), decideCommand("approve", "Let what waits for approval go with the next run"),
		decideCommand("decline", "Say no: a shortened rule leaves the records their dates, others are asked again the next day"))
	return c
}

func approvalsCommand() *cobra.Command {
	return house(withJSON(&cobra.Command{
		Use: "approvals", Short: "List what waits for a person's approval, and why", Args: cobra.NoArgs,
		Example: "  tillid retention approvals --house /srv/eksempel",
		RunE: call("retention/asked", none, func(w io.Writer, list []retain.Approval) error {
			if len(list) == 0 {
				fmt.Fprintln(w, "Nothing waits.")
				return nil
			}
			rows := [][]string{{"ID", "RULE", "WHY", "GO NOW", "GO EARLIER", "OLD", "NEW"}}
			for _, a := range list {
				rows = append(rows, []string{a.ID, a.Rule, a.Kind, fmt.Sprint(a.Records), fmt.Sprint(a.Later), a.Old, a.New})
			}
			return table(w, rows)
		}),
	}))
}

func decideCommand(do, short string) *cobra.Command {
	return house(&cobra.Command{
		Use: do + " ID", Short: short, Args: cobra.ExactArgs(1),
		Example: "  tillid retention " + do + " --house /srv/eksempel ID",
		RunE: func(c *cobra.Command, args []string) error {
			in := func(args []string) url.Values { return url.Values{"id": {args[0]}, "do": {do}} }
			return call("retention/decide", in, func(w io.Writer, _ any) error {
				fmt.Fprintln(w, "Noted. The next run acts on it.")
				return nil
			})(c, args)
		},
	})
}

func printRetention(w io.Writer, list []app.RetentionLine) error {
	if len(list) == 0 {
		fmt.Fprintln(w, "Nothing is due.")
		return nil
	}
	rows := [][]string{{"DUE", "RULE", "WHAT", "RECORD", "WHY"}}
	for _, l := range list {
		rows = append(rows, []string{l.Due.Format("2006-01-02 15:04"), l.Rule, l.Kind, l.Record, l.Why})
	}
	return table(w, rows)
}

func ledgerCommand() *cobra.Command {
	c := &cobra.Command{Use: "ledger", GroupID: "prove", Short: "The log: verify it, print its checkpoint"}
	var old string
	verify := &cobra.Command{
		Use: "verify", Short: "Recompute the log and name every altered, deleted or reordered leaf", Args: cobra.NoArgs,
		Example: "  tillid ledger verify --house /srv/eksempel",
		Long: `Recompute the whole log from its leaves and compare it with the signed
checkpoint. With --checkpoint FILE, an earlier checkpoint that you kept, it also
shows that nothing before it was rewritten. Exit status 1 when something is wrong.`,
		RunE: func(c *cobra.Command, args []string) error {
			var kept []byte
			if old != "" {
				b, err := os.ReadFile(old)
				if err != nil {
					return err
				}
				kept = b
			}
			in := func([]string) url.Values { return url.Values{"checkpoint": {string(kept)}} }
			return call("ledger/verify", in, func(w io.Writer, r app.LedgerReport) error {
				for _, f := range r.Faults {
					fmt.Fprintf(w, "leaf %d (%s): %s\n", f.Index, f.ID, f.Msg)
				}
				if len(r.Faults) > 0 {
					fmt.Fprintf(w, "%d %s wrong in a log of %d leaves.\n", len(r.Faults), plural(len(r.Faults), "thing is", "things are"), r.Size)
					return exit(1)
				}
				fmt.Fprintf(w, "The log is whole: %d leaves, as signed.\n", r.Size)
				return nil
			})(c, args)
		},
	}
	verify.Flags().StringVar(&old, "checkpoint", "", "an earlier checkpoint to hold the log against")
	checkpoint := &cobra.Command{
		Use: "checkpoint", Short: "Print the newest signed checkpoint; keep it elsewhere", Args: cobra.NoArgs,
		Example: "  tillid ledger checkpoint --house /srv/eksempel > checkpoint.txt",
		RunE: call("ledger/checkpoint", none, func(w io.Writer, note string) error {
			fmt.Fprint(w, note)
			return nil
		}),
	}
	c.AddCommand(house(withJSON(verify)), house(checkpoint))
	return c
}

func healthCommand() *cobra.Command {
	return house(withJSON(&cobra.Command{
		Use: "health", GroupID: "run", Short: "Whether a house can take and keep data now", Args: cobra.NoArgs,
		Example: "  tillid health --house /srv/eksempel",
		RunE: call("health", none, func(w io.Writer, h app.Health) error {
			for _, p := range h.Problems {
				fmt.Fprintln(w, p)
			}
			if !h.Ready {
				fmt.Fprintln(w, "Not ready.")
				return exit(1)
			}
			fmt.Fprintln(w, "Ready.")
			return nil
		}),
	}))
}

func acceptCommand() *cobra.Command {
	return &cobra.Command{
		Use: "accept DIR", GroupID: "run", Short: "Say that a copied or restored house is now the one that runs", Args: cobra.ExactArgs(1),
		Example: "  tillid accept /srv/eksempel",
		Long: `A house whose files were copied refuses to start, because two copies that both
run would fork its log and let deleted people come back. When no other copy runs
or will run again, accept this one.`,
		RunE: func(c *cobra.Command, args []string) error {
			if err := app.Accept(c.Context(), args[0], os.Getenv, time.Now); err != nil {
				return err
			}
			fmt.Fprintf(c.OutOrStdout(), "Accepted. Start it with: tillid serve %s\n", args[0])
			return nil
		},
	}
}

func accountCommand() *cobra.Command {
	c := &cobra.Command{Use: "account", GroupID: "run", Short: "Customer accounts"}
	var name string
	add := &cobra.Command{
		Use: "add NUMBER", Short: "Add a customer account", Args: cobra.ExactArgs(1),
		Example: "  tillid account add --house /srv/eksempel --name \"Café Solsort\" 2044",
		RunE: func(c *cobra.Command, args []string) error {
			in := func(args []string) url.Values { return url.Values{"number": {args[0]}, "name": {name}} }
			return call("account/add", in, func(w io.Writer, a app.AccountLine) error {
				fmt.Fprintf(w, "Customer number %s added. Its first user: tillid user add --account %s admin\n", a.Number, a.Number)
				return nil
			})(c, args)
		},
	}
	add.Flags().StringVar(&name, "name", "", "the customer's name")
	c.AddCommand(house(withJSON(add)))
	return c
}

func userCommand() *cobra.Command {
	c := &cobra.Command{Use: "user", GroupID: "run", Short: "Users of the Backoffice"}
	var account, role string
	add := &cobra.Command{
		Use: "add NAME", Short: "Add a user, or the first administrator of a new house", Args: cobra.ExactArgs(1),
		Long: `Add a user to an account (its customer number; the controller's own account when
absent). A link is printed once, with which the user sets a password.`,
		Example: "  tillid user add --house /srv/eksempel --role admin astrid",
		RunE: func(c *cobra.Command, args []string) error {
			in := func(args []string) url.Values {
				return url.Values{"name": {args[0]}, "account": {account}, "role": {role}}
			}
			return call("user/add", in, func(w io.Writer, u app.UserLine) error {
				fmt.Fprintf(w, "Customer number  %s\nUser name        %s\nFirst sign-in    %s\n", u.Account, u.Name, u.Link)
				fmt.Fprintln(w, "Give the link to the user: it works once, for three days, and sets the password.")
				return nil
			})(c, args)
		},
	}
	add.Flags().StringVar(&account, "account", "", "customer number; the controller's own when absent")
	add.Flags().StringVar(&role, "role", "admin", "admin or staff")
	c.AddCommand(house(withJSON(add)))
	return c
}
