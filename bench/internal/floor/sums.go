package floor

import "github.com/jackc/pgx/v5"

const insertSKUs = `
insert into skus (tenant, sku, backorder)
select tenant, sku, 'allow' from unnest($1::text[], $2::text[]) as n (tenant, sku)`

// Without decisions stock may fall below zero, which the table's CHECK allows under this policy only.
const insertStock = `
insert into stock (tenant, sku, location, on_hand, reserved, version, backorder, last_topic, last_partition, moved_at)
select tenant, sku, location, on_hand, reserved, moves, 'allow', $7, partition, now()
from unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $8::integer[])
  as n (tenant, sku, location, on_hand, reserved, moves, partition)`

const updateStock = `
update stock s
set on_hand = s.on_hand + n.on_hand, reserved = s.reserved + n.reserved, version = s.version + n.moves,
    last_topic = $7, last_partition = n.partition, moved_at = now(), updated_at = now()
from unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $8::integer[])
  as n (tenant, sku, location, on_hand, reserved, moves, partition)
where s.tenant = n.tenant and s.sku = n.sku and s.location = n.location`

// queueStock queues one insert for the rows that are new and one update for the others.
func (w *writer) queueStock(q *pgx.Batch) {
	var created, updated sums
	for _, c := range w.changed {
		if c.total.stored {
			updated.add(c)
		} else {
			created.add(c)
		}
	}
	if len(created.skus) > 0 {
		q.Queue(insertSKUs, created.tenants, created.skus)
		q.Queue(insertStock, created.args(w.job.Topic)...)
	}
	if len(updated.skus) > 0 {
		q.Queue(updateStock, updated.args(w.job.Topic)...)
	}
}

// sums are changes of rows of stock, column by column.
type sums struct {
	tenants, skus, locations []string
	onHand, reserved, moves  []int64
	partitions               []int32
}

func (s *sums) add(c *change) {
	s.tenants, s.skus = append(s.tenants, c.key.tenant), append(s.skus, c.key.sku)
	s.locations = append(s.locations, c.key.location)
	s.onHand, s.reserved = append(s.onHand, c.onHand), append(s.reserved, c.reserved)
	s.moves, s.partitions = append(s.moves, c.moves), append(s.partitions, c.partition)
}

func (s *sums) args(topic string) []any {
	return []any{s.tenants, s.skus, s.locations, s.onHand, s.reserved, s.moves, topic, s.partitions}
}

const upsertOffsets = `
insert into offsets (topic, partition, start, next, applied)
select $1, partition, 0, next, next from unnest($2::integer[], $3::bigint[]) as n (partition, next)
on conflict (topic, partition) do update set next = excluded.next, applied = excluded.applied, updated_at = now()`

func (w *writer) queueOffsets(q *pgx.Batch) {
	var partitions []int32
	var next []int64
	for p, n := range w.next {
		partitions, next = append(partitions, p), append(next, n)
	}
	q.Queue(upsertOffsets, w.job.Topic, partitions, next)
}
