// Package law holds what the law says as dated data: adequacy decisions, public
// holidays, statutory periods, ages, floors, authorities and wordings. The
// linter, the statutory clocks and the published texts ask it; none of them
// carries such a value of its own.
//
// A law pack is a file under pack/, embedded, named by its version. Each value
// in it says where it comes from, from when until when it holds, and whether a
// named person has checked it against the source. It is engineering, not legal
// advice, and an unchecked value may warn but never refuse.
package law

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tillid/tillid/internal/text"
)

// Disclaimer is printed wherever values of a pack are shown.
var Disclaimer = text.Text{
	text.DA: "Dette er ikke juridisk rådgivning. Værdierne er indsamlet af udviklere; hver af dem siger, om en jurist har kontrolleret den.",
	text.EN: "This is not legal advice. The values were gathered by engineers; each says whether a lawyer has checked it.",
}

// Status says whether somebody has compared a value with its source and signed for it.
type Status string

const (
	Checked   Status = "checked"
	Unchecked Status = "unchecked"
)

// Fact is what every value of a pack carries.
type Fact struct {
	ID        string    // with the pack's name, for example dk.bookkeeping
	Law       string    // provision, for example "GDPR Art. 12(3)"
	Source    string    // where the value was read
	From      time.Time // first day on which it holds, midnight UTC
	Until     time.Time // last day on which it holds; zero: no end known
	Contested bool      // a court or authority is asked to set it aside
	Status    Status
	Checker   string    // the person who signed for it; empty while unchecked
	Date      time.Time // the day on which it was read, or checked
	Note      string
}

// Holds reports whether the fact holds on the day of at.
func (f Fact) Holds(at time.Time) bool {
	d := day(at)
	return !d.Before(f.From) && (f.Until.IsZero() || !d.After(f.Until))
}

// Value is one number, period or name that the law (or settled practice) sets.
type Value struct {
	Fact
	Kind  Kind
	Value string // an ISO 8601 period, a whole number or a plain string, by Kind
	Label text.Text
}

// Kind says how a Value is read.
type Kind string

const (
	Period Kind = "period" // ISO 8601 duration
	Number Kind = "number" // whole number
	Hash   Kind = "sha256" // lower-case hex
)

// Adequacy is one decision under GDPR Art. 45.
type Adequacy struct {
	Fact
	Country  string // ISO 3166-1 alpha-2, or EPO for the European Patent Organisation
	Name     text.Text
	Decision string
	Scope    Scope
}

// Scope says which recipients of a country a decision covers.
type Scope string

const (
	ScopeAll           Scope = "all"
	ScopePrivate       Scope = "private"        // the private sector only
	ScopeCommercial    Scope = "commercial"     // commercial organisations under PIPEDA only
	ScopeSelfCertified Scope = "self_certified" // organisations on the Data Privacy Framework list only
)

// Recipient is what the scope of an adequacy decision asks about.
type Recipient struct {
	Authority     bool // a public body
	Commercial    bool // under PIPEDA
	SelfCertified bool // on the list of the Data Privacy Framework
	HRData        bool // employees' data is sent
	HRCovered     bool // its certification covers employees' data
}

// Covers reports whether the decision covers the recipient.
func (a Adequacy) Covers(r Recipient) bool {
	switch a.Scope {
	case ScopePrivate:
		return !r.Authority
	case ScopeCommercial:
		return r.Commercial
	case ScopeSelfCertified:
		return r.SelfCertified && (!r.HRData || r.HRCovered)
	default:
		return true
	}
}

// Subject is what a complaint is about; it decides the authority.
type Subject string

const (
	PersonalData Subject = "personal_data"
	DeviceAccess Subject = "device_access"
	Marketing    Subject = "marketing"
)

// Authority is where people complain.
type Authority struct {
	Fact
	Name    text.Text
	Subject Subject
	Address string
	Phone   string
	Email   string
	Website string
}

// Wording is a sentence that the law or an authority makes us say.
type Wording struct {
	Fact
	Text text.Text
}

// Pack is one dated file of values.
type Pack struct {
	Name, Version string
	AsOf          time.Time // the day whose law it describes
	Values        []Value
	EEA           []Country
	Adequacy      []Adequacy
	Holidays      []Holiday
	Authorities   []Authority
	Wordings      []Wording
}

// Ref returns the name under which declarations ask for the pack: dk@2026.2.
func (p *Pack) Ref() string { return p.Name + "@" + p.Version }

// Country is a member of the European Economic Area.
type Country struct {
	Fact
	Code string
	Name text.Text
}

// Law is the packs that a declaration names, in its order. It is immutable.
type Law struct {
	packs []*Pack
}

