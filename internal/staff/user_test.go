package staff

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/jba/templatecheck"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/job"
	"github.com/tillid/tillid/internal/web"
)

func TestTemplates(t *testing.T) {
	for name, data := range map[string]any{
		"signin": signInPage{}, "welcome": passwordPage{}, "account": accountPage{}, "users": usersPage{}, "user": userPage{},
		"link": linkPage{}, "audit": auditPage{}, "overview": overviewPage{},
	} {
		layout := web.Backoffice
		if name == "signin" || name == "welcome" {
			layout = web.Bare
		}
		if err := templatecheck.CheckHTML(pages().Template(name, layout), data); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// An admin invites a user, who chooses a password with the link, once.
func TestInvite(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		b := w.browser()
		b.signIn("1001", "anna", adminPassword)
		rec := want(t, b.post("/users", "account", w.admin.Account, "user_name", "bo", "name", "Bo Lund", "email", "bo@example.dk", "role", "staff"), http.StatusOK)
		link := page(t, rec).Find("main .card").Text()
		path, ok := strings.CutPrefix(link, "https://backoffice.example")
		if !ok {
			t.Fatalf("link %q", link)
		}
		bo := w.browser()
		if got := page(t, want(t, bo.get(path), http.StatusOK)).Find("dd").Last().Text(); got != "bo" {
			t.Errorf("the page is for %q", got)
		}
		want(t, bo.post(path, "user_name", "bo", "new", "kort", "again", "kort"), http.StatusUnprocessableEntity)
		want(t, bo.post(path, "user_name", "bo", "new", newPassword, "again", newPassword), http.StatusSeeOther)
		want(t, bo.post(path, "user_name", "bo", "new", adminPassword, "again", adminPassword), http.StatusGone)
		want(t, bo.get(path), http.StatusGone)
		want(t, bo.signIn("1001", "bo", newPassword), http.StatusSeeOther)
		want(t, bo.get("/account"), http.StatusOK)
	})
}

func TestLinkRunsOut(t *testing.T) {
	w := lite(t)
	_, token, err := w.AddUser(t.Context(), NewUser{Account: w.admin.Account, UserName: "bo", Roles: []string{"staff"}})
	if err != nil {
		t.Fatal(err)
	}
	w.now = w.now.Add(linkLife - time.Second)
	if _, _, err := w.LinkUser(t.Context(), token); err != nil {
		t.Error(err)
	}
	w.now = w.now.Add(time.Second)
	if err := w.SetByLink(t.Context(), token, newPassword); fault.Of(err).Kind != fault.Gone {
		t.Errorf("after 72 hours: %v", err)
	}
}

// A change of roles or state ends the user's sessions at once, and somebody
// who may manage users is always left.
func TestChanges(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		b := w.browser()
		b.signIn("1001", "anna", adminPassword)
		other, u := w.as(Staff, "staff")
		at := "/users/" + u.ID
		want(t, b.post(at+"/roles", "role", "viewer"), http.StatusSeeOther)
		want(t, other.get("/account"), http.StatusSeeOther)
		want(t, b.post(at+"/roles", "role", "user"), http.StatusUnprocessableEntity) // a customer's role
		want(t, b.post(at+"/roles"), http.StatusUnprocessableEntity)                 // none
		want(t, other.signIn("1001", u.UserName, newPassword), http.StatusSeeOther)
		want(t, other.get("/sample/policy"), http.StatusOK)
		want(t, other.get("/sample/enquiries"), http.StatusForbidden)
		want(t, b.post(at+"/remove"), http.StatusUnprocessableEntity) // still active
		want(t, b.post(at+"/disable"), http.StatusSeeOther)
		want(t, other.get("/account"), http.StatusSeeOther)
		want(t, b.post(at+"/link"), http.StatusUnprocessableEntity)
		want(t, b.post(at+"/enable"), http.StatusSeeOther)
		want(t, other.signIn("1001", u.UserName, newPassword), http.StatusSeeOther)
		want(t, b.post(at+"/sessions"), http.StatusSeeOther)
		want(t, other.get("/account"), http.StatusSeeOther)
		want(t, b.post(at+"/nonsense"), http.StatusNotFound)
		want(t, b.post("/users/nobody/disable"), http.StatusNotFound)

		anna := "/users/" + w.admin.ID
		for _, try := range []string{"/disable", "/roles"} {
			doc := page(t, want(t, b.post(anna+try, "role", "viewer"), http.StatusUnprocessableEntity))
			if doc.Find(`[role="alert"]`).Length() != 1 {
				t.Errorf("%s: nothing is said", try)
			}
		}
		want(t, b.get("/users"), http.StatusOK)
	})
}

