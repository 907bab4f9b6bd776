package connect_test

import (
	"context"
	"io"
	"log/slog"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/tillid/tillid/internal/connect"
	"github.com/tillid/tillid/internal/connect/desk"
	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/db/dbtest"
	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/job"
	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/subject"
)

const declaration = `
tillid: 1
law: [eu-gdpr@2026.2, dk@2026.2]
reviewed: 2026-11-01
languages: [da, en]
controller: { legal_name: Eksempel A/S, country: DK }
parties:
  helpdesk: { legal_name: Hjælp ApS, country: DK }
engagements:
  desk: { party: helpdesk, role: processor, purposes: [answer], connector: { kind: desk } }
  other: { party: helpdesk, role: processor, purposes: [count] }
  asked: { party: helpdesk, role: processor, purposes: [answer], data: [name], consent_only: true }
data:
  message: { label: { da: Besked, en: Message } }
  name: { label: { da: Navn, en: Name } }
people:
  enquirer: { label: { da: Spørger, en: Enquirer } }
purposes:
  answer: { label: { da: Svare, en: Answer }, legal_basis: { art: 6.1.b }, people: [enquirer], data: [message, name] }
  count: { label: { da: Tælle, en: Count }, legal_basis: { art: 6.1.a }, people: [enquirer], data: [message] }
retention:
  answer_closed: { purpose: answer, trigger: received, duration: P1M, action: delete }
  count_year: { purpose: count, trigger: received, duration: P1Y, action: delete }
`

// Only what is declared is handed over, and only with consent where the
// declaration says so; what left is on record. Rows: E1, E4.
func TestHand(t *testing.T) {
	dbtest.EachDSN(t, func(t *testing.T, dsn func(string) string) {
		ctx := t.Context()
		plan, problems := policy.Parse("tillid.yaml", []byte(declaration), nil)
		if plan == nil {
			t.Fatalf("declaration: %+v", problems)
		}
		now := func() time.Time { return time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC) }
		inForce := func() *policy.Plan { return plan }
		store, err := db.Open(ctx, dsn("keys"))
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		keys := &subject.Keys{DB: store, House: "house", KEK: make([]byte, 32), Now: now}
		if err := keys.Migrate(ctx); err != nil {
			t.Fatal(err)
		}
		d := dbtest.Open(t, dsn("house"))
		subjects := &subject.Service{DB: d, Keys: keys, Plan: inForce, Now: now, Index: []byte("index")}
		system := &desk.Server{}
		srv := httptest.NewServer(system)
		defer srv.Close()
		log := slog.New(slog.NewTextHandler(io.Discard, nil))
		consented := false
		s := &connect.Service{
			DB: d, Keys: keys, Plan: inForce, Now: now, Log: log, Record: subjects.Get,
			Processors: map[string]connect.Processor{"desk": desk.NewClient(srv.URL, now)},
			Fields: func(context.Context, subject.Record, string) (connect.Outbound, error) {
				return connect.Outbound{Kind: "enquiry", Subject: "1001", Fields: []subject.Shown{{Label: "Besked", Value: "Hej"}}}, nil
			},
			Consented: func(context.Context, db.Queryer, subject.Record, string) (bool, error) { return consented, nil },
		}

		r := subject.Record{ID: db.NewID(), Holder: "test", Kind: "enquiry", Purpose: "answer"}
		p, _, err := subjects.Prepare(ctx, []subject.Identifier{{Kind: subject.Email, Value: "a@example.dk"}}, r.ID)
		if err != nil {
			t.Fatal(err)
		}
		err = d.Do(ctx, func(ctx context.Context, tx *db.Tx) (err error) {
			if r.Person, err = subjects.Identify(ctx, tx, p[0]); err != nil {
				return err
			}
			r, err = subjects.Add(ctx, tx, r)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		hand := func(engagement string) error {
			return d.Do(ctx, func(ctx context.Context, tx *db.Tx) error { return s.Hand(ctx, tx, r, engagement) })
		}
		for _, refused := range []string{"other", "no-such", "asked"} {
			if err := hand(refused); fault.Of(err).Kind != fault.Denied {
				t.Errorf("hand to %s: %v", refused, err)
			}
		}
		consented = true
		for _, engagement := range []string{"asked", "desk", "desk"} {
			if err := hand(engagement); err != nil {
				t.Errorf("hand to %s: %v", engagement, err)
			}
		}
		runner := &job.Runner{DB: d, Log: log, Kinds: s.Jobs(), Now: now}
		if err := runner.Drain(ctx); err != nil {
			t.Fatal(err)
		}
		got, err := s.Disclosures(ctx, d, r.Person)
		if err != nil || len(got) != 1 || got[0].State != connect.Sent || got[0].Channel != "desk" || len(got[0].Categories) != 2 {
			t.Fatalf("disclosures %+v, %v", got, err)
		}
		ref, ok, err := s.Ref(ctx, got[0])
		if err != nil || !ok || ref.ID == "" {
			t.Errorf("reference %v, %v", ref, err)
		}
		all, err := s.Handovers(ctx, d, []string{r.ID})
		if err != nil || len(all) != 2 {
			t.Errorf("handovers %+v, %v", all, err)
		}
		if err := keys.Destroy(ctx, r.ID); err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.Ref(ctx, got[0]); fault.Of(err).Kind != fault.Gone {
			t.Errorf("reference without its key: %v", err)
		}
	})
}
