// Package mail writes and sends a house's letters: receipts, answers, links.
//
// A letter is stored, sealed under a key of its own, in the transaction of the
// act that causes it, and sent by a job through the house's relay. When it has
// been sent, the row and the key go: a letter is kept no longer than its sending.
package mail

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	netmail "net/mail"
	"strings"
	"time"

	"golang.org/x/net/idna"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/job"
	"github.com/tillid/tillid/internal/subject"
	"github.com/tillid/tillid/internal/text"
)

// Service queues and sends mail for one house.
type Service struct {
	DB    *db.DB
	Keys  *subject.Keys
	From  string // address in RFC 5322 form, for example "Eksempel A/S <kontakt@eksempel.example>"
	Relay string // smtp://host:port, smtps://host; user and password may stand in it; see relay.go
	Now   func() time.Time
	Log   *slog.Logger

	// Paused reports whether a record's use is restricted (Art. 18); nil: never. Then no
	// letter about it is taken, and those that wait go on waiting.
	Paused func(ctx context.Context, q db.Queryer, record string) (bool, error)

	// Held reports whether letters wait for a person's word, after a restore; may be nil.
	Held func(ctx context.Context) (bool, error)
}

// Message is one letter to one person.
type Message struct {
	To         subject.Secret // one bare address
	Subject    string
	Text       string
	HTML       string // may be empty
	ReplyTo    string // may be empty
	RefRecord  string // record that it belongs to: erased with it while unsent; may be empty
	MessageID  string // from MessageID; made from the letter's id when empty
	InReplyTo  string // Message-ID of the letter that this one answers
	References []string
	Automatic  bool // nobody wrote it by hand (RFC 3834)
}

// refusedKept is how long a letter that the relay refused stays for staff to see.
const refusedKept = 7 * 24 * time.Hour

// Prepare makes the key of a letter. It runs before the transaction: key first
// and durable, then data. A caller that makes more keys at once may make this
// one too: any fresh key will do for Queue.
func (s *Service) Prepare(ctx context.Context) (*subject.Key, error) {
	keys, err := s.Keys.New(ctx, db.NewID())
	if err != nil {
		return nil, fmt.Errorf("make key of a letter: %w", err)
	}
	return keys[0], nil
}

// Queue stores m in tx, sealed under key, and asks for it to be sent.
func (s *Service) Queue(ctx context.Context, tx *db.Tx, m Message, key *subject.Key) error {
	if err := m.check(); err != nil {
		return err
	}
	if paused, err := s.paused(ctx, tx, m.RefRecord); err != nil {
		return err
	} else if paused {
		return subject.Restricted()
	}
	if m.MessageID == "" {
		m.MessageID = s.MessageID(key.Record)
	}
	plain, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("write letter: %w", err)
	}
	l := letter{ID: key.Record, Record: m.RefRecord, Queued: s.Now(), Sealed: key.Seal(place(key.Record), plain)}
	if err := insert(ctx, tx, l); err != nil {
		return err
	}
	return job.Add(ctx, tx, sendJob, ref{l.ID}, s.Now(), "mail:"+l.ID)
}

func (s *Service) paused(ctx context.Context, q db.Queryer, record string) (bool, error) {
	if s.Paused == nil || record == "" {
		return false, nil
	}
	return s.Paused(ctx, q, record)
}

// MessageID returns the Message-ID that belongs to seed: always the same, so that
// a letter sent twice by mishap is one letter to its receiver.
func (s *Service) MessageID(seed string) string {
	sum := sha256.Sum256([]byte("tillid message id\n" + s.From + "\n" + seed))
	domain := "localhost"
	if from, err := netmail.ParseAddress(s.From); err == nil {
		if ascii, err := asciiAddress(from.Address); err == nil {
			domain = ascii[strings.LastIndexByte(ascii, '@')+1:]
		}
	}
	return "<" + hex.EncodeToString(sum[:16]) + "@" + domain + ">"
}

// check refuses what could add a header or a recipient.
func (m *Message) check() error {
	heads := append([]string{m.To.Reveal(), m.Subject, m.ReplyTo, m.MessageID, m.InReplyTo}, m.References...)
	for _, h := range heads {
		if strings.ContainsAny(h, "\r\n\x00") {
			return fault.New(fault.Invalid, "A line break cannot stand in the header of a letter.").In("mail.header")
		}
	}
	if _, err := asciiAddress(m.To.Reveal()); err != nil {
		return fault.New(fault.Invalid, "That is not one e-mail address.").In("mail.address")
	}
	return nil
}

