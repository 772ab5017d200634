// Package floor is the limit for anyone who writes the product's rows: the same tables with the same indexes, from the
// same topic through the same decoder, by COPY and one set-based change of stock a batch. It looks for no duplicates,
// decides nothing and fences nobody off, so it is no service; nothing that is one can be much faster.
package floor

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/IBM/sarama"
	"golang.org/x/sync/errgroup"

	"onhand/bench/internal/peer"
	"onhand/internal/kafkalog"
)

// Run is a peer.Peer with job.Writers writers, each with partitions of its own, and returns when all is written.
func Run(ctx context.Context, job peer.Job, done *atomic.Int64) error {
	pool, err := job.Pool(ctx, job.Writers)
	if err != nil {
		return err
	}
	defer pool.Close()
	client, err := sarama.NewClient(job.Brokers, kafkaConfig())
	if err != nil {
		return fmt.Errorf("connect to Kafka: %w", err)
	}
	defer func() { _ = client.Close() }()
	consumer, err := sarama.NewConsumerFromClient(client)
	if err != nil {
		return fmt.Errorf("consume: %w", err)
	}
	defer func() { _ = consumer.Close() }()
	readers, err := newReaders(client, consumer, job.Topic)
	if err != nil {
		return err
	}

	ledgers, err := newLedgers(ctx, pool, job)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	var ids atomic.Int64 // of outbox messages; a sequence would cost something
	for i := range job.Writers {
		queue := make(chan row, 2*job.Batch)
		var mine errgroup.Group
		for p := i; p < len(readers); p += job.Writers {
			mine.Go(func() error { return readers[p].run(ctx, queue) })
		}
		group.Go(func() error {
			defer close(queue)
			return mine.Wait()
		})
		group.Go(func() error { return newWriter(job, &ids, done, ledgers[i]).run(ctx, pool, queue) })
	}
	return group.Wait()
}

// kafkaConfig fetches as much at a time as keeps the readers ahead of the writers.
func kafkaConfig() *sarama.Config {
	const fetchBytes = 1 << 20
	c := kafkalog.Config("onhand-bench-floor", patience)
	c.Consumer.Return.Errors = false
	c.Consumer.Fetch.Default = fetchBytes
	return c
}
