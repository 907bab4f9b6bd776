package connect

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/tillid/tillid/internal/db"
	"github.com/tillid/tillid/internal/subject"
)

// insertHandover reports false when the record is queued for the engagement already.
func insertHandover(ctx context.Context, tx *db.Tx, h Handover) (bool, error) {
	categories, err := json.Marshal(h.Categories)
	if err != nil {
		return false, fmt.Errorf("marshal categories: %w", err)
	}
	res, err := tx.Exec(ctx, `insert into handover (id, record, person, engagement, purpose, legal_basis, categories, channel, state, queued_at)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) on conflict (record, engagement) do nothing`,
		h.ID, h.Record, string(h.Person), h.Engagement, h.Purpose, h.LegalBasis, string(categories), h.Channel, string(h.State), db.Time{Time: h.Queued})
	if err != nil {
		return false, fmt.Errorf("insert handover: %w", err)
	}
	n, err := res.RowsAffected()
	return n > 0, err
}

func setAttempted(ctx context.Context, tx *db.Tx, id string, now time.Time) (bool, error) {
	return update(ctx, tx, `update handover set state = 'attempted', attempted_at = $2
		where id = $1 and state in ('waiting', 'attempted')`, id, db.Time{Time: now})
}

func setSent(ctx context.Context, tx *db.Tx, id string, ref []byte, now time.Time) (bool, error) {
	return update(ctx, tx, `update handover set state = 'sent', ref = $2, sent_at = $3 where id = $1`, id, ref, db.Time{Time: now})
}

func setRefused(ctx context.Context, tx *db.Tx, id string) error {
	_, err := update(ctx, tx, `update handover set state = 'refused' where id = $1`, id)
	return err
}

func update(ctx context.Context, tx *db.Tx, query string, args ...any) (bool, error) {
	res, err := tx.Exec(ctx, query, args...)
	if err != nil {
		return false, fmt.Errorf("update handover: %w", err)
	}
	n, err := res.RowsAffected()
	return n > 0, err
}

func handoverByID(ctx context.Context, q db.Queryer, id string) (Handover, bool, error) {
	all, err := selectHandovers(ctx, q, `where id = $1`, id)
	if err != nil || len(all) == 0 {
		return Handover{}, false, err
	}
	return all[0], true, nil
}

// Disclosures returns who got what of a person, oldest first: everything that
// has, or may have, left the house.
func (s *Service) Disclosures(ctx context.Context, q db.Queryer, p subject.PersonID) ([]Handover, error) {
	return selectHandovers(ctx, q, `where person = $1 and attempted_at is not null order by queued_at, id`, string(p))
}

// Handovers returns all handovers of records, also those that still wait.
func (s *Service) Handovers(ctx context.Context, q db.Queryer, records []string) ([]Handover, error) {
	var all []Handover
	for ids := range slices.Chunk(records, 500) {
		in, args := db.List(1, ids)
		some, err := selectHandovers(ctx, q, `where record in `+in+` order by queued_at, id`, args...)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}

// Forget deletes what is known here about a record's handovers. Only package
// erase calls it, after it has frozen the references.
func (s *Service) Forget(ctx context.Context, tx *db.Tx, record string) (int, error) {
	res, err := tx.Exec(ctx, `delete from handover where record = $1`, record)
	if err != nil {
		return 0, fmt.Errorf("delete handovers: %w", err)
	}
	n, err := res.RowsAffected()
	return int(n), err
}

func selectHandovers(ctx context.Context, q db.Queryer, where string, args ...any) ([]Handover, error) {
	rows, err := q.Query(ctx, `select id, record, person, engagement, purpose, legal_basis, categories, channel, state, ref,
		queued_at, attempted_at, sent_at from handover `+where, args...)
	if err != nil {
		return nil, fmt.Errorf("select handovers: %w", err)
	}
	defer rows.Close()
	var all []Handover
	for rows.Next() {
		var h Handover
		var categories string
		var queued, attempted, sent db.Time
		err := rows.Scan(&h.ID, &h.Record, &h.Person, &h.Engagement, &h.Purpose, &h.LegalBasis, &categories, &h.Channel, &h.State, &h.sealed,
			&queued, &attempted, &sent)
		if err != nil {
			return nil, fmt.Errorf("scan handover: %w", err)
		}
		if err := json.Unmarshal([]byte(categories), &h.Categories); err != nil {
			return nil, fmt.Errorf("read categories: %w", err)
		}
		h.Queued, h.Attempted, h.Sent = queued.Time, attempted.Time, sent.Time
		all = append(all, h)
	}
	return all, rows.Err()
}
