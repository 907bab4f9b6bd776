package erase_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"testing"
	"time"

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
