package verify

import (
	"context"
	"fmt"
	"slices"

	"onhand/internal/kafkalog"
)

// outgoing proves the topics that the messages of movements leave to (I7): each message that has left for sure is
// there, once, in the order of its row's versions, with what the ledger holds; and no other.
//
// Three things are asked in this order: how far messages have left for sure, where the logs end, and then the snapshot
// is taken. So what has left for sure lies in the part of the logs that is read, and what lies there is in the
// snapshot, while the service and its relay go on. What has left meanwhile may be seen too, and has to be right then.
//
// Likewise for what is told beside changes: each message of a crossing follows that of its movement, once, and is one
// that this movement can have crossed; each message of a rejection is of one that the inbox holds, and stands among
// those of the row where the event found it. That none is missing is proved of stock.depleted and of rejections. For
// the others the threshold or the policy of that moment would have to be known, which is not kept.
//
// Memory is bounded by the number of rows of stock, some 120 bytes each, by what is set aside and by what was rejected,
// 8 bytes each: of a row only its first and last version are kept, and the versions between that are missing so far.
type outgoing struct {
	v          *Verification
	relay      relay
	sources    map[string]bool // ce_source of our messages; true = one that the installation had before an adoption
	excuses    excuses
	partitions []*outPartition
	order      *order
	owed       map[owed]owing
	rejected   []int64      // messages of rejections that were read
	forgets    bool         // the inbox has forgotten events
	pending    []*published // read, and not compared yet
	bytes      int          // of these
	found      int64        // differences
	report     *Outbox
}

// outPartition is one partition of an outgoing topic, and how much of it is proved.
type outPartition struct {
	*OutboxPartition
	number    int32 // its index
	stable    int64 // up to where readers of committed records got at first
	next      int64 // the offset up to which it was read
	compacted bool  // any record may have been removed
	lossy     bool  // what stood before its first record, here or in a former topic, may have been removed
	cut       bool  // it could not be read to its end
	unproven  int64
	found     int64 // differences
}

func (p *outPartition) tp() kafkalog.TopicPartition {
	return kafkalog.TopicPartition{Topic: p.Topic, Partition: p.Partition}
}

// cutAt notes that the partition cannot be read any further, and why.
func (p *outPartition) cutAt(why string) { p.cut, p.Untold = true, why }

// beginOutgoing asks for everything that has to be known before the snapshot is taken.
func beginOutgoing(ctx context.Context, cfg *Config) (*outgoing, error) {
	r, err := readRelay(ctx, cfg.Pool)
	if err != nil {
		return nil, err
	}
	o := &outgoing{
		relay: r, order: newOrder(), owed: make(map[owed]owing), report: &Outbox{Published: r.done, Halted: r.halt},
	}
	for _, topic := range append(slices.Clone(cfg.FormerTopics), r.topic) {
		if !slices.Contains(o.report.Topics, topic) {
			o.report.Topics = append(o.report.Topics, topic)
		}
	}
	if err := o.locate(ctx, cfg.Log); err != nil {
		return nil, fmt.Errorf("look for the outgoing topics: %w", err)
	}
	return o, nil
}

// locate finds the partitions, and how far their logs reach.
func (o *outgoing) locate(ctx context.Context, log *kafkalog.Reader) error {
	topics, err := log.Topics(ctx, o.report.Topics)
	if err != nil {
		return err
	}
	// A topic whose settings we may not read is taken for one that is not compacted: what is missing there is a fault.
	compaction, _ := log.Compaction(ctx, o.report.Topics)
	var tps []kafkalog.TopicPartition
	for _, name := range o.report.Topics {
		topic, exists := topics[name]
		if !exists && (name != o.relay.topic || o.relay.done > 0) {
			o.report.Untold = fmt.Sprintf("topic %s does not exist", name)
		}
		for _, partition := range topic.Partitions {
			tps = append(tps, kafkalog.TopicPartition{Topic: name, Partition: partition})
		}
	}
	ranges, err := log.Ranges(ctx, tps)
	if err != nil {
		return err
	}
	for _, tp := range tps {
		r, known := ranges[tp]
		o.add(tp, r, compaction[tp.Topic] == kafkalog.CompactionYes)
		if !known {
			o.partitions[len(o.partitions)-1].cutAt("no broker leads the partition")
		}
	}
	o.inherit()
	return nil
}

func (o *outgoing) add(tp kafkalog.TopicPartition, r kafkalog.Range, compacted bool) {
	p := &outPartition{
		OutboxPartition: &OutboxPartition{
			Topic: tp.Topic, Partition: tp.Partition, Start: r.Start, End: r.HighWatermark,
		},
		number: int32(len(o.partitions)), next: r.Start, stable: r.LastStable,
		compacted: compacted, lossy: compacted || r.Start > 0,
	}
	o.partitions = append(o.partitions, p)
	o.report.Partitions = append(o.report.Partitions, p.OutboxPartition)
}

// inherit: what is missing at the beginning of a topic may have been in a former one, and been removed there.
func (o *outgoing) inherit() {
	for _, p := range o.partitions {
		for _, before := range o.partitions {
			older := slices.Index(o.report.Topics, before.Topic) < slices.Index(o.report.Topics, p.Topic)
			p.lossy = p.lossy || older && (before.lossy || before.cut)
		}
	}
}

// offsets is how many offsets there are to read.
func (o *outgoing) offsets() (n int64) {
	for _, p := range o.partitions {
		n += p.End - p.Start
	}
	return n
}

// run reads and compares everything.
func (o *outgoing) run(ctx context.Context) error {
	o.v.report.Outbox = o.report
	if err := o.readExcuses(ctx); err != nil {
		return err
	}
	for _, p := range o.partitions {
		if err := o.read(ctx, p); err != nil {
			return err
		}
	}
	if err := o.judge(ctx); err != nil {
		return err
	}
	if err := o.gaps(ctx); err != nil {
		return err
	}
	if err := o.rest(ctx); err != nil {
		return err
	}
	for of, at := range o.owed {
		o.missed(at.at, at.row, of.version, at.id)
	}
	if err := o.rejections(ctx); err != nil {
		return err
	}
	if err := o.countWaiting(ctx); err != nil {
		return err
	}
	o.conclude()
	return nil
}
