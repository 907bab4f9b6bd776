package app

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/tillid/tillid/internal/fault"
)

// A restart keeps the sockets open: the process stops letting connections in, answers
// the requests that have begun, closes its houses and becomes the new program, with
// the listening sockets and the resting connections open all the time. What arrives
// meanwhile waits in the kernel. A second process beside the first is not possible,
// because a house has one writer. docs/decisions/0011-restart.md says more.

const (
	// fdsVariable says which sockets a process got from itself: name=descriptor, ….
	fdsVariable = "TILLID_LISTEN_FDS"
	// restingVariable says which connections it got: descriptor, ….
	restingVariable = "TILLID_RESTING_FDS"
)

// Inherited returns the sockets that the process was started with, by name
// ("public", "metrics"): from itself before a restart, or from systemd, whose
// FileDescriptorName= names them, or else their order. Waiting are the connections
// that were open before the restart.
func Inherited(getenv func(string) string) (sockets map[string]net.Listener, waiting []net.Conn, err error) {
	sockets = map[string]net.Listener{}
	for name, fd := range inheritedFDs(getenv) {
		f := inherit(fd, name)
		l, err := net.FileListener(f)
		f.Close() // l has its own
		if err != nil {
			return nil, nil, fault.New(fault.Invalid, "The socket %s that this process was started with cannot be used.", name).Because(err)
		}
		sockets[name] = l
	}
	for number := range strings.SplitSeq(getenv(restingVariable), ",") {
		fd, err := strconv.Atoi(number)
		if err != nil {
			continue
		}
		f := inherit(fd, "resting")
		c, err := net.FileConn(f)
		f.Close()                                // c has its own
		if err == nil && c.RemoteAddr() != nil { // else the client has gone
			waiting = append(waiting, c)
		}
	}
	return sockets, waiting, nil
}

func inherit(fd int, name string) *os.File {
	syscall.CloseOnExec(fd)
	return os.NewFile(uintptr(fd), name)
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
		name := usual[i] //nolint:gosec // i is below its length
		if i < len(names) && slices.Contains(usual, names[i]) {
			name = names[i]
		}
		fds[name] = 3 + i
	}
	return fds
}

// Restart is the program of a process that is to become a new one, and what that
// process gets: the sockets, and the connections that rest.
type Restart struct {
	Program string
	Sockets map[string]net.Listener

	ready   atomic.Bool
	files   map[string]*os.File
	mu      sync.Mutex
	resting []*os.File
}

// Prepare keeps the sockets open, and refuses when the program that stands where
// this one was started from does not run.
func (r *Restart) Prepare(ctx context.Context) error {
	if out, err := exec.CommandContext(ctx, r.Program, "version").CombinedOutput(); err != nil { //nolint:gosec // it is this process's own program
		return fmt.Errorf("run %s version: %w: %.200s", r.Program, err, out)
	}
	r.files = map[string]*os.File{}
	for name, l := range r.Sockets {
		tcp, ok := l.(*net.TCPListener)
		if !ok {
			continue
		}
		f, err := tcp.File()
		if err != nil {
			return fmt.Errorf("keep socket %s: %w", name, err)
		}
		r.files[name] = f
	}
	r.ready.Store(true)
	return nil
}

// Ready reports whether Prepare succeeded.
func (r *Restart) Ready() bool { return r != nil && r.ready.Load() }

// keep keeps a connection open for the new program; when none comes, it closes with its server.
func (r *Restart) keep(c *net.TCPConn) {
	if !r.Ready() {
		return
	}
	f, err := c.File()
	if err != nil {
		return // it closes; so many files are open that nothing else can be done
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.resting = append(r.resting, f)
}

// Do becomes the new program; it returns only when that fails.
func (r *Restart) Do(args, env []string) error {
	var sockets, resting []string
	for name, f := range r.files {
		fd, err := handOver(f)
		if err != nil {
			return fmt.Errorf("hand over socket %s: %w", name, err)
		}
		sockets = append(sockets, fmt.Sprintf("%s=%d", name, fd))
	}
	for _, f := range r.resting {
		if fd, err := handOver(f); err == nil {
			resting = append(resting, strconv.Itoa(fd))
		}
	}
	env = slices.DeleteFunc(slices.Clone(env), func(s string) bool {
		return strings.HasPrefix(s, fdsVariable+"=") || strings.HasPrefix(s, restingVariable+"=")
	})
	env = append(env, fdsVariable+"="+strings.Join(sockets, ","), restingVariable+"="+strings.Join(resting, ","))
	return fmt.Errorf("start %s: %w", r.Program, syscall.Exec(r.Program, args, env)) //nolint:gosec // likewise
}

// handOver makes a file stay open when the process becomes another program.
func handOver(f *os.File) (fd int, err error) {
	fd = int(f.Fd())
	if _, _, errno := syscall.Syscall(syscall.SYS_FCNTL, uintptr(fd), syscall.F_SETFD, 0); errno != 0 {
		return 0, errno
	}
	return fd, nil
}
