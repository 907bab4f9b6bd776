package scan

import (
	"cmp"
	"fmt"
	"math"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/tillid/tillid/internal/known"
	"github.com/tillid/tillid/internal/policy"
)

// Pass is one way through the site.
type Pass string

// The passes: without touching the banner, after a no, after a yes to everything.
const (
	Untouched Pass = "untouched"
	Refused   Pass = "refused"
	Accepted  Pass = "accepted"
)

var passes = []Pass{Untouched, Refused, Accepted}

// Kinds of what is found. Those of storage are the technologies of a declaration.
const (
	Host          = "host"
	Cookie        = "cookie"
	LocalStorage  = "local_storage"
	Session       = "session_storage"
	Database      = "indexed_db"
	Cache         = "cache"
	ServiceWorker = "service_worker"
	WebRTC        = "webrtc"
)

// Item is one thing that pages did: a host they asked, or something they put
// on the visitor's device. It holds names only, never a value.
type Item struct {
	Kind        string   `json:"kind"`
	Name        string   `json:"name"`             // ids in it are cut off: a name may end in *
	Domain      string   `json:"domain,omitempty"` // of storage: whose it is
	Uses        []string `json:"uses,omitempty"`   // of hosts: script, connect, image, …
	Lifetime    string   `json:"lifetime,omitempty"`
	HTTPOnly    bool     `json:"http_only,omitempty"`
	ThirdParty  bool     `json:"third_party,omitempty"`
	Partitioned bool     `json:"partitioned,omitempty"`
	Passes      []Pass   `json:"passes"`
	Pages       []string `json:"pages"`               // where it was first seen, a few
	Initiator   string   `json:"initiator,omitempty"` // host of the script that asked; "" the page itself
	Service     string   `json:"service,omitempty"`   // of the catalogue
	KnownBy     string   `json:"known_by,omitempty"`  // host or name
	Declared    string   `json:"declared,omitempty"`  // path in the declaration
}

func (i *Item) key() string { return i.Kind + " " + i.Name + " " + i.Domain }

func compareItems(a, b *Item) int {
	return cmp.Or(strings.Compare(a.Kind, b.Kind), strings.Compare(a.Name, b.Name), strings.Compare(a.Domain, b.Domain))
}

const (
	maxItems = 2000
	maxPages = 5 // named for an item
)

// add joins an observation with what is there already.
func (s *State) add(it Item, pass Pass, page string) {
	have := s.Items[it.key()]
	if have == nil {
		if len(s.Items) >= maxItems {
			return
		}
		have = &it
		s.Items[it.key()] = have
	}
	if have.longer(it) {
		have.Lifetime = it.Lifetime
	}
	for _, u := range it.Uses {
		have.Uses = include(have.Uses, u)
	}
	if !slices.Contains(have.Passes, pass) {
		have.Passes = append(have.Passes, pass)
	}
	if len(have.Pages) < maxPages && !slices.Contains(have.Pages, page) && (it.Kind == Host || len(have.Pages) == 0) {
		have.Pages = append(have.Pages, page) // storage stays: only where it came first says something
	}
}

func include(list []string, s string) []string {
	if i, found := slices.BinarySearch(list, s); !found {
		return slices.Insert(slices.Clone(list), i, s)
	}
	return list
}

func (i *Item) longer(other Item) bool {
	a, errA := policy.ParseDuration(i.Lifetime)
	b, errB := policy.ParseDuration(other.Lifetime)
	return errA == nil && errB == nil && b.Approx() > a.Approx()
}

// life writes a cookie's rest of life, rounded so that two scans say the same.
func life(rest time.Duration) string {
	round := func(unit time.Duration) int { return int(math.Round(float64(rest) / float64(unit))) }
	switch {
	case rest <= 0:
		return "PT0S"
	case rest >= 47*time.Hour:
		return fmt.Sprintf("P%dD", round(24*time.Hour))
	case rest >= 110*time.Minute:
		return fmt.Sprintf("PT%dH", round(time.Hour))
	case rest >= 90*time.Second:
		return fmt.Sprintf("PT%dM", round(time.Minute))
	}
	return fmt.Sprintf("PT%dS", max(10, 10*round(10*time.Second)))
}

var (
	idTail  = regexp.MustCompile(`[0-9a-fA-F]{8,}|\d{4,}|[A-Za-z0-9]{24,}`)
	foreign = regexp.MustCompile(`[^A-Za-z0-9_.:!$%+|~-]`)
)

// named returns the name under which storage is listed: the catalogue's or the
// declaration's own pattern where one fits, else the name with what looks like
// an id, and everything after it, cut off. The same site gives the same names.
func named(kind, name, host string, plan *policy.Plan) string {
	if plan != nil {
		if d := deviceOf(plan, kind, name, host); d != nil {
			return d.ID
		}
	}
	if _, st := known.Load().ByName(kind, name, host); st != nil {
		return st.Name
	}
	cut := len(name)
	for _, re := range []*regexp.Regexp{idTail, foreign} {
		if at := re.FindStringIndex(name); at != nil {
			cut = min(cut, at[0])
		}
	}
	if cut > 60 {
		cut = 60
	}
	if cut < len(name) {
		return name[:cut] + "*"
	}
	return name
}

// deviceOf returns the row of the declaration that a stored name belongs to, or nil.
func deviceOf(plan *policy.Plan, kind, name, host string) *policy.DeviceAccess {
	var best *policy.DeviceAccess
	for i := range plan.Device {
		d := &plan.Device[i]
		technology := d.Technology
		if technology == "" {
			technology = Cookie
		}
		if technology != kind || d.Domain != "" && domain(d.Domain) != domain(host) {
			continue
		}
		if d.ID == name {
			return d
		}
		if prefix, ok := strings.CutSuffix(d.ID, "*"); ok && strings.HasPrefix(name, prefix) && (best == nil || len(d.ID) > len(best.ID)) {
			best = d
		}
	}
	return best
}

// serviceOf returns the declared service that may reach an address, and whether
// it may for that use; "" when none is declared for the host at all.
func serviceOf(plan *policy.Plan, u *url.URL, use string) (id string, allowed bool) {
	for i := range plan.Services {
		s := &plan.Services[i]
		for name, sources := range byUse(s.Hosts) {
			for _, source := range sources {
				if policy.ParseSource(source).MatchesHost(u) {
					if name == use {
						return s.ID, true
					}
					id = cmp.Or(id, s.ID)
				}
			}
		}
	}
	return id, false
}

func byUse(h policy.Hosts) map[string][]string {
	return map[string][]string{
		"script": h.Script, "connect": h.Connect, "image": h.Image, "frame": h.Frame,
		"style": h.Style, "font": h.Font, "media": h.Media, "form": h.Form,
	}
}
