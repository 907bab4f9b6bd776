package erase

import (
	"context"
	"fmt"
	"slices"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/fault"
	"github.com/tillid/tillid/internal/subject"
)

// replayed is how many entries of the list are replayed in one case.
const replayed = 200

// Waiting returns at most limit entries of the erasure list that are not yet
// beside the backups, oldest first.
func (s *Service) Waiting(ctx context.Context, limit int) ([]Erased, error) {
	return selectErased(ctx, s.DB, `where exported_at is null order by erased_at, pseudonym limit $1`, limit)
}

// Exported notes that entries stand beside the backups.
func (s *Service) Exported(ctx context.Context, tx *db.Tx, list []Erased) error {
	for some := range slices.Chunk(list, replayed) {
		in, args := db.List(2, pseudonyms(some))
		_, err := tx.Exec(ctx, `update erasure_list set exported_at = $1 where pseudonym in `+in, append([]any{at(s.Now())}, args...)...)
		if err != nil {
			return fmt.Errorf("update erasure list: %w", err)
		}
	}
	return nil
}

// Unknown returns those of the entries that this database does not know as erased.
func (s *Service) Unknown(ctx context.Context, list []Erased) ([]Erased, error) {
	var unknown []Erased
	for some := range slices.Chunk(list, replayed) {
		in, args := db.List(1, pseudonyms(some))
		known, err := selectErased(ctx, s.DB, `where pseudonym in `+in, args...)
		if err != nil {
			return nil, err
		}
		have := pseudonyms(known)
		for _, e := range some {
			if !slices.Contains(have, e.Pseudonym) {
				unknown = append(unknown, e)
			}
		}
	}
	return unknown, nil
}

// Replay erases again, in a restored database and key store, what a list says
// was erased after the backup was made: rows, keys, and once more at the
// processors. No hold and no law keeps it: nothing did then. It is idempotent,
// and returns how many records it found alive.
func (s *Service) Replay(ctx context.Context, list []Erased, tell func(done int)) (alive int, err error) {
	done := 0
	for some := range slices.Chunk(list, replayed) {
		n, err := s.replay(ctx, some)
		if err != nil {
			return alive, fmt.Errorf("replay erasures: %w", err)
		}
		alive, done = alive+n, done+len(some)
		tell(done)
	}
	return alive, nil
}

func (s *Service) replay(ctx context.Context, list []Erased) (int, error) {
	records, keys, err := s.alive(ctx, list)
	if err != nil {
		return 0, err
	}
	if len(records) > 0 {
		if _, err := s.open(ctx, "", records, Reason{Kind: Restored}); err != nil {
			return 0, err
		}
	}
	// A key store restored from an older backup holds keys whose rows are gone.
	if err := s.Keys.Destroy(ctx, keys...); err != nil {
		return 0, err
	}
	err = s.DB.Do(ctx, func(ctx context.Context, tx *db.Tx) error {
		for _, e := range list {
			if err := insertErased(ctx, tx, e.Pseudonym, e.Kind, e.Case, e.At); err != nil {
				return err
			}
		}
		return s.Exported(ctx, tx, list)
	})
	return len(records), err
}

// alive returns the records of a list, and of the persons on it, that are there
// again, and the ids of all keys that may not be.
func (s *Service) alive(ctx context.Context, list []Erased) (records []subject.Record, keys []string, err error) {
	seen := map[string]bool{}
	add := func(some []subject.Record) {
		for _, r := range some {
			if !seen[r.ID] {
				seen[r.ID], records = true, append(records, r)
			}
		}
	}
	for _, e := range list {
		if e.Kind == "person" {
			some, err := s.Subject.Of(ctx, s.DB, subject.PersonID(e.Pseudonym))
			if err != nil {
				return nil, nil, err
			}
			add(some)
			continue
		}
		keys = append(keys, e.Pseudonym)
		r, err := s.Subject.Get(ctx, s.DB, e.Pseudonym)
		if err == nil {
			add([]subject.Record{r})
		} else if fault.Of(err).Kind != fault.NotFound {
			return nil, nil, err
		}
	}
	return records, keys, nil
}

// Back returns how many entries of a list are there again, as a row or as a key:
// none, after a replay.
func (s *Service) Back(ctx context.Context, list []Erased) (int, error) {
	n := 0
	for some := range slices.Chunk(list, replayed) {
		records, keys, err := s.alive(ctx, some)
		if err != nil {
			return n, err
		}
		left, err := s.Keys.Left(ctx, keys...)
		if err != nil {
			return n, err
		}
		n += len(records) + len(left)
	}
	return n, nil
}

func pseudonyms(list []Erased) []string {
	all := make([]string, len(list))
	for i, e := range list {
		all[i] = e.Pseudonym
	}
	return all
}
