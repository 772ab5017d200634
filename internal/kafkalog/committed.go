package kafkalog

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/IBM/sarama"
)

// Committed is a group's committed position in one partition.
type Committed struct {
	Offset   int64
	Metadata string
}

// Committed returns every position that group has committed. Offsets that an open transaction is about to commit are
// waited for: without that the previous ones come back, even just after a transaction ended. Where there is no previous
// one Kafka says nothing of it, unless it is asked about that very partition: first are those to ask about.
func (r *Reader) Committed(
	ctx context.Context, group string, first ...TopicPartition,
) (map[TopicPartition]Committed, error) {
	for {
		committed, err := within(ctx, func() (map[TopicPartition]Committed, error) {
			return r.committedAlso(group, first)
		})
		switch {
		case err == nil:
			return committed, nil
		case !errors.Is(err, sarama.ErrUnstableOffsetCommit):
			return nil, fmt.Errorf("read the committed offsets of group %s: %w", group, err)
		}
		if err := pause(ctx, retryPause); err != nil {
			return nil, fmt.Errorf("wait for the transaction of group %s: %w", group, err)
		}
	}
}

// committedAlso is committed of all, and of those in first by themselves that are not there.
func (r *Reader) committedAlso(group string, first []TopicPartition) (map[TopicPartition]Committed, error) {
	all, err := r.committed(group, nil)
	if err != nil {
		return nil, err
	}
	missing := make(map[string][]int32)
	for _, tp := range first {
		if _, ok := all[tp]; !ok {
			missing[tp.Topic] = append(missing[tp.Topic], tp.Partition)
		}
	}
	if len(missing) == 0 {
		return all, nil
	}
	also, err := r.committed(group, missing)
	maps.Copy(all, also)
	return all, err
}

// committed returns the positions of partitions; nil = of all.
func (r *Reader) committed(group string, partitions map[string][]int32) (map[TopicPartition]Committed, error) {
	var response *sarama.OffsetFetchResponse
	for try := 0; ; try++ {
		var err error
		response, err = r.offsetFetch(group, partitions)
		if err == nil {
			break
		}
		if try == maxRetries || !movedCoordinator(err) {
			return nil, err
		}
		if err := r.client.RefreshCoordinator(group); err != nil {
			return nil, err
		}
	}
	committed := make(map[TopicPartition]Committed)
	for topic, partitions := range response.Blocks {
		for partition, block := range partitions {
			if block.Err != sarama.ErrNoError {
				return nil, block.Err
			}
			if block.Offset >= 0 {
				committed[TopicPartition{topic, partition}] = Committed{Offset: block.Offset, Metadata: block.Metadata}
			}
		}
	}
	return committed, nil
}

func (r *Reader) offsetFetch(group string, partitions map[string][]int32) (*sarama.OffsetFetchResponse, error) {
	coordinator, err := r.client.Coordinator(group)
	if err != nil {
		return nil, err
	}
	request := sarama.NewOffsetFetchRequest(r.client.Config().Version, group, partitions)
	request.RequireStable = true
	var response *sarama.OffsetFetchResponse
	err = r.ask(coordinator, func() (err error) {
		response, err = coordinator.FetchOffset(request)
		return err
	})
	if err != nil {
		return nil, err
	}
	switch code := response.GroupError(); code {
	case sarama.ErrNoError, sarama.ErrGroupIDNotFound: // not every broker calls a group that never was an empty one
		return response, nil
	default:
		return nil, code
	}
}

func movedCoordinator(err error) bool {
	return errors.Is(err, sarama.ErrNotCoordinatorForConsumer) ||
		errors.Is(err, sarama.ErrConsumerCoordinatorNotAvailable) ||
		errors.Is(err, sarama.ErrOffsetsLoadInProgress)
}

// pause waits for d or the end of ctx, whose error it returns.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
