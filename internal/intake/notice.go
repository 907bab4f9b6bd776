package intake

import (
	"strings"

	"github.com/tillid/tillid/internal/law"
	"github.com/tillid/tillid/internal/mail"
	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/text"
)

// section is one point of the notice that people get when they send something
// (GDPR Art. 13), made from the declaration alone.
type section struct {
	Heading string
	Text    string
	Points  []string
	Link    string
}

// notice returns everything that Art. 13(1)–(2) asks for about one form.
func (s *Service) notice(form *policy.Form, l text.Lang) []section {
	plan := s.Plan()
	key := strings.Join([]string{plan.Hash, form.ID, string(l)}, "\n")
	if n, ok := s.notices.Load(key); ok {
		return n.([]section)
	}
	n := writeNotice(plan, form, l)
	s.notices.Store(key, n)
	return n
}

func writeNotice(plan *policy.Plan, form *policy.Form, l text.Lang) []section {
	purpose := plan.Purpose(form.Purpose)
	n := []section{
		{Heading: text.T(l, "intake.notice.controller"), Points: controller(plan, l)},
		{Heading: text.T(l, "intake.notice.purpose"), Text: purposeText(purpose, l)},
		{Heading: text.T(l, "intake.notice.basis"), Text: basis(purpose, l)},
		{Heading: text.T(l, "intake.notice.recipients"), Points: recipients(plan, purpose.ID, l)},
		{Heading: text.T(l, "intake.notice.keep"), Points: keeping(plan, purpose.ID, l)},
		{Heading: text.T(l, "intake.notice.rights"), Points: rights(plan, purpose, l)},
		{Heading: text.T(l, "intake.notice.must"), Text: provision(purpose, l)},
		{Heading: text.T(l, "intake.notice.automated"), Text: automated(purpose, l)},
		{Heading: text.T(l, "intake.notice.authority"), Points: authority(plan, l)},
	}
	if has(plan, purpose.ID, policy.Objection) {
		n = append(n, section{Heading: text.T(l, "intake.notice.object"), Text: text.T(l, "intake.notice.object.text", "Email", contact(plan))})
	}
	return n
}

func controller(plan *policy.Plan, l text.Lang) []string {
	c := plan.Controller
	name := c.LegalName
	if c.CVR != "" {
		name += ", " + text.T(l, "intake.notice.cvr", "Number", c.CVR)
	}
	points := []string{name}
	for _, p := range []string{c.Address, c.Email, c.Phone} {
		if p != "" {
			points = append(points, p)
		}
	}
	if c.DPO.Appointed != nil && *c.DPO.Appointed {
		points = append(points, text.T(l, "intake.notice.dpo", "Name", strings.Trim(c.DPO.Name+", "+c.DPO.Contact, ", ")))
	}
	if c.Representative != "" {
		points = append(points, text.T(l, "intake.notice.representative", "Name", c.Representative))
	}
	return points
}

func purposeText(p *policy.Purpose, l text.Lang) string {
	return strings.TrimSpace(sentence(p.Label.In(l)) + " " + sentence(p.Description.In(l)))
}

// sentence gives s a full stop when it has none.
func sentence(s string) string {
	if s == "" || strings.ContainsRune(".!?:", rune(s[len(s)-1])) {
		return s
	}
	return s + "."
}

func basis(p *policy.Purpose, l text.Lang) string {
	b := p.Basis
	if b == nil {
		return ""
	}
	s := text.T(l, "intake.basis."+b.Art)
	if i := b.Interest.In(l); i != "" {
		s += " " + text.T(l, "intake.notice.interest", "Interest", strings.TrimSuffix(i, "."))
	}
	if b.Law != "" {
		s += " " + text.T(l, "intake.notice.law", "Law", b.Law)
	}
	return s
}

func recipients(plan *policy.Plan, purpose string, l text.Lang) []string {
	var points []string
	for _, e := range plan.RecipientsOf(purpose) {
		party := plan.Party(e.Party)
		if party == nil {
			continue
		}
		s := text.T(l, "intake.notice.recipient", "Name", party.LegalName, "Country", party.Country, "Role", text.T(l, "intake.role."+e.Role))
		if service := e.Service.In(l); service != "" {
			s += " " + sentence(service)
		}
		if e.ConsentOnly {
			s += " " + text.T(l, "intake.notice.consent_only")
		}
		for _, t := range e.Transfers {
			s += " " + text.T(l, "intake.notice.transfer", "Country", t.To, "Mechanism", text.T(l, "intake.mechanism."+t.Mechanism))
			if t.CopyURL != "" {
				s += " " + text.T(l, "intake.notice.copy", "Address", t.CopyURL)
			}
		}
		points = append(points, s)
	}
	if len(points) == 0 {
		return []string{text.T(l, "intake.notice.nobody")}
	}
	return points
}

