package connect

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/job"
	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/subject"
)

// Service hands records to processors and knows who got what.
type Service struct {
	DB         *db.DB
	Keys       *subject.Keys
	Plan       func() *policy.Plan
	Processors map[string]Processor // by engagement
	Now        func() time.Time
	Log        *slog.Logger

	// Record returns a record of the register, Fields what of it is handed over.
	Record func(ctx context.Context, q db.Queryer, id string) (subject.Record, error)
	Fields func(ctx context.Context, r subject.Record, engagement string) (Outbound, error)
	// Consented reports whether the person's consent to a hand-over is on record;
	// nil: never. Only engagements that are declared consent_only ask.
	Consented func(ctx context.Context, q db.Queryer, r subject.Record, engagement string) (bool, error)
	// Paused reports whether a record's use is restricted (Art. 18); nil: never. Then
	// nothing is queued, and what is queued waits.
	Paused func(ctx context.Context, q db.Queryer, record string) (bool, error)
}

// State is how far a handover has come.
type State string

// States of a handover. From Attempted on, the data may have left.
const (
	Waiting   State = "waiting"
	Attempted State = "attempted" // sent, answer not known
	Sent      State = "sent"
	Refused   State = "refused" // the processor did not take it; a person must look
)

// Handover is one record on its way to one engagement. From Attempted on it is
// also the log of that disclosure.
type Handover struct {
	ID         string
	Record     string
	Person     subject.PersonID
	Engagement string
	Purpose    string
	LegalBasis string
	Categories []string
	Channel    string
	State      State
	Queued     time.Time
	Attempted  time.Time
	Sent       time.Time
	sealed     []byte // the foreign reference
}

// SendJob is the kind of the jobs that hand over.
const SendJob = "connect.send"

type sendPayload struct {
	Handover string `json:"handover"`
}

// Jobs returns the job kinds of this package.
func (s *Service) Jobs() map[string]func(context.Context, []byte) error {
	return map[string]func(context.Context, []byte) error{SendJob: s.send}
}

// Hand queues a record for an engagement, in the transaction that stores it. What
// the declaration does not permit is refused (E1, E4), now and again when it is
// sent. Queuing again what is queued changes nothing.
func (s *Service) Hand(ctx context.Context, tx *db.Tx, r subject.Record, engagement string) error {
	plan := s.Plan()
	if err := s.permitted(ctx, tx, plan, r, engagement); err != nil {
		return err
	}
	e, p := plan.Engagement(engagement), plan.Purpose(r.Purpose)
	if paused, err := s.paused(ctx, tx, r.ID); err != nil {
		return err
	} else if paused {
		return subject.Restricted()
	}
	h := Handover{
		ID: db.NewID(), Record: r.ID, Person: r.Person, Engagement: engagement, Purpose: r.Purpose,
		LegalBasis: p.Basis.Art, Categories: e.Data, Channel: channelOf(e), State: Waiting, Queued: s.Now(),
	}
	if len(h.Categories) == 0 {
		h.Categories = p.Data
	}
	ok, err := insertHandover(ctx, tx, h)
	if err != nil || !ok {
		return err
	}
	return job.Add(ctx, tx, SendJob, sendPayload{h.ID}, s.Now(), h.ID)
}

// permitted refuses a hand-over for a purpose that is not declared for the
// engagement, without a legal basis, or, where the engagement is declared
// consent_only, without the person's consent.
func (s *Service) permitted(ctx context.Context, q db.Queryer, plan *policy.Plan, r subject.Record, engagement string) error {
	e, p := plan.Engagement(engagement), plan.Purpose(r.Purpose)
	if e == nil || p == nil || !slices.Contains(e.Purposes, r.Purpose) {
		return fault.New(fault.Denied, "The purpose %q is not declared for the engagement %q.", r.Purpose, engagement).
			WithHint("Declare it under engagements in tillid.yaml, or do not hand it over.").In("connect.undeclared")
	}
	if p.Basis == nil || p.Basis.Art == "" {
		return fault.New(fault.Denied, "The purpose %q has no legal basis.", r.Purpose).
			WithHint("Declare its legal_basis in tillid.yaml, or do not hand it over.").In("connect.no_basis")
	}
	if !e.ConsentOnly {
		return nil
	}
	return s.consented(ctx, q, r, engagement)
}

func (s *Service) consented(ctx context.Context, q db.Queryer, r subject.Record, engagement string) error {
	ok := false
	if s.Consented != nil {
		var err error
		if ok, err = s.Consented(ctx, q, r, engagement); err != nil {
			return err
		}
	}
	if !ok {
		return fault.New(fault.Denied, "The engagement %q gets data only with the person's consent, and there is none.", engagement).
			In("connect.consent")
	}
	return nil
}

func (s *Service) paused(ctx context.Context, q db.Queryer, record string) (bool, error) {
	if s.Paused == nil {
		return false, nil
	}
	return s.Paused(ctx, q, record)
}

// pausedLook is how long what waits for a restriction to end waits before it looks again.
const pausedLook = time.Hour

func channelOf(e *policy.Engagement) string {
	if e.Connector != nil {
		return e.Connector.Kind
	}
	return "manual"
}

