// Package version knows which declaration is in force at a moment, and keeps
// what people were shown under it, byte for byte.
//
// The version in force is the one in the database; tillid.yaml is a draft until
// it is published. An empty house publishes its file as version 1. Versions are
// numbered from 1, never changed and never deleted: everything that is recorded
// about people points to the version it happened under.
package version

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/ledger"
	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/text"
)

// Service publishes versions and answers which one is in force.
type Service struct {
	DB     *db.DB
	Ledger *ledger.Log
	Log    *slog.Logger
	Now    func() time.Time
	// Render makes everything that people are shown under a version. It is
	// called before the version is stored; if it fails, nothing is published.
	Render func(*policy.Plan, Version) ([]Shown, error)

	state    atomic.Pointer[state]
	loading  sync.Mutex
	compiled sync.Map // number → *policy.Plan: versions never change
}

// Class says how much a change of the declaration touches people.
type Class string

const (
	First     Class = "first"          // the first version of a house
	Editorial Class = policy.Editorial // nothing that people must be told before it takes effect
	Notice    Class = policy.Notice    // new purpose, recipient, transfer or longer retention: announced before effect (Art. 13(3))
	Reconsent Class = policy.Reconsent // a purpose on consent was altered: old consents do not cover it
)

// Version is one published declaration.
type Version struct {
	Number      int
	Hash        string // policy.Plan.Hash
	Author      string // who published it: a user name, or the command line
	Class       Class
	Note        string // why, in the author's words
	PublishedAt time.Time
	EffectiveAt time.Time
	Files       Files // what the declaration refers to; only where the whole version is loaded
}

// Shown is one thing that people are shown under a version: a document in a
// language and a format, or a style sheet or picture that it needs.
type Shown struct {
	Document string // for example policy
	Lang     text.Lang
	Format   string // html, md, pdf, css, …
	SHA256   string // filled in by Publish
	Content  []byte
}

// Files are the files a version refers to, by the name the declaration uses.
type Files map[string][]byte

// ReadFile returns the file; it makes Files a policy.Files.
func (f Files) ReadFile(name string) ([]byte, error) {
	b, ok := f[name]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return b, nil
}

// state is the version in force as last read, and when that must be looked at again.
type state struct {
	version Version
	plan    *policy.Plan
	newest  int       // highest number there is
	next    time.Time // when a waiting version takes effect; zero when none waits
}

// Open makes the service ready: an empty house publishes src, its tillid.yaml,
// as version 1; any other checks that the stored versions are whole. src is then
// only a draft and is not read.
func (s *Service) Open(ctx context.Context, name string, src []byte, files policy.Files) error {
	newest, err := s.newest(ctx, s.DB)
	if err != nil {
		return err
	}
	if newest == 0 {
		if _, err := s.PublishFirst(ctx, name, src, files); err != nil {
			return err
		}
	}
	if err := s.check(ctx); err != nil {
		return err
	}
	return s.Refresh(ctx)
}

// Current returns the declaration in force; nil before Open. When the moment of a
// waiting version has come, it takes effect with this call.
func (s *Service) Current() *policy.Plan { return s.now().plan }

// InForce returns the version in force; the zero Version before Open.
func (s *Service) InForce() Version { return s.now().version }

func (s *Service) now() *state {
	st := s.state.Load()
	if st == nil {
		return &state{}
	}
	if !st.next.IsZero() && !s.Now().Before(st.next) {
		if err := s.Refresh(context.Background()); err != nil {
			s.Log.Error("version in force cannot be read", "error", err)
			return st
		}
		st = s.state.Load()
	}
	return st
}

// Refresh reads which version is in force: another replica may have published
// one. It keeps the last known state when the database does not answer.
func (s *Service) Refresh(ctx context.Context) error {
	s.loading.Lock()
	defer s.loading.Unlock()
	all, err := s.list(ctx, s.DB)
	if err != nil {
		return err
	}
	now := s.Now()
	v, ok := inForce(all, now)
	if !ok {
		return fmt.Errorf("no version is in force at %s", now.UTC().Format(time.RFC3339))
	}
	if old := s.state.Load(); old != nil && old.newest == all[0].Number && old.version.Number == v.Number {
		st := *old
		st.next = nextEffect(all, v, now)
		s.state.Store(&st)
		return nil
	}
	full, plan, err := s.load(ctx, v.Number)
	if err != nil {
		return err
	}
	s.state.Store(&state{version: *full, plan: plan, newest: all[0].Number, next: nextEffect(all, v, now)})
	return nil
}

