package verify

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// everyMovement is what has happened, wherever it is kept. Opening balances are none of it: they stand for movements
// that are in the archive, or were removed from there.
const everyMovement = `(
  select tenant, sku, location, version, delta, on_hand, kind, event_id, event_source, message_id, recorded_at,
         reserved, damaged, in_transit
  from movements where kind <> 'ledger.opened'
  union all
  select tenant, sku, location, version, delta, on_hand, kind, event_id, event_source, message_id, recorded_at,
         reserved, damaged, in_transit
  from movements_archive
)`

// The archive may have any part of what it once had. What it has must lie behind an opening balance, lead up to it, and
// follow from the movement before where that is there.
const brokenArchive = `
select format('%s, version %s', format('%L at %L of tenant %L', a.sku, a.location, a.tenant), a.version) as place,
       case when o.version is null or a.version > o.version then 'no row: no opening balance stands for it'
            when a.kind = 'ledger.opened' then 'movements alone'
            when a.version = o.version and a.on_hand <> o.on_hand
              then format('on hand %s, as its opening balance says', o.on_hand)
            when a.on_hand <> a.before_on_hand + a.delta then format('on hand %s', a.before_on_hand + a.delta)
            else format('reserved %s, damaged %s, in transit %s, as its opening balance says',
                        coalesce(o.reserved, 0), coalesce(o.damaged, 0), coalesce(o.in_transit, 0)) end as expected,
       format('version %s, delta %s, on hand %s', a.version, a.delta, a.on_hand)
         || case when a.version = o.version
                   then format(', reserved %s, damaged %s, in transit %s', a.reserved, a.damaged, a.in_transit)
                 else '' end as found,
       count(*) over () as total
from (
  select tenant, sku, location, version, delta, on_hand, kind, coalesce(reserved, 0) as reserved,
         coalesce(damaged, 0) as damaged, coalesce(in_transit, 0) as in_transit,
         case when version = 1 then 0 when lag(version) over w = version - 1 then lag(on_hand) over w
              end::numeric as before_on_hand
  from movements_archive
  window w as (partition by tenant, sku, location order by version)
) a
left join movements o
  on o.tenant = a.tenant and o.sku = a.sku and o.location = a.location and o.kind = 'ledger.opened'
where o.version is null or a.version > o.version or a.kind = 'ledger.opened'
   or a.version = o.version and (a.on_hand <> o.on_hand or a.reserved <> coalesce(o.reserved, 0)
                                 or a.damaged <> coalesce(o.damaged, 0) or a.in_transit <> coalesce(o.in_transit, 0))
   or a.on_hand <> a.before_on_hand + a.delta
limit $1`

const countArchive = `
select o.n, a.n, o.movements - a.n
from (
  select count(*) as n, coalesce(sum(version), 0)::bigint as movements from movements where kind = 'ledger.opened'
) o
cross join (select count(*) as n from movements_archive) a`

// openArchive counts what is archived: it decides what an event without a movement means.
func (v *Verification) openArchive(ctx context.Context) error {
	l := &v.report.Ledger
	err := v.snapshot.tx.QueryRow(ctx, countArchive).Scan(&l.Opened, &l.Archived, &l.Removed)
	if err != nil {
		return fmt.Errorf("count the archive: %w", err)
	}
	return nil
}

// removal is about a movement that an event must have, and that is nowhere: it is no fault if it was archived and then
// removed.
type removal struct {
	offset                int64
	tenant, sku, location string
	version               int64 // that the movement had; 0 = any
	row, expected         string
	perhaps               bool // the SKU may have been a bundle: then its parts moved, and are gone
}

// The opening balance that stands for a removed movement of a row of stock. The archive must not have the very version.
const selectRemoved = `
select e.ord
from unnest($1::text[], $2::text[], $3::text[], $4::bigint[])
  with ordinality as e (tenant, sku, location, version, ord)
cross join lateral (
  select m.version, m.kind
  from movements m
  where m.tenant = e.tenant and m.sku = e.sku and m.location = e.location
  order by m.version
  limit 1
) o
where o.kind = 'ledger.opened' and o.version >= e.version and not exists (
  select
  from movements_archive a
  where a.tenant = e.tenant and a.sku = e.sku and a.location = e.location and a.version = e.version
)`

// lookUpRemoved answers what remove asked.
func (j *judge) lookUpRemoved(ctx context.Context) error {
	n := len(j.removals)
	if n == 0 {
		return nil
	}
	tenants, skus, locations, versions := make([]string, n), make([]string, n), make([]string, n), make([]int64, n)
	for i, r := range j.removals {
		tenants[i], skus[i], locations[i], versions[i] = r.tenant, r.sku, r.location, r.version
	}
	removed := make([]bool, n)
	var ord int64
	rows, err := j.v.snapshot.tx.Query(ctx, selectRemoved, tenants, skus, locations, versions)
	if err == nil {
		_, err = pgx.ForEachRow(rows, []any{&ord}, func() error {
			removed[ord-1] = true
			return nil
		})
	}
	if err != nil {
		return fmt.Errorf("look up opening balances: %w", err)
	}
	for i, r := range j.removals {
		if removed[i] {
			j.removed++
		} else if !r.perhaps {
			j.differ("I1", r.offset, r.row+" with "+r.expected, "no movement, and no opening balance that stands for it")
		}
	}
	j.removals = j.removals[:0]
	return nil
}

// removedTooMany: opening balances stand for so many movements, and the archive still has so many of them. More than
// the rest cannot have been lost that way.
func (v *Verification) removedTooMany() {
	if l := v.report.Ledger; v.removed > l.Removed {
		v.report.differ(Difference{
			Invariant: "I1", Place: "movements_archive",
			Expected: fmt.Sprintf("at most %d movements that were archived and removed", l.Removed),
			Found:    fmt.Sprintf("%d movements of applied events are neither in the ledger nor in the archive", v.removed),
		})
	}
}
