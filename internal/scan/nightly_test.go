package scan

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"
	"github.com/jba/templatecheck"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/db/dbtest"
	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/web"
)

func newService(t *testing.T, d *db.DB, now *time.Time) *Service {
	t.Helper()
	plan := examplePlan(t)
	of := func() *policy.Plan { return plan }
	return &Service{
		DB: d, Plan: of, House: &web.House{Plan: of}, Log: slog.New(slog.DiscardHandler), Chromium: "/usr/bin/chromium", Work: t.TempDir(),
		Now: func() time.Time { return *now },
	}
}

func get(t *testing.T, s *Service, path string) *httptest.ResponseRecorder {
	t.Helper()
	mux := http.NewServeMux()
	for _, r := range s.StaffRoutes() {
		mux.Handle(r.Pattern, web.Wrap(s.Log, r.Handler))
	}
	r := httptest.NewRequestWithContext(t.Context(), "GET", "http://backoffice.eksempel.example"+path, nil)
	r.Header.Set("Accept-Language", "en")
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	return w
}

// What a scan finds stands in the Backoffice with the day since when; what is
// mended goes; a scan that fails keeps what was found before.
//
// Rows: A2.
func TestBackoffice(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		now := noon
		s := newService(t, d, &now)
		if body := get(t, s, "/scan").Body.String(); !strings.Contains(body, "Not scanned yet") {
			t.Errorf("before any scan:\n%s", body)
		}
		if w := get(t, s, "/scan/main/tillid.patch"); w.Code != http.StatusNotFound {
			t.Errorf("a patch before any scan: %d", w.Code)
		}
		if err := s.keep(t.Context(), "main", s.Plan(), messy()); err != nil {
			t.Fatal(err)
		}
		now = now.AddDate(0, 0, 3)
		r := messy()
		r.Items = r.Items[3:] // mended
		r.Items = append(r.Items, &Item{Kind: Cookie, Name: "newcomer", Domain: "www.example.dk", Passes: all, Pages: []string{"/"}})
		if err := s.keep(t.Context(), "main", s.Plan(), r); err != nil {
			t.Fatal(err)
		}
		if err := s.keepFailure(t.Context(), "main", fault.New(fault.Unavailable, "No.")); err != nil {
			t.Fatal(err)
		}
		doc, err := goquery.NewDocumentFromReader(get(t, s, "/scan").Body)
		if err != nil {
			t.Fatal(err)
		}
		since := map[string]string{}
		doc.Find("tbody tr").Each(func(_ int, row *goquery.Selection) {
			at, _ := row.Find("time").Attr("datetime")
			for _, name := range []string{"spy", "newcomer", "PHPSESSID"} {
				if strings.Contains(row.Text(), "The cookie "+name+" ") {
					since[name] = at[:10]
				}
			}
		})
		if since["spy"] != "2026-11-25" || since["newcomer"] != "2026-11-28" || since["PHPSESSID"] != "" {
			t.Errorf("since: %v", since)
		}
		if doc.Find(".notice.broken").Length() != 1 {
			t.Error("the page does not say that the last scan failed")
		}
		for file, want := range map[string]string{"tillid.patch": "+  newcomer:", "report.json": `"version": 1`, "tillid-scan.lock": lockFormat} {
			if w := get(t, s, "/scan/main/"+file); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), want) {
				t.Errorf("%s: %d", file, w.Code)
			}
		}
		if n, err := s.Drifts(t.Context()); err != nil || n == 0 {
			t.Errorf("the overview counts %d, %v", n, err)
		}
	})
}

// Sites are scanned at night, once, when there is a Chromium and nobody switched it off.
func TestNightly(t *testing.T) { dbtest.Each(t, testNightly) }

func testNightly(t *testing.T, d *db.DB) {
	now := time.Date(2026, 11, 25, 2, 30, 0, 0, time.UTC) // half past three in Copenhagen
	s := newService(t, d, &now)
	waiting := func() (n int) {
		if err := s.nightly(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := s.DB.QueryRow(t.Context(), `select count(*) from job where kind = $1`, jobKind).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	s.Off = true
	if waiting() != 0 || !strings.Contains(get(t, s, "/scan").Body.String(), "switched off") {
		t.Error("it is switched off, and scans or does not say so")
	}
	s.Off, s.Chromium = false, ""
	if waiting() != 0 || !strings.Contains(get(t, s, "/scan").Body.String(), "No Chromium was found") {
		t.Error("there is no Chromium, and it scans or does not say so")
	}
	s.Chromium, s.OnlyAsked = "/usr/bin/chromium", true
	if waiting() != 0 {
		t.Error("it scans though nobody asked")
	}
	s.OnlyAsked = false
	now = now.Add(6 * time.Hour)
	if waiting() != 0 {
		t.Error("it scans by day")
	}
	now = now.Add(18 * time.Hour)
	if first, again := waiting(), waiting(); first != 1 || again != 1 {
		t.Error("it does not scan at night, or more than once")
	}
	if err := s.keep(t.Context(), "main", s.Plan(), messy()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.DB.Exec(t.Context(), `delete from job`); err != nil {
		t.Fatal(err)
	}
	if now = now.Add(time.Hour); waiting() != 0 {
		t.Error("it scans twice in a night")
	}
}

func TestPageTemplate(t *testing.T) {
	if err := templatecheck.CheckHTML(pages.Template("scan", web.Backoffice), scanPage{}); err != nil {
		t.Error(err)
	}
}
