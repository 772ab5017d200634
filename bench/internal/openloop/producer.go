// Package openloop measures how long events take from the moment when they were due to be sent until they are
// committed. Senders of the real world do not wait for us: an event is due when it is due, and when the sender or
// anything behind it is late, that is latency too (a sender that waited would leave out the worst moments: coordinated
// omission).
package openloop

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/IBM/sarama"

	"onhand/internal/workload"
)

// Sent is a record in the log.
type Sent struct {
	Partition int32
	Offset    int64
	Due       time.Time // when it should have left
}

// Producer writes events to one topic, each at its time.
type Producer struct {
	topic     string
	generator workload.Source
	producer  sarama.AsyncProducer
}

// NewProducer connects. linger is how long a record may wait for others that go with it; what it waits counts as latency
// too. Close is the caller's duty.
func NewProducer(
	brokers []string, topic string, generator workload.Source, linger time.Duration,
) (*Producer, error) {
	producer, err := sarama.NewAsyncProducer(brokers, config(linger))
	if err != nil {
		return nil, fmt.Errorf("reach the brokers %v: %w", brokers, err)
	}
	return &Producer{topic: topic, generator: generator, producer: producer}, nil
}

// config is a careful producer's: acknowledged by all replicas, and idempotent.
func config(linger time.Duration) *sarama.Config {
	c := sarama.NewConfig()
	c.ClientID = "onhand-bench-producer"
	c.Version = sarama.V3_6_0_0
	c.Metadata.AllowAutoTopicCreation = false
	c.Producer.Idempotent = true
	c.Producer.RequiredAcks = sarama.WaitForAll
	c.Net.MaxOpenRequests = 1
	c.Producer.Return.Successes = true
	c.Producer.Flush.Frequency = linger
	c.Producer.Compression = sarama.CompressionLZ4
	c.Producer.Partitioner = sarama.NewHashPartitioner // by key, so a SKU keeps its order
	return c
}

// Send sends n events, the ith when due says so or as soon after it as possible, and returns when all are in the log.
func (p *Producer) Send(ctx context.Context, n int, due func(i int) time.Time) ([]Sent, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	fed := make(chan struct{})
	go func() {
		defer close(fed)
		p.feed(ctx, n, due)
	}()
	sent := make([]Sent, 0, n)
	for len(sent) < n {
		select {
		case m := <-p.producer.Successes():
			at, ok := m.Metadata.(time.Time)
			if !ok {
				return nil, errors.New("a record without its time")
			}
			sent = append(sent, Sent{m.Partition, m.Offset, at})
		case failure := <-p.producer.Errors():
			cancel(fmt.Errorf("write to topic %s: %w", p.topic, failure.Err))
		case <-ctx.Done():
			<-fed
			return nil, context.Cause(ctx)
		}
	}
	<-fed
	return sent, nil
}

func (p *Producer) feed(ctx context.Context, n int, due func(i int) time.Time) {
	clock := newClock()
	defer clock.stop()
	for i := range n {
		at := due(i)
		if clock.until(ctx, at) != nil {
			return
		}
		r := p.generator.Next()
		m := &sarama.ProducerMessage{
			Topic: p.topic, Key: sarama.ByteEncoder(r.Key), Value: sarama.ByteEncoder(r.Value), Metadata: at,
		}
		select {
		case p.producer.Input() <- m:
		case <-ctx.Done():
			return
		}
	}
}

// Close ends the connections.
func (p *Producer) Close() error { return p.producer.Close() }
