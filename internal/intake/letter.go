package intake

import (
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/file"
	"github.com/tillid/tillid/internal/job"
	"github.com/tillid/tillid/internal/mail"
	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/subject"
	"github.com/tillid/tillid/internal/text"
)

// boxEvery is how often the mailbox is read.
const boxEvery = time.Minute

// maxLetterFiles is how many files of a letter are kept.
const maxLetterFiles = 10

// readBox takes what is in the mailbox: each letter joins a case or becomes one, and is
// then removed there.
func (s *Service) readBox(ctx context.Context) error {
	return s.Box.Each(ctx, s.Receive)
}

// letterForm is the form whose cases letters become, or nil.
func (s *Service) letterForm() *policy.Form {
	plan := s.Plan()
	i := slices.IndexFunc(plan.Forms, func(f policy.Form) bool { return f.Mailbox != "" && taken(&f) })
	if i < 0 {
		return nil
	}
	return &plan.Forms[i]
}

// Receive takes one letter, once: it joins the case whose number stands in its subject,
// if it comes from that case's person; else it becomes a case. Its clock counts from
// when the mailbox got it.
func (s *Service) Receive(ctx context.Context, in mail.Incoming) error {
	form := s.letterForm()
	if form == nil {
		return fault.New(fault.Conflict, "No form of the declaration has a mailbox.").
			WithHint("Set mailbox under the form whose cases letters shall become, and publish.").In("intake.no_mailbox")
	}
	if in.At.IsZero() || in.At.After(s.Now()) {
		in.At = s.Now()
	}
	c, found, err := s.caseOf(ctx, in)
	if err != nil {
		return err
	}
	if found {
		return s.join(ctx, c, in)
	}
	return s.begin(ctx, form, in)
}

var caseNumber = regexp.MustCompile(`\b[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}\b`)

// caseOf finds the case that a letter answers in. A number alone opens nothing: the
// letter must come from the address that the case has.
func (s *Service) caseOf(ctx context.Context, in mail.Incoming) (enquiryCase, bool, error) {
	for _, number := range caseNumber.FindAllString(strings.ToUpper(in.Subject), 5) {
		id, err := byNumber(ctx, s.DB, number)
		if err != nil || id == "" {
			return enquiryCase{}, false, err
		}
		c, err := s.load(ctx, id)
		if kind := fault.Of(err).Kind; err != nil && (kind == fault.Gone || kind == fault.NotFound) {
			continue // erased meanwhile
		}
		if err != nil {
			return enquiryCase{}, false, err
		}
		if same(c.email(), in.From) {
			return c, true, nil
		}
	}
	return enquiryCase{}, false, nil
}

func same(a, b string) bool {
	x, err1 := subject.Normalise(subject.Email, subject.Secret(a))
	y, err2 := subject.Normalise(subject.Email, subject.Secret(b))
	return err1 == nil && err2 == nil && x == y
}

// join adds a letter to a case, and reopens it.
func (s *Service) join(ctx context.Context, c enquiryCase, in mail.Incoming) error {
	id := hex.EncodeToString(s.mac("letter", string(in.Digest[:]))[:13])
	if there, err := hasEvent(ctx, s.DB, id); err != nil || there {
		return err
	}
	files, refused, err := s.letterFiles(ctx, c.key, in)
	if err != nil {
		return err
	}
	plain, err := json.Marshal(deed{Name: in.From, Text: body(in, refused)})
	if err != nil {
		return fmt.Errorf("write event: %w", err)
	}
	sealed := c.key.Seal(eventAt(id), plain)
	return s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error {
		if there, err := hasEvent(ctx, tx, id); err != nil || there {
			return err
		}
		if err := insertEvent(ctx, tx, event{ID: id, Enquiry: c.enquiry.ID, Kind: "written", At: in.At, Sealed: sealed}); err != nil {
			return err
		}
		if done, err := reopen(ctx, tx, c.enquiry.ID); err != nil {
			return err
		} else if done {
			if _, err := s.Subjects.Undo(ctx, tx, c.enquiry.ID); err != nil {
				return err
			}
		}
		if err := unanswer(ctx, tx, c.enquiry.ID); err != nil {
			return err
		}
		return s.keepFiles(ctx, tx, c.enquiry.ID, files)
	})
}

