package backup

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/erase"
	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/ledger"
)

// The erasure list is a file to which lines are added, one for each pseudonym;
// the mark beside it is a signed note that says how long the list is, what its
// sum is, and what the newest checkpoint of the log was.
const (
	listName = "erased.jsonl"
	markName = "erased.mark"
	markForm = "tillid-erased/1"
	perLine  = 500 // entries that are exported at a time
)

// mark is the signed text beside the list.
type mark struct {
	Format     string    `json:"format"`
	House      string    `json:"house"`
	Bytes      int64     `json:"list_bytes"`
	SHA256     string    `json:"list_sha256"`
	Checkpoint string    `json:"checkpoint"` // signed note; empty while the log is
	At         time.Time `json:"at"`
}

// exporter remembers the sum of the list as far as it was read.
type exporter struct {
	mu    sync.Mutex
	open  bool // the database is known to hold all that was exported before
	bytes int64
	sum   hash.Hash
	last  mark
}

// Export adds to the erasure list what it lacks, durably, and renews the mark
// when the list or the log has grown. Processes that share a house share the
// folder; they export one after the other. It does nothing before Guard or Replay
// has found that nothing is missing here.
func (s *Service) Export(ctx context.Context) error {
	s.export.mu.Lock()
	defer s.export.mu.Unlock()
	if !s.export.open {
		return nil // what a restored database says must not take the place of what was
	}
	unlock, err := s.lock(s.Dir, "erased.lock")
	if err != nil {
		return err
	}
	defer unlock()
	known, err := s.exported(ctx)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(s.Dir, listName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return unwritable(s.Dir, err)
	}
	defer f.Close()
	if err := s.catchUp(f, known.bytes); err != nil {
		return err
	}
	for {
		more, err := s.append(ctx, f)
		if err != nil {
			return err
		}
		if !more {
			return s.renew(ctx, known)
		}
	}
}

// allow lets exports begin.
func (s *Service) allow() {
	s.export.mu.Lock()
	defer s.export.mu.Unlock()
	s.export.open, s.export.sum = true, nil
}

// catchUp brings the sum to the end of the list, which another process or an
// earlier run may have written, and cuts off a line that a crash left unfinished.
func (s *Service) catchUp(f *os.File, known int64) error {
	e := &s.export
	if e.sum == nil {
		e.sum, e.bytes = sha256.New(), 0
	}
	if _, err := f.Seek(e.bytes, io.SeekStart); err != nil {
		return err
	}
	r := bufio.NewReader(f)
	for {
		line, err := r.ReadBytes('\n')
		if err != nil {
			break // the end, or an unfinished line
		}
		e.sum.Write(line)
		e.bytes += int64(len(line))
	}
	if info, err := f.Stat(); err != nil || info.Size() < known || e.bytes < known {
		e.sum = nil
		return errors.Join(err, listLost(s.Dir))
	}
	if err := f.Truncate(e.bytes); err != nil {
		return unwritable(s.Dir, err)
	}
	_, err := f.Seek(e.bytes, io.SeekStart)
	return err
}

// append exports some entries; more says that there may be others.
func (s *Service) append(ctx context.Context, f *os.File) (more bool, err error) {
	e := &s.export
	list, err := s.Erase.Waiting(ctx, perLine)
	if err != nil {
		return false, err
	}
	if len(list) == 0 {
		return false, nil
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	for _, one := range list {
		if err := enc.Encode(one); err != nil {
			return false, err
		}
	}
	if _, err := f.Write(b.Bytes()); err != nil {
		e.sum = nil // read it again, to know what is there
		return false, unwritable(s.Dir, err)
	}
	if err := f.Sync(); err != nil {
		e.sum = nil
		return false, unwritable(s.Dir, err)
	}
	e.sum.Write(b.Bytes())
	e.bytes += int64(b.Len())
	err = s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error {
		if err := s.Erase.Exported(ctx, tx, list); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `update house set list_bytes = $1, exported_at = $2`, e.bytes, db.Time{Time: s.Now()})
		return err
	})
	return len(list) == perLine, err
}

