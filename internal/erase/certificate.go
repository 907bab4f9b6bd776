package erase

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/ledger"
)

// Format is the first thing that a certificate says about itself.
const Format = "tillid-certificate/1"

// Certificate says what was commanded and what probes saw, and what it cannot
// show. It holds no identifier of a person.
type Certificate struct {
	Format      string         `json:"format"`
	ID          string         `json:"id"`
	Controller  string         `json:"controller"`
	Case        CaseID         `json:"case"`
	Reason      Reason         `json:"reason"`
	Final       bool           `json:"final"`  // false: something is pending
	Result      string         `json:"result"` // granted, partly; empty while preliminary
	Declaration string         `json:"declaration"`
	Opened      time.Time      `json:"opened_at"`
	Deleted     time.Time      `json:"deleted_at,omitzero"` // zero when nothing could be deleted yet
	KeysGone    time.Time      `json:"keys_destroyed_at,omitzero"`
	Issued      time.Time      `json:"issued_at"`
	Engine      string         `json:"engine"` // sqlite, postgresql
	Records     int            `json:"records"`
	Keys        int            `json:"keys_destroyed"`
	Rows        map[string]int `json:"rows_deleted"`
	Processors  []Line         `json:"processors"`
	Kept        []Line         `json:"kept"`
	Backups     Backups        `json:"backups"`
	CannotShow  []string       `json:"cannot_show"`
	Leaves      []string       `json:"log_leaves"`
	Key         string         `json:"signed_by"` // verifier key in the note format

	// Set by VerifyCertificate; not part of the signed text.
	Pinned bool `json:"-"` // the key was given by the reader, not taken from the file
	Proven int  `json:"-"` // leaves that are proven to be in the log
}

// Line is one place in a certificate.
type Line struct {
	Where        string    `json:"where"`          // engagement, or holder
	Name         string    `json:"name,omitempty"` // the processor's legal name
	State        State     `json:"state"`
	Code         string    `json:"code,omitempty"`
	Commanded    time.Time `json:"commanded_at,omitzero"`
	Acknowledged time.Time `json:"acknowledged_at,omitzero"`
	Effective    time.Time `json:"effective_at,omitzero"`
	Probed       time.Time `json:"probed_at,omitzero"`
	Verified     time.Time `json:"verified_at,omitzero"`
	RequestID    string    `json:"request_id,omitempty"`
}

// Backups says how long a backup may still hold the deleted rows (which nobody
// can open once the keys' own backups are gone).
type Backups struct {
	Data      string    `json:"data,omitempty"` // ISO 8601, the oldest backup that exists
	Keys      string    `json:"keys"`
	DataUntil time.Time `json:"data_until,omitzero"`
	KeysUntil time.Time `json:"keys_until,omitzero"`
}

// What a certificate cannot show; Describe says it in words.
const (
	limitLite     = "sqlite_after_checkpoint"
	limitPostgres = "postgresql_key_destroyed"
	limitHost     = "rooted_host"
	limitBackups  = "key_backups_7_days"
	limitCopies   = "copies_made_by_people"
	limitProbe    = "probe_sees_what_the_processor_shows"
)

// keyBackup is the longest that a backup of the key store may live.
const keyBackup = 7 * 24 * time.Hour

// certify signs what is known of a case now.
func (s *Service) certify(ctx context.Context, tx *db.Tx, c *Case, tasks []Task) error {
	cert := s.certificate(c, tasks)
	text, err := json.MarshalIndent(cert, "", " ")
	if err != nil {
		return fmt.Errorf("marshal certificate: %w", err)
	}
	note, err := s.Ledger.Signer.Sign(string(text) + "\n")
	if err != nil {
		return fmt.Errorf("sign certificate: %w", err)
	}
	return insertCertificate(ctx, tx, cert, string(note))
}

func (s *Service) certificate(c *Case, tasks []Task) Certificate {
	cert := Certificate{
		Format: Format, ID: db.NewID(), Controller: s.Controller, Case: c.ID, Reason: c.Reason, Final: c.State == Ended, Result: c.Result,
		Declaration: c.Version, Opened: c.Opened.UTC(), Deleted: c.Local.UTC(), KeysGone: c.KeysGone.UTC(), Issued: s.Now().UTC().Truncate(time.Millisecond),
		Engine: "postgresql", Keys: c.Keys, Rows: c.Rows, Backups: s.backups(c), Leaves: c.Leaves, Key: s.Ledger.Signer.Verifier(),
		Processors: []Line{}, Kept: []Line{}, CannotShow: []string{limitPostgres, limitBackups, limitHost, limitCopies},
	}
	if s.DB.Lite() {
		cert.Engine, cert.CannotShow[0] = "sqlite", limitLite
	}
	for _, t := range tasks {
		switch line := s.line(t); {
		case t.Kind == AtProcessor:
			cert.Processors = append(cert.Processors, line)
		case t.State == Verified:
			cert.Records++
		case t.State != NotFound:
			cert.Kept = append(cert.Kept, line)
		}
	}
	if len(cert.Processors) > 0 {
		cert.CannotShow = append(cert.CannotShow, limitProbe)
	}
	return cert
}

func (s *Service) line(t Task) Line {
	l := Line{Where: t.Store, State: t.State, Code: t.Code, Commanded: t.Commanded, Acknowledged: t.Acknowledged, Effective: t.Effective,
		Probed: t.Probed, Verified: t.Verified, RequestID: t.RequestID}
	for _, at := range []*time.Time{&l.Commanded, &l.Acknowledged, &l.Effective, &l.Probed, &l.Verified} {
		*at = at.UTC().Truncate(time.Millisecond)
	}
	if t.State == Blocked {
		l.Code = "" // the hold's id says nothing outside
	}
	plan := s.Plan()
	if e := plan.Engagement(t.Store); e != nil {
		if p := plan.Party(e.Party); p != nil {
			l.Name = p.LegalName
		}
	}
	return l
}

