package file

import (
	"context"
	"fmt"
	"time"

	"github.com/tillid/tillid/internal/db"
)

type fileRow struct {
	File
	sealed []byte
}

func insert(ctx context.Context, tx *db.Tx, f File, sealed []byte) error {
	if sealed == nil {
		sealed = []byte{}
	}
	_, err := tx.Exec(ctx, `insert into file (id, record, type, size, scan, active, kept, received_at, sealed) values ($1, $2, $3, $4, $5, $6, false, $7, $8)`,
		f.ID, f.Record, f.Type, f.Size, f.Scan, f.Active, db.Time{Time: f.Received}, sealed)
	if err != nil {
		return fmt.Errorf("insert file: %w", err)
	}
	return nil
}

func insertChunk(ctx context.Context, tx *db.Tx, id string, n int64, sealed []byte) error {
	if _, err := tx.Exec(ctx, `insert into file_chunk (file, n, sealed) values ($1, $2, $3)`, id, n, sealed); err != nil {
		return fmt.Errorf("insert chunk: %w", err)
	}
	return nil
}

// complete notes what a file is, once all of it has arrived.
func complete(ctx context.Context, tx *db.Tx, f File, sealed []byte) error {
	if _, err := tx.Exec(ctx, `update file set type = $2, size = $3, active = $4, sealed = $5 where id = $1`, f.ID, f.Type, f.Size, f.Active, sealed); err != nil {
		return fmt.Errorf("complete file: %w", err)
	}
	return nil
}

// keep makes one whole file of a record stay, and counts the rows.
func keep(ctx context.Context, tx *db.Tx, record, id string) (int64, error) {
	res, err := tx.Exec(ctx, `update file set kept = true where id = $1 and record = $2 and type <> ''`, id, record)
	if err != nil {
		return 0, fmt.Errorf("keep file: %w", err)
	}
	return res.RowsAffected()
}

// selectFiles returns the whole files of a record.
func selectFiles(ctx context.Context, q db.Queryer, record string) ([]fileRow, error) {
	rows, err := q.Query(ctx, `select id, record, type, size, scan, active, received_at, sealed from file where record = $1 and type <> '' order by received_at, id`, record)
	if err != nil {
		return nil, fmt.Errorf("select files: %w", err)
	}
	defer rows.Close()
	var all []fileRow
	for rows.Next() {
		var r fileRow
		var at db.Time
		if err := rows.Scan(&r.ID, &r.Record, &r.Type, &r.Size, &r.Scan, &r.Active, &at, &r.sealed); err != nil {
			return nil, fmt.Errorf("scan file: %w", err)
		}
		r.Received = at.Time
		all = append(all, r)
	}
	return all, rows.Err()
}

func selectChunk(ctx context.Context, q db.Queryer, id string, n int64) (sealed []byte, err error) {
	if err := q.QueryRow(ctx, `select sealed from file_chunk where file = $1 and n = $2`, id, n).Scan(&sealed); err != nil {
		return nil, fmt.Errorf("select chunk: %w", err)
	}
	return sealed, nil
}

// setScan notes what the scanner said of a file that waited for it.
func setScan(ctx context.Context, tx *db.Tx, id, scan string) error {
	if _, err := tx.Exec(ctx, `update file set scan = $2 where id = $1 and scan = 'waiting'`, id, scan); err != nil {
		return fmt.Errorf("note scan: %w", err)
	}
	return nil
}

// waiting counts kept files that have waited for the scanner since before a moment.
func waiting(ctx context.Context, q db.Queryer, before time.Time) (n int, err error) {
	if err := q.QueryRow(ctx, `select count(*) from file where kept and scan = 'waiting' and received_at < $1`, db.Time{Time: before}).Scan(&n); err != nil {
		return 0, fmt.Errorf("count files: %w", err)
	}
	return n, nil
}

func dropArrived(ctx context.Context, tx *db.Tx, id string) error {
	res, err := tx.Exec(ctx, `delete from file where id = $1 and not kept`, id)
	if err != nil {
		return fmt.Errorf("delete file: %w", err)
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return err // kept meanwhile
	}
	if _, err := tx.Exec(ctx, `delete from file_chunk where file = $1`, id); err != nil {
		return fmt.Errorf("delete chunks: %w", err)
	}
	return nil
}

func dropFor(ctx context.Context, tx *db.Tx, record string) (files, chunks int, err error) {
	res, err := tx.Exec(ctx, `delete from file_chunk where file in (select id from file where record = $1)`, record)
	if err != nil {
		return 0, 0, fmt.Errorf("delete chunks: %w", err)
	}
	n, err := res.RowsAffected()
	if err != nil {
		return 0, 0, err
	}
	if res, err = tx.Exec(ctx, `delete from file where record = $1`, record); err != nil {
		return 0, 0, fmt.Errorf("delete files: %w", err)
	}
	m, err := res.RowsAffected()
	return int(m), int(n), err
}

func arrivedBefore(ctx context.Context, q db.Queryer, t time.Time) ([]string, error) {
	return db.Texts(ctx, q, `select id from file where not kept and received_at < $1 order by received_at limit 100`, db.Time{Time: t})
}

func claimed(ctx context.Context, q db.Queryer, keys []string) ([]string, error) {
	in, args := db.List(1, keys)
	return db.Texts(ctx, q, `select distinct record from file where record in `+in, args...)
}
