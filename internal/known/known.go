// Package known holds what is known beforehand about services that websites
// use: their hosts, their cookies and other storage with real lifetimes, who
// answers for them, and how they are declared. It is data with lookups: the
// scanner names with it what it finds, and `tillid service` prints it as a
// piece of a declaration.
//
// The files under service/ were written for this project from the vendors'
// documentation. Each entry names its source, the day it was read, and whether
// it was read at the vendor's or only at others': by: third_party is hearsay,
// and a scan of the real site is better.
package known

import (
	"embed"
	"fmt"
	"io/fs"
	"net/url"
	"slices"
	"strings"
	"sync"

	"go.yaml.in/yaml/v4"

	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/text"
)

//go:embed service/*.yaml
var files embed.FS

// Source says where something was read.
type Source struct {
	URL  string `yaml:"url" json:"url"`
	Read string `yaml:"read" json:"read"` // day, YYYY-MM-DD
	By   string `yaml:"by" json:"by"`     // vendor: read there; third_party: read at others
}

// Vendor is a company that offers services.
type Vendor struct {
	ID      string   `yaml:"-" json:"id"`
	Name    string   `yaml:"name" json:"legal_name"`
	Country string   `yaml:"country" json:"country"`
	Contact string   `yaml:"contact" json:"contact"`
	Privacy string   `yaml:"privacy" json:"privacy_url"`
	Trading []string `yaml:"trading" json:"trading_names"`
}

// Service is a script, pixel or embed that sites load from elsewhere. A
// platform (the site's own software) is one without vendor and hosts.
type Service struct {
	ID          string    `json:"id"`
	Label       text.Text `json:"label"`
	Does        text.Text `json:"does,omitempty"`
	Vendor      *Vendor   `json:"vendor,omitempty"`
	Role        string    `json:"role,omitempty"`
	Arrangement string    `json:"arrangement,omitempty"`
	Transfer    string    `json:"transfer,omitempty"` // third country, or ""
	Purpose     string    `json:"purpose,omitempty"`
	Category    string    `json:"category,omitempty"`
	Kind        string    `json:"kind,omitempty"`
	Hosts       Hosts     `json:"hosts,omitzero"`
	Seen        []string  `json:"also_seen,omitempty"` // hosts that betray it and need not be allowed
	Placeholder text.Text `json:"placeholder,omitempty"`
	Signals     []string  `json:"consent_mode,omitempty"` // of Google Consent Mode v2
	Storage     []Storage `json:"storage"`
	Source      Source    `json:"source,omitzero"`
}

// Hosts are host sources by what they may do, as in a declaration.
type Hosts struct {
	Script  []string `yaml:"script" json:"script,omitempty"`
	Connect []string `yaml:"connect" json:"connect,omitempty"`
	Image   []string `yaml:"image" json:"image,omitempty"`
	Frame   []string `yaml:"frame" json:"frame,omitempty"`
	Style   []string `yaml:"style" json:"style,omitempty"`
	Font    []string `yaml:"font" json:"font,omitempty"`
	Media   []string `yaml:"media" json:"media,omitempty"`
	Form    []string `yaml:"form" json:"form,omitempty"`
}

// All returns the sources of every directive, in their order.
func (h Hosts) All() []string {
	return slices.Concat(h.Script, h.Connect, h.Image, h.Frame, h.Style, h.Font, h.Media, h.Form)
}

// With returns the hosts with one more for a use (script, connect, …), unless a
// source of that use covers it; the original stays as it is.
func (h Hosts) With(use, host string) Hosts {
	list := map[string]*[]string{
		"script": &h.Script, "connect": &h.Connect, "image": &h.Image, "frame": &h.Frame,
		"style": &h.Style, "font": &h.Font, "media": &h.Media, "form": &h.Form,
	}[use]
	at := &url.URL{Scheme: "https", Host: host}
	if list != nil && !slices.ContainsFunc(*list, func(s string) bool { return policy.ParseSource(s).MatchesHost(at) }) {
		*list = append(slices.Clone(*list), host)
	}
	return h
}

