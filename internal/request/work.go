package request

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/law"
	"github.com/tillid/tillid/internal/ledger"
	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/subject"
	"github.com/tillid/tillid/internal/web"
)

// details is what the sealed column of a request holds: what the person said, once.
type details struct {
	Nonce   []byte   `json:"nonce"`
	Case    string   `json:"case,omitempty"`    // of an erasure that was done at once
	Name    string   `json:"name,omitempty"`    // as given to staff
	Contact string   `json:"contact,omitempty"` // as given to staff; nothing is ever sent there
	Words   string   `json:"words,omitempty"`   // what the person wrote or said
	Subject string   `json:"subject,omitempty"` // of a complaint: law.Subject
	Records []string `json:"records,omitempty"` // which records it is about; none: all
	Ground  string   `json:"ground,omitempty"`  // of a restriction: Art. 18(1)(a) to (d)
	Changes []change `json:"changes,omitempty"` // of a rectification
}

// change is one field that is wrong, as its person says (Art. 16).
type change struct {
	Record string `json:"record"`
	Field  string `json:"field"`
	Label  string `json:"label"`
	Was    string `json:"was"`
	Want   string `json:"want"`
}

// deed is what the sealed column of an event holds: who did it, and what was written.
type deed struct {
	User   string  `json:"user,omitempty"`
	Name   string  `json:"name,omitempty"`
	Text   string  `json:"text,omitempty"`
	Code   string  `json:"code,omitempty"`
	Case   string  `json:"case,omitempty"` // of an erasure
	Letter *letter `json:"letter,omitempty"`
}

// happened is an event, opened.
type happened struct {
	ID, Kind string
	At       time.Time
	deed
}

// work is one case with all that belongs to it.
type work struct {
	request  request
	record   subject.Record
	details  details
	past     []happened
	deadline law.Deadline
	key      *subject.Key

	restricts bool // records are restricted because of it
}

func requestPlace(id string) subject.Place {
	return subject.Place{Table: "rights_request", Row: id, Column: "sealed"}
}

func eventPlace(id string) subject.Place {
	return subject.Place{Table: "rights_event", Row: id, Column: "sealed"}
}

func by(ctx context.Context) deed {
	v := web.ViewerOf(ctx)
	return deed{User: v.User, Name: v.UserName}
}

// load opens a case. A fault of kind NotFound or Gone when there is none any more.
func (s *Service) load(ctx context.Context, id string) (work, error) {
	r, err := getRequest(ctx, s.DB, id)
	if err != nil {
		return work{}, err
	}
	w := work{request: r}
	if w.record, err = s.Subjects.Get(ctx, s.DB, id); err != nil {
		return work{}, err
	}
	if w.key, err = s.Subjects.Keys.Get(ctx, id); err != nil {
		return work{}, err
	}
	plain, err := w.key.Open(requestPlace(id), r.Sealed)
	if err != nil {
		return work{}, fmt.Errorf("open request %s: %w", id, err)
	}
	if err := json.Unmarshal(plain, &w.details); err != nil {
		return work{}, fmt.Errorf("read request %s: %w", id, err)
	}
	if w.past, err = s.history(ctx, w.key); err != nil {
		return work{}, err
	}
	if w.restricts, err = s.Subjects.Restricts(ctx, s.DB, id); err != nil {
		return work{}, err
	}
	w.deadline, err = s.deadline(r, w.past)
	return w, err
}

func (s *Service) history(ctx context.Context, key *subject.Key) ([]happened, error) {
	events, err := eventsOf(ctx, s.DB, key.Record)
	if err != nil {
		return nil, err
	}
	out := make([]happened, 0, len(events))
	for _, e := range events {
		plain, err := key.Open(eventPlace(e.ID), e.Sealed)
		if err != nil {
			return nil, fmt.Errorf("open event %s: %w", e.ID, err)
		}
		h := happened{ID: e.ID, Kind: e.Kind, At: e.At}
		if err := json.Unmarshal(plain, &h.deed); err != nil {
			return nil, fmt.Errorf("read event %s: %w", e.ID, err)
		}
		out = append(out, h)
	}
	return out, nil
}

// event stores what happened to a case in tx, sealed under its key.
func (s *Service) event(ctx context.Context, tx *db.Tx, key *subject.Key, kind string, d deed) error {
	plain, err := json.Marshal(d)
	if err != nil {
		return fmt.Errorf("write event: %w", err)
	}
	id := db.NewID()
	return insertEvent(ctx, tx, event{ID: id, Request: key.Record, Kind: kind, At: s.Now(), Sealed: key.Seal(eventPlace(id), plain)})
}

// newNumber returns a case number; it gives nobody any right.
func newNumber() string {
	id := db.NewID()
	return "R-" + id[:4] + "-" + id[4:8]
}

