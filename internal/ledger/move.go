package ledger

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// The archive gets movements as they were. An opening balance that is folded in was one before, and is there already.
const insertArchive = `
insert into movements_archive (tenant, sku, location, version, delta, on_hand, kind, event_id, event_source,
                               message_id, recorded_at, traceparent, reserved, damaged, in_transit)
select m.tenant, m.sku, m.location, m.version, m.delta, m.on_hand, m.kind, m.event_id, m.event_source, m.message_id,
       m.recorded_at, m.traceparent, m.reserved, m.damaged, m.in_transit
from unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[])
  as c (tenant, sku, location, first, last)
join movements m on m.tenant = c.tenant and m.sku = c.sku and m.location = c.location
 and m.version >= c.first and m.version <= c.last
where m.kind <> 'ledger.opened'`

const deleteOlder = `
delete from movements m
using unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[])
  as c (tenant, sku, location, first, last)
where m.tenant = c.tenant and m.sku = c.sku and m.location = c.location
  and m.version >= c.first and m.version < c.last`

// The last movement of a cut becomes the opening balance: version, on hand, what there is beside it and time stay. Its
// message goes with the movement.
const openLedger = `
update movements m
set delta = m.on_hand, kind = 'ledger.opened', event_id = '', event_source = 'onhand:ledger', message_id = null,
    traceparent = ''
from unnest($1::text[], $2::text[], $3::text[], $4::bigint[]) as c (tenant, sku, location, last)
where m.tenant = c.tenant and m.sku = c.sku and m.location = c.location and m.version = c.last`

// errChanged cannot happen as long as nobody edits the ledger by hand.
var errChanged = errors.New("the ledger was changed by somebody else meanwhile")

// move archives cuts, in one exchange with the server.
func move(ctx context.Context, tx pgx.Tx, cuts []cut) error {
	n := len(cuts)
	tenants, skus, locations := make([]string, n), make([]string, n), make([]string, n)
	firsts, lasts := make([]int64, n), make([]int64, n)
	var movements, older int64
	for i, c := range cuts {
		tenants[i], skus[i], locations[i] = c.Tenant, c.SKU, c.Location
		firsts[i], lasts[i] = c.first, c.last
		movements += c.movements()
		older += c.last - c.first
	}
	q := &pgx.Batch{}
	q.Queue(insertArchive, tenants, skus, locations, firsts, lasts).Exec(changes(movements))
	q.Queue(deleteOlder, tenants, skus, locations, firsts, lasts).Exec(changes(older))
	q.Queue(openLedger, tenants, skus, locations, lasts).Exec(changes(int64(n)))
	return tx.SendBatch(ctx, q).Close()
}

// changes fails the transaction unless a statement changed n rows.
func changes(n int64) func(pgconn.CommandTag) error {
	return func(tag pgconn.CommandTag) error {
		if tag.RowsAffected() != n {
			return fmt.Errorf("%w: %s in place of %d", errChanged, tag, n)
		}
		return nil
	}
}
