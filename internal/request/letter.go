package request

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/law"
	"github.com/tillid/tillid/internal/mail"
	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/subject"
	"github.com/tillid/tillid/internal/text"
)

// letter is what a person is told, as it was sent or printed.
type letter struct {
	Subject string       `json:"subject"`
	Lang    text.Lang    `json:"lang"`
	Blocks  []mail.Block `json:"blocks"`
	Mailed  bool         `json:"mailed"` // else it was printed, for an address that is on file
}

// Kinds of letter. Each but the receipt and the notice is an act of its own, too.
const (
	receiptLetter   = "receipt"
	identityLetter  = "identity"
	extensionLetter = "extension"
	refusalLetter   = "refusal"
	answerLetter    = "answer"
	liftLetter      = "lift"
)

// draft is what a member of staff puts into a letter. What the law demands stands
// around it and cannot be taken out.
type draft struct {
	Opening, Closing string
	Code             string // of a ground or reason
	Why              string // the reasons of this case
	What             string // what is asked for as proof
}

// codesFor returns the coded reasons that a letter of a kind chooses from; none: it needs none.
func codesFor(kind string, r request) []string {
	switch {
	case kind == extensionLetter:
		return extensions()
	case kind == refusalLetter, kind == answerLetter && r.Outcome == partly:
		var codes []string
		for _, g := range groundsFor(r.Kind) {
			codes = append(codes, g.Code)
		}
		return codes
	}
	return nil
}

// needs names the texts of its own that a letter of a kind cannot do without.
func needs(kind string, r request) (why, what bool) {
	switch kind {
	case identityLetter:
		return true, true
	case extensionLetter, refusalLetter:
		return true, false
	case answerLetter:
		return r.Outcome == partly || r.Kind == policy.Complaint, false
	}
	return false, false
}

// check returns the draft as it may be sent, or what is missing.
func (d draft) check(kind string, r request) (draft, error) {
	why, what := needs(kind, r)
	var err error
	if d.Why, err = written(d.Why); err != nil && (why || d.Why != "") {
		return d, fault.New(fault.Invalid, "The reasons are missing, or longer than %d characters.", maxWords).In("request.why", "Max", maxWords)
	}
	if d.What, err = written(d.What); err != nil && (what || d.What != "") {
		return d, fault.New(fault.Invalid, "Say what you ask for as proof.").WithHint("Ask for as little as will do; a copy of an identity card hardly ever is.").In("request.what")
	}
	for _, s := range []*string{&d.Opening, &d.Closing} {
		if *s, err = written(*s); err != nil && *s != "" {
			return d, err
		}
	}
	if codes := codesFor(kind, r); codes != nil && !slices.Contains(codes, d.Code) {
		return d, fault.New(fault.Invalid, "Choose one of the reasons that the law knows.").In("request.code")
	}
	return d, nil
}

// part is one paragraph of a letter. What is not Locked is the writer's own.
type part struct {
	mail.Block
	Locked bool
}

// parts composes a letter: the writer's opening, what the law demands, the writer's closing.
func (s *Service) parts(w work, kind string, d draft) ([]part, error) {
	r, l, plan := w.request, w.request.Lang, s.Plan()
	var out []part
	own := func(words string) {
		if words != "" {
			out = append(out, part{Block: mail.Block{Text: words}})
		}
	}
	say := func(id string, kv ...any) {
		out = append(out, part{mail.Block{Text: text.T(l, "request.letter."+id, kv...)}, true})
	}
	day := func(t time.Time) string { return text.Date(l, t.In(plan.Loc)) }
	right := text.T(l, "request.kind."+string(r.Kind))
	own(d.Opening)
	say("about", "Right", right, "Number", r.Number, "Date", day(r.At), "Name", plan.Controller.LegalName)
	switch kind {
	case receiptLetter:
		say("receipt", "Due", day(w.deadline.Due))
	case identityLetter:
		say("identity", "Why", d.Why)
		say("identity.what", "What", d.What)
		say("identity.clock")
	case extensionLetter:
		latest := w
		latest.request.Told = s.Now()
		longer, err := s.deadline(latest.request, w.past)
		if err != nil {
			return nil, err
		}
		say("extension", "First", day(w.deadline.Due), "Due", day(longer.Due), "Code", text.T(l, "request.extension."+code(d.Code)))
		say("why", "Why", d.Why)
	case refusalLetter:
		say("refusal", "Right", right)
		s.say(say, l, d)
	case answerLetter:
		say("answer."+string(r.Kind)+"."+string(r.Outcome), "Portal", s.baseURL(l, "/privacy/me"))
		if r.Outcome == partly {
			s.say(say, l, d)
		} else {
			own(d.Why)
		}
	case liftLetter:
		say("lift", "Date", day(s.Now().Add(liftNotice)))
		own(d.Why)
	}
	if kind != receiptLetter && kind != identityLetter {
		if err := s.remedies(say, r, l, w.details.Subject); err != nil {
			return nil, err
		}
	}
	say("free", "Email", contact(plan))
	own(d.Closing)
	return out, nil
}

// code is the id of a coded reason before one has been chosen.
func code(c string) string {
	if c == "" {
		return "choose"
	}
	return c
}

// say says the coded ground, with its article, and the reasons of this case (Art. 12(4)).
func (s *Service) say(say func(string, ...any), l text.Lang, d draft) {
	i := slices.IndexFunc(grounds(), func(g ground) bool { return g.Code == d.Code })
	if i >= 0 {
		say("ground", "Ground", text.T(l, "request.ground."+d.Code), "Article", grounds()[i].Article)
	} else {
		say("ground.choose")
	}
	say("why", "Why", d.Why)
}

