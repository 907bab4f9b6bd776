//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/tillid/tillid/internal/db/dbtest"
)

// refused runs tillid serve on a folder, which must end by itself with an exit
// code, and returns that and what an operator reads.
func refused(t *testing.T, dir string) (code int, said string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary(t), "serve", "--listen", "127.0.0.1:0", "--metrics", "", dir)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.Run()
	if ctx.Err() != nil || strings.Contains(out.String(), "Serving") {
		t.Fatalf("it serves: %s\n%s", &out, &errs)
	}
	return cmd.ProcessState.ExitCode(), errs.String()
}

// Two processes on one folder: the second says what to do and ends; the first goes on.
func TestTwoProcesses(t *testing.T) {
	dbtest.EachDSN(t, func(t *testing.T, dsn func(string) string) {
		e := newEstate(t, "to", dsn)
		s := e.serve(t)
		code, said := refused(t, e.dir)
		if code != 3 || !strings.Contains(said, "another process") || !strings.Contains(said, "\n  ") {
			t.Errorf("the second process: exit code %d, %s", code, said)
		}
		s.enquire(t, 1)
		if out, code := tillid(t, "ledger", "checkpoint", "--house", e.dir); code != 0 {
			t.Errorf("the command line beside the first process: %d %s", code, out)
		}
		if code := s.stop(t); code != 0 {
			t.Errorf("the first process ends with %d", code)
		}
	})
}

// enquire sends an enquiry that no other is like, which must be acknowledged, and
// returns the address of its receipt.
func (s *served) enquire(t *testing.T, n int) string {
	t.Helper()
	return s.must(t, http.StatusSeeOther, "POST", s.www()+"/_tillid/forms/contact", enquiryNumber(n), "Content-Type", formType).to()
}

func enquiryNumber(n int) string {
	return fmt.Sprintf("name=Karla&email=karla%d@example.dk&message=%d+%s", n, n, strings.Repeat("Kassen+piber.+", 300))
}

// What happened to a house's files is said at start, on standard error, with what
// to do and a code that a service manager sees; and putting them back is enough.
func TestFilesAlteredUnderAProcess(t *testing.T) {
	other := newEstate(t, "anden", lite)
	s := other.serve(t)
	s.enquire(t, 1)
	s.stop(t)
	e := newEstate(t, "filer", lite)
	s = e.serve(t)
	receipt := s.enquire(t, 1)
	s.stop(t)
	file := func(name string) string { return filepath.Join(e.dir, name) }
	cut := func(name string, to func(size int64) int64) func() error {
		return func() error {
			info, err := os.Stat(file(name))
			if err != nil {
				return err
			}
			return os.Truncate(file(name), to(info.Size()))
		}
	}
	half := func(n int64) int64 { return n/2 - n/2%4096 }
	odd := func(n int64) int64 { return n/2 + 123 }
	none := func(int64) int64 { return 0 }
	gone := func(name string) func() error { return func() error { return os.Remove(file(name)) } }
	swap := func(name string) func() error {
		return func() error {
			b, err := os.ReadFile(filepath.Join(other.dir, name))
			if err != nil {
				return err
			}
			return os.WriteFile(file(name), b, 0o600)
		}
	}
	spoil := func(name string) func() error { // bytes in the middle, and of pages' headers
		return func() error {
			b, err := os.ReadFile(file(name))
			for at := 4096; at < len(b); at += 4096 {
				copy(b[at:], "\xde\xad\xbe\xef\xde\xad\xbe\xef")
			}
			if err != nil {
				return err
			}
			return os.WriteFile(file(name), b, 0o600)
		}
	}
	for _, c := range []struct {
		name string
		harm func() error
		says string
	}{
		{"tillid.db cut to half its pages", cut("tillid.db", half), "tillid.db is damaged"},
		{"tillid.db cut within a page", cut("tillid.db", odd), "tillid.db is damaged"},
		{"tillid.db empty", cut("tillid.db", none), "missing or empty"},
		{"tillid.db gone", gone("tillid.db"), "missing or empty"},
		{"tillid.db altered in the middle", spoil("tillid.db"), "tillid.db is damaged"},
		{"keys.db cut to half its pages", cut("keys.db", half), "keys.db is damaged"},
		{"keys.db empty", cut("keys.db", none), "does not belong"},
		{"keys.db gone", gone("keys.db"), "keys.db is missing"},
		{"keys.db altered in the middle", spoil("keys.db"), "keys.db is damaged"},
		{"keys.db of another house", swap("keys.db"), "does not belong"},
		{"kek of another house", swap("kek"), "does not belong"},
		{"log.key of another house", swap("log.key"), "another house"},
		{"log.key gone", gone("log.key"), "log.key is missing"},
		{"log.key cut", cut("log.key", odd), "not a log key"},
		{"kek gone", gone("kek"), "kek is missing"},
		{"kek cut", cut("kek", half), "not a key"},
	} {
		t.Run(c.name, func(t *testing.T) {
			kept := keep(t, e.dir)
			if err := c.harm(); err != nil {
				t.Fatal(err)
			}
			code, said := refused(t, e.dir)
			if code != 2 && code != 3 || !strings.Contains(said, c.says) || !strings.Contains(said, "\n  ") || strings.Contains(said, "goroutine") {
				t.Errorf("exit code %d, want %q and what to do:\n%s", code, c.says, said)
			}
			kept()
			s := e.serve(t)
			s.must(t, http.StatusOK, "GET", e.www()+receipt, "")
			s.stop(t)
		})
	}
	t.Run("all copied", func(t *testing.T) {
		to := filepath.Join(t.TempDir(), "copy")
		if out, err := exec.Command("cp", "-a", e.dir, to).CombinedOutput(); err != nil {
			t.Fatal(err, string(out))
		}
		code, said := refused(t, to)
		if code != 2 || !strings.Contains(said, "copied or restored") || !strings.Contains(said, "tillid accept") {
			t.Errorf("exit code %d\n%s", code, said)
		}
	})
}

