package consent

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/tillid/tillid/internal/ledger"
	"github.com/tillid/tillid/internal/policy"
)

// Dossier is all that the house can show about one leaf of its log: the leaf and
// where it stands, the declaration that it happened under, and, for a choice, its
// receipt and everything by which the visitor was asked, byte for byte. It names nobody.
type Dossier struct {
	Format      string         `json:"format"`
	Made        time.Time      `json:"made_at"`
	Leaf        ledger.Leaf    `json:"leaf"`
	Index       int64          `json:"index"` // -1 while it waits for its number
	Promise     ledger.Promise `json:"promise"`
	Proof       *ledger.Proof  `json:"proof,omitempty"` // with the checkpoint that it leads to
	Verifier    string         `json:"verifier"`
	Version     DossierVersion `json:"version"`
	Declaration []Extract      `json:"declaration"`
	Receipt     string         `json:"receipt,omitempty"` // the receipt's file; tillid verify checks it
	ShownSHA256 string         `json:"shown_sha256,omitempty"`
	Shown       *Shown         `json:"shown,omitempty"`
	CannotShow  []string       `json:"cannot_show"`
}

// DossierFormat is the first thing that a dossier says about itself.
const DossierFormat = "tillid-dossier/1"

// DossierVersion is the version of the declaration that a leaf names.
type DossierVersion struct {
	Number      int       `json:"number,omitempty"`
	Hash        string    `json:"hash"`
	PublishedAt time.Time `json:"published_at,omitzero"`
	EffectiveAt time.Time `json:"effective_at,omitzero"`
}

// Extract is a part of the published declaration, as it was written.
type Extract struct {
	Path string `json:"path"`
	Line int    `json:"line"`
	Text string `json:"text"`
}

// What a dossier cannot show.
const (
	limitWho      = "Who sat at the browser: the log knows nobody."
	limitDid      = "That a third party did as it promised."
	limitRead     = "That the words were read: only that they were what the site sent to whoever had not answered yet."
	limitSubset   = "The exact subset, where only what was new was asked about: the words are these, of the items that the leaf names."
	limitElse     = "What was shown elsewhere: this answer was given to another tool or from a script, and nothing of ours was shown."
	limitArchive  = "The bytes of what was shown: they are not in this house's archive."
	limitOneHouse = "That the log has no other face: ask a witness, or hold it against a checkpoint that was kept elsewhere."
)

// Dossier gathers all that there is about a leaf; fault.NotFound when there is none of that id.
func (s *Service) Dossier(ctx context.Context, leafID string) (*Dossier, error) {
	leafID = strings.TrimPrefix(leafID, "receipt:")
	entry, err := s.Ledger.Leaf(ctx, leafID)
	if err != nil {
		return nil, err
	}
	d := &Dossier{
		Format: DossierFormat, Made: s.Now().UTC(), Leaf: entry.Leaf, Index: entry.Index, Verifier: s.Ledger.Signer.Verifier(),
		Version: DossierVersion{Hash: entry.Version}, Declaration: []Extract{}, CannotShow: []string{limitOneHouse},
	}
	if d.Promise, err = s.Ledger.PromiseOf(ctx, leafID); err != nil {
		return nil, err
	}
	if d.Proof, err = s.Ledger.Prove(ctx, leafID); err != nil && !errors.Is(err, ledger.ErrWaiting) {
		return nil, err
	}
	o, err := s.offerOf(ctx, entry.Version)
	if err != nil {
		return nil, err
	}
	if o.plan != nil {
		d.Declaration = extracts(o.plan, entry.Leaf)
	}
	if !strings.HasPrefix(entry.Kind, holder+".") {
		return d, nil
	}
	d.CannotShow = append(d.CannotShow, limitWho, limitDid)
	return d, s.addShown(ctx, d)
}

// addShown adds the receipt and what was shown.
func (s *Service) addShown(ctx context.Context, d *Dossier) error {
	receipt, err := s.Receipt(ctx, d.Leaf.ID)
	if err != nil {
		return err
	}
	file, err := s.file(receipt)
	if err != nil {
		return err
	}
	d.Receipt = string(file)
	if d.Leaf.Kind == holder+"."+lapses {
		return nil
	}
	d.ShownSHA256 = d.Leaf.Facts["shown"]
	shown, ok, err := s.shownUnder(ctx, d.ShownSHA256)
	switch {
	case err != nil:
		return err
	case ok:
		d.Shown = &shown
		d.CannotShow = append(d.CannotShow, limitRead)
		return s.addAsked(ctx, d)
	case d.ShownSHA256 == "":
		d.CannotShow = append(d.CannotShow, limitElse)
	default:
		d.CannotShow = append(d.CannotShow, limitArchive)
	}
	return nil
}

// addAsked adds the question about news, where it was that which was answered.
func (s *Service) addAsked(ctx context.Context, d *Dossier) error {
	digest := d.Leaf.Facts["asked"]
	if digest == "" {
		if d.Leaf.Facts["layer"] != "banner" {
			d.CannotShow = append(d.CannotShow, limitSubset)
		}
		return nil
	}
	asked, ok, err := s.shownUnder(ctx, digest)
	if err != nil {
		return err
	}
	if !ok {
		d.CannotShow = append(d.CannotShow, limitSubset)
		return nil
	}
	d.Shown.Files = append(d.Shown.Files, asked.Files...)
	return nil
}

// extracts returns the parts of a declaration that a leaf is about, as they are
// written in the file: its purposes, and of those the services, what they store, who
// gets it, and when the record goes.
func extracts(plan *policy.Plan, leaf ledger.Leaf) []Extract {
	var paths []string
	add := func(path string) {
		if !slices.Contains(paths, path) {
			paths = append(paths, path)
		}
	}
	add("controller")
	var purposes []string
	for _, fact := range []string{"purposes", "refused", "withdrawn", "lapsed", "purpose"} {
		purposes = append(purposes, listed(leaf, fact)...)
	}
	for _, id := range purposes {
		if plan.Purpose(id) == nil {
			continue
		}
		add("purposes." + id)
		for _, r := range plan.RulesFor(id) {
			add("retention." + r.ID)
		}
	}
	for _, svc := range plan.Services {
		if !slices.Contains(purposes, svc.Purpose) {
			continue
		}
		add("services." + svc.ID)
		for _, dev := range plan.DeviceOf(svc.ID) {
			add("device_access." + dev.ID)
		}
		if e := plan.Engagement(svc.Engagement); e != nil {
			add("engagements." + e.ID)
			add("parties." + e.Party)
		}
	}
	lines := strings.Split(string(plan.Source), "\n")
	all := []Extract{}
	for _, p := range paths {
		if x, ok := extract(plan, lines, p); ok {
			all = append(all, x)
		}
	}
	return all
}

// extract cuts an entry out of the file: its line and all that is indented deeper.
func extract(plan *policy.Plan, lines []string, path string) (Extract, bool) {
	first := plan.At(path).Line - 1
	if first < 0 || first >= len(lines) {
		return Extract{}, false
	}
	depth, end := indent(lines[first]), first+1
	for end < len(lines) && (strings.TrimSpace(lines[end]) == "" || indent(lines[end]) > depth) {
		end++
	}
	text := strings.TrimRight(strings.Join(lines[first:end], "\n"), " \t\r\n") + "\n"
	return Extract{Path: path, Line: first + 1, Text: text}, true
}

func indent(line string) int { return len(line) - len(strings.TrimLeft(line, " ")) }
