package db

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/pressly/goose/v3"

	"github.com/tillid/tillid/internal/fault"
)

//go:embed migration/*.sql
var migrations embed.FS

// Migrate applies the embedded migrations of a house's database (goose, forward only).
func (d *DB) Migrate(ctx context.Context) error { return d.MigrateFS(ctx, migrations) }

// MigrateFS applies another set of migrations, for example the key store's.
// The *.sql files lie at the root of files or in its one folder. A migration
// that has run may not be edited or missing: that is a fault.Conflict.
func (d *DB) MigrateFS(ctx context.Context, files fs.FS) error {
	mustBeOutside(ctx)
	sums, files, err := sumFiles(files)
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	if d.Lite() {
		err = d.writer.apart(ctx, func() error { return migrateLite(ctx, d.dsn, files, sums) })
	} else {
		err = migratePostgres(ctx, d.dsn, files, sums)
	}
	if err != nil {
		return fmt.Errorf("migrate: %w", AsFault(err))
	}
	return nil
}

// migrateLite works on a connection of its own while the writer waits.
func migrateLite(ctx context.Context, file string, files fs.FS, sums map[string]string) error {
	handle, err := sql.Open("sqlite", liteDSN(file))
	if err != nil {
		return err
	}
	defer handle.Close()
	handle.SetMaxOpenConns(1)
	return migrate(ctx, goose.DialectSQLite3, handle, files, sums)
}

// migratePostgres holds a lock, so that replicas that start together do not race.
func migratePostgres(ctx context.Context, dsn string, files fs.FS, sums map[string]string) error {
	handle, err := sql.Open("pgx", dsn)
	if err != nil {
		return err
	}
	defer handle.Close()
	guard, err := handle.Conn(ctx)
	if err != nil {
		return err
	}
	defer guard.Close() // ends the session and with it the lock
	if _, err := guard.ExecContext(ctx, `select pg_advisory_lock(hashtextextended('tillid migrate ' || current_schema(), 0))`); err != nil {
		return err
	}
	defer guard.ExecContext(context.WithoutCancel(ctx), `select pg_advisory_unlock_all()`) //nolint:errcheck // the lock ends with the connection
	return migrate(ctx, goose.DialectPostgres, handle, files, sums)
}

func migrate(ctx context.Context, dialect goose.Dialect, handle *sql.DB, files fs.FS, sums map[string]string) error {
	if _, err := handle.ExecContext(ctx, `create table if not exists migration (name text primary key, sum text not null)`); err != nil {
		return err
	}
	if err := checkSums(ctx, handle, sums); err != nil {
		return err
	}
	p, err := goose.NewProvider(dialect, handle, files, goose.WithAllowOutofOrder(true), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return err
	}
	if _, err := p.Up(ctx); err != nil {
		return err
	}
	for name, sum := range sums {
		_, err := handle.ExecContext(ctx, `insert into migration (name, sum) values ($1, $2) on conflict (name) do nothing`, name, sum)
		if err != nil {
			return err
		}
	}
	return nil
}

// checkSums compares the migrations that ran with the files.
func checkSums(ctx context.Context, handle *sql.DB, sums map[string]string) error {
	rows, err := handle.QueryContext(ctx, `select name, sum from migration order by name`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var name, ran string
		if err := rows.Scan(&name, &ran); err != nil {
			return err
		}
		switch sum, ok := sums[name]; {
		case !ok:
			return fault.New(fault.Conflict, "The database was used by a newer Tillid: its migration %s is unknown here.", name).
				WithHint("Start the newer version of Tillid again, or restore a backup from before the upgrade.")
		case sum != ran:
			return fault.New(fault.Conflict, "The migration %s was changed after it ran.", name).
				WithHint("Undo the change and put it into a new migration.")
		}
	}
	return rows.Err()
}

// sumFiles returns the SHA-256 of every migration by its name, and the folder
// that holds them.
func sumFiles(files fs.FS) (map[string]string, fs.FS, error) {
	names, err := fs.Glob(files, "*.sql")
	if err != nil {
		return nil, nil, err
	}
	if len(names) == 0 {
		inner, err := fs.Glob(files, "*/*.sql")
		if err != nil || len(inner) == 0 {
			return nil, nil, errors.Join(err, errors.New("no migrations"))
		}
		if files, err = fs.Sub(files, path.Dir(inner[0])); err != nil {
			return nil, nil, err
		}
		return sumFiles(files)
	}
	sums := make(map[string]string, len(names))
	for _, name := range names {
		b, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, nil, err
		}
		sum := sha256.Sum256(b)
		sums[name] = hex.EncodeToString(sum[:])
	}
	return sums, files, nil
}
