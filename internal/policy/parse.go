package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
)

// Parse reads a declaration. It returns every problem of shape and reference;
// the Plan is nil when there is one. name is used in places only. It takes
// bounded time and memory whatever src is.
func Parse(name string, src []byte, files Files) (*Plan, []Problem) {
	d := newDecoder(name, src)
	if !d.readable(src) {
		return nil, d.problems
	}
	root := d.parse(src)
	if root == nil {
		return nil, d.sorted()
	}
	p := &Plan{Source: slices.Clone(src), name: name, Loc: time.UTC}
	d.structure(root, reflect.ValueOf(&p.Declaration).Elem(), "")
	d.references(&p.Declaration)
	d.whole(p)
	digests := d.files(p, files)
	if len(d.problems) > 0 {
		return nil, d.sorted()
	}
	p.positions = d.positions
	p.Hash = hash(&p.Declaration, digests)
	return p, nil
}

func (d *decoder) sorted() []Problem {
	slices.SortStableFunc(d.problems, func(a, b Problem) int {
		if a.Pos.Line != b.Pos.Line {
			return a.Pos.Line - b.Pos.Line
		}
		return a.Pos.Col - b.Pos.Col
	})
	return d.problems
}

// String returns the problem as compilers do: place, sentence, the line with a
// mark under the column, and what to do.
func (p Problem) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s:%d:%d: %s\n", p.Pos.File, p.Pos.Line, p.Pos.Col, p.Msg)
	if p.Text != "" {
		shown := []rune(strings.ReplaceAll(p.Text, "\t", " "))
		from := max(0, min(p.Pos.Col-1, len(shown))-60)
		to := min(len(shown), from+120)
		fmt.Fprintf(&b, "    %s\n    %s^\n", string(shown[from:to]), strings.Repeat(" ", max(0, p.Pos.Col-1-from)))
	}
	if p.Hint != "" {
		fmt.Fprintf(&b, "  %s\n", p.Hint)
	}
	return b.String()
}

// references checks that every name of another section's entry exists.
func (d *decoder) references(decl *Declaration) {
	ids := map[string][]string{}
	v := reflect.ValueOf(decl).Elem()
	for i := range v.NumField() {
		elem := v.Field(i).Type()
		if elem.Kind() != reflect.Slice || elem.Elem().Kind() != reflect.Struct {
			continue
		}
		if k := keyField(elem.Elem()); k >= 0 {
			section := v.Type().Field(i).Tag.Get("yaml")
			ids[section] = []string{}
			for j := range v.Field(i).Len() {
				ids[section] = append(ids[section], v.Field(i).Index(j).Field(k).String())
			}
		}
	}
	known := map[string]map[string]bool{}
	for section, list := range ids {
		known[section] = map[string]bool{}
		for _, id := range list {
			known[section][id] = true
		}
	}
	for _, r := range d.refs {
		if !known[r.section][r.id] {
			d.at(r.node, r.path, meant(r.id, ids[r.section], "Add it under "+r.section+", or name one that is there."), "%s has no entry %q.", r.section, r.id)
		}
	}
	for i, a := range decl.Device {
		if a.Party != "" && a.Party != "self" && !known["parties"][a.Party] {
			d.placed(fmt.Sprintf("device_access.%s.party", decl.Device[i].ID), meant(a.Party, append(ids["parties"], "self"), "Name a party of the register, or self."), "parties has no entry %q.", a.Party)
		}
	}
}

func (d *decoder) placed(path, hint, format string, args ...any) {
	pos := d.positions[path]
	d.problem(max(pos.Line, 1), max(pos.Col, 1), path, hint, format, args...)
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
	loc, err := time.LoadLocation(zone)
	if err != nil {
		d.placed("controller.time_zone", "For example Europe/Copenhagen.", "%q is not a time zone.", zone)
	} else {
		p.Loc = loc
	}
	d.hosts(p)
	d.cycle("engagements", "parent", len(p.Engagements), func(i int) (string, string) { return p.Engagements[i].ID, p.Engagements[i].Parent })
	d.cycle("data", "parent", len(p.Data), func(i int) (string, string) { return p.Data[i].ID, p.Data[i].Parent })
	d.fieldNames(p)
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
	}
	for j, h := range p.Backoffice.Hosts {
		claim(h, fmt.Sprintf("backoffice.hosts[%d]", j))
	}
}

// cycle refuses entries that are, over their parents, above themselves.
func (d *decoder) cycle(section, field string, n int, at func(int) (id, parent string)) {
	parent := map[string]string{}
	for i := range n {
		id, up := at(i)
		parent[id] = up
	}
	state := map[string]int{} // 1: on the way, 2: known to be free of cycles
	for i := range n {
		id, _ := at(i)
		var way []string
		for id != "" && state[id] == 0 {
			state[id] = 1
			way = append(way, id)
			id = parent[id]
		}
		if id != "" && state[id] == 1 {
			d.placed(section+"."+id+"."+field, "Take out one of the parents.", "%s.%s stands above itself.", section, id)
		}
		for _, w := range way {
			state[w] = 2
		}
	}
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

// files reads every file that the declaration refers to and holds it against the
// digest that stands beside it. It returns their digests by path in the declaration.
func (d *decoder) files(p *Plan, files Files) map[string]string {
	digests := map[string]string{}
	each := func(path, name, want string) {
		if name == "" || !isPath(name) {
			return
		}
		if files == nil {
			digests[path] = want
			return
		}
		b, err := files.ReadFile(name)
		if err != nil {
			d.placed(path, "Put it beside the declaration.", "The file %q cannot be read.", name)
			return
		}
		sum := sha256.Sum256(b)
		have := hex.EncodeToString(sum[:])
		if want != "" && have != want {
			d.placed(path, "If the new file is the right one, declare sha256: "+have, "The file %q is not the one that was declared: its digest differs.", name)
		}
		digests[path] = have
	}
	each("controller.logo", p.Controller.Logo, "")
	for _, e := range p.Engagements {
		if e.DPA != nil {
			each("engagements."+e.ID+".dpa.file", e.DPA.File, e.DPA.SHA256)
		}
	}
	for _, a := range p.Agreements {
		each("customer_agreement."+a.ID+".file", a.File, a.SHA256)
	}
	return digests
}

// hash is the sha256, in hex, of the declaration's canonical form: its values
// as JSON in the table's order, the digests of the files it refers to, and the
// law packs, which are values of it. Comments, layout and the order of keys in a
// mapping do not change it; the order of entries does, because it is shown.
func hash(decl *Declaration, digests map[string]string) string {
	b, err := json.Marshal(struct {
		Declaration *Declaration
		Files       map[string]string
	}{decl, digests})
	if err != nil {
		panic("policy: a declaration has no canonical form: " + err.Error()) // plain values only
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
