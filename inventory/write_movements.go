package inventory

import "github.com/jackc/pgx/v5"

const insertLedger = `
insert into movements (tenant, sku, location, version, delta, on_hand, kind, event_id, event_source)
select tenant, sku, location, version, delta, on_hand, kind, event_id, event_source
from unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::text[], $8::text[],
            $9::text[])
  as n (tenant, sku, location, version, delta, on_hand, kind, event_id, event_source)`

func insertMovements(q *pgx.Batch, ms []movement) {
	if len(ms) == 0 {
		return
	}
	n := len(ms)
	tenants, skus, locations := make([]string, n), make([]string, n), make([]string, n)
	versions, deltas, onHand := make([]int64, n), make([]int64, n), make([]int64, n)
	kinds, ids, sources := make([]string, n), make([]string, n), make([]string, n)
	for i := range ms {
		m := &ms[i]
		tenants[i], skus[i], locations[i] = m.key.tenant, m.key.sku, m.key.location
		versions[i], deltas[i], onHand[i] = m.after.Version, m.delta, m.after.OnHand
		kinds[i], ids[i], sources[i] = m.kind.String(), m.id, m.source
	}
	q.Queue(insertLedger, tenants, skus, locations, versions, deltas, onHand, kinds, ids, sources)
}