// keep remembers the contents of a folder's files and returns what puts them back,
// in the same files where they are still there.
func keep(t *testing.T, dir string) (back func()) {
	t.Helper()
	names := []string{"tillid.db", "keys.db", "kek", "log.key"}
	aside := t.TempDir()
	for _, name := range names { // links keep the file itself, for a house notices a copy
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err == nil {
			err = os.WriteFile(filepath.Join(aside, name), b, 0o600)
		}
		if err == nil {
			err = os.Link(filepath.Join(dir, name), filepath.Join(dir, name+".same"))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return func() {
		t.Helper()
		for _, name := range names {
			for _, rest := range []string{"-wal", "-shm"} {
				os.Remove(filepath.Join(dir, name+rest))
			}
			b, err := os.ReadFile(filepath.Join(aside, name))
			if err == nil {
				err = os.Rename(filepath.Join(dir, name+".same"), filepath.Join(dir, name))
			}
			os.Remove(filepath.Join(dir, name+".same")) // renaming a file to itself leaves both names
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, name), b, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}

// mayGrowTo limits how large the files of a process may become, as a full or
// failing disk does: writes beyond fail.
func (p *process) mayGrowTo(t *testing.T, n uint64) {
	t.Helper()
	limit := syscall.Rlimit{Cur: n, Max: 1 << 40}
	_, _, errno := syscall.RawSyscall6(syscall.SYS_PRLIMIT64, uintptr(p.cmd.Process.Pid), syscall.RLIMIT_FSIZE, uintptr(unsafe.Pointer(&limit)), 0, 0, 0)
	if errno != 0 {
		t.Fatal(errno)
	}
}

// A disk that fails while a house is saving: the process lives, says 503 with what
// to do, is not ready, and takes nothing more until it is restarted; then all that
// was acknowledged is there.
func TestDiskFailsUnderAProcess(t *testing.T) {
	e := newEstate(t, "disk", lite)
	s := e.serve(t)
	var receipts []string
	for n := range 5 {
		receipts = append(receipts, s.enquire(t, n))
	}
	info, err := os.Stat(filepath.Join(e.dir, "tillid.db-wal"))
	if err != nil {
		t.Fatal(err)
	}
	s.mayGrowTo(t, uint64(info.Size())+40<<10)
	var last answer
	for n := 5; ; n++ {
		if n == 2000 {
			t.Fatal("the disk never fails")
		}
		if last, err = send(s.http, http.MethodPost, e.www()+"/_tillid/forms/contact", enquiryNumber(n), "Content-Type", formType, "Accept-Language", "en"); err != nil {
			t.Fatal(err, s.log())
		}
		if last.StatusCode != http.StatusSeeOther {
			break
		}
		receipts = append(receipts, last.to())
	}
	if last.StatusCode != http.StatusServiceUnavailable || !strings.Contains(last.body, "What you wrote is still here") || !strings.Contains(last.body, "Kassen piber.") {
		t.Errorf("the form that could not be saved: %d\n%.2000s", last.StatusCode, last.body)
	}
	eventually(t, "health says that the house is not ready", func() bool {
		status, problems := s.health(t)
		return status == http.StatusServiceUnavailable && len(problems) > 0
	})
	if !strings.Contains(s.log(), "disk failed") || strings.Contains(s.log(), "karla") {
		t.Errorf("the log does not say what happened, or too much:\n%s", s.log())
	}
	s.must(t, http.StatusOK, "GET", e.www()+"/privacy/form/contact", "")
	s.stop(t)
	s = e.serve(t)
	for _, to := range receipts {
		s.must(t, http.StatusOK, "GET", e.www()+to, "")
	}
	receipts = append(receipts, s.enquire(t, 9999))
	data := e.look(t, "data")
	if n := data.count(`select count(*) from enquiry`); n < len(receipts) || n > len(receipts)+1 { // the last one may be stored and unacknowledged
		t.Errorf("%d enquiries are stored, %d were acknowledged", n, len(receipts))
	}
	if out, code := tillid(t, "ledger", "verify", "--house", e.dir); code != 0 {
		t.Errorf("ledger verify: %d\n%s", code, out)
	}
	if got := data.list(`pragma integrity_check`); len(got) != 1 || got[0] != "ok" {
		t.Errorf("tillid.db: %v", got)
	}
}

// A disk that is really full, and has room again: the house goes on by itself.
// It mounts a small file system, which not every machine lets a test do; on all
// machines internal/app shows the same with SQLite's own limit.
func TestFullDisk(t *testing.T) {
	if !soak() {
		t.Skip("only in make soak: it mounts a file system")
	}
	e := newEstate(t, "fuld", lite)
	small := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=12m", "tillid-test", small).CombinedOutput(); err != nil {
		t.Fatalf("mount: %v %s", err, out)
	}
	t.Cleanup(func() { exec.Command("umount", small).Run() })
	if out, err := exec.Command("cp", "-a", e.dir+"/.", small).CombinedOutput(); err != nil {
		t.Fatal(err, string(out))
	}
	e.dir = small
	s := e.serve(t)
	receipts := []string{s.enquire(t, 0)}
	ballast, err := os.Create(filepath.Join(small, "ballast"))
	if err != nil {
		t.Fatal(err)
	}
	for n := 0; ; n++ {
		if _, err := ballast.Write(make([]byte, 4096)); err != nil {
			break
		}
	}
	ballast.Close()
	n, refusals := 1, 0
	for ; refusals < 20; n++ {
		a, err := send(s.http, http.MethodPost, e.www()+"/_tillid/forms/contact", enquiryNumber(n), "Content-Type", formType)
		switch {
		case err != nil:
			t.Fatal(err, s.log())
		case a.StatusCode == http.StatusSeeOther:
			receipts = append(receipts, a.to())
		case a.StatusCode == http.StatusServiceUnavailable:
			refusals++
		default:
			t.Fatalf("%d %.500s", a.StatusCode, a.body)
		}
	}
	if status, _ := s.health(t); status != http.StatusServiceUnavailable {
		t.Errorf("health says %d", status)
	}
	os.Remove(ballast.Name())
	eventually(t, "forms are taken again", func() bool {
		n++
		a, err := send(s.http, http.MethodPost, e.www()+"/_tillid/forms/contact", enquiryNumber(n), "Content-Type", formType)
		if err == nil && a.StatusCode == http.StatusSeeOther {
			receipts = append(receipts, a.to())
			return true
		}
		return false
	})
	eventually(t, "the house is ready", func() bool { status, _ := s.health(t); return status == http.StatusOK })
	for _, to := range receipts {
		s.must(t, http.StatusOK, "GET", e.www()+to, "")
	}
	if code := s.stop(t); code != 0 {
		t.Errorf("exit code %d\n%s", code, s.log())
	}
}
