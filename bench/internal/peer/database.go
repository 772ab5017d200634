package peer

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Pool connects to the job's database, with at most that many connections.
func (j Job) Pool(ctx context.Context, connections int) (*pgxpool.Pool, error) {
	cfg, err := pgxpool.ParseConfig(j.DatabaseURL)
	if err != nil {
		return nil, fmt.Errorf("connect to Postgres: %w", err)
	}
	cfg.MaxConns = int32(connections)
	// The driver must know the schema's enum to write it in binary form.
	cfg.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		t, err := conn.LoadType(ctx, "inbox_outcome")
		if err != nil {
			return fmt.Errorf("look up the outcome's type: %w", err)
		}
		conn.TypeMap().RegisterType(t)
		return nil
	}
	return pgxpool.NewWithConfig(ctx, cfg)
}