// send is the job: it marks the attempt, durably, then sends, then keeps the
// reference. A lost answer is sent again under the same key.
func (s *Service) send(ctx context.Context, payload []byte) error {
	var p sendPayload
	if err := json.Unmarshal(payload, &p); err != nil {
		return fmt.Errorf("read payload: %w", err)
	}
	h, ok, err := handoverByID(ctx, s.DB, p.Handover)
	if err != nil || !ok || h.State == Sent || h.State == Refused {
		return err // erased meanwhile, or done
	}
	if paused, err := s.paused(ctx, s.DB, h.Record); err != nil {
		return err
	} else if paused {
		return s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error {
			return job.Add(ctx, tx, SendJob, p, s.Now().Add(pausedLook), "")
		})
	}
	if why := s.allowed(h.Engagement); why != "" {
		s.Log.Error("a hand-over is refused: the law does not allow it today", "engagement", h.Engagement, "handover", h.ID, "why", why)
		return s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error { return setRefused(ctx, tx, h.ID) })
	}
	processor := s.Processors[h.Engagement]
	if processor == nil {
		s.Log.Warn("no connector for an engagement: hand over by other means", "engagement", h.Engagement, "handover", h.ID)
		return s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error { return setRefused(ctx, tx, h.ID) })
	}
	record, err := s.Record(ctx, s.DB, h.Record)
	if err != nil {
		return goneIsDone(err)
	}
	// What was permitted when it was queued may not be any more: consent is withdrawn,
	// the declaration is another.
	if err := s.permitted(ctx, s.DB, s.Plan(), record, h.Engagement); fault.Of(err).Kind == fault.Denied {
		s.Log.Warn("a hand-over is refused: it is not permitted any more", "engagement", h.Engagement, "handover", h.ID, "err", err)
		return s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error { return setRefused(ctx, tx, h.ID) })
	} else if err != nil {
		return err
	}
	key, err := s.Keys.Get(ctx, h.Record)
	if err != nil {
		return goneIsDone(err)
	}
	out, err := s.Fields(ctx, record, h.Engagement)
	if err != nil {
		return goneIsDone(err)
	}
	out.Record = record.ID
	return s.hand(ctx, h, processor, key, out)
}

func (s *Service) hand(ctx context.Context, h Handover, processor Processor, key *subject.Key, out Outbound) error {
	if there, err := s.mark(ctx, h.ID); err != nil || !there {
		return err
	}
	ref, _, err := processor.Send(ctx, out, h.ID)
	if err != nil {
		if fault.Of(err).Kind != fault.Invalid {
			return fmt.Errorf("send to %s: %w", h.Engagement, err)
		}
		s.Log.Error("a processor refuses a record", "engagement", h.Engagement, "handover", h.ID, "err", err)
		return s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error { return setRefused(ctx, tx, h.ID) })
	}
	sealed, err := sealRef(key, h.ID, ref)
	if err != nil {
		return err
	}
	there := false
	err = s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) (err error) {
		there, err = setSent(ctx, tx, h.ID, sealed, s.Now())
		return err
	})
	if err != nil || there {
		return err
	}
	// The record was erased while it was on its way. The case of the erasure looks
	// for it by reference; taking it back here too makes the time short.
	if _, err := processor.Erase(ctx, ref, h.ID); err != nil {
		s.Log.Warn("cannot take back at once what was erased while it was sent", "engagement", h.Engagement, "err", err)
	}
	return nil
}

func (s *Service) mark(ctx context.Context, id string) (there bool, err error) {
	err = s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) (err error) {
		there, err = setAttempted(ctx, tx, id, s.Now())
		return err
	})
	return there, err
}

// goneIsDone takes an erased record as the end of a job, not its failure.
func goneIsDone(err error) error {
	if k := fault.Of(err).Kind; k == fault.Gone || k == fault.NotFound {
		return nil
	}
	return err
}

func refPlace(id string) subject.Place {
	return subject.Place{Table: "handover", Row: id, Column: "ref"}
}

func sealRef(key *subject.Key, id string, ref Ref) ([]byte, error) {
	b, err := json.Marshal(ref)
	if err != nil {
		return nil, fmt.Errorf("marshal reference: %w", err)
	}
	return key.Seal(refPlace(id), b), nil
}

// Ref opens a handover's foreign reference; ok is false while there is none. It
// reads the key store: call it outside transactions.
func (s *Service) Ref(ctx context.Context, h Handover) (ref Ref, ok bool, err error) {
	if h.sealed == nil {
		return Ref{}, false, nil
	}
	key, err := s.Keys.Get(ctx, h.Record)
	if err != nil {
		return Ref{}, false, err
	}
	b, err := key.Open(refPlace(h.ID), h.sealed)
	if err != nil {
		return Ref{}, false, err
	}
	if err := json.Unmarshal(b, &ref); err != nil {
		return Ref{}, false, fmt.Errorf("read reference: %w", err)
	}
	return ref, true, nil
}

// Tables lists this package's tables, for the test that every table is claimed.
func Tables() []subject.Table {
	return []subject.Table{{Name: "handover", Fields: map[string]string{
		"person": "pseudonym", "ref": "sealed foreign reference", "categories": "categories handed over",
	}}}
}
