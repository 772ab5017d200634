// Package backlog prepares the topics that all contestants read, and says what must come out of them.
package backlog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/IBM/sarama"

	"onhand/internal/kafkalog"
	"onhand/internal/workload"
)

// patience is how long a broker may take to answer.
const patience = 15 * time.Second

// Shape is what the events are like: 25 % receipts, 70 % sales and 5 % adjustments, each 170 to 200 bytes of JSON.
type Shape struct {
	Partitions int `json:"partitions"`
	SKUs       int `json:"skus"` // drawn evenly
}

// Backlog is a topic that was written whole before the first contestant starts, and is not written any more.
type Backlog struct {
	Topic  string
	Events int64
	Books  *Books
}

// Write makes the topic with that many events, and reads it back to know what must come out of it.
func Write(ctx context.Context, brokers []string, topic string, events int, shape Shape) (b *Backlog, err error) {
	generator, err := workload.New(workload.Config{Seed: 1, SKUs: shape.SKUs})
	if err != nil {
		return nil, err
	}
	sender, err := workload.NewSender(brokers, topic)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, sender.Close()) }()
	if _, _, err := sender.EnsureTopic(ctx, int32(shape.Partitions)); err != nil {
		return nil, err
	}
	if err := sender.Send(ctx, generator, events, workload.Unlimited); err != nil {
		return nil, err
	}
	books, err := fold(ctx, brokers, topic)
	if err != nil {
		return nil, err
	}
	if books.Events != int64(events) {
		return nil, fmt.Errorf("topic %s holds %d events, %d were written", topic, books.Events, events)
	}
	return &Backlog{Topic: topic, Events: int64(events), Books: books}, nil
}

// fold reads the topic from its beginning to its end.
func fold(ctx context.Context, brokers []string, topic string) (*Books, error) {
	client, err := sarama.NewClient(brokers, kafkalog.Config("onhand-bench", patience))
	if err != nil {
		return nil, fmt.Errorf("connect to Kafka: %w", err)
	}
	defer func() { _ = client.Close() }()
	reader, err := kafkalog.NewReader(client)
	if err != nil {
		return nil, err
	}
	partitions, err := client.Partitions(topic)
	if err != nil {
		return nil, fmt.Errorf("look up topic %s: %w", topic, err)
	}
	books := newBooks()
	for _, p := range partitions {
		end, err := client.GetOffset(topic, p, sarama.OffsetNewest)
		if err != nil {
			return nil, fmt.Errorf("find the end of %s/%d: %w", topic, p, err)
		}
		at := kafkalog.TopicPartition{Topic: topic, Partition: p}
		err = reader.Scan(ctx, at, 0, end, func(m *sarama.ConsumerMessage) error { return books.add(m.Value) })
		if err != nil {
			return nil, err
		}
	}
	return books, nil
}
