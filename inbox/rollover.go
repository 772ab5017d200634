package inbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"onhand/offsets"
)

// A rollover closes the open generation and opens the next one, which takes the slot of the oldest when three are live:
// that one is dropped first, in the same transaction, so that a crash leaves all of it or nothing. A unique index does
// not span the slots, and a batch that had looked before it could insert what another inserts into the new slot: hence
// the exclusive lock, which no batch is under way beside.

// maxLive is how many generations there may be: as many as the inbox has slots.
const maxLive = 3

// A rollover waits for the batches under way, and new ones queue behind it for as long. So it waits shortly at first;
// where batches are longer than that it would never come to its turn, and waits twice as long each time.
const (
	rolloverWait    = 100 * time.Millisecond
	maxRolloverWait = 2 * time.Second
)

// errUnderWay says that the lock was not granted in time.
var errUnderWay = errors.New("wait for the batches under way")

// The batches of every member wait while a rollover is under way: it must not last, whatever becomes of its client.
const rolloverBegin = `
select set_config('lock_timeout', $1, true), set_config('statement_timeout', '2s', true),
       set_config('idle_in_transaction_session_timeout', '1s', true), ` + offsets.LockGenerationAlone

// generations are the inbox's as one look finds them.
type generations struct {
	Newest int64 `db:"newest"`
	Live   int   `db:"live"`
	Oldest int16 `db:"oldest"` // its slot
	Rows   int64 `db:"rows"`   // of the newest, by the counters
	Age    int64 `db:"age"`    // of the newest, in microseconds

	Halted  *string `db:"halted"`  // a partition that stands still, and why; nil = none does
	Waiting bool    `db:"waiting"` // inbox_memory says that a rollover waits
}

const lookAtGenerations = `
select g.generation as newest, (select count(*)::integer from inbox_generations) as live,
       (select o.slot from inbox_generations o order by o.generation limit 1) as oldest,
       ((select coalesce(sum(remembered), 0) from offsets) - g.rows_before)::bigint as rows,
       (extract(epoch from clock_timestamp() - g.opened_at) * 1000000)::bigint as age,
       (select topic || '/' || partition || ' (' || halt_reason || ')' from offsets
        where halt_reason is not null order by topic, partition limit 1) as halted,
       (select waiting_since is not null from inbox_memory) as waiting
from inbox_generations g
where g.closed_at is null`

func look(ctx context.Context, db interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
},
) (generations, error) {
	rows, err := db.Query(ctx, lookAtGenerations)
	if err != nil {
		return generations{}, err
	}
	return pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[generations])
}

// rollOver replaces seen.Newest as the open generation; if another member was faster it does nothing. What stands in
// the way is given up on at once, or after wait, and can be tried again.
func rollOver(ctx context.Context, pool *pgxpool.Pool, seen generations, wait time.Duration) (done bool, err error) {
	// Each statement must see what was committed before the lock was granted.
	err = pgx.BeginTxFunc(ctx, pool, pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, rolloverBegin, milliseconds(wait)); err != nil {
			return fmt.Errorf("%w: %w", errUnderWay, err)
		}
		now, err := look(ctx, tx)
		if err != nil || now.Newest != seen.Newest {
			return err
		}
		if err := now.droppable(); err != nil {
			return err
		}
		sql := openNext
		if now.Live == maxLive {
			sql = dropAndOpenNext[now.Oldest]
		}
		if _, err := tx.Exec(ctx, sql); err != nil {
			return fmt.Errorf("follow generation %d (pg_locks says who reads the oldest): %w", now.Newest, err)
		}
		done = true
		return nil
	})
	return done && err == nil, err
}

// What follows is sent as one text: while the lock is held the client is waited for as seldom as can be.
const openNext = closeGeneration + `;` + openGeneration + `;` + stopWaiting

var dropAndOpenNext = [maxLive]string{
	lockInbox0 + `;` + truncateInbox0 + `;` + dropGeneration + `;` + forget + `;` + openNext,
	lockInbox1 + `;` + truncateInbox1 + `;` + dropGeneration + `;` + forget + `;` + openNext,
	lockInbox2 + `;` + truncateInbox2 + `;` + dropGeneration + `;` + forget + `;` + openNext,
}

// No batch is under way, so whoever has the table now reads all of it: a backup, a verification. Waiting for that would
// hold up the batches.
const (
	lockInbox0 = `lock table only inbox in access exclusive mode nowait`
	lockInbox1 = `lock table inbox_1 in access exclusive mode nowait`
	lockInbox2 = `lock table inbox_2 in access exclusive mode nowait`
)

// The files go when the transaction has ended and its locks are given back.
const (
	truncateInbox0 = `truncate only inbox`
	truncateInbox1 = `truncate inbox_1`
	truncateInbox2 = `truncate inbox_2`
)

const dropGeneration = `
with dropped as (
  delete from inbox_generations
  where generation = (select min(generation) from inbox_generations)
  returning rows, horizon, closed_at
)
update inbox_memory m
set horizon = greatest(m.horizon, d.horizon), dropped_rows = m.dropped_rows + d.rows, dropped_until = d.closed_at
from dropped d`

// Records that were read up to now may have been decided in the generation that goes, or be copies of such.
const forget = `
insert into inbox_forgotten as f (topic, partition, incarnation, before)
select topic, partition, incarnation, next from offsets
on conflict (topic, partition) do update set incarnation = excluded.incarnation, before = excluded.before`

// What is in the ledger was begun before it was stored: closed_at is not before any of it, even if the clock went back.
const closeGeneration = `
update inbox_generations g
set rows = o.remembered - g.rows_before, closed_at = greatest(clock_timestamp(), o.updated_at),
    horizon = greatest(o.newest_event, (select max(horizon) from inbox_generations))
from (
  select coalesce(sum(remembered), 0)::bigint as remembered, max(newest_event) as newest_event,
         max(updated_at) as updated_at
  from offsets
) o
where g.closed_at is null`

const openGeneration = `
insert into inbox_generations (generation, slot, rows_before, opened_at)
select generation + 1, (slot + 1) % 3, rows_before + rows, clock_timestamp()
from inbox_generations
order by generation desc
limit 1`

const stopWaiting = `
update inbox_memory set waiting_since = null, waiting_for = null where waiting_since is not null`
