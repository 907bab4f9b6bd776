package staff

import (
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Every combination that is wrong in any way gets the same answer, to the
// byte, and the same work is done.
// Rows: D1.
func TestOneAnswer(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		closed, off := w.browser(), w.browser()
		_, u := w.as(Staff, "staff")
		if err := w.Disable(t.Context(), u.ID); err != nil {
			t.Fatal(err)
		}
		if _, _, err := w.AddUser(t.Context(), NewUser{Account: w.admin.Account, UserName: "invited", Roles: []string{"staff"}}); err != nil {
			t.Fatal(err)
		}
		_, _ = closed, off
		var first []string
		for _, c := range [][3]string{
			{"1001", "anna", "wrong password here"},
			{"1001", "nobody", adminPassword},
			{"9999", "anna", adminPassword},
			{"1001", u.UserName, newPassword},
			{"1001", "invited", newPassword},
			{"9999", "nobody", "x"},
		} {
			w.now = w.now.Add(2 * time.Hour) // beyond the limits
			b := w.browser()
			rec := want(t, b.signIn(c[0], c[1], c[2]), http.StatusUnauthorized)
			body := strings.NewReplacer(`value="`+c[0]+`"`, "", `value="`+c[1]+`"`, "").Replace(rec.Body.String())
			got := []string{body, rec.Header().Get("Set-Cookie"), rec.Header().Get("Cache-Control")}
			if first == nil {
				first = got
			}
			if d := cmp.Diff(first, got); d != "" {
				t.Errorf("%v: %s", c, d)
			}
		}
		want(t, w.browser().signIn(" 1001 ", "ANNA", adminPassword), http.StatusSeeOther)
	})
}

// Wrong tries slow down the next for that user from everywhere, then for the
// network, and never for good.
func TestBackOff(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		b := w.browser()
		for range 6 {
			want(t, b.signIn("1001", "anna", "not the right one"), http.StatusUnauthorized)
		}
		rec := want(t, b.signIn("1001", "anna", adminPassword), http.StatusTooManyRequests)
		if got := rec.Header().Get("Retry-After"); got != "2" {
			t.Errorf("Retry-After %q, want 2", got)
		}
		other := w.browser()
		other.from = "198.51.100.7:1"
		want(t, other.signIn("1001", "anna", adminPassword), http.StatusTooManyRequests)
		want(t, other.signIn("1001", "nobody", "x"), http.StatusUnauthorized) // others are not slowed
		w.now = w.now.Add(2 * time.Second)
		rec = want(t, other.signIn("1001", "anna", adminPassword), http.StatusSeeOther)
		if got := rec.Header().Get("Location"); got != "/?done=staff.done.tries" {
			t.Errorf("Location %q: the user is not told", got)
		}
		for i := range 30 {
			rec = b.signIn("1001", "somebody"+string(rune('a'+i)), "x")
		}
		want(t, rec, http.StatusTooManyRequests) // the network
		w.now = w.now.Add(16 * time.Minute)
		want(t, b.signIn("1001", "anna", adminPassword), http.StatusSeeOther)
	})
}

// The limit refuses before any hash runs.
func TestLimitBeforeHash(t *testing.T) {
	w := lite(t)
	b := w.browser()
	for range 6 {
		b.signIn("1001", "anna", "x")
	}
	w.Hasher = nil // would panic
	want(t, b.signIn("1001", "anna", "x"), http.StatusTooManyRequests)
}

func TestSession(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		b := w.browser()
		want(t, b.get("/users?x=1"), http.StatusSeeOther)
		rec := want(t, b.signIn("1001", "anna", adminPassword), http.StatusSeeOther)
		c := b.cookies["__Host-tillid"]
		if c == nil || !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/" || c.Domain != "" {
			t.Fatalf("cookie %+v", rec.Header().Values("Set-Cookie"))
		}
		want(t, b.get("/users"), http.StatusOK)

		first := *c
		want(t, b.signIn("1001", "anna", adminPassword), http.StatusSeeOther) // a new session, the old one ends
		if b.cookies["__Host-tillid"].Value == first.Value {
			t.Error("the session's token survives a sign-in")
		}
		old := w.browser()
		old.cookies[first.Name] = &first
		want(t, old.get("/users"), http.StatusSeeOther)

		kept := *b.cookies["__Host-tillid"]
		want(t, b.post("/signout"), http.StatusSeeOther)
		old.cookies[kept.Name] = &kept
		want(t, old.get("/users"), http.StatusSeeOther)
	})
}

