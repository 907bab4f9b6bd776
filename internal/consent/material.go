package consent

import (
	"slices"
	"sync"

	"github.com/tillid/tillid/internal/policy"
)

// asked is what an answer to one item is about: who gets what, why, for how
// long. Words that only explain are no part of it.
type asked struct {
	Purpose, Item, Party, Country string
	Ads, Profiling                bool
	Data                          []string // categories of personal data
	Transfer                      []string // third countries
	Hosts                         []string // "frame www.youtube-nocookie.com"
	Devices                       []storedThing
}

// storedThing is a cookie or other storage.
type storedThing struct {
	ID, Technology string
	Lasts          policy.Duration
	Third          bool // third parties can read it
}

// about lists what each item of the offer is about, in its order.
func (o *offer) about() []asked {
	var all []asked
	for _, g := range o.Groups {
		for _, it := range g.Items {
			a := asked{
				Purpose: g.Purpose.ID, Item: it.ID, Party: it.Party, Country: it.Country,
				Ads: g.Purpose.Ads, Profiling: g.Purpose.Profiling != nil && *g.Purpose.Profiling,
				Data: g.Purpose.Data, Transfer: it.Transfer,
			}
			if it.Service != nil {
				a.Hosts = hostsOf(it.Service.Hosts)
			}
			for _, d := range it.Devices {
				a.Devices = append(a.Devices, storedThing{d.ID, d.Technology, d.Duration, d.ThirdParty != nil && *d.ThirdParty})
			}
			all = append(all, a)
		}
	}
	return all
}

func hostsOf(h policy.Hosts) []string {
	var all []string
	for _, of := range []struct {
		kind  string
		hosts []string
	}{
		{"script", h.Script}, {"connect", h.Connect}, {"image", h.Image}, {"frame", h.Frame},
		{"style", h.Style}, {"font", h.Font}, {"media", h.Media}, {"form", h.Form},
	} {
		for _, host := range of.hosts {
			all = append(all, of.kind+" "+host)
		}
	}
	return all
}

func idOf(all []asked) (id offerID) {
	sum := digest(all)
	copy(id[:], sum[:])
	return id
}

// growth is one way in which an item asks for more than it did.
type growth struct {
	kind string // of the texts consent.since.*
	what string // what came: a company, a country, a host, a name
	now  policy.Duration
	was  policy.Duration
}

// grew lists in what an item asks for more than it did when it was answered. What
// became less needs no new answer.
func (a asked) grew(was asked) []growth {
	var all []growth
	one := func(yes bool, kind, what string) {
		if yes {
			all = append(all, growth{kind: kind, what: what})
		}
	}
	one(a.Purpose != was.Purpose, "purpose", a.Purpose)
	one(a.Party != was.Party, "party", a.Party)
	one(a.Country != was.Country && a.Party == was.Party, "country", a.Country)
	one(a.Ads && !was.Ads, "ads", "")
	one(a.Profiling && !was.Profiling, "profiling", "")
	for _, more := range []struct {
		kind     string
		now, was []string
	}{{"data", a.Data, was.Data}, {"transfer", a.Transfer, was.Transfer}, {"host", a.Hosts, was.Hosts}} {
		for _, what := range more.now {
			one(!slices.Contains(more.was, what), more.kind, what)
		}
	}
	for _, d := range a.Devices {
		all = append(all, d.grew(was.Devices)...)
	}
	return all
}

func (d storedThing) grew(was []storedThing) []growth {
	i := slices.IndexFunc(was, func(o storedThing) bool { return o.ID == d.ID && o.Technology == d.Technology })
	if i < 0 {
		return []growth{{kind: "stored", what: d.ID}}
	}
	var all []growth
	if o := was[i].Lasts; d.Lasts.Approx() > o.Approx() || !d.Lasts.Set && o.Set {
		all = append(all, growth{kind: "longer", what: d.ID, now: d.Lasts, was: o})
	}
	if d.Third && !was[i].Third {
		all = append(all, growth{kind: "third", what: d.ID})
	}
	return all
}

// archive holds what earlier offers were about, so that an answer that was given
// to one of them can be held against today's.
type archive struct {
	mu   sync.RWMutex
	kept map[offerID][]asked
}

// maxArchive bounds the archive; an answer to an offer that is not in it counts
// as none.
const maxArchive = 1000

func (a *archive) add(o *offer) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.kept == nil {
		a.kept = map[offerID][]asked{}
	}
	if o.plan != nil && len(a.kept) < maxArchive {
		a.kept[o.id] = o.asked
	}
}

func (a *archive) get(id offerID) ([]asked, bool) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	all, ok := a.kept[id]
	return all, ok
}

// Remember takes in earlier declarations, so that answers given under them stay in
// force for what has not changed since.
func (s *Service) Remember(plans ...*policy.Plan) {
	for _, p := range plans {
		s.past.add(newOffer(p))
	}
}
