package staff

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/tillid/tillid/internal/fault"
)

func TestHasher(t *testing.T) {
	h := NewHasherWith(64, 1, 1, 1)
	ctx := t.Context()
	phc, err := h.Hash(ctx, "p")
	if err != nil || !strings.HasPrefix(phc, "$argon2id$v=19$m=64,t=1,p=1$") {
		t.Fatal(phc, err)
	}
	long := strings.Repeat("a", 72)
	for _, c := range []struct {
		phc, password string
		ok            bool
	}{{phc, "p", true}, {phc, "q", false}, {"", "p", false}} {
		ok, stale, err := h.Verify(ctx, c.phc, c.password)
		if err != nil || ok != c.ok || stale {
			t.Errorf("%q: %v %v %v", c.password, ok, stale, err)
		}
	}
	if _, stale, err := NewHasherWith(128, 1, 1, 1).Verify(ctx, phc, "p"); err != nil || !stale {
		t.Errorf("other parameters: stale %v, %v", stale, err)
	}
	if phc, err = h.Hash(ctx, long+"b"); err != nil {
		t.Fatal(err)
	}
	if ok, _, err := h.Verify(ctx, phc, long+"c"); ok || err != nil {
		t.Error("the 73rd byte does not matter")
	}
	for _, bad := range []string{"x", "$argon2id$v=19$m=64,t=0,p=1$AAAA$AAAA", "$argon2i$v=19$m=64,t=1,p=1$AAAA$AAAA", "$argon2id$v=19$m=99999999,t=1,p=1$AAAA$AAAAAAAAAAAAAAAAAAAAAAAA"} {
		if _, _, err := h.Verify(ctx, bad, "p"); err == nil {
			t.Errorf("%s: no error", bad)
		}
	}
}

// With all slots taken, sixteen wait and the next is refused.
func TestHasherQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := NewHasherWith(64, 1, 1, 2)
		h.slots <- struct{}{}
		h.slots <- struct{}{}
		done := make(chan error, maxWaiting)
		for range maxWaiting {
			go func() {
				_, err := h.Hash(t.Context(), "p")
				done <- err
			}()
		}
		synctest.Wait()
		if _, err := h.Hash(t.Context(), "p"); fault.Of(err).Kind != fault.TooMany {
			t.Errorf("the 17th waits: %v", err)
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := h.Hash(gone, "p"); err == nil {
			t.Error("no error")
		}
		<-h.slots
		<-h.slots
		for range maxWaiting {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	})
}

// A right password whose hash was made with other parameters is hashed anew.
func TestRehash(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.Hasher = NewHasherWith(128, 1, 1, 1)
		b := w.browser()
		want(t, b.signIn("1001", "anna", adminPassword), 303)
		u, err := w.UserByID(t.Context(), w.admin.ID)
		if err != nil || !strings.Contains(u.password, "m=128,") {
			t.Errorf("%s, %v", u.password, err)
		}
		want(t, w.browser().signIn("1001", "anna", adminPassword), 303)
	})
}
