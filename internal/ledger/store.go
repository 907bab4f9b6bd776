package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/tillid/tillid/internal/db"
)

func insertLeaf(ctx context.Context, tx *db.Tx, leaf Leaf, body []byte, hash tlog.Hash) error {
	_, err := tx.Exec(ctx, `insert into leaf (id, kind, at, version, body, hash) values ($1, $2, $3, $4, $5, $6)`,
		leaf.ID, leaf.Kind, db.Time{Time: leaf.At}, leaf.Version, string(body), hash[:])
	return err
}

// waiting is a leaf without a number.
type waiting struct {
	id   string
	hash tlog.Hash
}

func waitingLeaves(ctx context.Context, q db.Queryer, limit int) ([]waiting, error) {
	rows, err := q.Query(ctx, `select id, hash from leaf where idx is null order by at, id limit $1`, limit)
	if err != nil {
		return nil, fmt.Errorf("waiting leaves: %w", err)
	}
	defer rows.Close()
	var list []waiting
	for rows.Next() {
		var w waiting
		var hash []byte
		if err := rows.Scan(&w.id, &hash); err != nil {
			return nil, fmt.Errorf("waiting leaves: %w", err)
		}
		copy(w.hash[:], hash)
		list = append(list, w)
	}
	return list, rows.Err()
}

func waitingSince(ctx context.Context, q db.Queryer, at time.Time) (n int, err error) {
	err = q.QueryRow(ctx, `select count(*) from leaf where idx is null and at < $1`, db.Time{Time: at}).Scan(&n)
	return n, err
}

func numberLeaf(ctx context.Context, tx *db.Tx, id string, n int64) error {
	res, err := tx.Exec(ctx, `update leaf set idx = $2 where id = $1 and idx is null`, id, n)
	if err != nil {
		return fmt.Errorf("number leaf: %w", err)
	}
	if done, err := res.RowsAffected(); err != nil || done != 1 {
		return errors.Join(err, errMoved)
	}
	return nil
}

// insertHashes stores the hashes of g; those of leaves with name and seal.
func insertHashes(ctx context.Context, tx *db.Tx, g *growth) error {
	first := tlog.StoredHashIndex(0, g.from.N)
	for i, h := range g.hashes {
		var leaf, seal any
		if level, n := tlog.SplitStoredHashIndex(first + int64(i)); level == 0 {
			leaf, seal = g.leaves[n-g.from.N].id, g.seals[n-g.from.N]
		}
		_, err := tx.Exec(ctx, `insert into tree_hash (pos, hash, leaf, seal) values ($1, $2, $3, $4)`, first+int64(i), h[:], leaf, seal)
		if err != nil {
			return fmt.Errorf("insert hash: %w", err)
		}
	}
	return nil
}

func insertCheckpoint(ctx context.Context, tx *db.Tx, c checkpoint, now time.Time) error {
	_, err := tx.Exec(ctx, `insert into checkpoint (size, root, at, note) values ($1, $2, $3, $4)`,
		c.N, c.Hash[:], db.Time{Time: now}, c.note)
	if err != nil {
		return fmt.Errorf("insert checkpoint: %w", err)
	}
	return nil
}

// lastSize returns the size of the last signed checkpoint, 0 when there is none.
func lastSize(ctx context.Context, q db.Queryer) (n int64, err error) {
	err = q.QueryRow(ctx, `select coalesce(max(size), 0) from checkpoint`).Scan(&n)
	return n, err
}

// lastNote returns the last signed checkpoint, "" when there is none.
func lastNote(ctx context.Context, q db.Queryer) (signed string, err error) {
	err = q.QueryRow(ctx, `select note from checkpoint order by size desc limit 1`).Scan(&signed)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return signed, err
}

// takeLease makes holder the sequencer until now + lease, or returns errOther.
func takeLease(ctx context.Context, tx *db.Tx, holder string, now time.Time) error {
	res, err := tx.Exec(ctx, `
		insert into sequencer (id, holder, until) values (1, $1, $2)
		on conflict (id) do update set holder = excluded.holder, until = excluded.until
		where sequencer.holder = excluded.holder or sequencer.until <= $3`,
		holder, db.Time{Time: now.Add(lease)}, db.Time{Time: now})
	if err != nil {
		return fmt.Errorf("take sequencer lease: %w", err)
	}
	if n, err := res.RowsAffected(); err != nil || n != 1 {
		return errors.Join(err, errOther)
	}
	return nil
}

func leaseHolder(ctx context.Context, q db.Queryer) (holder string, until time.Time, err error) {
	var at db.Time
	err = q.QueryRow(ctx, `select holder, until from sequencer where id = 1`).Scan(&holder, &at)
	if errors.Is(err, sql.ErrNoRows) {
		return "", time.Time{}, nil
	}
	return holder, at.Time, err
}

// reader reads stored hashes.
func reader(ctx context.Context, q db.Queryer) tlog.HashReader {
	return tlog.HashReaderFunc(func(positions []int64) ([]tlog.Hash, error) {
		if len(positions) == 0 {
			return nil, nil
		}
		found, err := hashesAt(ctx, q, positions)
		if err != nil {
			return nil, fmt.Errorf("read hashes: %w", err)
		}
		hashes := make([]tlog.Hash, len(positions))
		for i, p := range positions {
			h, ok := found[p]
			if !ok {
				return nil, fmt.Errorf("read hashes: the stored tree has no hash at %d; tillid ledger verify names what is missing", p)
			}
			hashes[i] = h
		}
		return hashes, nil
	})
}

