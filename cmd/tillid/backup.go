package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/tillid/tillid/internal/app"
	"github.com/tillid/tillid/internal/backup"
	"github.com/tillid/tillid/internal/fault"
)

func backupCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "backup", GroupID: "run", Short: "Make a backup of a house while it runs", Args: cobra.NoArgs,
		Example: "  tillid backup --house /srv/eksempel\n  tillid backup list --house /srv/eksempel",
		Long: `Write two files, encrypted to TILLID_BACKUP_RECIPIENTS: the data, to
TILLID_BACKUP_DIR, and the key store, to TILLID_BACKUP_KEYS_DIR. The server goes on
meanwhile. Backups of the key store are removed after seven days, those of the data
after the horizon that the declaration promises.

A running server makes a backup every day by itself. kek and log.key are not in it:
keep them apart, once.`,
		RunE: func(c *cobra.Command, _ []string) error {
			return withHouse(c, func(client *app.Client) error { return takeBackup(c, client) })
		},
	}
	keygen := &cobra.Command{
		Use: "keygen", Short: "Make the key that opens backups; keep it off the server", Args: cobra.NoArgs,
		Example: "  tillid backup keygen > backup-identity.txt",
		RunE: func(c *cobra.Command, _ []string) error {
			file, recipient, err := backup.Keygen(time.Now())
			if err != nil {
				return err
			}
			fmt.Fprint(c.OutOrStdout(), file)
			fmt.Fprintf(c.ErrOrStderr(), "Keep what was printed off this machine: without it no backup can be opened.\nOn the server: TILLID_BACKUP_RECIPIENTS=%s\n", recipient)
			return nil
		},
	}
	list := &cobra.Command{
		Use: "list", Short: "List the whole backups, newest first", Args: cobra.NoArgs,
		Example: "  tillid backup list --house /srv/eksempel",
		RunE: call("backup/list", none, func(w io.Writer, lines []backup.Line) error {
			rows := [][]string{{"NAME", "OF", "ROWS", "BYTES", "REMOVED"}}
			for _, l := range lines {
				rows = append(rows, []string{l.Name, l.Kind, fmt.Sprint(l.All()), fmt.Sprint(l.Bytes), l.Goes.Format("2006-01-02 15:04")})
			}
			return table(w, rows)
		}),
	}
	c.AddCommand(keygen, house(withJSON(list)))
	return house(c)
}

// takeBackup begins a backup and tells how far it is until it has ended.
func takeBackup(c *cobra.Command, client *app.Client) error {
	if err := client.Call(c.Context(), "backup/start", nil, nil); err != nil {
		return err
	}
	progress := time.NewTicker(200 * time.Millisecond)
	defer progress.Stop()
	last := ""
	for {
		var s app.BackupStatus
		if err := client.Call(c.Context(), "backup/status", nil, &s); err != nil {
			return err
		}
		if s.Done {
			fmt.Fprintf(c.OutOrStdout(), "%s: %d rows, %d bytes\n%s: %d rows, %d bytes\n",
				s.Taken.Data.Name, s.Taken.Data.All(), s.Taken.Data.Bytes, s.Taken.Keys.Name, s.Taken.Keys.All(), s.Taken.Keys.Bytes)
			return nil
		}
		if now := s.At.Kind + " " + s.At.Step; now != last {
			fmt.Fprintf(c.ErrOrStderr(), "%s: %d rows, %d bytes\n", now, s.At.Rows, s.At.Bytes)
			last = now
		}
		select {
		case <-progress.C:
		case <-c.Context().Done():
			return c.Context().Err()
		}
	}
}

// restoreFlags are what a restore is told.
type restoreFlags struct {
	identity, before                string
	drill, replay, release, discard bool
	app.Restore
}

func restoreCommand() *cobra.Command {
	var f restoreFlags
	c := &cobra.Command{
		Use: "restore", GroupID: "run", Short: "Restore a house from a backup, so that nobody erased comes back", Args: cobra.NoArgs,
		Example: `  tillid restore --house /srv/eksempel --identity backup-identity.txt
  tillid restore --drill --house /srv/eksempel --identity backup-identity.txt
  tillid restore --replay --house /srv/eksempel`,
		Long: `Put a backup in the place of a house that has no tillid.db and keys.db (on
PostgreSQL: whose two databases are empty); its kek and log.key must be there. Then
everything that the erasure list beside the backups says was erased since is erased
again, with its keys, and the log goes on under a new name that names the old one.
Killed at any moment, the same command goes on or starts again.

However a house was restored, also by copying files: the server does not start until
--replay has done that. Letters are held until somebody lets them go, on the page
Backups or with --release-mail.

--drill does it all in a temporary place, beside the running server, looks whether
all is well, and leaves a report.`,
		RunE: func(c *cobra.Command, _ []string) error { return f.run(c) },
	}
	flags := c.Flags()
	flags.StringVar(&f.identity, "identity", "", "the age identity file that opens the backups")
	flags.StringVar(&f.From, "from", "", "folder of the data's backups and the erasure list; TILLID_BACKUP_DIR when absent")
	flags.StringVar(&f.KeysFrom, "keys", "", "folder of the key store's backups; TILLID_BACKUP_KEYS_DIR when absent")
	flags.StringVar(&f.Backup, "backup", "", "name of the data's backup; the newest when absent")
	flags.StringVar(&f.before, "before", "", "the newest backup from before this moment, 2026-11-25T08:00:00Z")
	flags.BoolVar(&f.drill, "drill", false, "only try it, in a temporary place, and report")
	flags.BoolVar(&f.replay, "replay", false, "the house is restored already: bring it up to date")
	flags.StringVar(&f.Without, "without-list", "", "go on although the erasure list is lost; the reason goes into the log")
	flags.BoolVar(&f.release, "release-mail", false, "let letters leave again after a restore")
	flags.BoolVar(&f.discard, "discard", false, "with --release-mail: throw away the letters that wait")
	c.MarkFlagsMutuallyExclusive("drill", "replay", "release-mail")
	return house(c)
}

