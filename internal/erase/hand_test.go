package erase_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tillid/tillid/internal/erase"
	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/text"
)

// A task that no connector can do ends by evidence only: of a kind, and of a day
// between the case's opening and now. Rows: E3.
func TestByHand(t *testing.T) {
	for kind, want := range map[string]struct {
		state    erase.State
		result   string
		verified bool
	}{
		erase.LookedThere: {erase.Verified, erase.Granted, true},
		erase.Confirmed:   {erase.Verified, erase.Granted, false},
		erase.Declined:    {erase.NotDeletable, erase.Partly, false},
	} {
		t.Run(kind, func(t *testing.T) {
			each(t, func(t *testing.T, h *house) {
				ctx := t.Context()
				a := h.add("astrid@example.dk", "first", "answer", "paper")
				h.drain()
				id := h.erase(a.Person)
				h.drain()
				h.later(5 * 24 * time.Hour)
				paper := func() erase.Task {
					t.Helper()
					tasks, err := h.Tasks(ctx, id)
					i := slices.IndexFunc(tasks, func(task erase.Task) bool { return task.Store == "paper" })
					if err != nil || i < 0 {
						t.Fatalf("tasks %+v, %v", tasks, err)
					}
					return tasks[i]
				}
				task := paper()
				if task.State != erase.Manual {
					t.Fatalf("task %+v", task)
				}
				for _, bad := range []erase.Evidence{
					{}, {Kind: kind}, {Day: h.at}, {Kind: "hope", Day: h.at}, {Kind: kind, Day: h.at.AddDate(0, 0, 1)}, {Kind: kind, Day: h.at.AddDate(0, 0, -6)},
				} {
					if err := h.DoneByHand(ctx, id, task.ID, "u1", bad); fault.Of(err).Kind != fault.Invalid || paper().State != erase.Manual {
						t.Errorf("evidence %+v: %v, task %s", bad, err, paper().State)
					}
				}
				good := erase.Evidence{Kind: kind, Day: h.at.AddDate(0, 0, -1)}
				if err := h.DoneByHand(ctx, "another", task.ID, "u1", good); fault.Of(err).Kind != fault.Conflict {
					t.Errorf("by another case: %v", err)
				}
				if err := h.DoneByHand(ctx, id, task.ID, "u1", good); err != nil {
					t.Fatal(err)
				}
				if err := h.DoneByHand(ctx, id, task.ID, "u1", good); fault.Of(err).Kind != fault.Conflict {
					t.Errorf("twice: %v", err)
				}
				got := paper()
				if got.State != want.state || got.Verified.IsZero() == want.verified || got.Probed.IsZero() == want.verified || got.Probed.Before(got.Effective) {
					t.Errorf("task %+v", got)
				}
				if c := h.state(id); c.State != erase.Ended || c.Result != want.result {
					t.Errorf("case %s %s, tasks %v", c.State, c.Result, h.states(id))
				}
				for lang, seen := range map[text.Lang]string{text.EN: "seen to be gone", text.DA: "set at være væk"} {
					said := false
					for _, p := range h.certificate(id).Describe(lang, time.UTC) {
						for _, line := range p.Lines {
							said = said || (strings.HasPrefix(line, "Hjælp ApS") && strings.Contains(line, seen))
						}
					}
					if said != want.verified {
						t.Errorf("the certificate says %q: %t", seen, said)
					}
				}
			})
		})
	}
}

// Words never say more than what was seen: of all states and codes, only a probe
// (or a look there) that found nothing is told as "seen to be gone".
func TestWordsSayNoMoreThanProbes(t *testing.T) {
	at := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	states := []erase.State{erase.Planned, erase.Commanded, erase.Acknowledged, erase.Effective, erase.Verified, erase.RetryWait, erase.Manual,
		erase.Retained, erase.NotFound, erase.Blocked, erase.NotDeletable, erase.Failed}
	codes := []string{"", "still_present", "by_hand:looked", "by_hand:confirmed", "by_hand:declined", "never_sent", "no_connector", "no_answer",
		"no_deletion", "unreachable", "search_pending", "restriction", "searched_by:email", "dk.bookkeeping"}
	for lang, seen := range map[text.Lang]string{text.EN: "seen to be gone", text.DA: "set at være væk"} {
		for _, state := range states {
			for _, code := range codes {
				line := erase.Line{Where: "desk", Name: "Hjælp ApS", State: state, Code: code, Commanded: at, Acknowledged: at, Effective: at}
				want := state == erase.Verified && code != "by_hand:confirmed"
				if want {
					line.Probed, line.Verified = at, at
				}
				if got := line.Describe(lang, time.UTC); strings.Contains(got, seen) != want || strings.Contains(got, "⟦") {
					t.Errorf("%s %q: %q", state, code, got)
				}
			}
		}
	}
	for name, test := range map[string]struct {
		cert erase.Certificate
		want bool
	}{
		"all gone":  {erase.Certificate{Processors: []erase.Line{{State: erase.Verified}}}, true},
		"confirmed": {erase.Certificate{Processors: []erase.Line{{State: erase.Verified, Code: "by_hand:confirmed"}}}, false},
		"kept":      {erase.Certificate{Kept: []erase.Line{{State: erase.Retained, Code: "dk.bookkeeping"}}}, false},
	} {
		test.cert.Final, test.cert.Result = true, erase.Granted
		for lang, all := range map[text.Lang]string{text.EN: "erased here and at every processor", text.DA: "slettet her og hos alle databehandlere"} {
			if got := test.cert.Describe(lang, time.UTC)[0].Lines[0]; strings.Contains(got, all) != test.want {
				t.Errorf("%s: %q", name, got)
			}
		}
	}
}
