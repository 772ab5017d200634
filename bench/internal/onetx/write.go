package onetx

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"onhand/bench/internal/peer"
	"onhand/inbox"
	"onhand/inventory"
)

const insertStock = `
insert into stock (tenant, sku, location, on_hand, version, backorder, last_topic, last_partition)
values ($1, $2, $3, $4, $5, 'deny', $6, $7)`

const updateStock = `
update stock set on_hand = $4, version = $5, last_topic = $6, last_partition = $7, updated_at = now()
where tenant = $1 and sku = $2 and location = $3`

func writeStock(
	ctx context.Context, tx pgx.Tx, m Message, e inbox.Event, body *inventory.Event, after inventory.Stock,
) error {
	sql := updateStock
	if after.Version == 1 {
		sql = insertStock
	}
	_, err := tx.Exec(ctx, sql, e.Tenant, body.SKU, body.Line.Location, after.OnHand, after.Version, m.Topic, m.Partition)
	if err != nil {
		return fmt.Errorf("write stock: %w", err)
	}
	return nil
}

const insertMovement = `
insert into movements (tenant, sku, location, version, delta, on_hand, kind, event_id, event_source)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9)`

const insertMessage = `
insert into outbox (id, topic, key, event_id, payload, headers) values (nextval('outbox_id'), $1, $2, $3, $4, $5)`

// announce writes the ledger's row and the message about it.
func announce(
	ctx context.Context, tx pgx.Tx, e inbox.Event, body *inventory.Event, after inventory.Stock, delta int64,
) error {
	_, err := tx.Exec(ctx, insertMovement, e.Tenant, body.SKU, body.Line.Location, after.Version, delta, after.OnHand,
		body.Kind.String(), e.ID, e.Source)
	if err != nil {
		return fmt.Errorf("insert movement: %w", err)
	}
	payload := peer.AppendChanged(nil, e, body, after.OnHand, after.Version, delta)
	_, err = tx.Exec(ctx, insertMessage, peer.OutboxTopic, []byte(body.SKU), e.ID, payload, peer.OutboxHeaders())
	if err != nil {
		return fmt.Errorf("insert message: %w", err)
	}
	return nil
}
