package consent

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/ledger"
	"github.com/tillid/tillid/internal/subject"
	"github.com/tillid/tillid/internal/text"
)

// Kinds of choices, and of their leaves ("consent.given").
const (
	given     = "given"
	refused   = "refused"
	withdrawn = "withdrawn"
)

const (
	holder     = "consent"
	withdrawal = "consent.withdrawn" // the event of retention rules
)

// choice is what a visitor chose, and how they were asked.
type choice struct {
	granted []string // ids of items with a yes, in the offer's order
	answers []answer // what is in force then, to every item
	lang    text.Lang
	layer   string // banner, page, placeholder, api
	control string // the button
	unseen  bool   // made elsewhere: nothing of ours was shown
	asked   string // digest of the question, when it was about news only
}

// shown is the hash of what was said in asking; "" when nothing of ours was.
func (c choice) shown(o *offer) string {
	if c.unseen {
		return ""
	}
	return o.shown[c.lang]
}

// outcome is a choice that is kept.
type outcome struct {
	State
	kind    string
	leaf    string
	lost    []string // purposes that had a yes before, and have none now
	promise ledger.Promise
}

const day = 24 * time.Hour

// errErased says that the visitor's person was erased since their last choice.
var errErased = errors.New("person is gone")

// choose keeps a choice, durably, with its leaf.
func (s *Service) choose(ctx context.Context, o *offer, before State, c choice) (outcome, error) {
	out := outcome{State: State{GPC: before.GPC}, leaf: db.NewID()}
	out.read(o, c.answers)
	out.At = s.Now().UTC()
	out.lost = o.lost(before.granted, c.granted)
	switch {
	case len(c.granted) > 0:
		out.kind, out.Visitor = given, before.Visitor
		if out.Visitor == "" {
			out.Visitor = newVisitor()
		}
	case before.Visitor != "":
		out.kind = withdrawn
	default:
		out.kind = refused
	}
	var err error
	if c.asked, err = s.asked(ctx, o, before, c); err != nil {
		return out, fmt.Errorf("archive what was asked: %w", err)
	}
	for range 2 { // again when the person was erased in between
		switch out.kind {
		case refused:
			out.promise, err = s.keepRefusal(ctx, o, c, out)
		default:
			out.promise, err = s.keepConsent(ctx, o, before, c, out)
		}
		if !errors.Is(err, errErased) {
			break
		}
		before.Visitor = ""
		if out.kind == withdrawn {
			out.kind = refused // nothing is held about anybody: a plain no
		}
	}
	if out.kind != given {
		out.At = out.At.Truncate(day)
		for i := range out.answers {
			out.answers[i].at = out.answers[i].at.Truncate(day)
		}
	}
	return out, err
}

func newVisitor() subject.Secret {
	id := make([]byte, visitorBytes)
	rand.Read(id)
	return subject.Secret(hex.EncodeToString(id))
}

// keepRefusal keeps a no of somebody who never said yes. Nobody is concerned.
func (s *Service) keepRefusal(ctx context.Context, o *offer, c choice, out outcome) (ledger.Promise, error) {
	row := newRow(o, c, out, db.NewID())
	var leaf ledger.Appended
	err := s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) (err error) {
		if err := insertChoice(ctx, tx, row); err != nil {
			return err
		}
		leaf, err = s.Ledger.Append(ctx, tx, s.leaf(o, c, out, nil))
		return err
	})
	if err != nil {
		return ledger.Promise{}, err
	}
	return s.Ledger.Signer.Promise(leaf)
}

// keepConsent keeps a yes, or the withdrawal of one: its key first, then record,
// row and leaf in one transaction. What was chosen before is no longer relied on.
func (s *Service) keepConsent(ctx context.Context, o *offer, before State, c choice, out outcome) (p ledger.Promise, err error) {
	purpose := o.plan.ChoicePurpose()
	if purpose == "" {
		return p, fault.New(fault.Unavailable, "Choices cannot be kept: the cookie tillid_choice has no purpose in the declaration.").
			WithHint("Declare it under device_access in tillid.yaml and publish.").In("consent.purpose")
	}
	id := db.NewID()
	var visitor *subject.Prepared
	var keys []*subject.Key
	if before.Visitor == "" {
		var prepared []*subject.Prepared
		prepared, keys, err = s.Subjects.Prepare(ctx, []subject.Identifier{{Kind: subject.Visitor, Value: out.Visitor}}, id)
		if err == nil {
			visitor = prepared[0]
		}
	} else {
		keys, err = s.Subjects.Keys.New(ctx, id)
	}
	if err != nil {
		return p, fmt.Errorf("make keys of a choice: %w", err)
	}
	nonce := make([]byte, 16)
	rand.Read(nonce)
	row := newRow(o, c, out, id)
	row.sealed = keys[0].Seal(subject.Place{Table: "choice", Row: id, Column: "sealed"}, nonce)
	var leaf ledger.Appended
	err = s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) (err error) {
		person, err := s.person(ctx, tx, visitor, before.Visitor)
		if err != nil {
			return err
		}
		if visitor == nil {
			if err := s.retire(ctx, tx, o, person, out); err != nil {
				return err
			}
		}
		if err := s.register(ctx, tx, o, subject.Record{ID: id, Person: person, Holder: holder, Kind: "choice", Purpose: purpose, Received: out.At}, out); err != nil {
			return err
		}
		if err := insertChoice(ctx, tx, row); err != nil {
			return err
		}
		leaf, err = s.Ledger.Append(ctx, tx, s.leaf(o, c, out, ledger.Commit(nonce, string(person))))
		return err
	})
	if err != nil {
		return p, err
	}
	return s.Ledger.Signer.Promise(leaf)
}