func hashesAt(ctx context.Context, q db.Queryer, positions []int64) (map[int64]tlog.Hash, error) {
	var in strings.Builder
	args := make([]any, len(positions))
	for i, p := range positions {
		in.WriteString(",$" + strconv.Itoa(i+1))
		args[i] = p
	}
	rows, err := q.Query(ctx, `select pos, hash from tree_hash where pos in (`+in.String()[1:]+`)`, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	found := make(map[int64]tlog.Hash, len(positions))
	for rows.Next() {
		var pos int64
		var b []byte
		if err := rows.Scan(&pos, &b); err != nil {
			return nil, err
		}
		var h tlog.Hash
		copy(h[:], b)
		found[pos] = h
	}
	return found, rows.Err()
}

// leafByID returns a leaf's bytes and number, -1 while it waits.
func leafByID(ctx context.Context, q db.Queryer, id string) (body []byte, n int64, err error) {
	err = q.QueryRow(ctx, `select body, coalesce(idx, -1) from leaf where id = $1`, id).Scan(&body, &n)
	return body, n, err
}

// recent lists waiting leaves first, then numbered ones below before.
func recent(ctx context.Context, q db.Queryer, n int, before int64) ([]Entry, error) {
	var list []Entry
	if before <= 0 {
		before = math.MaxInt64
		var err error
		list, err = entries(ctx, q, `select body, -1 from leaf where idx is null order by at desc, id desc limit $1`, n)
		if err != nil {
			return nil, err
		}
	}
	numbered, err := entries(ctx, q, `select body, idx from leaf where idx < $2 order by idx desc limit $1`, n-len(list), before)
	return append(list, numbered...), err
}

func entries(ctx context.Context, q db.Queryer, query string, args ...any) ([]Entry, error) {
	rows, err := q.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []Entry
	for rows.Next() {
		var body []byte
		var e Entry
		if err := rows.Scan(&body, &e.Index); err != nil {
			return nil, err
		}
		if e.Leaf, err = parseLeaf(body); err != nil {
			return nil, err
		}
		list = append(list, e)
	}
	return list, rows.Err()
}

// bodies returns the bytes of the leaves from number first up to, without, end.
func bodies(ctx context.Context, q db.Queryer, first, end int64) ([][]byte, error) {
	rows, err := q.Query(ctx, `select body from leaf where idx >= $1 and idx < $2 order by idx`, first, end)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list [][]byte
	for rows.Next() {
		var b []byte
		if err := rows.Scan(&b); err != nil {
			return nil, err
		}
		list = append(list, b)
	}
	return list, rows.Err()
}

// place is what is stored about one number: its leaf and its leaf hash. Either
// may be missing.
type place struct {
	n    int64
	leaf *storedLeaf
	hash *storedHash
}

type storedLeaf struct {
	id, kind, version string
	at                time.Time
	body              []byte
	hash              []byte
}

type storedHash struct {
	hash []byte
	id   string
	seal []byte
}

// places returns the numbers from first up to, without, end, and the hashes
// stored above the leaves of that range, by position.
func places(ctx context.Context, q db.Queryer, first, end int64) ([]place, map[int64][]byte, error) {
	list := make([]place, end-first)
	for i := range list {
		list[i].n = first + int64(i)
	}
	if err := addLeaves(ctx, q, first, end, list); err != nil {
		return nil, nil, fmt.Errorf("read leaves: %w", err)
	}
	above, err := addHashes(ctx, q, first, end, list)
	if err != nil {
		return nil, nil, fmt.Errorf("read hashes: %w", err)
	}
	return list, above, nil
}

func addLeaves(ctx context.Context, q db.Queryer, first, end int64, list []place) error {
	rows, err := q.Query(ctx, `select idx, id, kind, version, at, body, hash from leaf where idx >= $1 and idx < $2`, first, end)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var n int64
		var at db.Time
		s := &storedLeaf{}
		if err := rows.Scan(&n, &s.id, &s.kind, &s.version, &at, &s.body, &s.hash); err != nil {
			return err
		}
		s.at = at.Time
		list[n-first].leaf = s
	}
	return rows.Err()
}

func addHashes(ctx context.Context, q db.Queryer, first, end int64, list []place) (map[int64][]byte, error) {
	rows, err := q.Query(ctx, `select pos, hash, coalesce(leaf, ''), seal from tree_hash where pos >= $1 and pos < $2`,
		tlog.StoredHashIndex(0, first), tlog.StoredHashIndex(0, end))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	above := map[int64][]byte{}
	for rows.Next() {
		var pos int64
		s := &storedHash{}
		if err := rows.Scan(&pos, &s.hash, &s.id, &s.seal); err != nil {
			return nil, err
		}
		if level, n := tlog.SplitStoredHashIndex(pos); level == 0 {
			list[n-first].hash = s
		} else {
			above[pos] = s.hash
		}
	}
	return above, rows.Err()
}

// notes returns every stored checkpoint by its size.
func notes(ctx context.Context, q db.Queryer) (map[int64]string, error) {
	rows, err := q.Query(ctx, `select size, note from checkpoint`)
	if err != nil {
		return nil, fmt.Errorf("read checkpoints: %w", err)
	}
	defer rows.Close()
	all := map[int64]string{}
	for rows.Next() {
		var size int64
		var signed string
		if err := rows.Scan(&size, &signed); err != nil {
			return nil, fmt.Errorf("read checkpoints: %w", err)
		}
		all[size] = signed
	}
	return all, rows.Err()
}

// highest returns one more than the highest number of a leaf.
func highest(ctx context.Context, q db.Queryer) (n int64, err error) {
	err = q.QueryRow(ctx, `select coalesce(max(idx), -1) + 1 from leaf`).Scan(&n)
	return n, err
}
