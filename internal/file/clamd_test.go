package file

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tillid/tillid/internal/fault"
)

// eicar is the harmless file that every scanner calls a virus (eicar.org), in two
// halves so that this source is not one.
const eicar = `X5O!P%@AP[4\PZX54(P^)7CC)7}$` + `EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*`

// signatures is a database of one signature: EICAR's text, anywhere in any file. The
// official ones need the network.
const signatures = "Tillid.Test.EICAR:0:*:45494341522d5354414e444152442d414e544956495255532d544553542d46494c45\n"

// daemon starts ClamAV's real daemon with one signature.
func daemon(t *testing.T) *Clamd {
	t.Helper()
	program, err := exec.LookPath("clamd")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("clamd is missing: install clamav-daemon")
		}
		t.Skip("clamd is missing: install clamav-daemon to run this")
	}
	dir, err := os.MkdirTemp("", "clamd") //nolint:usetesting // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket := filepath.Join(dir, "s")
	for name, content := range map[string]string{
		"t.ndb":      signatures,
		"clamd.conf": "Foreground yes\nDatabaseDirectory " + dir + "\nLocalSocket " + socket + "\nTemporaryDirectory " + dir + "\nStreamMaxLength 11M\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	out := &bytes.Buffer{}
	cmd := exec.CommandContext(ctx, program, "-c", filepath.Join(dir, "clamd.conf"))
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { cmd.Wait(); close(ended) }()
	t.Cleanup(func() { stop(); <-ended })
	for {
		c, err := net.Dial("unix", socket)
		if err == nil {
			c.Close()
			return &Clamd{"unix", socket}
		}
		select {
		case <-ended:
			t.Fatalf("clamd ended: %s", out)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Against the real daemon: a virus, plain and packed, is never given out; what is clean
// is; while the daemon is away a file waits, and nothing is lost.
func TestClamd(t *testing.T) {
	c := daemon(t)
	each(t, func(t *testing.T, s *store) {
		ctx := t.Context()
		s.Scanner = c
		key := s.key(t, "r1")
		take := func(name string, content []byte) File {
			f, err := s.Take(ctx, key, Upload{Name: name, Body: bytes.NewReader(content)})
			if err != nil {
				t.Fatal(err)
			}
			if err := s.keep(t, "r1", f.ID); err != nil {
				t.Fatal(err)
			}
			return f
		}
		again := func(f File) File {
			f, err := s.Find(ctx, s.DB, key, f.ID)
			if err != nil {
				t.Fatal(err)
			}
			return f
		}
		large := take("large.txt", bytes.Repeat([]byte("a longer text\n"), MaxSize/14))
		for _, test := range []struct {
			f    File
			want string
		}{
			{take("a.txt", []byte(eicar)), Infected}, {take("a.docx", docx(t, entry{"word/x.bin", eicar, 8})), Infected},
			{take("a.pdf", pdf("")), ScanClean}, {large, ScanClean},
		} {
			if _, err := s.Open(ctx, key, test.f); fault.Of(err).ID != "file.unscanned" {
				t.Errorf("%s is given out before the scan: %v", test.f.Name, err)
			}
			if err := s.scan(ctx, []byte(`{"file":"`+test.f.ID+`","record":"r1"}`)); err != nil {
				t.Errorf("%s: %v", test.f.Name, err)
			}
			f := again(test.f)
			if f.Scan != test.want {
				t.Errorf("%s: %s", f.Name, f.Scan)
			}
			if _, err := s.Open(ctx, key, f); (err == nil) != (test.want == ScanClean) {
				t.Errorf("%s: %v", f.Name, err)
			}
		}
		s.Scanner = &Clamd{"unix", filepath.Join(t.TempDir(), "nobody")}
		f := take("b.pdf", pdf(""))
		if err := s.scan(ctx, []byte(`{"file":"`+f.ID+`","record":"r1"}`)); err == nil || again(f).Scan != ScanWaiting {
			t.Errorf("a file is judged without a scanner: %v", err)
		}
		if says, err := s.Health(ctx); err != nil || len(says) != 0 {
			t.Errorf("%v %v", says, err)
		}
		s.now = s.now.Add(6 * time.Minute)
		if says, err := s.Health(ctx); err != nil || len(says) != 1 {
			t.Errorf("nobody is told: %v %v", says, err)
		}
	})
}

// A scanner that hangs, breaks off or talks nonsense judges nothing.
func TestScannerFails(t *testing.T) {
	for name, answer := range map[string]string{"nothing": "", "nonsense": "hello\x00", "too long": "INSTREAM size limit exceeded. ERROR\x00"} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		go func() {
			c, err := l.Accept()
			if err != nil {
				return
			}
			io.CopyN(io.Discard, c, 20)
			io.WriteString(c, answer)
			c.Close()
		}()
		err = (&Clamd{"tcp", l.Addr().String()}).Scan(t.Context(), strings.NewReader("text"))
		if err == nil || errors.Is(err, errInfected) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, wrong := range []string{"", "/run/clamd", "http:x", "unix:"} {
		if _, err := ParseClamd(wrong); err == nil {
			t.Errorf("%q is an address", wrong)
		}
	}
}