// Storage is one cookie or other storage; a name may end in *.
type Storage struct {
	Name       string          `json:"name"`
	Technology string          `json:"technology"`
	Life       policy.Duration `json:"lifetime,omitzero"` // not set: until somebody deletes it
	Domain     string          `json:"domain,omitempty"`  // of a third party; "": the site's own
	Own        bool            `json:"own,omitempty"`     // the vendor cannot read it: the site's own in every sense
	Category   string          `json:"category"`
	Says       text.Text       `json:"description"`
	Necessity  text.Text       `json:"necessity,omitempty"`
	Source     Source          `json:"source"`
}

// Catalogue is everything that is known, services and platforms, by id.
type Catalogue struct {
	Services  []*Service
	Platforms []*Service
}

// Load returns the catalogue. It is part of the program: the same for everybody, read only.
var Load = sync.OnceValue(load)

func load() *Catalogue {
	names, err := fs.Glob(files, "service/*.yaml")
	if err != nil {
		panic(err)
	}
	c := &Catalogue{}
	for _, name := range names {
		b, err := files.ReadFile(name)
		if err == nil {
			err = c.read(b)
		}
		if err != nil {
			panic(fmt.Errorf("known: %s: %w", name, err)) // a test reads every file
		}
	}
	byID := func(a, b *Service) int { return strings.Compare(a.ID, b.ID) }
	slices.SortFunc(c.Services, byID)
	slices.SortFunc(c.Platforms, byID)
	return c
}

// file is the shape of the files.
type file struct {
	Sources   map[string]Source      `yaml:"sources"`
	Vendors   map[string]*Vendor     `yaml:"vendors"`
	Reasons   map[string]text.Text   `yaml:"reasons"`
	Services  map[string]serviceRow  `yaml:"services"`
	Platforms map[string]platformRow `yaml:"platforms"`
}

type serviceRow struct {
	Label       text.Text    `yaml:"label"`
	Does        text.Text    `yaml:"does"`
	Vendor      string       `yaml:"vendor"`
	Role        string       `yaml:"role"`
	Arrangement string       `yaml:"arrangement"`
	Transfer    string       `yaml:"transfer"`
	Purpose     string       `yaml:"purpose"`
	Category    string       `yaml:"category"`
	Kind        string       `yaml:"kind"`
	Source      string       `yaml:"source"`
	Signals     []string     `yaml:"signals"`
	Hosts       Hosts        `yaml:"hosts"`
	Seen        []string     `yaml:"seen"`
	Placeholder text.Text    `yaml:"placeholder"`
	Storage     []storageRow `yaml:"storage"`
}

type platformRow struct {
	Label   string       `yaml:"label"`
	Storage []storageRow `yaml:"storage"`
}

type storageRow struct {
	Name       string    `yaml:"name"`
	Technology string    `yaml:"technology"`
	Life       string    `yaml:"life"`
	Domain     string    `yaml:"domain"`
	Own        bool      `yaml:"own"`
	Category   string    `yaml:"category"`
	Reason     string    `yaml:"reason"`
	Source     string    `yaml:"source"`
	Says       text.Text `yaml:"says"`
	Necessity  text.Text `yaml:"necessity"`
}

func (c *Catalogue) read(b []byte) error {
	var f file
	if err := yaml.Load(b, &f, yaml.WithKnownFields()); err != nil {
		return err
	}
	for id, row := range f.Services {
		s, err := f.service(id, row)
		if err != nil {
			return fmt.Errorf("%s: %w", id, err)
		}
		c.Services = append(c.Services, s)
	}
	for id, row := range f.Platforms {
		p := &Service{ID: id, Label: text.Text{text.DA: row.Label, text.EN: row.Label}}
		for _, r := range row.Storage {
			st, err := f.storage(r, "necessary")
			if err != nil {
				return fmt.Errorf("%s: %w", id, err)
			}
			p.Storage = append(p.Storage, st)
		}
		c.Platforms = append(c.Platforms, p)
	}
	return nil
}

