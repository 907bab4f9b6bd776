package mail

import (
	"context"
	"errors"
	"fmt"
	"net"
	netmail "net/mail"
	"net/url"
	"strconv"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"
)

// relay is a parsed relay address:
//
//	smtp://relay.example:587              STARTTLS, required except on loopback
//	smtp://relay.example:25?tls=optional  STARTTLS when offered
//	smtps://user:password@relay.example   TLS from the first byte, port 465
type relay struct {
	host    string
	options []gomail.Option
}

const relayTimeout = 30 * time.Second

// ParseRelay checks a relay address; the error holds no password.
func ParseRelay(address string) error {
	_, err := parseRelay(address)
	return err
}

func parseRelay(address string) (relay, error) {
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" || (u.Scheme != "smtp" && u.Scheme != "smtps") {
		return relay{}, errors.New("mail relay: want smtp://host:port or smtps://host")
	}
	port := 587
	if u.Scheme == "smtps" {
		port = 465
	}
	if p := u.Port(); p != "" {
		if port, err = strconv.Atoi(p); err != nil {
			return relay{}, errors.New("mail relay: the port is not a number")
		}
	}
	r := relay{host: u.Hostname(), options: []gomail.Option{gomail.WithPort(port), gomail.WithTimeout(relayTimeout), gomail.WithoutNoop()}}
	r.options = append(r.options, tlsOption(u))
	if u.User != nil {
		password, _ := u.User.Password()
		r.options = append(r.options, gomail.WithSMTPAuth(gomail.SMTPAuthAutoDiscover),
			gomail.WithUsername(u.User.Username()), gomail.WithPassword(password))
	}
	return r, nil
}

func tlsOption(u *url.URL) gomail.Option {
	ip := net.ParseIP(u.Hostname())
	switch {
	case u.Scheme == "smtps":
		return gomail.WithSSL()
	case ip != nil && ip.IsLoopback() || u.Hostname() == "localhost":
		return gomail.WithTLSPolicy(gomail.NoTLS)
	case u.Query().Get("tls") == "optional":
		return gomail.WithTLSPolicy(gomail.TLSOpportunistic)
	default:
		return gomail.WithTLSPolicy(gomail.TLSMandatory)
	}
}

// refusal is the relay's final no.
type refusal struct{ answer string }

func (r *refusal) Error() string { return "relay refused: " + r.answer }

// transmit sends m now. Its errors name codes only: what a relay says often
// repeats the address.
func (s *Service) transmit(ctx context.Context, m Message, date time.Time) error {
	msg, err := s.compose(m, date)
	if err != nil {
		return &refusal{answer: "not composable"}
	}
	r, err := parseRelay(s.Relay)
	if err != nil {
		return err
	}
	client, err := gomail.NewClient(r.host, r.options...)
	if err != nil {
		return errors.New("set up relay client")
	}
	ctx, cancel := context.WithTimeout(ctx, 2*relayTimeout)
	defer cancel()
	if err := client.DialWithContext(ctx); err != nil {
		return errors.New("reach the relay: no connection, or not accepted there")
	}
	defer client.Close() //nolint:errcheck // the letter has been answered for
	return judge(client.Send(msg))
}

// judge tells a final refusal from one that may pass.
func judge(err error) error {
	if err == nil {
		return nil
	}
	var se *gomail.SendError
	if !errors.As(err, &se) {
		return errors.New("send letter: connection to the relay broke")
	}
	answer := strings.TrimSpace(fmt.Sprintf("%d %s", se.ErrorCode(), se.EnhancedStatusCode()))
	if code := se.ErrorCode(); code >= 500 && code < 600 {
		return &refusal{answer: answer}
	}
	return fmt.Errorf("send letter: relay answered %s", answer)
}

// compose builds the message as it goes over the wire.
func (s *Service) compose(m Message, date time.Time) (*gomail.Msg, error) {
	from, err := netmail.ParseAddress(s.From)
	if err != nil {
		return nil, err
	}
	if from.Address, err = asciiAddress(from.Address); err != nil {
		return nil, err
	}
	to, err := asciiAddress(m.To.Reveal())
	if err != nil {
		return nil, err
	}
	msg := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	msg.FromMailAddress(from)
	msg.ToMailAddress(&netmail.Address{Address: to})
	if m.ReplyTo != "" {
		if err := msg.ReplyTo(m.ReplyTo); err != nil {
			return nil, err
		}
	}
	msg.Subject(m.Subject)
	msg.SetDateWithValue(date)
	msg.SetMessageIDWithValue(strings.Trim(m.MessageID, "<>"))
	setThread(msg, m)
	if m.Automatic {
		msg.SetGenHeader("Auto-Submitted", "auto-generated")
		msg.SetGenHeader("X-Auto-Response-Suppress", "All")
	}
	msg.SetBodyString(gomail.TypeTextPlain, m.Text)
	if m.HTML != "" {
		msg.AddAlternativeString(gomail.TypeTextHTML, m.HTML)
	}
	return msg, nil
}

func setThread(msg *gomail.Msg, m Message) {
	if m.InReplyTo != "" {
		msg.SetGenHeaderPreformatted("In-Reply-To", m.InReplyTo)
	}
	if len(m.References) > 0 {
		msg.SetGenHeaderPreformatted("References", strings.Join(m.References, "\r\n "))
	}
}
