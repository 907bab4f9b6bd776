package app

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/jba/templatecheck"

	"github.com/tillid/tillid/internal/job"
	"github.com/tillid/tillid/internal/text"
	"github.com/tillid/tillid/internal/web"
)

func TestTemplates(t *testing.T) {
	for name, data := range map[string]any{"log.html": logPage{}, "work.html": workPage{}} {
		if err := templatecheck.CheckHTML(pages().Template(name, web.Backoffice), data); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A job that fails for good is an alarm on the overview, in the reader's
// language, with what to do and where; there it is listed and tried again.
func TestAlarmLeadsToWork(t *testing.T) {
	onEngines(t, "et", func(t *testing.T, dir string) {
		o, _ := testOptions(t, io.Discard)
		h := openHouse(t, dir, o)
		fails, runs := true, 0
		h.runner.Kinds["test.stuck"] = func(context.Context, []byte) error {
			runs++
			if fails {
				return job.Permanent(errors.New("broken on purpose"))
			}
			return nil
		}
		if err := job.Add(t.Context(), h.folder.db, "test.stuck", nil, h.Now(), ""); err != nil {
			t.Fatal(err)
		}
		if err := h.runner.Drain(t.Context()); err == nil {
			t.Fatal("the job did not fail")
		}
		for l, what := range map[text.Lang]string{text.DA: "1 opgave (test.stuck) er opgivet", text.EN: "1 job (test.stuck) was given up"} {
			seen, err := h.overview(t.Context(), l)
			if err != nil {
				t.Fatal(err)
			}
			if len(seen.Alarms) != 1 || !strings.HasPrefix(seen.Alarms[0].What, what) || seen.Alarms[0].Do == "" || seen.Alarms[0].Path != "/work" {
				t.Errorf("%s: alarms %+v", l, seen.Alarms)
			}
		}
		list := staffPage(t, h, "GET /work", "/work", h.showWork)
		if !strings.Contains(list.Body.String(), "broken on purpose") {
			t.Errorf("the list does not show the job:\n%s", list.Body)
		}
		dead, err := job.ListDead(t.Context(), h.folder.db)
		if err != nil || len(dead) != 1 {
			t.Fatal(dead, err)
		}
		fails = false
		retry := "/work/" + dead[0].ID + "/retry"
		if a := staffPage(t, h, "POST /work/{id}/retry", retry, h.retryWork); a.Code != http.StatusSeeOther {
			t.Errorf("try again: %d", a.Code)
		}
		if a := staffPage(t, h, "POST /work/{id}/retry", retry, h.retryWork); a.Code != http.StatusNotFound {
			t.Errorf("try again what is not dead: %d", a.Code)
		}
		if err := h.runner.Drain(t.Context()); err != nil || runs != 2 {
			t.Errorf("%d runs, %v", runs, err)
		}
	})
}

// staffPage asks a handler as an administrator of the house's own account.
func staffPage(t *testing.T, h *House, pattern, path string, handler web.Handler) *httptest.ResponseRecorder {
	t.Helper()
	method, _, _ := strings.Cut(pattern, " ")
	mux := http.NewServeMux()
	mux.Handle(pattern, web.Wrap(h.Log, handler))
	r := httptest.NewRequest(method, path, nil)
	r = r.WithContext(web.WithViewer(r.Context(), web.Viewer{User: "u1", Staff: true, Roles: []string{"admin"}}))
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	return w
}
