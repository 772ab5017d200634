package floor

import (
	"context"
	"fmt"
	"time"

	"github.com/IBM/sarama"

	"onhand/bench/internal/peer"
	"onhand/inbox"
	"onhand/inventory"
)

// patience is how long a broker may take to answer.
const patience = 15 * time.Second

// row is one event on its way to a writer.
type row struct {
	event     inbox.Event
	body      *inventory.Event
	partition int32
	offset    int64
	logged    time.Time
	message   int64 // the id of the first message about it
}

// reader decodes one partition, each in a goroutine of its own.
type reader struct {
	consumer  sarama.Consumer
	topic     string
	partition int32
	end       int64 // the offset after the last record
}

// newReaders returns one for each partition of topic.
func newReaders(client sarama.Client, consumer sarama.Consumer, topic string) ([]*reader, error) {
	partitions, err := client.Partitions(topic)
	if err != nil {
		return nil, fmt.Errorf("look up topic %s: %w", topic, err)
	}
	readers := make([]*reader, len(partitions))
	for i, p := range partitions {
		end, err := client.GetOffset(topic, p, sarama.OffsetNewest)
		if err != nil {
			return nil, fmt.Errorf("find the end of %s/%d: %w", topic, p, err)
		}
		readers[i] = &reader{consumer: consumer, topic: topic, partition: p, end: end}
	}
	return readers, nil
}

// run hands over every event of the partition, and returns after the last one.
func (r *reader) run(ctx context.Context, to chan<- row) error {
	if r.end == 0 {
		return nil
	}
	claim, err := r.consumer.ConsumePartition(r.topic, r.partition, 0)
	if err != nil {
		return fmt.Errorf("consume %s/%d: %w", r.topic, r.partition, err)
	}
	defer func() { _ = claim.Close() }()
	decoder := peer.NewDecoder()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case m, open := <-claim.Messages():
			if !open {
				return fmt.Errorf("consume %s/%d: it ended early", r.topic, r.partition)
			}
			event, body, err := decoder.Decode(m.Value)
			if err != nil {
				return err
			}
			select {
			case to <- row{event: event, body: body, partition: r.partition, offset: m.Offset, logged: m.Timestamp}:
			case <-ctx.Done():
				return ctx.Err()
			}
			if m.Offset == r.end-1 {
				return nil
			}
		}
	}
}
