package subject

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tillid/tillid/internal/db"
)

// Forgotten says what Forget removed.
type Forgotten struct {
	Rows    map[string]int // rows per table
	Keys    []string       // ids of the keys that must now be destroyed
	Persons []PersonID     // persons about whom nothing is held any more
}

// Forget deletes the register's rows of records, and the persons and
// identifiers that lost their last record by it. It is idempotent. Only package
// erase calls it, after the holders have removed what is theirs.
func (s *Service) Forget(ctx context.Context, tx *db.Tx, records []Record) (Forgotten, error) {
	f := Forgotten{Rows: map[string]int{}}
	persons := map[PersonID]bool{}
	for _, r := range records {
		n, err := remove(ctx, tx, `delete from record where id = $1`, r.ID)
		if err != nil {
			return f, err
		}
		f.Rows["record"] += n
		if _, err := remove(ctx, tx, `delete from restriction where record = $1`, r.ID); err != nil {
			return f, err
		}
		f.Keys = append(f.Keys, r.ID)
		persons[r.Person] = true
	}
	for _, p := range slices.Sorted(maps.Keys(persons)) {
		if err := s.forgetPerson(ctx, tx, p, &f); err != nil {
			return f, err
		}
	}
	return f, nil
}

func (s *Service) forgetPerson(ctx context.Context, tx *db.Tx, p PersonID, f *Forgotten) error {
	if err := lockPerson(ctx, tx, p); err != nil {
		return err
	}
	var left int
	if err := tx.QueryRow(ctx, `select count(*) from record where person = $1`, string(p)).Scan(&left); err != nil {
		return fmt.Errorf("count records: %w", err)
	}
	if left > 0 {
		return nil
	}
	ids, err := db.Texts(ctx, tx, `select id from identifier where person = $1 order by id`, string(p))
	if err != nil {
		return fmt.Errorf("select identifiers: %w", err)
	}
	n, err := remove(ctx, tx, `delete from identifier where person = $1`, string(p))
	if err != nil {
		return err
	}
	f.Rows["identifier"] += n
	if n, err = remove(ctx, tx, `delete from person where id = $1`, string(p)); err != nil || n == 0 {
		return err
	}
	f.Rows["person"] += n
	f.Keys = append(f.Keys, ids...)
	f.Persons = append(f.Persons, p)
	return nil
}

// Move makes a record that of another person, who turned out to be its person. The one
// before is forgotten when nothing else is held; the keys to destroy are returned.
func (s *Service) Move(ctx context.Context, tx *db.Tx, record Record, to PersonID) ([]string, error) {
	f := Forgotten{Rows: map[string]int{}}
	if record.Person == to {
		return nil, nil
	}
	if err := s.Lock(ctx, tx, record.Person, to); err != nil {
		return nil, err
	}
	if _, err := tx.Exec(ctx, `update record set person = $2 where id = $1`, record.ID, string(to)); err != nil {
		return nil, fmt.Errorf("move record: %w", err)
	}
	err := s.forgetPerson(ctx, tx, record.Person, &f)
	return f.Keys, err
}

// Lock makes the transaction the only one that adds to or erases these persons.
func (s *Service) Lock(ctx context.Context, tx *db.Tx, persons ...PersonID) error {
	for _, p := range slices.Compact(slices.Sorted(slices.Values(persons))) { // one order for all, so that none waits in a circle
		if err := lockPerson(ctx, tx, p); err != nil {
			return err
		}
	}
	return nil
}

// orphanAge is how old a key must be before Sweep asks whether it is used: much
// older than any transaction.
const orphanAge = time.Hour

// Sweep destroys keys that nothing uses: what a crash, a refused form or an
// identifier that was known already left behind. It returns how many.
func (s *Service) Sweep(ctx context.Context) (int, error) {
	before := db.Time{Time: s.Now().Add(-orphanAge)}
	var after string
	swept := 0
	for {
		ids, err := db.Texts(ctx, s.Keys.DB, `select record from record_key where created_at < $1 and record > $2 order by record limit $3`,
			before, after, batch)
		if err != nil {
			return swept, fmt.Errorf("select old keys: %w", err)
		}
		if len(ids) == 0 {
			return swept, nil
		}
		after = ids[len(ids)-1]
		orphans, err := s.orphans(ctx, ids)
		if err != nil {
			return swept, err
		}
		if err := s.Keys.Destroy(ctx, orphans...); err != nil {
			return swept, err
		}
		swept += len(orphans)
	}
}

// A key whose id has a colon is the program's own ("house:…") and never an orphan.
const ownKey = ":"

// orphans returns those of the ids that nothing claims.
func (s *Service) orphans(ctx context.Context, ids []string) ([]string, error) {
	used := map[string]bool{}
	claims := append([]func(context.Context, db.Queryer, []string) ([]string, error){registered}, s.Claims...)
	for _, claim := range claims {
		claimed, err := claim(ctx, s.DB, ids)
		if err != nil {
			return nil, fmt.Errorf("ask who uses keys: %w", err)
		}
		for _, id := range claimed {
			used[id] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return used[id] || strings.Contains(id, ownKey) }), nil
}

// registered claims the keys of records, identifiers and erasure cases.
func registered(ctx context.Context, q db.Queryer, ids []string) ([]string, error) {
	in, args := db.List(1, ids)
	return db.Texts(ctx, q, `select id from record where id in `+in+
		` union select id from identifier where id in `+in+
		` union select id from erasure_case where state = 'open' and id in `+in, args...)
}

// Tables lists the tables of the register, for the test that every table is claimed.
func Tables() []Table {
	return []Table{
		{Name: "person", Fields: map[string]string{"id": "random pseudonym"}},
		{Name: "identifier", Fields: map[string]string{"lookup": "keyed hash", "value": "sealed identifier"}},
		{Name: "restriction", Fields: map[string]string{"record": "pseudonym", "person": "pseudonym", "ground": "why its use is paused"}},
		{Name: "record", Fields: map[string]string{"person": "pseudonym", "kind": "what it is"}},
	}
}

func remove(ctx context.Context, tx *db.Tx, query string, args ...any) (int, error) {
	res, err := tx.Exec(ctx, query, args...)
	if err != nil {
		return 0, fmt.Errorf("delete: %w", err)
	}
	n, err := res.RowsAffected()
	return int(n), err
}
