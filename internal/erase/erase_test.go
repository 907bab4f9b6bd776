package erase_test

import (
	"slices"
	"testing"
	"time"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/erase"
	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/subject"
)

// A person asks: rows, identifiers and keys go at once, the processor is told
// and probed, and the case closes with a final certificate. Rows: E3, E11.
func TestPerson(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ctx := t.Context()
		a1 := h.add("astrid@example.dk", "first", "answer", "desk")
		a2 := h.add("astrid@example.dk", "second", "answer")
		b := h.add("bo@example.dk", "third", "answer", "desk")
		h.drain()
		if len(h.desk.objects) != 2 {
			t.Fatalf("the desk holds %d", len(h.desk.objects))
		}
		got, err := h.Connect.Disclosures(ctx, h.DB, a1.Person)
		if err != nil || len(got) != 1 || got[0].Engagement != "desk" || got[0].LegalBasis != "6.1.b" || got[0].Sent.IsZero() {
			t.Fatalf("disclosures %+v, %v", got, err)
		}

		id := h.erase(a1.Person)
		for _, r := range []subject.Record{a1, a2} {
			if _, err := h.Keys.Get(ctx, r.ID); fault.Of(err).Kind != fault.Gone {
				t.Errorf("key of an erased record: %v", err)
			}
		}
		if _, ok, _ := h.Subject.Find(ctx, h.DB, subject.Email, "astrid@example.dk"); ok {
			t.Error("the person is still found")
		}
		if c := h.state(id); c.State != erase.Open || c.Keys != 3 || c.Rows["note"] != 2 || c.Rows["handover"] != 1 || c.Rows["person"] != 1 {
			t.Errorf("case before the processor was told: %+v", c)
		}
		if cert := h.certificate(id); cert.Final || len(cert.Processors) == 0 || cert.Processors[0].State != erase.Planned {
			t.Errorf("preliminary certificate: %+v", cert)
		}

		h.drain()
		c := h.state(id)
		if c.State != erase.Ended || c.Result != erase.Granted {
			t.Errorf("case %s, %s; tasks %v", c.State, c.Result, h.states(id))
		}
		if len(h.desk.objects) != 1 {
			t.Errorf("the desk holds %d, want Bo's only", len(h.desk.objects))
		}
		cert := h.certificate(id)
		if !cert.Final || cert.Records != 2 || cert.Keys != 3 || cert.Result != erase.Granted {
			t.Errorf("final certificate: %+v", cert)
		}
		if _, err := h.Keys.Get(ctx, string(id)); fault.Of(err).Kind != fault.Gone {
			t.Errorf("the key of the case outlives it: %v", err)
		}
		if _, err := h.Keys.Get(ctx, b.ID); err != nil {
			t.Errorf("Bo's key: %v", err)
		}
		if again := h.erase(a1.Person); again != id {
			t.Error("asked again, it opens another case")
		}
		list, err := h.List(ctx, time.Time{})
		if err != nil || len(list) != 3 {
			t.Errorf("erasure list %v, %v", list, err)
		}
	})
}

// At most one erasure of a person runs: two requests at once are one case.
func TestPersonTwiceAtOnce(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		a := h.add("astrid@example.dk", "first", "answer", "desk")
		h.drain()
		ids := make(chan erase.CaseID)
		for range 4 {
			go func() {
				id, err := h.Person(t.Context(), a.Person, erase.Reason{Kind: erase.Request})
				if err != nil {
					t.Error(err)
				}
				ids <- id
			}()
		}
		first := <-ids
		for range 3 {
			if id := <-ids; id != first {
				t.Errorf("two cases: %s and %s", first, id)
			}
		}
		h.drain()
		if c := h.state(first); c.Result != erase.Granted {
			t.Errorf("case %+v, %v", c, h.states(first))
		}
	})
}

