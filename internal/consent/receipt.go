package consent

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/ledger"
	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/text"
)

// Receipt is what a visitor can take away from a choice: the record of it, and
// the evidence that it stands in the log. It verifies without the house.
type Receipt struct {
	Context  map[string]string `json:"@context"`
	Type     []string          `json:"@type"`
	Conforms string            `json:"dct:conformsTo"`
	ID       string            `json:"dpv:hasIdentifier"`
	Created  time.Time         `json:"dct:created"`
	Creator  string            `json:"dct:creator"`
	Language text.Lang         `json:"dct:language"`
	Record   Record            `json:"dpv:hasRecord"`
	History  []LetIn           `json:"tillid:letIn,omitempty"` // only for who holds the visitor's own link
	Evidence Evidence          `json:"tillid:evidence"`

	Pinned bool `json:"-"` // VerifyReceipt: the key was given by the reader, not taken from the file
}

// LetIn is a time during which a visitor's browser might fetch from a third party.
type LetIn struct {
	Service   string    `json:"tillid:service"`
	Label     string    `json:"skos:prefLabel"`
	Party     string    `json:"dpv:hasRecipient"`
	Countries []string  `json:"dpv:hasLocation"`
	From      time.Time `json:"dct:issued"`
	Choice    string    `json:"tillid:choice"` // leaf of the choice that let it in
	Until     time.Time `json:"dct:modified,omitzero"`
	End       string    `json:"tillid:end,omitempty"` // changed, withdrawn, expired
	EndLeaf   string    `json:"tillid:endLeaf,omitempty"`
}

// Evidence is what makes a receipt checkable.
type Evidence struct {
	Verifier  string         `json:"verifier"`        // the log's key
	Promise   ledger.Promise `json:"promise"`         // signed when the choice was made
	Proof     *ledger.Proof  `json:"proof,omitempty"` // of inclusion, once the leaf has its number
	Signature string         `json:"signature"`       // note over the digest of all the rest
}

// Receipt writes the receipt of a leaf; fault.NotFound when the leaf is no choice.
func (s *Service) Receipt(ctx context.Context, leafID string) (Receipt, error) {
	entry, err := s.Ledger.Leaf(ctx, leafID)
	if err != nil {
		return Receipt{}, err
	}
	if !strings.HasPrefix(entry.Kind, holder+".") {
		return Receipt{}, errNoReceipt()
	}
	o, err := s.offerOf(ctx, entry.Version)
	if err != nil {
		return Receipt{}, err
	}
	if o.plan == nil {
		return Receipt{}, errNoReceipt()
	}
	r := Receipt{
		Context: receiptContext(), Type: []string{"dpv:ConsentReceipt"}, Conforms: "dpv-27560:receipt-eu-gdpr", ID: "receipt:" + leafID,
		Created: entry.At, Creator: controllerKey, Language: text.Lang(entry.Facts["language"]), Record: o.record(entry.Leaf, homeOf(o.plan)),
	}
	if r.Evidence, err = s.evidence(ctx, leafID); err != nil {
		return Receipt{}, err
	}
	return r, nil
}

func errNoReceipt() error {
	return fault.New(fault.NotFound, "There is no receipt of that number.").WithHint("A receipt is found from the choices page.").In("consent.no_receipt")
}

func (s *Service) evidence(ctx context.Context, leafID string) (e Evidence, err error) {
	e.Verifier = s.Ledger.Signer.Verifier()
	if e.Promise, err = s.Ledger.PromiseOf(ctx, leafID); err != nil {
		return e, err
	}
	if e.Proof, err = s.Ledger.Prove(ctx, leafID); errors.Is(err, ledger.ErrWaiting) {
		return e, nil
	}
	return e, err
}

// homeOf returns the address of the house's first site.
func homeOf(plan *policy.Plan) string {
	for _, site := range plan.Sites {
		if len(site.Hosts) > 0 && site.TLS != nil && !*site.TLS {
			return "http://" + site.Hosts[0]
		}
		if len(site.Hosts) > 0 {
			return "https://" + site.Hosts[0]
		}
	}
	return ""
}

func hexOf(b []byte) string { return hex.EncodeToString(b) }

// sign signs everything that a receipt says, its evidence too.
func (r *Receipt) sign(signer ledger.Signer) error {
	said, err := r.signed()
	if err != nil {
		return err
	}
	note, err := signer.Sign(said)
	r.Evidence.Signature = string(note)
	return err
}

// signed is the text that is signed: a digest of the receipt without its signature.
func (r *Receipt) signed() (string, error) {
	bare := *r
	bare.Evidence.Signature = ""
	b, err := bare.encode()
	sum := sha256.Sum256(b)
	return "tillid consent receipt v1\n" + hexOf(sum[:]) + "\n", err
}

// encode returns the receipt's bytes: there is one way to write it.
func (r *Receipt) encode() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(r)
	return b.Bytes(), err
}

