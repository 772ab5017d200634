// Package textbook is the service that a careful engineer writes by the book: a group member with a goroutine a
// partition, one transaction a message, and positions in Kafka, behind the inbox.
package textbook

import (
	"context"
	"sync/atomic"

	"github.com/IBM/sarama"

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
	handler := onetx.New(pool)
	return peer.Consume(ctx, job, func(ctx context.Context, r *sarama.ConsumerMessage) error {
		m := onetx.Message{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Value: r.Value}
		if err := handler.Apply(ctx, m); err != nil {
			return err
		}
		done.Add(1)
		job.Committed(r.Partition, r.Offset)
		return nil
	})
}
