package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/tillid/tillid/internal/fault"
)

// A restart keeps the sockets open: the process stops taking connections, lets running
// requests end, closes its houses and becomes the new program, with the listening
// sockets open all the time. What arrives meanwhile waits in the kernel. A second
// process beside the first is not possible, because a house has one writer.

// fdsVariable says which sockets a process got from itself: name=descriptor, ….
const fdsVariable = "TILLID_LISTEN_FDS"

// Inherited returns the sockets that the process was started with, by name
// ("public", "metrics"): from itself before a restart, or from systemd, whose
// FileDescriptorName= names them, or else their order.
func Inherited(getenv func(string) string) (map[string]net.Listener, error) {
	all := map[string]net.Listener{}
	for name, fd := range inheritedFDs(getenv) {
		syscall.CloseOnExec(fd)
		f := os.NewFile(uintptr(fd), name)
		l, err := net.FileListener(f)
		f.Close() //nolint:errcheck // l has its own
		if err != nil {
			return nil, fault.New(fault.Invalid, "The socket %s that this process was started with cannot be used.", name).Because(err)
		}
		all[name] = l
	}
	return all, nil
}

func inheritedFDs(getenv func(string) string) map[string]int {
	fds := map[string]int{}
	for pair := range strings.SplitSeq(getenv(fdsVariable), ",") {
		name, number, ok := strings.Cut(pair, "=")
		if fd, err := strconv.Atoi(number); ok && err == nil {
			fds[name] = fd
		}
	}
	if len(fds) > 0 || getenv("LISTEN_PID") != strconv.Itoa(os.Getpid()) {
		return fds
	}
	usual := []string{"public", "metrics"}
	names := strings.Split(getenv("LISTEN_FDNAMES"), ":")
	n, _ := strconv.Atoi(getenv("LISTEN_FDS"))
	for i := range min(n, len(usual)) {
		name := usual[i]
		if i < len(names) && slices.Contains(usual, names[i]) {
			name = names[i]
		}
		fds[name] = 3 + i
	}
	return fds
}

// Restart is the sockets and the program of a process that is to become a new one.
type Restart struct {
	program string
	files   map[string]*os.File
}

// PrepareRestart keeps the sockets open, and refuses when the program that stands
// where this one was started from does not run.
func PrepareRestart(ctx context.Context, program string, sockets map[string]net.Listener) (*Restart, error) {
	if out, err := exec.CommandContext(ctx, program, "version").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("run %s version: %w: %.200s", program, err, out)
	}
	r := &Restart{program: program, files: map[string]*os.File{}}
	for name, l := range sockets {
		tcp, ok := l.(*net.TCPListener)
		if !ok {
			continue
		}
		f, err := tcp.File()
		if err != nil {
			return nil, fmt.Errorf("keep socket %s: %w", name, err)
		}
		r.files[name] = f
	}
	return r, nil
}

// Do becomes the new program; it returns only when that fails.
func (r *Restart) Do(args, env []string) error {
	var fds []string
	for name, f := range r.files {
		fd := f.Fd()
		if _, _, errno := syscall.Syscall(syscall.SYS_FCNTL, fd, syscall.F_SETFD, 0); errno != 0 {
			return fmt.Errorf("hand over socket %s: %w", name, errno)
		}
		fds = append(fds, fmt.Sprintf("%s=%d", name, fd))
	}
	env = slices.DeleteFunc(slices.Clone(env), func(s string) bool { return strings.HasPrefix(s, fdsVariable+"=") })
	return fmt.Errorf("start %s: %w", r.program, syscall.Exec(r.program, args, append(env, fdsVariable+"="+strings.Join(fds, ","))))
}

// gate is a listener that can stop taking connections before it is closed. What
// net/http has taken is then known to it, and it waits for that when it shuts down;
// closing alone loses a connection that was being taken.
type gate struct {
	net.Listener
	shutting chan struct{} // closed when no more may be taken
	idle     chan struct{} // closed when none is being taken
	closed   chan struct{}
	once     sync.Once
}

func newGate(l net.Listener) *gate {
	return &gate{Listener: l, shutting: make(chan struct{}), idle: make(chan struct{}), closed: make(chan struct{})}
}

// Accept takes the next connection, until the gate is shut; then it waits for Close.
func (g *gate) Accept() (net.Conn, error) {
	select {
	case <-g.shutting:
	default:
		c, err := g.Listener.Accept()
		if err == nil {
			return c, nil
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			g.once.Do(func() { close(g.idle) })
			return nil, err
		}
	}
	g.once.Do(func() { close(g.idle) })
	<-g.closed
	return nil, net.ErrClosed
}

// shut returns when no connection is being taken any more. Those that arrive wait
// in the kernel for the program that gets the socket, if one does.
func (g *gate) shut() {
	l, ok := g.Listener.(interface{ SetDeadline(time.Time) error })
	if !ok || l.SetDeadline(time.Unix(1, 0)) != nil {
		return
	}
	close(g.shutting)
	<-g.idle
}

func (g *gate) Close() error {
	select {
	case <-g.closed:
	default:
		close(g.closed)
	}
	return g.Listener.Close()
}
