// Package watermill is a service built on Watermill: its router and its Kafka subscriber, with the same handler as the
// textbook's.
package watermill

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/IBM/sarama"
	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill-kafka/v3/pkg/kafka"
	"github.com/ThreeDotsLabs/watermill/message"

	"onhand/bench/internal/onetx"
	"onhand/bench/internal/peer"
)

// connections is more than the headline's topic has partitions, so that nobody waits for one.
const connections = 16

// Run is a peer.Peer. It consumes until ctx is cancelled.
func Run(ctx context.Context, job peer.Job, done *atomic.Int64) error {
	pool, err := job.Pool(ctx, connections)
	if err != nil {
		return err
	}
	defer pool.Close()
	subscriber, err := newSubscriber(job)
	if err != nil {
		return err
	}
	defer func() { _ = subscriber.Close() }()
	router, err := message.NewRouter(message.RouterConfig{}, watermill.NopLogger{})
	if err != nil {
		return fmt.Errorf("make a router: %w", err)
	}
	// A failed message would come again and again: the first one ends the run.
	failed := make(chan error, 1)
	handler := onetx.New(pool)
	router.AddConsumerHandler("apply", job.Topic, subscriber, func(m *message.Message) error {
		err := apply(handler, job.Topic, m)
		if err == nil {
			done.Add(1)
			return nil
		}
		select {
		case failed <- err:
		default:
		}
		return err
	})
	running, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- router.Run(running) }()
	select {
	case err = <-failed:
		cancel()
		return errors.Join(err, <-ended)
	case err = <-ended:
		return err
	}
}

func newSubscriber(job peer.Job) (*kafka.Subscriber, error) {
	config := kafka.DefaultSaramaSubscriberConfig()
	config.Version = sarama.V3_6_0_0
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	s, err := kafka.NewSubscriber(kafka.SubscriberConfig{
		Brokers: job.Brokers, ConsumerGroup: job.Group,
		Unmarshaler: kafka.DefaultMarshaler{}, OverwriteSaramaConfig: config,
	}, watermill.NopLogger{})
	if err != nil {
		return nil, fmt.Errorf("make a subscriber: %w", err)
	}
	return s, nil
}

func apply(h *onetx.Handler, topic string, m *message.Message) error {
	ctx := m.Context()
	partition, known := kafka.MessagePartitionFromCtx(ctx)
	offset, knownToo := kafka.MessagePartitionOffsetFromCtx(ctx)
	if !known || !knownToo {
		return errors.New("a message without its position")
	}
	return h.Apply(ctx, onetx.Message{Topic: topic, Partition: partition, Offset: offset, Value: m.Payload})
}
