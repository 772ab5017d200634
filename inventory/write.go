package inventory

import (
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"
)

// write queues what the fold came to. Every row that it updates is locked since Load, so the order in which an update
// comes by its rows does not matter; what it inserts goes in sorted, because two batches may meet there.
func (h *Handler) write(q *pgx.Batch) {
	h.writeSKUs(q)
	created, moved, redefined := h.changedRows()
	insertStockRows(q, created)
	updateStockRows(q, moved)
	redefineStockRows(q, redefined)
	h.writeReservations(q)
	h.writeTransfers(q)
	insertMovements(q, h.fold.movements)
	h.writeMessages(q)
}

// changedRows sorts out what is to be written of stock, but for rows that are promised (Confirm).
func (h *Handler) changedRows() (created, moved, redefined []*stockRow) {
	for _, k := range h.keys {
		switch r := h.fold.rows[k]; {
		case !r.moved || r.promised || r.redefined && r.stored:
		case r.stored:
			moved = append(moved, r)
		default:
			created = append(created, r)
		}
	}
	for _, k := range h.defs {
		for _, r := range h.fold.skus[k].rows {
			if r.redefined && r.stored {
				redefined = append(redefined, r)
			}
		}
	}
	return created, moved, redefined
}

// Both inserts into skus and into stock are plain: a unique violation means that another batch has created the row
// since Load looked for it, and this batch, which decided without it, has to be run again.
const insertSKUs = `
insert into skus (tenant, sku, backorder, backorder_limit, name, unit, low_stock)
select tenant, sku, backorder, backorder_limit, name, unit, low_stock
from unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::text[], $7::bigint[])
  as n (tenant, sku, backorder, backorder_limit, name, unit, low_stock)`

const updateSKUs = `
update skus s
set backorder = n.backorder, backorder_limit = n.backorder_limit, name = n.name, unit = n.unit,
    low_stock = n.low_stock, updated_at = now()
from unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::text[], $7::bigint[])
  as n (tenant, sku, backorder, backorder_limit, name, unit, low_stock)
where s.tenant = n.tenant and s.sku = n.sku`

func (h *Handler) writeSKUs(q *pgx.Batch) {
	keys := slices.SortedFunc(maps.Keys(h.fold.skus), skuKey.compare)
	var created, updated []*skuRow
	for _, k := range keys {
		switch s := h.fold.skus[k]; {
		case s.stored && s.definition != nil:
			updated = append(updated, s)
		case !s.stored && (s.definition != nil || s.needed):
			created = append(created, s)
		}
	}
	queueSKUs(q, insertSKUs, created)
	queueSKUs(q, updateSKUs, updated)
	h.writeBundles(q)
}

const updateBundle = `
update skus set bundle_skus = $3, bundle_quantities = $4 where tenant = $1 and sku = $2`

// writeBundles queues the parts of the SKUs that the batch makes bundles, or no bundles any more. They are few, so each
// is a statement of its own.
func (h *Handler) writeBundles(q *pgx.Batch) {
	for _, k := range h.defs {
		s := h.fold.skus[k]
		if s.definition == nil || !s.bundled && len(s.bundle) == 0 {
			continue
		}
		var skus []string // nil is null
		var quantities []int64
		for _, p := range s.bundle {
			skus, quantities = append(skus, p.SKU), append(quantities, p.Quantity)
		}
		q.Queue(updateBundle, k.tenant, k.sku, skus, quantities)
	}
}

func queueSKUs(q *pgx.Batch, sql string, rows []*skuRow) {
	if len(rows) == 0 {
		return
	}
	n := len(rows)
	tenants, skus, backorders, limits := make([]string, n), make([]string, n), make([]string, n), make([]*int64, n)
	names, units, low := make([]*string, n), make([]*string, n), make([]*int64, n)
	for i, s := range rows {
		tenants[i], skus[i] = s.key.tenant, s.key.sku
		backorders[i], limits[i] = s.policy.Backorder.String(), s.policy.limitColumn()
		if d := s.definition; d != nil {
			names[i], units[i], low[i] = orNull(d.Name), orNull(d.Unit), d.LowStock
		}
	}
	q.Queue(sql, tenants, skus, backorders, limits, names, units, low)
}

// orNull is null for the empty string.
func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