// file signs a receipt and returns its bytes.
func (s *Service) file(r Receipt) ([]byte, error) {
	if err := r.sign(s.Ledger.Signer); err != nil {
		return nil, err
	}
	return r.encode()
}

// maxReceipt bounds what VerifyReceipt reads.
const maxReceipt = 1 << 20

// IsReceipt reports whether a file means to be a receipt of a choice.
func IsReceipt(data []byte) bool {
	var head struct {
		Conforms string `json:"dct:conformsTo"`
	}
	return len(data) <= maxReceipt && json.Unmarshal(data, &head) == nil && strings.HasPrefix(head.Conforms, "dpv-27560:receipt")
}

// VerifyReceipt checks a receipt's file without the house: that every byte is as it
// was signed, that the leaf was promised, that it is in the signed log (once it
// has its number), and that the record says what the leaf says. vkey is the verifier
// key that the reader trusts; when it is empty, the key that the receipt names is
// used, and Pinned is false.
func VerifyReceipt(data []byte, vkey string) (Receipt, error) {
	var r Receipt
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); len(data) > maxReceipt || err != nil {
		return Receipt{}, distrust("it is not a receipt of Tillid")
	}
	if canonical, err := r.encode(); err != nil || !bytes.Equal(canonical, data) {
		return Receipt{}, distrust("its bytes are not as they were written")
	}
	ev := r.Evidence
	if vkey = strings.TrimSpace(vkey); vkey != "" && vkey != ev.Verifier {
		return Receipt{}, distrust("it was signed with another key than the one given")
	}
	said, err := r.signed()
	if err != nil {
		return Receipt{}, err
	}
	if got, err := ledger.OpenNote([]byte(ev.Signature), ev.Verifier); err != nil || got != said || !ledger.OneSignature(ev.Signature) {
		return Receipt{}, distrust("the signature does not fit what it says")
	}
	r.Pinned = vkey != ""
	return r, r.checkLog()
}

// checkLog holds promise, proof and record against each other.
func (r *Receipt) checkLog() error {
	ev := r.Evidence
	if err := ev.Promise.Check(ev.Verifier); err != nil || "receipt:"+ev.Promise.LeafID != r.ID || ev.Promise.LeafID != r.Record.ID {
		return distrust("the promise of the log does not belong to it")
	}
	if ev.Proof == nil {
		return nil
	}
	leaf, err := ev.Proof.Check(ev.Verifier)
	if err != nil || leaf.ID != r.Record.ID || tlog.RecordHash(ev.Proof.Leaf).String() != ev.Promise.Hash {
		return distrust("the proof that it is in the log is wrong")
	}
	if !leaf.At.Equal(r.Record.Created) || principal(leaf) != r.Record.Subject.ID {
		return distrust("the record is not that of its leaf")
	}
	for _, p := range r.Record.Process {
		if len(p.Purpose) != 1 || len(p.Status) != 1 || !slices.Equal(p.Status[0].Type, statusOf(p.Purpose[0].ID, leaf).Type) {
			return distrust("the record says something else than the leaf in the log")
		}
	}
	return nil
}

func distrust(why string) error {
	return fault.New(fault.Invalid, "This receipt cannot be trusted: %s.", why).
		WithHint("Get the file again from the choices page of the site.").In("consent.broken_receipt")
}

// Describe returns a receipt in words, for the command line.
func (r Receipt) Describe(l text.Lang) []string {
	lines := []string{
		text.T(l, "consent.receipt.from", "Name", r.Record.Entity[controllerKey].Name),
		text.T(l, "consent.receipt.made", "At", text.Moment(l, r.Record.Created.UTC())+" UTC"),
	}
	for _, p := range r.Record.Process {
		var services []string
		for _, svc := range p.Services {
			if svc.Status == statusGiven || svc.Status == statusExpired {
				services = append(services, svc.Label)
			}
		}
		said := text.T(l, "consent.status."+word(p.Status[0].Type[0]))
		line := fmt.Sprintf("%s: %s", p.Purpose[0].Label, said)
		if len(services) > 0 {
			line += " (" + text.List(l, services) + ")"
		}
		lines = append(lines, line)
	}
	for _, in := range r.History {
		if in.Until.IsZero() {
			lines = append(lines, text.T(l, "consent.receipt.in", "Service", in.Label, "Party", in.Party, "From", text.Date(l, in.From)))
			continue
		}
		lines = append(lines, text.T(l, "consent.receipt.was_in", "Service", in.Label, "Party", in.Party, "From", text.Date(l, in.From), "Until", text.Date(l, in.Until)))
	}
	return append(lines, r.standing(l))
}

// standing says how far the log has come with the leaf.
func (r Receipt) standing(l text.Lang) string {
	if r.Evidence.Proof == nil {
		return text.T(l, "consent.receipt.promised")
	}
	return text.T(l, "consent.receipt.proven", "Number", r.Evidence.Proof.Index)
}

// word is the state of DPV as the catalogues call it.
func word(status string) string {
	return strings.ToLower(strings.TrimPrefix(status, "dpv:Consent"))
}
