package peer

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Message is one that waits in the product's outbox. Headers are keys and values in turn.
type Message struct {
	Key, Payload []byte
	Headers      [][]byte
}

const selectMessages = `select key, payload, headers from outbox order by id limit $1`

// Messages calls use for each of the job's messages, in the order in which they must leave. What it hands over is use's
// to keep.
func (j Job) Messages(ctx context.Context, use func(Message) error) error {
	conn, err := pgx.Connect(ctx, j.DatabaseURL)
	if err != nil {
		return fmt.Errorf("connect to Postgres: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	rows, err := conn.Query(ctx, selectMessages, j.Events)
	if err != nil {
		return fmt.Errorf("read the outbox: %w", err)
	}
	var m Message
	_, err = pgx.ForEachRow(rows, []any{&m.Key, &m.Payload, &m.Headers}, func() error {
		next := m
		m = Message{}
		return use(next)
	})
	if err != nil {
		return fmt.Errorf("read the outbox: %w", err)
	}
	return nil
}
