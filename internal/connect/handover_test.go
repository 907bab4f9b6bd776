package connect_test

import (
	"context"
	"io"
	"log/slog"
	"net/http/httptest"
	"strings"
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

// outbox is a connect.Service with what it needs, and one record.
type outbox struct {
	*connect.Service
	t         *testing.T
	plan      *policy.Plan
	subjects  *subject.Service
	record    subject.Record
	client    *desk.Client // of the one processor
	consented bool
}

func newOutbox(t *testing.T, dsn func(string) string) *outbox {
	t.Helper()
	ctx := t.Context()
	plan, problems := policy.Parse("tillid.yaml", []byte(declaration), nil)
	if plan == nil {
		t.Fatalf("declaration: %+v", problems)
	}
	o := &outbox{t: t, plan: plan}
	now := func() time.Time { return time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC) }
	inForce := func() *policy.Plan { return o.plan }
	store, err := db.Open(ctx, dsn("keys"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	keys := &subject.Keys{DB: store, House: "house", KEK: make([]byte, 32), Now: now}
	if err := keys.Migrate(ctx); err != nil {
		t.Fatal(err)
	}
	d := dbtest.Open(t, dsn("house"))
	o.subjects = &subject.Service{DB: d, Keys: keys, Plan: inForce, Now: now, Index: []byte("index")}
	srv := httptest.NewServer(&desk.Server{})
	t.Cleanup(srv.Close)
	o.client = desk.NewClient(srv.URL, now)
	o.Service = &connect.Service{
		DB: d, Keys: keys, Plan: inForce, Now: now, Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Record: o.subjects.Get,
		Processors: map[string]connect.Processor{"desk": o.client},
		Fields: func(context.Context, subject.Record, string) (connect.Outbound, error) {
			return connect.Outbound{Kind: "enquiry", Subject: "1001", Fields: []subject.Shown{{Label: "Besked", Value: "Hej"}}}, nil
		},
		Consented: func(context.Context, db.Queryer, subject.Record, string) (bool, error) { return o.consented, nil },
	}
	r := subject.Record{ID: db.NewID(), Holder: "test", Kind: "enquiry", Purpose: "answer"}
	p, _, err := o.subjects.Prepare(ctx, []subject.Identifier{{Kind: subject.Email, Value: "a@example.dk"}}, r.ID)
	if err != nil {
		t.Fatal(err)
	}
	err = d.Do(ctx, func(ctx context.Context, tx *db.Tx) (err error) {
		if r.Person, err = o.subjects.Identify(ctx, tx, p[0]); err != nil {
			return err
		}
		o.record, err = o.subjects.Add(ctx, tx, r)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func (o *outbox) hand(engagement string) error {
	return o.DB.Do(o.t.Context(), func(ctx context.Context, tx *db.Tx) error { return o.Hand(ctx, tx, o.record, engagement) })
}

func (o *outbox) drain() {
	o.t.Helper()
	runner := &job.Runner{DB: o.DB, Log: o.Log, Kinds: o.Jobs(), Now: o.Now}
	if err := runner.Drain(o.t.Context()); err != nil {
		o.t.Fatal(err)
	}
}

// Only what is declared is handed over, and only with consent where the
// declaration says so; what left is on record. Rows: E1, E4.
func TestHand(t *testing.T) {
	dbtest.EachDSN(t, func(t *testing.T, dsn func(string) string) {
		ctx := t.Context()
		o := newOutbox(t, dsn)
		for _, refused := range []string{"other", "no-such", "asked"} {
			if err := o.hand(refused); fault.Of(err).Kind != fault.Denied {
				t.Errorf("hand to %s: %v", refused, err)
			}
		}
		o.consented = true
		for _, engagement := range []string{"asked", "desk", "desk"} {
			if err := o.hand(engagement); err != nil {
				t.Errorf("hand to %s: %v", engagement, err)
			}
		}
		o.drain()
		got, err := o.Disclosures(ctx, o.DB, o.record.Person)
		if err != nil || len(got) != 1 || got[0].State != connect.Sent || got[0].Channel != "desk" || len(got[0].Categories) != 2 {
			t.Fatalf("disclosures %+v, %v", got, err)
		}
		ref, ok, err := o.Ref(ctx, got[0])
		if err != nil || !ok || ref.ID == "" {
			t.Errorf("reference %v, %v", ref, err)
		}
		all, err := o.Handovers(ctx, o.DB, []string{o.record.ID})
		if err != nil || len(all) != 2 {
			t.Errorf("handovers %+v, %v", all, err)
		}
		if err := o.Keys.Destroy(ctx, o.record.ID); err != nil {
			t.Fatal(err)
		}
		if _, _, err := o.Ref(ctx, got[0]); fault.Of(err).Kind != fault.Gone {
			t.Errorf("reference without its key: %v", err)
		}
	})
}

// What was permitted when it was queued is looked at again when it is sent:
// nothing leaves after consent is withdrawn, after the declaration stopped
// naming the recipient for the purpose, or without a legal basis. Rows: E1, E4.
func TestRefusedWhenSent(t *testing.T) {
	other := func(o *outbox, from, to string) {
		plan, problems := policy.Parse("tillid.yaml", []byte(strings.Replace(declaration, from, to, 1)), nil)
		if plan == nil {
			o.t.Fatalf("declaration: %+v", problems)
		}
		o.plan = plan
	}
	for name, meanwhile := range map[string]func(o *outbox){
		"nothing happens": func(*outbox) {},
		"withdrawn":       func(o *outbox) { o.consented = false },
		"undeclared":      func(o *outbox) { other(o, "purposes: [answer], data: [name]", "purposes: [count], data: [name]") },
		"no basis": func(o *outbox) {
			other(o, "none", "none") // a plan of its own
			o.plan.Purpose("answer").Basis = nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			dbtest.EachDSN(t, func(t *testing.T, dsn func(string) string) {
				ctx := t.Context()
				o := newOutbox(t, dsn)
				o.Processors["asked"] = o.client
				o.consented = true
				if err := o.hand("asked"); err != nil {
					t.Fatal(err)
				}
				meanwhile(o)
				o.drain()
				want, left := connect.Refused, 0
				if name == "nothing happens" {
					want, left = connect.Sent, 1
				} else if err := o.hand("asked"); fault.Of(err).Kind != fault.Denied {
					t.Errorf("queued again: %v", err)
				}
				all, err := o.Handovers(ctx, o.DB, []string{o.record.ID})
				if err != nil || len(all) != 1 || all[0].State != want {
					t.Errorf("handovers %+v, %v", all, err)
				}
				got, err := o.Disclosures(ctx, o.DB, o.record.Person)
				if err != nil || len(got) != left {
					t.Errorf("disclosures %+v, %v", got, err)
				}
				refs, err := o.client.Resolve(ctx, []connect.Identifier{{Kind: connect.Reference, Value: subject.Secret(o.record.ID)}})
				if err != nil || len(refs) != left {
					t.Errorf("the processor holds %v, %v", refs, err)
				}
			})
		})
	}
}
