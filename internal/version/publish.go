package version

import (
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/ledger"
	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/text"
)

// Draft is a declaration that somebody wants to publish.
type Draft struct {
	Name        string       // file name, for places in messages
	Source      []byte       // the file
	Files       policy.Files // what it refers to
	Author      string
	Note        string
	EffectiveAt time.Time // zero: at once
}

// PublishFirst publishes an empty house's file as version 1, in force at once.
// When another replica did so meanwhile, that one counts.
func (s *Service) PublishFirst(ctx context.Context, name string, src []byte, files policy.Files) (Version, error) {
	v, err := s.Publish(ctx, Draft{Name: name, Source: src, Files: files, Author: "tillid"})
	if fault.Of(err).Kind == fault.Conflict {
		if n, e := s.newest(ctx, s.DB); e == nil && n > 0 {
			return Version{Number: n}, nil
		}
	}
	return v, err
}

// Publish stores d as the next version with everything that people will be
// shown under it, and a leaf in the log that names them, in one transaction.
// It is fault.Invalid for a draft that does not compile or takes effect in the
// past, and fault.Conflict when nothing changed or when somebody else
// published meanwhile; then nothing is stored.
//
// It does not lint: who publishes decides with the findings before them.
func (s *Service) Publish(ctx context.Context, d Draft) (Version, error) {
	plan, files, problems := Compile(d.Name, d.Source, d.Files)
	if plan == nil {
		return Version{}, errProblems(problems)
	}
	v, before, err := s.next(ctx, d, plan)
	if err != nil {
		return Version{}, err
	}
	v.Files = files
	shown, err := s.render(plan, v)
	if err != nil {
		return Version{}, err
	}
	err = s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error {
		return s.store(ctx, tx, row{Version: v, name: d.Name, source: d.Source}, before, shown)
	})
	if err != nil {
		return Version{}, err
	}
	v.Files = nil
	if s.state.Load() != nil {
		err = s.Refresh(ctx)
	}
	return v, err
}

// next numbers and classes the draft against what is stored. before is the
// hash of the version in force, "" for the first.
func (s *Service) next(ctx context.Context, d Draft, plan *policy.Plan) (v Version, before string, err error) {
	now := s.Now().UTC().Truncate(time.Millisecond)
	v = Version{
		Hash: plan.Hash, Author: d.Author, Note: d.Note, Class: First,
		PublishedAt: now, EffectiveAt: d.EffectiveAt.UTC().Truncate(time.Millisecond),
	}
	if d.EffectiveAt.IsZero() {
		v.EffectiveAt = now
	}
	if v.EffectiveAt.Before(now) {
		return v, "", fault.New(fault.Invalid, "A version cannot take effect in the past.").
			WithHint("What people were told then cannot be changed. Choose today or a later day.").In("version.past")
	}
	all, err := s.list(ctx, s.DB)
	if err != nil {
		return v, "", err
	}
	for _, old := range all {
		if old.Hash == plan.Hash {
			return v, "", errNothingChanged(old.Number)
		}
	}
	if len(all) == 0 {
		v.Number, v.EffectiveAt = 1, now
		return v, "", nil
	}
	v.Number = all[0].Number + 1
	inforce, ok := inForce(all, now)
	if !ok {
		inforce = all[len(all)-1]
	}
	_, old, err := s.load(ctx, inforce.Number)
	if err != nil {
		return v, "", err
	}
	v.Class = ClassOf(old, plan)
	return v, inforce.Hash, nil
}

// render calls Render and adds the digests. Documents must not collide.
func (s *Service) render(plan *policy.Plan, v Version) ([]Shown, error) {
	if s.Render == nil {
		return nil, nil
	}
	shown, err := s.Render(plan, v)
	if err != nil {
		return nil, err
	}
	for i := range shown {
		shown[i].SHA256 = digest(shown[i].Content)
	}
	return shown, nil
}

// store writes version, archive and leaf. The number decides a race: of two
// replicas that publish at once, the second finds it taken.
func (s *Service) store(ctx context.Context, tx *db.Tx, r row, before string, shown []Shown) error {
	newest, err := s.newest(ctx, tx)
	if err != nil {
		return err
	}
	if newest != r.Number-1 {
		return errMeanwhile()
	}
	if err := s.insert(ctx, tx, r); err != nil {
		if db.IsUnique(err) {
			return errMeanwhile().Because(err)
		}
		return err
	}
	facts := map[string]string{
		"number": strconv.Itoa(r.Number), "hash": r.Hash, "class": string(r.Class),
		"effective_at": r.EffectiveAt.Format(time.RFC3339),
	}
	for _, sh := range shown {
		if err := s.insertShown(ctx, tx, r.Number, sh); err != nil {
			return err
		}
		facts["shown."+ShownName(sh.Document, sh.Lang, sh.Format)] = sh.SHA256
	}
	if before == "" {
		before = r.Hash
	}
	_, err = s.Ledger.Append(ctx, tx, ledger.Leaf{Kind: "version.published", At: r.PublishedAt, Version: before, Facts: facts})
	return err
}

// ShownName is the file name of something shown: policy.da.html.
func ShownName(document string, l text.Lang, format string) string {
	if l == "" {
		return document + "." + format
	}
	return fmt.Sprintf("%s.%s.%s", document, l, format)
}

// contentDigest covers a version's file and everything it refers to.
func contentDigest(source []byte, files Files) string {
	h := sha256.New()
	fmt.Fprintf(h, "%x\n", sha256.Sum256(source))
	for _, name := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(h, "%q %x\n", name, sha256.Sum256(files[name]))
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

func errProblems(problems []policy.Problem) error {
	e := fault.New(fault.Invalid, "The declaration cannot be read.")
	if len(problems) > 0 {
		p := problems[0]
		e = fault.New(fault.Invalid, "%s:%d:%d: %s", p.Pos.File, p.Pos.Line, p.Pos.Col, p.Msg)
		if len(problems) > 1 {
			return e.WithHint("And %d more problems: tillid lint %s shows all of them.", len(problems)-1, p.Pos.File)
		}
		return e.WithHint("%s", p.Hint)
	}
	return e
}

func errNothingChanged(number int) *fault.Error {
	return fault.New(fault.Conflict, "Nothing changed: this declaration is version %d, word for word.", number).
		WithHint("To publish it again, set reviewed: to the day on which you read it against reality.").
		In("version.same", "Number", number)
}

func errMeanwhile() *fault.Error {
	return fault.New(fault.Conflict, "Somebody else published a version meanwhile.").
		WithHint("Look at what changed with tillid diff, then publish again.").In("version.meanwhile")
}

func errBefore() *fault.Error {
	return fault.New(fault.NotFound, "No version was in force then.").
		WithHint("The list of versions shows the first day.").In("version.before")
}

func errNone() *fault.Error {
	return fault.New(fault.NotFound, "There is no such version or document.").
		WithHint("The list of versions shows what there is.").In("version.none")
}
