package inbox

import (
	"context"
	"fmt"
	"time"

	"onhand/internal/kafkalog"
)

// Start is where a topic begins that this installation never read. It is resolved once, for all partitions of the
// topic together, and remembered. The zero value is the oldest record.
type Start struct {
	newest bool
	at     time.Time
}

// StartNewest begins after the last committed record.
func StartNewest() Start { return Start{newest: true} }

// StartAt begins with the first record at or after t; when t is after the last record, that is newest.
func StartAt(t time.Time) Start { return Start{at: t} }

// ParseStart reads `oldest`, `newest` or an RFC 3339 time.
func ParseStart(s string) (Start, error) {
	switch s {
	case "", "oldest":
		return Start{}, nil
	case "newest":
		return StartNewest(), nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return Start{}, fmt.Errorf("start %q: want oldest, newest or a time like 2026-01-31T12:00:00Z", s)
	}
	return StartAt(t), nil
}

// resolve waits for partitions that have no leader yet: those of a topic that was created a moment ago.
func (s Start) resolve(ctx context.Context, log *kafkalog.Reader, topic string, partitions []int32,
) (map[int32]int64, error) {
	for {
		at, err := s.ask(ctx, log, topic, partitions)
		if err != nil || len(at) == len(partitions) {
			return at, err
		}
		if !sleep(ctx, leaderPoll) {
			return nil, fmt.Errorf("topic %s: %d of %d partitions have a leader", topic, len(at), len(partitions))
		}
	}
}

// leaderPoll is how often a partition without a leader is asked for again.
const leaderPoll = 200 * time.Millisecond

func (s Start) ask(ctx context.Context, log *kafkalog.Reader, topic string, partitions []int32,
) (map[int32]int64, error) {
	tps := make([]kafkalog.TopicPartition, len(partitions))
	for i, p := range partitions {
		tps[i] = kafkalog.TopicPartition{Topic: topic, Partition: p}
	}
	at := make(map[int32]int64, len(partitions))
	if !s.at.IsZero() {
		offsets, err := log.OffsetsAt(ctx, tps, s.at)
		for tp, offset := range offsets {
			at[tp.Partition] = offset
		}
		return at, err
	}
	ranges, err := log.Ranges(ctx, tps)
	for tp, r := range ranges {
		if at[tp.Partition] = r.Start; s.newest {
			at[tp.Partition] = r.LastStable
		}
	}
	return at, err
}
