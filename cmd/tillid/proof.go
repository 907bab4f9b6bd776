package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tillid/tillid/internal/consent"
	"github.com/tillid/tillid/internal/fault"
)

func proofCommand() *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use: "proof ID", GroupID: "prove", Short: "Print all that can be shown about one leaf of the log", Args: cobra.ExactArgs(1),
		Long: `Print the dossier of a leaf of the log, for an authority or a court: the leaf, the
proof that it is in the log and the signed checkpoint, the part of the declaration
that was in force, and, for a choice of a visitor, its receipt and everything by
which the visitor was asked, byte for byte: banner, words, choices page, script and
styles. It names nobody.

The number of a leaf stands on receipts and on the page Consent of the Backoffice.
With --out the dossier is written as files into a new folder.`,
		Example: "  tillid proof --house /srv/eksempel --out dossier 4KJ7QWERTYUIOPASDFGHJKLZXC",
	}
	c.Flags().StringVar(&dir, "out", "", "write files into this new folder")
	_ = c.MarkFlagDirname("out")
	c.RunE = call("proof", func(args []string) url.Values { return url.Values{"leaf": {args[0]}} }, func(w io.Writer, d consent.Dossier) error {
		if dir != "" {
			return writeDossier(w, dir, d)
		}
		return printDossier(w, d)
	})
	return house(withJSON(c))
}

// dossierFiles are a dossier as files, in the order in which it is read.
func dossierFiles(d consent.Dossier) (names []string, files map[string]string, err error) {
	files = map[string]string{}
	add := func(name, content string) {
		if content != "" {
			names = append(names, name)
			files[name] = content
		}
	}
	add("README.txt", dossierText(d))
	leaf, err := json.MarshalIndent(d.Leaf, "", "  ")
	if err != nil {
		return nil, nil, err
	}
	add("leaf.json", string(leaf)+"\n")
	add("promise.txt", d.Promise.Note)
	if d.Proof != nil {
		proof, err := json.MarshalIndent(d.Proof, "", "  ")
		if err != nil {
			return nil, nil, err
		}
		add("proof.json", string(proof)+"\n")
		add("checkpoint.txt", d.Proof.Checkpoint)
	}
	add("verifier.txt", d.Verifier+"\n")
	var extract strings.Builder
	for _, x := range d.Declaration {
		fmt.Fprintf(&extract, "# tillid.yaml, line %d: %s\n%s\n", x.Line, x.Path, x.Text)
	}
	add("declaration.yaml", extract.String())
	add("receipt.json", d.Receipt)
	if d.Shown != nil {
		for _, f := range d.Shown.Files {
			add("shown/"+filepath.Base(f.Name), f.Content)
		}
	}
	return names, files, nil
}

// dossierText says in words what a dossier holds.
func dossierText(d consent.Dossier) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Dossier of leaf %s, made %s\n\n", d.Leaf.ID, d.Made.Format(time.RFC3339))
	fmt.Fprintf(&b, "kind          %s\nat            %s\n", d.Leaf.Kind, d.Leaf.At.Format(time.RFC3339Nano))
	if d.Proof != nil {
		fmt.Fprintf(&b, "in the log    number %d, proven against checkpoint.txt\n", d.Index)
	} else {
		fmt.Fprintln(&b, "in the log    promised; its number follows within a second")
	}
	fmt.Fprintf(&b, "declaration   version %d, in force from %s, hash %s\n", d.Version.Number, d.Version.EffectiveAt.Format(time.RFC3339), d.Version.Hash)
	facts := make([]string, 0, len(d.Leaf.Facts))
	for name := range d.Leaf.Facts {
		facts = append(facts, name)
	}
	slices.Sort(facts)
	for _, name := range facts {
		fmt.Fprintf(&b, "%-13s %s\n", name, d.Leaf.Facts[name])
	}
	if d.Shown != nil {
		fmt.Fprintf(&b, "\nWhat was shown (SHA-256 of the archive %s, as the leaf says):\n", d.ShownSHA256)
		for _, f := range d.Shown.Files {
			fmt.Fprintf(&b, "  %s  %s  %s\n", f.SHA256, f.Name, f.Address)
		}
	}
	fmt.Fprintln(&b, "\nWhat this cannot show:")
	for _, limit := range d.CannotShow {
		fmt.Fprintf(&b, "  %s\n", limit)
	}
	return b.String()
}

// printDossier prints everything as one text, with a line before each file (the txtar format).
func printDossier(w io.Writer, d consent.Dossier) error {
	names, files, err := dossierFiles(d)
	if err != nil {
		return err
	}
	for _, name := range names {
		content := files[name]
		if name != "README.txt" {
			fmt.Fprintf(w, "\n-- %s --\n", name)
		}
		fmt.Fprint(w, content)
		if !strings.HasSuffix(content, "\n") {
			fmt.Fprintln(w)
		}
	}
	return nil
}

// writeDossier writes the files byte for byte.
func writeDossier(w io.Writer, dir string, d consent.Dossier) error {
	names, files, err := dossierFiles(d)
	if err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return fault.New(fault.Invalid, "The folder %s cannot be made.", dir).WithHint("Name a new one.").Because(err)
	}
	for _, name := range names {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(file, []byte(files[name]), 0o644); err != nil {
			return err
		}
	}
	fmt.Fprintf(w, "%d files written to %s; begin with README.txt.\n", len(names), dir)
	return nil
}
