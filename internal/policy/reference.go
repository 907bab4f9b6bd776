package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/tillid/tillid/internal/text"
)

// reference is a name that must be an entry of a section.
type reference struct {
	section, id, path string
	node              *yaml.Node
}

// fileRef is a field that may name a file beside the declaration.
type fileRef struct {
	path  string
	of    reflect.Value // the struct that holds the field
	field int
}

// register holds the names of a section's entries.
type register struct {
	names []string
	known map[string]bool
}

// registers returns the named entries of every section.
func registers(decl *Declaration) map[string]register {
	all := map[string]register{}
	v := reflect.ValueOf(decl).Elem()
	for i := range v.NumField() {
		t := v.Field(i).Type()
		if t.Kind() != reflect.Slice || t.Elem().Kind() != reflect.Struct || keyField(t.Elem()) < 0 {
			continue
		}
		r := register{known: map[string]bool{}}
		for j := range v.Field(i).Len() {
			id := v.Field(i).Index(j).Field(keyField(t.Elem())).String()
			r.names = append(r.names, id)
			r.known[id] = true
		}
		all[v.Type().Field(i).Tag.Get("yaml")] = r
	}
	return all
}

// references checks that every name of another section's entry exists.
func (d *decoder) references(decl *Declaration) {
	all := registers(decl)
	for _, r := range d.refs {
		if reg := all[r.section]; !reg.known[r.id] && !d.counted() {
			d.at(r.node, r.path, meant(r.id, reg.names, "Add it under "+r.section+", or name one that is there."), "%s has no entry %s.", r.section, quote(r.id))
		}
	}
	parties := all["parties"]
	for _, a := range decl.Device {
		if a.Party != "" && a.Party != "self" && !parties.known[a.Party] && !d.counted() {
			d.placed("device_access."+a.ID+".party", meant(a.Party, append(parties.names, "self"), "Name a party of the register, or self."), "parties has no entry %s.", quote(a.Party))
		}
	}
}

// whole checks what no single value shows.
func (d *decoder) whole(p *Plan) {
	if p.Schema != SchemaVersion && p.Schema != 0 {
		d.placed("tillid", fmt.Sprintf("This program reads version %d.", SchemaVersion), "The declaration's shape is version %d.", p.Schema)
	}
	zone := p.Controller.TimeZone
	if zone == "" {
		zone = "Europe/Copenhagen"
	}
	if loc, err := time.LoadLocation(zone); err != nil || zone == "Local" {
		d.placed("controller.time_zone", "For example Europe/Copenhagen.", "%s is not a time zone.", quote(zone))
	} else {
		p.Loc = loc
	}
	d.hosts(p)
	d.languages(p)
	d.fieldNames(p)
	d.cycle("engagements", "parent", len(p.Engagements), func(i int) (string, string) { return p.Engagements[i].ID, p.Engagements[i].Parent })
	d.cycle("data", "parent", len(p.Data), func(i int) (string, string) { return p.Data[i].ID, p.Data[i].Parent })
	d.cycle("purposes", "compatible_with", len(p.Purposes), func(i int) (string, string) { return p.Purposes[i].ID, p.Purposes[i].Compatible })
}

func (d *decoder) hosts(p *Plan) {
	owner := map[string]string{}
	claim := func(host, path string) {
		if first, taken := owner[host]; taken {
			d.placed(path, "A host belongs to one site, or to the Backoffice.", "The host %s stands also at %s.", host, first)
			return
		}
		owner[host] = path
	}
	for _, s := range p.Sites {
		for j, h := range s.Hosts {
			claim(h, fmt.Sprintf("sites.%s.hosts[%d]", s.ID, j))
		}
		d.consentHost(&s, claim)
	}
	for j, h := range p.Backoffice.Hosts {
		claim(h, fmt.Sprintf("backoffice.hosts[%d]", j))
	}
}

