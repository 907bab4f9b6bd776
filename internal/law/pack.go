package law

import (
	"embed"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/BurntSushi/toml"

	"github.com/tillid/tillid/internal/text"
)

//go:embed pack/*.toml
var files embed.FS

// Available returns the references of every pack that the program carries, sorted.
func Available() []string {
	entries, err := files.ReadDir("pack")
	if err != nil {
		panic(err) // embedded
	}
	var refs []string
	for _, e := range entries {
		refs = append(refs, strings.TrimSuffix(e.Name(), ".toml"))
	}
	slices.Sort(refs)
	return refs
}

func load(ref string) (*Pack, error) {
	refs := Available()
	if !slices.Contains(refs, ref) {
		return nil, unknown(ref, refs)
	}
	b, err := files.ReadFile("pack/" + ref + ".toml")
	if err != nil {
		return nil, err
	}
	p, err := parse(b)
	if err != nil {
		return nil, fmt.Errorf("law pack %s: %w", ref, err)
	}
	return p, nil
}

func unknown(ref string, refs []string) error {
	name, _, _ := strings.Cut(ref, "@")
	var same []string
	for _, r := range refs {
		if strings.HasPrefix(r, name+"@") {
			same = append(same, r)
		}
	}
	if len(same) > 0 {
		return fmt.Errorf("unknown law pack %q: did you mean %q?", ref, same[len(same)-1])
	}
	if n := nearest(ref, refs); n != "" {
		return fmt.Errorf("unknown law pack %q: did you mean %q?", ref, n)
	}
	return fmt.Errorf("unknown law pack %q: this program carries %s", ref, strings.Join(refs, ", "))
}

// The shape of a pack's file. Every table carries what a Fact needs; the
// defaults at the top hold for the tables that say nothing else.
type packFile struct {
	Name    string `toml:"name"`
	Version string `toml:"version"`
	AsOf    string `toml:"as_of"`
	Default struct {
		Status string `toml:"status"`
		Date   string `toml:"date"`
	} `toml:"default"`
	Values      []valueRow     `toml:"value"`
	EEA         []countryRow   `toml:"eea"`
	Adequacy    []adequacyRow  `toml:"adequacy"`
	Holidays    []holidayRow   `toml:"holiday"`
	Authorities []authorityRow `toml:"authority"`
	Wordings    []wordingRow   `toml:"wording"`
}

type factRow struct {
	ID        string `toml:"id"`
	Law       string `toml:"law"`
	Source    string `toml:"source"`
	From      string `toml:"valid_from"`
	Until     string `toml:"valid_until"`
	Contested bool   `toml:"contested"`
	Status    string `toml:"status"`
	Checker   string `toml:"checker"`
	Date      string `toml:"date"`
	Note      string `toml:"note"`
}

type valueRow struct {
	factRow
	Kind  string    `toml:"kind"`
	Value string    `toml:"value"`
	Label text.Text `toml:"label"`
}

type countryRow struct {
	factRow
	Name text.Text `toml:"name"`
}

type adequacyRow struct {
	factRow
	Country  string    `toml:"country"`
	Name     text.Text `toml:"name"`
	Decision string    `toml:"decision"`
	Scope    string    `toml:"scope"`
}

type holidayRow struct {
	factRow
	Name   text.Text `toml:"name"`
	Month  int       `toml:"month"`
	Day    int       `toml:"day"`
	Easter *int      `toml:"easter"`
}

type authorityRow struct {
	factRow
	Name    text.Text `toml:"name"`
	Subject string    `toml:"subject"`
	Address string    `toml:"address"`
	Phone   string    `toml:"phone"`
	Email   string    `toml:"email"`
	Website string    `toml:"website"`
}

type wordingRow struct {
	factRow
	Text text.Text `toml:"text"`
}

// reader turns rows into values and collects every fault.
type reader struct {
	file packFile
	errs []error
}

func parse(b []byte) (*Pack, error) {
	r := &reader{}
	meta, err := toml.Decode(string(b), &r.file)
	if err != nil {
		return nil, err
	}
	for _, k := range meta.Undecoded() {
		r.fail("unknown key %s", k)
	}
	p := &Pack{Name: r.file.Name, Version: r.file.Version, AsOf: r.date("pack", "as_of", r.file.AsOf)}
	r.fill(p)
	if len(r.errs) > 0 {
		return nil, errors.Join(r.errs...)
	}
	return p, nil
}

