package main

import (
	"fmt"
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/tillid/tillid/internal/app"
	"github.com/tillid/tillid/internal/fault"
)

func demoCommand() *cobra.Command {
	var dir, level string
	var port int
	c := &cobra.Command{
		Use: "demo", GroupID: "run", Short: "Show everything at work, with nobody outside contacted", Args: cobra.NoArgs,
		Example: "  tillid demo\n  tillid demo --port 8090 --dir demo-house",
		Long: `Run an invented company's site behind the gateway, its Backoffice, a mail room
that catches every mail, and a simulated help desk, all on one port of this
machine. Names ending in .localhost lead to this machine in every browser.

Without --dir the demo lives in a temporary folder and leaves nothing behind.`,
		RunE: func(c *cobra.Command, _ []string) error {
			log, err := newLog(c.ErrOrStderr(), level)
			if err != nil {
				return err
			}
			if port < 0 || port > 65535 {
				return fault.New(fault.Invalid, "%d is not a port.", port).WithHint("Choose 1024 to 65535, or 0 for any that is free.")
			}
			public, err := bind(c.Context(), "127.0.0.1:"+strconv.Itoa(port))
			if err != nil {
				return err
			}
			defer public.Close()
			if dir == "" {
				if dir, err = os.MkdirTemp("", "tillid-demo-"); err != nil {
					return err
				}
				defer os.RemoveAll(dir)
			}
			o := options(log)
			o.ScanAsked = true
			demo := &app.Demo{Dir: dir, Public: public, Out: c.OutOrStdout(), Options: o}
			if err := demo.Run(c.Context()); err != nil {
				return err
			}
			fmt.Fprintln(c.OutOrStdout(), "Stopped.")
			return nil
		},
	}
	c.Flags().StringVar(&dir, "dir", "", "folder to keep the demo in; a temporary one when absent")
	c.Flags().IntVar(&port, "port", 8080, "port to serve on")
	c.Flags().StringVar(&level, "log-level", env("log-level", "warn"), "debug, info, warn or error (TILLID_LOG_LEVEL)")
	return c
}
