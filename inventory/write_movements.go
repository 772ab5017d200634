package inventory

import "github.com/jackc/pgx/v5"

// A movement's row is its message too: message_id is the place in the order in which they leave.
const (
	insertLedger = `
insert into movements (tenant, sku, location, version, delta, on_hand, kind, event_id, event_source, message_id`
	ledgerValues = `)
select unnest($1::text[]), unnest($2::text[]), unnest($3::text[]), unnest($4::bigint[]), unnest($5::bigint[]),
       unnest($6::bigint[]), unnest($7::text[]), unnest($8::text[]), unnest($9::text[]), unnest($10::bigint[])`

	insertPlain  = insertLedger + ledgerValues
	insertTraced = insertLedger + `, traceparent` + ledgerValues + `, unnest($11::text[])`
	insertFull   = insertLedger + `, traceparent, reserved, damaged, in_transit` + ledgerValues + `, unnest($11::text[]),
       nullif(unnest($12::bigint[]), 0), nullif(unnest($13::bigint[]), 0), nullif(unnest($14::bigint[]), 0)`
)

// insertMovements writes the movements. What is the same for all movements of a batch, because its events belong to no
// traces and
// its rows have nothing but stock on hand, is not sent.
func insertMovements(q *pgx.Batch, ms []movement) {
	if len(ms) == 0 {
		return
	}
	n := len(ms)
	tenants, skus, locations := make([]string, n), make([]string, n), make([]string, n)
	versions, deltas, onHand, ids := make([]int64, n), make([]int64, n), make([]int64, n), make([]int64, n)
	kinds, events, sources := make([]string, n), make([]string, n), make([]string, n)
	traced, full := false, false
	for i := range ms {
		m := &ms[i]
		tenants[i], skus[i], locations[i] = m.key.tenant, m.key.sku, m.key.location
		versions[i], deltas[i], onHand[i], ids[i] = m.after.Version, m.delta, m.after.OnHand, m.message
		kinds[i], events[i], sources[i] = m.kind.String(), m.id, m.source
		traced = traced || m.trace != ""
		full = full || m.after.elsewhere()
	}
	args := []any{tenants, skus, locations, versions, deltas, onHand, kinds, events, sources, ids}
	switch {
	case full:
		more := elsewhereColumns(n, func(i int) *Stock { return &ms[i].after })
		q.Queue(insertFull, append(append(args, traces(ms)), more...)...)
	case traced:
		q.Queue(insertTraced, append(args, traces(ms))...)
	default:
		q.Queue(insertPlain, args...)
	}
}

func traces(ms []movement) []string {
	column := make([]string, len(ms))
	for i := range ms {
		column[i] = ms[i].trace
	}
	return column
}
