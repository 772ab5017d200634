package servers

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"github.com/jackc/pgx/v5"

	"onhand/migrations"
)

const schema = "onhand"

// dropTimeout bounds dropping a database whose clients have all gone.
const dropTimeout = time.Minute

// FreshDatabase makes a database with the product's tables and returns its URL, whose search_path leads to them. They
// are empty but for what is filled as told. A checkpoint comes last, so that each contestant starts with as
// much room before the next one. drop takes the database away, and whoever is still connected to it.
func (s *Servers) FreshDatabase(
	ctx context.Context, name string, filled Prefill,
) (databaseURL string, drop func() error, err error) {
	source := ""
	if !filled.empty() {
		if source, err = s.template(ctx, filled); err != nil {
			return "", nil, err
		}
	}
	return s.create(ctx, name, source)
}

// create makes a database as a copy of source, or with empty tables.
func (s *Servers) create(ctx context.Context, name, source string) (databaseURL string, drop func() error, err error) {
	admin, err := pgx.Connect(ctx, s.URL)
	if err != nil {
		return "", nil, fmt.Errorf("connect to Postgres: %w", err)
	}
	defer func() { _ = admin.Close(context.WithoutCancel(ctx)) }()
	quoted := pgx.Identifier{name}.Sanitize()
	sql := "create database " + quoted
	if source != "" {
		sql += " template " + pgx.Identifier{source}.Sanitize() + " strategy file_copy"
	}
	if _, err := admin.Exec(ctx, sql); err != nil {
		return "", nil, fmt.Errorf("create database %s: %w", name, err)
	}
	drop = func() error { return s.dropDatabase(quoted) }
	u, err := url.Parse(s.URL)
	if err != nil {
		return "", drop, err
	}
	u.Path = "/" + name
	query := u.Query()
	query.Set("search_path", schema)
	u.RawQuery = query.Encode()
	if err := migrations.Up(ctx, u.String(), schema); err != nil {
		return "", drop, err
	}
	if _, err := admin.Exec(ctx, "checkpoint"); err != nil {
		return "", drop, fmt.Errorf("checkpoint: %w", err)
	}
	return u.String(), drop, nil
}

func (s *Servers) dropDatabase(quoted string) error {
	ctx, cancel := context.WithTimeout(context.Background(), dropTimeout)
	defer cancel()
	admin, err := pgx.Connect(ctx, s.URL)
	if err != nil {
		return fmt.Errorf("connect to Postgres: %w", err)
	}
	defer func() { _ = admin.Close(ctx) }()
	if _, err := admin.Exec(ctx, "drop database "+quoted+" with (force)"); err != nil {
		return fmt.Errorf("drop database %s: %w", quoted, err)
	}
	return nil
}

const settings = `select name, current_setting(name) from unnest($1::text[]) as name`

// Settings returns Postgres's version and the settings that bear on its speed, by name.
func (s *Servers) Settings(ctx context.Context) (map[string]string, error) {
	conn, err := pgx.Connect(ctx, s.URL)
	if err != nil {
		return nil, fmt.Errorf("connect to Postgres: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	rows, err := conn.Query(ctx, settings, []string{
		"server_version", "fsync", "full_page_writes", "synchronous_commit", "shared_buffers", "max_wal_size",
		"wal_compression", "autovacuum",
	})
	if err != nil {
		return nil, fmt.Errorf("read settings: %w", err)
	}
	all := make(map[string]string)
	var name, value string
	_, err = pgx.ForEachRow(rows, []any{&name, &value}, func() error {
		all[name] = value
		return nil
	})
	return all, err
}
