package consent

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tillid/tillid/internal/db/dbtest"
)

// Whatever a visitor does, in any order and however often, what may be loaded is what
// the latest answer in force says of each service; a withdrawal always wins, and each
// act is one leaf that says the same (property 11 of the erasure reference). Rows: A1, E10.
func TestLattice(t *testing.T) {
	h := newHouse(t, dbtest.Lite(t))
	rapid.Check(t, func(rt *rapid.T) {
		v := h.visitor()
		granted := map[string]bool{}
		var given time.Time
		for range rapid.IntRange(1, 6).Draw(rt, "acts") {
			do := rapid.SampledFrom([]string{"all", "none", "some", "add", "remove", "again", "wait"}).Draw(rt, "do")
			named := rapid.SliceOfDistinct(rapid.SampledFrom(allServices), rapid.ID[string]).Draw(rt, "services")
			if do == "wait" {
				h.later(time.Duration(rapid.IntRange(1, 400).Draw(rt, "days")) * 24 * time.Hour)
				h.lapse()
				if !given.IsZero() && !h.Now().Before(h.offer().until(given)) {
					clear(granted)
				}
				checkGranted(rt, h, v, granted)
				continue
			}
			if do == "again" {
				do, named = "some", keys(granted) // the same answer once more
			}
			body, err := json.Marshal(map[string]any{"do": do, "services": named, "lang": "en", "layer": "page"})
			if err != nil {
				rt.Fatal(err)
			}
			if w := v.send(string(body)); w.Code != 200 {
				rt.Fatal(w.Code, w.Body)
			}
			apply(granted, do, named)
			given = h.Now()
			if do == "add" || do == "remove" {
				given = time.Time{} // earlier answers keep their own end
			}
			checkGranted(rt, h, v, granted)
			if given.IsZero() {
				break
			}
			if leaf := h.leaves()[0]; leaf.Facts["services"] != strings.Join(keys(granted), ",") {
				rt.Fatalf("the leaf says %q, in force is %v", leaf.Facts["services"], keys(granted))
			}
		}
		if w := v.send(`{"do":"none"}`); w.Code != 200 || len(v.state().Services) > 0 {
			rt.Fatal("a withdrawal did not win")
		}
		if kind := h.leaves()[0].Kind; kind != "consent.withdrawn" && kind != "consent.refused" {
			rt.Fatalf("the last leaf is %s", kind)
		}
	})
}

func apply(granted map[string]bool, do string, named []string) {
	if do == "all" {
		named = allServices
	}
	if do == "all" || do == "none" || do == "some" {
		clear(granted)
	}
	for _, id := range named {
		if do == "remove" || do == "none" {
			delete(granted, id)
		} else {
			granted[id] = true
		}
	}
}

// keys returns what is granted in the offer's order.
func keys(granted map[string]bool) []string {
	return slices.DeleteFunc(slices.Clone(allServices), func(id string) bool { return !granted[id] })
}

func checkGranted(rt *rapid.T, h *house, v *visitor, granted map[string]bool) {
	if got := v.state().Services; !slices.Equal(got, keys(granted)) && len(got)+len(granted) > 0 {
		rt.Fatalf("granted is %v, want %v", got, keys(granted))
	}
	if id := v.state().Visitor; id != "" {
		for _, r := range h.recordsOf(id) {
			if r.Due.IsZero() {
				rt.Fatal("a record never goes")
			}
		}
	}
}
