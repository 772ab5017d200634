package outbox

import (
	"context"
	"fmt"
	"strconv"
	"testing"

	"github.com/IBM/sarama"

	"onhand/internal/kafkalog"
)

// outside reads a topic as any client does that reads committed records only. It goes on where it stopped.
type outside struct {
	reader *kafkalog.Reader
	next   map[kafkalog.TopicPartition]int64
	seen   []seen // in the order of each partition's log
}

type seen struct {
	at     kafkalog.TopicPartition
	offset int64
	key    string
	number int64
}

func newOutside(t *testing.T, client sarama.Client, topic string) *outside {
	t.Helper()
	reader, err := kafkalog.NewReader(client)
	if err != nil {
		t.Fatal(err)
	}
	tps, err := reader.Partitions(topic)
	if err != nil {
		t.Fatal(err)
	}
	o := &outside{reader: reader, next: make(map[kafkalog.TopicPartition]int64)}
	for _, tp := range tps {
		o.next[tp] = 0
	}
	return o
}

func (o *outside) partitions() (tps []kafkalog.TopicPartition) {
	for tp := range o.next {
		tps = append(tps, tp)
	}
	return tps
}

// catchUp reads everything that is visible by now.
func (o *outside) catchUp(ctx context.Context) error {
	ranges, err := o.reader.Ranges(ctx, o.partitions())
	if err != nil {
		return err
	}
	for tp, r := range ranges {
		var fresh []seen
		err := o.reader.Scan(ctx, tp, o.next[tp], r.LastStable, func(m *sarama.ConsumerMessage) error {
			number, err := strconv.ParseInt(string(m.Value), 10, 64)
			fresh = append(fresh, seen{tp, m.Offset, string(m.Key), number})
			return err
		})
		if err != nil {
			return err
		}
		o.seen = append(o.seen, fresh...)
		o.next[tp] = max(o.next[tp], r.LastStable)
	}
	return nil
}

// openTransaction reports whether records are in the log of which nobody knows yet whether they will be visible.
func (o *outside) openTransaction(ctx context.Context) (bool, error) {
	ranges, err := o.reader.Ranges(ctx, o.partitions())
	for _, r := range ranges {
		if r.LastStable < r.HighWatermark {
			return true, err
		}
	}
	return false, err
}

// uncommitted counts all records that are in the log, those of aborted transactions too. It asks for each offset.
func (o *outside) uncommitted(ctx context.Context) (n int, err error) {
	ranges, err := o.reader.Ranges(ctx, o.partitions())
	for tp, r := range ranges {
		for offset := r.Start; offset < r.HighWatermark && err == nil; offset++ {
			var found bool
			if _, found, err = o.reader.RecordHash(ctx, tp, offset); found {
				n++
			}
		}
	}
	return n, err
}

// differences says what is wrong with what was seen: each key's messages must be 1, 2, 3, ..., up to want.
func (o *outside) differences(want map[string]int64) (found []string) {
	last := make(map[string]int64)
	home := make(map[string]kafkalog.TopicPartition)
	for _, s := range o.seen {
		if s.number != last[s.key]+1 {
			found = append(found, fmt.Sprintf("%s offset %d: message %d of %s follows %d", s.at, s.offset, s.number, s.key,
				last[s.key]))
		}
		if at, ok := home[s.key]; ok && at != s.at {
			found = append(found, fmt.Sprintf("%s is in %s and in %s", s.key, at, s.at))
		}
		last[s.key], home[s.key] = s.number, s.at
	}
	for key, n := range want {
		if last[key] != n {
			found = append(found, fmt.Sprintf("%s ends with message %d, want %d", key, last[key], n))
		}
	}
	for key := range last {
		if want[key] == 0 {
			found = append(found, "messages of "+key+", which was never written")
		}
	}
	return found
}
