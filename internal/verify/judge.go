package verify

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/IBM/sarama"
	"github.com/jackc/pgx/v5"

	"onhand/inbox"
	"onhand/offsets"
)

// judge compares one partition: its log, the rows that stand for its records, and its offsets row, walked side by side
// in the order of offsets.
type judge struct {
	v         *Verification
	row       offsets.Row
	records   *rows
	reach     reach
	jumps     []span
	forgotten int64      // below, a record may have lost its inbox row
	next      int64      // the offset up to which the log has been walked
	latest    time.Time  // of the last record there that was decided
	pending   []question // what only the inbox as a whole can decide
	effects   effects    // what only other movements can decide, and papers
	removals  []removal  // what only opening balances can decide
	removed   int64      // movements that were archived and removed
	partition Partition
	found     Report
}

// span is offsets [from, to).
type span struct {
	From int64 `db:"from"`
	To   int64 `db:"to"`
}

func newJudge(v *Verification, row offsets.Row, records *rows) *judge {
	r := v.reach[partitionOf(row)]
	return &judge{
		v: v, row: row, records: records, reach: r, next: r.from, forgotten: v.memory.before(row),
		partition: Partition{
			Topic: row.Topic, Partition: row.Partition, Incarnation: row.Incarnation, Start: row.Start, Next: row.Next,
			Untold: r.gap, retained: r.retained,
		},
		found: Report{limit: v.cfg.Differences},
	}
}

func (j *judge) run(ctx context.Context) error {
	if err := j.readJumps(ctx); err != nil {
		return err
	}
	if err := j.rowsBefore(ctx, j.reach.from); err != nil {
		return err
	}
	err := j.v.cfg.Log.Scan(ctx, partitionOf(j.row), j.reach.from, j.reach.to, func(m *sarama.ConsumerMessage) error {
		return j.record(ctx, message(m))
	})
	switch {
	case err == nil:
	case logAway(err): // retention, or an operator, was faster
		j.reach.to = j.next
		j.partition.Untold, j.partition.retained = err.Error(), false
	default:
		return err
	}
	if err := j.lookUp(ctx); err != nil {
		return err
	}
	if err := j.lookUpEffects(ctx); err != nil {
		return err
	}
	if err := j.lookUpRemoved(ctx); err != nil {
		return err
	}
	if err := j.lookUpOverdue(ctx); err != nil {
		return err
	}
	j.invisible(j.reach.to)
	if err := j.rest(ctx); err != nil {
		return err
	}
	j.partition.Counted.Jumped += j.jumpedIn(j.row.Start, j.reach.from) + j.jumpedIn(j.reach.to, j.row.Next)
	j.compareCounters()
	return nil
}

// Jump is the only operator's change that moves next within an incarnation; each is on record with the row before and
// after it.
const selectJumps = `
select (before->>'next')::bigint as "from", (after->>'next')::bigint as "to"
from operator_actions
where topic = $1 and partition = $2
  and (before->>'incarnation')::integer = $3 and (after->>'incarnation')::integer = $3
  and (before->>'next')::bigint < (after->>'next')::bigint
order by 1`

func (j *judge) readJumps(ctx context.Context) error {
	rows, err := j.v.snapshot.tx.Query(ctx, selectJumps, j.row.Topic, j.row.Partition, j.row.Incarnation)
	if err == nil {
		j.jumps, err = pgx.CollectRows(rows, pgx.RowToStructByName[span])
	}
	if err != nil {
		return fmt.Errorf("read operator actions: %w", err)
	}
	return nil
}

func (j *judge) at(offset int64) position {
	return position{Topic: j.row.Topic, Partition: j.row.Partition, Incarnation: j.row.Incarnation, Offset: offset}
}

func (j *judge) differ(invariant string, offset int64, expected, found string) {
	j.found.differ(inLog(invariant, j.at(offset), expected, found))
}

// invisible counts the offsets up to next, of which the log shows no record.
func (j *judge) invisible(next int64) {
	if next <= j.next {
		return
	}
	jumped := j.jumpedIn(j.next, next)
	j.partition.Counted.Jumped += jumped
	j.partition.Counted.Skipped += next - j.next - jumped
	j.advance(next)
}

func (j *judge) advance(next int64) {
	j.v.done.Add(next - j.next)
	j.next = next
}

// jumpedIn is how many of the offsets [from, to) an operator jumped over.
func (j *judge) jumpedIn(from, to int64) int64 {
	var n int64
	for _, s := range j.jumps {
		n += max(0, min(to, s.To)-max(from, s.From))
	}
	return n
}

// rowsBefore goes past the rows that stand before offset, for which the log shows no record.
func (j *judge) rowsBefore(ctx context.Context, offset int64) error { return j.pass(ctx, j.at(offset)) }

// rest goes past all rows of this partition that are left.
func (j *judge) rest(ctx context.Context) error {
	return j.pass(ctx, position{j.row.Topic, j.row.Partition, math.MaxInt32, math.MaxInt64})
}

func (j *judge) pass(ctx context.Context, end position) error {
	err := drain(ctx, j.records.inbox, &end, func(r *inboxRow) {
		if j.unmatched(r) {
			*j.counter(r)++
		}
		j.effectAlone(r)
	})
	if err != nil {
		return err
	}
	return drain(ctx, j.records.dead, &end, func(r *deadRow) {
		if j.unmatched(r) {
			j.partition.Counted.Parked++
		}
	})
}

func (j *judge) counter(r *inboxRow) *int64 {
	if r.Outcome == applied {
		return &j.partition.Counted.Applied
	}
	return &j.partition.Counted.Rejected
}

// unmatched judges a row for which the log shows no record. That is right in an earlier incarnation, and where the log
// cannot be read any more; there the row alone counts, and unmatched says so.
func (j *judge) unmatched(r row) (counts bool) {
	p := r.at()
	expected := "a record that a reader sees, with one row for it"
	switch {
	case p.partition() != j.row.Name():
		expected = "no row: the partition has no position"
	case p.Incarnation < j.row.Incarnation:
		j.partition.Earlier++
		return false
	case p.Incarnation > j.row.Incarnation:
		expected = fmt.Sprintf("no row of incarnation %d: the partition is in its %d.", p.Incarnation, j.row.Incarnation)
	case p.Offset < j.row.Start:
		expected = fmt.Sprintf("no row: the partition starts at %d", j.row.Start)
	case p.Offset >= j.row.Next:
		expected = fmt.Sprintf("no row: the partition is read up to %d", j.row.Next)
	case j.jumpedIn(p.Offset, p.Offset+1) > 0:
		expected = "no row: an operator jumped over the offset"
	case p.Offset < j.reach.from || p.Offset >= j.reach.to:
		return true
	}
	j.found.differ(inLog("I5", p, expected, r.String()))
	return false
}

// message is m as the decoder takes it. It aliases m.
func message(m *sarama.ConsumerMessage) *inbox.Record {
	r := &inbox.Record{
		Topic: m.Topic, Partition: m.Partition, Offset: m.Offset, Key: m.Key, Value: m.Value, Timestamp: m.Timestamp,
	}
	for _, h := range m.Headers {
		r.Headers = append(r.Headers, inbox.Header{Key: h.Key, Value: h.Value})
	}
	return r
}
