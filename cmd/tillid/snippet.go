package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tillid/tillid/internal/app"
)

func snippetCommand() *cobra.Command {
	return house(withJSON(&cobra.Command{
		Use: "snippet", GroupID: "run", Short: "Print the script tags for a site that does not stand behind Tillid", Args: cobra.NoArgs,
		Example: "  tillid snippet --house /srv/eksempel",
		Long: `Print what goes into the head of every page of a site that does not stand behind
Tillid as a gateway. A script can stop less than a gateway: docs/limits.md says
with measurements what. docs/install.md shows all three ways to install.

Where Tillid answers is said in the declaration, under sites: with consent_host,
at that name below the site's own domain; without, the site's own server must
pass /_tillid/ and /privacy/ on to Tillid. The second is better: Safari then keeps
the choice as long as everybody else.`,
		RunE: call("snippet", none, printSnippets),
	}))
}

func printSnippets(w io.Writer, list []app.Snippet) error {
	for i, s := range list {
		if i > 0 {
			fmt.Fprintln(w)
		}
		printSnippet(w, s)
	}
	return nil
}

func printSnippet(w io.Writer, s app.Snippet) {
	fmt.Fprintf(w, "Site %s (%s), in %s mode.\n\n", s.Site, strings.Join(s.Hosts, ", "), s.Mode)
	if s.Base == "" {
		fmt.Fprintln(w, "Let the site's own server pass /_tillid/, /privacy and /privacy/ on to Tillid.")
	} else {
		fmt.Fprintf(w, "Let %s lead to Tillid. Safari asks visitors again after seven days unless it has the same\naddress as the site; passing /_tillid/ and /privacy/ through the site's own server avoids that.\n", s.Base)
	}
	fmt.Fprint(w, "\nFirst in the head of every page, before any other script, style, link or meta but charset:\n\n")
	fmt.Fprintln(w, s.Guard)
	if s.Fallback != "" {
		fmt.Fprintln(w, s.Fallback)
	}
	fmt.Fprintln(w, s.Banner)
	fmt.Fprint(w, "\nThe guard must not be async or deferred, and cannot be pinned: it holds each visitor's own choice.\n")
	if s.Fallback != "" {
		fmt.Fprint(w, "The second line shuts the page when the guard does not come. Renew it when the site's hosts change.\n")
	}
	fmt.Fprintf(w, "\nTo pin the banner to what it is today (renew after each release of Tillid), take instead:\n\n%s\n", s.Pinned)
	fmt.Fprintf(w, "\nWhere pages have share links (<tillid-share>), marked links or interests, also:\n\n%s\n", s.Page)
	source := s.Base
	if source == "" {
		source = "'self'"
	}
	fmt.Fprintf(w, "\nWhen the site has a Content-Security-Policy of its own: give each of these tags its nonce, or allow\n%s in script-src, style-src and connect-src", source)
	if s.Hash != "" {
		fmt.Fprintf(w, ", and in script-src also\n%s", s.Hash)
	}
	fmt.Fprintln(w, ".")
}