// One expired record goes with its key alone; the person stays.
func TestRecords(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ctx := t.Context()
		a1 := h.add("astrid@example.dk", "first", "answer")
		a2 := h.add("astrid@example.dk", "second", "answer")
		id, err := h.Records(ctx, []subject.Record{a1}, erase.Reason{Kind: erase.Retention, Rule: a1.Rule})
		if err != nil {
			t.Fatal(err)
		}
		h.drain()
		if c := h.state(id); c.Result != erase.Granted || c.Keys != 1 || c.Rows["person"] != 0 {
			t.Errorf("case %+v", c)
		}
		if _, err := h.Keys.Get(ctx, a2.ID); err != nil {
			t.Error(err)
		}
		if p, ok, err := h.Subject.Find(ctx, h.DB, subject.Email, "astrid@example.dk"); !ok || p != a1.Person {
			t.Errorf("the person is lost: %v", err)
		}
		if _, err := h.Records(ctx, nil, erase.Reason{}); fault.Of(err).Kind != fault.NotFound {
			t.Errorf("nothing to erase: %v", err)
		}
	})
}

// A processor that says yes and keeps holds the case open, until it really has
// forgotten; local deletion does not wait for it. Rows: E3.
func TestLyingProcessor(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		a := h.add("astrid@example.dk", "first", "answer", "desk")
		h.drain()
		h.desk.keep = true
		id := h.erase(a.Person)
		h.drain()
		for range 20 {
			h.later(2 * time.Hour)
		}
		if c := h.state(id); c.State != erase.Open || c.Local.IsZero() {
			t.Fatalf("case %+v, tasks %v", c, h.states(id))
		}
		if cert := h.certificate(id); cert.Final {
			t.Error("a final certificate while the processor lies")
		}
		f, err := h.Count(t.Context(), h.at.AddDate(0, 0, -7))
		if err != nil || f.Lying != 1 || f.Open != 1 {
			t.Errorf("figures %+v, %v", f, err)
		}
		if says, err := h.Health(t.Context()); err != nil || len(says) == 0 {
			t.Errorf("health %v, %v", says, err)
		}
		if len(h.desk.erased) < 2 || len(slices.Compact(slices.Clone(h.desk.erased))) != 1 {
			t.Errorf("commanded under the keys %v", h.desk.erased)
		}

		h.desk.keep = false
		if err := h.TryAgain(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		h.drain()
		if c := h.state(id); c.State != erase.Ended || c.Result != erase.Granted {
			t.Errorf("case %+v, tasks %v", c, h.states(id))
		}
		cert := h.certificate(id)
		if i := slices.IndexFunc(cert.Processors, func(l erase.Line) bool { return l.State == erase.Verified }); i < 0 ||
			cert.Processors[i].Verified.Before(cert.Processors[i].Effective) || cert.Processors[i].Name != "Hjælp ApS" {
			t.Errorf("certificate %+v", cert.Processors)
		}
	})
}

// "Verified" means a probe at or after the moment at which the processor says it takes effect.
func TestLagAndTwoPhases(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.desk.lag, h.desk.phases = 48*time.Hour, 2
		a := h.add("astrid@example.dk", "first", "answer", "desk")
		h.drain()
		id := h.erase(a.Person)
		h.drain()
		h.later(47 * time.Hour)
		if s := h.states(id)["desk"]; !slices.Contains(s, erase.Acknowledged) || len(h.desk.objects) != 0 {
			t.Fatalf("before the lag is over: %v", s)
		}
		h.later(2 * time.Hour)
		if c := h.state(id); c.Result != erase.Granted {
			t.Errorf("after it: %v", h.states(id))
		}
	})
}

// A processor that is down delays neither local deletion nor anybody else; near
// the deadline a person is asked to help, and may say that it is done.
func TestProcessorDown(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		a := h.add("astrid@example.dk", "first", "answer", "desk", "paper")
		h.drain()
		h.desk.down = true
		id := h.erase(a.Person)
		if c := h.state(id); c.KeysGone.IsZero() {
			t.Error("local deletion waits for a processor")
		}
		for range 40 {
			h.later(24 * time.Hour)
		}
		s := h.states(id)
		if !slices.Contains(s["desk"], erase.Manual) || !slices.Contains(s["paper"], erase.Manual) {
			t.Fatalf("tasks %v", s)
		}
		tasks, err := h.Tasks(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		for _, task := range tasks {
			if task.State == erase.Manual {
				if err := h.DoneByHand(t.Context(), id, task.ID, "u1", erase.Evidence{Kind: erase.LookedThere, Day: h.at}); err != nil {
					t.Error(err)
				}
			}
		}
		if c := h.state(id); c.Result != erase.Granted {
			t.Errorf("case %+v, %v", c, h.states(id))
		}
	})
}

