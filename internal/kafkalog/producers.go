package kafkalog

import (
	"context"
	"errors"
	"fmt"

	"github.com/IBM/sarama"
)

// OpenTransactions returns the ids of the producers that have a transaction open in each of tps. A partition that does
// not say is absent: there is no such one, its leader is away, or the topic may not be read. Only when no broker
// answers at all is that an error.
func (r *Reader) OpenTransactions(ctx context.Context, tps []TopicPartition) (map[TopicPartition][]int64, error) {
	open, err := within(ctx, func() (map[TopicPartition][]int64, error) {
		leaders, err := r.leaders(tps)
		if err != nil {
			return nil, err
		}
		return r.describeProducers(leaders)
	})
	if err != nil {
		return nil, fmt.Errorf("ask whose transactions are open: %w", err)
	}
	return open, nil
}

// describeProducers asks each leader about its partitions. An error means that there were leaders and none answered.
func (r *Reader) describeProducers(leaders map[int32][]TopicPartition) (map[TopicPartition][]int64, error) {
	open := make(map[TopicPartition][]int64)
	var errs []error
	for id, tps := range leaders {
		b, err := r.broker(id)
		if err == nil {
			err = r.ask(b, func() error {
				answer, err := b.DescribeProducers(producersRequest(tps))
				if err == nil {
					takeOpen(open, answer)
				}
				return err
			})
		}
		if err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) < len(leaders) {
		return open, nil
	}
	return open, errors.Join(errs...)
}

func producersRequest(tps []TopicPartition) *sarama.DescribeProducersRequest {
	partitions := make(map[string][]int32)
	for _, tp := range tps {
		partitions[tp.Topic] = append(partitions[tp.Topic], tp.Partition)
	}
	request := &sarama.DescribeProducersRequest{}
	for topic, ids := range partitions {
		request.Topics = append(request.Topics, sarama.DescribeProducersRequestTopic{Name: topic, PartitionIndexes: ids})
	}
	return request
}

func takeOpen(open map[TopicPartition][]int64, answer *sarama.DescribeProducersResponse) {
	for _, t := range answer.Topics {
		for _, p := range t.Partitions {
			if p.ErrorCode != sarama.ErrNoError {
				continue
			}
			ids := []int64{}
			for _, producer := range p.ActiveProducers {
				if producer.CurrentTxnStartOffset >= 0 {
					ids = append(ids, producer.ProducerID)
				}
			}
			open[TopicPartition{t.Name, p.PartitionIndex}] = ids
		}
	}
}