// inForce picks from all (newest first) what was in force at t: the version
// published last among those that had taken effect. A version that waits is
// thus replaced by a later one that takes effect earlier.
func inForce(all []Version, t time.Time) (Version, bool) {
	for _, v := range all {
		if !v.EffectiveAt.After(t) {
			return v, true
		}
	}
	return Version{}, false
}

// nextEffect returns when the next version after v takes effect; zero if none waits.
func nextEffect(all []Version, v Version, now time.Time) time.Time {
	var next time.Time
	for _, w := range all {
		if w.Number > v.Number && w.EffectiveAt.After(now) && (next.IsZero() || w.EffectiveAt.Before(next)) {
			next = w.EffectiveAt
		}
	}
	return next
}

// At returns the version that was (or will be) in force at t, without its
// files; fault.NotFound for a moment before the first.
func (s *Service) At(ctx context.Context, t time.Time) (*Version, error) {
	all, err := s.list(ctx, s.DB)
	if err != nil {
		return nil, err
	}
	v, ok := inForce(all, t)
	if !ok {
		return nil, errBefore()
	}
	return &v, nil
}

// List returns all versions, newest first, without their files.
func (s *Service) List(ctx context.Context) ([]Version, error) { return s.list(ctx, s.DB) }

// Get returns one version with its files, and its declaration.
func (s *Service) Get(ctx context.Context, number int) (*Version, *policy.Plan, error) {
	return s.load(ctx, number)
}

// ByHash returns the version whose declaration has a hash, as leaves of the log
// name it; fault.NotFound if there is none.
func (s *Service) ByHash(ctx context.Context, hash string) (*Version, *policy.Plan, error) {
	if st := s.state.Load(); st != nil && st.version.Hash == hash {
		v := st.version
		return &v, st.plan, nil
	}
	all, err := s.list(ctx, s.DB)
	if err != nil {
		return nil, nil, err
	}
	for _, v := range all {
		if v.Hash == hash {
			return s.load(ctx, v.Number)
		}
	}
	return nil, nil, errNone()
}

// Replaced says which of all (newest first, as List gives them) never took
// effect, because a later one did before it.
func Replaced(all []Version) map[int]bool {
	replaced := map[int]bool{}
	var earliest time.Time
	for _, v := range all {
		if !earliest.IsZero() && !earliest.After(v.EffectiveAt) {
			replaced[v.Number] = true
		}
		if earliest.IsZero() || v.EffectiveAt.Before(earliest) {
			earliest = v.EffectiveAt
		}
	}
	return replaced
}

// ShownAs returns what people were shown under a version; fault.NotFound if
// there is no such document, language or format.
func (s *Service) ShownAs(ctx context.Context, number int, document string, l text.Lang, format string) (*Shown, error) {
	return s.shown(ctx, number, document, l, format)
}

// ShownList returns what was shown under a version, without the contents.
func (s *Service) ShownList(ctx context.Context, number int) ([]Shown, error) {
	return s.shownList(ctx, number)
}

// Asset returns a style sheet or picture that published pages use, by its digest.
func (s *Service) Asset(ctx context.Context, sha256, format string) (*Shown, error) {
	return s.asset(ctx, sha256, format)
}

// Kept returns what people were shown, by its digest, and under which version;
// fault.NotFound when it is not in the archive.
func (s *Service) Kept(ctx context.Context, sha256 string) (*Shown, int, error) {
	return s.kept(ctx, sha256)
}

// recorder notes which files a declaration reads, so that the version keeps them.
type recorder struct {
	from policy.Files
	read Files
}

func (r *recorder) ReadFile(name string) ([]byte, error) {
	if r.from == nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	b, err := r.from.ReadFile(name)
	if err == nil {
		r.read[name] = b
	}
	return b, err
}

// Compile parses a draft and returns with it the files that it refers to.
func Compile(name string, src []byte, files policy.Files) (*policy.Plan, Files, []policy.Problem) {
	r := &recorder{from: files, read: Files{}}
	plan, problems := policy.Parse(name, src, r)
	return plan, maps.Clone(r.read), problems
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
