package erase_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tillid/tillid/internal/connect"
	"github.com/tillid/tillid/internal/connect/desk"
	"github.com/tillid/tillid/internal/erase"
	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/subject"
)

// Whatever the processor does, what is here goes at once; the case ends when a
// probe finds nothing, not before. Rows: E3.
func TestEveryFaultOfAProcessor(t *testing.T) {
	for _, test := range []struct {
		mode  desk.Mode
		state erase.State // while the fault lasts
		code  string
	}{
		{desk.Down, erase.RetryWait, "unreachable"},
		{desk.Broken, erase.RetryWait, "unreachable"},
		{desk.Busy, erase.RetryWait, "unreachable"},
		{desk.Keep, erase.RetryWait, "still_present"},
		{desk.Late, erase.RetryWait, "still_present"},
		{desk.Forget, erase.Verified, ""},
	} {
		t.Run(string(test.mode), func(t *testing.T) {
			each(t, func(t *testing.T, h *house) {
				ctx := t.Context()
				turn := h.realDesk()
				a := h.add("astrid@example.dk", "first", "answer", "desk")
				h.add("bo@example.dk", "second", "answer", "desk")
				h.drain()
				turn(test.mode)
				id := h.erase(a.Person)
				if _, err := h.Keys.Get(ctx, a.ID); fault.Of(err).Kind != fault.Gone {
					t.Errorf("the key waits for the processor: %v", err)
				}
				h.drain()
				tasks, err := h.Tasks(ctx, id)
				if err != nil {
					t.Fatal(err)
				}
				i := slices.IndexFunc(tasks, func(task erase.Task) bool { return task.Store == "desk" && task.Record == a.ID })
				if i < 0 || tasks[i].State != test.state || tasks[i].Code != test.code {
					t.Fatalf("tasks %+v", tasks)
				}
				if c := h.state(id); (c.State == erase.Ended) != (test.state == erase.Verified) {
					t.Errorf("case %s", c.State)
				}

				if test.mode != desk.Late { // that one ends by itself
					turn(desk.Honest)
				}
				h.later(desk.PurgeAfter + time.Minute)
				if c := h.state(id); c.State != erase.Ended || c.Result != erase.Granted {
					t.Errorf("case %s %s, tasks %v", c.State, c.Result, h.states(id))
				}
				for ref, left := range map[string]int{a.ID: 0, "": 1} {
					by := connect.Identifier{Kind: connect.Reference, Value: subject.Secret(ref)}
					if ref == "" {
						by = connect.Identifier{Kind: subject.Email, Value: "second"} // by value: Bo's note
					}
					found, err := h.Connect.Processors["desk"].Resolve(ctx, []connect.Identifier{by})
					if err != nil || len(found) != left {
						t.Errorf("%q: the desk holds %v, want %d; %v", ref, found, left, err)
					}
				}
			})
		})
	}
}

// However a processor behaves, in any order and for any time: a task is never
// verified while the processor holds the record, nor by a probe before the moment
// of effect; once it is honest, the case ends. Property 22 of the erasure
// reference. Rows: E3.
func TestAnyOrderOfFaults(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ctx := t.Context()
		turn := h.realDesk()
		modes := []desk.Mode{desk.Honest, desk.Keep, desk.Late, desk.Forget, desk.Down, desk.Broken, desk.Busy}
		rounds := 0
		rapid.Check(t, func(rt *rapid.T) {
			if rounds++; rounds > 15 { // the house grows
				return
			}
			turn(desk.Honest)
			a := h.add(fmt.Sprintf("p%d@example.dk", rounds), "body", "answer", "desk")
			h.drain()
			turn(rapid.SampledFrom(modes).Draw(rt, "at first"))
			id := h.erase(a.Person)
			h.drain()
			for range rapid.IntRange(0, 5).Draw(rt, "changes") {
				turn(rapid.SampledFrom(modes).Draw(rt, "then"))
				h.later(time.Duration(rapid.IntRange(1, 300).Draw(rt, "minutes")) * time.Minute)
				h.truthful(rt, id, turn)
			}
			turn(desk.Honest)
			if err := h.TryAgain(ctx, id); err != nil {
				rt.Fatal(err)
			}
			h.later(desk.PurgeAfter + time.Second)
			h.later(48 * time.Hour)
			h.truthful(rt, id, turn)
			if c := h.state(id); c.Result != erase.Granted {
				rt.Fatalf("case %s, tasks %v", c.State, h.states(id))
			}
		})
	})
}

// truthful fails when a case's task is told as verified and the desk still holds its record.
func (h *house) truthful(rt *rapid.T, id erase.CaseID, turn func(desk.Mode)) {
	tasks, err := h.Tasks(h.t.Context(), id)
	if err != nil {
		rt.Fatal(err)
	}
	turn(desk.Honest) // so that it answers
	for _, task := range tasks {
		if task.Kind != erase.AtProcessor || task.State != erase.Verified {
			continue
		}
		if task.Record == "" || task.Probed.Before(task.Effective) {
			rt.Fatalf("task %+v", task)
		}
		refs, err := h.Connect.Processors["desk"].Resolve(h.t.Context(), []connect.Identifier{{Kind: connect.Reference, Value: subject.Secret(task.Record)}})
		if err != nil || len(refs) > 0 {
			rt.Fatalf("verified, and the desk holds %v, %v", refs, err)
		}
	}
}

// realDesk puts the simulator behind HTTP in the place of the one in memory; what it returns
// sets its switch.
func (h *house) realDesk() (turn func(desk.Mode)) {
	h.t.Helper()
	srv := httptest.NewServer(&desk.Server{Now: h.now})
	h.t.Cleanup(srv.Close)
	h.Connect.Processors["desk"] = desk.NewClient(srv.URL, h.now)
	return func(m desk.Mode) {
		h.t.Helper()
		resp, err := http.PostForm(srv.URL+"/mode", url.Values{"mode": {string(m)}})
		if err != nil {
			h.t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			h.t.Fatalf("set mode %s: %s", m, resp.Status)
		}
	}
}

// A record that must stay is not taken for another because its ticket has got
// another id: what the person's search finds is told apart by our reference.
func TestHeldTicketWithAnotherID(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ctx := t.Context()
		turn := h.realDesk()
		a := h.add("astrid@example.dk", "astrid@example.dk", "answer", "desk")
		h.add("astrid@example.dk", "second", "answer", "desk")
		h.drain()
		if _, err := h.Hold(ctx, erase.Hold{Scope: erase.OfRecord, Target: a.ID, Reason: "dispute", Owner: "u1", Review: h.at.AddDate(0, 1, 0)}); err != nil {
			t.Fatal(err)
		}
		turn(desk.Forget)
		h.erase(a.Person)
		h.drain()
		found, err := h.Connect.Processors["desk"].Resolve(ctx, []connect.Identifier{{Kind: connect.Reference, Value: subject.Secret(a.ID)}})
		if err != nil || len(found) != 1 {
			t.Errorf("the held ticket: %v, %v", found, err)
		}
	})
}