// Where a processor offers no deletion, the case closes partly and says so.
func TestNotDeletable(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		a := h.add("astrid@example.dk", "first", "answer", "stone")
		h.drain()
		id := h.erase(a.Person)
		h.drain()
		if c := h.state(id); c.State != erase.Ended || c.Result != erase.Partly {
			t.Errorf("case %s %s, %v", c.State, c.Result, h.states(id))
		}
		if cert := h.certificate(id); !cert.Final || cert.Result != erase.Partly {
			t.Errorf("certificate %+v", cert)
		}
	})
}

// What waits for a processor when its person is erased never leaves; what is on
// its way is found by reference.
func TestHandoverRaces(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		waiting := h.add("astrid@example.dk", "first", "answer", "desk")
		id := h.erase(waiting.Person)
		h.drain()
		if c := h.state(id); c.Result != erase.Granted || len(h.desk.objects) != 0 {
			t.Errorf("never sent: %v, the desk holds %d", h.states(id), len(h.desk.objects))
		}

		lost := h.add("bo@example.dk", "second", "answer", "desk")
		h.desk.loses = true
		if err := h.runner.Drain(t.Context()); err == nil {
			t.Error("a lost answer is no failure")
		}
		h.desk.loses = false
		if len(h.desk.objects) != 1 {
			t.Fatalf("the desk holds %d", len(h.desk.objects))
		}
		id = h.erase(lost.Person)
		h.drain()
		h.later(10 * time.Minute)
		if c := h.state(id); c.Result != erase.Granted || len(h.desk.objects) != 0 {
			t.Errorf("lost answer: %v, the desk holds %d", h.states(id), len(h.desk.objects))
		}

		racing := h.add("carl@example.dk", "third", "answer", "desk")
		h.desk.inFlight = func() {
			h.desk.inFlight = nil
			h.desk.mu.Unlock()
			id = h.erase(racing.Person)
			h.desk.mu.Lock()
		}
		h.drain()
		h.later(10 * time.Minute)
		if c := h.state(id); c.Result != erase.Granted || len(h.desk.objects) != 0 {
			t.Errorf("erased while it was sent: %v, the desk holds %d", h.states(id), len(h.desk.objects))
		}
	})
}

// A person's erasure also finds what the processor got from elsewhere, and
// leaves what must stay.
func TestSearchByIdentifier(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		a := h.add("astrid@example.dk", "first", "answer", "desk")
		h.drain()
		h.desk.objects["mailed"] = h.desk.objects["t1"]
		o := h.desk.objects["mailed"]
		o.Record, o.Subject = "", "mail from astrid@example.dk"
		h.desk.objects["mailed"] = o
		h.desk.objects["mailed2"] = o
		id := h.erase(a.Person)
		h.drain()
		if c := h.state(id); c.Result != erase.Granted || len(h.desk.objects) != 0 {
			t.Errorf("%v, the desk holds %d", h.states(id), len(h.desk.objects))
		}
	})
}

