package subject_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/db/dbtest"
	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/subject"
)

const declaration = `
tillid: 1
law: [eu-gdpr@2026.2, dk@2026.2]
reviewed: 2026-11-01
languages: [da, en]
controller: { legal_name: Eksempel A/S, country: DK }
data:
  message: { label: { da: Besked, en: Message } }
people:
  enquirer: { label: { da: Spørger, en: Enquirer } }
purposes:
  answer: { label: { da: Svare, en: Answer }, legal_basis: { art: 6.1.b }, people: [enquirer], data: [message] }
  count: { label: { da: Tælle, en: Count }, legal_basis: { art: 6.1.a }, people: [enquirer], data: [message] }
  ruleless: { label: { da: Uden regel, en: Ruleless }, legal_basis: { art: 6.1.b } }
retention:
  answer_closed: { purpose: answer, trigger: case.closed, duration: PT0S, at_latest: P6M, action: delete }
  count_year: { purpose: count, trigger: received, duration: P1Y, action: delete }
`

func newPlan(t testing.TB) *policy.Plan {
	t.Helper()
	plan, problems := policy.Parse("tillid.yaml", []byte(declaration), nil)
	if plan == nil {
		t.Fatalf("declaration: %+v", problems)
	}
	return plan
}

// clock is a clock that tests set.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func newClock() *clock { return &clock{time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)} }

