package outbox

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"onhand/internal/kafkalog"
)

// audience reads topics as everyone does who waits for commits: from the outside, from their beginning.
type audience struct {
	t       *testing.T
	brokers []string

	mu     sync.Mutex
	client sarama.Client
	next   map[kafkalog.TopicPartition]int64
	read   map[string][]heard
}

// heard is one record.
type heard struct {
	partition  int32
	key, value string
	tombstone  bool
	headers    map[string]string
}

func newAudience(t *testing.T, brokers []string) *audience {
	t.Helper()
	a := &audience{
		t: t, brokers: brokers, next: make(map[kafkalog.TopicPartition]int64), read: make(map[string][]heard),
	}
	t.Cleanup(func() {
		if a.client != nil {
			_ = a.client.Close()
		}
	})
	return a
}

// heard returns all that was committed to topic so far: the records of each partition in their order. A broker that is
// away has nothing new.
func (a *audience) heard(topic string) []heard {
	a.t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := a.listen(ctx, topic); err != nil {
		a.t.Logf("listen to topic %s: %v", topic, err)
	}
	return slices.Clone(a.read[topic])
}

func (a *audience) listen(ctx context.Context, topic string) (err error) {
	if a.client == nil {
		if a.client, err = sarama.NewClient(a.brokers, kafkalog.Config("audience", 5*time.Second)); err != nil {
			a.client = nil
			return err
		}
	}
	reader, err := kafkalog.NewReader(a.client)
	if err != nil {
		return err
	}
	tps, err := reader.Partitions(topic)
	if err != nil {
		return err
	}
	ranges, err := reader.Ranges(ctx, tps)
	if err != nil {
		return err
	}
	for tp, r := range ranges {
		if err := a.listenTo(ctx, reader, tp, r.LastStable); err != nil {
			return err
		}
	}
	return nil
}

func (a *audience) listenTo(ctx context.Context, reader *kafkalog.Reader, tp kafkalog.TopicPartition, to int64) error {
	if a.next[tp] >= to {
		return nil
	}
	err := reader.Scan(ctx, tp, a.next[tp], to, func(m *sarama.ConsumerMessage) error {
		h := heard{
			partition: m.Partition, key: string(m.Key), value: string(m.Value), tombstone: m.Value == nil,
			headers: make(map[string]string, len(m.Headers)),
		}
		for _, header := range m.Headers {
			h.headers[string(header.Key)] = string(header.Value)
		}
		a.read[tp.Topic] = append(a.read[tp.Topic], h)
		a.next[tp] = m.Offset + 1
		return nil
	})
	if err == nil {
		a.next[tp] = to
	}
	return err
}

// values are those of all records of topic, tombstones as empty ones.
func (a *audience) values(topic string) []string {
	a.t.Helper()
	all := a.heard(topic)
	values := make([]string, len(all))
	for i, h := range all {
		values[i] = h.value
	}
	return values
}
