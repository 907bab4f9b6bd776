package consent

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"

	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/ledger"
	"github.com/tillid/tillid/internal/web"
)

// Whoever has a leaf's number may have its receipt: it names nobody. What the same
// visitor chose before and after is shown only to who has the ticket, which the
// house gives to the visitor's browser alone: the leaf's number and a code made
// with the house's secret. After a withdrawal the ticket is all that is left of
// the visitor in the browser.

// ticket returns the visitor's own way to a receipt.
func (s *Service) ticket(leaf string) string {
	if leaf == "" {
		return ""
	}
	return leaf + "-" + s.code(leaf)
}

func (s *Service) code(leaf string) string {
	h := hmac.New(sha256.New, s.Secret)
	h.Write([]byte("receipt\x00" + leaf))
	return hex.EncodeToString(h.Sum(nil)[:macBytes])
}

// readTicket returns the leaf's number, and whether it is the visitor who asks.
func (s *Service) readTicket(t string) (leaf string, own, ok bool) {
	leaf, code, keyed := strings.Cut(t, "-")
	if !validLeaf(leaf) {
		return "", false, false
	}
	own = keyed && hmac.Equal([]byte(code), []byte(s.code(leaf)))
	return leaf, own, own || !keyed
}

type receiptPage struct {
	web.Frame
	Receipt Receipt
	File    string // address of the file
	Own     bool
	Stays   []stay
	Size    int64 // leaves in the checkpoint of the proof
}

// Yes reports whether a service was granted.
func (c Concept) Yes() bool { return c.Status == statusGiven || c.Status == statusExpired }

// Word is the state in the catalogues' words.
func (s Status) Word() string { return word(s.Type[0]) }

// receiptPage shows a receipt, or gives it as a file under the same address with .json.
func (s *Service) receiptPage(w http.ResponseWriter, r *http.Request) error {
	t, file := strings.CutSuffix(r.PathValue("ticket"), ".json")
	leaf, own, ok := s.readTicket(t)
	if !ok {
		return web.NotFound(w, r)
	}
	receipt, err := s.Receipt(r.Context(), leaf)
	if fault.Of(err).Kind == fault.NotFound {
		return web.NotFound(w, r)
	}
	if err != nil {
		return err
	}
	f := s.House.Public(r)
	page := receiptPage{Frame: f, Receipt: receipt, File: receiptPath + t + ".json?lang=" + string(f.Lang), Own: own}
	if own {
		if page.Stays, err = s.staysAround(r, leaf); err != nil {
			return err
		}
		page.Receipt.History = letIn(page.Stays, f.Lang)
	}
	w.Header().Set("Referrer-Policy", "no-referrer")
	if file {
		return s.giveReceipt(w, page.Receipt, leaf)
	}
	if p := receipt.Evidence.Proof; p != nil {
		if page.Size, err = ledger.CheckpointSize(p.Checkpoint); err != nil {
			return err
		}
	}
	return web.Render(w, http.StatusOK, pages, "receipt", web.Public, page)
}

// staysAround returns whom the visitor of a choice let in, while the choice is kept.
func (s *Service) staysAround(r *http.Request, leaf string) ([]stay, error) {
	c, ok, err := choiceByLeaf(r.Context(), s.DB, leaf)
	if err != nil || !ok || c.kind == refused {
		return nil, err
	}
	record, err := s.Subjects.Get(r.Context(), s.DB, c.id)
	if fault.Of(err).Kind == fault.NotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return s.stays(r.Context(), record.Person)
}

func (s *Service) giveReceipt(w http.ResponseWriter, receipt Receipt, leaf string) error {
	b, err := s.file(receipt)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "application/ld+json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Disposition", `attachment; filename="tillid-receipt-`+leaf[:8]+`.json"`)
	w.Write(b)
	return nil
}
