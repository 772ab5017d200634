package inbox

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"onhand/internal/kafkalog"
	"onhand/offsets"
)

// TopicPartition names a partition.
type TopicPartition = offsets.TopicPartition

// Timekeeper is a BatchHandler for which time passes: something of its own falls due, without a record that says so.
// The time of a partition is its log's: it stands at the timestamp of the record that is looked at, whatever becomes of
// that record. Only where a log has been read to its end does the wall clock take over. So a service that was down for
// a week does not take what happened in time for late, and where a batch was cut changes nothing.
type Timekeeper interface {
	BatchHandler

	// LoadDue comes before Load, and is for what Load is for. clocks are in the order of the batch; they are the
	// handler's until Apply has returned. It may set Enough and Blocked in the callbacks of what it queues. There may be
	// clocks where there are no items, and Load and Apply are called with none then.
	//
	// Apply lets time pass to Item.Now in the partition of each item before it decides that item, and to Clock.Now
	// after the last one of its partition. What falls due on the way is an event of the handler's own: it goes into
	// Clock.Made, and from there into the inbox.
	LoadDue(q *pgx.Batch, clocks []*Clock)

	// Overdue returns, for each of tps in which something is due by the wall clock, up to when. It locks nothing. What it
	// says is acted on if the partition's log turns out to have been read to its end, at a later moment.
	Overdue(ctx context.Context, pool *pgxpool.Pool, tps []TopicPartition) (map[TopicPartition]time.Time, error)
}

// Clock is the time of one partition in one batch.
type Clock struct {
	TopicPartition

	// Until is the latest timestamp of the partition's records in the batch. Zero: they have none.
	Until time.Time

	// Enough, set by LoadDue, says that the batch cannot do all that is due before Until: records later than Enough are
	// left to another batch, which runs at once, or after a pause if Blocked: another client holds what is due. Zero:
	// it can.
	Enough  time.Time
	Blocked bool

	// Now is how far time passes after the last item. Zero: no further.
	Now time.Time

	// Made are the events that Apply made in this partition.
	Made []Made

	short bool // a record was left because of Enough
}

// Made is an event that no record carries. It has an inbox row, applied, at the position that was stored with it.
type Made struct {
	Tenant, ID, Source string // who it is; nothing that a decoder lets through may bear the same source
	Fingerprint        int64
	Effect             int64 // as Item.Effect
}

// clocks makes each part's for this run; none if k is nil.
func (b *batch) clocks(k Timekeeper) []*Clock {
	var clocks []*Clock
	for _, p := range b.parts {
		if p.clock = nil; k == nil {
			continue
		}
		until := p.passTime
		for _, w := range p.works {
			if w.record.Timestamp.After(until) {
				until = w.record.Timestamp
			}
		}
		if len(p.works) > 0 || !until.IsZero() {
			p.clock = &Clock{TopicPartition: p.claim.TopicPartition, Until: until}
			clocks = append(clocks, p.clock)
		}
	}
	return clocks
}

// admits lets time pass to w's, and reports whether w is to be decided in this batch. c may be nil.
func (c *Clock) admits(w *work) bool {
	if c == nil {
		return true
	}
	c.pass(w.record.Timestamp)
	c.short = !c.Enough.IsZero() && w.record.Timestamp.After(c.Enough)
	return !c.short
}

func (c *Clock) pass(t time.Time) {
	if t.After(c.Now) {
		c.Now = t
	}
}

// stamp tells a fresh item the time, which has passed then.
func (c *Clock) stamp(i *Item) {
	if c != nil {
		i.Now, c.Now = c.Now, time.Time{}
	}
}

// passes reports whether time passes in this part.
func (p *part) passes() bool { return p.locked != nil && p.clock != nil && !p.clock.Now.IsZero() }

// made is how many events time made in this part.
func (p *part) made() int {
	if p.clock == nil {
		return 0
	}
	return len(p.clock.Made)
}

// made are the events that time made, as works whose record is the position that is stored with them.
func (b *batch) made() []*work {
	var works []*work
	for _, p := range b.parts {
		if p.clock == nil {
			continue
		}
		for _, m := range p.clock.Made {
			works = append(works, &work{
				item: Item{
					Event:  Event{Tenant: m.Tenant, ID: m.ID, Source: m.Source, Fingerprint: m.Fingerprint},
					Effect: m.Effect,
				},
				record: Record{Topic: p.claim.Topic, Partition: p.claim.Partition, Offset: p.decided.Next},
			})
		}
	}
	return works
}

// passTime lets what is due by the wall clock fall due in partitions whose logs have been read to their ends.
func (s *session) passTime(ctx context.Context) {
	keeper, ok := s.idle.batches.(Timekeeper)
	if !ok {
		return
	}
	claims := make(map[TopicPartition]*claim)
	var tps []TopicPartition
	for _, c := range s.running() {
		if s.dispatcher.position(c).idle {
			claims[c.TopicPartition] = c
			tps = append(tps, c.TopicPartition)
		}
	}
	if len(tps) == 0 {
		return
	}
	overdue, err := keeper.Overdue(ctx, s.cfg.Pool, tps)
	if err != nil && ctx.Err() == nil {
		s.cfg.Log.Warn().Err(err).Msg("cannot ask what is overdue; asking again")
	}
	if len(overdue) == 0 {
		return
	}
	names := make([]kafkalog.TopicPartition, 0, len(overdue))
	for tp := range overdue {
		names = append(names, kafkaName(tp))
	}
	// Asked after the clock was: a record that was written by then is below the end, or in a transaction that is not
	// decided yet, and then there is a high watermark above the position.
	ranges, err := s.kafka.Ranges(ctx, names)
	if err != nil {
		return // the check of every minute says so
	}
	for tp, until := range overdue {
		p := s.dispatcher.position(claims[tp])
		if r, ok := ranges[kafkaName(tp)]; ok && p.idle && p.Next == r.HighWatermark {
			s.lapse(ctx, claims[tp], p.Next, until)
		}
	}
}

// lapse lets time pass in c, which has been read up to the offset at, in as many transactions as it takes.
func (s *session) lapse(ctx context.Context, c *claim, at int64, until time.Time) {
	for ctx.Err() == nil && s.apart(c, at, func(p *part) { p.passTime = until }) {
	}
}
