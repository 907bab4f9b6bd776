package known

import (
	_ "embed" // purposes are a file, so that they can be read as one
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/text"
)

//go:embed purpose.yaml
var purposeText string

// Fragment is a piece of a declaration: entries by section, each as the lines
// of a file. A line that ends in "# CHANGE: …" holds what only the company knows.
type Fragment struct{ Sections []Section }

// Section is one top-level key of a declaration.
type Section struct {
	Name    string
	Entries []Entry
}

// Entry is one named entry; Text is its lines, indented by two, with a newline at the end.
type Entry struct{ ID, Text string }

// order is the order of sections in a declaration.
var order = []string{"parties", "engagements", "data", "people", "purposes", "services", "device_access", "retention"}

// Of returns what declares the services: with their vendors, the purposes that
// they serve, and what those rest on.
func Of(services []*Service) Fragment {
	var f Fragment
	for _, s := range services {
		for i := range s.Storage {
			f.Add("device_access", s.Storage[i].Entry(s.row(&s.Storage[i])))
		}
		f.AddService(s)
	}
	return f
}

// row is how the catalogue itself declares a name.
func (s *Service) row(st *Storage) Row {
	switch {
	case s.Vendor == nil:
		return Row{Party: "self"}
	case st.Own:
		return Row{Service: s.ID, Party: "self", Purpose: s.Purpose}
	}
	return Row{Service: s.ID, Party: s.Vendor.ID, Purpose: s.Purpose}
}

// AddService adds a service with its vendor and purpose, and none of its storage.
func (f *Fragment) AddService(s *Service) {
	if s.Vendor == nil {
		return
	}
	f.Add("parties", Entry{s.Vendor.ID, s.Vendor.entry()})
	f.Add("engagements", Entry{s.ID, s.engagement()})
	f.Add("services", Entry{s.ID, s.entry()})
	f.AddPurpose(s.Purpose)
}

// Add adds an entry unless the section has one of that name.
func (f *Fragment) Add(section string, e Entry) {
	i := slices.IndexFunc(f.Sections, func(s Section) bool { return s.Name == section })
	if i < 0 {
		f.Sections = append(f.Sections, Section{Name: section})
		rank := func(s Section) int { return slices.Index(order, s.Name) }
		slices.SortStableFunc(f.Sections, func(a, b Section) int { return rank(a) - rank(b) })
		i = slices.IndexFunc(f.Sections, func(s Section) bool { return s.Name == section })
	}
	s := &f.Sections[i]
	if !slices.ContainsFunc(s.Entries, func(have Entry) bool { return have.ID == e.ID }) {
		s.Entries = append(s.Entries, e)
	}
}

// AddPurpose adds a purpose that services are known to serve, with the data,
// people and retention that belong to it.
func (f *Fragment) AddPurpose(id string) {
	p := purposes()
	purpose, ok := p.decl.Purposes[id]
	if !ok {
		return
	}
	for _, d := range purpose.Data {
		f.Add("data", p.entry("data", d))
	}
	for _, d := range purpose.People {
		f.Add("people", p.entry("people", d))
	}
	f.Add("purposes", p.entry("purposes", id))
	for _, e := range p.entries["retention"] {
		if p.decl.Retention[e.ID].Purpose == id {
			f.Add("retention", e)
		}
	}
}

// Without returns the fragment without the entries that a declaration has. A
// purpose that it has keeps its own data, people and retention.
func (f Fragment) Without(has func(section, id string) bool) Fragment {
	var rest Fragment
	for _, s := range f.Sections {
		for _, e := range s.Entries {
			if !has(s.Name, e.ID) {
				rest.Add(s.Name, e)
			}
		}
	}
	return rest
}

// Empty reports whether nothing is in it.
func (f Fragment) Empty() bool { return len(f.Sections) == 0 }

// String returns the fragment as the text of a declaration file.
func (f Fragment) String() string {
	var b strings.Builder
	for i, s := range f.Sections {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(s.Name + ":\n")
		for _, e := range s.Entries {
			b.WriteString(e.Text)
		}
	}
	return b.String()
}

// purposeFile is purpose.yaml: its entries as text, and what they refer to.
type purposeFile struct {
	entries map[string][]Entry
	decl    struct {
		Data     map[string]any `yaml:"data"`
		People   map[string]any `yaml:"people"`
		Purposes map[string]struct {
			Data   []string `yaml:"data"`
			People []string `yaml:"people"`
		} `yaml:"purposes"`
		Retention map[string]struct {
			Purpose string `yaml:"purpose"`
		} `yaml:"retention"`
	}
}

var purposes = sync.OnceValue(func() *purposeFile {
	p := &purposeFile{entries: map[string][]Entry{}}
	if err := yaml.Load([]byte(purposeText), &p.decl); err != nil {
		panic(fmt.Errorf("known: purpose.yaml: %w", err)) // a test reads it
	}
	section := ""
	for line := range strings.Lines(purposeText) {
		switch trimmed := strings.TrimSpace(line); {
		case trimmed == "" || strings.HasPrefix(line, "#"):
		case line[0] != ' ':
			section = strings.TrimSuffix(trimmed, ":")
		case line[2] != ' ':
			id, _, _ := strings.Cut(trimmed, ":")
			p.entries[section] = append(p.entries[section], Entry{id, line})
		default:
			list := p.entries[section]
			list[len(list)-1].Text += line
		}
	}
	return p
})

