package openloop

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"onhand/outbox"
)

// appendConnections is how many transactions may be open at the same time: many more than a rate that the database
// keeps up with needs.
const appendConnections = 16

// Appended is a message in the outbox.
type Appended struct {
	Due       time.Time // when its transaction should have begun
	Committed time.Time // when its COMMIT was sent
}

// Appender appends messages to an outbox as any service does: each in a transaction of its own.
type Appender struct {
	pool  *pgxpool.Pool
	topic string
	next  int // the number of the next message
}

// NewAppender connects. Close is the caller's duty. Messages go to topic, and are numbered from 0 on.
func NewAppender(ctx context.Context, databaseURL, topic string) (*Appender, error) {
	cfg, err := pgxpool.ParseConfig(databaseURL)
	if err != nil {
		return nil, fmt.Errorf("connect to Postgres: %w", err)
	}
	// All from the start: making a connection takes longer than anything that is measured.
	cfg.MaxConns, cfg.MinConns = appendConnections, appendConnections
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("connect to Postgres: %w", err)
	}
	return &Appender{pool: pool, topic: topic}, nil
}

// Close ends the connections.
func (a *Appender) Close() { a.pool.Close() }

// Append appends n messages, the ith when due says so or as soon after it as a connection is free, and returns when all
// are committed.
func (a *Appender) Append(ctx context.Context, n int, due func(i int) time.Time) ([]Appended, error) {
	first := a.next
	a.next += n
	all := make([]Appended, n)
	group, ctx := errgroup.WithContext(ctx)
	clock := newClock()
	defer clock.stop()
	for i := range n {
		at := due(i)
		if err := clock.until(ctx, at); err != nil {
			return nil, errors.Join(err, group.Wait())
		}
		group.Go(func() (err error) {
			all[i].Due = at
			all[i].Committed, err = a.one(ctx, first+i)
			return err
		})
	}
	return all, group.Wait()
}

// one appends message n, and returns when its COMMIT was sent.
func (a *Appender) one(ctx context.Context, n int) (sent time.Time, err error) {
	err = pgx.BeginFunc(ctx, a.pool, func(tx pgx.Tx) error {
		_, err := outbox.Append(ctx, tx, a.message(n))
		sent = time.Now() // the COMMIT is the next thing
		return err
	})
	if err != nil {
		return sent, fmt.Errorf("append message %d: %w", n, err)
	}
	return sent, nil
}

// message n is as large as one about a movement.
func (a *Appender) message(n int) outbox.Message {
	sku := fmt.Sprintf("SKU-%06d", n%10_000)
	payload := fmt.Appendf(nil, `{"kind":"stock.changed","sku":%q,"location":"main","on_hand":%[2]d,"reserved":0,`+
		`"available":%[2]d,"version":%[2]d,"follows":%[2]d,"delta":1,"event_id":"00000000-0000-7000-a000-%012[2]d",`+
		`"source":"webshop-01","event_kind":"stock.sold"}`, sku, n)
	return outbox.Message{
		Topic: a.topic, Key: []byte(sku), Payload: payload,
		Event: &outbox.CloudEvent{
			ID: strconv.Itoa(n), Source: "urn:onhand:bench", Type: "stock.changed", DataContentType: "application/json",
		},
	}
}
