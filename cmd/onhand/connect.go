package main

import (
	"context"
	"fmt"
	"time"

	"github.com/IBM/sarama"
	"github.com/jackc/pgx/v5/pgxpool"

	"onhand/internal/database"
	"onhand/internal/kafkalog"
	"onhand/migrations"
)

const (
	connectTimeout = 10 * time.Second
	// commandTimeout is the session timeout that a command which is no member of the group works under: how long it
	// waits for a broker that hangs.
	commandTimeout = 10 * time.Second
	// commandConnections are enough for a command that asks one thing after another.
	commandConnections = 2
)

// openDatabase connects a command to the schema, and refuses one that does not fit this binary.
func openDatabase(ctx context.Context, f *databaseFlags) (*pgxpool.Pool, error) {
	pool, err := newPool(ctx, f.config, "onhand-command", commandConnections)
	if err != nil {
		return nil, err
	}
	if err := migrations.Check(ctx, pool); err != nil {
		pool.Close()
		return nil, err
	}
	return pool, nil
}

// newPool opens no connection yet. What the URL says of timeouts and of the least number of connections stays; the most
// is what the command needs.
func newPool(ctx context.Context, cfg *pgxpool.Config, name string, connections int32) (*pgxpool.Pool, error) {
	cfg = cfg.Copy()
	cfg.ConnConfig.RuntimeParams["application_name"] = name
	if cfg.ConnConfig.ConnectTimeout == 0 {
		cfg.ConnConfig.ConnectTimeout = connectTimeout
	}
	cfg.MaxConns = max(connections, cfg.MinConns)
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("open connection pool: %s", database.Redact(err.Error()))
	}
	return pool, nil
}

// openKafka connects a command to the brokers. The client is the caller's to close. A broker that hangs is given up
// after commandTimeout, and when ctx ends.
func openKafka(ctx context.Context, brokers []string) (sarama.Client, *kafkalog.Reader, error) {
	return kafkalog.Connect(ctx, brokers, "onhand-command", commandTimeout)
}
