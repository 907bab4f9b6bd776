package lint

import (
	"slices"
	"strings"

	"github.com/tillid/tillid/internal/law"
	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/text"
)

func controllerIncomplete(c *Context, f *found) {
	for _, x := range []struct {
		value string
		what  text.Text
	}{
		{c.Controller.LegalName, controllerName}, {c.Controller.Address, controllerAddress}, {c.Controller.Email, controllerEmail},
	} {
		if strings.TrimSpace(x.value) == "" {
			f.at("controller", "what", x.what)
		}
	}
	if c.outside(c.Controller.Country) && c.Controller.Representative == "" {
		f.at("controller", "what", controllerRepresentative)
	}
}

func dpoUnsaid(c *Context, f *found) {
	switch d := c.Controller.DPO; {
	case d.Appointed == nil:
		f.at("controller.dpo", "problem", dpoNothing)
	case *d.Appointed && d.Contact == "":
		f.at("controller.dpo", "problem", dpoNoContact)
	case !*d.Appointed && d.Reason == "":
		f.at("controller.dpo", "problem", dpoNoReason)
	}
}

// channelMissing does not count the portal: it is reached by a mailed link, and
// people who have no mail with the company must be able to ask too.
func channelMissing(c *Context, f *found) {
	if c.Rights.Email == "" && c.Rights.Phone == "" && c.Rights.Post == "" {
		f.at("rights")
	}
}

// authorityMissing warns only about an authority whose country has no pack here:
// somewhere else people can complain too.
func authorityMissing(c *Context, f *found) {
	id := c.Controller.Authority
	a, known := c.law.Authority(id)
	near := c.law.NearestAuthority(id)
	switch pack, _, _ := strings.Cut(id, "."); {
	case id == "":
		f.at("controller", "problem", authorityUnsaid)
	case known:
		c.use(a.Fact)
	case near == "" && !slices.ContainsFunc(c.law.Packs(), func(p *law.Pack) bool { return p.Name == pack }):
		f.warn("controller.authority", "problem", fill(authorityElsewhere, []any{"id", id}))
	default:
		f.at("controller.authority", "problem", fill(authorityUnknown, []any{"id", id, "near", didYouMean(near)}))
	}
}

func answeredLate(c *Context, f *found) {
	if v, long := c.longer(c.Rights.AnswerTime, "answer"); long {
		f.at("rights.answer_time", "problem", fill(longerThan, []any{"has", c.Rights.AnswerTime, "limit", v}), "rests", v)
	}
	if len(c.Rights.Extension) == 0 {
		f.at("rights", "problem", extensionUnsaid)
	}
}

func identityDemanded(c *Context, f *found) {
	if c.Rights.IDDocument {
		f.at("rights.id_document")
	}
	for _, form := range c.Forms {
		if form.IDDocument {
			f.at("forms." + form.ID + ".id_document")
		}
	}
}

// customerAgreementIncomplete holds each agreement against Art. 28(3) and the
// appendices of the authority's clauses.
func customerAgreementIncomplete(c *Context, f *found) {
	for _, a := range c.Agreements {
		var missing []string
		for _, x := range []struct {
			key  string
			gone bool
		}{
			{"nature", len(a.Nature) == 0}, {"purpose", len(a.Purpose) == 0}, {"people", len(a.People) == 0}, {"data", len(a.Data) == 0},
			{"duration", len(a.Duration) == 0}, {"instructions", len(a.Instructions) == 0}, {"measures", len(a.Measures) == 0},
			{"authorisation", a.Authorisation == ""}, {"notice", a.Authorisation == "general" && !a.Notice.Set},
			{"assistance", len(a.Assistance) == 0}, {"breach", !a.Breach.Set}, {"end_of_contract", a.EndOfContract == ""},
			{"end_duration", !a.EndDuration.Set}, {"audit", len(a.Audit) == 0}, {"body", a.Body == ""},
			{"file", a.Body == "file" && a.File == ""}, {"sha256", a.Body == "file" && a.SHA256 == ""},
		} {
			if x.gone {
				missing = append(missing, x.key)
			}
		}
		if len(missing) > 0 {
			f.at("customer_agreement."+a.ID, "agreement", a.Label, "missing", missing)
		}
	}
}

// notTheStandardClauses needs the hash of the authority's text from the law pack.
// While nobody has signed for one there, no text can be shown to be it.
func notTheStandardClauses(c *Context, f *found) {
	for _, a := range c.Agreements {
		if !a.CalledStandard {
			continue
		}
		v, ok := c.value("standard_clauses")
		if a.Body != "file" || !ok || v.Value != a.SHA256 {
			f.at("customer_agreement."+a.ID+".called_standard", "agreement", a.Label)
		}
	}
}

func unencrypted(c *Context, f *found) {
	for _, s := range c.Sites {
		if s.TLS != nil && !*s.TLS {
			f.at("sites."+s.ID+".tls", "site", s.ID)
		}
	}
}

func secondFactorOff(c *Context, f *found) {
	if b := c.Backoffice.SecondFactor; b != nil && !*b {
		f.at("backoffice.second_factor")
	}
}

// identityInStatistics finds data that names people going to whoever measures visits.
func identityInStatistics(c *Context, f *found) {
	for _, s := range c.Services {
		e := c.Engagement(s.Engagement)
		if s.Category != "statistics" || e == nil {
			continue
		}
		var ids []string
		if p := c.Purpose(s.Purpose); p != nil && len(e.Data) == 0 {
			ids = c.direct(p.Data)
		} else if slices.Contains(e.Purposes, s.Purpose) && len(e.Purposes) == 1 {
			ids = c.direct(e.Data)
		}
		for _, id := range ids {
			f.at("services."+s.ID, "service", s.Label, "data", c.label(id))
		}
	}
}

// soon is how many days ahead a change of a law value is told, and old how many
// days a pack may lag behind.
const (
	soon = 180
	old  = 120
)

// packPath is the place in the declaration where a pack is named.
func (c *Context) packPath(name string) string {
	for i, ref := range c.Law {
		if strings.HasPrefix(ref, name+"@") {
			return item("law", i)
		}
	}
	return "law"
}

func lawChanges(c *Context, f *found) {
	for _, p := range c.law.Packs() {
		for _, x := range c.used[p.Name] {
			if c.within(x.Until, soon) {
				y, m, d := x.Until.Date()
				f.at(c.packPath(p.Name), "value", x.ID, "date", policy.Date{Year: y, Month: int(m), Day: d})
			}
		}
	}
}

func packOld(c *Context, f *found) {
	for _, p := range c.law.Packs() {
		if c.day.After(p.AsOf.AddDate(0, 0, old)) {
			y, m, d := p.AsOf.Date()
			f.at(c.packPath(p.Name), "pack", p.Ref(), "date", policy.Date{Year: y, Month: int(m), Day: d})
		}
	}
}

// lawUnchecked is one finding per pack, naming its values: thirty findings would
// be suppressed unread, one is a list that a lawyer can work through.
func lawUnchecked(c *Context, f *found) {
	for _, p := range c.law.Packs() {
		var ids []string
		for _, x := range c.used[p.Name] {
			if x.Status == law.Unchecked {
				ids = append(ids, strings.TrimPrefix(x.ID, p.Name+"."))
			}
		}
		slices.Sort(ids)
		if ids = slices.Compact(ids); len(ids) > 0 {
			f.at(c.packPath(p.Name), "pack", p.Ref(), "values", ids)
		}
	}
}
