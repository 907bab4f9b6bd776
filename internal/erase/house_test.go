package erase_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/tillid/tillid/internal/connect"
	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/db/dbtest"
	"github.com/tillid/tillid/internal/erase"
	"github.com/tillid/tillid/internal/job"
	"github.com/tillid/tillid/internal/ledger"
	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/subject"
	"github.com/tillid/tillid/internal/text"
	"github.com/tillid/tillid/internal/web"
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
  paper: { party: helpdesk, role: processor, purposes: [answer] }
  stone: { party: helpdesk, role: processor, purposes: [answer], deletion: { all: { mode: none } } }
data:
  message: { label: { da: Besked, en: Message } }
people:
  enquirer: { label: { da: Spørger, en: Enquirer } }
purposes:
  answer: { label: { da: Svare, en: Answer }, legal_basis: { art: 6.1.b }, people: [enquirer], data: [message] }
  invoice: { label: { da: Faktura, en: Invoice }, legal_basis: { art: 6.1.c }, people: [enquirer], data: [message] }
  visit: { label: { da: Besøg, en: Visit }, legal_basis: { art: 6.1.a }, people: [enquirer], data: [message] }
retention:
  visit_month: { purpose: visit, trigger: received, duration: P1M, action: anonymise }
  answer_closed: { purpose: answer, trigger: case.closed, duration: PT0S, at_latest: P6M, action: delete }
  invoice_law: { purpose: invoice, trigger: received, duration: P6Y, action: delete, floor: { law: dk.bookkeeping, duration: P5Y } }
backups:
  nightly: { horizon: P30D }