func keeping(plan *policy.Plan, purpose string, l text.Lang) []string {
	var points []string
	for _, r := range plan.RulesFor(purpose) {
		s := ruleText(r, l)
		if len(r.Data) > 0 {
			var labels []string
			for _, id := range r.Data {
				if d := plan.DataCategory(id); d != nil {
					labels = append(labels, d.Label.In(l))
				}
			}
			s = text.List(l, labels) + ": " + s
		}
		points = append(points, s)
	}
	return points
}

// ruleText says in words when a rule acts and what it does.
func ruleText(r *policy.Rule, l text.Lang) string {
	action, event := text.T(l, "intake.action."+r.Action), eventText(r.Trigger, l)
	var s string
	if d := periodText(r.Duration, l); d == "" {
		s = text.T(l, "intake.keep.at_once", "Action", action, "Event", event)
	} else {
		s = text.T(l, "intake.keep.after", "Action", action, "Period", d, "Event", event)
	}
	if r.AtLatest.Set {
		s += " " + text.T(l, "intake.keep.latest", "Period", periodText(r.AtLatest, l))
	}
	if why := r.Reason.In(l); why != "" {
		s += " " + sentence(why)
	}
	return s
}

// periodText is a period in words; "" for no time at all.
func periodText(d policy.Duration, l text.Lang) string {
	if d.Years|d.Months|d.Weeks|d.Days|d.Hours|d.Minutes == 0 {
		return ""
	}
	return text.Period(l, d.Years, d.Months, d.Weeks, d.Days, d.Hours, d.Minutes)
}

// eventText is a trigger in words.
func eventText(trigger string, l text.Lang) string {
	id := strings.ReplaceAll(trigger, ".", "_")
	if !text.Has("intake.event." + id) {
		return text.T(l, "intake.event.other", "Event", trigger)
	}
	return text.T(l, "intake.event."+id)
}

func rights(plan *policy.Plan, p *policy.Purpose, l text.Lang) []string {
	var points []string
	for _, r := range plan.RightsOf(p.ID) {
		points = append(points, text.T(l, "intake.right."+string(r)))
	}
	if w := p.Withdrawal.In(l); p.Basis.Consent() && w != "" {
		points = append(points, sentence(w))
	}
	return append(points, text.T(l, "intake.notice.how", "Email", contact(plan)))
}

func has(plan *policy.Plan, purpose string, right policy.Right) bool {
	for _, r := range plan.RightsOf(purpose) {
		if r == right {
			return true
		}
	}
	return false
}

// contact is the address for questions about data.
func contact(plan *policy.Plan) string {
	if plan.Rights.Email != "" {
		return plan.Rights.Email
	}
	return plan.Controller.Email
}

func provision(p *policy.Purpose, l text.Lang) string {
	kind := p.Provision
	if kind == "" {
		kind = "voluntary"
	}
	return strings.TrimSpace(text.T(l, "intake.provision."+kind) + " " + sentence(p.Consequence.In(l)))
}

func automated(p *policy.Purpose, l text.Lang) string {
	if p.Automated != nil && *p.Automated {
		return strings.TrimSpace(text.T(l, "intake.notice.automated.yes") + " " + sentence(p.Logic.In(l)))
	}
	return text.T(l, "intake.notice.automated.no")
}

func authority(plan *policy.Plan, l text.Lang) []string {
	a, ok := authorityOf(plan)
	if !ok {
		return []string{plan.Controller.Authority}
	}
	points := []string{a.Name.In(l)}
	for _, p := range []string{a.Address, a.Phone, a.Email, a.Website} {
		if p != "" {
			points = append(points, p)
		}
	}
	return points
}

func authorityOf(plan *policy.Plan) (law.Authority, bool) {
	packs, err := law.Load(plan.Law)
	if err != nil {
		return law.Authority{}, false
	}
	return packs.Authority(plan.Controller.Authority)
}

// blocks writes sections as parts of a letter.
func blocks(sections []section) []mail.Block {
	var out []mail.Block
	for _, n := range sections {
		if n.Text == "" && len(n.Points) == 0 {
			continue
		}
		out = append(out, mail.Block{Heading: n.Heading})
		if n.Text != "" {
			out = append(out, mail.Block{Text: n.Text})
		}
		if len(n.Points) > 0 {
			out = append(out, mail.Block{Points: n.Points})
		}
	}
	return out
}
