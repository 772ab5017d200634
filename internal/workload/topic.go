package workload

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/IBM/sarama"

	"onhand/internal/kafkalog"
)

// topicTimeout is how long a new topic may take until each partition has a leader that knows it.
const topicTimeout = 15 * time.Second

// EnsureTopic creates the topic with that many partitions when it does not exist, and waits until each can be written
// and read. It returns how many partitions the topic has, and whether it was created now.
func (s *Sender) EnsureTopic(ctx context.Context, partitions int32) (count int32, created bool, err error) {
	existing, err := s.partitions()
	if err != nil || existing > 0 {
		return existing, false, err
	}

	admin, err := sarama.NewClusterAdminFromClient(s.client)
	if err != nil {
		return 0, false, fmt.Errorf("create topic %s: %w", s.topic, err)
	}
	// admin is not closed: that would close the client.
	const brokersDefault = -1
	detail := &sarama.TopicDetail{NumPartitions: partitions, ReplicationFactor: brokersDefault}
	err = admin.CreateTopic(s.topic, detail, false)
	if err != nil && !errors.Is(err, sarama.ErrTopicAlreadyExists) { // somebody else was faster
		return 0, false, fmt.Errorf("create topic %s: %w", s.topic, err)
	}

	reader, err := kafkalog.NewReader(s.client)
	if err != nil {
		return 0, true, err
	}
	ctx, cancel := context.WithTimeout(ctx, topicTimeout)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if count, err := s.partitions(); err != nil || count > 0 && led(ctx, reader, s.topic) {
			return count, true, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return 0, true, fmt.Errorf("wait for topic %s to appear: %w", s.topic, ctx.Err())
		}
	}
}

// partitions returns how many partitions the topic has, 0 when it does not exist or has no leaders yet.
func (s *Sender) partitions() (int32, error) {
	err := s.client.RefreshMetadata(s.topic)
	if errors.Is(err, sarama.ErrUnknownTopicOrPartition) || errors.Is(err, sarama.ErrLeaderNotAvailable) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("look up topic %s: %w", s.topic, err)
	}
	all, err := s.client.Partitions(s.topic)
	if err != nil {
		return 0, fmt.Errorf("look up topic %s: %w", s.topic, err)
	}
	return int32(len(all)), nil
}

// led reports whether every partition has a leader that acts as one: by the metadata it may be a moment before that.
func led(ctx context.Context, reader *kafkalog.Reader, topic string) bool {
	partitions, err := reader.Partitions(topic)
	if err != nil {
		return false
	}
	ranges, err := reader.Ranges(ctx, partitions)
	return err == nil && len(ranges) == len(partitions)
}
