package staff

import (
	"net/http"
	"time"

	"github.com/tillid/tillid/internal/web"
)

// Overview is the first page of the Backoffice: are we keeping our promises?
// Its texts are in the language that was asked for.
type Overview struct {
	Alarms            []Alarm // what must be seen to now
	Kept, Due, Broken Figure
	Requests          []Deadline // people's requests that are open
	Deleted           []Line     // this week, by what
	Drift             []Line     // what the site did that the declaration does not say
	Consent           []Rate
}

// Alarm is something that is wrong, what to do about it, and where.
type Alarm struct{ What, Do, Path string }

// Figure is a number with the list behind it.
type Figure struct {
	Count int
	Lines []Line
}

// Line is something counted, and where to see it.
type Line struct {
	Label string
	Count int    // not shown when 0
	Path  string // may be empty
}

// Deadline is a request with the days it has left, which may be below 0.
type Deadline struct {
	Label string
	Path  string
	Days  int
	Due   time.Time
}

// Over is by how many days a deadline is passed.
func (d Deadline) Over() int { return -d.Days }

// Rate is a part of a whole.
type Rate struct {
	Label    string
	Part, Of int
}

// Percent is Part of Of, rounded down.
func (r Rate) Percent() int {
	if r.Of == 0 {
		return 0
	}
	return r.Part * 100 / r.Of
}

type overviewPage struct {
	web.Frame
	Overview
}

// showOverview shows the overview to staff, and takes others to the first page they may see.
func (s *Service) showOverview(w http.ResponseWriter, r *http.Request) error {
	f := s.House.Backoffice(r)
	if !May(f.Viewer, web.StaffRead) {
		for _, n := range f.Nav {
			if n.Path != "/" {
				http.Redirect(w, r, n.Path, http.StatusSeeOther)
				return nil
			}
		}
		http.Redirect(w, r, "/account", http.StatusSeeOther)
		return nil
	}
	o, err := s.Overview(r.Context(), f.Lang)
	if err != nil {
		return err
	}
	return web.Render(w, http.StatusOK, pages(), "overview", web.Backoffice, overviewPage{f, o})
}
