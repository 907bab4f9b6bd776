package app

import (
	"net/http"

	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/job"
	"github.com/tillid/tillid/internal/staff"
	"github.com/tillid/tillid/internal/web"
)

// workPage shows what is wrong with the running program, and the jobs that have
// failed for good: what the overview's alarms lead to.
type workPage struct {
	web.Frame
	Alarms []staff.Alarm
	Dead   []job.Dead
	MayTry bool
}

func (h *House) showWork(w http.ResponseWriter, r *http.Request) error {
	p := workPage{Frame: h.web.Backoffice(r)}
	p.MayTry = h.web.May(p.Viewer, web.Admin)
	p.Alarms = h.alarms(r.Context(), p.Lang)
	var err error
	if p.Dead, err = job.ListDead(r.Context(), h.folder.db); err != nil {
		return err
	}
	return web.Render(w, http.StatusOK, pages(), "work.html", web.Backoffice, p)
}

// retryWork makes a job that has failed for good due again.
func (h *House) retryWork(w http.ResponseWriter, r *http.Request) error {
	ok, err := job.Retry(r.Context(), h.folder.db, r.PathValue("id"), h.Now())
	if err != nil {
		return err
	}
	if !ok {
		return fault.New(fault.NotFound, "That job is not waiting any more.").WithHint("See the list again.").In("app.no_job")
	}
	web.Done(w, r, "/work", "app.done.retried")
	return nil
}