`

// house is a house with one small feature and one processor.
type house struct {
	*erase.Service
	t      testing.TB
	at     time.Time
	runner *job.Runner
	desk   *fake
	dsn    func(string) string
}

func (h *house) now() time.Time { return h.at }

func newHouse(t testing.TB, dsn func(string) string) *house {
	t.Helper()
	plan, problems := policy.Parse("tillid.yaml", []byte(declaration), nil)
	if plan == nil {
		t.Fatalf("declaration: %+v", problems)
	}
	h := &house{t: t, at: time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC), dsn: dsn, desk: &fake{objects: map[string]connect.Outbound{}}}
	store, err := db.Open(t.Context(), dsn("keys"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	keys := &subject.Keys{DB: store, House: "house", KEK: make([]byte, 32), Now: h.now}
	if err := keys.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	d := dbtest.Open(t, dsn("house"))
	for _, table := range []string{`create table note (id text primary key, body bytea not null)`, `create table note_count (kind text not null)`} {
		if _, err := d.Exec(t.Context(), table); err != nil {
			t.Fatal(err)
		}
	}
	skey, _, err := ledger.GenerateKey("eksempel.example/tillid")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ledger.NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	inForce := func() *policy.Plan { return plan }
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	subjects := &subject.Service{DB: d, Keys: keys, Plan: inForce, Now: h.now, Index: []byte("index")}
	notes := &notes{keys}
	outbox := &connect.Service{
		DB: d, Keys: keys, Plan: inForce, Now: h.now, Log: log,
		Processors: map[string]connect.Processor{"desk": h.desk, "stone": &fake{objects: map[string]connect.Outbound{}}},
		Record:     subjects.Get,
		Fields: func(ctx context.Context, r subject.Record, _ string) (connect.Outbound, error) {
			v, err := notes.Show(ctx, d, r, text.EN)
			return connect.Outbound{Kind: r.Kind, Subject: "Note", Fields: v.Fields}, err
		},
	}
	h.Service = &erase.Service{
		DB: d, Subject: subjects, Keys: keys, Holders: []subject.Holder{notes}, Connect: outbox,
		Ledger: &ledger.Log{DB: d, Origin: "eksempel.example/tillid", Signer: signer, Now: h.now},
		Plan:   inForce, Now: h.now, Log: log, Controller: "Eksempel A/S", House: &web.House{Plan: inForce},
	}
	kinds := map[string]func(context.Context, []byte) error{}
	for _, jobs := range []map[string]func(context.Context, []byte) error{h.Jobs(), outbox.Jobs()} {
		for kind, f := range jobs {
			kinds[kind] = f
		}
	}
	h.runner = &job.Runner{DB: d, Log: log, Kinds: kinds, Now: h.now}
	return h
}

// each runs f in a fresh house on both engines.
func each(t *testing.T, f func(t *testing.T, h *house)) {
	dbtest.EachDSN(t, func(t *testing.T, dsn func(string) string) { f(t, newHouse(t, dsn)) })
}

// add keeps a note about the person with that address, and hands it to engagements.
func (h *house) add(email, body, purpose string, to ...string) subject.Record {
	h.t.Helper()
	ctx := h.t.Context()
	r := subject.Record{ID: db.NewID(), Holder: "notes", Kind: "note", Purpose: purpose}
	p, keys, err := h.Subject.Prepare(ctx, []subject.Identifier{{Kind: subject.Email, Value: subject.Secret(email)}}, r.ID)
	if err != nil {
		h.t.Fatal(err)
	}
	err = h.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) (err error) {
		if r.Person, err = h.Subject.Identify(ctx, tx, p[0]); err != nil {
			return err
		}
		if r, err = h.Subject.Add(ctx, tx, r); err != nil {
			return err
		}
		sealed := keys[0].Seal(notePlace(r.ID), []byte(body))
		if _, err := tx.Exec(ctx, `insert into note (id, body) values ($1, $2)`, r.ID, sealed); err != nil {
			return err
		}
		for _, e := range to {
			if err := h.Connect.Hand(ctx, tx, r, e); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return r
}

func (h *house) drain() {
	h.t.Helper()
	if err := h.runner.Drain(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
}

// later moves the clock and runs what is due then.
func (h *house) later(d time.Duration) {
	h.t.Helper()
	h.at = h.at.Add(d)
	h.drain()
}

func (h *house) erase(p subject.PersonID) erase.CaseID {
	h.t.Helper()
	id, err := h.Person(h.t.Context(), p, erase.Reason{Kind: erase.Request})
	if err != nil {
		h.t.Fatal(err)
	}
	return id
}

func (h *house) state(id erase.CaseID) *erase.Case {
	h.t.Helper()
	c, err := h.Case(h.t.Context(), id)
	if err != nil {
		h.t.Fatal(err)
	}
	return c
}

// states returns the states of a case's tasks, by store.
func (h *house) states(id erase.CaseID) map[string][]erase.State {
	h.t.Helper()
	tasks, err := h.Tasks(h.t.Context(), id)
	if err != nil {
		h.t.Fatal(err)
	}
	states := map[string][]erase.State{}
	for _, t := range tasks {
		states[t.Store] = append(states[t.Store], t.State)
	}
	return states
}

func (h *house) certificate(id erase.CaseID) erase.Certificate {
	h.t.Helper()
	data, err := h.CertificateFile(h.t.Context(), id)
	if err != nil {
		h.t.Fatal(err)
	}
	cert, err := erase.VerifyCertificate(data, h.Ledger.Signer.Verifier())
	if err != nil {
		h.t.Fatal(err)
	}
	return cert
}

// notes is a feature that keeps one sealed text per record; made anonymous, a
// note is counted.
type notes struct{ keys *subject.Keys }

func notePlace(id string) subject.Place { return subject.Place{Table: "note", Row: id, Column: "body"} }

func (n *notes) Name() string { return "notes" }

func (n *notes) Tables() []subject.Table {
	return []subject.Table{{Name: "note"}, {Name: "note_count"}}
}

func (n *notes) Show(ctx context.Context, q db.Queryer, r subject.Record, _ text.Lang) (subject.View, error) {
	var sealed []byte
	if err := q.QueryRow(ctx, `select body from note where id = $1`, r.ID).Scan(&sealed); err != nil {
		return subject.View{}, err
	}
	key, err := n.keys.Get(ctx, r.ID)
	if err != nil {
		return subject.View{}, err
	}
	body, err := key.Open(notePlace(r.ID), sealed)
	return subject.View{Title: "Note", Fields: []subject.Shown{{Label: "Body", Value: subject.Secret(body)}}}, err
}

func (n *notes) Apply(ctx context.Context, tx *db.Tx, r subject.Record, act subject.Act) (subject.Receipt, error) {
	if act == subject.Anonymise {
		if _, err := tx.Exec(ctx, `insert into note_count (kind) values ($1)`, r.Kind); err != nil {
			return subject.Receipt{}, err
		}
	}
	res, err := tx.Exec(ctx, `delete from note where id = $1`, r.ID)
	if err != nil {
		return subject.Receipt{}, err
	}
	rows, err := res.RowsAffected()
	return subject.Receipt{Rows: map[string]int{"note": int(rows)}}, err
}

// staff answers a Backoffice request.
func (h *house) staff(method, path string, form url.Values) *httptest.ResponseRecorder {
	mux := http.NewServeMux()
	for _, r := range h.StaffRoutes() {
		mux.Handle(r.Pattern, web.Wrap(h.Log, r.Handler))
	}
	h.PublicRoutes(mux)
	w := httptest.NewRecorder()
	req := httptest.NewRequestWithContext(web.WithViewer(h.t.Context(), web.Viewer{User: "u1", Staff: true}), method, path, nil)
	req.PostForm = form
	mux.ServeHTTP(w, req)
	return w
}