func (s *Service) backups(c *Case) Backups {
	b := Backups{Keys: "P7D"}
	if !c.KeysGone.IsZero() {
		b.KeysUntil = c.KeysGone.UTC().Add(keyBackup)
	}
	plan := s.Plan()
	for _, set := range plan.Backups {
		if until := set.Horizon.After(c.Local, plan.Loc).UTC(); !c.Local.IsZero() && set.Horizon.Set && until.After(b.DataUntil) {
			b.Data, b.DataUntil = set.Horizon.String(), until
		}
	}
	return b
}

// file is a certificate as it is handed out. Its bytes are canonical: nothing
// in it can be changed without VerifyCertificate saying so.
type file struct {
	Format string          `json:"format"`
	Note   string          `json:"note"`   // the text and its signature
	Proofs []*ledger.Proof `json:"proofs"` // of the leaves that are numbered already
}

// CertificateFile returns the newest certificate of a case as a file, with
// proofs of inclusion as far as the log has come; a fault of kind NotFound
// while there is none.
func (s *Service) CertificateFile(ctx context.Context, id CaseID) ([]byte, error) {
	note, err := newestNote(ctx, s.DB, id)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fault.New(fault.NotFound, "There is no certificate yet.").
			WithHint("It is issued as soon as the keys are destroyed.").In("erase.no_certificate")
	}
	if err != nil {
		return nil, fmt.Errorf("select certificate: %w", err)
	}
	cert, _, err := readNote(note)
	if err != nil {
		return nil, err
	}
	f := file{Format: Format, Note: note, Proofs: []*ledger.Proof{}}
	for _, leaf := range cert.Leaves {
		proof, err := s.Ledger.Prove(ctx, leaf)
		if errors.Is(err, ledger.ErrWaiting) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("prove leaf: %w", err)
		}
		f.Proofs = append(f.Proofs, proof)
	}
	return encode(f)
}

func encode(f file) ([]byte, error) {
	b, err := json.MarshalIndent(f, "", " ")
	return append(b, '\n'), err
}

// maxFile bounds what VerifyCertificate reads.
const maxFile = 8 << 20

// VerifyCertificate checks a certificate's file without the house: the signature
// over every byte of the text, and the proofs of inclusion. vkey is the
// verifier key that the reader trusts; when it is empty, the key that the
// certificate names is used, and the result says so (Pinned is false): then
// only who signed is to be trusted, not that it was the controller.
func VerifyCertificate(data []byte, vkey string) (Certificate, error) {
	var f file
	if len(data) > maxFile {
		return Certificate{}, broken("it is larger than a certificate can be")
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil || f.Format != Format {
		return Certificate{}, broken("it is not a certificate of Tillid")
	}
	if canonical, err := encode(f); err != nil || !bytes.Equal(canonical, data) || slices.Contains(f.Proofs, nil) {
		return Certificate{}, broken("its bytes are not as they were written")
	}
	cert, text, err := readNote(f.Note)
	if err != nil {
		return Certificate{}, err
	}
	if vkey = strings.TrimSpace(vkey); vkey != "" && vkey != cert.Key {
		return Certificate{}, broken("it was signed with another key than the one given")
	}
	signed, err := ledger.OpenNote([]byte(f.Note), cert.Key)
	if err != nil || signed != text || !ledger.OneSignature(f.Note) {
		return Certificate{}, broken("the signature does not fit the text")
	}
	cert.Pinned = vkey != ""
	return cert, checkProofs(&cert, f.Proofs)
}

// readNote reads the text of a note without checking its signature.
func readNote(note string) (cert Certificate, text string, err error) {
	text, _, ok := strings.Cut(note, "\n\n")
	text += "\n"
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&cert); !ok || err != nil || cert.Format != Format {
		return Certificate{}, "", broken("its text cannot be read")
	}
	return cert, text, nil
}

func checkProofs(cert *Certificate, proofs []*ledger.Proof) error {
	left := slices.Clone(cert.Leaves)
	for _, p := range proofs {
		leaf, err := p.Check(cert.Key)
		i := slices.Index(left, leaf.ID)
		if err != nil || i < 0 || !p.Exact() {
			return broken("a proof that it is in the log is wrong")
		}
		left = slices.Delete(left, i, i+1)
		cert.Proven++
	}
	return nil
}

func broken(why string) error {
	return fault.New(fault.Invalid, "This certificate cannot be trusted: %s.", why).
		WithHint("Get the file again from the company's privacy page.").In("erase.broken")
}

func insertCertificate(ctx context.Context, tx *db.Tx, c Certificate, note string) error {
	_, err := tx.Exec(ctx, `insert into certificate (id, case_id, final, issued_at, note) values ($1, $2, $3, $4, $5)`,
		c.ID, string(c.Case), c.Final, at(c.Issued), note)
	if err != nil {
		return fmt.Errorf("insert certificate: %w", err)
	}
	return nil
}

func hasCertificate(ctx context.Context, tx *db.Tx, id CaseID) (bool, error) {
	var n int
	if err := tx.QueryRow(ctx, `select count(*) from certificate where case_id = $1`, string(id)).Scan(&n); err != nil {
		return false, fmt.Errorf("count certificates: %w", err)
	}
	return n > 0, nil
}

func newestNote(ctx context.Context, q db.Queryer, id CaseID) (note string, err error) {
	err = q.QueryRow(ctx, `select note from certificate where case_id = $1 order by final desc, issued_at desc, id limit 1`, string(id)).Scan(&note)
	return note, err
}
