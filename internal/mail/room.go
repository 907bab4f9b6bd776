package mail

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-message"
	_ "github.com/emersion/go-message/charset" // mail in other character sets
	gomail "github.com/emersion/go-message/mail"
	"github.com/emersion/go-smtp"
)

// Room is a mail relay that delivers to nobody: a real SMTP server on loopback
// that keeps what it gets in memory, newest first, for the demo and for tests.
type Room struct {
	Now  func() time.Time
	Keep int            // how many letters are kept; 500 when zero
	Zone *time.Location // of the times on its pages; UTC when nil

	server *smtp.Server
	addr   string

	mu    sync.Mutex
	next  int
	mails []Received
	more  chan struct{} // closed and replaced when a letter comes in
}

// Received is a letter in the room.
type Received struct {
	ID         int
	At         time.Time
	From       string   // envelope sender
	To         []string // envelope recipients
	Subject    string
	MessageID  string
	InReplyTo  string
	Automatic  bool
	Text, HTML string
	Raw        []byte
}

const (
	roomKeep    = 500
	roomMaxSize = 4 << 20
	roomMaxPart = 1 << 20
)

// Start listens at address ("127.0.0.1:0" picks a port). Only loopback is accepted.
func (r *Room) Start(address string) error {
	l, err := net.Listen("tcp", address) //nolint:noctx // lives as long as the room
	if err != nil {
		return fmt.Errorf("mail room: %w", err)
	}
	if !l.Addr().(*net.TCPAddr).IP.IsLoopback() {
		l.Close()
		return errors.New("mail room: only a loopback address will do")
	}
	r.addr = l.Addr().String()
	s := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &roomSession{room: r}, nil }))
	s.Domain, s.MaxMessageBytes, s.MaxRecipients = "mail.localhost", roomMaxSize, 100
	s.ReadTimeout, s.WriteTimeout = 30*time.Second, 30*time.Second
	s.EnableSMTPUTF8 = true
	s.ErrorLog = silent{}
	r.server = s
	go s.Serve(l) //nolint:errcheck // ends with Close
	return nil
}

// Relay returns the address for Service.Relay.
func (r *Room) Relay() string { return "smtp://" + r.addr }

// Close stops listening; the letters stay.
func (r *Room) Close() error {
	if r.server == nil {
		return nil
	}
	return r.server.Close()
}

// silent drops what the SMTP server would print about its clients.
type silent struct{}

func (silent) Printf(string, ...any) {}
func (silent) Println(...any)        {}

// roomSession is one SMTP conversation.
type roomSession struct {
	room *Room
	from string
	to   []string
}

func (s *roomSession) Reset()        { s.from, s.to = "", nil }
func (s *roomSession) Logout() error { return nil }

func (s *roomSession) Mail(from string, _ *smtp.MailOptions) error {
	s.from = from
	return nil
}

// Rcpt refuses addresses at refused.invalid, so that refusals can be seen.
func (s *roomSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	if strings.HasSuffix(strings.ToLower(to), "@refused.invalid") {
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "No such mailbox."}
	}
	s.to = append(s.to, to)
	return nil
}

func (s *roomSession) Data(body io.Reader) error {
	raw, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	m := read(raw)
	m.From, m.To = s.from, slices.Clone(s.to)
	s.room.add(m)
	return nil
}

// read takes a message apart; what cannot be read stays in Raw only.
func read(raw []byte) Received {
	m := Received{Raw: raw}
	r, err := gomail.CreateReader(strings.NewReader(string(raw)))
	if r == nil || (err != nil && !message.IsUnknownCharset(err)) {
		return m
	}
	m.Subject, _ = r.Header.Subject()
	m.MessageID = r.Header.Get("Message-Id")
	m.InReplyTo = r.Header.Get("In-Reply-To")
	auto := r.Header.Get("Auto-Submitted")
	m.Automatic = auto != "" && auto != "no"
	for range 20 {
		part, err := r.NextPart()
		if err != nil {
			break
		}
		inline, ok := part.Header.(*gomail.InlineHeader)
		if !ok {
			continue
		}
		kind, _, _ := inline.ContentType()
		b, _ := io.ReadAll(io.LimitReader(part.Body, roomMaxPart))
		switch {
		case kind == "text/plain" && m.Text == "":
			m.Text = strings.ReplaceAll(string(b), "\r\n", "\n")
		case kind == "text/html" && m.HTML == "":
			m.HTML = string(b)
		}
	}
	return m
}

func (r *Room) add(m Received) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.next++
	m.ID, m.At = r.next, r.Now()
	r.mails = slices.Insert(r.mails, 0, m)
	keep := r.Keep
	if keep == 0 {
		keep = roomKeep
	}
	r.mails = r.mails[:min(len(r.mails), keep)]
	if r.more != nil {
		close(r.more)
		r.more = nil
	}
}

// Find returns the letters to an address that contains part (all for ""), newest first.
func (r *Room) Find(part string) []Received {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.find(part)
}

func (r *Room) find(part string) []Received {
	part = strings.ToLower(strings.TrimSpace(part))
	var out []Received
	for _, m := range r.mails {
		if slices.ContainsFunc(m.To, func(to string) bool { return strings.Contains(strings.ToLower(to), part) }) {
			out = append(out, m)
		}
	}
	return out
}

// Wait returns Find(part) as soon as it has n letters, or an error when ctx ends.
func (r *Room) Wait(ctx context.Context, part string, n int) ([]Received, error) {
	for {
		r.mu.Lock()
		found := r.find(part)
		if r.more == nil {
			r.more = make(chan struct{})
		}
		more := r.more
		r.mu.Unlock()
		if len(found) >= n {
			return found, nil
		}
		select {
		case <-more:
		case <-ctx.Done():
			return found, fmt.Errorf("mail room: %d of %d letters came: %w", len(found), n, ctx.Err())
		}
	}
}

// Get returns one letter.
func (r *Room) Get(id int) (Received, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range r.mails {
		if m.ID == id {
			return m, true
		}
	}
	return Received{}, false
}

// Clear removes everything.
func (r *Room) Clear() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mails = nil
}
