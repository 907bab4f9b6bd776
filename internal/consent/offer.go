package consent

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"

	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/text"
)

// offer is what visitors are asked about, compiled from a Plan.
type offer struct {
	plan      *policy.Plan
	Groups    []group // by purpose, in the declaration's order
	Necessary []*policy.DeviceAccess
	id        offerID
	items     []item
	asked     []asked              // what each item is about, in the same order
	shown     map[text.Lang]string // digest of everything by which visitors are asked; see Shown
	markup    markup
}

// offerID is a hash over what matters for a choice: who gets what, why, for how
// long. It changes when visitors must be asked again, not when words are mended.
type offerID [8]byte

func (id offerID) String() string { return hex.EncodeToString(id[:]) }

// group is a purpose with all that it asks for.
type group struct {
	Purpose *policy.Purpose
	Items   []item
}

// item is one thing to say yes or no to: a service, or what the site itself
// stores for a purpose.
type item struct {
	ID       string
	Label    text.Text
	Category string
	Service  *policy.Service // nil: the site's own storage
	Party    string          // legal name of the provider
	Country  string
	Transfer []string // third countries
	Privacy  string   // address of the provider's own policy
	Devices  []*policy.DeviceAccess
}

const ownPrefix = "own:"

// offer returns what is asked by the plan in force.
func (s *Service) offer() *offer {
	var plan *policy.Plan
	if s.Plan != nil {
		plan = s.Plan()
	}
	o := s.current.Load()
	if o == nil || o.plan != plan {
		o = newOffer(plan)
		s.digests(o)
		s.past.add(o)
		s.current.Store(o)
	}
	return o
}

// maxItems is how many the cookie can hold answers to. What is beyond is never
// asked about, and never granted.
const maxItems = 1000

func newOffer(plan *policy.Plan) *offer {
	o := &offer{plan: plan, shown: map[text.Lang]string{}}
	if plan == nil {
		return o
	}
	for i := range plan.Purposes {
		g := group{Purpose: &plan.Purposes[i]}
		for _, svc := range plan.Gated() {
			if svc.Purpose == g.Purpose.ID {
				g.Items = append(g.Items, serviceItem(plan, svc))
			}
		}
		if own := ownItem(plan, g.Purpose); own != nil {
			g.Items = append(g.Items, *own)
		}
		if len(g.Items) > 0 && len(o.items)+len(g.Items) <= maxItems {
			o.Groups = append(o.Groups, g)
			o.items = append(o.items, g.Items...)
		}
	}
	for i := range plan.Device {
		if plan.Device[i].Category == "necessary" {
			o.Necessary = append(o.Necessary, &plan.Device[i])
		}
	}
	o.asked = o.about()
	o.id = idOf(o.asked)
	return o
}

func serviceItem(plan *policy.Plan, svc *policy.Service) item {
	it := item{ID: svc.ID, Label: svc.Label, Category: svc.Category, Service: svc, Devices: plan.DeviceOf(svc.ID)}
	e := plan.Engagement(svc.Engagement)
	if e == nil {
		return it
	}
	for _, t := range e.Transfers {
		it.Transfer = append(it.Transfer, t.To)
	}
	if p := plan.Party(e.Party); p != nil {
		it.Party, it.Country, it.Privacy = p.LegalName, p.Country, p.PrivacyURL
	}
	return it
}

// ownItem is what the site itself stores for a purpose on consent; nil when it
// stores nothing.
func ownItem(plan *policy.Plan, p *policy.Purpose) *item {
	if !p.Basis.Consent() {
		return nil
	}
	it := item{ID: ownPrefix + p.ID, Label: p.Label, Party: plan.Controller.LegalName, Country: plan.Controller.Country}
	for i := range plan.Device {
		if d := &plan.Device[i]; d.Service == "" && d.Purpose == p.ID && d.Category != "necessary" {
			it.Category = d.Category
			it.Devices = append(it.Devices, d)
		}
	}
	if len(it.Devices) == 0 {
		return nil
	}
	return &it
}

func digest(v any) [sha256.Size]byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // strings, numbers and lists of them
	}
	return sha256.Sum256(b)
}

// ads reports whether something that is asked about serves advertising.
func (o *offer) ads() bool {
	return slices.ContainsFunc(o.Groups, func(g group) bool { return g.Purpose.Ads })
}

// purposesOf returns the purposes that granted items belong to, and those that
// got nothing.
func (o *offer) purposesOf(granted []string) (yes, no []string) {
	for _, g := range o.Groups {
		if slices.ContainsFunc(g.Items, func(it item) bool { return slices.Contains(granted, it.ID) }) {
			yes = append(yes, g.Purpose.ID)
		} else {
			no = append(no, g.Purpose.ID)
		}
	}
	return yes, no
}

// group returns the group of a purpose, or nil.
func (o *offer) group(purpose string) *group {
	for i := range o.Groups {
		if o.Groups[i].Purpose.ID == purpose {
			return &o.Groups[i]
		}
	}
	return nil
}
