package kafkalog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/IBM/sarama"
)

// Range is where a partition's log begins and ends. The three are asked one after another, in this order.
type Range struct {
	Start         int64 // the first offset that can be read
	LastStable    int64 // the offset after the last one that a read_committed reader gets to
	HighWatermark int64 // the offset after the last one that is safely written
}

// Ranges asks where the logs of tps begin and end: three requests to each broker that leads one of them. A partition
// without an answer (no such one, no leader, its broker away) is absent from the map; only when no broker answers at
// all is that an error.
func (r *Reader) Ranges(ctx context.Context, tps []TopicPartition) (map[TopicPartition]Range, error) {
	ranges, err := within(ctx, func() (map[TopicPartition]Range, error) {
		leaders, err := r.leaders(tps)
		if err != nil {
			return nil, err
		}
		starts, err1 := r.listOffsets(leaders, sarama.OffsetOldest, sarama.ReadUncommitted)
		stable, err2 := r.listOffsets(leaders, sarama.OffsetNewest, sarama.ReadCommitted)
		high, err3 := r.listOffsets(leaders, sarama.OffsetNewest, sarama.ReadUncommitted)
		ranges := make(map[TopicPartition]Range, len(tps))
		for tp, s := range stable {
			start, known := starts[tp]
			end, alsoKnown := high[tp]
			if known && alsoKnown {
				ranges[tp] = Range{Start: start, LastStable: s, HighWatermark: end}
			}
		}
		return ranges, errors.Join(err1, err2, err3)
	})
	if err != nil {
		return nil, fmt.Errorf("ask where the log begins and ends: %w", err)
	}
	return ranges, nil
}

// OffsetsAt returns for each of tps the first offset whose record's time is t or later, and the last stable offset if
// there is none; so a record of time t or later, written meanwhile, is never before the answer. Absent and error as for
// Ranges.
func (r *Reader) OffsetsAt(
	ctx context.Context, tps []TopicPartition, t time.Time,
) (map[TopicPartition]int64, error) {
	// The log's times are whole milliseconds; negative numbers mean other things to the broker.
	millis := max(0, t.Add(time.Millisecond-time.Nanosecond).UnixMilli())
	offsets, err := within(ctx, func() (map[TopicPartition]int64, error) {
		leaders, err := r.leaders(tps)
		if err != nil {
			return nil, err
		}
		// The end is asked first: asked after, it could be past a record that the other answer did not know yet.
		ends, err1 := r.listOffsets(leaders, sarama.OffsetNewest, sarama.ReadCommitted)
		found, err2 := r.listOffsets(leaders, millis, sarama.ReadCommitted)
		offsets := make(map[TopicPartition]int64, len(tps))
		for tp, offset := range found {
			end, known := ends[tp]
			switch {
			case offset >= 0:
				offsets[tp] = offset
			case known:
				offsets[tp] = end
			}
		}
		return offsets, errors.Join(err1, err2)
	})
	if err != nil {
		return nil, fmt.Errorf("ask for offsets at %s: %w", t.Format(time.RFC3339Nano), err)
	}
	return offsets, nil
}

// leaders asks who leads each of tps, past the client's cache; those without a leader are left out.
func (r *Reader) leaders(tps []TopicPartition) (map[int32][]TopicPartition, error) {
	wanted := make(map[TopicPartition]bool, len(tps))
	var names []string
	seen := make(map[string]bool)
	for _, tp := range tps {
		wanted[tp] = true
		if !seen[tp.Topic] {
			seen[tp.Topic] = true
			names = append(names, tp.Topic)
		}
	}
	leaders := make(map[int32][]TopicPartition)
	if len(names) == 0 {
		return leaders, nil
	}
	m, err := r.metadata(names)
	if err != nil {
		return nil, err
	}
	for _, t := range m.Topics {
		for _, p := range t.Partitions {
			tp := TopicPartition{Topic: t.Name, Partition: p.ID}
			if p.Leader >= 0 && wanted[tp] {
				leaders[p.Leader] = append(leaders[p.Leader], tp)
			}
		}
	}
	return leaders, nil
}

// listOffsets asks each leader for its partitions' offsets at millis, one request a leader. An error means that there
// were leaders and none answered.
func (r *Reader) listOffsets(
	leaders map[int32][]TopicPartition, millis int64, isolation sarama.IsolationLevel,
) (map[TopicPartition]int64, error) {
	offsets := make(map[TopicPartition]int64)
	var errs []error
	for id, tps := range leaders {
		b, err := r.broker(id)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		request := sarama.NewOffsetRequest(r.client.Config().Version)
		request.IsolationLevel = isolation
		for _, tp := range tps {
			request.AddBlock(tp.Topic, tp.Partition, millis, 1)
		}
		var response *sarama.OffsetResponse
		err = r.ask(b, func() (err error) {
			response, err = b.GetAvailableOffsets(request)
			return err
		})
		if err != nil {
			errs = append(errs, err)
			continue
		}
		for _, tp := range tps {
			if block := response.GetBlock(tp.Topic, tp.Partition); block != nil && block.Err == sarama.ErrNoError {
				offsets[tp] = block.Offset
			}
		}
	}
	if len(errs) < len(leaders) {
		return offsets, nil
	}
	return offsets, errors.Join(errs...)
}