func (p *purposeFile) entry(section, id string) Entry {
	for _, e := range p.entries[section] {
		if e.ID == id {
			return e
		}
	}
	panic("known: purpose.yaml has no " + section + "." + id)
}

var plain = regexp.MustCompile(`^[A-Za-z0-9_./][A-Za-z0-9_./-]*\*?$`)

// scalar writes a string so that YAML reads it back as that string.
func scalar(s string) string {
	if plain.MatchString(s) && s != "true" && s != "false" && s != "null" && s != "no" && s != "yes" {
		return s
	}
	return quoted(s)
}

func quoted(s string) string {
	b, _ := json.Marshal(s) // a JSON string is a YAML string
	return string(b)
}

func both(t text.Text) string {
	return fmt.Sprintf("{da: %s, en: %s}", quoted(t[text.DA]), quoted(t[text.EN]))
}

func list(values []string) string {
	written := make([]string, len(values))
	for i, v := range values {
		written[i] = scalar(v)
		if strings.ContainsAny(v, "*:") {
			written[i] = quoted(v)
		}
	}
	return "[" + strings.Join(written, ", ") + "]"
}

func (v *Vendor) entry() string {
	return fmt.Sprintf("  %s:\n    legal_name: %s\n    trading_names: %s\n    country: %s\n    contact: %s\n    privacy_url: %s\n",
		v.ID, quoted(v.Name), list(v.Trading), v.Country, quoted(v.Contact), quoted(v.Privacy))
}

// engagement leaves open what stands in the company's own contract.
func (s *Service) engagement() string {
	var b strings.Builder
	todo := "say how the transfer is secured, if there is one"
	switch s.Role {
	case "processor":
		todo = "file the agreement under dpa, and say how it deletes and when you last checked on it"
	case "joint_controller":
		todo = "agree on who does what (Art. 26) and name the arrangement"
	}
	fmt.Fprintf(&b, "  %s:   # CHANGE: %s\n    party: %s\n    role: %s\n    service: %s\n    purposes: [%s]\n", s.ID, todo, s.Vendor.ID, s.Role, both(s.Does), s.Purpose)
	if s.Arrangement != "" {
		fmt.Fprintf(&b, "    arrangement: %s\n", quoted(s.Arrangement))
	}
	if s.Transfer != "" {
		fmt.Fprintf(&b, "    transfers:\n      - {to: %s, access: storage, mechanism: scc}   # CHANGE: module, evidence, assessment (tia) and copy_url, or another mechanism; verified_on\n", s.Transfer)
	}
	return b.String()
}

func (s *Service) entry() string {
	var b strings.Builder
	gate := "consent"
	if s.Category == "necessary" {
		gate = "none"
	}
	fmt.Fprintf(&b, "  %s:\n    label: %s\n    engagement: %s\n    purpose: %s\n    category: %s\n    kind: %s\n    gate: %s\n    hosts:\n", s.ID, both(s.Label), s.ID, s.Purpose, s.Category, s.Kind, gate)
	for _, d := range []struct {
		name    string
		sources []string
	}{
		{"script", s.Hosts.Script}, {"connect", s.Hosts.Connect}, {"image", s.Hosts.Image}, {"frame", s.Hosts.Frame},
		{"style", s.Hosts.Style}, {"font", s.Hosts.Font}, {"media", s.Hosts.Media}, {"form", s.Hosts.Form},
	} {
		if len(d.sources) > 0 {
			fmt.Fprintf(&b, "      %s: %s\n", d.name, list(d.sources))
		}
	}
	if len(s.Placeholder) > 0 {
		fmt.Fprintf(&b, "    placeholder: %s\n", both(s.Placeholder))
	}
	return b.String()
}

// longest is what lint takes as the longest life of a cookie, roughly: thirteen months.
const longest = 396 * 24 * time.Hour

// Row says how a name is declared where it is not as the catalogue has it.
type Row struct {
	Service, Party, Purpose string // entries of the declaration; "" when there is none
	Mark                    string // what only the company knows, for a CHANGE
}

// Entry writes a row of device_access.
func (st *Storage) Entry(r Row) Entry {
	var b strings.Builder
	switch {
	case r.Mark != "":
	case !st.Life.Set:
		r.Mark = "it never expires by itself; say after how long your page deletes it (duration)"
	case r.Purpose == "" && st.Category != "necessary":
		r.Mark = "name the purpose on consent that it serves"
	}
	if r.Mark != "" {
		r.Mark = "   # CHANGE: " + r.Mark
	}
	fmt.Fprintf(&b, "  %s:%s\n", scalar(st.Name), r.Mark)
	field := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "    %s: %s\n", name, value)
		}
	}
	if st.Technology != "cookie" {
		field("technology", st.Technology)
	}
	field("service", r.Service)
	field("party", r.Party)
	field("category", st.Category)
	field("purpose", r.Purpose)
	if st.Life.Set {
		long := ""
		if st.Life.Approx() > longest {
			long = "   # CHANGE: this is the vendor's own; shorten it there if you can"
		}
		field("duration", sessionAsSeconds(st.Life)+long)
	}
	field("third_party_access", strconv.FormatBool(r.Party != "self"))
	field("domain", st.Domain)
	if len(st.Necessity) > 0 {
		field("necessity", both(st.Necessity))
	}
	field("description", both(st.Says))
	return Entry{st.Name, b.String()}
}

// sessionAsSeconds writes a session's life as declarations do.
func sessionAsSeconds(d policy.Duration) string {
	if d.IsZero() {
		return "PT0S"
	}
	return d.String()
}
