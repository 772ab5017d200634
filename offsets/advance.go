package offsets

import (
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Expected is what a claim believes of its partition's row: the compare half of the compare-and-set.
type Expected struct {
	TopicPartition
	Token uuid.UUID
	Next  int64
}

// Locked is a row that was as expected and is now locked until the transaction ends.
type Locked struct {
	Incarnation int32
	Window      Window
}

const lockExpected = `
select c.ord, o.incarnation, o.recent
from unnest($1::text[], $2::integer[], $3::uuid[], $4::bigint[])
  with ordinality as c (topic, partition, token, next, ord)
join offsets o on o.topic = c.topic and o.partition = c.partition
where o.token = c.token and o.next = c.next and o.halt_reason is null
order by o.topic, o.partition
for update of o`

// Lock queues locking the rows of es, sorted, and calls found with the index of each one whose token and next are as
// expected and that is not halted. One that is not found is not ours to advance: another claim holds it, an operator
// moved or halted it, or commits were lost. A row that another transaction holds is waited for and then compared anew.
func Lock(q *pgx.Batch, es []Expected, found func(i int, l Locked)) {
	topics := make([]string, len(es))
	partitions := make([]int32, len(es))
	tokens := make([]uuid.UUID, len(es))
	nexts := make([]int64, len(es))
	for i, e := range es {
		topics[i], partitions[i], tokens[i], nexts[i] = e.Topic, e.Partition, e.Token, e.Next
	}
	q.Queue(lockExpected, topics, partitions, tokens, nexts).Query(func(rows pgx.Rows) error {
		var (
			ord         int64
			incarnation int32
			recent      []byte
		)
		_, err := pgx.ForEachRow(rows, []any{&ord, &incarnation, &recent}, func() error {
			l := Locked{Incarnation: incarnation}
			if err := l.Window.UnmarshalBinary(recent); err != nil {
				return fmt.Errorf("read storm window of %s/%d: %w", es[ord-1].Topic, es[ord-1].Partition, err)
			}
			found(int(ord-1), l)
			return nil
		})
		return err
	})
}

// The division fails the transaction unless the row is as expected. Nobody is waited for: what is locked here is locked
// out of the order of all locks, and who holds it has changed it, or will.
const confirmExpected = `
select 1 / count(*)
from (
  select from offsets o
  where o.topic = $1 and o.partition = $2 and o.token = $3 and o.next = $4 and o.halt_reason is null
    and o.incarnation = $5 and o.recent = $6
  for update nowait
) l`

// Confirm queues locking e's row at the end of a transaction that took it for granted that it would be as expected, and
// as l says: another transaction of the same claim has just left it so. If it is not, or is locked, the transaction
// fails.
func Confirm(q *pgx.Batch, e Expected, l Locked) {
	window, _ := l.Window.MarshalBinary()
	q.Queue(confirmExpected, e.Topic, e.Partition, e.Token, e.Next, l.Incarnation, window)
}

// Advance is one partition's step forward: the set half of the compare-and-set.
type Advance struct {
	TopicPartition
	Next     int64    // the offset to read next
	Add      Counters // what became of the offsets in between
	LastHash *int64   // hash of the record at Next-1; nil = none there
	Window   Window
	Halt     *Halt // set when this step is the partition's last

	Made int64 // rows of the inbox beside those of records

	// Of the records that were applied or rejected.
	Timeless int64     // those whose event has no time
	Newest   time.Time // the highest time of the others; zero = there are none
}

// ClockLead is how far ahead of its record's and of the database's time an event is believed to be: clocks differ, and
// two copies of an event must count as of the same time.
const ClockLead = time.Minute

const advance = `
update offsets o
set next = a.next,
    applied = o.applied + a.applied,
    rejected = o.rejected + a.rejected,
    duplicate = o.duplicate + a.duplicate,
    parked = o.parked + a.parked,
    ignored = o.ignored + a.ignored,
    skipped = o.skipped + a.skipped,
    last_hash = a.last_hash,
    recent = a.recent,
    halt_reason = a.halt_reason,
    halt_detail = a.halt_detail,
    halted_at = case when a.halt_reason is not null then clock_timestamp() end,
    remembered = o.remembered + a.applied + a.rejected + a.made,
    timeless = o.timeless + a.timeless,
    newest_event = case when a.newest_event is null then o.newest_event -- greatest and least pass over nulls
                        else greatest(o.newest_event, least(a.newest_event, clock_timestamp() + $17)) end,
    updated_at = clock_timestamp()
from unnest($1::text[], $2::integer[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[],
            $8::bigint[], $9::bigint[], $10::bigint[], $11::bytea[], $12::text[], $13::text[],
            $14::bigint[], $15::timestamptz[], $16::bigint[])
  as a (topic, partition, next, applied, rejected, duplicate, parked,
        ignored, skipped, last_hash, recent, halt_reason, halt_detail, timeless, newest_event, made)
where o.topic = a.topic and o.partition = a.partition`

// Queue queues the steps of as onto q. Every row must have been locked by Lock in the same transaction: that is where
// token and next were compared, and the lock keeps the answer true.
func Queue(q *pgx.Batch, as []Advance) {
	n := len(as)
	topics, partitions, nexts := make([]string, n), make([]int32, n), make([]int64, n)
	var counters [6][]int64
	for i := range counters {
		counters[i] = make([]int64, n)
	}
	hashes, windows := make([]*int64, n), make([][]byte, n)
	reasons, details := make([]*string, n), make([]*string, n)
	timeless, made, newest := make([]int64, n), make([]int64, n), make([]*time.Time, n)
	for i := range as {
		a := &as[i]
		topics[i], partitions[i], nexts[i], hashes[i] = a.Topic, a.Partition, a.Next, a.LastHash
		for j, v := range [6]int64{
			a.Add.Applied, a.Add.Rejected, a.Add.Duplicate, a.Add.Parked, a.Add.Ignored, a.Add.Skipped,
		} {
			counters[j][i] = v
		}
		windows[i], _ = a.Window.MarshalBinary()
		made[i] = a.Made
		if timeless[i] = a.Timeless; !a.Newest.IsZero() {
			newest[i] = &a.Newest
		}
		if a.Halt != nil {
			reasons[i], details[i] = &a.Halt.Reason, &a.Halt.Detail
		}
	}
	q.Queue(advance, topics, partitions, nexts, counters[0], counters[1], counters[2], counters[3], counters[4],
		counters[5], hashes, windows, reasons, details, timeless, newest, made, ClockLead,
	).Exec(func(tag pgconn.CommandTag) error {
		if tag.RowsAffected() != int64(n) {
			return fmt.Errorf("advance offsets: %d rows changed, %d expected", tag.RowsAffected(), n)
		}
		return nil
	})
}
