package inventory

import "github.com/jackc/pgx/v5"

const insertStock = `
insert into stock (tenant, sku, location, on_hand, version, last_topic, last_partition, partition_moves,
                   backorder, backorder_limit)
select tenant, sku, location, on_hand, version, topic, partition, moves, backorder, backorder_limit
from unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::text[], $7::integer[], $8::integer[],
            $9::text[], $10::bigint[])
  as n (tenant, sku, location, on_hand, version, topic, partition, moves, backorder, backorder_limit)`

const updateStock = `
update stock s
set on_hand = n.on_hand, version = n.version, last_topic = n.topic, last_partition = n.partition,
    partition_moves = s.partition_moves + n.moves, updated_at = now()
from unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::text[], $7::integer[], $8::integer[])
  as n (tenant, sku, location, on_hand, version, topic, partition, moves)
where s.tenant = n.tenant and s.sku = n.sku and s.location = n.location`

// What is on hand and the policy change in one statement, or the CHECK could see the one without the other.
const redefineStock = `
update stock s
set on_hand = n.on_hand, version = n.version, last_topic = n.topic, last_partition = n.partition,
    partition_moves = s.partition_moves + n.moves, updated_at = now(),
    backorder = n.backorder, backorder_limit = n.backorder_limit
from unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::text[], $7::integer[], $8::integer[],
            $9::text[], $10::bigint[])
  as n (tenant, sku, location, on_hand, version, topic, partition, moves, backorder, backorder_limit)
where s.tenant = n.tenant and s.sku = n.sku and s.location = n.location`

func insertStockRows(q *pgx.Batch, rows []*stockRow) {
	if len(rows) > 0 {
		q.Queue(insertStock, append(stockColumns(rows), policyColumns(rows)...)...)
	}
}

func updateStockRows(q *pgx.Batch, rows []*stockRow) {
	if len(rows) > 0 {
		q.Queue(updateStock, stockColumns(rows)...)
	}
}

func redefineStockRows(q *pgx.Batch, rows []*stockRow) {
	if len(rows) > 0 {
		q.Queue(redefineStock, append(stockColumns(rows), policyColumns(rows)...)...)
	}
}

// stockColumns are the arguments that name rows and say what became of them.
func stockColumns(rows []*stockRow) []any {
	n := len(rows)
	tenants, skus, locations := make([]string, n), make([]string, n), make([]string, n)
	onHand, versions := make([]int64, n), make([]int64, n)
	topics, partitions, moves := make([]string, n), make([]int32, n), make([]int32, n)
	for i, r := range rows {
		tenants[i], skus[i], locations[i] = r.key.tenant, r.key.sku, r.key.location
		onHand[i], versions[i] = r.stock.OnHand, r.stock.Version
		topics[i], partitions[i], moves[i] = r.last.Topic, r.last.ID, r.moves
	}
	return []any{tenants, skus, locations, onHand, versions, topics, partitions, moves}
}

func policyColumns(rows []*stockRow) []any {
	backorders, limits := make([]string, len(rows)), make([]*int64, len(rows))
	for i, r := range rows {
		backorders[i], limits[i] = r.stock.Policy.Backorder.String(), r.stock.Policy.limitColumn()
	}
	return []any{backorders, limits}
}
