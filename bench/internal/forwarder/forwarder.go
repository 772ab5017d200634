// Package forwarder is Watermill's outbox: messages in a table of its own, which its forwarder publishes to Kafka.
package forwarder

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/IBM/sarama"
	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill-kafka/v3/pkg/kafka"
	"github.com/ThreeDotsLabs/watermill-sql/v4/pkg/sql"
	"github.com/ThreeDotsLabs/watermill/components/forwarder"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/jackc/pgx/v5/pgxpool"

	"onhand/bench/internal/peer"
)

const (
	// table is how Watermill's SQL side knows the outbox.
	table = "outbox"
	// keyName is the metadata that the Kafka side makes the record's key of.
	keyName     = "key"
	connections = 4
)

// Run is a peer.Peer. It moves the job's messages into Watermill's outbox first, then publishes until ctx is cancelled.
func Run(ctx context.Context, job peer.Job, done *atomic.Int64) error {
	pool, err := job.Pool(ctx, connections)
	if err != nil {
		return err
	}
	defer pool.Close()
	if err := fill(ctx, job, pool); err != nil {
		return err
	}
	subscriber, err := sql.NewSubscriber(sql.BeginnerFromPgx(pool), sql.SubscriberConfig{
		SchemaAdapter: sql.DefaultPostgreSQLSchema{}, OffsetsAdapter: sql.DefaultPostgreSQLOffsetsAdapter{},
		InitializeSchema: true,
	}, watermill.NopLogger{})
	if err != nil {
		return fmt.Errorf("make a subscriber: %w", err)
	}
	defer func() { _ = subscriber.Close() }()
	publisher, err := newPublisher(job, done)
	if err != nil {
		return err
	}
	defer func() { _ = publisher.Close() }()
	f, err := forwarder.NewForwarder(subscriber, publisher, watermill.NopLogger{}, forwarder.Config{ForwarderTopic: table})
	if err != nil {
		return fmt.Errorf("make a forwarder: %w", err)
	}
	return run(ctx, f, publisher.failed)
}

// run runs f until ctx ends or a message could not be published: it would come again and again.
func run(ctx context.Context, f *forwarder.Forwarder, failed <-chan error) error {
	running, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- f.Run(running) }()
	select {
	case err := <-failed:
		cancel()
		return errors.Join(err, <-ended)
	case err := <-ended:
		return err
	}
}

// perInsert is how many messages are moved in one statement.
const perInsert = 500

// fill appends the messages as Watermill's users do: its publisher puts them into envelopes and the table.
func fill(ctx context.Context, job peer.Job, pool *pgxpool.Pool) error {
	inner, err := sql.NewPublisher(sql.BeginnerFromPgx(pool), sql.PublisherConfig{
		SchemaAdapter: sql.DefaultPostgreSQLSchema{}, AutoInitializeSchema: true,
	}, watermill.NopLogger{})
	if err != nil {
		return fmt.Errorf("make a publisher: %w", err)
	}
	publisher := forwarder.NewPublisher(inner, forwarder.PublisherConfig{ForwarderTopic: table})
	defer func() { _ = publisher.Close() }()
	var batch []*message.Message
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		err := publisher.Publish(job.Topic, batch...)
		batch = batch[:0]
		return err
	}
	err = job.Messages(ctx, func(m peer.Message) error {
		next := message.NewMessage(watermill.NewUUID(), m.Payload)
		next.Metadata.Set(keyName, string(m.Key))
		for i := 0; i+1 < len(m.Headers); i += 2 {
			next.Metadata.Set(string(m.Headers[i]), string(m.Headers[i+1]))
		}
		if batch = append(batch, next); len(batch) < perInsert {
			return nil
		}
		return flush()
	})
	if err := errors.Join(err, flush()); err != nil {
		return fmt.Errorf("move messages into Watermill's outbox: %w", err)
	}
	return nil
}

// publisher is Watermill's for Kafka, which is counted.
type publisher struct {
	message.Publisher
	done   *atomic.Int64
	failed chan error // the first failure
}

// newPublisher has Watermill's settings, but for the protocol's version: brokers do not speak the default one any more.
func newPublisher(job peer.Job, done *atomic.Int64) (*publisher, error) {
	config := kafka.DefaultSaramaSyncPublisherConfig()
	config.Version = sarama.V3_6_0_0
	key := func(_ string, m *message.Message) (string, error) { return m.Metadata.Get(keyName), nil }
	inner, err := kafka.NewPublisher(kafka.PublisherConfig{
		Brokers: job.Brokers, Marshaler: kafka.NewWithPartitioningMarshaler(key), OverwriteSaramaConfig: config,
	}, watermill.NopLogger{})
	if err != nil {
		return nil, fmt.Errorf("make a publisher: %w", err)
	}
	return &publisher{inner, done, make(chan error, 1)}, nil
}

// Publish is called by the forwarder, message by message.
func (p *publisher) Publish(topic string, messages ...*message.Message) error {
	err := p.Publisher.Publish(topic, messages...)
	if err == nil {
		p.done.Add(int64(len(messages)))
		return nil
	}
	select {
	case p.failed <- err:
	default:
	}
	return err
}
