// Package intake takes in what people send through the declared forms, keeps it
// sealed, and lets staff answer and close it.
//
// A submission is checked against the declaration field by field; what is not
// declared is refused. It is durable, with its key, its place in the register of
// records and its leaf in the log, before anybody is thanked.
package intake

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/file"
	"github.com/tillid/tillid/internal/job"
	"github.com/tillid/tillid/internal/ledger"
	"github.com/tillid/tillid/internal/mail"
	"github.com/tillid/tillid/internal/policy"
	"github.com/tillid/tillid/internal/subject"
	"github.com/tillid/tillid/internal/text"
	"github.com/tillid/tillid/internal/web"
)

// Service takes in and keeps a house's enquiries.
type Service struct {
	DB       *db.DB
	Plan     func() *policy.Plan // the declaration in force
	Subjects *subject.Service
	Ledger   *ledger.Log
	Mail     *mail.Service
	Files    *file.Service
	Box      *mail.Box // the mailbox that is read; nil: none
	House    *web.House
	Log      *slog.Logger
	Now      func() time.Time
	Secret   []byte // ≥ 32 bytes: signs form tokens and receipts' addresses

	// Colleagues returns the members of staff who may work on enquiries.
	Colleagues func(context.Context) ([]Colleague, error)
	// Limit returns an error when a request's network sends too many forms.
	Limit func(*http.Request) error
	// Hand hands a record to a processor, in the transaction that stores it.
	Hand func(ctx context.Context, tx *db.Tx, r subject.Record, engagement string) error
	// Erase erases records, for reason "closed" or "retention".
	Erase func(ctx context.Context, records []subject.Record, reason string) error

	patterns sync.Map // compiled patterns of fields, by their text
	notices  sync.Map // notices by declaration, form and language
}

// holder is the feature's name in the register of records.
const holder = "intake"

// receiptsPerHour is how many submissions under one address an hour are acted
// upon; more are put aside, so that nobody can fill a stranger's mailbox.
const receiptsPerHour = 5

// submission is one accepted post of a form.
type submission struct {
	form     *policy.Form
	answers  []answer
	lang     text.Lang
	token    string
	rendered rendering
	key      string // the caller's own idempotency key, of the JSON door
	trapped  bool
	files    []file.File
	sealKey  *subject.Key // of the record, when its files have arrived already

	came     string    // how it came, when staff enter it; "" through a form
	received time.Time // when it came, when staff enter it
	silent   bool      // no receipt: a machine wrote it
	idem     string    // what tells it from others; "" is worked out

	filesToken string // names that record for a form that is shown again
}

// Receipt is what the sender gets at once: evidence that does not need us.
type Receipt struct {
	ID      string         `json:"-"`
	Number  string         `json:"number"`
	Code    string         `json:"receipt_code"`
	Promise ledger.Promise `json:"promise"`
	Thanks  string         `json:"thanks"`
	Already bool           `json:"already_received"`
}

// contents is what an enquiry's sealed column holds.
type contents struct {
	Answers []answer `json:"answers"`
	Ticks   []proof  `json:"ticks,omitempty"`
	Nonce   []byte   `json:"nonce"` // opens the commitment of the leaf
}

// proof is a tick with the text that stood beside it.
type proof struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// errRepeated says that the same submission is stored already.
var errRepeated = errors.New("submission repeated")

// submit stores a submission once. For one that is stored already it returns the
// first receipt.
func (s *Service) submit(ctx context.Context, in submission) (Receipt, error) {
	idem := cmp.Or(in.idem, s.idempotencyKey(in))
	for range 3 {
		receipt, err := s.store(ctx, in, idem)
		if errors.Is(err, errRepeated) || len(in.files) > 0 && db.IsUnique(err) { // or another post took the files
			receipt, err = s.first(ctx, idem)
		}
		if errors.Is(err, sql.ErrNoRows) || db.IsUnique(err) {
			continue // the first one was rolled back; or the case number was taken
		}
		return receipt, err
	}
	if len(in.files) > 0 {
		return Receipt{}, errSent
	}
	return Receipt{}, errors.New("store submission: its key or number is always taken")
}

// first returns the receipt of what is stored already. It looks in a transaction, which
// ends when what it saw is durable: others may not have been committed yet.
func (s *Service) first(ctx context.Context, idem string) (r Receipt, err error) {
	err = s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error {
		e, err := byIdempotency(ctx, tx, idem)
		if err == nil {
			r = s.receiptOf(e)
			r.Already = true
		}
		return err
	})
	return r, err
}

