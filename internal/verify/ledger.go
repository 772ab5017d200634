package verify

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// check is one thing that the database compares as a whole. Its query returns at most $1 rows that are wrong, each with
// the number of all.
type check struct {
	invariant, place, sql string
	outbox                bool // the proof of outgoing topics rests on it
}

// wrong is a row of such a query.
type wrong struct {
	Place    string `db:"place"`
	Expected string `db:"expected"`
	Found    string `db:"found"`
	Total    int64  `db:"total"`
}

// Each movement follows the one before: the next version, and its delta more on hand. The first is version 1, or an
// opening balance, which stands for all movements up to its version.
const brokenChain = `
select format('%s, version %s', format('%L at %L of tenant %L', sku, location, tenant), version) as place,
       case when opening and not first then 'no opening balance amid movements'
            when opening then format('version %s, delta %s, on hand %s, of no event', version, on_hand, on_hand)
            else format('version %s, on hand %s', before_version + 1, before_on_hand + delta) end as expected,
       format('version %s, delta %s, on hand %s', version, delta, on_hand)
         || case when opening then ', ' || kind else '' end as found,
       count(*) over () as total
from (
  select tenant, sku, location, version, delta, on_hand, kind, event_id, event_source,
         kind = 'ledger.opened' or event_source = 'onhand:ledger' as opening, lag(version) over w is null as first,
         coalesce(lag(version) over w, 0) as before_version, coalesce(lag(on_hand) over w, 0)::numeric as before_on_hand
  from movements
  window w as (partition by tenant, sku, location order by version)
) m
where case when opening then not first or delta <> on_hand or event_id <> ''
                          or kind <> 'ledger.opened' or event_source <> 'onhand:ledger'
           else version <> before_version + 1 or on_hand <> before_on_hand + delta end
limit $1`

// Stock is the sum of its movements, and there is none without. An opening balance counts for as many as its version.
const wrongStock = `
select format('%L at %L of tenant %L', coalesce(s.sku, m.sku), coalesce(s.location, m.location),
              coalesce(s.tenant, m.tenant)) as place,
       case when m.sku is null then 'no row: it has no movements'
            else format('version %s, on hand %s', m.moves, m.total) end as expected,
       case when s.sku is null then 'no row'
            else format('version %s, on hand %s', s.version, s.on_hand) end as found,
       count(*) over () as total
from stock s
full join (
  select tenant, sku, location, sum(case kind when 'ledger.opened' then version else 1 end) as moves,
         sum(delta) as total
  from movements
  group by tenant, sku, location
) m on m.tenant = s.tenant and m.sku = s.sku and m.location = s.location
where s.sku is null or m.sku is null or s.version <> m.moves or s.on_hand <> m.total
limit $1`

// The policy in a row of stock, which its CHECK rests on, and the threshold, which every movement of it is held
// against, are the SKU's.
const wrongPolicy = `
select format('%L at %L of tenant %L', s.sku, s.location, s.tenant) as place,
       case when k.sku is null then 'a row in skus'
            else format('backorder %s %s, low stock %s', k.backorder, k.backorder_limit, k.low_stock) end as expected,
       format('backorder %s %s, low stock %s', s.backorder, s.backorder_limit, s.low_stock) as found,
       count(*) over () as total
from stock s
left join skus k on k.tenant = s.tenant and k.sku = s.sku
where k.sku is null or k.backorder <> s.backorder or k.backorder_limit is distinct from s.backorder_limit
   or k.low_stock is distinct from s.low_stock
limit $1`

// A bundle has no stock of its own.
const stockOfBundle = `
select format('%L at %L of tenant %L', s.sku, s.location, s.tenant) as place, 'no row: the SKU is a bundle' as expected,
       format('version %s, on hand %s', s.version, s.on_hand) as found, count(*) over () as total
from skus k
join stock s on s.tenant = k.tenant and s.sku = k.sku
where k.bundle_skus is not null
limit $1`

