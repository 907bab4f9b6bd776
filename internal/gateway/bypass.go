package gateway

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/fault"
)

// Bypass is a site that the gateway is out of the way of: requests and answers
// pass as they are, and nothing is enforced. It ends by itself.
type Bypass struct {
	Site  string    `json:"site"`
	Since time.Time `json:"since"`
	Until time.Time `json:"until"`
}

// MaxBypass is how long a bypass may last before somebody has to think again.
const MaxBypass = 24 * time.Hour

// SetBypass switches the bypass of a site on until a time from now, or off; with
// no site, of all sites. It acts at once here, and within half a minute in other
// replicas. It is audited in the same transaction.
func (s *Service) SetBypass(ctx context.Context, on bool, site string, lasts time.Duration) ([]Bypass, error) {
	if on && (lasts <= 0 || lasts > MaxBypass) {
		return nil, fault.New(fault.Invalid, "A bypass lasts up to 24 hours.").WithHint("Switch it on again when that was not enough.").In("gateway.bypass_time")
	}
	sites, err := s.sitesNamed(site)
	if err != nil {
		return nil, err
	}
	err = s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error {
		for _, id := range sites {
			if err := s.storeBypass(ctx, tx, on, id, lasts); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return s.Bypasses(ctx)
}

func (s *Service) sitesNamed(site string) (ids []string, err error) {
	for _, t := range s.compiled().list {
		if site == "" || site == t.id {
			ids = append(ids, t.id)
		}
	}
	if len(ids) == 0 {
		return nil, fault.New(fault.NotFound, "The declaration has no site %q.", site).WithHint("Its sites stand under sites: in tillid.yaml.").In("gateway.no_site", "Site", site)
	}
	return ids, nil
}

func (s *Service) storeBypass(ctx context.Context, tx *db.Tx, on bool, site string, lasts time.Duration) error {
	if _, err := tx.Exec(ctx, `delete from bypass where site = $1`, site); err != nil {
		return fmt.Errorf("delete bypass: %w", err)
	}
	act := "bypass_off"
	if on {
		act = "bypass_on"
		_, err := tx.Exec(ctx, `insert into bypass (site, since, until_at) values ($1, $2, $3)`,
			site, db.Time{Time: s.Now()}, db.Time{Time: s.Now().Add(lasts)})
		if err != nil {
			return fmt.Errorf("insert bypass: %w", err)
		}
	}
	if s.Audit == nil {
		return nil
	}
	return s.Audit(ctx, tx, "gateway."+act, site)
}

// Bypasses returns the bypasses that are on, and makes them act in this process.
func (s *Service) Bypasses(ctx context.Context) ([]Bypass, error) {
	rows, err := s.DB.Query(ctx, `select site, since, until_at from bypass where until_at > $1 order by site`, db.Time{Time: s.Now()})
	if err != nil {
		return nil, fmt.Errorf("select bypass: %w", err)
	}
	defer rows.Close()
	list := []Bypass{}
	for rows.Next() {
		var b Bypass
		var since, until db.Time
		if err := rows.Scan(&b.Site, &since, &until); err != nil {
			return nil, fmt.Errorf("scan bypass: %w", err)
		}
		b.Since, b.Until = since.Time, until.Time
		list = append(list, b)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	s.bypassed.Store(&list)
	return list, nil
}

// bypasses reports whether the gateway is out of a site's way now.
func (s *Service) bypasses(t *siteTable) bool {
	list := s.bypassed.Load()
	if list == nil || len(*list) == 0 || t == nil {
		return false
	}
	return slices.ContainsFunc(*list, func(b Bypass) bool { return b.Site == t.id && s.Now().Before(b.Until) })
}

// Health says what somebody has to know of the gateway: that it is out of the way,
// and which cookies it will soon stop.
func (s *Service) Health(ctx context.Context) (wrong []*fault.Error, err error) {
	bypasses, err := s.Bypasses(ctx)
	if err != nil {
		return nil, err
	}
	for _, b := range bypasses {
		until := b.Until.UTC().Format(time.RFC3339)
		wrong = append(wrong, fault.New(fault.Unavailable, "Nothing is enforced on the site %s until %s: its bypass is on.", b.Site, until).
			WithHint("When it is no longer needed: tillid bypass off").In("gateway.bypassed", "Site", b.Site, "Until", until))
	}
	waiting, err := s.Waiting(ctx, s.DB)
	if err != nil || len(waiting) == 0 {
		return wrong, err
	}
	first := waiting[0]
	return append(wrong, fault.New(fault.Unavailable, "%d cookies of the site are not declared and will be stopped, the first (%s) on %s.", len(waiting), first.Subject, first.Ends.Format(time.DateOnly)).
		WithHint("Declare them under device_access, or take them off the site. The page Drift lists them.").
		In("gateway.cookies_wait", "Count", len(waiting), "Name", first.Subject, "At", first.Ends.Format(time.DateOnly))), nil
}