// store writes everything that a submission is in one transaction, its keys before it.
func (s *Service) store(ctx context.Context, in submission, idem string) (Receipt, error) {
	prepared, key, err := s.prepare(ctx, in)
	if err != nil {
		return Receipt{}, fmt.Errorf("make keys of a submission: %w", err)
	}
	nonce := make([]byte, 16)
	rand.Read(nonce)
	sealed, err := seal(key, contents{Answers: in.answers, Ticks: ticks(in), Nonce: nonce})
	if err != nil {
		return Receipt{}, err
	}
	e := enquiry{
		ID: key.Record, Form: in.form.ID, Kind: kindOf(in.form), Number: newNumber(), Idem: idem, State: "open", Quarantine: s.suspicion(in),
		Lang: in.lang, Consents: consentNames(in.form, in.answers), Received: s.Now(), Sealed: sealed, Came: in.came,
	}
	if in.came != "" {
		e.Received, e.Quarantine = in.received, ""
	}
	var receipt Receipt
	err = s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error {
		stored, err := s.insert(ctx, tx, e, in, prepared, nonce)
		receipt = s.receiptOf(stored)
		return err
	})
	return receipt, err
}

// prepare makes the keys of a submission's identifier and, unless its files have
// arrived under it, of its record.
func (s *Service) prepare(ctx context.Context, in submission) (*subject.Prepared, *subject.Key, error) {
	who := []subject.Identifier{identifier(in)}
	if in.sealKey != nil {
		prepared, _, err := s.Subjects.Prepare(ctx, who)
		if err != nil {
			return nil, nil, err
		}
		return prepared[0], in.sealKey, nil
	}
	prepared, keys, err := s.Subjects.Prepare(ctx, who, db.NewID())
	if err != nil {
		return nil, nil, err
	}
	return prepared[0], keys[0], nil
}

// insert writes a submission's rows, its leaf and its jobs.
func (s *Service) insert(ctx context.Context, tx *db.Tx, e enquiry, in submission, who *subject.Prepared, nonce []byte) (enquiry, error) {
	person, err := s.Subjects.Identify(ctx, tx, who)
	if err != nil {
		return e, err
	}
	record, err := s.register(ctx, tx, &e, in.form, person)
	if err != nil {
		return e, err
	}
	leaf, err := s.Ledger.Append(ctx, tx, leafOf(record, e, in, nonce))
	if err != nil {
		return e, err
	}
	if e.Promise, err = s.Ledger.Signer.Promise(leaf); err != nil { // its code stands in the receipt
		return e, err
	}
	e.Leaf = leaf.LeafID
	stored, err := insertEnquiry(ctx, tx, e)
	if err != nil {
		return e, err
	}
	if !stored {
		return e, errRepeated
	}
	if err := s.keepFiles(ctx, tx, e.ID, in.files); err != nil {
		return e, err
	}
	return e, s.actOn(ctx, tx, e, in, record)
}

func (s *Service) keepFiles(ctx context.Context, tx *db.Tx, record string, files []file.File) error {
	if len(files) == 0 {
		return nil
	}
	ids := make([]string, len(files))
	for i, f := range files {
		ids[i] = f.ID
	}
	return s.Files.Keep(ctx, tx, record, ids)
}

// register adds the record, and puts the submission aside when its sender sends too many.
func (s *Service) register(ctx context.Context, tx *db.Tx, e *enquiry, form *policy.Form, person subject.PersonID) (subject.Record, error) {
	held, err := s.Subjects.Of(ctx, tx, person)
	if err != nil {
		return subject.Record{}, err
	}
	recent := 0
	for _, r := range held {
		if r.Holder == holder && r.Received.After(e.Received.Add(-time.Hour)) {
			recent++
		}
	}
	if recent >= receiptsPerHour && e.Quarantine == "" && slices.Contains([]string{"", "mail"}, e.Came) {
		e.Quarantine = "many"
	}
	return s.Subjects.Add(ctx, tx, subject.Record{
		ID: e.ID, Person: person, Holder: holder, Kind: e.Kind, Purpose: form.Purpose, Received: e.Received,
	})
}

// actOn asks for the receipt and hands the record to the form's processors.
// What is put aside is not acted upon.
func (s *Service) actOn(ctx context.Context, tx *db.Tx, e enquiry, in submission, record subject.Record) error {
	if e.Quarantine != "" {
		return nil
	}
	if wantsReceipt(in.form) && !in.silent && given(in, "email") != "" {
		if err := job.Add(ctx, tx, receiptJob, ref{e.ID}, e.Received, receiptJob+":"+e.ID); err != nil {
			return err
		}
	}
	return s.handOver(ctx, tx, record, in.form, e.Consents)
}

// handOver hands a record to the form's processors.
func (s *Service) handOver(ctx context.Context, tx *db.Tx, record subject.Record, form *policy.Form, ticked []string) error {
	for _, e := range s.receivers(form, ticked) {
		if err := s.Hand(ctx, tx, record, e.ID); err != nil {
			return fmt.Errorf("hand over: %w", err)
		}
	}
	return nil
}