// Who is removed leaves a number in the audit trail; the key of name and
// address is destroyed.
func TestRemove(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		_, u := w.as(Staff, "staff")
		ctx := t.Context()
		if used, err := w.ClaimKeys(ctx, w.DB, []string{u.ID, "x"}); err != nil || len(used) != 1 {
			t.Errorf("claims %v, %v", used, err)
		}
		for _, do := range []func() error{
			func() error { return w.Disable(ctx, u.ID) },
			func() error { return w.Remove(ctx, u.ID) },
			func() error {
				r := &job.Runner{DB: w.DB, Log: w.Log, Kinds: w.Jobs(), Now: w.Now}
				return r.Drain(ctx)
			},
		} {
			if err := do(); err != nil {
				t.Fatal(err)
			}
		}
		if left, err := w.Keys.Left(ctx, u.ID); err != nil || len(left) != 0 {
			t.Errorf("key left: %v, %v", left, err)
		}
		if _, err := w.UserByID(ctx, u.ID); fault.Of(err).Kind != fault.NotFound {
			t.Errorf("user: %v", err)
		}
		b := w.browser()
		b.signIn("1001", "anna", adminPassword)
		if body := want(t, b.get("/audit"), http.StatusOK).Body.String(); !strings.Contains(body, u.ID) || strings.Contains(body, u.UserName) {
			t.Errorf("the audit trail names who was removed, or not at all:\n%s", body)
		}
	})
}

func TestAddRefuses(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx, ok := t.Context(), NewUser{Account: w.admin.Account, UserName: "bo", Roles: []string{"staff"}}
		for name, change := range map[string]func(*NewUser){
			"name taken": func(n *NewUser) { n.UserName = "ANNA" }, "spaces": func(n *NewUser) { n.UserName = "bo lund" },
			"role": func(n *NewUser) { n.Roles = []string{"root"} }, "no role": func(n *NewUser) { n.Roles = nil },
			"address": func(n *NewUser) { n.Profile.Email = "x" }, "password": func(n *NewUser) { n.Password = "short" },
			"account": func(n *NewUser) { n.Account = "x" },
		} {
			n := ok
			change(&n)
			if _, _, err := w.AddUser(ctx, n); fault.Of(err).Kind == fault.Internal {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, err := w.AddAccount(ctx, Customer, "1001", "x"); fault.Of(err).Kind != fault.Conflict {
			t.Errorf("number taken: %v", err)
		}
		if _, _, err := w.Bootstrap(ctx, "1", "x", ok); fault.Of(err).Kind != fault.Conflict {
			t.Errorf("second staff account: %v", err)
		}
	})
}

// Names and addresses stand nowhere in the database, and in no log.
func TestSealed(t *testing.T) {
	w := lite(t)
	u, err := w.UserByID(t.Context(), w.admin.ID)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(u.profile, []byte("Holm")) || strings.Contains(w.log.String(), "Holm") {
		t.Error("a name is readable")
	}
	p, err := w.ProfileOf(t.Context(), u)
	if err != nil || p.Name.Reveal() != "Anna Holm" || p.Email.Reveal() != "anna@example.dk" {
		t.Errorf("profile %v %v, %v", p.Name.Reveal(), p.Email.Reveal(), err)
	}
	u.ID = "another"
	if _, err := w.ProfileOf(t.Context(), u); err == nil {
		t.Error("another user's key opens it")
	}
}

// No audit, no act.
func TestNoAuditNoAct(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		_, u := w.as(Staff, "staff")
		if _, err := w.DB.Exec(t.Context(), `drop table audit`); err != nil {
			t.Fatal(err)
		}
		if err := w.Disable(t.Context(), u.ID); err == nil {
			t.Error("an act without audit")
		}
		if got, err := w.UserByID(t.Context(), u.ID); err != nil || got.State != Active {
			t.Errorf("state %s, %v", got.State, err)
		}
	})
}

func TestAuditPages(t *testing.T) {
	w := lite(t)
	b := w.browser()
	b.signIn("1001", "anna", adminPassword)
	for range 2 * auditRows {
		b.get("/sample/nothing")
		err := w.DB.Do(t.Context(), func(ctx context.Context, tx *db.Tx) error { return w.Audit(ctx, tx, Entry{Act: "sign_out"}) })
		if err != nil {
			t.Fatal(err)
		}
	}
	rows := 0
	for at := "/audit"; at != ""; {
		doc := page(t, want(t, b.get(at), http.StatusOK))
		rows += doc.Find("tbody tr").Length()
		at = doc.Find(`.actions a[href^="/audit"]`).AttrOr("href", "")
	}
	if rows != 2*auditRows+3 { // account, user, sign-in
		t.Errorf("%d rows", rows)
	}
	want(t, b.get("/audit?after=x"), http.StatusNotFound)
}

func TestCheckPassword(t *testing.T) {
	for p, good := range map[string]bool{
		"elleve tegn": false, "tolv tegn ja": true, strings.Repeat(" ", 64) + "🙂": true, strings.Repeat("ab", 200) + "c d": true,
		strings.Repeat("x y ", 256) + "z": false, "password1234": false, "!!Adgangskode2026": false, "aaaaaaaaaaaaaaa": false,
		"abcabcabcabc": false, "annaanna1001!": false, "1qaz2wsx3edc": false, "København!!!2026": false, "regnvejr over Limfjorden": true,
	} {
		err := CheckPassword(p, "anna", "1001")
		if (err == nil) != good {
			t.Errorf("%.30q: %v", p, err)
		}
		if f := (*fault.Error)(nil); err != nil && !errors.As(err, &f) {
			t.Errorf("%q: not a fault", p)
		}
	}
}