// remedies names where to complain, and the court (Art. 12(4), 77, 79).
func (s *Service) remedies(say func(string, ...any), r request, l text.Lang, about string) error {
	a, ok, err := s.authority(law.Subject(about))
	if err != nil {
		return err
	}
	if ok {
		say("complaint", "Authority", addressOf(a, l))
	} else {
		say("complaint.unknown")
	}
	say("remedy")
	return nil
}

// authority returns where to complain about a subject, by the law packs; about personal
// data to the authority that the declaration names.
func (s *Service) authority(about law.Subject) (law.Authority, bool, error) {
	packs, err := s.law()
	if err != nil {
		return law.Authority{}, false, err
	}
	if about == "" || about == law.PersonalData {
		if a, ok := packs.Authority(s.Plan().Controller.Authority); ok {
			return a, true, nil
		}
		about = law.PersonalData
	}
	a, ok := packs.AuthorityFor(about, s.Now())
	return a, ok, nil
}

// addressOf is how an authority is reached, in one line.
func addressOf(a law.Authority, l text.Lang) string {
	parts := slices.DeleteFunc([]string{a.Name.In(l), a.Address, a.Phone, a.Email, a.Website}, func(s string) bool { return s == "" })
	return strings.Join(parts, ", ")
}

// compose makes the letter.
func (s *Service) compose(w work, kind string, d draft) (letter, error) {
	parts, err := s.parts(w, kind, d)
	if err != nil {
		return letter{}, err
	}
	out := letter{Lang: w.request.Lang, Subject: text.T(w.request.Lang, "request.letter.subject", "Number", w.request.Number, "Name", s.Plan().Controller.LegalName)}
	for _, p := range parts {
		out.Blocks = append(out.Blocks, p.Block)
	}
	return out, nil
}

// post is a letter that is ready to be queued.
type post struct {
	message mail.Message
	key     *subject.Key
}

// ready addresses a letter to the person's address on file. Whoever has none gets it printed:
// an address that somebody names in a request never receives anything.
func (s *Service) ready(ctx context.Context, w work, l *letter) (*post, error) {
	known, err := s.Subjects.Identifiers(ctx, s.DB, w.record.Person)
	if err != nil || len(known[subject.Email]) == 0 {
		return nil, err
	}
	key, err := s.Mail.Prepare(ctx)
	if err != nil {
		return nil, err
	}
	l.Mailed = true
	m := mail.Message{To: known[subject.Email][0], Subject: l.Subject, RefRecord: w.request.ID, ReplyTo: contact(s.Plan())}
	return &post{m.Write(mail.Letter{Lang: l.Lang, Brand: s.Plan().Controller.LegalName, Blocks: l.Blocks}), key}, nil
}

func (s *Service) queue(ctx context.Context, tx *db.Tx, p *post) error {
	if p == nil {
		return nil
	}
	return s.Mail.Queue(ctx, tx, p.message, p.key)
}

// allowed reports whether a letter of a kind can be sent at this step of a case.
func (s *Service) allowed(w work, kind string) bool {
	r := w.request
	switch kind {
	case receiptLetter:
		return r.open() && !slices.ContainsFunc(w.past, func(h happened) bool { return h.Kind == receiptLetter })
	case identityLetter:
		return r.State == received || r.State == identityOK
	case extensionLetter:
		return r.open() && r.Told.IsZero() && !s.Now().After(w.deadline.First)
	case refusalLetter:
		return r.State == assessing
	case answerLetter:
		return r.State == answering
	case liftLetter:
		return r.State == closed && w.restricts && !slices.ContainsFunc(w.past, func(h happened) bool { return h.Kind == liftLetter })
	}
	return false
}

// Send sends a letter, and does what it says: asking for proof stops the clock, an
// extension and a refusal hold from then on, an answer closes the case.
func (s *Service) Send(ctx context.Context, id, kind string, d draft) error {
	w, err := s.load(ctx, id)
	if err != nil {
		return err
	}
	if !s.allowed(w, kind) {
		return errStep()
	}
	if d, err = d.check(kind, w.request); err != nil {
		return err
	}
	l, err := s.compose(w, kind, d)
	if err != nil {
		return err
	}
	p, err := s.ready(ctx, w, &l)
	if err != nil {
		return err
	}
	done := by(ctx)
	done.Letter, done.Code = &l, d.Code
	if kind == identityLetter {
		done.Text = d.Why // the doubt, on record (Art. 12(6))
	}
	return s.act(ctx, w, kind, done, func(r *request) error { return s.told(r, kind) }, func(ctx context.Context, tx *db.Tx, _ request) error {
		if kind == liftLetter {
			if err := s.Subjects.Lift(ctx, tx, id, s.Now().Add(liftNotice)); err != nil {
				return err
			}
		}
		return s.queue(ctx, tx, p)
	})
}

// told is what a letter does to its case.
func (s *Service) told(r *request, kind string) error {
	switch kind {
	case identityLetter:
		return r.move(identityPending)
	case extensionLetter:
		r.Told = s.Now()
	case refusalLetter:
		if err := r.move(answering); err != nil {
			return err
		}
		return r.end(refused, s.Now())
	case answerLetter:
		return r.end(r.Outcome, s.Now())
	}
	return nil
}

// liftNotice is how long after its person was told a restriction ends (Art. 18(3)).
const liftNotice = 7 * 24 * time.Hour

func errStep() error {
	return fault.New(fault.Conflict, "The case is at another step now.").
		WithHint("See the case again: somebody else may have gone on with it.").In("request.step")
}
