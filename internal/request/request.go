// Package request is where people use their rights: the portal /privacy/me, in
// which a person sees everything that is held, who got it and when it goes,
// downloads it, and erases it.
//
// A mailed link opens it; nobody has a password. What a page answers to an
// address is the same whether the address is known or not: it is looked up in
// a job, and the answer goes to its owner by mail.
package request

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tillid/tillid/internal/connect"
	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/erase"
	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/job"
	"github.com/tillid/tillid/internal/ledger"
	"github.com/tillid/tillid/internal/mail"
	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/subject"
	"github.com/tillid/tillid/internal/text"
	"github.com/tillid/tillid/internal/web"
)

// Service answers people's requests about their data.
type Service struct {
	DB       *db.DB
	Plan     func() *policy.Plan // the declaration in force
	Subjects *subject.Service
	Holders  []subject.Holder // every feature that holds something, this one too
	Connect  *connect.Service
	Erase    *erase.Service
	Ledger   *ledger.Log
	Mail     *mail.Service
	House    *web.House
	Log      *slog.Logger
	Now      func() time.Time
	Secret   []byte // ≥ 32 bytes: hashes addresses and tokens

	// Limit returns an error when a request's network asks too often.
	Limit func(*http.Request) error
	// VisitorPerson returns the person behind the visitor id that a browser
	// holds; ok is false when it holds none.
	VisitorPerson func(*http.Request) (subject.PersonID, bool)
	// Audit notes an act of a member of staff, in the transaction of the act.
	Audit func(ctx context.Context, tx *db.Tx, act, object string) error

	packs sync.Map // law packs by the hash of the declaration that names them
}

const (
	holder      = "request"
	linkLife    = 30 * time.Minute
	sessionIdle = 30 * time.Minute
	sessionLife = 8 * time.Hour
	asksPerHour = 3
	askKept     = time.Hour
	linkJob     = "request.link"
	ended       = "case.closed" // the event of a request that has been answered
)

// newToken returns a random token of 256 bits.
func newToken() string {
	b := make([]byte, 32)
	rand.Read(b)
	return base64.RawURLEncoding.EncodeToString(b)
}

// hash is what is stored of a token or an address: keyed, and bound to what it is for.
func (s *Service) hash(purpose, value string) string {
	m := hmac.New(sha256.New, s.Secret)
	m.Write([]byte(purpose + "\n" + value))
	return hex.EncodeToString(m.Sum(nil))
}

// Ask notes that somebody asked for a link to the portal to be sent to an
// address. It does the same for known and unknown addresses. More than three
// times an hour for one address, it does nothing.
func (s *Service) Ask(ctx context.Context, address subject.Secret, l text.Lang) error {
	normal, err := subject.Normalise(subject.Email, address)
	if err != nil || !mail.ValidAddress(strings.TrimSpace(address.Reveal())) {
		return fault.New(fault.Invalid, "This is not an e-mail address.").
			WithHint("Write one address, for example name@example.dk.").In("request.address")
	}
	id := db.NewID()
	keys, err := s.Subjects.Keys.New(ctx, id)
	if err != nil {
		return fmt.Errorf("make key of a question: %w", err)
	}
	a := ask{ID: id, H: s.hash("address", normal.Reveal()), Lang: l, At: s.Now()}
	a.Sealed = keys[0].Seal(askPlace(id), []byte(strings.TrimSpace(address.Reveal())))
	return s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error {
		n, err := asksSince(ctx, tx, a.H, s.Now().Add(-askKept))
		if err != nil || n >= asksPerHour {
			return err
		}
		if err := insertAsk(ctx, tx, a); err != nil {
			return err
		}
		return job.Add(ctx, tx, linkJob, ref{id}, s.Now(), linkJob+":"+id)
	})
}

func askPlace(id string) subject.Place {
	return subject.Place{Table: "portal_ask", Row: id, Column: "sealed"}
}

// redeem uses a link's token up and opens a session for its person; ok is false
// when the link is unknown, used or too old.
func (s *Service) redeem(ctx context.Context, token string) (session string, ok bool, err error) {
	session = newToken()
	var person subject.PersonID
	err = s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error {
		if person, ok, err = useLink(ctx, tx, s.hash("link", token), s.Now()); err != nil || !ok {
			return err
		}
		return insertSession(ctx, tx, s.hash("session", session), person, s.Now().Add(sessionIdle), s.Now().Add(sessionLife))
	})
	if err != nil || !ok {
		return "", false, err
	}
	return session, true, s.atOnce(ctx, person, policy.Access, details{})
}

// log writes a leaf about a request and keeps nothing else of it.
func (s *Service) log(ctx context.Context, p subject.PersonID, kind string) error {
	return s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error {
		_, err := s.Ledger.Append(ctx, tx, s.leaf(newNonce(), p, kind))
		return err
	})
}

func (s *Service) leaf(nonce []byte, p subject.PersonID, kind string) ledger.Leaf {
	return ledger.Leaf{
		Kind: "request." + kind, At: s.Now(), Version: s.Plan().Hash,
		Commitment: ledger.Commit(nonce, string(p)), Facts: map[string]string{"right": kind},
	}
}

func newNonce() []byte {
	nonce := make([]byte, 16)
	rand.Read(nonce)
	return nonce
}

// atOnce notes a request that the portal answers by itself: a leaf in the log and, where
// a purpose for requests is declared, a case about the person that is closed. With an
// erasure, it is closed when that has ended everywhere.
func (s *Service) atOnce(ctx context.Context, p subject.PersonID, kind policy.Right, d details) error {
	if purposeOf(s.Plan()) == nil {
		return s.log(ctx, p, string(kind))
	}
	keys, err := s.Subjects.Keys.New(ctx, db.NewID())
	if err != nil {
		return fmt.Errorf("make key of a request: %w", err)
	}
	r := request{Kind: kind, State: closed, Outcome: granted, Channel: "portal", Lang: s.Plan().Languages[0], Closed: s.Now()}
	if d.Case != "" {
		r.State, r.Outcome, r.Closed = executing, "", time.Time{}
	}
	return s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error {
		_, err := s.file(ctx, tx, keys[0], p, r, d)
		return err
	})
}

// purposeOf returns the declared purpose under which requests are kept; nil when
// none is declared, or nothing says when they go. Then only the log keeps that
// there was a request.
func purposeOf(plan *policy.Plan) *policy.Purpose {
	p := plan.Purpose(plan.RightsPurpose())
	if p == nil || plan.RuleOf(p.ID, "") == nil {
		return nil
	}
	return p
}

// holderOf returns the feature that keeps a record.
func (s *Service) holderOf(name string) subject.Holder {
	i := slices.IndexFunc(s.Holders, func(h subject.Holder) bool { return h.Name() == name })
	if i < 0 {
		return nil
	}
	return s.Holders[i]
}

// baseURL is the address of the site that a request came to, when it is
// declared; else of the first site. What a request says is never put into a mail.
func (s *Service) baseURL(l text.Lang, path string) string {
	plan := s.Plan()
	for _, site := range plan.Sites {
		if len(site.Hosts) > 0 {
			return site.Origin() + path + "?lang=" + string(l)
		}
	}
	return path
}
