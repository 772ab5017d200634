// Package producer is the limit for anyone who publishes an outbox from Go: sarama's own transactional producer, which
// sends the same messages as the relay in transactions of the same size, with a position in each; but from memory. It
// reads nothing while it is measured, remembers nothing and fences nobody off, so it is no relay.
package producer

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/IBM/sarama"
	"golang.org/x/sync/errgroup"

	"onhand/bench/internal/peer"
	"onhand/internal/kafkalog"
)

// What the relay has, too.
const (
	perTransaction     = 5000
	transactionTimeout = 15 * time.Second
	maxMessageBytes    = 1_000_000 + 16<<10
)

// Run is a peer.Peer, which returns when all messages are committed.
func Run(ctx context.Context, job peer.Job, done *atomic.Int64) error {
	messages := &store{}
	if err := job.Messages(ctx, messages.add); err != nil {
		return err
	}
	client, err := sarama.NewClient(job.Brokers, config(job.Group))
	if err != nil {
		return fmt.Errorf("connect to Kafka: %w", err)
	}
	defer func() { _ = client.Close() }()
	producer, err := sarama.NewAsyncProducerFromClient(client)
	if err != nil {
		return fmt.Errorf("make a producer: %w", err)
	}
	var answers errgroup.Group
	answers.Go(func() error {
		for range producer.Successes() {
			continue
		}
		return nil
	})
	answers.Go(func() (err error) {
		for failure := range producer.Errors() {
			if err == nil {
				err = failure.Err
			}
		}
		return err
	})
	err = publish(ctx, producer, messages, job, done)
	producer.AsyncClose()
	return errors.Join(err, answers.Wait())
}

// publish sends everything, one transaction after another.
func publish(
	ctx context.Context, producer sarama.AsyncProducer, messages *store, job peer.Job, done *atomic.Int64,
) error {
	for from := 0; from < messages.len() && ctx.Err() == nil; from += perTransaction {
		to := min(from+perTransaction, messages.len())
		if err := producer.BeginTxn(); err != nil {
			return fmt.Errorf("begin a transaction: %w", err)
		}
		for i := from; i < to; i++ {
			producer.Input() <- messages.message(i, job.Topic)
		}
		position := map[string][]*sarama.PartitionOffsetMetadata{
			job.Topic: {{Partition: 0, Offset: int64(to), LeaderEpoch: -1}},
		}
		if err := producer.AddOffsetsToTxn(position, job.Group); err != nil {
			return fmt.Errorf("add the position to the transaction: %w", err)
		}
		if err := producer.CommitTxn(); err != nil {
			return fmt.Errorf("commit the transaction: %w", err)
		}
		done.Store(int64(to))
	}
	return ctx.Err()
}

func config(id string) *sarama.Config {
	c := kafkalog.Config("onhand-bench-producer", transactionTimeout)
	c.Net.MaxOpenRequests = 1
	p := &c.Producer
	p.Idempotent = true
	p.RequiredAcks = sarama.WaitForAll
	p.MaxMessageBytes = maxMessageBytes
	p.Partitioner = sarama.NewMurmur2Partitioner
	p.Return.Successes, p.Return.Errors = true, true
	p.Transaction.ID = id
	p.Transaction.Timeout = transactionTimeout
	p.Flush.Frequency = time.Millisecond
	p.Transaction.Retry.Max = 50
	p.Transaction.Retry.BackoffFunc = func(retries, _ int) time.Duration {
		return min(time.Millisecond<<min(retries/4, 10), 500*time.Millisecond)
	}
	return c
}