// Load returns the packs named by refs, for example "dk@2026.2". Its error joins
// one line for every reference that cannot be met.
func Load(refs []string) (*Law, error) {
	l := &Law{}
	var errs []error
	for _, ref := range refs {
		p, err := load(ref)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if l.pack(p.Name) != nil {
			errs = append(errs, fmt.Errorf("law pack %s is named twice", p.Name))
			continue
		}
		l.packs = append(l.packs, p)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return l, nil
}

// Packs returns the packs in the order in which they were named.
func (l *Law) Packs() []*Pack { return slices.Clone(l.packs) }

func (l *Law) pack(name string) *Pack {
	for _, p := range l.packs {
		if p.Name == name {
			return p
		}
	}
	return nil
}

// Value returns the value id that holds on the day of at. The id either names
// its pack ("dk.bookkeeping") or not ("bookkeeping"): then the pack named last
// wins, so that a country's pack overrides the Union's.
func (l *Law) Value(id string, at time.Time) (Value, bool) {
	for _, p := range slices.Backward(l.packs) {
		for _, v := range p.Values {
			if (v.ID == id || v.ID == p.Name+"."+id) && v.Holds(at) {
				return v, true
			}
		}
	}
	return Value{}, false
}

// Known reports whether any pack has a value id, at whatever time.
func (l *Law) Known(id string) bool {
	return slices.Contains(l.valueIDs(), id)
}

// NearestValue returns the known value id that id was most likely meant to be, or "".
func (l *Law) NearestValue(id string) string { return nearest(id, l.valueIDs()) }

func (l *Law) valueIDs() []string {
	var ids []string
	for _, p := range l.packs {
		for _, v := range p.Values {
			ids = append(ids, v.ID)
		}
	}
	return ids
}

// EEA returns the membership of country (ISO 3166-1 alpha-2) in the European
// Economic Area on the day of at.
func (l *Law) EEA(country string, at time.Time) (Country, bool) {
	for _, p := range l.packs {
		for _, c := range p.EEA {
			if c.Code == country && c.Holds(at) {
				return c, true
			}
		}
	}
	return Country{}, false
}

// Adequacy returns the decision about country that holds on the day of at.
func (l *Law) Adequacy(country string, at time.Time) (Adequacy, bool) {
	for _, p := range l.packs {
		for _, a := range p.Adequacy {
			if a.Country == country && a.Holds(at) {
				return a, true
			}
		}
	}
	return Adequacy{}, false
}

// Authority returns the authority with that id, for example dk.datatilsynet.
func (l *Law) Authority(id string) (Authority, bool) {
	for _, p := range l.packs {
		for _, a := range p.Authorities {
			if a.ID == id {
				return a, true
			}
		}
	}
	return Authority{}, false
}

// NearestAuthority returns the known authority id that id was most likely meant to be, or "".
func (l *Law) NearestAuthority(id string) string {
	var ids []string
	for _, p := range l.packs {
		for _, a := range p.Authorities {
			ids = append(ids, a.ID)
		}
	}
	return nearest(id, ids)
}

// AuthorityFor returns where to complain about s on the day of at.
func (l *Law) AuthorityFor(s Subject, at time.Time) (Authority, bool) {
	for _, p := range slices.Backward(l.packs) {
		for _, a := range p.Authorities {
			if a.Subject == s && a.Holds(at) {
				return a, true
			}
		}
	}
	return Authority{}, false
}

// Wording returns the sentence id that holds on the day of at, found as Value finds its own.
func (l *Law) Wording(id string, at time.Time) (Wording, bool) {
	for _, p := range slices.Backward(l.packs) {
		for _, w := range p.Wordings {
			if (w.ID == id || w.ID == p.Name+"."+id) && w.Holds(at) {
				return w, true
			}
		}
	}
	return Wording{}, false
}

// Facts returns everything that the pack says, in the file's order.
func (p *Pack) Facts() []Fact {
	var fs []Fact
	for _, x := range p.Values {
		fs = append(fs, x.Fact)
	}
	for _, x := range p.EEA {
		fs = append(fs, x.Fact)
	}
	for _, x := range p.Adequacy {
		fs = append(fs, x.Fact)
	}
	for _, x := range p.Holidays {
		fs = append(fs, x.Fact)
	}
	for _, x := range p.Authorities {
		fs = append(fs, x.Fact)
	}
	for _, x := range p.Wordings {
		fs = append(fs, x.Fact)
	}
	return fs
}

// day returns midnight UTC of the calendar day that t shows in its own location.
func day(t time.Time) time.Time {
	y, m, d := t.Date()
	return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
}

// nearest returns the name closest to s, or "" when none is close.
func nearest(s string, names []string) string {
	best, at := "", len(s)/3+2
	for _, n := range names {
		if d := distance(strings.ToLower(s), strings.ToLower(n)); d < at {
			best, at = n, d
		}
	}
	return best
}

// distance is the edit distance of Levenshtein.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		left := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := left
			if a[i] != b[j] {
				change++
			}
			left = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