func (f *restoreFlags) run(c *cobra.Command) error {
	dir, err := c.Flags().GetString("house")
	if err != nil {
		return err
	}
	if f.release {
		return f.releaseMail(c)
	}
	o := options(slog.New(slog.NewTextHandler(c.ErrOrStderr(), &slog.HandlerOptions{Level: slog.LevelError})))
	last := ""
	o.Tell = func(p backup.Progress) {
		if now := p.Kind + " " + p.Step; now != last {
			fmt.Fprintln(c.ErrOrStderr(), now)
			last = now
		}
	}
	if f.replay {
		r, err := app.ReplayHouse(c.Context(), dir, f.Restore, o)
		return printReplayed(c.OutOrStdout(), r, dir, err)
	}
	if f.before != "" {
		if f.Before, err = time.Parse(time.RFC3339, f.before); err != nil {
			return fault.New(fault.Invalid, "--before: %q is not a moment.", f.before).WithHint("For example 2026-11-25T08:00:00Z.")
		}
	}
	if f.Identities, err = backup.ReadIdentities(f.identity); err != nil {
		return err
	}
	if f.drill {
		return f.holdDrill(c, dir, o)
	}
	r, err := app.RestoreHouse(c.Context(), dir, f.Restore, o)
	return printReplayed(c.OutOrStdout(), r, dir, err)
}

func printReplayed(w io.Writer, r *backup.Replayed, dir string, err error) error {
	if err != nil {
		return err
	}
	if r == nil {
		fmt.Fprintf(w, "Nothing was missing. Start it with: tillid serve %s\n", dir)
		return nil
	}
	fmt.Fprintf(w, "Erased again: %d records, from a list of %d.\n", r.Erased, r.Listed)
	fmt.Fprintf(w, "The log goes on as %s; the log %s ended with %s lines, of which %d are here.\n", r.Origin, r.Old, sizeText(r.Size), r.Have)
	fmt.Fprintf(w, "Letters are held until: tillid restore --release-mail --house %s\nStart it with: tillid serve %s\n", dir, dir)
	return nil
}

func sizeText(n int64) string {
	if n < 0 {
		return "nobody knows how many"
	}
	return fmt.Sprint(n)
}

func (f *restoreFlags) releaseMail(c *cobra.Command) error {
	in := url.Values{}
	if f.discard {
		in.Set("discard", "yes")
	}
	return withHouse(c, func(client *app.Client) error {
		var dropped int
		if err := client.Call(c.Context(), "backup/mail", in, &dropped); err != nil {
			return err
		}
		fmt.Fprintf(c.OutOrStdout(), "Letters leave again; %d were thrown away.\n", dropped)
		return nil
	})
}

// holdDrill tries a restore, writes the report beside the backups, and tells the house.
func (f *restoreFlags) holdDrill(c *cobra.Command, dir string, o app.Options) error {
	d, err := app.DrillHouse(c.Context(), dir, f.Restore, o)
	if err != nil {
		return err
	}
	report, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return err
	}
	name := "drill-" + d.At.UTC().Format("20060102T150405Z") + ".json"
	if folder, err := app.BackupFolder(dir, o.Getenv); err == nil {
		name = filepath.Join(folder, name)
	}
	if err := os.WriteFile(name, append(report, '\n'), 0o600); err != nil {
		return err
	}
	w := c.OutOrStdout()
	fmt.Fprintf(w, "Backup %s: %d rows restored, %d erasures replayed (%d found alive), %d lines of log checked, %d records opened, in %s.\n",
		d.Backup, d.Rows, d.Replayed, d.Erased, d.Leaves, d.Opened, d.Took)
	for _, fault := range d.Faults {
		fmt.Fprintln(w, fault)
	}
	fmt.Fprintf(w, "Report: %s\n", name)
	err = withHouse(c, func(client *app.Client) error {
		return client.Call(c.Context(), "backup/drilled", url.Values{"report": {string(report)}}, nil)
	})
	if err == nil && !d.Passed() {
		return exit(1)
	}
	return err
}
