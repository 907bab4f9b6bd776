package staff

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/db/dbtest"
	"github.com/tillid/tillid/internal/subject"
	"github.com/tillid/tillid/internal/text"
	"github.com/tillid/tillid/internal/web"
)

const (
	adminPassword = "regnvejr over Limfjorden"
	newPassword   = "tre gule cykler i kælderen"
)

// world is a house with staff, two customers, and a clock.
type world struct {
	*Service
	t       *testing.T
	now     time.Time
	log     bytes.Buffer
	handler http.Handler
	admin   User
}

func each(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	dbtest.EachDSN(t, func(t *testing.T, dsn func(string) string) { f(t, newWorld(t, dsn)) })
}

func lite(t *testing.T) *world { return newWorld(t, dbtest.Lite(t)) }

func newWorld(t *testing.T, dsn func(string) string) *world {
	t.Helper()
	w := &world{t: t, now: time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)}
	clock := func() time.Time { return w.now }
	keyDB, err := db.Open(t.Context(), dsn("keys"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { keyDB.Close() })
	keys := &subject.Keys{DB: keyDB, House: "test", KEK: bytes.Repeat([]byte{1}, 32), Now: clock}
	if err := keys.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.Service = &Service{
		DB: dbtest.Open(t, dsn("house")), Keys: keys, Now: clock, Secret: []byte("secret"),
		Log: slog.New(slog.NewJSONHandler(&w.log, nil)), Hasher: NewHasherWith(64, 1, 1, 2),
		Overview: func(context.Context, text.Lang) (Overview, error) { return sampleOverview(), nil },
	}
	w.House = &web.House{May: May, Nav: append(w.StaffNav(),
		web.Nav{Path: "/agreement", TextID: "web.menu", Icon: "support", Need: web.Agreement, Order: 800})}
	w.handler = http.NewCrossOriginProtection().Handler(w.House.Serve(web.Backoffice, w.Guard(w.routes())))
	w.admin, _, err = w.Bootstrap(t.Context(), "1001", "Eksempel A/S", NewUser{
		UserName: "Anna", Password: adminPassword, Profile: profileOf("Anna Holm", "anna@example.dk")})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// routes are the staff's own and one sample for each permission.
func (w *world) routes() []web.Route {
	all := w.StaffRoutes()
	for _, need := range web.Permissions() {
		all = append(all, web.Route{Pattern: "/sample/" + string(need), Need: need, Handler: func(w http.ResponseWriter, r *http.Request) error {
			_, err := w.Write([]byte("ok"))
			return err
		}})
	}
	return all
}

func sampleOverview() Overview {
	day := time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC)
	return Overview{
		Alarms:   []Alarm{{What: "Zendesk svarer ikke på sletning.", Do: "Spørg dem.", Path: "/x"}},
		Kept:     Figure{1248, []Line{{"Slettet til tiden", 1203, "/x"}, {"Anmodninger besvaret til tiden", 45, "/x"}}},
		Due:      Figure{7, []Line{{"Henvendelser, der slettes i denne uge", 5, "/x"}, {"Anmodninger, der skal besvares", 2, "/x"}}},
		Broken:   Figure{1, []Line{{"Sletning hos Zendesk ikke bekræftet", 1, "/x"}}},
		Requests: []Deadline{{"Sletning, sag 7KQ2", "/x", 3, day}, {"Indsigt, sag M1PA", "/x", 21, day}, {"Indsigt, sag Q8BZ", "/x", -1, day}},
		Deleted:  []Line{{"Henvendelser", 31, "/x"}, {"Besøgs-id’er", 412, "/x"}},
		Drift:    []Line{{"connect.facebook.net blev forsøgt hentet", 3, "/x"}},
		Consent:  []Rate{{"Statistik", 412, 1003}, {"Markedsføring", 118, 1003}, {"Videoer fra YouTube", 601, 1003}},
	}
}

// browser keeps cookies like one.
type browser struct {
	*world
	cookies map[string]*http.Cookie
	from    string
	lang    string
}

func (w *world) browser() *browser {
	return &browser{world: w, cookies: map[string]*http.Cookie{}, from: "192.0.2.10:4711", lang: "en"}
}

func (b *browser) do(method, target string, form url.Values) *httptest.ResponseRecorder {
	b.t.Helper()
	r := httptest.NewRequest(method, "https://backoffice.example"+target, strings.NewReader(form.Encode()))
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	r.Header.Set("Accept", "text/html")
	r.Header.Set("Accept-Language", b.lang)
	r.RemoteAddr = b.from
	for _, c := range b.cookies {
		r.AddCookie(c)
	}
	rec := httptest.NewRecorder()
	b.handler.ServeHTTP(rec, r)
	for _, c := range rec.Result().Cookies() {
		if c.MaxAge < 0 {
			delete(b.cookies, c.Name)
		} else {
			b.cookies[c.Name] = c
		}
	}
	return rec
}

func (b *browser) get(target string) *httptest.ResponseRecorder { return b.do("GET", target, nil) }

func (b *browser) post(target string, kv ...string) *httptest.ResponseRecorder {
	b.t.Helper()
	form := url.Values{}
	for i := 0; i < len(kv); i += 2 {
		form.Add(kv[i], kv[i+1])
	}
	return b.do("POST", target, form)
}

func (b *browser) signIn(number, user, password string) *httptest.ResponseRecorder {
	b.t.Helper()
	return b.post("/signin", "number", number, "user_name", user, "password", password, "next", "/")
}

// as returns a browser in which a new user with that role is signed in.
func (w *world) as(kind, role string) (*browser, User) {
	w.t.Helper()
	b := w.browser()
	a := Account{ID: w.admin.Account, Number: "1001"}
	if kind == Customer {
		var err error
		if a, err = w.AddAccount(w.t.Context(), Customer, "2044"+strings.ToUpper(role), "Bager Holm"); err != nil {
			w.t.Fatal(err)
		}
	}
	u, _, err := w.AddUser(w.t.Context(), NewUser{Account: a.ID, UserName: "b." + kind + "." + role, Roles: []string{role}, Password: newPassword})
	if err != nil {
		w.t.Fatal(err)
	}
	want(w.t, b.signIn(a.Number, u.UserName, newPassword), http.StatusSeeOther)
	return b, u
}

func want(t *testing.T, rec *httptest.ResponseRecorder, status int) *httptest.ResponseRecorder {
	t.Helper()
	if rec.Code != status {
		t.Fatalf("status %d, want %d\n%s", rec.Code, status, rec.Body)
	}
	return rec
}

func page(t *testing.T, rec *httptest.ResponseRecorder) *goquery.Document {
	t.Helper()
	body := rec.Body.String()
	if strings.Contains(body, "⟦") || strings.Contains(body, "ZgotmplZ") {
		t.Errorf("a text is missing or unsafe:\n%s", body)
	}
	doc, err := goquery.NewDocumentFromReader(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}
