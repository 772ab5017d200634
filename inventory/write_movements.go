package inventory

import "github.com/jackc/pgx/v5"

// A movement's row is its message too: message_id is the place in the order in which they leave.
const insertLedger = `
insert into movements (tenant, sku, location, version, delta, on_hand, kind, event_id, event_source, message_id)
select unnest($1::text[]), unnest($2::text[]), unnest($3::text[]), unnest($4::bigint[]), unnest($5::bigint[]),
       unnest($6::bigint[]), unnest($7::text[]), unnest($8::text[]), unnest($9::text[]), unnest($10::bigint[])`

// The same for a batch with events that belong to traces.
const insertTracedLedger = `
insert into movements (tenant, sku, location, version, delta, on_hand, kind, event_id, event_source, message_id,
                       traceparent)
select unnest($1::text[]), unnest($2::text[]), unnest($3::text[]), unnest($4::bigint[]), unnest($5::bigint[]),
       unnest($6::bigint[]), unnest($7::text[]), unnest($8::text[]), unnest($9::text[]), unnest($10::bigint[]),
       unnest($11::text[])`

// insertMovements gives the movements the ids that were drawn for messages, in the order in which they happened; there
// must be at least as many.
func insertMovements(q *pgx.Batch, ms []movement, ids []int64) {
	if len(ms) == 0 {
		return
	}
	n := len(ms)
	tenants, skus, locations := make([]string, n), make([]string, n), make([]string, n)
	versions, deltas, onHand := make([]int64, n), make([]int64, n), make([]int64, n)
	kinds, events, sources := make([]string, n), make([]string, n), make([]string, n)
	var traces []string
	for i := range ms {
		m := &ms[i]
		if m.trace != "" {
			if traces == nil {
				traces = make([]string, n)
			}
			traces[i] = m.trace
		}
		tenants[i], skus[i], locations[i] = m.key.tenant, m.key.sku, m.key.location
		versions[i], deltas[i], onHand[i] = m.after.Version, m.delta, m.after.OnHand
		kinds[i], events[i], sources[i] = m.kind.String(), m.id, m.source
	}
	args := []any{tenants, skus, locations, versions, deltas, onHand, kinds, events, sources, ids[:n]}
	if traces == nil {
		q.Queue(insertLedger, args...)
		return
	}
	q.Queue(insertTracedLedger, append(args, traces)...)
}