func newService(t testing.TB, dsn func(string) string, c *clock) *subject.Service {
	t.Helper()
	store, err := db.Open(t.Context(), dsn("keys"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	keys := &subject.Keys{DB: store, House: "house-a", KEK: make([]byte, 32), Now: c.now}
	if err := keys.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	plan := newPlan(t)
	return &subject.Service{
		DB: dbtest.Open(t, dsn("house")), Keys: keys, Plan: func() *policy.Plan { return plan }, Now: c.now, Index: []byte("index key of the test, 32 bytes.."),
	}
}

// each runs f on both engines.
func each(t *testing.T, f func(t *testing.T, s *subject.Service, c *clock)) {
	dbtest.EachDSN(t, func(t *testing.T, dsn func(string) string) {
		c := newClock()
		f(t, newService(t, dsn, c), c)
	})
}

// add makes a person with an e-mail address (if it is new) and a record.
func add(t testing.TB, s *subject.Service, email string, purpose string) subject.Record {
	t.Helper()
	r := subject.Record{ID: db.NewID(), Holder: "test", Kind: "note", Purpose: purpose}
	p, _, err := s.Prepare(t.Context(), []subject.Identifier{{Kind: subject.Email, Value: subject.Secret(email)}}, r.ID)
	if err != nil {
		t.Fatal(err)
	}
	err = s.DB.Do(t.Context(), func(ctx context.Context, tx *db.Tx) (err error) {
		if r.Person, err = s.Identify(ctx, tx, p[0]); err != nil {
			return err
		}
		r, err = s.Add(ctx, tx, r)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Rows: E2.
func TestRegister(t *testing.T) {
	each(t, func(t *testing.T, s *subject.Service, c *clock) {
		ctx := t.Context()
		a := add(t, s, "Astrid@Example.dk", "answer")
		b := add(t, s, "astrid@EXAMPLE.dk", "count")
		other := add(t, s, "bo@example.dk", "answer")
		if a.Person != b.Person || a.Person == other.Person {
			t.Fatalf("persons %q, %q, %q", a.Person, b.Person, other.Person)
		}
		if want := c.at.AddDate(1, 0, 0); !b.Due.Equal(want) || !b.Triggered.Equal(c.at) {
			t.Errorf("due %v, triggered %v, want %v, %v", b.Due, b.Triggered, want, c.at)
		}
		got, err := s.Of(ctx, s.DB, a.Person)
		if err != nil || len(got) != 2 {
			t.Fatalf("records of person: %v, %v", got, err)
		}
		ids, err := s.Identifiers(ctx, s.DB, a.Person)
		if err != nil || len(ids) != 1 || ids[subject.Email][0].Reveal() != "Astrid@Example.dk" {
			t.Errorf("identifiers: %v, %v", ids, err)
		}
		if _, ok, err := s.Find(ctx, s.DB, subject.Phone, "12345678"); ok || err != nil {
			t.Errorf("found a phone number that nobody gave: %v", err)
		}
		due, err := s.Due(ctx, s.DB, c.at, 10)
		if err != nil || len(due) != 0 {
			t.Errorf("due now: %v, %v", due, err)
		}

		c.at = c.at.Add(time.Hour)
		var closed subject.Record
		err = s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) (err error) {
			if _, err = s.Trigger(ctx, tx, a.ID, "no.such.event"); err != nil {
				return err
			}
			closed, err = s.Trigger(ctx, tx, a.ID, "case.closed")
			return err
		})
		if err != nil || !closed.Due.Equal(c.at) {
			t.Errorf("closed: due %v, %v, want %v", closed.Due, err, c.at)
		}
		due, err = s.Due(ctx, s.DB, c.at, 10)
		if err != nil || len(due) != 1 || due[0].ID != a.ID {
			t.Errorf("due after closing: %v, %v", due, err)
		}
		counts, err := s.Count(ctx, s.DB, c.at, c.at.AddDate(0, 7, 0))
		if err != nil || counts.Records != 3 || counts.Overdue != 1 || counts.DueSoon != 1 || counts.ByPurpose["answer"] != 2 {
			t.Errorf("counts %+v, %v", counts, err)
		}
	})
}

// What is not declared cannot be stored. Rows: E1, E2.
func TestAddRefuses(t *testing.T) {
	each(t, func(t *testing.T, s *subject.Service, c *clock) {
		person := add(t, s, "a@example.dk", "answer").Person
		for _, r := range []subject.Record{
			{Purpose: "unknown"}, {Purpose: "ruleless"}, {Purpose: "answer", Rule: "count_year"}, {Purpose: "answer", Rule: "no_such"},
		} {
			r.ID, r.Person, r.Holder, r.Kind = db.NewID(), person, "test", "note"
			err := s.DB.Do(t.Context(), func(ctx context.Context, tx *db.Tx) error {
				_, err := s.Add(ctx, tx, r)
				return err
			})
			if fault.Of(err).Kind != fault.Invalid {
				t.Errorf("add for %q by %q: %v", r.Purpose, r.Rule, err)
			}
		}
	})
}

// The person goes with the last record, and so do identifiers and their keys.
func TestForget(t *testing.T) {
	each(t, func(t *testing.T, s *subject.Service, c *clock) {
		ctx := t.Context()
		a, b := add(t, s, "a@example.dk", "answer"), add(t, s, "a@example.dk", "count")
		other := add(t, s, "b@example.dk", "count")
		forget := func(r subject.Record) (f subject.Forgotten) {
			t.Helper()
			err := s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) (err error) {
				f, err = s.Forget(ctx, tx, []subject.Record{r})
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			return f
		}
		if f := forget(a); len(f.Persons) != 0 || !slices.Equal(f.Keys, []string{a.ID}) {
			t.Errorf("after the first record: %+v", f)
		}
		if f := forget(b); len(f.Persons) != 1 || len(f.Keys) != 2 || f.Rows["identifier"] != 1 {
			t.Errorf("after the last record: %+v", f)
		}
		forget(b) // again: nothing happens
		if _, ok, _ := s.Find(ctx, s.DB, subject.Email, "a@example.dk"); ok {
			t.Error("an erased person is found")
		}
		if _, err := s.Get(ctx, s.DB, other.ID); err != nil {
			t.Error(err)
		}
	})
}

func TestSweep(t *testing.T) {
	each(t, func(t *testing.T, s *subject.Service, c *clock) {
		ctx := t.Context()
		kept := add(t, s, "a@example.dk", "answer")
		add(t, s, "a@example.dk", "answer") // leaves an identifier's key that is not used
		if _, err := s.Keys.New(ctx, "orphan", "claimed", "house:secrets"); err != nil {
			t.Fatal(err)
		}
		s.Claims = append(s.Claims, func(_ context.Context, _ db.Queryer, ids []string) ([]string, error) {
			return slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return id != "claimed" }), nil
		})
		if n, err := s.Sweep(ctx); n != 0 || err != nil {
			t.Errorf("swept %d fresh keys, %v", n, err)
		}
		c.at = c.at.Add(2 * time.Hour)
		if n, err := s.Sweep(ctx); n != 2 || err != nil {
			t.Errorf("swept %d keys, %v, want 2", n, err)
		}
		for _, id := range []string{kept.ID, "claimed", "house:secrets"} {
			if _, err := s.Keys.Get(ctx, id); err != nil {
				t.Errorf("key %s: %v", id, err)
			}
		}
		if _, err := s.Keys.Get(ctx, "orphan"); fault.Of(err).Kind != fault.Gone {
			t.Errorf("orphan: %v", err)
		}
		ids, err := s.Identifiers(ctx, s.DB, kept.Person)
		if err != nil || len(ids[subject.Email]) != 1 {
			t.Errorf("identifiers after the sweep: %v, %v", ids, err)
		}
	})
}

// Many forms of one new person at once make one person.
func TestIdentifyAtOnce(t *testing.T) {
	each(t, func(t *testing.T, s *subject.Service, c *clock) {
		const n = 8
		persons := make(chan subject.PersonID, n)
		for range n {
			go func() {
				p, err := s.PrepareIdentifier(t.Context(), subject.Email, "same@example.dk")
				var person subject.PersonID
				if err == nil {
					err = s.DB.Do(t.Context(), func(ctx context.Context, tx *db.Tx) (err error) {
						person, err = s.Identify(ctx, tx, p)
						return err
					})
				}
				if err != nil {
					t.Error(err)
				}
				persons <- person
			}()
		}
		first := <-persons
		for range n - 1 {
			if p := <-persons; p != first {
				t.Errorf("two persons: %s and %s", first, p)
			}
		}
	})
}
