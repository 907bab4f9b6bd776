package staff

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/tillid/tillid/internal/web"
)

// Every role against every permission, in every state of the user. What the
// table does not grant is refused, and noted.
// Rows: D1.
func TestMatrix(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for _, g := range grants() {
			b, u := w.as(g.kind, g.role)
			refused := 0
			for _, need := range web.Permissions() {
				status := http.StatusForbidden
				if need == web.Anyone || slices.Contains(g.may, need) {
					status = http.StatusOK
				} else {
					refused++
				}
				if rec := b.get("/sample/" + string(need)); rec.Code != status {
					t.Errorf("%s %s %s: status %d, want %d", g.kind, g.role, need, rec.Code, status)
				}
			}
			var noted int
			err := w.DB.QueryRow(t.Context(), `select count(*) from audit where user_id = $1 and outcome = 'denied'`, u.ID).Scan(&noted)
			if err != nil || noted != refused {
				t.Errorf("%s %s: %d of %d refusals noted, %v", g.kind, g.role, noted, refused, err)
			}
			if err := w.Disable(t.Context(), u.ID); err != nil {
				t.Fatal(err)
			}
			nobody(t, b)
		}
		nobody(t, w.browser())
		forged := w.browser()
		forged.cookies["x"] = &http.Cookie{Name: "__Host-tillid", Value: strings.Repeat("A", 43)}
		nobody(t, forged)
	})
}

// nobody asserts that b reaches nothing but what is open to anyone.
func nobody(t *testing.T, b *browser) {
	t.Helper()
	for _, need := range web.Permissions() {
		status := http.StatusSeeOther
		if need == web.Anyone {
			status = http.StatusOK
		}
		if rec := b.get("/sample/" + string(need)); rec.Code != status {
			t.Errorf("nobody, %s: status %d, want %d", need, rec.Code, status)
		}
		if need != web.Anyone {
			want(t, b.post("/sample/"+string(need)), http.StatusUnauthorized)
		}
	}
	want(t, b.get("/no/such/page"), http.StatusSeeOther)
}

// The pages of this package, for each role: a customer reaches none of the house.
func TestOwnRoutes(t *testing.T) {
	w := lite(t)
	for _, g := range grants() {
		b, _ := w.as(g.kind, g.role)
		for _, r := range w.StaffRoutes() {
			method, path, _ := strings.Cut(r.Pattern, " ")
			if r.Need == web.Anyone || path == "/signout" {
				continue
			}
			path = strings.NewReplacer("{$}", "", "{id}", w.admin.ID, "{act}", "enable").Replace(path)
			rec := b.do(method, path, nil)
			if denied := rec.Code == http.StatusForbidden; denied == slices.Contains(g.may, r.Need) {
				t.Errorf("%s %s, %s: status %d", g.kind, g.role, r.Pattern, rec.Code)
			}
		}
	}
}

func TestMenu(t *testing.T) {
	w := lite(t)
	for _, g := range grants() {
		b, _ := w.as(g.kind, g.role)
		doc := page(t, b.get("/account"))
		for _, n := range w.House.Nav {
			shown := doc.Find(`.side .menu a[href="`+n.Path+`"]`).Length() == 1
			if shown != slices.Contains(g.may, n.Need) {
				t.Errorf("%s %s: menu entry %s shown: %v", g.kind, g.role, n.Path, shown)
			}
		}
	}
}

// A route that does not say what it needs is found when the program starts.
func TestRouteWithoutNeed(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a route without a permission is served")
		}
	}()
	new(Service).Guard([]web.Route{{Pattern: "GET /x", Handler: web.NotFound}})
}

// When it cannot be told who asks, nobody gets in.
func TestFailsClosed(t *testing.T) {
	w := lite(t)
	b := w.browser()
	b.signIn("1001", "anna", adminPassword)
	if err := w.DB.Close(); err != nil {
		t.Fatal(err)
	}
	rec := want(t, b.get("/sample/staff.read"), http.StatusServiceUnavailable)
	if strings.Contains(rec.Body.String(), "sql") || rec.Header().Get("Retry-After") == "" {
		t.Errorf("answer: %v\n%s", rec.Header(), rec.Body)
	}
}

// A page of another site cannot act for who is signed in.
func TestCrossSite(t *testing.T) {
	w := lite(t)
	b := w.browser()
	b.signIn("1001", "anna", adminPassword)
	for _, r := range w.StaffRoutes() {
		method, path, _ := strings.Cut(r.Pattern, " ")
		if method != "POST" {
			continue
		}
		req := httptest.NewRequest(method, "https://backoffice.example"+strings.NewReplacer("{id}", w.admin.ID, "{act}", "disable", "{token}", "x").Replace(path), nil)
		req.Header.Set("Sec-Fetch-Site", "cross-site")
		req.AddCookie(b.cookies["__Host-tillid"])
		rec := httptest.NewRecorder()
		w.handler.ServeHTTP(rec, req)
		if rec.Code != http.StatusForbidden {
			t.Errorf("%s: status %d", r.Pattern, rec.Code)
		}
	}
	want(t, b.get("/users"), http.StatusOK) // still there
}

// Every answer, whatever its status, has the security headers and is not kept.
func TestHeaders(t *testing.T) {
	w := lite(t)
	b := w.browser()
	answers := []*httptest.ResponseRecorder{b.get("/signin"), b.get("/users"), b.signIn("1001", "anna", "x"), b.post("/users"),
		b.signIn("1001", "anna", adminPassword), b.get("/"), b.get("/nothing"), b.post("/users", "account", "x"), b.get("/welcome/x")}
	for _, rec := range answers {
		for name, part := range map[string]string{
			"Content-Security-Policy": "require-trusted-types-for 'script'", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
			"Strict-Transport-Security": "max-age=31536000", "Cache-Control": "no-store", "Cross-Origin-Opener-Policy": "same-origin",
		} {
			if !strings.Contains(rec.Header().Get(name), part) {
				t.Errorf("status %d: %s is %q", rec.Code, name, rec.Header().Get(name))
			}
		}
	}
}
