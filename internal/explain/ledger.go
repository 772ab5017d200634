package explain

import (
	"context"
	"fmt"
	"math"

	"github.com/jackc/pgx/v5"
)

// opened is the kind of a balance that stands for movements in the archive.
const opened = "ledger.opened"

// Line is a line of the ledger with the record behind it.
type Line struct {
	Movement
	Record *Position `json:"record"` // nil = the inbox does not know it (any more); an opening balance has none
}

// Question is which lines of a SKU's ledger are wanted.
type Question struct {
	Tenant   string
	SKU      string
	Location string // "" = all
	Before   int64  // only versions below it; 0 = all. Versions count per location
	Limit    int    // most lines
}

// Of all locations only those are read in which something moved last: each line that is wanted is in one of them. A
// line is there twice where an opening balance stands for it.
const selectLines = `
select l.tenant, l.sku, l.location, l.version, l.kind, l.delta, l.on_hand, coalesce(l.reserved, 0) as reserved,
       coalesce(l.damaged, 0) as damaged, coalesce(l.in_transit, 0) as in_transit, l.recorded_at, l.archived,
       l.message_id, l.event_id, l.event_source
from (
  select s.tenant, s.sku, s.location, newest.recorded_at
  from stock s
  left join lateral (
    select m.recorded_at from movements m
    where m.tenant = s.tenant and m.sku = s.sku and m.location = s.location and m.version = s.version
    offset 0
  ) newest on true
  where s.tenant = $1 and s.sku = $2 and ($3 = '' or s.location = $3)
  order by newest.recorded_at desc, s.location
  limit $5::integer + 1
) r
cross join lateral (
  select u.*
  from (
    (select tenant, sku, location, version, kind, delta, on_hand, reserved, damaged, in_transit, recorded_at,
            false as archived, message_id, event_id, event_source
     from movements
     where tenant = r.tenant and sku = r.sku and location = r.location and version <= $4
     order by version desc limit $5::integer + 2)
    union all
    (select tenant, sku, location, version, kind, delta, on_hand, reserved, damaged, in_transit, recorded_at, true,
            message_id, event_id, event_source
     from movements_archive
     where tenant = r.tenant and sku = r.sku and location = r.location and version <= $4
     order by version desc limit $5::integer + 2)
  ) u
  order by u.version desc
  limit $5::integer + 2
) l
order by r.recorded_at desc, l.location, l.version desc`

// Lines returns the newest lines of a SKU's ledger, newest first, and whether there are more. Lines of one location are
// in the order of their versions; among locations the time decides.
func Lines(ctx context.Context, tx pgx.Tx, q Question) (found []Line, more bool, err error) {
	most := int64(math.MaxInt64)
	if q.Before > 0 {
		most = q.Before - 1
	}
	rows, err := tx.Query(ctx, selectLines, q.Tenant, q.SKU, q.Location, most, q.Limit)
	if err != nil {
		return nil, false, fmt.Errorf("read the ledger: %w", err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByName[Movement])
	if err != nil {
		return nil, false, fmt.Errorf("read the ledger: %w", err)
	}
	found = newestFirst(withoutStandIns(all), q.Limit+1)
	if len(found) > q.Limit {
		found, more = found[:q.Limit], true
	}
	return found, more, findRecords(ctx, tx, found)
}

// withoutStandIns drops opening balances whose last movement is there itself, and returns each location's lines.
func withoutStandIns(all []Movement) (locations [][]Movement) {
	for _, m := range all {
		n := len(locations)
		if n == 0 || locations[n-1][0].Location != m.Location {
			locations = append(locations, []Movement{m})
			continue
		}
		lines := locations[n-1]
		switch last := &lines[len(lines)-1]; {
		case last.Version != m.Version:
			locations[n-1] = append(lines, m)
		case last.Kind == opened:
			*last = m
		}
	}
	return locations
}

// newestFirst merges the locations. Time says nothing within one: a transaction that began earlier may have waited for
// the row.
func newestFirst(locations [][]Movement, limit int) (merged []Line) {
	for len(merged) < limit {
		next := -1
		for i, lines := range locations {
			if len(lines) > 0 && (next < 0 || lines[0].RecordedAt.After(locations[next][0].RecordedAt)) {
				next = i
			}
		}
		if next < 0 {
			break
		}
		merged = append(merged, Line{Movement: locations[next][0]})
		locations[next] = locations[next][1:]
	}
	return merged
}

const selectRecords = `
select e.ord, i.topic, i.partition, i.incarnation, i."offset", i.message_id
from (
  select unnest($1::text[]) as tenant, unnest($2::text[]) as event_id, unnest($3::text[]) as source,
         generate_series(0, $4::integer - 1) as ord
) e
cross join lateral (
  select i.topic, i.partition, i.incarnation, i."offset", i.message_id from inbox i
  where i.tenant = e.tenant and i.event_id = e.event_id and i.source = e.source
  offset 0
) i`

// findRecords tells of each line where its record stood.
func findRecords(ctx context.Context, tx pgx.Tx, lines []Line) error {
	n := len(lines)
	if n == 0 {
		return nil
	}
	tenants, ids, sources := make([]string, n), make([]string, n), make([]string, n)
	for i, l := range lines {
		tenants[i], ids[i], sources[i] = l.Tenant, l.EventID, l.EventSource
	}
	rows, err := tx.Query(ctx, selectRecords, tenants, ids, sources, n)
	if err != nil {
		return fmt.Errorf("look into the inbox: %w", err)
	}
	var ord int
	var at Position
	var first *int64
	into := []any{&ord, &at.Topic, &at.Partition, &at.Incarnation, &at.Offset, &first}
	_, err = pgx.ForEachRow(rows, into, func() error {
		// A row that names a later message is of another event: this one was forgotten, and its id came again.
		if l := &lines[ord]; first == nil || l.MessageID == nil || *first <= *l.MessageID {
			record := at
			l.Record = &record
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("look into the inbox: %w", err)
	}
	return nil
}
