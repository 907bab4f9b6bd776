package scan

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/fault"
)

// siteRun is the last scan of a site.
type siteRun struct {
	Site, State         string
	At                  db.Time
	Pages, Errors       int
	Report, Patch, Lock string
}

// Kept is a finding with the day since when it is so.
type Kept struct {
	Finding
	Since db.Time
}

func (f Finding) id() string {
	return f.Rule + " " + f.Kind + " " + f.Name + " " + f.Domain + " " + f.Path
}

// store puts a run and its findings in the place of the last.
func (s *Service) store(ctx context.Context, run siteRun, findings []Finding) error {
	return s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error {
		since, err := sinceOf(ctx, tx, run.Site)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `delete from scan_finding where site = $1`, run.Site); err != nil {
			return fmt.Errorf("delete findings: %w", err)
		}
		for _, f := range findings {
			id := f.id()
			first, known := since[id]
			if !known {
				first = run.At
			}
			b, err := json.Marshal(f)
			if err != nil {
				return fmt.Errorf("finding: %w", err)
			}
			if _, err := tx.Exec(ctx, `insert into scan_finding (site, id, finding, first_at) values ($1, $2, $3, $4) on conflict (site, id) do nothing`,
				run.Site, id, string(b), first); err != nil {
				return fmt.Errorf("insert finding: %w", err)
			}
		}
		return putRun(ctx, tx, run)
	})
}

func sinceOf(ctx context.Context, q db.Queryer, site string) (map[string]db.Time, error) {
	rows, err := q.Query(ctx, `select id, first_at from scan_finding where site = $1`, site)
	if err != nil {
		return nil, fmt.Errorf("select findings: %w", err)
	}
	defer rows.Close()
	since := map[string]db.Time{}
	for rows.Next() {
		var id string
		var at db.Time
		if err := rows.Scan(&id, &at); err != nil {
			return nil, fmt.Errorf("scan finding: %w", err)
		}
		since[id] = at
	}
	return since, rows.Err()
}

func putRun(ctx context.Context, q db.Queryer, r siteRun) error {
	if _, err := q.Exec(ctx, `delete from scan_run where site = $1`, r.Site); err != nil {
		return fmt.Errorf("delete run: %w", err)
	}
	_, err := q.Exec(ctx, `insert into scan_run (site, at, state, pages, errors, report, patch, locked) values ($1, $2, $3, $4, $5, $6, $7, $8)`,
		r.Site, r.At, r.State, r.Pages, r.Errors, r.Report, r.Patch, r.Lock)
	if err != nil {
		return fmt.Errorf("insert run: %w", err)
	}
	return nil
}

// keepFailure says that a scan failed, and keeps what was found before.
func (s *Service) keepFailure(ctx context.Context, site string, f *fault.Error) error {
	return s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error {
		var n int
		if err := tx.QueryRow(ctx, `select count(*) from scan_run where site = $1`, site).Scan(&n); err != nil {
			return fmt.Errorf("count runs: %w", err)
		}
		at := db.Time{Time: s.Now()}
		if n == 0 {
			return putRun(ctx, tx, siteRun{Site: site, At: at, State: "failed"})
		}
		if _, err := tx.Exec(ctx, `update scan_run set at = $1, state = 'failed' where site = $2`, at, site); err != nil {
			return fmt.Errorf("update run: %w", err)
		}
		return nil
	})
}

// runs returns the last scan of each site, by site.
func (s *Service) runs(ctx context.Context) (map[string]siteRun, error) {
	rows, err := s.DB.Query(ctx, `select site, at, state, pages, errors, report, patch, locked from scan_run`)
	if err != nil {
		return nil, fmt.Errorf("select runs: %w", err)
	}
	defer rows.Close()
	all := map[string]siteRun{}
	for rows.Next() {
		var r siteRun
		if err := rows.Scan(&r.Site, &r.At, &r.State, &r.Pages, &r.Errors, &r.Report, &r.Patch, &r.Lock); err != nil {
			return nil, fmt.Errorf("scan run: %w", err)
		}
		all[r.Site] = r
	}
	return all, rows.Err()
}

// findings returns what the last scan of a site found, errors first.
func (s *Service) findings(ctx context.Context, site string) ([]Kept, error) {
	rows, err := s.DB.Query(ctx, `select finding, first_at from scan_finding where site = $1 order by first_at, id`, site)
	if err != nil {
		return nil, fmt.Errorf("select findings: %w", err)
	}
	defer rows.Close()
	var list []Kept
	for rows.Next() {
		var k Kept
		var b string
		if err := rows.Scan(&b, &k.Since); err != nil {
			return nil, fmt.Errorf("scan finding: %w", err)
		}
		if err := json.Unmarshal([]byte(b), &k.Finding); err != nil {
			return nil, fmt.Errorf("finding: %w", err)
		}
		list = append(list, k)
	}
	return list, rows.Err()
}

// Drifts counts what sites do and their declaration does not say, for the overview.
func (s *Service) Drifts(ctx context.Context) (n int, err error) {
	if err := s.DB.QueryRow(ctx, `select coalesce(sum(errors), 0) from scan_run`).Scan(&n); err != nil {
		return 0, fmt.Errorf("count scan errors: %w", err)
	}
	return n, nil
}
