package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/tillid/tillid/internal/app"
	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/scan"
)

// env returns the value of a flag's environment variable, TILLID_<NAME>, or def.
func env(name, def string) string {
	if v := os.Getenv("TILLID_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))); v != "" {
		return v
	}
	return def
}

func newLog(w io.Writer, level string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, fault.New(fault.Invalid, "%q is not a log level.", level).WithHint("Use debug, info, warn or error.")
	}
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: l})), nil
}

func options(log *slog.Logger) app.Options {
	chromium, err := scan.FindChromium(os.Getenv("TILLID_CHROMIUM"))
	if err != nil {
		chromium = "" // the page about scans says so
	}
	return app.Options{Log: log, Now: time.Now, Getenv: os.Getenv, Chromium: chromium}
}

func serveCommand() *cobra.Command {
	var listen, metrics, level string
	var trusted []string
	c := &cobra.Command{
		Use:     "serve DIR…",
		GroupID: "run",
		Short:   "Serve the houses in these folders",
		Long: `Serve one or more houses, chosen by the request's host. A house is a folder with
a tillid.yaml; the first start publishes that file as version 1 and makes
tillid.db, keys.db, kek (the key-encryption key) and log.key beside it. Keep a
copy of kek and log.key somewhere else: without them nothing can be opened or
signed.

Settings come from the environment or from settings.env in the folder:
  TILLID_DATABASE_URL, TILLID_KEYS_URL   two PostgreSQL databases, instead of files
  TILLID_KEK, TILLID_KEK_FILE            the key-encryption key, from elsewhere
  TILLID_SMTP_URL, TILLID_MAIL_FROM      how mail leaves
  TILLID_IMAP_URL                        a mailbox whose letters become cases
  TILLID_CLAMD                           the virus scanner for uploads: unix:/run/clamav/clamd.ctl
  TILLID_SCAN                            off: the sites are not looked at every night
  TILLID_CHROMIUM                        the browser that looks; found on PATH when absent
  TILLID_WITNESSES                       who cosigns the log: "URL KEY", with commas between
Each may be given as NAME_FILE.

On SIGHUP the process becomes the program that then stands in its place, and drops
no request: running ones are answered, connections stay open, new ones wait. Sockets
from systemd (socket activation) are taken too: the first serves, the second has
the metrics.`,
		Example: "  tillid serve /srv/eksempel\n  tillid serve --listen 127.0.0.1:8080 /srv/one /srv/two",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, dirs []string) error {
			log, err := newLog(c.ErrOrStderr(), level)
			if err != nil {
				return err
			}
			o := options(log)
			if o.Trusted, err = app.ParseProxies(trusted); err != nil {
				return err
			}
			return serve(c.Context(), c.OutOrStdout(), dirs, listen, metrics, o)
		},
	}
	c.Flags().StringVar(&listen, "listen", env("listen", "127.0.0.1:8080"), "address to listen on (TILLID_LISTEN)")
	c.Flags().StringVar(&metrics, "metrics", env("metrics", "127.0.0.1:9090"), "address of Prometheus metrics; empty for none (TILLID_METRICS)")
	c.Flags().StringVar(&level, "log-level", env("log-level", "info"), "debug, info, warn or error (TILLID_LOG_LEVEL)")
	c.Flags().StringSliceVar(&trusted, "trusted-proxy", strings.FieldsFunc(env("trusted-proxy", ""), comma),
		"address or prefix of a server in front whose X-Forwarded-For counts (TILLID_TRUSTED_PROXY)")
	return c
}

func comma(r rune) bool { return r == ',' }

// serve serves until ctx ends. On SIGHUP it becomes the program that then stands
// where this one was started from, without closing its sockets.
func serve(ctx context.Context, out io.Writer, dirs []string, listen, metrics string, o app.Options) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	sockets, waiting, err := app.Inherited(o.Getenv)
	if err != nil {
		return err
	}
	for name, addr := range map[string]string{"public": listen, "metrics": metrics} {
		if sockets[name] == nil && addr != "" {
			if sockets[name], err = bind(ctx, addr); err != nil {
				return err
			}
		}
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	restart := &app.Restart{Program: program, Sockets: sockets}
	go awaitRestart(ctx, hangup, o.Log, func() error {
		err := restart.Prepare(ctx)
		if err == nil {
			stop()
		}
		return err
	})
	server := &app.Server{Log: o.Log, Metrics: app.NewMetrics(), Restart: restart, Waiting: waiting}
	if err := serveHouses(ctx, out, server, dirs, o); err != nil || !restart.Ready() {
		return err
	}
	signal.Ignore(syscall.SIGHUP) // until the new program listens to it
	return restart.Do(os.Args, os.Environ())
}

func awaitRestart(ctx context.Context, hangup <-chan os.Signal, log *slog.Logger, restart func() error) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangup:
			log.InfoContext(ctx, "restart asked for")
			if err := restart(); err != nil {
				log.ErrorContext(ctx, "restart refused: the program does not run", "err", err)
			}
		}
	}
}

func serveHouses(ctx context.Context, out io.Writer, server *app.Server, dirs []string, o app.Options) error {
	sockets := server.Restart.Sockets
	defer func() {
		for _, h := range server.Houses {
			h.Close()
		}
	}()
	for _, dir := range dirs {
		house, err := app.Open(ctx, dir, o)
		if err != nil {
			return err
		}
		server.Houses = append(server.Houses, house)
	}
	if err := server.Build(); err != nil {
		return err
	}
	fmt.Fprintf(out, "Serving %d %s on %s.\n", len(dirs), plural(len(dirs), "house", "houses"), sockets["public"].Addr())
	return server.Run(ctx, sockets["public"], sockets["metrics"])
}

func bind(ctx context.Context, addr string) (net.Listener, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fault.New(fault.Unavailable, "The address %s cannot be listened on.", addr).
			WithHint("Does another program use it? Choose another with --listen, --metrics or --port.").Because(err)
	}
	return l, nil
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}