// A movement has an event that was applied, wherever it is kept. Of the events of generations that were dropped nobody
// can tell; one without a time may have come again since, and have got another answer.
const unknownMovement = `
select format('%L at %L of tenant %L, version %s', m.sku, m.location, m.tenant, m.version) as place,
       format('event %L from %L applied', m.event_id, m.event_source) as expected,
       coalesce('inbox row ' || i.outcome::text, 'no inbox row') as found,
       count(*) over () as total
from ` + everyMovement + ` m
left join inbox i on i.tenant = m.tenant and i.event_id = m.event_id and i.source = m.event_source
where i.outcome is distinct from 'applied'
  and not coalesce(m.recorded_at <= (select dropped_until from inbox_memory), false)
limit $1`

// As many inbox rows are there as were written and not dropped. Without a drop each record is asked for its own.
const lostRows = `
select 'rows' as place, (o.remembered - m.dropped_rows)::text as expected, i.n::text as found, 1::bigint as total
from inbox_memory m
cross join (select coalesce(sum(remembered), 0) as remembered from offsets) o
cross join lateral (select count(*) as n from inbox where m.dropped_rows > 0) i
where m.dropped_rows > 0 and o.remembered - m.dropped_rows <> i.n
limit $1`

// A movement is a message, wherever it is kept, and they leave in the order of its row's versions.
const wrongMessages = `
select format('%L at %L of tenant %L, version %s', m.sku, m.location, m.tenant, m.version) as place,
       'a message after the one before' as expected,
       case when m.message_id is null then 'no message'
            else format('message %s after message %s', m.message_id, m.before) end as found,
       count(*) over () as total
from (
  select tenant, sku, location, version, message_id,
         lag(message_id) over (partition by tenant, sku, location order by version) as before
  from ` + everyMovement + ` e
) m
where m.message_id is null or m.message_id <= m.before
limit $1`

// No two messages share a place in the order. Within a table its key sees to that.
const doubledMessages = `
select format('message %s', id) as place, 'one message' as expected, format('%s messages', count(*)) as found,
       count(*) over () as total
from outbox
group by id
having count(*) > 1
limit $1`

const countLedger = `
select (select count(*) from stock), (select count(*) from movements where kind <> 'ledger.opened'),
       (select count(*) from outbox)`

// ledger compares the tables that hold the records' effects with one another.
func (v *Verification) ledger(ctx context.Context) error {
	for _, c := range []check{
		{"I4", "movements", brokenChain, true},
		{"I4", "movements_archive", brokenArchive, true},
		{"I4", "stock", wrongStock, true},
		{"I4", "stock", wrongPolicy, false},
		{"I4", "stock", stockOfBundle, false},
		{"I4", "movements", wrongChange, false},
		{"I4", "stock", wrongBeside, false},
		{"I4", "stock", wrongReserved, false},
		{"I4", "stock", wrongInTransit, false},
		{"I4", "transfers", lostInTransfer, false},
		{"I4", "reservations", wrongLapse, false},
		{"I3", "inbox", wrongLapseRow, false},
		{"I3", "made by nobody:", madeByNobody, false},
		{"I3", "movements", unknownMovement, false},
		{"I3", "inbox", lostRows, false},
		{"I6", "outbox", wrongMessages, true},
		{"I6", "outbox", doubledMessages, true},
	} {
		if v.cfg.OutboxOnly && !c.outbox {
			continue
		}
		if err := v.check(ctx, c); err != nil {
			return fmt.Errorf("compare %s: %w", c.place, err)
		}
	}
	l := &v.report.Ledger
	if err := v.snapshot.tx.QueryRow(ctx, countLedger).Scan(&l.Stock, &l.Movements, &l.Messages); err != nil {
		return fmt.Errorf("count the ledger: %w", err)
	}
	return nil
}

func (v *Verification) check(ctx context.Context, c check) error {
	// One row at least: it carries the number of all.
	rows, err := v.snapshot.tx.Query(ctx, c.sql, max(1, v.cfg.Differences-len(v.report.Differences)))
	if err != nil {
		return err
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByName[wrong])
	if err != nil {
		return err
	}
	v.report.differAll(c.invariant, c.place, found)
	return nil
}

// differAll notes what a query found, which is all of it or the first rows, each with the number of all.
func (r *Report) differAll(invariant, place string, found []wrong) {
	for _, w := range found {
		r.differ(Difference{Invariant: invariant, Place: place + " " + w.Place, Expected: w.Expected, Found: w.Found})
	}
	if len(found) > 0 {
		r.Found += found[0].Total - int64(len(found))
	}
}