func TestSessionEnds(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		b := w.browser()
		b.signIn("1001", "anna", adminPassword)
		w.now = w.now.Add(idleLimit - time.Second)
		want(t, b.get("/users"), http.StatusOK)
		w.now = w.now.Add(idleLimit)
		want(t, b.get("/users"), http.StatusSeeOther)

		b.signIn("1001", "anna", adminPassword)
		for range 24 {
			want(t, b.get("/users"), http.StatusOK)
			w.now = w.now.Add(idleLimit - time.Second)
		}
		w.now = w.now.Add(24 * time.Second)
		want(t, b.get("/users"), http.StatusSeeOther)
		if err := w.Tidy(t.Context()); err != nil {
			t.Fatal(err)
		}
		var n int
		if err := w.DB.QueryRow(t.Context(), `select count(*) from staff_session`).Scan(&n); err != nil || n != 0 {
			t.Errorf("%d sessions left, %v", n, err)
		}
	})
}

// A new password ends all other sessions, and the one that made it goes on
// under another token.
func TestPasswordChangeEndsSessions(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		b, other := w.browser(), w.browser()
		b.signIn("1001", "anna", adminPassword)
		other.signIn("1001", "anna", adminPassword)
		before := b.cookies["__Host-tillid"].Value
		want(t, b.post("/account/password", "old", "not this", "new", newPassword, "again", newPassword), http.StatusUnprocessableEntity)
		want(t, b.post("/account/password", "old", adminPassword, "new", "password2026", "again", "password2026"), http.StatusUnprocessableEntity)
		want(t, b.post("/account/password", "old", adminPassword, "new", newPassword, "again", "x"), http.StatusUnprocessableEntity)
		want(t, other.get("/account"), http.StatusOK)
		want(t, b.post("/account/password", "old", adminPassword, "new", newPassword, "again", newPassword), http.StatusSeeOther)
		want(t, other.get("/account"), http.StatusSeeOther)
		want(t, b.get("/account"), http.StatusOK)
		if b.cookies["__Host-tillid"].Value == before {
			t.Error("the token is the old one")
		}
		want(t, w.browser().signIn("1001", "anna", adminPassword), http.StatusUnauthorized)
		want(t, w.browser().signIn("1001", "anna", newPassword), http.StatusSeeOther)
	})
}

func TestSafeNext(t *testing.T) {
	for next, wanted := range map[string]string{
		"/users?x=1": "/users?x=1", "/a/b": "/a/b", "": "/", "users": "/", "//evil.test": "/", `\\evil.test`: "/", `/\evil.test`: "/",
		"https:evil.test": "/", "https://evil.test/": "/", "/%5cevil.test": "/", "/%2fevil.test": "/", "/\tx": "/", "/x\r\ny": "/",
		"/signin": "/", "/signout": "/", "javascript:alert(1)": "/", "/" + strings.Repeat("a", 600): "/", "///evil.test": "/", "/x#y": "/",
	} {
		if got := safeNext(next); got != wanted {
			t.Errorf("%q: %q, want %q", next, got, wanted)
		}
	}
}

// Many tries at once do not slip past the limit: what is counted is counted
// before the password is looked at.
func TestManyAtOnce(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		var looked atomic.Int32
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				c := credentials{"1001", "anna", "wrong"}
				if _, err := w.signIn(t.Context(), c, noAddr, ""); errors.Is(err, errWrong) {
					looked.Add(1)
				}
			})
		}
		all.Wait()
		if n := looked.Load(); n < 1 || n > 6 {
			t.Errorf("%d passwords were looked at", n)
		}
	})
}
