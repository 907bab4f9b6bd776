// Package mailtest starts a real mailbox server for tests.
package mailtest

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
)

// Password opens every mailbox of the server.
const Password = "hemmelig"

const config = `protocols = imap
listen = 127.0.0.1
base_dir = %[1]s/run
state_dir = %[1]s/state
log_path = /dev/stderr
ssl = no
disable_plaintext_auth = no
mail_location = maildir:%[1]s/mail/%%n
default_internal_user = %[3]s
default_login_user = %[4]s
default_internal_group = %[6]s
mail_uid = %[5]s
mail_gid = %[5]s
first_valid_uid = 1
passdb {
  driver = static
  args = password=` + Password + `
}
userdb {
  driver = static
  args = home=%[1]s/home/%%n
}
service imap-login {
  chroot =
  inet_listener imap {
    port = %[2]d
  }
  inet_listener imaps {
    port = 0
  }
}
service anvil {
  chroot =
}
service stats {
  chroot =
}
`

// Dovecot starts Debian's Dovecot on loopback, and returns its address. Where it is
// not installed the test is skipped, and fails when CI=true.
func Dovecot(tb testing.TB) (address string) {
	tb.Helper()
	program, err := exec.LookPath("dovecot")
	if err != nil {
		if os.Getenv("CI") == "true" {
			tb.Fatal("dovecot is missing: install dovecot-imapd")
		}
		tb.Skip("dovecot is missing: install dovecot-imapd to run this")
	}
	dir, err := os.MkdirTemp("", "dovecot") //nolint:usetesting // a socket's path is short
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { os.RemoveAll(dir) })
	for _, sub := range []string{"", "mail", "home", "run", "state"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil { //nolint:gosec // the mail user goes through
			tb.Fatal(err)
		}
	}
	own, err := user.Current()
	if err != nil {
		tb.Fatal(err)
	}
	internal, login, mail, group := own.Username, own.Username, own.Username, own.Username
	if own.Uid == "0" {
		internal, login, mail, group = "dovecot", "dovenull", "mail", "dovecot"
		for sub, mode := range map[string]os.FileMode{"": 0o755, "mail": 0o777, "home": 0o777} {
			if err := os.Chmod(filepath.Join(dir, sub), mode); err != nil {
				tb.Fatal(err)
			}
		}
	}
	port := freePort(tb)
	file := filepath.Join(dir, "dovecot.conf")
	if err := os.WriteFile(file, fmt.Appendf(nil, config, dir, port, internal, login, mail, group), 0o644); err != nil { //nolint:gosec // it holds no secret
		tb.Fatal(err)
	}
	start(tb, program, file, port)
	return fmt.Sprintf("127.0.0.1:%d", port)
}

func freePort(tb testing.TB) int {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // closed below
	if err != nil {
		tb.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func start(tb testing.TB, program, file string, port int) {
	tb.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(tb.Context()))
	out := &bytes.Buffer{}
	cmd := exec.CommandContext(ctx, program, "-F", "-c", file) //nolint:gosec // the installed program
	cmd.Stderr = out
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { cmd.Wait(); close(ended) }() //nolint:errcheck // it is interrupted
	tb.Cleanup(func() {
		stop()
		if <-ended; tb.Failed() {
			tb.Logf("dovecot: %s", out)
		}
	})
	for {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port)) //nolint:noctx // loopback
		if err == nil {
			c.Close()
			return
		}
		select {
		case <-ended:
			tb.Fatalf("dovecot ended: %s", out)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Put puts a letter into a user's mailbox, as received at a moment.
func Put(tb testing.TB, address, user, letter string, at time.Time) {
	tb.Helper()
	c := signIn(tb, address, user)
	defer c.Close() //nolint:errcheck // nothing is pending
	cmd := c.Append("INBOX", int64(len(letter)), &imap.AppendOptions{Time: at})
	if _, err := cmd.Write([]byte(letter)); err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Close(); err != nil {
		tb.Fatal(err)
	}
	if _, err := cmd.Wait(); err != nil {
		tb.Fatal(err)
	}
}

// Count returns how many letters a user's mailbox has.
func Count(tb testing.TB, address, user string) int {
	tb.Helper()
	c := signIn(tb, address, user)
	defer c.Close() //nolint:errcheck // nothing is pending
	box, err := c.Select("INBOX", nil).Wait()
	if err != nil {
		tb.Fatal(err)
	}
	return int(box.NumMessages)
}

func signIn(tb testing.TB, address, user string) *imapclient.Client {
	tb.Helper()
	c, err := imapclient.DialInsecure(address, nil)
	if err != nil {
		tb.Fatal(err)
	}
	if err := c.Login(user, Password).Wait(); err != nil {
		tb.Fatal(err)
	}
	return c
}
