package ledger

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// chunkTimeout bounds one transaction. It is not cancelled: a run that is told to end finishes it.
	chunkTimeout = time.Minute
	maxExamples  = 20
)

// chunk is one transaction after another, over the rows of stock in the order of their key.
type chunk struct {
	cfg   *Config
	conn  *pgx.Conn
	after Key // the last row that is done with; no key is empty
}

// archive does the next transaction and returns so with what it came to. On an error nothing has changed.
func (c *chunk) archive(ctx context.Context, so Result) (Result, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), chunkTimeout)
	defer cancel()
	next, after := so, c.after
	err := pgx.BeginFunc(ctx, c.conn, func(tx pgx.Tx) error {
		lines, err := c.candidates(ctx, tx, so.Before)
		if err != nil {
			return err
		}
		cutOff := len(lines) == c.cfg.Chunk
		p := decide(lines, cutOff)
		if p.last != nil {
			after = *p.last
		}
		next.add(p)
		next.Complete = !cutOff
		if len(p.cuts) == 0 {
			return nil
		}
		if err := move(ctx, tx, p.cuts); err != nil || c.cfg.Record == nil {
			return err
		}
		return c.cfg.Record(ctx, tx, next)
	})
	if err != nil {
		return so, err
	}
	c.after = after
	return next, nil
}

func (r *Result) add(p plan) {
	r.Stock += p.keys
	for _, c := range p.cuts {
		r.Archived += c.movements()
	}
	r.Broken += int64(len(p.broken))
	r.Examples = append(r.Examples, p.broken[:min(len(p.broken), maxExamples-len(r.Examples))]...)
}

// Every statement looks rows up by key. What the planner thinks of arrays, of limits and of tables that have just grown
// would have it read whole tables now and then.
const settle = `
select set_config('enable_seqscan', 'off', true), set_config('enable_hashjoin', 'off', true),
       set_config('enable_mergejoin', 'off', true), set_config('enable_sort', 'off', true),
       set_config('plan_cache_mode', 'force_generic_plan', true), set_config('lock_timeout', '5s', true),
       set_config('statement_timeout', '60s', true), set_config('idle_in_transaction_session_timeout', '60s', true)`

// For each row of stock the oldest movements up to the first that is too young, and never the newest; nothing, if that
// would be fewer than two rows. A version may have been recorded a little earlier than the one before it (recorded_at
// is when its transaction began), so it is not enough to ask which are old. Neither a long ledger nor young movements
// are read further than they matter: versions have no gap, so the first one and the limit say how far to look. Sorting
// by version once more at the end would read all rows of stock before the first line; the movements come in that order.
const selectCandidates = `
select k.tenant, k.sku, k.location, m.version, coalesce(m.delta, 0) as delta, coalesce(m.on_hand, 0) as on_hand,
       coalesce(m.kind = 'ledger.opened', false) as opening
from (
  select tenant, sku, location, version
  from stock
  where (tenant, sku, location) > ($1, $2, $3)
  order by tenant, sku, location
  limit $5::bigint
) k
left join lateral (
  select m.version, m.delta, m.on_hand, m.kind
  from (
    select f.version as first, coalesce((
        select y.version
        from movements y
        where y.tenant = k.tenant and y.sku = k.sku and y.location = k.location
          and y.version < least(f.version + $5::bigint, k.version) and y.recorded_at >= $4
        order by y.version
        limit 1
      ), least(f.version + $5::bigint, k.version)) as young
    from (
      select version
      from movements
      where tenant = k.tenant and sku = k.sku and location = k.location
      order by version
      limit 1
    ) f
    offset 0 -- keeps the planner from looking for it again at each movement
  ) b
  cross join lateral (
    select m.version, m.delta, m.on_hand, m.kind
    from movements m
    where m.tenant = k.tenant and m.sku = k.sku and m.location = k.location and m.version < b.young
      and b.young - b.first > 1
    order by m.version
  ) m
) m on true
order by k.tenant, k.sku, k.location
limit $5::bigint`

func (c *chunk) candidates(ctx context.Context, tx pgx.Tx, before time.Time) ([]line, error) {
	if _, err := tx.Exec(ctx, settle); err != nil {
		return nil, err
	}
	a := c.after
	rows, err := tx.Query(ctx, selectCandidates, a.Tenant, a.SKU, a.Location, before, c.cfg.Chunk)
	if err != nil {
		return nil, err
	}
	lines, err := pgx.CollectRows(rows, pgx.RowToStructByName[line])
	if err != nil {
		return nil, fmt.Errorf("look for old movements: %w", err)
	}
	return lines, nil
}
