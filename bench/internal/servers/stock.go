package servers

import (
	"context"

	"github.com/jackc/pgx/v5"

	"onhand/internal/workload"
)

// Stock that is there already, each row with the movement that it is the sum of: nobody is told of these, and the inbox
// does not know them. Rows of stock and SKUs are as the product leaves them that had one delivery of many lines.
const fillRows = `
with made as (
  select 'SKU-' || lpad(n::text, 6, '0') as sku, case when $3 then 'allow' else 'deny' end as backorder
  from generate_series(0, $1::bigint - 1) as n
), moved as (
  insert into movements (tenant, sku, location, version, delta, on_hand, kind, event_id, event_source)
  select '', sku, 'main', 1, $2::bigint, $2::bigint, 'stock.received', 'opening ' || sku, '` + PrefillTopic + `' from made
), known as (
  insert into skus (tenant, sku, backorder) select '', sku, backorder from made
)
insert into stock (tenant, sku, location, on_hand, version, backorder, last_topic, last_partition, moved_at)
select '', sku, 'main', $2::bigint, 1, backorder, '` + PrefillTopic + `', -1, now() from made`

func fillStock(ctx context.Context, conn *pgx.Conn, skus int, backorder bool) error {
	if _, err := conn.Exec(ctx, fillRows, skus, workload.OpeningStock, backorder); err != nil {
		return err
	}
	_, err := conn.Exec(ctx, "vacuum (analyze, freeze) stock, skus, movements")
	return err
}
