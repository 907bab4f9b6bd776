package scan

import (
	"embed"
	"net/http"
	"slices"

	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/web"
)

//go:embed scan.html
var pageFiles embed.FS

var pages = web.Parse(pageFiles)

// StaffRoutes are the Backoffice's addresses.
func (s *Service) StaffRoutes() []web.Route {
	return []web.Route{
		{Pattern: "GET /scan", Need: web.Consent, Handler: s.page},
		{Pattern: "POST /scan", Need: web.Policy, Handler: s.now},
		{Pattern: "GET /scan/{site}/{file}", Need: web.Consent, Handler: s.download},
	}
}

// StaffNav is the menu's entry.
func (s *Service) StaffNav() []web.Nav {
	return []web.Nav{{Path: "/scan", TextID: "scan.nav", Icon: "alarm", Need: web.Consent, Order: 56}}
}

type scanPage struct {
	web.Frame
	Absent, Off, Root, Queued bool
	Sites                     []scanSite
}

type scanSite struct {
	ID, Host                string
	Scanned, Failed         bool
	Run                     siteRun
	Errors, Warnings, Infos []Kept
}

func (s *Service) page(w http.ResponseWriter, r *http.Request) error {
	p := scanPage{
		Frame: s.House.Backoffice(r), Off: s.Off, Absent: !s.Off && s.Chromium == "", Root: s.able() && Root(),
		Queued: r.URL.Query().Has("asked"),
	}
	plan := s.Plan()
	if plan == nil {
		return web.Render(w, http.StatusOK, pages, "scan", web.Backoffice, p)
	}
	runs, err := s.runs(r.Context())
	if err != nil {
		return err
	}
	for _, site := range plan.Sites {
		one := scanSite{ID: site.ID, Host: site.Hosts[0]}
		one.Run, one.Scanned = runs[site.ID]
		one.Failed = one.Scanned && one.Run.State == "failed"
		found, err := s.findings(r.Context(), site.ID)
		if err != nil {
			return err
		}
		for _, f := range found {
			switch f.Severity {
			case Error:
				one.Errors = append(one.Errors, f)
			case Warning:
				one.Warnings = append(one.Warnings, f)
			default:
				one.Infos = append(one.Infos, f)
			}
		}
		p.Sites = append(p.Sites, one)
	}
	return web.Render(w, http.StatusOK, pages, "scan", web.Backoffice, p)
}

// now asks for a scan of every site.
func (s *Service) now(w http.ResponseWriter, r *http.Request) error {
	if plan := s.Plan(); plan != nil && s.able() {
		for _, site := range plan.Sites {
			if err := s.ask(r.Context(), site.ID); err != nil {
				return err
			}
		}
	}
	http.Redirect(w, r, "/scan?asked", http.StatusSeeOther)
	return nil
}

// download sends the patch, the report or the lock file of the last scan.
func (s *Service) download(w http.ResponseWriter, r *http.Request) error {
	runs, err := s.runs(r.Context())
	if err != nil {
		return err
	}
	run := runs[r.PathValue("site")]
	names := []string{"tillid.patch", "report.json", "tillid-scan.lock"}
	body := ""
	if i := slices.Index(names, r.PathValue("file")); i >= 0 {
		body = []string{run.Patch, run.Report, run.Lock}[i]
	}
	if body == "" {
		return fault.New(fault.NotFound, "There is no scan to download yet.").WithHint("Press Scan now, and come back in some minutes.").In("scan.none")
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="`+r.PathValue("file")+`"`)
	_, err = w.Write([]byte(body))
	return err
}