// receivers returns the engagements that get what is sent through a form: one that
// is declared as consent-only, only with a tick for one of its purposes.
func (s *Service) receivers(form *policy.Form, ticked []string) []*policy.Engagement {
	var out []*policy.Engagement
	for _, id := range form.SendTo {
		if e := s.Plan().Engagement(id); e != nil && (!e.ConsentOnly || consented(form, ticked, e.Purposes)) {
			out = append(out, e)
		}
	}
	return out
}

// consented reports whether one of the ticked consents is for one of purposes.
func consented(form *policy.Form, given, purposes []string) bool {
	return slices.ContainsFunc(form.Consents, func(c policy.Consent) bool {
		return slices.Contains(given, c.Name) && slices.ContainsFunc(c.Purposes, func(p string) bool { return slices.Contains(purposes, p) })
	})
}

// consentNames returns the names of the form's consents that were ticked.
func consentNames(form *policy.Form, answers []answer) []string {
	var out []string
	for _, c := range form.Consents {
		if slices.ContainsFunc(answers, func(a answer) bool { return a.Name == c.Name }) {
			out = append(out, c.Name)
		}
	}
	return out
}

// leafOf is what the log keeps of a submission: which form and purpose, what
// text was shown; about whom only as a commitment.
func leafOf(r subject.Record, e enquiry, in submission, nonce []byte) ledger.Leaf {
	notice := sha256.Sum256([]byte(in.form.Notice.In(in.lang)))
	facts := map[string]string{
		"form": e.Form, "purpose": r.Purpose, "language": string(in.lang), "notice": hex.EncodeToString(notice[:]),
	}
	if len(e.Consents) > 0 {
		facts["consents"] = strings.Join(e.Consents, " ")
	}
	return ledger.Leaf{
		Kind: "enquiry.received", At: e.Received, Version: r.Version,
		Commitment: ledger.Commit(nonce, string(r.Person)), Facts: facts,
	}
}

// ticks returns the consents that were given, with the text that was shown.
func ticks(in submission) []proof {
	var out []proof
	for _, c := range in.form.Consents {
		if slices.ContainsFunc(in.answers, func(a answer) bool { return a.Name == c.Name }) {
			out = append(out, proof{c.Name, c.Text.In(in.lang)})
		}
	}
	return out
}

// identifier is how the sender will be known: by e-mail, else phone, else by a
// random id that nobody holds.
func identifier(in submission) subject.Identifier {
	if v := given(in, "email"); v != "" {
		return subject.Identifier{Kind: subject.Email, Value: subject.Secret(v)}
	}
	if v := given(in, "phone"); v != "" {
		return subject.Identifier{Kind: subject.Phone, Value: subject.Secret(v)}
	}
	return subject.Identifier{Kind: subject.Visitor, Value: subject.Secret(db.NewID())}
}

// given returns the value of the form's first filled-in field of a type.
func given(in submission, kind string) string {
	for _, f := range in.form.Fields {
		for _, a := range in.answers {
			if f.Type == kind && a.Name == f.Name {
				return a.Value
			}
		}
	}
	return ""
}

func kindOf(f *policy.Form) string {
	if f.Kind == "" {
		return "enquiry"
	}
	return f.Kind
}

// taken reports whether this package takes in forms of that kind.
func taken(f *policy.Form) bool {
	return slices.Contains([]string{"enquiry", "callback", "other"}, kindOf(f))
}

func wantsReceipt(f *policy.Form) bool { return f.AutoReply == nil || *f.AutoReply }

func (s *Service) receiptOf(e enquiry) Receipt {
	return Receipt{ID: e.ID, Number: e.Number, Code: receiptCode(e.Promise), Promise: e.Promise, Thanks: "/privacy/thanks/" + s.thanksToken(e.ID)}
}

// receiptCode is a short form of the leaf's hash: what the log says can be held
// against it.
func receiptCode(p ledger.Promise) string {
	b, err := base64.StdEncoding.DecodeString(p.Hash)
	if err != nil || len(b) < 12 {
		return ""
	}
	return code(b, 12)
}

func sealedAt(id string) subject.Place {
	return subject.Place{Table: "enquiry", Row: id, Column: "sealed"}
}

func seal(key *subject.Key, c contents) ([]byte, error) {
	plain, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("write contents: %w", err)
	}
	return key.Seal(sealedAt(key.Record), plain), nil
}

// open returns what an enquiry holds; a fault of kind Gone when its key is destroyed.
func (s *Service) open(ctx context.Context, e enquiry) (contents, *subject.Key, error) {
	key, err := s.Subjects.Keys.Get(ctx, e.ID)
	if err != nil {
		return contents{}, nil, err
	}
	plain, err := key.Open(sealedAt(e.ID), e.Sealed)
	if err != nil {
		return contents{}, nil, fmt.Errorf("open enquiry %s: %w", e.ID, err)
	}
	var c contents
	if err := json.Unmarshal(plain, &c); err != nil {
		return contents{}, nil, fmt.Errorf("read enquiry %s: %w", e.ID, err)
	}
	return c, key, nil
}