// A hold keeps what it covers on every path; released, it goes without a new
// request. It never hides what is held.
func TestHold(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ctx := t.Context()
		a1 := h.add("astrid@example.dk", "first", "answer", "desk")
		a2 := h.add("astrid@example.dk", "second", "answer")
		h.drain()
		hold, err := h.Hold(ctx, erase.Hold{Scope: erase.OfRecord, Target: a1.ID, Reason: "dispute", Owner: "u1", Review: h.at.AddDate(0, 1, 0)})
		if err != nil {
			t.Fatal(err)
		}
		steps, err := h.PlanFor(ctx, []subject.Record{a1, a2}, erase.Reason{Kind: erase.Request})
		if err != nil || steps[0].State != erase.Blocked || steps[1].State != erase.Planned {
			t.Errorf("plan %+v, %v", steps, err)
		}
		id := h.erase(a1.Person)
		h.drain()
		if again := h.erase(a1.Person); again != id {
			t.Error("asked again while it is held, it opens another case")
		}
		if _, err := h.Keys.Get(ctx, a1.ID); err != nil {
			t.Errorf("a held record lost its key: %v", err)
		}
		if _, err := h.Keys.Get(ctx, a2.ID); fault.Of(err).Kind != fault.Gone {
			t.Errorf("the other record: %v", err)
		}
		if c := h.state(id); c.State != erase.Open || len(h.desk.objects) != 1 {
			t.Errorf("case %+v, the desk holds %d", c, len(h.desk.objects))
		}
		if cert := h.certificate(id); cert.Final || len(cert.Kept) != 1 {
			t.Errorf("certificate %+v", cert)
		}
		if err := h.Release(ctx, hold); err != nil {
			t.Fatal(err)
		}
		h.drain()
		if c := h.state(id); c.Result != erase.Granted || c.Keys != 3 || len(h.desk.objects) != 0 {
			t.Errorf("after the release: %+v, %v", c, h.states(id))
		}
		if err := h.Release(ctx, "no-such"); fault.Of(err).Kind != fault.NotFound {
			t.Errorf("release of nothing: %v", err)
		}
		for _, bad := range []erase.Hold{{}, {Scope: erase.OfPerson, Target: "p", Reason: "r", Owner: "u", Review: h.at}} {
			if _, err := h.Hold(ctx, bad); fault.Of(err).Kind != fault.Invalid {
				t.Errorf("hold %+v: %v", bad, err)
			}
		}
	})
}

// What a law keeps is kept, and the certificate names the law.
func TestFloor(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		a1 := h.add("astrid@example.dk", "bill", "invoice")
		h.add("astrid@example.dk", "note", "answer")
		id := h.erase(a1.Person)
		h.drain()
		if _, err := h.Keys.Get(t.Context(), a1.ID); err != nil {
			t.Errorf("an invoice lost its key: %v", err)
		}
		cert := h.certificate(id)
		if !cert.Final || cert.Result != erase.Granted || len(cert.Kept) != 1 || cert.Kept[0].Code != "dk.bookkeeping" {
			t.Errorf("certificate %+v", cert)
		}
	})
}

// A program that stops between the transaction and the keys leaves a job that
// destroys them; no certificate is there before. Running it twice is running it once.
func TestCrashBeforeKeys(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ctx := t.Context()
		a := h.add("astrid@example.dk", "first", "answer")
		store := h.Keys.DB
		broken, err := db.Open(ctx, h.dsn("elsewhere")) // a key store that cannot answer
		if err != nil {
			t.Fatal(err)
		}
		defer broken.Close()
		h.Keys.DB = broken
		id, err := h.Records(ctx, []subject.Record{a}, erase.Reason{Kind: erase.Retention, Rule: a.Rule})
		if err != nil {
			t.Fatal(err)
		}
		h.Keys.DB = store
		if _, err := h.CertificateFile(ctx, id); fault.Of(err).Kind != fault.NotFound {
			t.Errorf("certificate before the key is gone: %v", err)
		}
		if _, err := h.Keys.Get(ctx, a.ID); err != nil {
			t.Errorf("the test destroyed the key itself: %v", err)
		}
		h.drain()
		h.drain()
		if _, err := h.Keys.Get(ctx, a.ID); fault.Of(err).Kind != fault.Gone {
			t.Errorf("the job left the key: %v", err)
		}
		if c := h.state(id); c.Result != erase.Granted || c.Keys != 2 {
			t.Errorf("case %+v", c)
		}
		if !h.certificate(id).Final {
			t.Error("no final certificate")
		}
	})
}
