package consent

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/text"
)

// views counts how often the banner was shown to somebody who arrived at the site:
// totals by day and language, in memory until they are flushed. Nothing is kept of
// who it was, so whoever ignores the banner and comes back is counted again.
type views struct {
	mu    sync.Mutex
	count map[viewKey]int
}

type viewKey struct{ day, lang string }

// saw counts a page with a banner that a browser opened from elsewhere. Going on
// from page to page counts once, as the arrival; what is no browser does not count.
func (s *Service) saw(r *http.Request, l text.Lang) {
	if s.probing || r.Header.Get("Sec-Fetch-Dest") != "document" {
		return
	}
	switch r.Header.Get("Sec-Fetch-Site") {
	case "none", "cross-site", "same-site":
	default:
		return
	}
	key := viewKey{s.dayOf(s.Now()), string(l)}
	s.views.mu.Lock()
	defer s.views.mu.Unlock()
	if s.views.count == nil {
		s.views.count = map[viewKey]int{}
	}
	s.views.count[key]++
}

// dayOf names a day in the house's calendar.
func (s *Service) dayOf(t time.Time) string { return t.In(s.offer().zone()).Format(time.DateOnly) }

// FlushViews adds what was counted to the daily totals. What cannot be written is
// counted on; a process that is killed loses at most what came since the last flush.
func (s *Service) FlushViews(ctx context.Context) error {
	s.views.mu.Lock()
	counted := s.views.count
	s.views.count = nil
	s.views.mu.Unlock()
	if len(counted) == 0 {
		return nil
	}
	err := s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error {
		for key, n := range counted {
			if err := addViews(ctx, tx, key, n); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		return nil
	}
	s.views.mu.Lock()
	defer s.views.mu.Unlock()
	if s.views.count == nil {
		s.views.count = map[viewKey]int{}
	}
	for key, n := range counted {
		s.views.count[key] += n
	}
	return err
}

func addViews(ctx context.Context, tx *db.Tx, key viewKey, n int) error {
	_, err := tx.Exec(ctx, `insert into banner_view (day, lang, count) values ($1, $2, $3)
		on conflict (day, lang) do update set count = banner_view.count + excluded.count`, key.day, key.lang, n)
	if err != nil {
		return fmt.Errorf("count views: %w", err)
	}
	return nil
}

// viewsSince returns how often the banner was shown, by language and by day.
func viewsSince(ctx context.Context, q db.Queryer, day string) (byLang, byDay map[string]int, err error) {
	rows, err := q.Query(ctx, `select day, lang, count from banner_view where day >= $1`, day)
	if err != nil {
		return nil, nil, fmt.Errorf("select views: %w", err)
	}
	defer rows.Close()
	byLang, byDay = map[string]int{}, map[string]int{}
	for rows.Next() {
		var at, lang string
		var n int
		if err := rows.Scan(&at, &lang, &n); err != nil {
			return nil, nil, fmt.Errorf("scan views: %w", err)
		}
		byLang[lang] += n
		byDay[at] += n
	}
	return byLang, byDay, rows.Err()
}

// bannerAnswers counts the answers given at the banner, by language.
func bannerAnswers(ctx context.Context, q db.Queryer, since time.Time) (map[string]int, error) {
	rows, err := q.Query(ctx, `select lang, count(*) from choice where layer = 'banner' and kind <> 'withdrawn' and at >= $1 group by lang`, db.Time{Time: since})
	if err != nil {
		return nil, fmt.Errorf("count answers: %w", err)
	}
	defer rows.Close()
	all := map[string]int{}
	for rows.Next() {
		var lang string
		var n int
		if err := rows.Scan(&lang, &n); err != nil {
			return nil, fmt.Errorf("scan answers: %w", err)
		}
		all[lang] = n
	}
	return all, rows.Err()
}

// dayBar is one day of the chart: its answers, and how often the banner was left
// unanswered, as heights of the chart.
type dayBar struct {
	Day                     time.Time
	Yes, No, Ignored        int
	X                       int
	YesY, YesH              int
	NoY, NoH                int
	IgnoredY, IgnoredHeight int
}

const (
	chartHeight = 80
	barStep     = 12
)

// chart returns the last days, the oldest first, with their bars; nil when nothing
// happened. Days with few answers are left empty: a figure must not point at anybody.
func (s *Service) chart(ctx context.Context, shown map[string]int) ([]dayBar, error) {
	now := s.Now().In(s.offer().zone())
	today := time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, now.Location())
	var bars []dayBar
	most := 0
	for i := range ratesOver {
		b := dayBar{Day: today.AddDate(0, 0, i-ratesOver+1), X: i * barStep}
		counts, err := countKinds(ctx, s.DB, b.Day, b.Day.AddDate(0, 0, 1))
		if err != nil {
			return nil, err
		}
		b.Yes, b.No = counts[given], counts[refused]
		b.Ignored = max(0, shown[b.Day.Format(time.DateOnly)]-b.Yes-b.No)
		if sum := b.Yes + b.No; sum < fewAnswers {
			b.Yes, b.No, b.Ignored = 0, 0, 0
		}
		most = max(most, b.Yes+b.No+b.Ignored)
		bars = append(bars, b)
	}
	if most == 0 {
		return nil, nil
	}
	for i := range bars {
		bars[i].scale(most)
	}
	return bars, nil
}

func (b *dayBar) scale(most int) {
	high := func(n int) int { return (n*chartHeight + most/2) / most }
	b.YesH, b.NoH, b.IgnoredHeight = high(b.Yes), high(b.No), high(b.Ignored)
	b.YesY = chartHeight - b.YesH
	b.NoY = b.YesY - b.NoH
	b.IgnoredY = max(0, b.NoY-b.IgnoredHeight)
}

func countKinds(ctx context.Context, q db.Queryer, from, to time.Time) (map[string]int, error) {
	rows, err := q.Query(ctx, `select kind, count(*) from choice where at >= $1 and at < $2 group by kind`, db.Time{Time: from}, db.Time{Time: to})
	if err != nil {
		return nil, fmt.Errorf("count choices of a day: %w", err)
	}
	defer rows.Close()
	all := map[string]int{}
	for rows.Next() {
		var kind string
		var n int
		if err := rows.Scan(&kind, &n); err != nil {
			return nil, errors.Join(errors.New("scan choices of a day"), err)
		}
		all[kind] = n
	}
	return all, rows.Err()
}

// fewAnswers is below how many answers a figure is not shown: it might be one
// person's whom somebody at the company knows.
const fewAnswers = 5