// asciiAddress returns a bare address with its domain in the form of the wire.
func asciiAddress(s string) (string, error) {
	a, err := netmail.ParseAddress(s)
	if err != nil || a.Name != "" || a.Address != s {
		return "", fmt.Errorf("not one bare address")
	}
	at := strings.LastIndexByte(s, '@')
	domain, err := idna.Lookup.ToASCII(s[at+1:])
	if err != nil {
		return "", fmt.Errorf("not a domain")
	}
	return s[:at+1] + domain, nil
}

// ValidAddress reports whether a letter can be sent to s: one bare address, without
// a name, with a domain that can stand in the name system.
func ValidAddress(s string) bool {
	_, err := asciiAddress(s)
	return err == nil && !strings.ContainsAny(s, "\r\n\x00 \"")
}

// Write gives a letter its text and HTML parts.
func (m Message) Write(l Letter) Message {
	m.Text, m.HTML = l.Text(), l.HTML()
	return m
}

// place is where a letter is sealed for.
func place(id string) subject.Place { return subject.Place{Table: "mail", Row: id, Column: "sealed"} }

// open reads a stored letter.
func open(key *subject.Key, l letter) (Message, error) {
	plain, err := key.Open(place(l.ID), l.Sealed)
	if err != nil {
		return Message{}, fmt.Errorf("open letter %s: %w", l.ID, err)
	}
	var m Message
	if err := json.NewDecoder(bytes.NewReader(plain)).Decode(&m); err != nil {
		return Message{}, fmt.Errorf("read letter %s: %w", l.ID, err)
	}
	return m, nil
}

// DropFor removes the unsent letters of a record in tx, and their keys after it.
// It returns how many there were. Holders call it when the record is erased.
func (s *Service) DropFor(ctx context.Context, tx *db.Tx, record string) (int, error) {
	ids, err := of(ctx, tx, record)
	if err != nil {
		return 0, err
	}
	for _, id := range ids {
		if err := s.drop(ctx, tx, id); err != nil {
			return 0, err
		}
	}
	return len(ids), nil
}

// drop removes one letter in tx and asks for its key to be destroyed.
func (s *Service) drop(ctx context.Context, tx *db.Tx, id string) error {
	if err := remove(ctx, tx, id); err != nil {
		return err
	}
	return job.Add(ctx, tx, forgetJob, ref{id}, s.Now(), "")
}

// DropWaiting throws away every letter that waits, and returns how many there were.
func (s *Service) DropWaiting(ctx context.Context) (n int, err error) {
	for {
		waiting, err := db.Texts(ctx, s.DB, `select id from mail where state = 'queued' order by queued_at limit 500`)
		if err != nil || len(waiting) == 0 {
			return n, err
		}
		err = s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error {
			for _, id := range waiting {
				if err := s.drop(ctx, tx, id); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return n, err
		}
		n += len(waiting)
	}
}

// Name, Tables, Show and Apply make the Service a subject.Holder, so that its
// table is claimed. It registers no records of its own: a letter belongs to the
// record that caused it and leaves with it.
func (s *Service) Name() string { return "mail" }

// Tables lists the table of waiting letters.
func (s *Service) Tables() []subject.Table {
	return []subject.Table{{Name: "mail", Fields: map[string]string{
		"record": "record that the letter belongs to",
		"sealed": "sealed letter, while it waits to be sent",
		"answer": "code of the relay's refusal",
	}}}
}

// Show shows nothing: what a letter says is shown by the record that caused it.
func (s *Service) Show(context.Context, db.Queryer, subject.Record, text.Lang) (subject.View, error) {
	return subject.View{}, nil
}

// Apply removes the unsent letters of a record.
func (s *Service) Apply(ctx context.Context, tx *db.Tx, r subject.Record, _ subject.Act) (subject.Receipt, error) {
	n, err := s.DropFor(ctx, tx, r.ID)
	return subject.Receipt{Rows: map[string]int{"mail": n}}, err
}