// errNoPurpose refuses to keep a case that no declared purpose and rule cover (E1, E2).
func errNoPurpose() error {
	return fault.New(fault.Invalid, "Requests cannot be kept: no purpose for them is declared.").
		WithHint("Declare one with legal basis 6.1.c and a retention rule, and name it at device_access.%s.", policy.PortalCookie).In("request.purpose")
}

// file registers a case about a person: as a record, with a leaf in the log.
func (s *Service) file(ctx context.Context, tx *db.Tx, key *subject.Key, p subject.PersonID, r request, d details, first ...happened) (request, error) {
	purpose := purposeOf(s.Plan())
	if purpose == nil {
		return r, errNoPurpose()
	}
	d.Nonce = newNonce()
	plain, err := json.Marshal(d)
	if err != nil {
		return r, fmt.Errorf("write request: %w", err)
	}
	leaf, err := s.Ledger.Append(ctx, tx, s.leaf(d.Nonce, p, string(r.Kind)))
	if err != nil {
		return r, err
	}
	r.ID, r.Number, r.Leaf, r.Sealed = key.Record, newNumber(), leaf.LeafID, key.Seal(requestPlace(key.Record), plain)
	r.Entered = s.Now()
	if r.At.IsZero() {
		r.At = r.Entered
	}
	record := subject.Record{ID: r.ID, Person: p, Holder: holder, Kind: string(r.Kind), Purpose: purpose.ID, Received: r.At}
	if _, err := s.Subjects.Add(ctx, tx, record); err != nil {
		return r, err
	}
	clock, err := s.deadline(r, nil)
	if err != nil {
		return r, err
	}
	r.Due = clock.Due
	if err := insertRequest(ctx, tx, r); err != nil {
		return r, err
	}
	for _, h := range append([]happened{{Kind: "received", deed: by(ctx)}}, first...) {
		if err := s.event(ctx, tx, key, h.Kind, h.deed); err != nil {
			return r, err
		}
	}
	if r.open() {
		return r, nil
	}
	_, err = s.Subjects.Trigger(ctx, tx, r.ID, ended)
	return r, err
}

// act changes a case: change says how, and refuses; then the row, what happened, and the
// audit trail are one transaction, together with more (which may be nil).
func (s *Service) act(ctx context.Context, w work, kind string, d deed, change func(*request) error, more func(context.Context, *db.Tx, request) error) error {
	r, was := w.request, w.request.State
	if change != nil {
		if err := change(&r); err != nil {
			return err
		}
	}
	past := append(slices.Clone(w.past), happened{Kind: kind, At: s.Now()})
	clock, err := s.deadline(r, past)
	if err != nil {
		return err
	}
	r.Due = clock.Due
	return s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error {
		if err := updateRequest(ctx, tx, r, was); err != nil {
			return err
		}
		if err := s.event(ctx, tx, w.key, kind, d); err != nil {
			return err
		}
		if err := s.audit(ctx, tx, kind, r.ID); err != nil {
			return err
		}
		if !r.open() && was != closed {
			if err := s.closing(ctx, tx, r, w); err != nil {
				return err
			}
		}
		if more == nil {
			return nil
		}
		return more(ctx, tx, r)
	})
}

// closing is what the end of a case sets in motion: its leaf in the log, and its rule's clock.
func (s *Service) closing(ctx context.Context, tx *db.Tx, r request, w work) error {
	leaf := ledger.Leaf{
		Kind: "request.closed", At: s.Now(), Version: s.Plan().Hash, Commitment: ledger.Commit(w.details.Nonce, string(w.record.Person)+" "+string(r.Outcome)),
		Facts: map[string]string{"right": string(r.Kind), "outcome": string(r.Outcome), "in_time": fmt.Sprint(!s.Now().After(r.Due))},
	}
	if _, err := s.Ledger.Append(ctx, tx, leaf); err != nil {
		return err
	}
	_, err := s.Subjects.Trigger(ctx, tx, r.ID, ended)
	return err
}

func (s *Service) audit(ctx context.Context, tx *db.Tx, kind, id string) error {
	if s.Audit == nil || web.ViewerOf(ctx).User == "" {
		return nil // the person's own act, or the program's
	}
	return s.Audit(ctx, tx, "request."+kind, id)
}

// maxChanges is how many fields one rectification names.
const maxChanges = 40

// maxWords is how many characters a text that somebody writes may have.
const maxWords = 20_000

// written returns a text that somebody wrote, or what is wrong with it.
func written(s string) (string, error) {
	s = strings.TrimSpace(strings.ReplaceAll(s, "\r\n", "\n"))
	switch {
	case s == "":
		return "", fault.New(fault.Invalid, "Nothing was written.").In("request.empty")
	case len([]rune(s)) > maxWords:
		return "", fault.New(fault.Invalid, "That is more than %d characters.", maxWords).In("request.too_long", "Max", maxWords)
	}
	return s, nil
}
