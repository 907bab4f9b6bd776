package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/ledger"
)

func witnessCommand() *cobra.Command {
	var name, listen string
	var logs []string
	c := &cobra.Command{
		Use: "witness DIR", GroupID: "prove", Short: "Cosign other houses' logs, so that none can show two faces", Args: cobra.ExactArgs(1),
		Long: `Run a witness: it cosigns the checkpoint of a log only when it extends what the
witness has seen of that log before (C2SP tlog-witness: POST /add-checkpoint). Run it
on another machine than the houses, best by somebody else. DIR holds its key
(witness.key, made at the first start) and what it has seen (witness.json); losing
witness.json makes it forget, so keep both together.

A house shows its log's key at /_tillid/log.vkey; give it here with --log. The
witness prints its own key; the house gets it as TILLID_WITNESSES="URL KEY" and
shows what was cosigned at /_tillid/checkpoint/cosigned. Without --listen the key is
printed and nothing else is done.`,
		Example: "  tillid witness --name witness.example/one --log eksempel.example/tillid+1a2b3c4d+AZ… --listen :8700 /srv/witness",
	}
	c.Flags().StringVar(&name, "name", "", "name of a new witness: an address without https://, of a page about it")
	c.Flags().StringVar(&listen, "listen", "", "address to listen on")
	c.Flags().StringArrayVar(&logs, "log", nil, "verifier key of a log that it may cosign, or a file that holds it; again for more")
	c.RunE = func(c *cobra.Command, args []string) error {
		for i, l := range logs {
			if b, err := os.ReadFile(l); err == nil {
				logs[i] = strings.TrimSpace(string(b))
			}
		}
		if err := os.MkdirAll(args[0], 0o700); err != nil {
			return fault.New(fault.Invalid, "The folder %s cannot be made.", args[0]).WithHint("Name one that you may write.").Because(err)
		}
		w, err := ledger.OpenWitness(args[0], name, logs, time.Now)
		if err != nil {
			return fault.New(fault.Invalid, "The witness cannot start: %v.", err).WithHint("See tillid help witness.")
		}
		fmt.Fprintln(c.OutOrStdout(), w.Verifier())
		if listen == "" {
			return nil
		}
		return serveWitness(c.Context(), c.OutOrStdout(), listen, w)
	}
	return c
}

func serveWitness(ctx context.Context, out io.Writer, listen string, w *ledger.Witness) error {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", listen)
	if err != nil {
		return fault.New(fault.Unavailable, "The witness cannot listen on %s.", listen).Because(err)
	}
	fmt.Fprintf(out, "Listening on %s.\n", l.Addr())
	server := &http.Server{Handler: w, ReadTimeout: 30 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(l) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err := server.Shutdown(stop); err != nil && !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
