// Package consent asks visitors what may be stored on and read from their
// devices, keeps their answers, and lets them change their minds as easily.
//
// What is asked comes from the declaration alone: every gated service, and what
// the site itself stores for a purpose on consent. The answer lives in one signed
// cookie that the server sets, with the same lifetime for yes and no; each answer
// is a leaf of the log. A no makes nothing that singles anybody out.
package consent

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/ledger"
	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/subject"
	"github.com/tillid/tillid/internal/version"
	"github.com/tillid/tillid/internal/web"
)

// Service asks for and keeps a house's consents.
type Service struct {
	DB       *db.DB
	Plan     func() *policy.Plan // the declaration in force; may return nil
	Subjects *subject.Service
	Ledger   *ledger.Log
	House    *web.House
	Log      *slog.Logger
	Now      func() time.Time
	Secret   []byte // ≥ 32 bytes: signs the cookie

	// PlanOf returns the declaration with a hash, in force now or once. Nil: only
	// the one in force is known.
	PlanOf func(ctx context.Context, hash string) (*policy.Plan, error)

	// Kept returns what people were shown, by its digest, from the archive of
	// versions; fault.NotFound when it is not there. Nil: nothing is kept.
	Kept func(ctx context.Context, sha256 string) ([]byte, error)

	// Keep puts what was shown to one visitor into the archive of the version in
	// force, once. Nil: it is not kept.
	Keep func(ctx context.Context, shown version.Shown) error

	// Banners lists what visitors have been asked by, the newest first. Nil: nothing is listed.
	Banners func(ctx context.Context) ([]Banner, error)

	// File returns a file that the declaration in force names; nil: there are no posters.
	File func(ctx context.Context, name string) ([]byte, error)
	// Limit returns an error when a request's network makes too many choices.
	Limit func(*http.Request) error
	// Leftover reports storage that is there after a withdrawal and that the
	// declaration does not have; page is a path of the site or "".
	Leftover func(r *http.Request, technology, name, page string)

	current atomic.Pointer[offer]
	past    archive
	views   views
	news    news
	probing bool // it renders for the archive; see probe
}

// State is what a request's visitor has chosen. The zero State is that of
// somebody who has not: nothing is granted.
type State struct {
	Decided  bool           // nothing is left to ask
	Services []string       // granted services, in the declaration's order
	Purposes []string       // purposes of which everything is granted
	At       time.Time      // of the latest choice; for a no, only its day
	Visitor  subject.Secret // the visitor's random id; empty when nothing was ever granted
	GPC      bool           // the browser sends Global Privacy Control

	granted []string // ids of items: services, and the site's own storage
	answers []answer // to each item of the offer; empty when no cookie counts
}

// Has reports whether a service is granted.
func (s State) Has(service string) bool { return slices.Contains(s.Services, service) }

// HasPurpose reports whether everything that a purpose asks for is granted.
func (s State) HasPurpose(purpose string) bool { return slices.Contains(s.Purposes, purpose) }

// Granted reads a request's choice. It is pure and fails closed: without a
// declaration, with a cookie that was altered, is too old or answers questions that
// nobody knows any more, nothing is granted; of what has grown since it was
// answered, nothing is granted either.
func (s *Service) Granted(r *http.Request) State {
	state := State{GPC: gpc(r)}
	o := s.offer()
	if o.plan == nil {
		return state
	}
	c, err := r.Cookie(policy.ChoiceCookie)
	if err != nil {
		return state
	}
	kept, ok := s.decode(c.Value)
	if !ok {
		return state
	}
	state.Visitor = kept.visitor
	was, ok := s.past.get(kept.offer)
	if !ok {
		return state // nobody knows what was asked: asked anew
	}
	state.read(o, o.answers(kept, was, s.Now()))
	return state
}

// Grants returns what Granted does in the form that the gateway takes: the
// services, and the purposes for which the site may store things of its own.
func (s *Service) Grants(r *http.Request) (services, purposes []string) {
	state := s.Granted(r)
	purposes = state.Purposes
	for _, id := range state.granted {
		if own, ok := strings.CutPrefix(id, ownPrefix); ok && !state.HasPurpose(own) {
			purposes = append(purposes, own)
		}
	}
	return state.Services, purposes
}

// gpc reports whether a request carries Global Privacy Control: the header
// Sec-GPC with the value 1 and no other (w3c/gpc).
func gpc(r *http.Request) bool { return slices.Contains(r.Header["Sec-Gpc"], "1") }
