package consent

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/tillid/tillid/internal/text"
	"github.com/tillid/tillid/internal/web"
)

// StaffRoutes returns the addresses of the Backoffice.
func (s *Service) StaffRoutes() []web.Route {
	return []web.Route{
		{Pattern: "GET /consent", Need: web.Consent, Handler: s.consentPage},
		{Pattern: "GET /consent/shown/{digest}", Need: web.Consent, Handler: s.shownPage},
	}
}

// StaffNav returns the menu's entries.
func (s *Service) StaffNav() []web.Nav {
	return []web.Nav{{Path: "/consent", TextID: "consent.nav", Icon: "consent", Need: web.Consent, Order: 50}}
}

type consentPage struct {
	web.Frame
	Total  int
	ByLang []langRate
	Rates  []purposeRate
	Recent []recentChoice
	Days   int
	Chart  []dayBar
	Width  int
	Shown  []Banner
}

// Banner is one archive of what visitors are asked by.
type Banner struct {
	Version int
	Lang    text.Lang
	Digest  string
	From    time.Time // when the version took effect
}

type langRate struct {
	Lang                            text.Lang
	All, None, Some, Withdrawn, Sum int
	Ignored                         int  // banners without an answer
	Few                             bool // too few answers to show how they fall
}

type purposeRate struct {
	Label   text.Text
	Yes, No int
	Ignored int
	Percent int
	Few     bool
}

type recentChoice struct {
	Kind, Layer, Leaf string
	Lang              text.Lang
	At                time.Time
	Granted           string
}

const ratesOver = 30 // days

func (s *Service) consentPage(w http.ResponseWriter, r *http.Request) error {
	page := consentPage{Frame: s.House.Backoffice(r), Days: ratesOver}
	o := s.offer()
	counts, err := countChoices(r.Context(), s.DB, s.Now().AddDate(0, 0, -ratesOver))
	if err != nil {
		return err
	}
	page.ByLang, page.Rates = o.rates(counts)
	if err := s.addIgnored(r.Context(), &page); err != nil {
		return err
	}
	if s.Banners != nil {
		if page.Shown, err = s.Banners(r.Context()); err != nil {
			return err
		}
	}
	for _, l := range page.ByLang {
		page.Total += l.Sum
	}
	recent, err := recentChoices(r.Context(), s.DB, 25)
	if err != nil {
		return err
	}
	for _, c := range recent {
		page.Recent = append(page.Recent, recentChoice{
			Kind: c.kind, Lang: text.Lang(c.lang), Layer: c.layer, Leaf: c.leaf, At: c.at.Time, Granted: o.names(items(c.granted), page.Lang),
		})
	}
	return web.Render(w, http.StatusOK, pages, "consent", web.Backoffice, page)
}

// addIgnored adds how often the banner was left unanswered, by language and so for
// every purpose, and the chart of the days.
func (s *Service) addIgnored(ctx context.Context, page *consentPage) error {
	since := s.Now().AddDate(0, 0, -ratesOver)
	if err := s.FlushViews(ctx); err != nil {
		return err
	}
	byLang, byDay, err := viewsSince(ctx, s.DB, s.dayOf(since))
	if err != nil {
		return err
	}
	answered, err := bannerAnswers(ctx, s.DB, since)
	if err != nil {
		return err
	}
	total := 0
	for lang, shown := range byLang {
		i := slices.IndexFunc(page.ByLang, func(l langRate) bool { return l.Lang == text.Lang(lang) })
		if i < 0 {
			i, page.ByLang = len(page.ByLang), append(page.ByLang, langRate{Lang: text.Lang(lang)})
		}
		page.ByLang[i].Ignored = max(0, shown-answered[lang])
		total += page.ByLang[i].Ignored
	}
	slices.SortFunc(page.ByLang, func(a, b langRate) int { return cmp.Compare(a.Lang, b.Lang) })
	for i := range page.ByLang {
		page.ByLang[i].Few = page.ByLang[i].Sum < fewAnswers
	}
	for i := range page.Rates {
		page.Rates[i].Ignored = total
		page.Rates[i].Few = page.Rates[i].Yes+page.Rates[i].No < fewAnswers
	}
	page.Chart, err = s.chart(ctx, byDay)
	page.Width = ratesOver * barStep
	page.Total += total
	return err
}

type shownPage struct {
	web.Frame
	Shown  Shown
	Digest string
	Ask    *question
}

// shownPage shows what visitors were asked by, as it was: the words of the first
// layer, and every file.
func (s *Service) shownPage(w http.ResponseWriter, r *http.Request) error {
	page := shownPage{Frame: s.House.Backoffice(r), Digest: r.PathValue("digest")}
	var ok bool
	var err error
	if page.Shown, ok, err = s.shownUnder(r.Context(), page.Digest); err != nil {
		return err
	}
	if !ok {
		return web.NotFound(w, r)
	}
	for _, f := range page.Shown.Files {
		if f.Name == "banner.json" {
			var set settings
			if err := json.Unmarshal([]byte(f.Content), &set); err != nil {
				return fmt.Errorf("read archived settings: %w", err)
			}
			page.Ask = set.Ask
		}
	}
	return web.Render(w, http.StatusOK, pages, "shown", web.Backoffice, page)
}

// rates sums choices up by language and by purpose. A withdrawal answers no new
// question and counts by itself.
func (o *offer) rates(counts []answers) (langs []langRate, purposes []purposeRate) {
	for _, g := range o.Groups {
		purposes = append(purposes, purposeRate{Label: g.Purpose.Label})
	}
	for _, a := range counts {
		i := slices.IndexFunc(langs, func(l langRate) bool { return l.Lang == text.Lang(a.lang) })
		if i < 0 {
			i, langs = len(langs), append(langs, langRate{Lang: text.Lang(a.lang)})
		}
		granted := items(a.granted)
		l := &langs[i]
		l.Sum += a.n
		switch {
		case a.kind == withdrawn:
			l.Withdrawn += a.n
			continue
		case len(granted) == 0:
			l.None += a.n
		case len(granted) == len(o.items):
			l.All += a.n
		default:
			l.Some += a.n
		}
		yes, _ := o.purposesOf(granted)
		for j, g := range o.Groups {
			if slices.Contains(yes, g.Purpose.ID) {
				purposes[j].Yes += a.n
			} else {
				purposes[j].No += a.n
			}
		}
	}
	for j := range purposes {
		if sum := purposes[j].Yes + purposes[j].No; sum > 0 {
			purposes[j].Percent = (100*purposes[j].Yes + sum/2) / sum
		}
	}
	return langs, purposes
}

// Rate is how many of the choices of the last thirty days said yes to a purpose.
type Rate struct {
	Label   text.Text
	Yes, Of int
}

// Rates returns the rate of each purpose that visitors are asked about.
func (s *Service) Rates(ctx context.Context) ([]Rate, error) {
	counts, err := countChoices(ctx, s.DB, s.Now().AddDate(0, 0, -ratesOver))
	if err != nil {
		return nil, err
	}
	_, purposes := s.offer().rates(counts)
	var rates []Rate
	for _, p := range purposes {
		if of := p.Yes + p.No; of >= fewAnswers { // fewer would tell of somebody
			rates = append(rates, Rate{p.Label, p.Yes, of})
		}
	}
	return rates, nil
}