// begin makes a case of a letter.
func (s *Service) begin(ctx context.Context, form *policy.Form, in mail.Incoming) error {
	keys, err := s.Subjects.Keys.New(ctx, db.NewID())
	if err != nil {
		return err
	}
	files, refused, err := s.letterFiles(ctx, keys[0], in)
	if err != nil {
		return err
	}
	out := submission{
		form: form, lang: s.Plan().Languages[0], came: "mail", received: in.At, files: files, sealKey: keys[0], silent: in.Automatic,
		idem: hex.EncodeToString(s.mac("letter", string(in.Digest[:]))),
	}
	all := body(in, refused)
	long, email := fieldWhere(form, ofType("long_text")), fieldWhere(form, ofType("email"))
	if long == nil || email == nil {
		return fault.New(fault.Conflict, "The form with a mailbox has no field for the address, or none for the text.").In("intake.no_letter_fields")
	}
	if n := maxLength(*long); utf8.RuneCountInString(all) > n {
		whole, err := s.Files.Take(ctx, keys[0], file.Upload{Field: long.Name, Name: "mail.txt", Body: strings.NewReader(all)})
		if err != nil {
			return err
		}
		out.files = append(out.files, whole)
		all = cut(all, n)
	}
	out.answers = []answer{{email.Name, strings.TrimSpace(in.From)}, {long.Name, all}}
	if name := fieldWhere(form, func(f policy.Field) bool { return autocomplete(f) == "name" }); name != nil && strings.TrimSpace(in.Name) != "" {
		out.answers = append(out.answers, answer{name.Name, cut(printable(in.Name), maxLength(*name))})
	}
	_, err = s.submit(ctx, out)
	return err
}

// letterFiles stores what came with a letter, and names in words what was refused.
func (s *Service) letterFiles(ctx context.Context, key *subject.Key, in mail.Incoming) (files []file.File, refused []string, err error) {
	l := s.Plan().Languages[0]
	for i, a := range in.Files {
		if i == maxLetterFiles {
			refused = append(refused, text.T(l, "intake.letter.more", "Count", len(in.Files)-i))
			break
		}
		f, err := s.Files.Take(ctx, key, file.Upload{Name: a.Name, Body: bytes.NewReader(a.Content)})
		if says := fault.Of(err); err != nil && strings.HasPrefix(says.ID, "file.") {
			refused = append(refused, text.T(l, "intake.letter.refused", "Name", printable(cut(a.Name, 80)), "Why", text.T(l, "fault."+says.ID, says.Args...)))
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		files = append(files, f)
	}
	if in.Cut {
		refused = append(refused, text.T(l, "intake.letter.cut"))
	}
	return files, refused, nil
}

// body is a letter as one text: its subject, what was written, what was refused of it.
func body(in mail.Incoming, refused []string) string {
	parts := []string{printable(in.Subject), clean(in.Text), strings.Join(refused, "\n")}
	return cmp.Or(strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), "\n\n"), "–")
}

// clean takes control characters out of a text, but those of lines and columns.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return -1
		}
		return r
	}, s)
}

func printable(s string) string {
	return strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) && r != ' ' {
			return ' '
		}
		return r
	}, s)), " ")
}

func cut(s string, runes int) string {
	if utf8.RuneCountInString(s) <= runes {
		return s
	}
	return string([]rune(s)[:runes-1]) + "…"
}

// fieldWhere is the first field of a form that fits, or nil.
func fieldWhere(form *policy.Form, fits func(policy.Field) bool) *policy.Field {
	i := slices.IndexFunc(form.Fields, fits)
	if i < 0 {
		return nil
	}
	return &form.Fields[i]
}

func ofType(kind string) func(policy.Field) bool {
	return func(f policy.Field) bool { return f.Type == kind }
}

// box is the periodic reading of the mailbox, where there is one.
func (s *Service) box() []job.Periodic {
	if s.Box == nil {
		return nil
	}
	return []job.Periodic{{Name: "intake.box", Every: boxEvery, Run: s.readBox}}
}