// consentHost checks that a cookie set there reaches the site.
func (d *decoder) consentHost(s *Site, claim func(host, path string)) {
	if s.Consent == "" {
		return
	}
	path := "sites." + s.ID + ".consent_host"
	claim(s.Consent, path)
	for _, h := range s.Hosts {
		if domain := Domain(h); domain == "" || domain != Domain(s.Consent) {
			d.placed(path, "Take a name below the site's own domain, such as consent."+strings.TrimPrefix(h, "www.")+".",
				"%s and %s have no domain in common: browsers would treat the visitor's choice as another site's cookie.", s.Consent, h)
			return
		}
	}
}

// languages checks that a site speaks no language in which nothing is published.
func (d *decoder) languages(p *Plan) {
	for _, s := range p.Sites {
		for j, l := range s.Languages {
			if slices.Contains(text.Langs(), l) && !slices.Contains(p.Languages, l) {
				d.placed(fmt.Sprintf("sites.%s.languages[%d]", s.ID, j), "Add it to languages, or take it out here.", "%q is not one of the declaration's languages.", l)
			}
		}
	}
}

// cycle refuses entries that are, over their parents, above themselves.
func (d *decoder) cycle(section, field string, n int, at func(int) (id, parent string)) {
	parent := map[string]string{}
	for i := range n {
		id, up := at(i)
		parent[id] = up
	}
	const onTheWay, free = 1, 2
	state := map[string]int{}
	for i := range n {
		id, _ := at(i)
		var way []string
		for id != "" && state[id] == 0 {
			state[id] = onTheWay
			way = append(way, id)
			id = parent[id]
		}
		if id != "" && state[id] == onTheWay {
			ring := append(way[slices.Index(way, id):], id)
			d.placed(section+"."+id+"."+field, "Take one of them out: "+shown(ring)+".", "%s.%s is above itself.", section, id)
		}
		for _, w := range way {
			state[w] = free
		}
	}
}

// shown writes a ring of entries, shortened when it is long.
func shown(ring []string) string {
	if len(ring) > 8 {
		ring = append(slices.Clone(ring[:6]), "…", ring[len(ring)-1])
	}
	return strings.Join(ring, " → ")
}

func (d *decoder) fieldNames(p *Plan) {
	for _, f := range p.Forms {
		seen := map[string]bool{}
		for i, field := range f.Fields {
			path := fmt.Sprintf("forms.%s.fields[%d].name", f.ID, i)
			if seen[field.Name] {
				d.placed(path, "Give each field its own name.", "The form has two fields %q.", field.Name)
			}
			seen[field.Name] = true
		}
		for i, c := range f.Consents {
			if seen[c.Name] {
				d.placed(fmt.Sprintf("forms.%s.consents[%d].name", f.ID, i), "Give each tick its own name.", "The form has another input %q.", c.Name)
			}
			seen[c.Name] = true
		}
	}
}

// digests reads every file that the declaration refers to, and holds it against
// the digest that stands beside it, if one does. It returns their digests by the
// path of the value that names them. Without files it returns what is declared.
func (d *decoder) digests(files Files) map[string]string {
	digests := map[string]string{}
	for _, f := range d.files {
		name, want := f.of.Field(f.field).String(), ""
		if beside := f.of.FieldByName("SHA256"); beside.IsValid() {
			want = beside.String()
		}
		if f.of.Type().Field(f.field).Tag.Get("format") == "document" && !isFileName(name) {
			continue
		}
		if files == nil || !isPath(name) {
			digests[f.path] = want
			continue
		}
		b, err := files.ReadFile(name)
		if err != nil {
			d.placed(f.path, "Put it beside the declaration.", "The file %s cannot be read.", quote(name))
			continue
		}
		sum := sha256.Sum256(b)
		have := hex.EncodeToString(sum[:])
		if want != "" && have != want && hexDigest.MatchString(want) {
			d.placed(f.path, "If the new file is the right one, declare sha256: "+have, "The file %s is not the one that was declared: its digest differs.", quote(name))
		}
		digests[f.path] = have
	}
	return digests
}
