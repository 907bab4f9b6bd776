package backup

import (
	"embed"
	"net/http"
	"slices"
	"time"

	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/web"
)

//go:embed *.html
var pageFiles embed.FS

var pages = web.Parse(pageFiles)

// StaffRoutes are the Backoffice's addresses.
func (s *Service) StaffRoutes() []web.Route {
	return []web.Route{
		{Pattern: "GET /backups", Need: web.StaffRead, Handler: s.page},
		{Pattern: "POST /backups/take", Need: web.Admin, Handler: s.takeNow},
		{Pattern: "POST /backups/mail", Need: web.Admin, Handler: s.releaseMail},
	}
}

// StaffNav are the entries of the Backoffice's menu.
func (s *Service) StaffNav() []web.Nav {
	return []web.Nav{{Path: "/backups", TextID: "backup.nav", Icon: "versions", Need: web.StaffRead, Order: 72}}
}

// Line is a backup in the list: the data, or the key store.
type Line struct {
	Manifest
	Goes time.Time // when it is removed
}

// All lists the whole backups, newest first.
func (s *Service) All() ([]Line, error) {
	lines := []Line{}
	for _, one := range []struct{ dir, kind string }{{s.Dir, Data}, {s.KeysDir, Keys}} {
		all, err := Find(one.dir, one.kind, s.Ledger.Signer.Verifier())
		if err != nil {
			return nil, err
		}
		for _, m := range all {
			lines = append(lines, Line{m, s.goes(m)})
		}
	}
	slices.SortStableFunc(lines, func(a, b Line) int { return b.Taken.Compare(a.Taken) })
	return lines, nil
}

func (s *Service) goes(m Manifest) time.Time {
	if m.Kind == Keys {
		return m.Taken.Add(keysLive)
	}
	return s.dataUntil(m.Taken)
}

type backupsPage struct {
	web.Frame
	Lines    []Line
	Drills   []Drill
	Restores []Replayed
	Held     time.Time
	Waiting  int
	Ready    bool // somebody is named who could open a backup
	Busy     bool
	At       Progress
	Failed   wrong
	May      bool
	Broken   []wrong
}

// wrong is something wrong, and what to do about it.
type wrong struct{ What, Do string }

func (s *Service) page(w http.ResponseWriter, r *http.Request) (err error) {
	ctx := r.Context()
	p := backupsPage{Frame: s.House.Backoffice(r), Ready: len(s.Recipients) > 0}
	p.May = s.House.May(p.Viewer, web.Admin)
	if p.Lines, err = s.All(); err != nil {
		return err
	}
	if p.Drills, err = s.Drills(ctx, 20); err != nil {
		return err
	}
	if p.Restores, err = s.Restores(ctx); err != nil {
		return err
	}
	if p.Held, err = s.MailHeld(ctx); err != nil {
		return err
	}
	if p.Waiting, err = s.Mail.Waiting(ctx); err != nil {
		return err
	}
	at, _, done, failed := s.Status()
	p.Busy, p.At = !done, at
	if failed != nil {
		p.Failed.What, p.Failed.Do = web.Say(p.Lang, fault.Of(failed))
	}
	broken, err := s.Health(ctx)
	if err != nil {
		return err
	}
	for _, b := range broken {
		what, do := web.Say(p.Lang, b)
		p.Broken = append(p.Broken, wrong{what, do})
	}
	return web.Render(w, http.StatusOK, pages, "backups", web.Backoffice, p)
}

func (s *Service) takeNow(w http.ResponseWriter, r *http.Request) error {
	if len(s.Recipients) == 0 {
		_, err := s.Take(r.Context())
		return err
	}
	if err := s.Start(r.Context()); err != nil {
		return err
	}
	web.Done(w, r, "/backups", "backup.done.started")
	return nil
}

func (s *Service) releaseMail(w http.ResponseWriter, r *http.Request) error {
	form, err := web.DecodeForm(w, r, 1<<10)
	if err != nil {
		return err
	}
	if _, err := s.ReleaseMail(r.Context(), form.Get("do") == "discard"); err != nil {
		return err
	}
	web.Done(w, r, "/backups", "backup.done.mail")
	return nil
}