// person returns who chooses: somebody new, or whom the cookie names.
func (s *Service) person(ctx context.Context, tx *db.Tx, fresh *subject.Prepared, known subject.Secret) (subject.PersonID, error) {
	if fresh != nil {
		return s.Subjects.Identify(ctx, tx, fresh)
	}
	person, ok, err := s.Subjects.Find(ctx, tx, subject.Visitor, known)
	if err != nil {
		return "", err
	}
	if !ok {
		return "", errErased
	}
	return person, s.Subjects.Lock(ctx, tx, person)
}

func (s *Service) register(ctx context.Context, tx *db.Tx, o *offer, r subject.Record, out outcome) error {
	if _, err := s.Subjects.Add(ctx, tx, r); err != nil {
		return err
	}
	if out.kind != withdrawn {
		return nil
	}
	return s.openWindow(ctx, tx, o, r.ID)
}

// retire ends the choices that a new one takes the place of, and starts their clock.
func (s *Service) retire(ctx context.Context, tx *db.Tx, o *offer, person subject.PersonID, out outcome) error {
	records, err := s.Subjects.Of(ctx, tx, person)
	if err != nil {
		return err
	}
	how := changed
	if out.kind == withdrawn {
		how = takenBack
	}
	for _, r := range records {
		if r.Holder != holder {
			continue
		}
		if ended, err := endChoice(ctx, tx, r.ID, how, out.At, ""); err != nil || !ended {
			if err != nil {
				return err
			}
			continue
		}
		if err := s.openWindow(ctx, tx, o, r.ID); err != nil {
			return err
		}
	}
	return nil
}

// leaf says what was shown and what was chosen, and nothing about who.
func (s *Service) leaf(o *offer, c choice, out outcome, commitment []byte) ledger.Leaf {
	yes, no := o.purposesOf(c.granted)
	facts := map[string]string{
		"purposes": strings.Join(yes, ","), "refused": strings.Join(no, ","), "services": strings.Join(c.granted, ","),
		"offer": o.id.String(), "shown": c.shown(o),
		"language": string(c.lang), "layer": c.layer, "control": c.control,
	}
	if len(out.lost) > 0 {
		facts["withdrawn"] = strings.Join(out.lost, ",")
	}
	if c.asked != "" {
		facts["asked"] = c.asked
	}
	o.untilFacts(facts, c.answers)
	if out.GPC {
		facts["gpc"] = "1"
	}
	return ledger.Leaf{ID: out.leaf, Kind: holder + "." + out.kind, At: out.At, Version: o.plan.Hash, Commitment: commitment, Facts: facts}
}

// decide reads what a visitor's button means: the answers that are in force after
// it, to every item.
func (o *offer) decide(before State, now time.Time, do string, services []string, layer string) (c choice, err error) {
	unknown := fault.New(fault.Invalid, "This is not one of the choices.").WithHint("Open the choices page and choose there.").In("consent.unknown")
	verb, purpose, _ := strings.Cut(do, ":")
	if verb == "allow" || verb == "refuse" {
		g := o.group(purpose)
		if g == nil {
			return c, unknown
		}
		services = nil
		for _, it := range g.Items {
			services = append(services, it.ID)
		}
	}
	named := map[int]bool{}
	for _, id := range services {
		i := slices.IndexFunc(o.items, func(it item) bool { return it.ID == id })
		if i < 0 {
			return c, unknown
		}
		named[i] = true
	}
	c.answers = make([]answer, len(o.items))
	copy(c.answers, before.answers)
	for i := range c.answers {
		var yes bool
		switch verb {
		case "none":
		case "all":
			yes = !before.GPC || layer == "page" || !o.asked[i].Ads
		case "some":
			yes = named[i]
		case "add", "allow", "remove", "refuse":
			if !named[i] {
				continue
			}
			yes = verb == "add" || verb == "allow"
		default:
			return c, unknown
		}
		c.answers[i] = answer{said: true, yes: yes, at: now}
	}
	for i, a := range c.answers {
		if a.said && a.yes {
			c.granted = append(c.granted, o.items[i].ID)
		}
	}
	return c, nil
}
