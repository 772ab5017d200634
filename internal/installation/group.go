package installation

import (
	"errors"
	"fmt"

	"github.com/IBM/sarama"

	"onhand/internal/kafkalog"
)

// commitVersion knows metadata and leaves the retention of offsets to the broker.
const commitVersion = 7

const unknownEpoch = -1

// markAttempts bounds how often a coordinator that has moved is looked for.
const markAttempts = 3

// MarkGroup commits positions to i's group, each carrying i's metadata. It is ErrGuard while the group has members,
// also when there is nothing to commit. If a partition of a deleted topic is among them, it is left out: its offsets
// went with it.
func MarkGroup(client sarama.Client, i Installation, positions map[kafkalog.TopicPartition]int64) error {
	var err error
	for range markAttempts {
		if err = emptyGroup(client, i.Group); err == nil && len(positions) > 0 {
			err = markOnce(client, i, positions)
		}
		if !errors.Is(err, sarama.ErrNotCoordinatorForConsumer) && !errors.Is(err, sarama.ErrOffsetsLoadInProgress) {
			return err
		}
		if err := client.RefreshCoordinator(i.Group); err != nil {
			return fmt.Errorf("find the coordinator of group %s: %w", i.Group, err)
		}
	}
	return err
}

// emptyGroup is ErrGuard while the group has members. A commit says the same and cannot be overtaken by a member that
// joins meanwhile; but there may be nothing to commit.
func emptyGroup(client sarama.Client, group string) error {
	coordinator, err := client.Coordinator(group)
	if err != nil {
		return fmt.Errorf("find the coordinator of group %s: %w", group, err)
	}
	response, err := coordinator.DescribeGroups(&sarama.DescribeGroupsRequest{Groups: []string{group}})
	if err != nil {
		return fmt.Errorf("describe group %s: %w", group, err)
	}
	for _, description := range response.Groups {
		// Newer brokers say of a group that never was that they do not know it.
		if code := description.Err; code != sarama.ErrNoError && code != sarama.ErrGroupIDNotFound {
			return fmt.Errorf("describe group %s: %w", group, code)
		}
		if len(description.Members) > 0 {
			return hasMembers(group)
		}
	}
	return nil
}

func hasMembers(group string) error {
	return fmt.Errorf("%w: the consumer group %s has members: stop all of them first (one that was killed "+
		"counts until its session times out)", ErrGuard, group)
}

func markOnce(client sarama.Client, i Installation, positions map[kafkalog.TopicPartition]int64) error {
	coordinator, err := client.Coordinator(i.Group)
	if err != nil {
		return fmt.Errorf("find the coordinator of group %s: %w", i.Group, err)
	}
	request := &sarama.OffsetCommitRequest{
		Version:       commitVersion,
		ConsumerGroup: i.Group,
		// No member and no generation: the coordinator takes such a commit only while the group has no members at all.
		ConsumerGroupGeneration: sarama.GroupGenerationUndefined,
	}
	for tp, next := range positions {
		request.AddBlockWithLeaderEpoch(tp.Topic, tp.Partition, next, unknownEpoch, 0, i.Metadata())
	}
	response, err := coordinator.CommitOffset(request)
	if err != nil {
		return fmt.Errorf("commit offsets of group %s: %w", i.Group, err)
	}
	for topic, partitions := range response.Errors {
		for partition, code := range partitions {
			switch code {
			case sarama.ErrNoError, sarama.ErrUnknownTopicOrPartition:
			case sarama.ErrUnknownMemberId, sarama.ErrIllegalGeneration, sarama.ErrRebalanceInProgress:
				return hasMembers(i.Group)
			default:
				return fmt.Errorf("commit offset of %s/%d in group %s: %w", topic, partition, i.Group, code)
			}
		}
	}
	return nil
}
