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
}

// reader decodes one partition, each in a goroutine of its own.
type reader struct {
	consumer  sarama.Consumer
	topic     string
	partition int32
	end       int64 // the offset after the last record
	to        chan<- row
}

func (r *reader) run(ctx context.Context) error {
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
			case r.to <- row{event, body, r.partition, m.Offset}:
			case <-ctx.Done():
				return ctx.Err()
			}
			if m.Offset == r.end-1 {
				return nil
			}
		}
	}
}
