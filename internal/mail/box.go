package mail

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"github.com/tillid/tillid/internal/fault"
)

// Box is a mailbox that is read over IMAP4 (RFC 9051; UID EXPUNGE of RFC 4315).
type Box struct {
	URL string // imaps://user:password@host:993/INBOX; imap:// with STARTTLS, or in the clear on loopback
	Log *slog.Logger
}

// Limits of one look into a mailbox.
const (
	boxLetters = 50
	boxSize    = 25 << 20
	boxTime    = 5 * time.Minute
)

// CheckBox says what is wrong with a mailbox's address. It never prints it: it holds a password.
func CheckBox(address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "imap" && u.Scheme != "imaps" || u.Hostname() == "" || u.User == nil {
		return fault.New(fault.Invalid, "TILLID_IMAP_URL is not the address of a mailbox.").
			WithHint("Write imaps://user:password@host:993/INBOX, with %%40 for an @ in the user's name.")
	}
	return nil
}

// Each hands the letters of the mailbox to take, the oldest first, and removes each
// there once take has returned nil. One that take or we cannot read stays, and does not
// stop the others; the error then says how many.
func (b *Box) Each(ctx context.Context, take func(context.Context, Incoming) error) error {
	ctx, cancel := context.WithTimeout(ctx, boxTime)
	defer cancel()
	c, err := b.dial(ctx)
	if err != nil {
		return fmt.Errorf("reach mailbox: %w", err)
	}
	defer c.Close()                                          //nolint:errcheck // nothing is pending
	defer context.AfterFunc(ctx, func() { _ = c.Close() })() // ends a command that hangs
	uids, err := b.open(c)
	if err != nil {
		return err
	}
	left := 0
	for _, uid := range uids[:min(len(uids), boxLetters)] {
		err := b.one(ctx, c, uid, take)
		var own *letterError
		if errors.As(err, &own) {
			left++
			b.Log.WarnContext(ctx, "a letter stays in the mailbox", "uid", uint32(uid), "err", own.err)
			continue
		}
		if err != nil {
			return err
		}
	}
	if left > 0 {
		return fmt.Errorf("%d letters could not be taken and stay in the mailbox", left)
	}
	return c.Logout().Wait()
}

// letterError is what is wrong with one letter, not with the mailbox.
type letterError struct{ err error }

func (e *letterError) Error() string { return e.err.Error() }
func (e *letterError) Unwrap() error { return e.err }

func (b *Box) dial(ctx context.Context) (*imapclient.Client, error) {
	u, err := url.Parse(b.URL)
	if err != nil {
		return nil, errors.New("its address cannot be read")
	}
	port := map[string]string{"imap": "143", "imaps": "993"}[u.Scheme]
	if u.Port() != "" {
		port = u.Port()
	}
	address := net.JoinHostPort(u.Hostname(), port)
	options := &imapclient.Options{Dialer: &net.Dialer{Timeout: 20 * time.Second, Cancel: ctx.Done()}} //nolint:staticcheck // the library dials without a context
	ip := net.ParseIP(u.Hostname())
	switch {
	case u.Scheme == "imaps":
		return imapclient.DialTLS(address, options)
	case ip != nil && ip.IsLoopback():
		return imapclient.DialInsecure(address, options)
	}
	return imapclient.DialStartTLS(address, options)
}

// open signs in and returns what is in the mailbox, the oldest first.
func (b *Box) open(c *imapclient.Client) ([]imap.UID, error) {
	u, err := url.Parse(b.URL)
	if err != nil {
		return nil, errors.New("its address cannot be read")
	}
	password, _ := u.User.Password()
	if err := c.Login(u.User.Username(), password).Wait(); err != nil {
		return nil, fmt.Errorf("sign in to mailbox: %w", err)
	}
	name := strings.TrimPrefix(u.Path, "/")
	if name == "" {
		name = "INBOX"
	}
	if _, err := c.Select(name, nil).Wait(); err != nil {
		return nil, fmt.Errorf("open mailbox: %w", err)
	}
	found, err := c.UIDSearch(&imap.SearchCriteria{NotFlag: []imap.Flag{imap.FlagDeleted}}, nil).Wait()
	if err != nil {
		return nil, fmt.Errorf("list mailbox: %w", err)
	}
	return found.AllUIDs(), nil
}

// one reads a letter, hands it over and removes it.
func (b *Box) one(ctx context.Context, c *imapclient.Client, uid imap.UID, take func(context.Context, Incoming) error) error {
	set := imap.UIDSetNum(uid)
	head, err := c.Fetch(set, &imap.FetchOptions{UID: true, InternalDate: true, RFC822Size: true}).Collect()
	if err != nil || len(head) == 0 {
		return err // gone meanwhile
	}
	if head[0].RFC822Size > boxSize {
		return &letterError{fmt.Errorf("it has %d bytes, more than are read", head[0].RFC822Size)}
	}
	all, err := c.Fetch(set, &imap.FetchOptions{UID: true, BodySection: []*imap.FetchItemBodySection{{Peek: true}}}).Collect()
	if err != nil || len(all) == 0 || len(all[0].BodySection) == 0 {
		return err
	}
	in, err := Parse(all[0].BodySection[0].Bytes)
	if err != nil {
		return &letterError{err}
	}
	in.At = head[0].InternalDate.UTC()
	if err := take(ctx, in); err != nil {
		return &letterError{err}
	}
	return expunge(c, set)
}

// expunge deletes a letter for good: with UID EXPUNGE, which removes no other.
func expunge(c *imapclient.Client, set imap.UIDSet) error {
	flags := &imap.StoreFlags{Op: imap.StoreFlagsAdd, Silent: true, Flags: []imap.Flag{imap.FlagDeleted}}
	if err := c.Store(set, flags, nil).Close(); err != nil {
		return fmt.Errorf("mark letter for removal: %w", err)
	}
	if c.Caps().Has(imap.CapUIDPlus) || c.Caps().Has(imap.CapIMAP4rev2) {
		if err := c.UIDExpunge(set).Close(); err != nil {
			return fmt.Errorf("remove letter: %w", err)
		}
		return nil
	}
	if err := c.Expunge().Close(); err != nil {
		return fmt.Errorf("remove letter: %w", err)
	}
	return nil
}
