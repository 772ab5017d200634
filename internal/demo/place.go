package demo

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"onhand/internal/database"
	"onhand/internal/localpg"
)

// place is where the demo keeps its tables: a schema of its own, in a Postgres of its own or in one that was given.
type place struct {
	url         string
	schema      string
	description string
	private     *localpg.Cluster // nil = the user's own server
}

// openPlace opens the server at url, or without one a private server that lives in dir.
func openPlace(ctx context.Context, url, dir string, say func(string, ...any)) (*place, error) {
	if url != "" {
		p := &place{url: url, schema: "onhand_demo_" + strings.ToLower(rand.Text()[:8])}
		p.description = "the given one, in schema " + p.schema
		conn, err := p.connect(ctx)
		if err != nil {
			return nil, err
		}
		return p, conn.Close(ctx)
	}

	server, err := localpg.Find(ctx)
	if errors.Is(err, localpg.ErrNotInstalled) {
		say("database  this machine has no PostgreSQL server: downloading one (15 MB, kept in your cache folder)")
		var fetchErr error
		if server, fetchErr = localpg.Fetch(ctx, dir); fetchErr == nil {
			err = nil
		} else {
			err = fmt.Errorf("%w, or give a database with --database-url; tried to download one: %w", err, fetchErr)
		}
	}
	if err != nil {
		return nil, err
	}
	cluster, err := localpg.Create(ctx, server, dir)
	if err != nil {
		return nil, err
	}
	return &place{
		url: cluster.URL(), schema: database.DefaultSchema, private: cluster,
		description: fmt.Sprintf("a private PostgreSQL %d, process %d", server.Major, cluster.Pid()),
	}, nil
}

// connect opens a connection that sees the demo's schema.
func (p *place) connect(ctx context.Context) (*pgx.Conn, error) {
	pool, _, err := database.Config(p.url, p.schema)
	if err != nil {
		return nil, fmt.Errorf("connect to the database: %w", err)
	}
	conn, err := pgx.ConnectConfig(ctx, pool.ConnConfig)
	if err != nil {
		return nil, fmt.Errorf("connect to the database: %w", err)
	}
	return conn, nil
}

// Close drops the schema, or ends and removes the private server.
func (p *place) Close() error {
	if p.private != nil {
		return p.private.Close()
	}
	const patience = 20 * time.Second
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := p.connect(ctx)
	if err != nil {
		return fmt.Errorf("drop schema %s: %w", p.schema, err)
	}
	defer conn.Close(ctx) //nolint:errcheck // nothing is in flight
	// A name cannot be a parameter; this one is made above.
	if _, err := conn.Exec(ctx, "drop schema if exists "+pgx.Identifier{p.schema}.Sanitize()+" cascade"); err != nil {
		return fmt.Errorf("drop schema %s: %w", p.schema, err)
	}
	return nil
}
