package backup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/erase"
	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/ledger"
)

// Gap is what a database lacks of what stands beside the backups: it was restored.
type Gap struct {
	Origin  string         // name of the log that ends here
	Size    int64          // how long that log was
	Root    string         // its root then
	Have    int64          // how much of it is here
	Unknown []erase.Erased // erasures that must be replayed
	Lost    string         // why the list cannot be trusted, in English; empty: it can

	bytes int64 // length of the list
}

// Gap compares the database with what was exported last to dir; nil when
// nothing is missing. A house that has never exported anything has no gap.
func (s *Service) Gap(ctx context.Context, dir string) (*Gap, error) {
	known, err := s.exported(ctx)
	if err != nil {
		return nil, err
	}
	g := &Gap{Size: -1}
	if last, err := ledger.LastCheckpoint(ctx, s.DB); err != nil {
		return nil, err
	} else if last != "" {
		if g.Origin, g.Have, _, err = ledger.OpenCheckpoint(last, s.Ledger.Signer.Verifier()); err != nil {
			return nil, err
		}
	}
	m, marked, err := readMark(dir, s.Ledger.Signer.Verifier())
	listed := exists(filepath.Join(dir, listName))
	switch {
	case err != nil:
		g.Lost = "the mark beside it does not carry this house's signature"
	case !marked && !listed && known.since.IsZero():
		return nil, nil // nothing was ever erased under this program's eyes
	case !marked && known.since.IsZero():
		return nil, nil // the very first export was interrupted
	case !marked:
		g.Lost = "it is missing"
	case m.House != s.ID:
		g.Lost = "it is another house's"
	}
	if g.Lost != "" {
		return g, nil
	}
	return s.compare(ctx, dir, m, known, g)
}

// compare fills in a gap from a mark that is the house's own.
func (s *Service) compare(ctx context.Context, dir string, m mark, known exportState, g *Gap) (*Gap, error) {
	list, size, err := readList(dir, m, min(known.bytes, m.Bytes))
	if errors.Is(err, fs.ErrNotExist) {
		g.Lost = "it is missing"
		return g, nil
	}
	if err != nil {
		g.Lost = err.Error()
		return g, nil
	}
	if size < known.bytes || size < m.Bytes {
		g.Lost = "its end was cut off"
		return g, nil
	}
	g.bytes = size
	if g.Unknown, err = s.Erase.Unknown(ctx, list); err != nil {
		return nil, err
	}
	behind, err := s.behind(ctx, m, g)
	if err != nil {
		return nil, err
	}
	if !behind && len(g.Unknown) == 0 {
		return nil, nil
	}
	return g, nil
}

// behind reports whether the log that was exported is longer than the one here,
// or another one, and not one that a restore has ended here already.
func (s *Service) behind(ctx context.Context, m mark, g *Gap) (bool, error) {
	if m.Checkpoint == "" {
		g.Size = 0
		return false, nil
	}
	origin, size, root, err := ledger.OpenCheckpoint(m.Checkpoint, s.Ledger.Signer.Verifier())
	if err != nil {
		return false, err
	}
	g.Origin, g.Size, g.Root = origin, size, root
	if origin != s.Ledger.Origin {
		var ended int64
		err := s.DB.QueryRow(ctx, `select count(*) from restore where old_origin = $1 and (old_size >= $2 or size >= $2)`, origin, size).Scan(&ended)
		return ended == 0, err
	}
	here, err := ledger.CheckpointAt(ctx, s.DB, size)
	if err != nil || here == "" {
		return true, err
	}
	_, _, mine, err := ledger.OpenCheckpoint(here, s.Ledger.Signer.Verifier())
	return mine != root, err
}

// Guard refuses a database that was restored and not yet brought up to date: a
// server must not answer before.
func (s *Service) Guard(ctx context.Context, folder string) error {
	g, err := s.Gap(ctx, s.Dir)
	if err != nil {
		return err
	}
	if g == nil {
		s.allow()
		return s.Export(ctx)
	}
	if g.Lost != "" {
		return lost(s.Dir, g.Lost, folder)
	}
	return fault.New(fault.Conflict, "This database was restored: its log has %d lines, %d had been signed, and %d erasures since then are not in it. Nobody is served until they are done again.",
		g.Have, g.Size, len(g.Unknown)).
		WithHint("Run: tillid restore --replay --house %s", folder).In("backup.restored")
}

func lost(dir, why, folder string) error {
	return fault.New(fault.Conflict, "The erasure list beside the backups (%s) cannot be used: %s. This database may hold people who were erased.", filepath.Join(dir, listName), why).
		WithHint("Put erased.jsonl and erased.mark back and start again. If they are lost for good, a person must decide: "+
			"tillid restore --replay --without-list REASON --house %s. That stands in the log for ever.", folder).In("backup.no_list")
}

// Replayed is what Replay did.
type Replayed struct {
	At     time.Time `json:"at"`
	Origin string    `json:"origin"`     // the new name of the log
	Old    string    `json:"old_origin"` // the log that has ended
	Size   int64     `json:"old_size"`   // how long that was; -1: nobody knows
	Have   int64     `json:"size"`       // from where the new one goes on
	Listed int       `json:"listed"`     // entries of the list that were unknown here
	Erased int       `json:"erased"`     // records that were there again
	Reason string    `json:"reason,omitempty"`
}

// Missing is how many lines of the old log are lost.
func (r Replayed) Missing() int64 { return max(0, r.Size-r.Have) }

