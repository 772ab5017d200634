package verify

// everyStep is each movement, wherever it is kept, and what it changed beside what is on hand: reserved_by, damaged_by,
// in_transit_by, null where the movement before is not there any more. An opening balance is the one before for the
// next. The movements come from between the two constants.
const (
	everyStep = `(
  select tenant, sku, location, version, delta, reserved, damaged, in_transit, kind, event_source, opening, archived,
         reserved - case when version = 1 then 0 when before = version - 1 then before_reserved end as reserved_by,
         damaged - case when version = 1 then 0 when before = version - 1 then before_damaged end as damaged_by,
         in_transit - case when version = 1 then 0 when before = version - 1 then before_in_transit end as in_transit_by
  from (
    select m.*, lag(version) over w as before, lag(reserved) over w as before_reserved,
           lag(damaged) over w as before_damaged, lag(in_transit) over w as before_in_transit
    from `
	inOrder = ` m
    window w as (partition by tenant, sku, location order by version, opening)
  ) m
)`
)

// ledgerAndArchive is both tables, in numbers without an end.
const ledgerAndArchive = `(
      select tenant, sku, location, version, delta::numeric as delta, coalesce(reserved, 0)::numeric as reserved,
             coalesce(damaged, 0)::numeric as damaged, coalesce(in_transit, 0)::numeric as in_transit, kind,
             event_source, kind = 'ledger.opened' as opening, false as archived
      from movements
      union all
      select tenant, sku, location, version, delta, coalesce(reserved, 0), coalesce(damaged, 0),
             coalesce(in_transit, 0), kind, event_source, false, true
      from movements_archive
    )`

// What a movement changes, its kind says; nothing but on hand falls below zero. What is not known of the one before it
// cannot be wrong.
const wrongChange = `
select format('%L at %L of tenant %L, version %s', sku, location, tenant, version) as place,
       'a change that ' || case when event_source = '` + expirySource + `' then 'stock.expired' else kind end
         || ' makes, to 0 or more' as expected,
       format('%s: on hand by %s, reserved by %s to %s, damaged by %s to %s, in transit by %s to %s', kind, delta,
              coalesce(reserved_by::text, '?'), reserved, coalesce(damaged_by::text, '?'), damaged,
              coalesce(in_transit_by::text, '?'), in_transit) as found,
       count(*) over () as total
from ` + everyStep + ledgerAndArchive + inOrder + ` m
where not opening and (
  least(reserved, damaged, in_transit) < 0
  or (kind = 'stock.expired') <> (event_source = '` + expirySource + `')
  or not case kind
    when 'stock.received' then delta > 0 and reserved_by = 0 and damaged_by = 0 and in_transit_by = 0
    when 'stock.sold' then delta < 0 and reserved_by = 0 and damaged_by = 0 and in_transit_by = 0
    when 'stock.returned' then (delta > 0 and damaged_by = 0 or delta = 0 and damaged_by > 0)
                               and reserved_by = 0 and in_transit_by = 0
    when 'stock.adjusted' then (delta = 0 or damaged_by = 0) and reserved_by = 0 and in_transit_by = 0
    when 'stock.counted' then (delta = 0 or damaged_by = 0) and reserved_by = 0 and in_transit_by = 0
    when 'stock.reserved' then delta = 0 and reserved_by > 0 and damaged_by = 0 and in_transit_by = 0
    when 'stock.released' then delta = 0 and reserved_by < 0 and damaged_by = 0 and in_transit_by = 0
    when 'stock.expired' then delta = 0 and reserved_by < 0 and damaged_by = 0 and in_transit_by = 0
    when 'stock.fulfilled' then delta < 0 and reserved_by = delta and damaged_by = 0 and in_transit_by = 0
    when 'stock.transferred' then (delta <> 0 and in_transit_by = 0 or delta = 0 and in_transit_by > 0)
                                  and reserved_by = 0 and damaged_by = 0
    when 'stock.transfer_received' then delta >= 0 and in_transit_by < 0 and reserved_by = 0 and damaged_by = 0
    else false
  end
)
limit $1`

// Beside on hand, too, stock is what its last movement says.
const wrongBeside = `
select format('%L at %L of tenant %L', s.sku, s.location, s.tenant) as place,
       format('reserved %s, damaged %s, in transit %s', coalesce(m.reserved, 0), coalesce(m.damaged, 0),
              coalesce(m.in_transit, 0)) as expected,
       format('reserved %s, damaged %s, in transit %s', s.reserved, s.damaged, s.in_transit) as found,
       count(*) over () as total
from stock s
join movements m
  on m.tenant = s.tenant and m.sku = s.sku and m.location = s.location and m.version = s.version
where s.reserved <> coalesce(m.reserved, 0) or s.damaged <> coalesce(m.damaged, 0)
   or s.in_transit <> coalesce(m.in_transit, 0)
limit $1`

