package floor

import "github.com/jackc/pgx/v5"

const insertSKUs = `
insert into skus (tenant, sku, backorder)
select tenant, sku, 'allow' from unnest($1::text[], $2::text[]) as n (tenant, sku)`

// Without decisions stock may fall below zero, which the table's CHECK allows under this policy only.
const insertStock = `
insert into stock (tenant, sku, location, on_hand, version, backorder, last_topic, last_partition, moved_at)
select tenant, sku, location, on_hand, version, 'allow', $6, partition, now()
from unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $7::integer[])
  as n (tenant, sku, location, on_hand, version, partition)`

const updateStock = `
update stock s
set on_hand = n.on_hand, version = n.version, last_topic = $6, last_partition = n.partition, moved_at = now(),
    updated_at = now()
from unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $7::integer[])
  as n (tenant, sku, location, on_hand, version, partition)
where s.tenant = n.tenant and s.sku = n.sku and s.location = n.location`

// queueStock queues one insert for the rows that are new and one update for the others.
func (w *writer) queueStock(q *pgx.Batch) {
	var created, updated sums
	for _, k := range w.changed {
		t := w.stock[k]
		if t.stored {
			updated.add(k, t)
		} else {
			created.add(k, t)
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

// sums are rows of stock, column by column.
type sums struct {
	tenants, skus, locations []string
	onHand, versions         []int64
	partitions               []int32
}

func (s *sums) add(k key, t *total) {
	s.tenants, s.skus, s.locations = append(s.tenants, k.tenant), append(s.skus, k.sku), append(s.locations, k.location)
	s.onHand, s.versions = append(s.onHand, t.onHand), append(s.versions, t.version)
	s.partitions = append(s.partitions, t.partition)
}

func (s *sums) args(topic string) []any {
	return []any{s.tenants, s.skus, s.locations, s.onHand, s.versions, topic, s.partitions}
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
