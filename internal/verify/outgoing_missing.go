package verify

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// gaps asks for the versions that were passed over and have not come.
func (o *outgoing) gaps(ctx context.Context) error {
	if o.order.full {
		o.report.Untold = fmt.Sprintf("more than %d gaps: of the rest it was not asked whether they are right", maxGaps)
	}
	for _, of := range o.order.gaps {
		for _, g := range of.spans {
			if g.lossy {
				o.unproven(g.at, g.to-g.from)
				continue
			}
			if err := o.missing(ctx, g.at, of.row, g.from, g.to-1); err != nil {
				return err
			}
		}
	}
	return nil
}

// unproven counts messages that may have been removed from the log; p nil = of whichever partition.
func (o *outgoing) unproven(p *outPartition, n int64) {
	o.report.Unproven += n
	if p != nil {
		p.unproven += n
	}
}

const selectVersions = `
select version, coalesce(message_id, 0)
from ` + everyMovement + ` m
where tenant = $1 and sku = $2 and location = $3 and version between $4 and $5`

// missing: the messages of versions from to to of row are not in the topic, and nothing that was removed from the log
// explains that; p is the partition of the row, nil = none is known.
func (o *outgoing) missing(ctx context.Context, p *outPartition, row stockRow, from, to int64) error {
	gone := to - from + 1
	var version, id int64
	rows, err := o.v.snapshot.tx.Query(ctx, selectVersions, row.tenant, row.sku, row.location, from, to)
	if err == nil {
		_, err = pgx.ForEachRow(rows, []any{&version, &id}, func() error {
			gone--
			if o.excuses.missing(id) {
				o.report.Excused++
				return nil
			}
			o.differMissing(p, id, row.String(), fmt.Sprintf("the message of version %d", version))
			return nil
		})
	}
	if err != nil {
		return fmt.Errorf("look up missing messages: %w", err)
	}
	if gone > 0 { // versions have no gap, so these were, until they were removed from the archive
		o.differMissing(p, 0, row.String(), fmt.Sprintf("%d messages of versions %d to %d", gone, from, to))
	}
	return nil
}

// For each row of stock: the last version whose message had left for sure, and the last one that was removed from the
// archive, of which nobody knows. Stock has a row wherever there are movements: that is compared apart.
const selectReached = `
select s.tenant, s.sku, s.location, coalesce(m.version, a.version, 0), coalesce(o.version, 0)
from (
  select tenant, sku, location from stock where (tenant, sku, location) > ($1, $2, $3)
  order by tenant, sku, location
  limit $4
) s
left join lateral (
  select version from movements
  where tenant = s.tenant and sku = s.sku and location = s.location and message_id <= $5
  order by version desc limit 1
) m on true
left join lateral (
  select version from movements_archive
  where m.version is null and tenant = s.tenant and sku = s.sku and location = s.location and message_id <= $5
  order by version desc limit 1
) a on true
left join lateral (
  select f.version
  from (
    select version, kind from movements
    where tenant = s.tenant and sku = s.sku and location = s.location
    order by version limit 1
  ) f
  where f.kind = 'ledger.opened' and not exists (
    select from movements_archive
    where tenant = s.tenant and sku = s.sku and location = s.location and version = f.version
  )
) o on true
order by s.tenant, s.sku, s.location`

// chunkRows is how many rows of stock are asked about at a time.
const chunkRows = 2000

// reached is what of a row must have been read.
type reached struct {
	stockRow
	version int64 // up to here
	removed int64 // up to here it was, before it was removed from the archive
}

// rest asks for what is missing at the beginning and at the end of each row of stock.
func (o *outgoing) rest(ctx context.Context) error {
	last := stockRow{}
	for {
		var r reached
		chunk := make([]reached, 0, chunkRows)
		rows, err := o.v.snapshot.tx.Query(ctx, selectReached, last.tenant, last.sku, last.location, chunkRows,
			o.relay.done)
		if err == nil {
			into := []any{&r.tenant, &r.sku, &r.location, &r.version, &r.removed}
			_, err = pgx.ForEachRow(rows, into, func() error {
				chunk = append(chunk, r)
				return nil
			})
		}
		if err != nil {
			return fmt.Errorf("ask which messages have left: %w", err)
		}
		for _, r := range chunk {
			if err := o.ends(ctx, r); err != nil {
				return err
			}
		}
		if len(chunk) < chunkRows {
			return nil
		}
		last = chunk[len(chunk)-1].stockRow
	}
}

// ends compares the first and the last version that were read of a row with those that must have been.
func (o *outgoing) ends(ctx context.Context, r reached) error {
	s, known := o.order.rows[r.digest()]
	if !known {
		if lossy := o.anyLossy(); lossy || r.version == 0 {
			if lossy || r.removed > 0 {
				o.unproven(nil, max(r.version, r.removed))
			}
			return nil
		}
		return o.missing(ctx, nil, r.stockRow, 1, r.version)
	}
	if s.first > 1 && s.began.lossy {
		o.unproven(s.began, s.first-1)
	} else if s.first > 1 {
		if err := o.missing(ctx, s.began, r.stockRow, 1, s.first-1); err != nil {
			return err
		}
	}
	if s.owes() && s.next() <= o.relay.done && !s.at.cut {
		o.missed(s.at, r.stockRow, s.last, s.next())
	}
	switch until := max(r.version, r.removed); {
	case s.last >= until:
	case r.version <= s.last:
		o.unproven(nil, until-s.last)
	case s.at.cut || s.at.compacted:
		o.unproven(s.at, until-s.last)
	default:
		return o.missing(ctx, s.at, r.stockRow, s.last+1, r.version)
	}
	return nil
}

// anyLossy reports whether all messages of a row may have been removed, or stand where nothing can be read.
func (o *outgoing) anyLossy() bool {
	if o.report.Untold != "" {
		return true
	}
	for _, p := range o.partitions {
		if p.lossy || p.cut {
			return true
		}
	}
	return false
}

const countAbove = `
select (select count(*) from movements where message_id > $1)
     + (select count(*) from movements_archive where message_id > $1)`

// countWaiting counts the movements whose messages had not left.
func (o *outgoing) countWaiting(ctx context.Context) error {
	var above int64
	if err := o.v.snapshot.tx.QueryRow(ctx, countAbove, o.relay.done).Scan(&above); err != nil {
		return fmt.Errorf("count messages that have not left: %w", err)
	}
	o.report.Waiting = above - o.report.Ahead
	return nil
}
