package consent

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/tillid/tillid/internal/text"
	"github.com/tillid/tillid/internal/web"
)

// StaffRoutes returns the addresses of the Backoffice.
func (s *Service) StaffRoutes() []web.Route {
	return []web.Route{{Pattern: "GET /consent", Need: web.Consent, Handler: s.consentPage}}
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
}

type langRate struct {
	Lang                            string
	All, None, Some, Withdrawn, Sum int
}

type purposeRate struct {
	Label   text.Text
	Yes, No int
	Percent int
}

type recentChoice struct {
	Kind, Lang, Layer, Leaf string
	At                      time.Time
	Granted                 string
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
	for _, l := range page.ByLang {
		page.Total += l.Sum
	}
	recent, err := recentChoices(r.Context(), s.DB, 25)
	if err != nil {
		return err
	}
	for _, c := range recent {
		page.Recent = append(page.Recent, recentChoice{
			Kind: c.kind, Lang: c.lang, Layer: c.layer, Leaf: c.leaf, At: c.at.Time, Granted: o.names(items(c.granted), page.Lang),
		})
	}
	return web.Render(w, http.StatusOK, pages, "consent", web.Backoffice, page)
}

// rates sums choices up by language and by purpose. A withdrawal answers no new
// question and counts by itself.
func (o *offer) rates(counts []answers) (langs []langRate, purposes []purposeRate) {
	for _, g := range o.Groups {
		purposes = append(purposes, purposeRate{Label: g.Purpose.Label})
	}
	for _, a := range counts {
		i := slices.IndexFunc(langs, func(l langRate) bool { return l.Lang == a.lang })
		if i < 0 {
			i, langs = len(langs), append(langs, langRate{Lang: a.lang})
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
	rates := make([]Rate, len(purposes))
	for i, p := range purposes {
		rates[i] = Rate{p.Label, p.Yes, p.Yes + p.No}
	}
	return rates, nil
}
