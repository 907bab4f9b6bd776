package intake

import (
	"github.com/tillid/tillid/internal/mail"
	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/subject"
	"github.com/tillid/tillid/internal/text"
)

// receiptMail is the letter that follows a submission: what happens now, when it
// goes, and the whole notice. It repeats nothing of what was written.
func (s *Service) receiptMail(e enquiry, form *policy.Form, r subject.Record) mail.Message {
	plan, l := s.Plan(), e.Lang
	base := baseURL(plan, form)
	rule := plan.Rule(r.Rule)
	letter := mail.Letter{Lang: l, Brand: plan.Controller.LegalName, Footer: text.T(l, "intake.mail.footer", "Number", e.Number)}
	letter.Blocks = []mail.Block{
		{Text: text.T(l, "intake.mail.hello")},
		{Text: text.T(l, "intake.mail.received", "Form", form.Label.In(l), "Number", e.Number, "At", text.Moment(l, e.Received.In(plan.Loc)))},
		{Text: text.T(l, "intake.mail.next")},
	}
	if rule != nil {
		letter.Blocks = append(letter.Blocks, mail.Block{Text: ruleText(rule, l)})
	}
	letter.Blocks = append(letter.Blocks,
		mail.Block{Text: text.T(l, "intake.mail.code", "Code", receiptCode(e.Promise))},
		mail.Block{Text: text.T(l, "intake.mail.receipt_link"), Link: base + s.receiptOf(e).Thanks},
		mail.Block{Text: text.T(l, "intake.mail.me_link"), Link: base + "/privacy/me"})
	letter.Blocks = append(letter.Blocks, blocks(s.notice(form, l))...)
	letter.Blocks = append(letter.Blocks, mail.Block{Text: text.T(l, "intake.mail.policy_link"), Link: base + "/privacy"})
	m := mail.Message{
		Subject:   text.T(l, "intake.mail.subject", "Form", form.Label.In(l), "Number", e.Number),
		RefRecord: e.ID,
		MessageID: s.Mail.MessageID("receipt " + e.ID),
		Automatic: true,
	}
	return m.Write(letter)
}

// answerMail is a member of staff's answer, in the thread of the receipt.
func (s *Service) answerMail(e enquiry, form *policy.Form, body, seed string, earlier []string) mail.Message {
	plan, l := s.Plan(), e.Lang
	thread := append([]string{s.Mail.MessageID("receipt " + e.ID)}, earlier...)
	letter := mail.Letter{Lang: l, Brand: plan.Controller.LegalName, Blocks: []mail.Block{{Text: body}},
		Footer: text.T(l, "intake.mail.answer_footer", "Number", e.Number, "Address", baseURL(plan, form)+"/privacy/me")}
	m := mail.Message{
		Subject:    text.T(l, "intake.mail.answer_subject", "Form", form.Label.In(l), "Number", e.Number),
		RefRecord:  e.ID,
		MessageID:  s.Mail.MessageID("answer " + seed),
		InReplyTo:  thread[len(thread)-1],
		References: thread,
	}
	return m.Write(letter)
}

// baseURL is the address of the site that carries a form, as declared: never
// what a request says.
func baseURL(plan *policy.Plan, form *policy.Form) string {
	for _, site := range plan.Sites {
		if (form.Site == "" || site.ID == form.Site) && len(site.Hosts) > 0 {
			return site.Origin()
		}
	}
	return ""
}
