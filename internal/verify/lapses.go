package verify

// expirySource is the source of what no record says: that a reservation has lapsed. Its inbox row and its movements
// bear the reservation's id.
const expirySource = "onhand:expiry"

// nothingRemoved says that the archive has all movements that opening balances stand for.
const nothingRemoved = `
(select coalesce(sum(version), 0) from movements where kind = 'ledger.opened')
  = (select count(*) from movements_archive)`

const everyLapse = `(
  select tenant, event_id from ` + everyMovement + ` e
  where event_source = '` + expirySource + `'
  group by tenant, event_id
)`

// What lapsed is a reservation that says so, and one that says so has given back what it held.
const wrongLapse = `
select format('%L of tenant %L', coalesce(r.reservation, m.event_id), coalesce(r.tenant, m.tenant)) as place,
       case when m.event_id is null then 'movements, stock.expired' else 'expired' end as expected,
       case when m.event_id is null then 'no movement' else coalesce(r.state, 'no row') end as found,
       count(*) over () as total
from reservations r
full join ` + everyLapse + ` m on m.tenant = r.tenant and m.event_id = r.reservation
where case when m.event_id is null then r.state = 'expired' and ` + nothingRemoved + `
           else r.state is distinct from 'expired' end
limit $1`

// The answer to a lapse is that it was applied.
const wrongLapseRow = `
select format('reservation %L of tenant %L lapsed', i.event_id, i.tenant) as place,
       'applied, with movements' as expected,
       case when m.event_id is null then i.outcome || ', and no movement' else i.outcome::text end as found,
       count(*) over () as total
from inbox i
left join ` + everyLapse + ` m on m.tenant = i.tenant and m.event_id = i.event_id
where i.source = '` + expirySource + `'
  and (i.outcome <> 'applied' or m.event_id is null and ` + nothingRemoved + `)
limit $1`
