package inventory

import (
	"slices"

	"github.com/jackc/pgx/v5"

	"onhand/inbox"
)

var _ inbox.Follower = (*Handler)(nil)

// promise is what a batch will have left of stock once it is committed.
type promise struct {
	rows map[stockKey]*stockRow // that it has locked, or takes for promised itself

	// Which it has locked too. What becomes of them is not promised.
	reservations map[refKey]*reservationRow
	transfers    map[refKey]*transferRow
}

// Decided implements inbox.Follower.
func (h *Handler) Decided() any {
	// What another handler reads of SKUs it reads from the database, where what this one makes of them is not to be seen.
	if len(h.defs) > 0 || h.skips {
		return nil
	}
	for _, s := range h.fold.skus {
		if s.needed && !s.stored {
			return nil
		}
	}
	return &promise{h.fold.rows, h.fold.reservations, h.fold.transfers}
}

// Follow implements inbox.Follower. A batch does not follow that needs what is not promised: what SKUs are, when rows
// were moved, what becomes of a reservation or transfer that is in both, or, within a partition, which reservations
// have got a deadline, which may have passed.
func (h *Handler) Follow(ahead any, samePartition bool) bool {
	p, ok := ahead.(*promise)
	switch {
	case !ok, len(h.defs) > 0, h.counted, h.hints.lapsing(), p.has(&h.refs):
		return false
	case samePartition && p.deadlines():
		return false
	}
	h.ahead = p
	for _, k := range h.keys {
		p.keep(h.fold.rows[k])
	}
	return true
}

// has reports whether one of refs is in p's batch too.
func (p *promise) has(r *refs) bool {
	return slices.ContainsFunc(r.reservations, func(k refKey) bool { return p.reservations[k] != nil }) ||
		slices.ContainsFunc(r.transfers, func(k refKey) bool { return p.transfers[k] != nil })
}

// deadlines reports whether a reservation of p's batch has, or had, one.
func (p *promise) deadlines() bool {
	for _, r := range p.reservations {
		if !r.deadline.IsZero() {
			return true
		}
	}
	return false
}

// keep fills r with what p says of it, if p does. p may be nil.
func (p *promise) keep(r *stockRow) {
	if p == nil {
		return
	}
	if left, ok := p.rows[r.key]; ok && left.exists() {
		r.promised, r.stored, r.was, r.stock, r.last = true, true, left.stock.Version, left.stock, left.last
		r.elsewhere = left.elsewhere || left.stock.elsewhere()
	}
}

// columns are the arguments that name the rows.
func (p *promise) columns() []any {
	var tenants, skus, locations []string
	for k, r := range p.rows {
		if r.exists() {
			tenants, skus, locations = append(tenants, k.tenant), append(skus, k.sku), append(locations, k.location)
		}
	}
	return []any{orEmpty(tenants), orEmpty(skus), orEmpty(locations)}
}

// Each row that was promised is locked and compared: its version counts its movements, and policy and threshold may
// change without one. All of them are to be as they were promised, and all that the batch has moved are to be updated,
// or the division fails the transaction. So it does where one is locked by another client, which has waited for it
// while the batch ahead held it: to wait for that one here, out of the order of all locks, could be for ever.
const (
	promisedRows = `
with promised as (
  select unnest($1::text[]) as tenant, unnest($2::text[]) as sku, unnest($3::text[]) as location,
         unnest($4::bigint[]) as was, unnest($5::boolean[]) as is_moved, unnest($6::text[]) as backorder,
         unnest($7::bigint[]) as backorder_limit, unnest($8::bigint[]) as low_stock, unnest($9::bigint[]) as on_hand,
         unnest($10::bigint[]) as version, unnest($11::text[]) as topic, unnest($12::integer[]) as partition,
         unnest($13::integer[]) as moves, unnest($14::timestamptz[]) as moved_at`
	promisedElsewhere = `,
         unnest($15::bigint[]) as reserved, unnest($16::bigint[]) as damaged, unnest($17::bigint[]) as in_transit`
	promisedLocked = `
), n as materialized (
  select p.*, s.place
  from promised p
  cross join lateral (
    select s.ctid as place, s.version, s.backorder, s.backorder_limit, s.low_stock
    from stock s
    where s.tenant = p.tenant and s.sku = p.sku and s.location = p.location
    for update nowait
  ) s
  where s.version = p.was and s.backorder = p.backorder and s.backorder_limit is not distinct from p.backorder_limit
    and s.low_stock is not distinct from p.low_stock
), updated as (`
	promisedUpdated = `
  from n
  where s.ctid = n.place and n.is_moved
  returning 1
)
select 1 / (
  (select count(*) from n) = cardinality($1::text[])
  and (select count(*) from updated) = (select count(*) from n where is_moved)
)::integer`

	confirmStock    = promisedRows + promisedLocked + setState + promisedUpdated
	confirmAllStock = promisedRows + promisedElsewhere + promisedLocked + setState + setElsewhere + promisedUpdated
)

// Confirm implements inbox.Follower.
func (h *Handler) Confirm(q *pgx.Batch) {
	var rows []*stockRow
	for _, k := range h.keys {
		if r := h.fold.rows[k]; r.promised {
			rows = append(rows, r)
		}
	}
	n := len(rows)
	if n == 0 {
		return
	}
	tenants, skus, locations := make([]string, n), make([]string, n), make([]string, n)
	was, moved := make([]int64, n), make([]bool, n)
	for i, r := range rows {
		tenants[i], skus[i], locations[i] = r.key.tenant, r.key.sku, r.key.location
		was[i], moved[i] = r.was, r.moved
	}
	args := slices.Concat([]any{tenants, skus, locations, was, moved}, policyColumns(rows), stateColumns(rows))
	if slices.ContainsFunc(rows, (*stockRow).isElsewhere) {
		q.Queue(confirmAllStock, append(args, beside(rows)...)...)
		return
	}
	q.Queue(confirmStock, args...)
}
