package erase

import (
	"embed"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/tillid/tillid/internal/text"
	"github.com/tillid/tillid/internal/web"
)

//go:embed *.html
var pageFiles embed.FS

var pages = web.Parse(pageFiles)

// StaffRoutes are the Backoffice's addresses.
func (s *Service) StaffRoutes() []web.Route {
	return []web.Route{
		{Pattern: "GET /erasures", Need: web.StaffRead, Handler: s.listPage},
		{Pattern: "GET /erasures/{id}", Need: web.StaffRead, Handler: s.casePage},
		{Pattern: "GET /erasures/{id}/certificate", Need: web.StaffRead, Handler: s.download},
		{Pattern: "POST /erasures/{id}/try", Need: web.People, Handler: s.tryAgain},
		{Pattern: "POST /erasures/{id}/tasks/{task}/done", Need: web.People, Handler: s.doneByHand},
	}
}

// StaffNav are the entries of the Backoffice's menu.
func (s *Service) StaffNav() []web.Nav {
	return []web.Nav{{Path: "/erasures", TextID: "erase.nav", Icon: "trash", Need: web.StaffRead, Order: 60}}
}

// PublicRoutes are the addresses on the site's host. Who has the address of a
// certificate may see it: it names nobody.
func (s *Service) PublicRoutes(mux *http.ServeMux) {
	mux.Handle("GET /privacy/certificate/{id}", web.Wrap(s.Log, s.certificatePage))
	mux.Handle("GET /privacy/certificate/{id}/file", web.Wrap(s.Log, s.download))
}

type listPage struct {
	web.Frame
	Figures Figures
	Cases   []caseRow
}

type caseRow struct {
	Case
	Records int
	Pending int
	Overdue bool
}

// shown is how many cases the list shows.
const shown = 200

func (s *Service) listPage(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	figures, err := s.Count(ctx, s.Now().AddDate(0, 0, -7))
	if err != nil {
		return err
	}
	cases, err := s.Cases(ctx, shown)
	if err != nil {
		return err
	}
	page := listPage{Frame: s.House.Backoffice(r), Figures: figures}
	for _, c := range cases {
		row := caseRow{Case: c, Overdue: c.State == Open && c.Deadline.Before(s.Now())}
		if row.Records, row.Pending, err = countTasks(ctx, s.DB, c.ID); err != nil {
			return err
		}
		page.Cases = append(page.Cases, row)
	}
	return web.Render(w, http.StatusOK, pages, "list", web.Backoffice, page)
}

type casePage struct {
	web.Frame
	Case        Case
	Overdue     bool
	Local       []taskRow
	Processors  []taskRow
	Rows        []placeRow // deleted, per table
	Certificate bool
	Pending     bool
	Evidences   []string
	Today       string
}

type placeRow struct {
	Place string
	Count int
}

type taskRow struct {
	Task
	Name   string
	Words  string
	Why    string
	Class  string // ok, due, broken
	ByHand bool
}

func (s *Service) casePage(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	c, err := s.Case(ctx, CaseID(r.PathValue("id")))
	if err != nil {
		return err
	}
	tasks, err := s.Tasks(ctx, c.ID)
	if err != nil {
		return err
	}
	page := casePage{Frame: s.House.Backoffice(r), Case: *c, Overdue: c.State == Open && c.Deadline.Before(s.Now()),
		Evidences: evidences, Today: s.Now().In(s.Plan().Loc).Format(time.DateOnly)}
	if _, err := newestNote(ctx, s.DB, c.ID); err == nil {
		page.Certificate = true
	}
	for _, table := range slices.Sorted(maps.Keys(c.Rows)) {
		page.Rows = append(page.Rows, placeRow{Place(page.Lang, table), c.Rows[table]})
	}
	for _, t := range tasks {
		row := s.row(page.Lang, t)
		if t.Kind == Local {
			page.Local = append(page.Local, row)
			continue
		}
		page.Processors = append(page.Processors, row)
		page.Pending = page.Pending || !t.State.Ended()
	}
	return web.Render(w, http.StatusOK, pages, "case", web.Backoffice, page)
}

func (s *Service) row(l text.Lang, t Task) taskRow {
	row := taskRow{Task: t, Name: s.line(t).Name, Words: stateWords(l, t.State, t.Code), Why: Code(l, s.line(t).Code), Class: "due",
		ByHand: t.State == Manual || t.State == Failed}
	switch {
	case t.State.Done():
		row.Class = "ok"
	case t.State == Failed, t.State == NotDeletable, t.Code == stillPresent:
		row.Class = "broken"
	}
	if row.Name == "" {
		row.Name = Place(l, t.Store)
	}
	return row
}

func (s *Service) tryAgain(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	if err := s.TryAgain(r.Context(), CaseID(id)); err != nil {
		return err
	}
	web.Done(w, r, "/erasures/"+id, "erase.done.try")
	return nil
}

func (s *Service) doneByHand(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	user := web.ViewerOf(r.Context()).User
	evidence := Evidence{Kind: r.PostFormValue("evidence")}
	evidence.Day, _ = time.Parse(time.DateOnly, r.PostFormValue("day")) // no day is refused with the evidence
	if err := s.DoneByHand(r.Context(), CaseID(id), r.PathValue("task"), user, evidence); err != nil {
		return err
	}
	web.Done(w, r, "/erasures/"+id, "erase.done.by_hand")
	return nil
}

type certificatePage struct {
	web.Frame
	ID       CaseID
	Final    bool
	Passages []Passage
}

func (s *Service) certificatePage(w http.ResponseWriter, r *http.Request) error {
	id := CaseID(r.PathValue("id"))
	data, err := s.CertificateFile(r.Context(), id)
	if err != nil {
		return err
	}
	cert, err := VerifyCertificate(data, s.Ledger.Signer.Verifier())
	if err != nil {
		return err
	}
	page := certificatePage{Frame: s.House.Public(r), ID: id, Final: cert.Final}
	page.Passages = cert.Describe(page.Lang, s.Plan().Loc)
	return web.Render(w, http.StatusOK, pages, "certificate", web.Public, page)
}

func (s *Service) download(w http.ResponseWriter, r *http.Request) error {
	data, err := s.CertificateFile(r.Context(), CaseID(r.PathValue("id")))
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Disposition", `attachment; filename="tillid-certificate.json"`)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	w.Write(data) //nolint:gosec // JSON as an attachment, with nosniff
	return nil
}
