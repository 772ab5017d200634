package ledger

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// What a run would archive of each row of stock, if its ledger adds up. It reads all of that and the first movement
// that stays.
const selectOld = `
select k.tenant, k.sku, k.location,
       coalesce(case when b.young - b.first > 1 then b.young - b.first - b.opening end, 0) as movements
from (
  select tenant, sku, location, version
  from stock
  where (tenant, sku, location) > ($1, $2, $3)
  order by tenant, sku, location
  limit $5
) k
left join lateral (
  select f.version as first, (f.kind = 'ledger.opened')::integer as opening, coalesce((
      select y.version
      from movements y
      where y.tenant = k.tenant and y.sku = k.sku and y.location = k.location
        and y.version < k.version and y.recorded_at >= $4
      order by y.version
      limit 1
    ), k.version) as young
  from (
    select version, kind
    from movements
    where tenant = k.tenant and sku = k.sku and location = k.location
    order by version
    limit 1
  ) f
  offset 0
) b on true
order by k.tenant, k.sku, k.location`

type oldRow struct {
	Key
	Movements int64 `db:"movements"`
}

// Survey returns what Run would archive, and changes nothing. It does not look whether the movements add up: rows of
// stock that Run would leave alone for that are counted like the others.
func (a *Archiver) Survey(ctx context.Context) (Result, error) {
	result := Result{Examples: []Broken{}}
	conn, err := a.cfg.Pool.Acquire(ctx)
	if err != nil {
		return result, fmt.Errorf("look for old movements: %w", err)
	}
	defer conn.Release()
	if result.Before, err = moment(ctx, conn.Conn(), a.cfg.OlderThan); err != nil {
		return result, err
	}
	var after Key
	for !result.Complete {
		var page []oldRow
		err := pgx.BeginTxFunc(ctx, conn, pgx.TxOptions{AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, settle); err != nil {
				return err
			}
			rows, err := tx.Query(ctx, selectOld, after.Tenant, after.SKU, after.Location, result.Before, a.cfg.Chunk)
			if err == nil {
				page, err = pgx.CollectRows(rows, pgx.RowToStructByName[oldRow])
			}
			return err
		})
		if err != nil {
			return result, fmt.Errorf("look for old movements: %w", err)
		}
		for _, row := range page {
			result.Archived += row.Movements
			after = row.Key
		}
		result.Stock += int64(len(page))
		a.done.Store(result.Stock)
		result.Complete = len(page) < a.cfg.Chunk
	}
	return result, nil
}