// Replay brings a restored house up to date: erases again what was erased since
// the backup (rows and keys), gives the log a new name, and holds the mail until
// a person lets it go. dir is where the list is, s.Dir unless it is elsewhere;
// without is a person's reason to go on without a list. Killed at any step, it is
// simply run again. It returns nil when there is nothing to do.
func (s *Service) Replay(ctx context.Context, dir, folder, without string) (*Replayed, error) {
	g, err := s.Gap(ctx, dir)
	if err != nil || g == nil {
		return nil, err
	}
	if g.Lost != "" && strings.TrimSpace(without) == "" {
		return nil, lost(dir, g.Lost, folder)
	}
	r := &Replayed{At: s.Now(), Old: g.Origin, Size: g.Size, Have: g.Have, Listed: len(g.Unknown), Origin: s.newOrigin()}
	if g.Lost != "" {
		r.Reason = without
	}
	s.tell(Progress{Step: "replay"})
	r.Erased, err = s.Erase.Replay(ctx, g.Unknown, func(done int) { s.tell(Progress{Step: "replay", Rows: int64(done)}) })
	if err != nil {
		return nil, err
	}
	if _, err := s.Subject.Sweep(ctx); err != nil { // keys of persons' identifiers
		return nil, err
	}
	if err := s.adopt(dir, g); err != nil {
		return nil, err
	}
	s.tell(Progress{Step: "origin"})
	if err := s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error { return s.reopen(ctx, tx, g, r) }); err != nil {
		return nil, err
	}
	s.Ledger.Origin = r.Origin
	s.allow()
	if _, err := s.Ledger.Sequence(ctx); err != nil {
		return nil, err
	}
	s.tell(Progress{Step: "mark"})
	return r, s.Export(ctx)
}

// newOrigin is a name that no log had: two restores of one backup must not share one.
func (s *Service) newOrigin() string {
	return s.Ledger.Signer.Name() + "/" + s.Now().UTC().Format("20060102") + "-" + strings.ToLower(db.NewID()[:8])
}

// adopt makes the list that was replayed the one that goes on; one that cannot be
// trusted is put aside, and a new one begins with what the database knows.
func (s *Service) adopt(dir string, g *Gap) error {
	if err := os.MkdirAll(s.Dir, 0o700); err != nil {
		return unwritable(s.Dir, err)
	}
	own := filepath.Join(s.Dir, listName)
	if g.Lost != "" {
		for _, name := range []string{listName, markName} {
			err := os.Rename(filepath.Join(s.Dir, name), filepath.Join(s.Dir, name+".lost-"+s.Now().UTC().Format(stamp)))
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return unwritable(s.Dir, err)
			}
		}
		return nil
	}
	if dir == s.Dir {
		return nil
	}
	b, err := os.ReadFile(filepath.Join(dir, listName))
	if err != nil {
		return err
	}
	return writeFile(own, b[:g.bytes])
}

// reopen writes, in one transaction, that the old log ended here and a new one
// goes on, and holds the mail.
func (s *Service) reopen(ctx context.Context, tx *db.Tx, g *Gap, r *Replayed) error {
	_, err := tx.Exec(ctx, `update house set log_origin = $1, mail_held_at = $2, exported_at = $2, list_bytes = $3`, r.Origin, db.Time{Time: r.At}, g.bytes)
	if err != nil {
		return fmt.Errorf("update house: %w", err)
	}
	if err := s.Ledger.Alone(ctx, tx); err != nil {
		return err
	}
	if g.Lost != "" {
		if _, err := tx.Exec(ctx, `update erasure_list set exported_at = null`); err != nil {
			return fmt.Errorf("update erasure list: %w", err)
		}
	}
	_, err = tx.Exec(ctx, `insert into restore (id, at, old_origin, old_size, old_root, size, new_origin, erased, reason) values ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		db.NewID(), db.Time{Time: r.At}, r.Old, r.Size, g.Root, r.Have, r.Origin, r.Erased, r.Reason)
	if err != nil {
		return fmt.Errorf("insert restore: %w", err)
	}
	facts := map[string]string{"old_origin": r.Old, "old_size": fmt.Sprint(r.Size), "old_root": g.Root, "size": fmt.Sprint(r.Have),
		"new_origin": r.Origin, "listed": fmt.Sprint(r.Listed), "erased": fmt.Sprint(r.Erased)}
	if g.Lost != "" {
		facts["list"] = "missing"
	}
	_, err = s.Ledger.Append(ctx, tx, ledger.Leaf{Kind: "log.restored", At: r.At, Facts: facts})
	return err
}

// Restores lists the restores of this house, newest first.
func (s *Service) Restores(ctx context.Context) ([]Replayed, error) {
	rows, err := s.DB.Query(ctx, `select at, old_origin, old_size, size, new_origin, erased, reason from restore order by at desc, id limit 50`)
	if err != nil {
		return nil, fmt.Errorf("select restores: %w", err)
	}
	defer rows.Close()
	var all []Replayed
	for rows.Next() {
		var r Replayed
		var at db.Time
		if err := rows.Scan(&at, &r.Old, &r.Size, &r.Have, &r.Origin, &r.Erased, &r.Reason); err != nil {
			return nil, fmt.Errorf("scan restore: %w", err)
		}
		r.At = at.Time
		all = append(all, r)
	}
	return all, rows.Err()
}
