// Package onetx is the handler that a careful engineer writes: one transaction a message, the row of stock locked, and
// an inbox against duplicates.
package onetx

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"onhand/bench/internal/peer"
	"onhand/inbox"
	"onhand/inventory"
)

// Handler applies messages. It may be used from several goroutines at once.
type Handler struct {
	pool    *pgxpool.Pool
	decoder peer.Decoder
}

// New returns a Handler.
func New(pool *pgxpool.Pool) *Handler { return &Handler{pool: pool, decoder: peer.NewDecoder()} }

// Message is one record, and where it stood.
type Message struct {
	Topic     string
	Partition int32
	Offset    int64
	Value     []byte
}

// Apply commits the effect of m, or nothing and an error. A second copy has no effect.
func (h *Handler) Apply(ctx context.Context, m Message) error {
	event, body, err := h.decoder.Decode(m.Value)
	if err != nil {
		return err
	}
	return pgx.BeginFunc(ctx, h.pool, func(tx pgx.Tx) error {
		fresh, err := remember(ctx, tx, m, event)
		if err != nil || !fresh {
			return err
		}
		before, err := lockStock(ctx, tx, event, body)
		if err != nil {
			return err
		}
		after, reason := inventory.Decide(before, peer.Move(body))
		if reason != "" {
			return reject(ctx, tx, event, reason)
		}
		if err := writeStock(ctx, tx, m, event, body, after); err != nil {
			return err
		}
		return announce(ctx, tx, event, body, after, after.OnHand-before.OnHand)
	})
}

const insertInbox = `
insert into inbox (tenant, event_id, source, fingerprint, outcome, topic, partition, incarnation, "offset")
values ($1, $2, $3, $4, 'applied', $5, $6, 1, $7)
on conflict do nothing`

// remember says whether the event is new.
func remember(ctx context.Context, tx pgx.Tx, m Message, e inbox.Event) (bool, error) {
	tag, err := tx.Exec(ctx, insertInbox, e.Tenant, e.ID, e.Source, e.Fingerprint, m.Topic, m.Partition, m.Offset)
	if err != nil {
		return false, fmt.Errorf("insert into inbox: %w", err)
	}
	return tag.RowsAffected() == 1, nil
}

const markRejected = `
update inbox set outcome = 'rejected', reason = $4 where tenant = $1 and event_id = $2 and source = $3`

func reject(ctx context.Context, tx pgx.Tx, e inbox.Event, reason string) error {
	if _, err := tx.Exec(ctx, markRejected, e.Tenant, e.ID, e.Source, reason); err != nil {
		return fmt.Errorf("reject: %w", err)
	}
	return nil
}

const selectStock = `
select on_hand, reserved, version from stock where tenant = $1 and sku = $2 and location = $3 for update`

func lockStock(ctx context.Context, tx pgx.Tx, e inbox.Event, body *inventory.Event) (inventory.Stock, error) {
	var s inventory.Stock
	row := tx.QueryRow(ctx, selectStock, e.Tenant, body.Lines[0].SKU, body.Lines[0].Location)
	err := row.Scan(&s.OnHand, &s.Reserved, &s.Version)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return s, fmt.Errorf("lock stock: %w", err)
	}
	return s, nil
}
