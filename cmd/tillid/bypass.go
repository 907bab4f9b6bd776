package main

import (
	"fmt"
	"io"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/tillid/tillid/internal/gateway"
)

func bypassCommand() *cobra.Command {
	var site, lasts string
	c := &cobra.Command{
		Use: "bypass on|off|status", GroupID: "run", Short: "Take Tillid out of the site's way, or put it back",
		Long: `With bypass on, requests and answers of the site pass as they are: no banner, no
policy, no filtered cookie, and so nothing that visitors said no to is stopped.
It is for finding out whether Tillid is the reason of a fault on the site. It acts
at once, stands in the audit trail, shows as an alarm, and ends by itself.
The pages under /privacy and the forms go on working.`,
		Example: "  tillid bypass on --for 30m\n  tillid bypass off",
		Args:    cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs), ValidArgs: []string{"on", "off", "status"},
		RunE: func(c *cobra.Command, args []string) error {
			in := func(args []string) url.Values { return url.Values{"do": {args[0]}, "site": {site}, "for": {lasts}} }
			return call("bypass", in, printBypasses)(c, args)
		},
	}
	c.Flags().StringVar(&site, "site", "", "the site's name in tillid.yaml; all sites when absent")
	c.Flags().StringVar(&lasts, "for", "1h", "how long, at most 24h")
	return house(withJSON(c))
}

func printBypasses(w io.Writer, list []gateway.Bypass) error {
	if len(list) == 0 {
		fmt.Fprintln(w, "Bypass is off: the declaration is enforced as it says.")
		return nil
	}
	rows := [][]string{{"SITE", "BYPASS ON SINCE", "UNTIL"}}
	for _, b := range list {
		rows = append(rows, []string{b.Site, b.Since.Format("2006-01-02 15:04 MST"), b.Until.Format("2006-01-02 15:04 MST")})
	}
	return table(w, rows)
}
