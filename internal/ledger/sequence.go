package ledger

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/tillid/tillid/internal/db"
)

const (
	bell     = "ledger"
	rhythm   = time.Second      // a checkpoint at most this often
	lease    = 10 * time.Second // of the sequencer
	batch    = 500              // leaves per checkpoint, so that writers never wait long
	maxWaits = time.Minute      // before Health complains
)

var (
	errOther = errors.New("another process numbers the leaves")
	errMoved = errors.New("the log grew meanwhile")
)

// holder names this process in the sequencer's lease.
type holder struct {
	once sync.Once
	name string
}

func (h *holder) id() string {
	h.once.Do(func() { h.name = db.NewID() })
	return h.name
}

// Run numbers and signs what is appended, within a second, until ctx ends.
func (l *Log) Run(ctx context.Context) {
	look := rhythm
	if l.DB.Lite() {
		look = 30 * time.Second // nobody else writes to the file
	}
	for ctx.Err() == nil {
		n, err := l.Sequence(ctx)
		if err != nil && ctx.Err() == nil {
			l.complain(ctx, "number leaves", err)
		}
		if n > 0 || err != nil {
			wait(ctx, rhythm, nil)
		}
		if err == nil {
			wait(ctx, look, l.DB.Bell(bell))
		}
	}
}

func wait(ctx context.Context, d time.Duration, bell <-chan struct{}) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	case <-bell:
	}
}

func (l *Log) complain(ctx context.Context, msg string, err error) {
	if l.Logger != nil {
		l.Logger.ErrorContext(ctx, msg, "err", err) //nolint:sloglint // its callers pass constants
	}
}

// Sequence numbers what waits and signs a new checkpoint. Only the holder of the
// lease does something. It returns how many leaves it numbered.
func (l *Log) Sequence(ctx context.Context) (int, error) {
	total, err := l.sequenceAll(ctx)
	if total > 0 && l.Grown != nil {
		if err := l.Grown(ctx); err != nil && ctx.Err() == nil {
			l.complain(ctx, "tell of a new checkpoint", err)
		}
	}
	return total, err
}

func (l *Log) sequenceAll(ctx context.Context) (int, error) {
	total := 0
	for {
		n, err := l.sequence(ctx)
		total += n
		switch {
		case errors.Is(err, errOther):
			return total, nil
		case errors.Is(err, errMoved):
		case err != nil:
			return total, fmt.Errorf("sequence: %w", err)
		case n < batch:
			return total, nil
		}
	}
}

// growth is a signed extension of the tree, made outside any transaction.
type growth struct {
	from   checkpoint
	to     checkpoint
	leaves []waiting
	seals  [][]byte
	hashes []tlog.Hash // stored hashes, from the first new position on
}

func (l *Log) sequence(ctx context.Context) (int, error) {
	leaves, err := waitingLeaves(ctx, l.DB, batch)
	if err != nil || len(leaves) == 0 {
		return 0, err
	}
	if err := l.ours(ctx, l.DB); err != nil {
		return 0, err
	}
	g, err := l.grow(ctx, leaves)
	if err != nil {
		return 0, err
	}
	err = l.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error { return l.store(ctx, tx, g) })
	if err != nil {
		return 0, err
	}
	return len(leaves), nil
}

// grow appends leaves to the tree of the last checkpoint, in memory, and signs
// the result. It refuses to build on hashes that are not those that were signed.
func (l *Log) grow(ctx context.Context, leaves []waiting) (*growth, error) {
	from, err := l.head(ctx)
	if err != nil {
		return nil, err
	}
	g := &growth{from: from, leaves: leaves}
	read := g.reader(reader(ctx, l.DB))
	root, err := tlog.TreeHash(from.N, read)
	if err != nil {
		return nil, err
	}
	if root != from.Hash {
		return nil, errors.New("the stored tree is not the one that was signed; tillid ledger verify names what was altered")
	}
	for i, leaf := range leaves {
		n := from.N + int64(i)
		hashes, err := tlog.StoredHashesForRecordHash(n, leaf.hash, read)
		if err != nil {
			return nil, err
		}
		seal, err := l.Signer.seal(n, leaf.hash)
		if err != nil {
			return nil, err
		}
		g.hashes, g.seals = append(g.hashes, hashes...), append(g.seals, seal)
	}
	to := tlog.Tree{N: from.N + int64(len(leaves))}
	if to.Hash, err = tlog.TreeHash(to.N, read); err != nil {
		return nil, err
	}
	g.to, err = l.sign(to)
	return g, err
}

