// Package migrations brings a database to the schema that this binary knows, and says whether the two fit.
//
// Each migration inserts into schema_compatibility its own version and the oldest version whose binaries still work
// after it, and its Down takes the row away. So a new schema can be rolled out under the old binaries, and a binary
// can be rolled back one step without touching the schema.
//
// Connections need a session of their own (an advisory lock lives in it): not through pgbouncer in transaction mode.
package migrations

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"onhand/internal/database"
)

//go:embed *.sql
var embedded embed.FS

// How long a second process waits for the first: one look a second, for five minutes.
const (
	lockIntervalSeconds = 1
	lockAttempts        = 300
)

// Up applies every migration that is missing, each in a transaction of its own, and creates the schema first when it
// does not exist. Two that run at once are safe: the second waits for the first and finds nothing left to do.
// An empty schema means the one that url's search_path names. Cancelled, it rolls the running migration back and keeps
// the finished ones.
func Up(ctx context.Context, url, schema string) error {
	return up(ctx, embedded, url, schema)
}

func up(ctx context.Context, files fs.FS, url, schema string) error {
	m, err := open(files, url, schema)
	if err != nil {
		return fmt.Errorf("migrate up: %w", err)
	}
	defer m.close()
	if err := m.createSchema(ctx); err != nil {
		return fmt.Errorf("create schema %q: %w", m.schema, err)
	}
	if _, err := m.provider.Up(ctx); err != nil {
		return fmt.Errorf("migrate up: %w", err)
	}
	return nil
}

// Down takes back the newest migration, one step, and the data it holds. With nothing to take back it does nothing.
// A migration that this binary does not know cannot be taken back by it: use the newer one.
func Down(ctx context.Context, url, schema string) error {
	return down(ctx, embedded, url, schema)
}

func down(ctx context.Context, files fs.FS, url, schema string) error {
	m, err := open(files, url, schema)
	if err != nil {
		return fmt.Errorf("migrate down: %w", err)
	}
	defer m.close()
	states, err := m.status(ctx)
	if err != nil {
		return fmt.Errorf("migrate down: %w", err)
	}
	newest := newestApplied(states)
	if newest == nil {
		return nil
	}
	if newest.Name == "" {
		return fmt.Errorf("migrate down: migration %d is newer than this binary: use the binary that brought it",
			newest.Version)
	}
	if _, err := m.provider.Down(ctx); err != nil && !errors.Is(err, goose.ErrNoNextVersion) {
		return fmt.Errorf("migrate down: %w", err)
	}
	return nil
}

// migrator is goose with its connections, for one schema.
type migrator struct {
	db       *sql.DB
	provider *goose.Provider
	schema   string
	lockID   int64
}

func open(files fs.FS, url, schema string) (*migrator, error) {
	cfg, schema, err := database.Config(url, schema)
	if err != nil {
		return nil, err
	}
	conn := cfg.ConnConfig
	conn.RuntimeParams["application_name"] = "onhand/migrate"
	// goose keeps its times without a zone.
	conn.RuntimeParams["timezone"] = "UTC"
	lockID := lockOf(schema)
	locker, err := lock.NewPostgresSessionLocker(
		lock.WithLockID(lockID), lock.WithLockTimeout(lockIntervalSeconds, lockAttempts))
	if err != nil {
		return nil, err
	}
	db := stdlib.OpenDB(*conn)
	provider, err := goose.NewProvider(goose.DialectPostgres, db, files,
		goose.WithSessionLocker(locker), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &migrator{db: db, provider: provider, schema: schema, lockID: lockID}, nil
}

// close has nothing to report: what counts was committed before.
func (m *migrator) close() { _ = m.db.Close() }

// lockOf gives each schema a lock of its own, so that two installations in one database do not wait for each other.
func lockOf(schema string) int64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte("onhand migrations of " + schema))
	return int64(h.Sum64())
}

const schemaExists = `select exists (select from pg_namespace where nspname = $1)`

// createSchema does not lean on `if not exists` alone: that wants the right to create schemas even where ours is there
// already, and two at once run into pg_namespace's unique index.
func (m *migrator) createSchema(ctx context.Context) error {
	var exists bool
	if err := m.db.QueryRowContext(ctx, schemaExists, m.schema).Scan(&exists); err != nil || exists {
		return err
	}
	_, err := m.db.ExecContext(ctx, "create schema if not exists "+pgx.Identifier{m.schema}.Sanitize())
	var pg *pgconn.PgError
	if errors.As(err, &pg) && (pg.Code == "23505" || pg.Code == "42P06") {
		return nil
	}
	return err
}
