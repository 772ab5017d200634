package onetx

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"onhand/inbox"
	"onhand/inventory"
)

const insertStock = `
insert into stock (tenant, sku, location, on_hand, version, backorder, last_topic, last_partition, moved_at)
values ($1, $2, $3, $4, $5, 'deny', $6, $7, now())`

const updateStock = `
update stock set on_hand = $4, version = $5, last_topic = $6, last_partition = $7, moved_at = now(),
  updated_at = now()
where tenant = $1 and sku = $2 and location = $3`

func writeStock(
	ctx context.Context, tx pgx.Tx, m Message, e inbox.Event, body *inventory.Event, after inventory.Stock,
) error {
	sql := updateStock
	if after.Version == 1 {
		sql = insertStock
	}
	_, err := tx.Exec(ctx, sql, e.Tenant, body.Lines[0].SKU, body.Lines[0].Location, after.OnHand, after.Version, m.Topic, m.Partition)
	if err != nil {
		return fmt.Errorf("write stock: %w", err)
	}
	return nil
}

const insertMovement = `
insert into movements (tenant, sku, location, version, delta, on_hand, kind, event_id, event_source, message_id)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, nextval('outbox_id'))`

// announce writes the ledger's row, which is the message too.
func announce(
	ctx context.Context, tx pgx.Tx, e inbox.Event, body *inventory.Event, after inventory.Stock, delta int64,
) error {
	_, err := tx.Exec(ctx, insertMovement, e.Tenant, body.Lines[0].SKU, body.Lines[0].Location, after.Version, delta, after.OnHand,
		body.Kind.String(), e.ID, e.Source)
	if err != nil {
		return fmt.Errorf("insert movement: %w", err)
	}
	return nil
}