// renew writes the mark, when something has changed since it was written.
func (s *Service) renew(ctx context.Context, known exportState) error {
	e := &s.export
	m := mark{Format: markForm, House: s.ID, Bytes: e.bytes, SHA256: base64.StdEncoding.EncodeToString(e.sum.Sum(nil))}
	var err error
	if m.Checkpoint, err = ledger.LastCheckpoint(ctx, s.DB); err != nil {
		return err
	}
	same := m
	same.At = e.last.At
	if same == e.last && exists(filepath.Join(s.Dir, markName)) {
		return nil
	}
	m.At = s.Now().UTC().Truncate(time.Millisecond)
	b, err := json.Marshal(m)
	if err != nil {
		return err
	}
	text, err := s.Ledger.Signer.Sign(string(b) + "\n")
	if err != nil {
		return err
	}
	if err := writeFile(filepath.Join(s.Dir, markName), text); err != nil {
		return unwritable(s.Dir, err)
	}
	e.last = m
	if known.since.IsZero() || known.bytes != m.Bytes {
		_, err = s.DB.Exec(ctx, `update house set list_bytes = $1, exported_at = $2`, m.Bytes, db.Time{Time: s.Now()})
	}
	return err
}

// exportState is what the database knows of the list.
type exportState struct {
	since time.Time // of the last export; zero: never
	bytes int64     // of the list, as far as all of it is known here
}

func (s *Service) exported(ctx context.Context) (e exportState, err error) {
	var since db.Time
	if err := s.DB.QueryRow(ctx, `select exported_at, list_bytes from house`).Scan(&since, &e.bytes); err != nil {
		return e, fmt.Errorf("select house: %w", db.AsFault(err))
	}
	e.since = since.Time
	return e, nil
}

// lock keeps other processes out of what is done in a folder, and makes it.
func (s *Service) lock(dir, name string) (unlock func(), err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, unwritable(dir, err)
	}
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, unwritable(dir, err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		f.Close()
		return nil, unwritable(dir, err)
	}
	return func() { f.Close() }, nil
}

// readMark reads the mark beside a list; ok is false when there is none.
func readMark(dir, vkey string) (m mark, ok bool, err error) {
	b, err := os.ReadFile(filepath.Join(dir, markName))
	if errors.Is(err, fs.ErrNotExist) {
		return m, false, nil
	}
	if err != nil {
		return m, false, err
	}
	text, err := ledger.OpenNote(b, vkey)
	if err != nil {
		return m, true, err
	}
	err = json.Unmarshal([]byte(text), &m)
	return m, true, err
}

// readList returns the entries of a list from an offset on, after comparing what
// the mark covers with its sum. Whole lines beyond the mark count too: a crash
// came between them.
func readList(dir string, m mark, from int64) (list []erase.Erased, size int64, err error) {
	f, err := os.Open(filepath.Join(dir, listName))
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	sum, r, right := sha256.New(), bufio.NewReader(f), m.Bytes == 0
	for {
		line, err := r.ReadBytes('\n')
		if err != nil {
			break
		}
		if size >= from {
			var e erase.Erased
			if err := json.Unmarshal(line, &e); err != nil {
				return nil, size, errors.New("a line of it cannot be read")
			}
			list = append(list, e)
		}
		sum.Write(line)
		if size += int64(len(line)); size == m.Bytes {
			right = base64.StdEncoding.EncodeToString(sum.Sum(nil)) == m.SHA256
		}
	}
	if !right {
		return nil, size, errors.New("it is not the one that was signed for")
	}
	return list, size, nil
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

func listLost(dir string) *fault.Error {
	return fault.New(fault.Unavailable, "The erasure list in %s is missing or has been cut.", dir).
		WithHint("Put it back. If it is lost for good, a person must decide: see docs/operate.md, “Restore”.").In("backup.list_lost")
}