func (r *reader) fill(p *Pack) {
	for _, x := range r.file.Values {
		r.value(x)
		p.Values = append(p.Values, Value{Fact: r.fact(x.factRow), Kind: Kind(x.Kind), Value: x.Value, Label: r.both(x.ID, x.Label)})
	}
	for _, x := range r.file.EEA {
		c := Country{Code: x.ID, Name: r.both(x.ID, x.Name)}
		x.ID = "eea." + x.ID
		c.Fact = r.fact(x.factRow)
		p.EEA = append(p.EEA, c)
	}
	for _, x := range r.file.Adequacy {
		s := Scope(x.Scope)
		if !slices.Contains([]Scope{ScopeAll, ScopePrivate, ScopeCommercial, ScopeSelfCertified}, s) {
			r.fail("%s: unknown scope %q", x.ID, x.Scope)
		}
		p.Adequacy = append(p.Adequacy, Adequacy{Fact: r.fact(x.factRow), Country: x.Country, Name: r.both(x.ID, x.Name), Decision: x.Decision, Scope: s})
	}
	for _, x := range r.file.Holidays {
		p.Holidays = append(p.Holidays, r.holiday(x))
	}
	for _, x := range r.file.Authorities {
		p.Authorities = append(p.Authorities, Authority{Fact: r.fact(x.factRow), Name: r.both(x.ID, x.Name),
			Subject: Subject(x.Subject), Address: x.Address, Phone: x.Phone, Email: x.Email, Website: x.Website})
	}
	for _, x := range r.file.Wordings {
		p.Wordings = append(p.Wordings, Wording{Fact: r.fact(x.factRow), Text: r.both(x.ID, x.Text)})
	}
}

func (r *reader) fact(x factRow) Fact {
	f := Fact{
		ID: r.file.Name + "." + x.ID, Law: x.Law, Source: x.Source,
		From: r.date(x.ID, "valid_from", x.From), Contested: x.Contested,
		Status: Status(or(x.Status, r.file.Default.Status)), Checker: x.Checker,
		Date: r.date(x.ID, "date", or(x.Date, r.file.Default.Date)), Note: x.Note,
	}
	if x.Until != "" {
		f.Until = r.date(x.ID, "valid_until", x.Until)
		if f.Until.Before(f.From) {
			r.fail("%s: ends before it begins", x.ID)
		}
	}
	if x.ID == "" || x.Source == "" || x.Law == "" {
		r.fail("%s: id, law and source are needed", x.ID)
	}
	if f.Status != Checked && f.Status != Unchecked {
		r.fail("%s: status is checked or unchecked", x.ID)
	}
	if f.Status == Checked && x.Checker == "" {
		r.fail("%s: a checked value names who checked it", x.ID)
	}
	return f
}

var isoPeriod = regexp.MustCompile(`^P(\d+Y)?(\d+M)?(\d+W)?(\d+D)?(T(\d+H)?(\d+M)?(\d+S)?)?$`)

func (r *reader) value(x valueRow) {
	ok := false
	switch Kind(x.Kind) {
	case Period:
		ok = isoPeriod.MatchString(x.Value)
	case Number:
		_, err := strconv.Atoi(x.Value)
		ok = err == nil
	case Hash:
		ok = len(x.Value) == 64
	}
	if !ok {
		r.fail("%s: %q is not of kind %q", x.ID, x.Value, x.Kind)
	}
}

func (r *reader) holiday(x holidayRow) Holiday {
	h := Holiday{Fact: r.fact(x.factRow), Name: r.both(x.ID, x.Name), month: time.Month(x.Month), day: x.Day}
	if x.Easter != nil {
		h.movable, h.easter = true, *x.Easter
	} else if x.Month < 1 || x.Month > 12 || x.Day < 1 || x.Day > 31 {
		r.fail("%s: needs easter, or month and day", x.ID)
	}
	return h
}

// both demands every language of the program.
func (r *reader) both(id string, t text.Text) text.Text {
	for _, l := range text.Written() {
		if t[l] == "" {
			r.fail("%s: no text in %s", id, l)
		}
	}
	return t
}

func (r *reader) date(id, key, s string) time.Time {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		r.fail("%s: %s %q is not a date", id, key, s)
	}
	return t
}

func (r *reader) fail(format string, args ...any) {
	r.errs = append(r.errs, fmt.Errorf(format, args...))
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