// reader reads the new hashes from memory, and old ones once from the database.
func (g *growth) reader(stored tlog.HashReader) tlog.HashReader {
	first, known := tlog.StoredHashIndex(0, g.from.N), map[int64]tlog.Hash{}
	return tlog.HashReaderFunc(func(positions []int64) ([]tlog.Hash, error) {
		var missing []int64
		for _, p := range positions {
			if _, ok := known[p]; !ok && p < first {
				missing = append(missing, p)
			}
		}
		if len(missing) > 0 {
			hashes, err := stored.ReadHashes(missing)
			if err != nil {
				return nil, err
			}
			for i, p := range missing {
				known[p] = hashes[i]
			}
		}
		out := make([]tlog.Hash, len(positions))
		for i, p := range positions {
			switch {
			case p < first:
				out[i] = known[p]
			case p-first < int64(len(g.hashes)):
				out[i] = g.hashes[p-first]
			default:
				return nil, fmt.Errorf("the hash at %d is not known yet", p)
			}
		}
		return out, nil
	})
}

// store makes the growth durable, if the log is still as it was and the lease
// is ours. A number that a stored checkpoint has signed is never given again.
func (l *Log) store(ctx context.Context, tx *db.Tx, g *growth) error {
	if err := takeLease(ctx, tx, l.self.id(), l.Now()); err != nil {
		return err
	}
	if size, err := lastSize(ctx, tx); err != nil || size != g.from.N {
		return errors.Join(err, errMoved)
	}
	for i, leaf := range g.leaves {
		if err := numberLeaf(ctx, tx, leaf.id, g.from.N+int64(i)); err != nil {
			return err
		}
	}
	if err := insertHashes(ctx, tx, g); err != nil {
		return err
	}
	return insertCheckpoint(ctx, tx, g.to, l.Now())
}

// head returns the last checkpoint after checking its signature; for an empty
// log a checkpoint of size 0, signed now.
func (l *Log) head(ctx context.Context) (checkpoint, error) {
	signed, err := lastNote(ctx, l.DB)
	if err != nil {
		return checkpoint{}, err
	}
	if signed == "" {
		root, err := tlog.TreeHash(0, nil)
		if err != nil {
			return checkpoint{}, err
		}
		return l.sign(tlog.Tree{Hash: root})
	}
	_, tree, err := openCheckpoint([]byte(signed), l.Signer.Verifier())
	if err != nil {
		return checkpoint{}, fmt.Errorf("the last checkpoint: %w", err)
	}
	return checkpoint{Tree: tree, note: signed}, nil
}

// ours looks whether another process holds the lease, before work is spent.
func (l *Log) ours(ctx context.Context, q db.Queryer) error {
	holder, until, err := leaseHolder(ctx, q)
	if err == nil && holder != "" && holder != l.self.id() && until.After(l.Now()) {
		return errOther
	}
	return err
}

// Alone forgets who numbered leaves, in a database of which it is known that
// nobody does any more: a restored one.
func (l *Log) Alone(ctx context.Context, tx *db.Tx) error {
	if _, err := tx.Exec(ctx, `delete from sequencer`); err != nil {
		return fmt.Errorf("forget the sequencer: %w", err)
	}
	return nil
}

// Health says what is wrong with the log: leaves that have waited for more
// than a minute. Empty when all is well.
func (l *Log) Health(ctx context.Context) ([]string, error) {
	n, err := waitingSince(ctx, l.DB, l.Now().Add(-maxWaits))
	if err != nil {
		return nil, fmt.Errorf("log health: %w", err)
	}
	if n == 0 {
		return nil, nil
	}
	return []string{fmt.Sprintf("%d leaves have waited for their number in the log for more than a minute.", n)}, nil
}
