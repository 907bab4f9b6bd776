package file

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/fault"
)

// Clamd is ClamAV's daemon, asked with INSTREAM (clamd(8)). It writes what it is sent
// to its TemporaryDirectory: that must be in memory.
type Clamd struct {
	Network string // unix or tcp
	Address string
}

// ParseClamd reads an address: unix:/run/clamav/clamd.ctl or tcp:127.0.0.1:3310.
func ParseClamd(s string) (*Clamd, error) {
	network, address, ok := strings.Cut(s, ":")
	if !ok || network != "unix" && network != "tcp" || address == "" {
		return nil, fault.New(fault.Invalid, "%q is not the address of clamd.", s).
			WithHint("Write unix:/run/clamav/clamd.ctl or tcp:127.0.0.1:3310.")
	}
	return &Clamd{network, address}, nil
}

// scanTime is how long one scan may take; clamd is asked again when that was not enough.
const scanTime = time.Minute

// errInfected says that the scanner found something.
var errInfected = errors.New("the virus scanner found something")

// Scan returns nil when nothing was found, errInfected when something was, and any
// other error when it cannot be told.
func (c *Clamd) Scan(ctx context.Context, content io.Reader) error {
	ctx, cancel := context.WithTimeout(ctx, scanTime)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, c.Network, c.Address)
	if err != nil {
		return fmt.Errorf("reach clamd: %w", err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })() // ends a write or read that hangs
	sendErr := send(conn, content)
	answer, err := bufio.NewReader(io.LimitReader(conn, 4096)).ReadString(0)
	answer = strings.TrimSuffix(answer, "\x00")
	switch {
	case strings.HasSuffix(answer, " FOUND"):
		return errInfected
	case strings.HasSuffix(answer, ": OK") && sendErr == nil:
		return nil
	case answer != "":
		return fmt.Errorf("clamd: %s", answer)
	}
	return fmt.Errorf("ask clamd: %w", errors.Join(sendErr, err))
}

// send writes content as INSTREAM takes it: pieces with their length in front, then
// one of length zero.
func send(w io.Writer, content io.Reader) error {
	if _, err := io.WriteString(w, "zINSTREAM\x00"); err != nil {
		return err
	}
	piece := make([]byte, 4+32<<10)
	for {
		n, err := content.Read(piece[4:])
		if n > 0 {
			binary.BigEndian.PutUint32(piece, uint32(n))
			if _, err := w.Write(piece[:4+n]); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			_, err := w.Write([]byte{0, 0, 0, 0})
			return err
		}
		if err != nil {
			return err
		}
	}
}

const scanJob = "file.scan"

type scanTask struct {
	File   string `json:"file"`
	Record string `json:"record"`
}

// Jobs returns the work of the package by kind.
func (s *Service) Jobs() map[string]func(context.Context, []byte) error {
	return map[string]func(context.Context, []byte) error{scanJob: s.scan}
}

// scan asks the scanner about one file. While it does not answer, the job runs again.
func (s *Service) scan(ctx context.Context, payload []byte) error {
	var task scanTask
	if err := json.Unmarshal(payload, &task); err != nil {
		return fmt.Errorf("read payload: %w", err)
	}
	key, err := s.Keys.Get(ctx, task.Record)
	if fault.Of(err).Kind == fault.Gone {
		return nil // erased meanwhile
	}
	if err != nil {
		return err
	}
	f, err := s.Find(ctx, s.DB, key, task.File)
	if fault.Of(err).Kind == fault.NotFound || err == nil && f.Scan != ScanWaiting {
		return nil
	}
	if err != nil {
		return err
	}
	if s.Scanner == nil {
		return errors.New("no scanner is set up, and a file waits for it: set TILLID_CLAMD")
	}
	content := s.reader(ctx, key, f)
	err = s.Scanner.Scan(ctx, io.NewSectionReader(content, 0, f.Size))
	state := ScanClean
	switch {
	case content.failed != nil:
		return content.failed
	case errors.Is(err, errInfected):
		state = Infected
		s.Log.WarnContext(ctx, "the virus scanner found something in a file", "file", f.ID)
	case err != nil:
		return err
	}
	return s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error { return setScan(ctx, tx, f.ID, state) })
}

// Health says that files wait for the scanner.
func (s *Service) Health(ctx context.Context) ([]*fault.Error, error) {
	n, err := waiting(ctx, s.DB, s.Now().Add(-5*time.Minute))
	if err != nil || n == 0 {
		return nil, err
	}
	return []*fault.Error{fault.New(fault.Unavailable, "%d files wait for the virus scanner.", n).
		WithHint("Is clamd running, and does TILLID_CLAMD name it? They cannot be fetched before.").In("file.waiting", "Count", n)}, nil
}
