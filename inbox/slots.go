package inbox

import (
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
)

// The inbox is cut in generations that are dropped whole, each in a slot: a table of its own, of which the first is
// inbox itself, without what inherits from it. Which slots are live, and which one is open, must be known before a
// batch's first trip is sent: its statements name them. So a lane sends what fits its last picture, and the answer
// says, under the generation's lock, whether that is right. If not, the batch is rolled back and run again with the
// answer as the picture. What is remembered decides nothing (I10): it is compared each time.

// picture is which slots of the inbox hold live generations (a bit each), and which of them is open.
type picture struct {
	live uint8
	open uint8
}

// firstPicture is right until the first rollover.
var firstPicture = picture{live: 1 << 0, open: 0}

// errPicture says that the batch was sent for other generations than there are.
var errPicture = errors.New("the inbox has other generations than before")

// errRollover says that the batch waited for the generation's lock and gave up. It holds no row and met none: nothing
// is the matter with its records.
var errRollover = errors.New("a rollover waits for the batches under way")

// readMemory follows the statement that takes the generation's lock: what it says is true until the transaction ends.
const readMemory = `
select g.slot, m.horizon
from inbox_generations g
cross join inbox_memory m
where m.only_row
order by g.generation`

// Under serializable the snapshot may be older than the lock. A rollover changes the newest row and deletes the oldest,
// so locking the rows makes an old snapshot a serialization failure (40001).
const readMemorySerializable = readMemory + `
for share of g`

// readMemory queues reading what the inbox remembers now.
func (t *transaction) readMemory(q *pgx.Batch) {
	sql := readMemory
	if t.isolation == pgx.Serializable {
		sql = readMemorySerializable
	}
	q.Queue(sql).Query(func(rows pgx.Rows) error {
		t.found, t.batch.horizon = picture{}, time.Time{}
		var slot int16
		var horizon *time.Time
		_, err := pgx.ForEachRow(rows, []any{&slot, &horizon}, func() error {
			t.found.live |= 1 << slot
			t.found.open = uint8(slot)
			return nil
		})
		if err == nil && t.found.live == 0 {
			err = errors.New("the inbox has no generation")
		}
		if horizon != nil {
			t.batch.horizon = *horizon
		}
		return err
	})
}

// knownEvents by the slots that are live. One look-up an event and slot, whatever the planner thinks of their number:
// "offset 0" keeps it from merging the subquery.
var knownEvents = [1 << 3]string{
	0b001: knownHead + knownIn0 + knownTail,
	0b010: knownHead + knownIn1 + knownTail,
	0b100: knownHead + knownIn2 + knownTail,
	0b011: knownHead + knownIn0 + unionAll + knownIn1 + knownTail,
	0b101: knownHead + knownIn0 + unionAll + knownIn2 + knownTail,
	0b110: knownHead + knownIn1 + unionAll + knownIn2 + knownTail,
	0b111: knownHead + knownIn0 + unionAll + knownIn1 + unionAll + knownIn2 + knownTail,
}

const (
	knownHead = `
select e.ord, i.fingerprint
from (
  select unnest($1::text[]) as tenant, unnest($2::text[]) as event_id, unnest($3::text[]) as source,
         generate_series(0, $4::integer - 1) as ord
) e
cross join lateral (`
	knownIn0 = `
  select i.fingerprint from only inbox i
  where i.tenant = e.tenant and i.event_id = e.event_id and i.source = e.source`
	knownIn1 = `
  select i.fingerprint from inbox_1 i
  where i.tenant = e.tenant and i.event_id = e.event_id and i.source = e.source`
	knownIn2 = `
  select i.fingerprint from inbox_2 i
  where i.tenant = e.tenant and i.event_id = e.event_id and i.source = e.source`
	unionAll = `
  union all`
	knownTail = `
  offset 0
) i`
)

// insertInbox by the slot that is open.
var insertInbox = [3]string{
	`insert into inbox ` + insertRows,
	`insert into inbox_1 ` + insertRows,
	`insert into inbox_2 ` + insertRows,
}

// Rows that a batch sends come as arrays, and are unnested in the select list: there they are read in step, row by row.
// In the from clause each array would be stored away first, which costs the insert a quarter more.
const insertRows = `
  (fingerprint, "offset", message_id, partition, incarnation, outcome, tenant, event_id, source, topic, reason)
select fingerprint, "offset", nullif(effect, 0), partition, incarnation,
       case when reason is null then 'applied'::inbox_outcome else 'rejected'::inbox_outcome end,
       tenant, event_id, source, topic, reason
from (
  select unnest($1::text[]) as tenant, unnest($2::text[]) as event_id, unnest($3::text[]) as source,
         unnest($4::bigint[]) as fingerprint, unnest($5::text[]) as reason, unnest($6::text[]) as topic,
         unnest($7::integer[]) as partition, unnest($8::integer[]) as incarnation, unnest($9::bigint[]) as "offset",
         unnest($10::bigint[]) as effect
) e`
