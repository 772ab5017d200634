package peer

import (
	"context"
	"fmt"
	"sync"

	"github.com/IBM/sarama"
)

// groupConfig is what a service that does not think about its client would use: sarama's defaults, from the oldest
// record on, positions committed to Kafka every second.
func groupConfig() *sarama.Config {
	c := sarama.NewConfig()
	c.ClientID = "onhand-bench"
	c.Version = sarama.V3_6_0_0
	c.Consumer.Offsets.Initial = sarama.OffsetOldest
	return c
}

// Consume is a group member: it calls apply for each record, one goroutine a partition, and marks those that were
// applied. The first error of apply ends it, as does ctx.
func Consume(ctx context.Context, job Job, apply func(context.Context, *sarama.ConsumerMessage) error) error {
	group, err := sarama.NewConsumerGroup(job.Brokers, job.Group, groupConfig())
	if err != nil {
		return fmt.Errorf("join group %s: %w", job.Group, err)
	}
	defer func() { _ = group.Close() }()
	m := &member{apply: apply}
	for ctx.Err() == nil {
		if err := group.Consume(ctx, []string{job.Topic}, m); err != nil {
			return fmt.Errorf("consume: %w", err)
		}
		if err := m.failure(); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// member is sarama's handler. What apply has against a record must be kept aside: sarama drops it.
type member struct {
	apply func(context.Context, *sarama.ConsumerMessage) error

	mu  sync.Mutex
	err error
}

func (m *member) Setup(sarama.ConsumerGroupSession) error   { return nil }
func (m *member) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (m *member) ConsumeClaim(s sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for {
		select {
		case <-s.Context().Done():
			return nil
		case r, open := <-claim.Messages():
			if !open {
				return nil
			}
			if err := m.apply(s.Context(), r); err != nil {
				if s.Context().Err() == nil {
					m.fail(err)
				}
				return err
			}
			s.MarkMessage(r, "")
		}
	}
}

func (m *member) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err == nil {
		m.err = err
	}
}

func (m *member) failure() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.err
}