func (f *file) service(id string, row serviceRow) (*Service, error) {
	v, source := f.Vendors[row.Vendor], f.Sources[row.Source]
	if v == nil || source.URL == "" {
		return nil, fmt.Errorf("vendor %q or source %q is not in the file", row.Vendor, row.Source)
	}
	v.ID = row.Vendor
	s := &Service{
		ID: id, Label: row.Label, Does: row.Does, Vendor: v, Role: row.Role, Arrangement: row.Arrangement, Transfer: row.Transfer,
		Purpose: row.Purpose, Category: row.Category, Kind: row.Kind, Hosts: row.Hosts, Seen: row.Seen,
		Placeholder: row.Placeholder, Signals: row.Signals, Source: source,
	}
	for _, r := range row.Storage {
		st, err := f.storage(r, row.Category)
		if err != nil {
			return nil, err
		}
		s.Storage = append(s.Storage, st)
	}
	return s, nil
}

func (f *file) storage(r storageRow, category string) (Storage, error) {
	st := Storage{
		Name: r.Name, Technology: r.Technology, Domain: r.Domain, Own: r.Own, Category: r.Category, Says: r.Says, Necessity: r.Necessity, Source: f.Sources[r.Source],
	}
	if st.Source.URL == "" {
		return st, fmt.Errorf("%s: source %q is not in the file", r.Name, r.Source)
	}
	if st.Technology == "" {
		st.Technology = "cookie"
	}
	if st.Category == "" {
		st.Category = category
	}
	if r.Reason != "" {
		st.Says = f.Reasons[r.Reason]
		if st.Category == "necessary" {
			st.Necessity = st.Says
		}
	}
	if r.Life == "" {
		return st, nil
	}
	var err error
	st.Life, err = policy.ParseDuration(r.Life)
	return st, err
}

// Service returns the service or platform with that id, or nil.
func (c *Catalogue) Service(id string) *Service {
	for _, s := range slices.Concat(c.Services, c.Platforms) {
		if s.ID == id {
			return s
		}
	}
	return nil
}

// ByURL returns the service that an address belongs to, or nil. Where several
// use the host, it is the one that names it most exactly, and of those the one
// with the fewest hosts.
func (c *Catalogue) ByURL(u *url.URL) *Service {
	var best *Service
	rank := 0
	for _, s := range c.Services {
		r := 0
		for _, source := range slices.Concat(s.Hosts.All(), s.Seen) {
			if policy.ParseSource(source).Matches(u) {
				r = max(r, 1+2*len(source))
				if strings.HasPrefix(source, "*.") {
					r--
				}
			}
		}
		if r > rank || r == rank && best != nil && r > 0 && len(s.Hosts.All()) < len(best.Hosts.All()) {
			best, rank = s, r
		}
	}
	return best
}

// ByName returns the service or platform that is known to set a name, and what
// it says of it, or nil. The technology must be the same; a domain of a third
// party must be the known one or below it. An exact name goes before a longer
// pattern, and that before a shorter one.
func (c *Catalogue) ByName(technology, name, domain string) (*Service, *Storage) {
	var service *Service
	var found *Storage
	rank := 0
	for _, s := range slices.Concat(c.Services, c.Platforms) {
		for i := range s.Storage {
			st := &s.Storage[i]
			if st.Technology != technology || st.Domain != "" && !below(domain, st.Domain) {
				continue
			}
			r := 0
			if st.Name == name {
				r = 2 * len(name)
			} else if prefix, ok := strings.CutSuffix(st.Name, "*"); ok && strings.HasPrefix(name, prefix) {
				r = 2*len(prefix) - 1
			}
			if st.Domain != "" {
				r *= 2
			}
			if r > rank {
				service, found, rank = s, st, r
			}
		}
	}
	return service, found
}

func below(host, domain string) bool {
	host, domain = strings.TrimPrefix(strings.ToLower(host), "."), strings.TrimPrefix(domain, ".")
	return host == domain || strings.HasSuffix(host, "."+domain)
}
