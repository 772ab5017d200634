package inventory

import (
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"onhand/inbox"
)

const wantedSKUs = `
with wanted as (
  select tenant, sku, ord::integer
  from unnest($1::text[], $2::text[]) with ordinality as w (tenant, sku, ord)
  order by ord
)
select w.ord, s.backorder, s.backorder_limit, s.low_stock, s.bundle,
       s.backorder is null and exists (select from skus e where e.tenant = w.tenant and e.sku = w.sku)
from wanted w
left join lateral (
  select s.backorder, s.backorder_limit, s.low_stock, s.bundle_skus || s.bundle_quantities::text[] as bundle from skus s
  where s.tenant = w.tenant and s.sku = w.sku
  for update`

const (
	lockSKUs       = wantedSKUs + `) s on true`
	skipLockedSKUs = wantedSKUs + ` skip locked) s on true`
)

// lockSKUs queues the exclusive locks on the SKUs that the batch defines.
func (h *Handler) lockSKUs(q *pgx.Batch, locks inbox.Locks) {
	if len(h.defs) == 0 {
		return
	}
	tenants, skus := h.definedColumns()
	sql := lockSKUs
	if locks == inbox.SkipLocked {
		sql = skipLockedSKUs
	}
	q.Queue(sql, tenants, skus).Query(func(rows pgx.Rows) error {
		var ord int32
		var backorder pgtype.DriverBytes
		var limit, low *int64
		var bundle []string
		var unlocked bool
		_, err := pgx.ForEachRow(rows, []any{&ord, &backorder, &limit, &low, &bundle, &unlocked}, func() error {
			s := h.fold.skus[h.defs[ord-1]]
			s.stored, s.blocked = backorder != nil, unlocked
			if s.stored {
				s.policy, s.low = storedPolicy(backorder, limit), threshold(low)
			}
			return h.takeBundle(s, bundle)
		})
		return err
	})
}

func (h *Handler) definedColumns() (tenants, skus []string) {
	tenants, skus = make([]string, len(h.defs)), make([]string, len(h.defs))
	for i, d := range h.defs {
		tenants[i], skus[i] = d.tenant, d.sku
	}
	return tenants, skus
}
