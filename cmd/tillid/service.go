package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/known"
	"github.com/tillid/tillid/internal/text"
)

func serviceCommand() *cobra.Command {
	var lang string
	c := &cobra.Command{
		Use: "service", GroupID: "write", Short: "List the services that are known, and print one ready to declare", Args: cobra.NoArgs,
		Long: `List the services (Google Analytics, Meta, LinkedIn, YouTube, …) and the site
software whose cookies, lifetimes and hosts Tillid knows, each from its vendor's
documentation. "read at" says where: at the vendor, or only at third parties.`,
		Example: "  tillid service\n  tillid service show google_analytics youtube >> tillid.yaml",
		RunE: func(c *cobra.Command, _ []string) error {
			l, err := language(lang)
			if err != nil {
				return err
			}
			return listServices(c.OutOrStdout(), known.Load(), l)
		},
	}
	c.Flags().StringVar(&lang, "lang", "en", "language: da or en")
	c.AddCommand(serviceShowCommand())
	return c
}

func listServices(w io.Writer, c *known.Catalogue, l text.Lang) error {
	rows := [][]string{{"ID", "SERVICE", "CATEGORY", "VENDOR", "STORES", "READ AT"}}
	for _, s := range c.Services {
		rows = append(rows, []string{s.ID, s.Label.In(l), s.Category, s.Vendor.Name + " (" + s.Vendor.Country + ")", fmt.Sprint(len(s.Storage)), s.Source.By + " " + s.Source.Read})
	}
	for _, s := range c.Platforms {
		rows = append(rows, []string{s.ID, s.Label.In(l), "", "the site itself", fmt.Sprint(len(s.Storage)), ""})
	}
	return table(w, rows)
}

func serviceShowCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "show ID…", Short: "Print services as a piece of a declaration", Args: cobra.MinimumNArgs(1),
		Long: `Print what declares these services: parties, engagements, data, purposes,
services, device_access and retention. Put each section's entries under the
section of that name in tillid.yaml, and leave out what stands there already.
Lines marked CHANGE hold what only you know, for example your agreement; lint
speaks of them until you fill them in.

With --json, print everything that is known of them, with the sources.`,
		Example: "  tillid service show google_ads\n  tillid service show --json meta_pixel",
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			var ids []string
			for _, s := range everyService() {
				ids = append(ids, s.ID+"\t"+s.Label.In(text.EN))
			}
			return ids, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(c *cobra.Command, ids []string) error {
			var wanted []*known.Service
			for _, id := range ids {
				s := known.Load().Service(id)
				if s == nil {
					return fault.New(fault.NotFound, "No service %q is known.", id).WithHint("See: tillid service. What is not known can be declared by hand, or proposed by tillid scan.")
				}
				wanted = append(wanted, s)
			}
			if asJSON {
				e := json.NewEncoder(c.OutOrStdout())
				e.SetIndent("", "  ")
				return e.Encode(wanted)
			}
			_, err := io.WriteString(c.OutOrStdout(), known.Of(wanted).String())
			return err
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "everything that is known, as JSON")
	return c
}

func everyService() []*known.Service {
	return slices.Concat(known.Load().Services, known.Load().Platforms)
}