// What is reserved is what open reservations hold.
const wrongReserved = `
select format('%L at %L of tenant %L', coalesce(s.sku, r.sku), coalesce(s.location, r.location),
              coalesce(s.tenant, r.tenant)) as place,
       format('reserved %s, by open reservations', coalesce(r.total, 0))
         || case when r.least < 1 then format(', of which one holds %s', r.least) else '' end as expected,
       case when s.sku is null then 'no row' else format('reserved %s', s.reserved) end as found,
       count(*) over () as total
from stock s
full join (
  select r.tenant, l.sku, l.location, sum(l.quantity) as total, min(l.quantity) as least
  from reservations r
  cross join unnest(r.skus, r.locations, r.quantities) as l (sku, location, quantity)
  where r.state = 'open'
  group by r.tenant, l.sku, l.location
) r on r.tenant = s.tenant and r.sku = s.sku and r.location = s.location
where s.reserved is distinct from coalesce(r.total, 0) or r.least < 1
limit $1`

// What is in transit to a location was sent there, and has not been received.
const wrongInTransit = `
select format('%L at %L of tenant %L', coalesce(s.sku, t.sku), coalesce(s.location, t.location),
              coalesce(s.tenant, t.tenant)) as place,
       format('in transit %s, by transfers', coalesce(t.total, 0))
         || case when t.least < 1 then format(', of which one sent %s', t.least) else '' end as expected,
       case when s.sku is null then 'no row' else format('in transit %s', s.in_transit) end as found,
       count(*) over () as total
from stock s
full join (
  select t.tenant, l.sku, t.location, sum(l.quantity) as total, min(l.quantity) as least
  from transfers t
  cross join unnest(t.skus, t.sent) as l (sku, quantity)
  where t.state = 'sent'
  group by t.tenant, l.sku, t.location
) t on t.tenant = s.tenant and t.sku = s.sku and t.location = s.location
where s.in_transit is distinct from coalesce(t.total, 0) or t.least < 1
limit $1`

// A transfer makes and loses nothing, of no SKU, but for what came in less or more than was sent. It is known of a SKU
// whose movements are all there.
const lostInTransfer = `
select format('%L of tenant %L', m.sku, m.tenant) as place,
       format('0 by transfers, %s by what came in of them', coalesce(t.total, 0)) as expected,
       format('%s by transfers, %s by what came in of them', m.moved, m.came) as found,
       count(*) over () as total
from (
  select tenant, sku,
         coalesce(sum(delta + damaged_by + in_transit_by) filter (where kind = 'stock.transferred'), 0) as moved,
         coalesce(sum(delta + damaged_by + in_transit_by) filter (where kind = 'stock.transfer_received'), 0) as came
  from ` + everyStep + `(
      select e.*
      from ` + ledgerAndArchive + ` e
      where (e.tenant, e.sku) in (
        select tenant, sku from ` + everyMovement + ` t
        where t.kind in ('stock.transferred', 'stock.transfer_received')
      )
    )` + inOrder + ` m
  group by tenant, sku
  having coalesce(sum(version) filter (where opening), 0) = count(*) filter (where archived)
) m
left join (
  select t.tenant, l.sku, sum(l.received::numeric - l.sent) as total
  from transfers t
  cross join unnest(t.skus, t.sent, t.received) as l (sku, sent, received)
  where t.state = 'received'
  group by t.tenant, l.sku
) t on t.tenant = m.tenant and t.sku = m.sku
where m.moved <> 0 or m.came <> coalesce(t.total, 0)
limit $1`

// Who made a reservation, or a transfer, is an event that was applied. Of one that was forgotten nobody can tell: it
// may have come again, and got another answer.
const madeByNobody = `
select format('%s %L of tenant %L', p.what, p.id, p.tenant) as place,
       format('event %L from %L applied', p.event_id, p.event_source) as expected,
       coalesce('inbox row ' || i.outcome::text, 'no inbox row') as found,
       count(*) over () as total
from (
  select 'reservation' as what, tenant, reservation as id, event_id, event_source from reservations
  union all
  select 'transfer', tenant, transfer, event_id, event_source from transfers
) p
left join inbox i on i.tenant = p.tenant and i.event_id = p.event_id and i.source = p.event_source
where i.outcome is distinct from 'applied' and (select dropped_rows from inbox_memory) = 0
limit $1`
