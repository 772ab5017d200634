package explain

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// Movement is one line of the ledger.
type Movement struct {
	Tenant      string    `db:"tenant" json:"tenant"`
	SKU         string    `db:"sku" json:"sku"`
	Location    string    `db:"location" json:"location"`
	Version     int64     `db:"version" json:"version"`
	Kind        string    `db:"kind" json:"kind"`
	Delta       int64     `db:"delta" json:"delta"`
	OnHand      int64     `db:"on_hand" json:"on_hand"` // after it, and so are the next three
	Reserved    int64     `db:"reserved" json:"reserved"`
	Damaged     int64     `db:"damaged" json:"damaged"`
	InTransit   int64     `db:"in_transit" json:"in_transit"`
	RecordedAt  time.Time `db:"recorded_at" json:"recorded_at"`
	Archived    bool      `db:"archived" json:"archived"`
	MessageID   *int64    `db:"message_id" json:"message_id"` // nil = nobody is told
	EventID     string    `db:"event_id" json:"event_id"`
	EventSource string    `db:"event_source" json:"event_source"`

	Message *Message `db:"-" json:"message"` // nil = not asked for, or none
}

func (m *Movement) isOf(id Identity) bool {
	return m.Tenant == id.Tenant && m.EventID == id.EventID && m.EventSource == id.Source
}

// A message's id is a movement's place in a block of ids that one transaction drew (ARCHITECTURE.md, "Out"). The
// movements of an event follow one another there, and where a block is used up, in the next one of the same
// transaction. Blocks of other transactions may lie between the two.
const (
	blockSize = 1000
	// unusedAtEnd is how many ids between a movement and the end of its block may hold no other: what it crossed, and
	// fewer than the next one's messages need, whose ids follow one another.
	unusedAtEnd = 2 * maxCrossings
	// blocksAhead is how far the next block is looked for. A transaction draws all of its blocks in one statement: what
	// others draw meanwhile is what few backends draw in microseconds.
	blocksAhead = 256
	// pageSize is how many movements are read at once: nearly all events have fewer.
	pageSize = 64
)

const selectBlock = `select last_value from outbox_id`

// Each part is in order and bounded, or all that the two have in the range would be sorted.
const selectMovements = `
select tenant, sku, location, version, kind, delta, on_hand, coalesce(reserved, 0) as reserved,
       coalesce(damaged, 0) as damaged, coalesce(in_transit, 0) as in_transit, recorded_at, archived, message_id,
       event_id, event_source
from (
  (select tenant, sku, location, version, kind, delta, on_hand, reserved, damaged, in_transit, recorded_at,
          false as archived, message_id, event_id, event_source
   from movements
   where message_id >= $1 and message_id < $2
   order by message_id limit $3)
  union all
  (select tenant, sku, location, version, kind, delta, on_hand, reserved, damaged, in_transit, recorded_at, true,
          message_id, event_id, event_source
   from movements_archive
   where message_id >= $1 and message_id < $2
   order by message_id limit $3)
) m
order by message_id
limit $3`

// A look-up by message each, whatever the planner thinks of the tenant.
const selectContinued = `
select min(m.message_id)
from (select unnest($1::bigint[]) as id) f
cross join lateral (
  select message_id, tenant, event_id, event_source from movements where message_id = f.id
  union all
  select message_id, tenant, event_id, event_source from movements_archive where message_id = f.id
  offset 0
) m
where m.tenant = $2 and m.event_id = $3 and m.event_source = $4`

// movementsOf returns the movements of an event, whose first message is first. It finds what is left of them where the
// archive was emptied, but for what lies behind a gap at the end of a block.
func movementsOf(ctx context.Context, tx pgx.Tx, id Identity, first int64) (found []Movement, err error) {
	var block int64 // the first id of any block
	if err := tx.QueryRow(ctx, selectBlock).Scan(&block); err != nil {
		return nil, err
	}
	for from, end := first, nextBlock(block, first); ; {
		rows, err := tx.Query(ctx, selectMovements, from, end, pageSize)
		if err != nil {
			return nil, err
		}
		page, err := pgx.CollectRows(rows, pgx.RowToStructByName[Movement])
		if err != nil {
			return nil, err
		}
		for _, m := range page {
			if !m.isOf(id) {
				return found, nil // the next event of the same transaction
			}
			found = append(found, m)
			from = *m.MessageID + 1
		}
		switch {
		case len(page) == pageSize && from < end:
		case from+unusedAtEnd < end: // the transaction did not need the rest of its block
			return found, nil
		default:
			next, err := continued(ctx, tx, id, end)
			if err != nil || next == nil {
				return found, err
			}
			from, end = *next, nextBlock(block, *next)
		}
	}
}

// nextBlock is the first id of the block behind id's.
func nextBlock(block, id int64) int64 {
	return id + blockSize - ((id-block)%blockSize+blockSize)%blockSize
}

// continued is where an event may go on whose movements fill their block, nearly, to its end; nil = nowhere.
func continued(ctx context.Context, tx pgx.Tx, id Identity, end int64) (next *int64, err error) {
	firsts := make([]int64, blocksAhead)
	for i := range firsts {
		firsts[i] = end + int64(i)*blockSize
	}
	err = tx.QueryRow(ctx, selectContinued, firsts, id.Tenant, id.EventID, id.Source).Scan(&next)
	return next, err
}
