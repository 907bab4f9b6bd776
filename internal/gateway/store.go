package gateway

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/tillid/tillid/internal/db"
)

// Drift is a finding with when and how often it was seen.
type Drift struct {
	finding
	First, Last db.Time
	Count       int
}

// shelfOf is finding.shelf's kind in SQL.
const shelfOf = `case when kind = 'cookie' and detail <> '' then '` + leftover + `' else kind end`

// store adds findings to the table, as long as there is room for new ones of their kind.
func (s *Service) store(ctx context.Context, found map[finding]sighting) error {
	return s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error {
		rows, err := countDrift(ctx, tx)
		if err != nil {
			return err
		}
		for f, seen := range found {
			n, err := addSighting(ctx, tx, f, seen)
			if err != nil {
				return err
			}
			if n > 0 || rows[f.shelf()] >= maxRows {
				continue
			}
			rows[f.shelf()]++
			if err := insertDrift(ctx, tx, f, seen); err != nil {
				return err
			}
		}
		return nil
	})
}

// countDrift counts the rows by site and kind.
func countDrift(ctx context.Context, q db.Queryer) (map[shelf]int, error) {
	rows, err := q.Query(ctx, `select site, `+shelfOf+` as shelf, count(*) from drift group by site, shelf`)
	if err != nil {
		return nil, fmt.Errorf("count drift: %w", err)
	}
	defer rows.Close()
	count := map[shelf]int{}
	for rows.Next() {
		var of shelf
		var n int
		if err := rows.Scan(&of.site, &of.kind, &n); err != nil {
			return nil, fmt.Errorf("scan count of drift: %w", err)
		}
		count[of] = n
	}
	return count, rows.Err()
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
	rows, err := q.Query(ctx, `select site, subject, min(first_at) from drift where kind = 'cookie' and detail = '' and service = '' group by site, subject`)
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

// Filter narrows a list of drift; what is empty does not.
type Filter struct {
	Site string
	Kind string // request, cookie, leftover, header
	Text string // part of a host or a name
}

// shown is how many findings of one site and kind are listed together.
const shown = 100

// Drifts returns what the site did and the declaration or the visitor's choice
// does not allow: what is not declared first, the latest first.
func (s *Service) Drifts(ctx context.Context, q db.Queryer) ([]Drift, error) {
	all, _, err := s.search(ctx, q, Filter{})
	return all, err
}

// search is Drifts of a filter: of each site and kind at most shown. More reports
// whether there are others.
func (s *Service) search(ctx context.Context, q db.Queryer, f Filter) (all []Drift, more bool, err error) {
	rows, err := q.Query(ctx, `with found as (
			select drift.*, row_number() over (partition by site, `+shelfOf+` order by case when service = '' then 0 else 1 end, last_at desc, subject, page) as place
			from drift where ($1 = '' or site = $1) and ($2 = '' or `+shelfOf+` = $2)
				and (lower(subject) like $3 escape '!' or lower(detail) like $3 escape '!'))
		select site, kind, subject, detail, page, service, enforced, first_at, last_at, count, place from found where place <= $4
		order by case when service = '' then 0 else 1 end, last_at desc, subject, page`,
		f.Site, f.Kind, "%"+strings.NewReplacer("!", "!!", "%", "!%", "_", "!_").Replace(strings.ToLower(f.Text))+"%", shown+1)
	if err != nil {
		return nil, false, fmt.Errorf("select drift: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var d Drift
		var place int
		if err := rows.Scan(&d.Site, &d.Kind, &d.Subject, &d.Detail, &d.Page, &d.Service, &d.Enforced, &d.First, &d.Last, &d.Count, &place); err != nil {
			return nil, false, fmt.Errorf("scan drift: %w", err)
		}
		if place > shown {
			more = true
			continue
		}
		all = append(all, d)
	}
	return all, more, rows.Err()
}

// Undeclared counts the hosts, cookies and headers that are not declared, for the overview.
func (s *Service) Undeclared(ctx context.Context, q db.Queryer) (n int, err error) {
	err = q.QueryRow(ctx, `select count(*) from (select distinct kind, subject from drift where service = '') as undeclared`).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count undeclared: %w", err)
	}
	return n, nil
}

// forget drops what was not seen for long; where there is no room left, also what
// was seen only once, and not today: so a flood of made-up reports goes again.
func (s *Service) forget(ctx context.Context) error {
	if _, err := s.DB.Exec(ctx, `delete from drift where last_at < $1`, db.Time{Time: s.Now().Add(-forgetIn)}); err != nil {
		return fmt.Errorf("delete old drift: %w", err)
	}
	count, err := countDrift(ctx, s.DB)
	if err != nil {
		return err
	}
	for of, n := range count {
		if n < maxRows {
			continue
		}
		_, err := s.DB.Exec(ctx, `delete from drift where count = 1 and last_at < $1 and site = $2 and `+shelfOf+` = $3`,
			db.Time{Time: s.Now().Add(-doubtIn)}, of.site, of.kind)
		if err != nil {
			return fmt.Errorf("delete doubtful drift: %w", err)
		}
	}
	return nil
}
