package inbox

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"onhand/internal/kafkalog"
	"onhand/offsets"
)

// A drop forgets what unread records must be compared with. Where everything is read soon after it was written that is
// long past. A partition that is halted, or has a history to read first, would find all of it beyond memory: the drop
// waits for it.

// errBehind says that a drop would forget what a partition's unread records must be compared with.
var errBehind = errors.New("the oldest generation is still needed")

// droppable says whether the oldest generation, if there is no slot without dropping it, may go as far as the database
// knows.
func (g generations) droppable() error {
	if g.Live < maxLive || g.Halted == nil {
		return nil
	}
	return fmt.Errorf("%w: partition %s is halted, and its unread records would be parked as %s. Let it go on, "+
		"see `onhand offsets`", errBehind, *g.Halted, CodeBeyondMemory)
}

type rangesOf func(context.Context, []kafkalog.TopicPartition) (map[kafkalog.TopicPartition]kafkalog.Range, error)

// Those that have decided an event from after the oldest generation are past it.
const notPastTheOldest = `
select topic, partition, next
from offsets
where topic = any($1)
  and (newest_event > (select horizon from inbox_generations order by generation limit 1)) is not true
order by topic, partition`

// caughtUp says whether every partition is past the oldest generation, or has read what its log held when this was
// asked first: one may stand still because nothing comes, and one may have events without a time only.
func (k *keeper) caughtUp(ctx context.Context) error {
	if k.ranges == nil {
		return nil
	}
	rows, err := k.pool.Query(ctx, notPastTheOldest, k.topics)
	if err != nil {
		return err
	}
	at := make(map[kafkalog.TopicPartition]int64)
	var tps []kafkalog.TopicPartition
	var p offsets.TopicPartition
	var next int64
	if _, err := pgx.ForEachRow(rows, []any{&p.Topic, &p.Partition, &next}, func() error {
		tps = append(tps, kafkaName(p))
		at[kafkaName(p)] = next
		return nil
	}); err != nil || len(tps) == 0 {
		return err
	}
	now, err := k.ranges(ctx, tps)
	if err != nil {
		return err
	}
	ends := make(map[kafkalog.TopicPartition]int64, len(now))
	for tp, r := range now {
		ends[tp] = r.LastStable
		if first, ok := k.ends[tp]; ok {
			ends[tp] = min(first, r.LastStable)
		}
	}
	k.ends = ends
	for _, tp := range tps {
		if end, ok := ends[tp]; !ok || at[tp] < end {
			return fmt.Errorf("%w: partition %s has records to read that may be older, which would be parked as %s. "+
				"This ends when it has caught up", errBehind, tp, CodeBeyondMemory)
		}
	}
	return nil
}
