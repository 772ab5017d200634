package inventory

import "github.com/jackc/pgx/v5"

// A movement's row is its message too: message_id is the place in the order in which they leave.
const (
	insertLedger = `
insert into movements (tenant, sku, location, version, delta, on_hand, kind, event_id, event_source, message_id`
	ledgerValues = `)
select unnest($1::text[]), unnest($2::text[]), unnest($3::text[]), unnest($4::bigint[]), unnest($5::bigint[]),
       unnest($6::bigint[]), unnest($7::text[]), unnest($8::text[]), unnest($9::text[]), unnest($10::bigint[])`

	insertPlain    = insertLedger + ledgerValues
	insertTraced   = insertLedger + `, traceparent` + ledgerValues + `, unnest($11::text[])`
	insertReserved = insertLedger + `, reserved` + ledgerValues + `, nullif(unnest($11::bigint[]), 0)`
	insertFull     = insertLedger + `, traceparent, reserved, damaged, in_transit` + ledgerValues + `, unnest($11::text[]),
       nullif(unnest($12::bigint[]), 0), nullif(unnest($13::bigint[]), 0), nullif(unnest($14::bigint[]), 0)`
)

// insertMovements writes the movements. What is the same for all movements of a batch, because its events belong to no
// traces and its rows have nothing but stock on hand, or nothing else but what is reserved of it, is not sent.
func insertMovements(q *pgx.Batch, ms []movement) {
	if len(ms) == 0 {
		return
	}
	n := len(ms)
	tenants, skus, locations := make([]string, n), make([]string, n), make([]string, n)
	versions, deltas, onHand, ids := make([]int64, n), make([]int64, n), make([]int64, n), make([]int64, n)
	kinds, events, sources := make([]string, n), make([]string, n), make([]string, n)
	traced, reserved, full := false, false, false
	for i := range ms {
		m := &ms[i]
		tenants[i], skus[i], locations[i] = m.key.tenant, m.key.sku, m.key.location
		versions[i], deltas[i], onHand[i], ids[i] = m.after.Version, m.delta, m.after.OnHand, m.message
		kinds[i], events[i], sources[i] = m.kind.String(), m.id, m.source
		traced = traced || m.trace != ""
		reserved = reserved || m.after.Reserved != 0
		full = full || m.after.Damaged|m.after.InTransit != 0
	}
	args := []any{tenants, skus, locations, versions, deltas, onHand, kinds, events, sources, ids}
	switch {
	case full || reserved && traced:
		more := elsewhereColumns(n, func(i int) *Stock { return &ms[i].after })
		q.Queue(insertFull, append(append(args, traces(ms)), more...)...)
	case reserved:
		of := make([]int64, n)
		for i := range ms {
			of[i] = ms[i].after.Reserved
		}
		q.Queue(insertReserved, append(args, of)...)
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
