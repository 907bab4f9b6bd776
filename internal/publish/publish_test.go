package publish

import (
	"flag"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/tillid/tillid/examples/eksempel"
	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/ledger"
	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/text"
	"github.com/tillid/tillid/internal/version"
	"github.com/tillid/tillid/internal/web"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var published = time.Date(2026, 11, 22, 13, 5, 0, 0, time.UTC)

// sources are the two declarations that tests publish: the example, and one that
// has what the example has not (stages, floors, joint sources, a data protection officer).
func sources(t testing.TB) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	for name, files := range map[string]fs.FS{"eksempel": eksempel.Files, "sample": os.DirFS("testdata")} {
		b, err := fs.ReadFile(files, "tillid.yaml")
		if err != nil {
			t.Fatal(err)
		}
		all[name] = b
	}
	return all
}

func filesOf(name string) policy.Files {
	if name == "eksempel" {
		return eksempel.Files
	}
	return version.Files{"agreement.md": []byte(supplied), "lia.md": []byte("Weighed.")}
}

const supplied = "# Aftale\n\nEn *leveret* tekst.\n\n1. Første punkt\n2. Andet punkt\n"

func compile(t testing.TB, name string) (*policy.Plan, version.Version) {
	t.Helper()
	plan, files, problems := version.Compile("tillid.yaml", sources(t)[name], filesOf(name))
	if plan == nil {
		t.Fatal(problems)
	}
	return plan, version.Version{
		Number: 1, Hash: plan.Hash, Class: version.First, PublishedAt: published, EffectiveAt: published, Files: files,
	}
}

// each runs f for both declarations in every language.
func each(t *testing.T, f func(t *testing.T, plan *policy.Plan, v version.Version, l text.Lang, docs []*Document)) {
	t.Helper()
	for name := range sources(t) {
		plan, v := compile(t, name)
		for _, l := range plan.Languages {
			t.Run(name+"/"+string(l), func(t *testing.T) {
				docs, err := Documents(plan, v, l)
				if err != nil {
					t.Fatal(err)
				}
				f(t, plan, v, l, docs)
			})
		}
	}
}

// site is a house's documents, served.
type site struct {
	*Service
	at             time.Time
	public, office http.Handler
}

func newSite(t testing.TB, d *db.DB) *site {
	t.Helper()
	skey, _, err := ledger.GenerateKey("eksempel.example")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ledger.NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	s := &site{at: published}
	now := func() time.Time { return s.at }
	log := slog.New(slog.DiscardHandler)
	versions := &version.Service{
		DB: d, Log: log, Now: now,
		Ledger: &ledger.Log{DB: d, Origin: "eksempel.example/tillid", Signer: signer, Now: now},
	}
	house := &web.House{Plan: versions.Current, May: func(web.Viewer, web.Permission) bool { return true }}
	s.Service = &Service{House: house, Versions: versions, Signer: signer, Log: log, Now: now}
	house.Nav, house.PublicNav = s.StaffNav(), s.PublicNav()
	versions.Render = s.Render
	if err := versions.Open(t.Context(), "tillid.yaml", sources(t)["eksempel"], eksempel.Files); err != nil {
		t.Fatal(err)
	}
	public, office := http.NewServeMux(), http.NewServeMux()
	s.PublicRoutes(public)
	for _, r := range s.StaffRoutes() {
		office.Handle(r.Pattern, web.Wrap(log, r.Handler))
	}
	s.public = house.Serve(web.Public, public)
	viewer := web.Viewer{User: "u1", UserName: "admin", Account: "a1", Number: "1001", Staff: true}
	s.office = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		house.Serve(web.Backoffice, office).ServeHTTP(w, r.WithContext(web.WithViewer(r.Context(), viewer)))
	})
	return s
}

// publish publishes the example with something replaced, in force at once.
func (s *site) publish(t testing.TB, old, new string) version.Version {
	t.Helper()
	src := strings.Replace(string(sources(t)["eksempel"]), old, new, 1)
	v, err := s.Versions.Publish(t.Context(), version.Draft{Name: "tillid.yaml", Source: []byte(src), Files: eksempel.Files, Author: "admin"})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func get(t testing.TB, h http.Handler, path string) (*http.Response, string) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://www.eksempel.example"+path, nil))
	body, err := io.ReadAll(w.Result().Body)
	if err != nil {
		t.Fatal(err)
	}
	return w.Result(), string(body)
}
