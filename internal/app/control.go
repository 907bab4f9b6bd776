package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/policy"
)

// The command line talks to a running server through a socket in the house's
// folder. When none runs, the command opens the house itself and calls the same
// handlers in its own process: one way to do a thing.

const socketName = "tillid.sock"

// listenSocket opens the house's socket; only the folder's owner may use it.
func (h *House) listenSocket() (net.Listener, error) {
	name := filepath.Join(h.Dir, socketName)
	if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("remove old socket: %w", err)
	}
	old := syscall.Umask(0o177)
	l, err := net.Listen("unix", name) //nolint:noctx // a socket lives as long as the server
	syscall.Umask(old)
	if err != nil {
		return nil, fault.New(fault.Unavailable, "The socket %s cannot be made.", name).
			WithHint("Command lines reach the running server through it. Is the path too long or the folder read-only?").Because(err)
	}
	return l, nil
}

// alone refuses a house that a running server answers for. On SQLite the files'
// locks do the same; a house on PostgreSQL has nothing else in its folder to hold.
func (h *House) alone(ctx context.Context) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", filepath.Join(h.Dir, socketName))
	if err != nil {
		return nil
	}
	conn.Close()
	return fault.New(fault.Unavailable, "The house in %s is served by another process already.", h.Dir).
		WithHint("Stop that one first. A second server of a house on PostgreSQL needs a folder of its own, with the same kek, log.key and settings.env.")
}

// Reply is what a control call answers: a result, or a fault.
type Reply struct {
	Result json.RawMessage `json:"result,omitempty"`
	Kind   fault.Kind      `json:"kind,omitempty"`
	Msg    string          `json:"msg,omitempty"`
	Hint   string          `json:"hint,omitempty"`
}

// control is one call that the command line can make.
type control func(ctx context.Context, in url.Values) (any, error)

// Control is the handler behind the socket: POST /<name> with a form.
func (h *House) Control() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, 8<<20)
		var reply Reply
		if err := r.ParseForm(); err != nil {
			reply = replyOf(nil, fault.New(fault.Invalid, "The call cannot be read.").Because(err))
		} else {
			reply = h.call(r.Context(), strings.TrimPrefix(r.URL.Path, "/"), r.PostForm)
		}
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(reply) //nolint:errcheck // the command line has gone
	})
}

func (h *House) call(ctx context.Context, name string, in url.Values) Reply {
	f, ok := h.controls()[name]
	if !ok {
		return replyOf(nil, fault.New(fault.NotFound, "The server does not know %q.", name).WithHint("Is it an older version of tillid?"))
	}
	result, err := f(ctx, in)
	if err != nil && fault.Of(err).Kind == fault.Internal {
		h.Log.ErrorContext(ctx, "control call failed", "call", name, "err", err)
	}
	return replyOf(result, err)
}

func replyOf(result any, err error) Reply {
	var reply Reply
	if err == nil {
		reply.Result, err = json.Marshal(result)
	}
	if err != nil {
		f := fault.Of(err)
		reply = Reply{Kind: f.Kind, Msg: f.Msg, Hint: f.Hint}
		if f.Kind == fault.Internal {
			reply.Hint = err.Error() // the person at the command line is the operator
		}
	}
	return reply
}

// Client calls a house's controls.
type Client struct {
	http  *http.Client // through the socket of a running server
	house *House       // else the house itself, opened here
}

// Connect reaches the house in dir: through its socket when a server runs,
// else by opening it here. Close it afterwards.
func Connect(ctx context.Context, dir string, o Options) (*Client, error) {
	name := filepath.Join(dir, socketName)
	dialer := net.Dialer{Timeout: 2 * time.Second}
	if conn, err := dialer.DialContext(ctx, "unix", name); err == nil {
		conn.Close()
		dial := func(ctx context.Context, _, _ string) (net.Conn, error) { return dialer.DialContext(ctx, "unix", name) }
		return &Client{http: &http.Client{Transport: &http.Transport{DialContext: dial}}}, nil
	}
	house, err := Open(ctx, dir, o)
	if err != nil {
		return nil, err
	}
	return &Client{house: house}, nil
}

// Running reports whether a server answered.
func (c *Client) Running() bool { return c.house == nil }

// Close ends the connection.
func (c *Client) Close() {
	if c.house != nil {
		c.house.Close()
	}
}

// Call runs a control and decodes its result into out (a pointer, or nil).
func (c *Client) Call(ctx context.Context, name string, in url.Values, out any) error {
	reply, err := c.post(ctx, name, in)
	if err != nil {
		return err
	}
	if reply.Msg != "" {
		return &fault.Error{Kind: reply.Kind, Msg: reply.Msg, Hint: reply.Hint}
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(reply.Result, out)
}

func (c *Client) post(ctx context.Context, name string, in url.Values) (reply Reply, err error) {
	if c.house != nil {
		return c.house.call(ctx, name, in), nil
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://house/"+name, strings.NewReader(in.Encode()))
	if err != nil {
		return reply, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := c.http.Do(req)
	if err != nil {
		return reply, fault.New(fault.Unavailable, "The running server did not answer.").Because(err)
	}
	defer resp.Body.Close()
	return reply, json.NewDecoder(resp.Body).Decode(&reply)
}

// ReadDeclaration reads and checks the declaration file of a folder.
func ReadDeclaration(name string) (*policy.Plan, []policy.Problem, error) {
	src, err := os.ReadFile(name)
	switch {
	case errors.Is(err, syscall.EISDIR):
		return nil, nil, fault.New(fault.Invalid, "%s is a folder, not a declaration.", name).
			WithHint("Did you mean %s?", filepath.Join(name, "tillid.yaml"))
	case errors.Is(err, fs.ErrPermission):
		return nil, nil, fault.New(fault.Invalid, "%s may not be read.", name).
			WithHint("Let the user that runs tillid read it.").Because(err)
	case err != nil:
		return nil, nil, fault.New(fault.Invalid, "%s cannot be read.", name).
			WithHint("tillid init writes a first declaration.").Because(err)
	}
	plan, problems := policy.Parse(name, src, Dir(filepath.Dir(name)))
	return plan, problems, nil
}

// Dir is a folder whose files a declaration may refer to.
type Dir string

// ReadFile reads a file inside the folder; a path that leads out is refused.
func (d Dir) ReadFile(name string) ([]byte, error) {
	root, err := os.OpenRoot(string(d))
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return root.ReadFile(name)
}
