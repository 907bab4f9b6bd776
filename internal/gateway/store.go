package gateway

import (
	"context"
	"fmt"
	"time"

	"github.com/tillid/tillid/internal/db"
)

// Drift is a finding with when and how often it was seen.
type Drift struct {
	finding
	First, Last db.Time
	Count       int
}

// store adds findings to the table, as long as there is room for new ones.
func (s *Service) store(ctx context.Context, found map[finding]sighting) error {
	return s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error {
		var rows int
		if err := tx.QueryRow(ctx, `select count(*) from drift`).Scan(&rows); err != nil {
			return fmt.Errorf("count drift: %w", err)
		}
		for f, seen := range found {
			n, err := addSighting(ctx, tx, f, seen)
			if err != nil {
				return err
			}
			if n > 0 || rows >= maxRows {
				continue
			}
			rows++
			if err := insertDrift(ctx, tx, f, seen); err != nil {
				return err
			}
		}
		return nil
	})
}

func addSighting(ctx context.Context, tx *db.Tx, f finding, seen sighting) (int64, error) {
	res, err := tx.Exec(ctx, `update drift set last_at = $1, count = count + $2
		where site = $3 and kind = $4 and subject = $5 and detail = $6 and page = $7 and service = $8 and enforced = $9`,
		db.Time{Time: seen.Last}, seen.Count, f.Site, f.Kind, f.Subject, f.Detail, f.Page, f.Service, f.Enforced)
	if err != nil {
		return 0, fmt.Errorf("update drift: %w", err)
	}
	return res.RowsAffected()
}

func insertDrift(ctx context.Context, tx *db.Tx, f finding, seen sighting) error {
	_, err := tx.Exec(ctx, `insert into drift (site, kind, subject, detail, page, service, enforced, first_at, last_at, count)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		f.Site, f.Kind, f.Subject, f.Detail, f.Page, f.Service, f.Enforced, db.Time{Time: seen.First}, db.Time{Time: seen.Last}, seen.Count)
	if err != nil {
		return fmt.Errorf("insert drift: %w", err)
	}
	return nil
}

// listedCookies returns since when each undeclared cookie is listed, by site and name.
func listedCookies(ctx context.Context, q db.Queryer) (map[[2]string]time.Time, error) {
	rows, err := q.Query(ctx, `select site, subject, min(first_at) from drift where kind = 'cookie' and service = '' group by site, subject`)
	if err != nil {
		return nil, fmt.Errorf("select listed cookies: %w", err)
	}
	defer rows.Close()
	since := map[[2]string]time.Time{}
	for rows.Next() {
		var site, name string
		var at db.Time
		if err := rows.Scan(&site, &name, &at); err != nil {
			return nil, fmt.Errorf("scan listed cookie: %w", err)
		}
		since[[2]string{site, name}] = at.Time
	}
	return since, rows.Err()
}

// Drifts returns what the site did and the declaration or the visitor's choice
// does not allow: what is not declared first, the latest first.
func (s *Service) Drifts(ctx context.Context, q db.Queryer) ([]Drift, error) {
	rows, err := q.Query(ctx, `select site, kind, subject, detail, page, service, enforced, first_at, last_at, count from drift
		order by case when service = '' then 0 else 1 end, last_at desc, subject, page limit 500`)
	if err != nil {
		return nil, fmt.Errorf("select drift: %w", err)
	}
	defer rows.Close()
	var all []Drift
	for rows.Next() {
		var d Drift
		if err := rows.Scan(&d.Site, &d.Kind, &d.Subject, &d.Detail, &d.Page, &d.Service, &d.Enforced, &d.First, &d.Last, &d.Count); err != nil {
			return nil, fmt.Errorf("scan drift: %w", err)
		}
		all = append(all, d)
	}
	return all, rows.Err()
}

// Undeclared counts the hosts, cookies and headers that are not declared, for the overview.
func (s *Service) Undeclared(ctx context.Context, q db.Queryer) (n int, err error) {
	err = q.QueryRow(ctx, `select count(*) from (select distinct kind, subject from drift where service = '') as undeclared`).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count undeclared: %w", err)
	}
	return n, nil
}

// forget drops what was not seen for long.
func (s *Service) forget(ctx context.Context) error {
	if _, err := s.DB.Exec(ctx, `delete from drift where last_at < $1`, db.Time{Time: s.Now().Add(-forgetIn)}); err != nil {
		return fmt.Errorf("delete old drift: %w", err)
	}
	return nil
}
